//! Requests about group-sequential designs.

use serde_json::{Value, json};

use super::Method;
use super::answer::{number, undefined};
use super::request::{Request, RequestError};
use crate::methods::Alternative;
use crate::methods::group_sequential::classic::{Shape, classic};
use crate::methods::group_sequential::power::{design_power, inflation};
use crate::methods::group_sequential::{MOST_LOOKS, Sides, Spending, are_rates, cached_bounds};

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "group_sequential_bounds",
        fields: "information_rates[] spending: obrien_fleming | pocock | power | hwang_shih_decani \
                 parameter? alpha? sides: 2 | 1",
        about: "Boundaries by alpha spending, each side with alpha/sides.\n\
            obrien_fleming: 2 - 2 Phi(z_(a/2)/sqrt t); pocock: a ln(1 + (e - 1) t); power: a t^parameter;\n\
            hwang_shih_decani: a (1 - e^(-parameter t))/(1 - e^(-parameter)). Rates rise and may end\n\
            before 1; above 1 all is spent; those less than 1e-6 apart are one look.\n\
            Reference: Lan & DeMets (1983); gsDesign gsBound; rpact getDesignGroupSequential.",
        compute: boundaries,
    },
    Method {
        name: "group_sequential_classic",
        fields: "looks design: obrien_fleming | pocock alpha? sides: 2 | 1",
        about: "Boundaries of evenly spaced looks: obrien_fleming C sqrt(K/k), pocock C; constant is C.\n\
            Reference: Jennison & Turnbull (2000), tables 2.1 and 2.3; rpact typeOfDesign OF and P.",
        compute: |request| {
            let looks = request.count("looks")?;
            let looks = usize::try_from(looks)
                .ok()
                .filter(|looks| (1..=MOST_LOOKS).contains(looks))
                .ok_or_else(|| request.refuse("looks", format!("between 1 and {MOST_LOOKS}")))?;
            let shape = match request.choice("design", &["obrien_fleming", "pocock"])? {
                "pocock" => Shape::Pocock,
                _ => Shape::OBrienFleming,
            };
            Ok(match classic(looks, request.alpha()?, sides(request)?, shape) {
                Ok(found) => {
                    json!({"bounds": numbers(&found.bounds), "constant": number(found.constant)})
                }
                Err(error) => undefined(&["bounds", "constant"], error),
            })
        },
    },
    Method {
        name: "group_sequential_power",
        fields: "information_rates[] bounds[] drift sides: 2 | 1",
        about: "Probabilities to stop first at each look above or below, their sum, and the expected\n\
            information at the stop. drift is E[Z] at information 1. A bound may be \"Infinity\".\n\
            Reference: Jennison & Turnbull (2000), chapter 2; gsDesign gsProbability.",
        compute: |request| {
            let rates = rates(request)?;
            let drift = request.number("drift")?;
            let sides = sides(request)?;
            let rule = match sides {
                Sides::Two => "as many numbers of at least 0 as information_rates",
                Sides::One => "as many numbers as information_rates",
            };
            let bounds = request.list("bounds", rule, |value| match value.as_str() {
                Some("Infinity") => Some(f64::INFINITY),
                _ => value.as_f64(),
            })?;
            let sound = |b: &f64| sides == Sides::One || *b >= 0.0;
            if bounds.len() != rates.len() || !bounds.iter().all(sound) {
                return Err(request.refuse("bounds", rule));
            }
            Ok(match design_power(&rates, &bounds, drift, sides) {
                Ok(found) => json!({
                    "upper": found.looks.iter().map(|l| number(l.upper)).collect::<Vec<Value>>(),
                    "lower": found.looks.iter().map(|l| number(l.lower)).collect::<Vec<Value>>(),
                    "power": number(found.power),
                    "expected_information": number(found.expected_information),
                }),
                Err(error) => {
                    undefined(&["upper", "lower", "power", "expected_information"], error)
                }
            })
        },
    },
    Method {
        name: "group_sequential_inflation",
        fields: "information_rates[] spending parameter? alpha? sides: 2 | 1 power?",
        about: "By how much the looks of a design enlarge the largest sample: drift^2 over\n\
            (z_(1-alpha/sides) + z_power)^2, where drift has the wanted power (0.8 by default).\n\
            Reference: rpact getDesignCharacteristics.",
        compute: |request| {
            let rates = rates(request)?;
            let (alpha, sides) = (request.alpha()?, sides(request)?);
            let inside = |p: f64| p > alpha.get() && p < 1.0;
            let power = request.number_or("power", 0.8, "above alpha and below 1", inside)?;
            let found = cached_bounds(&rates, alpha, sides, spending(request)?)
                .and_then(|bounds| inflation(&rates, &bounds.bounds, alpha, sides, power));
            Ok(match found {
                Ok(found) => json!({
                    "drift": number(found.drift),
                    "inflation_factor": number(found.inflation_factor),
                }),
                Err(error) => undefined(&["drift", "inflation_factor"], error),
            })
        },
    },
];

fn sides(request: &Request<'_>) -> Result<Sides, RequestError> {
    Ok(match super::always_valid::one_or_two(request)? {
        Alternative::TwoSided => Sides::Two,
        _ => Sides::One,
    })
}

fn rates(request: &Request<'_>) -> Result<Vec<f64>, RequestError> {
    let rates = request.numbers("information_rates")?;
    if are_rates(&rates) {
        return Ok(rates);
    }
    let rule = format!("between 1 and {MOST_LOOKS} rising numbers above 0");
    Err(request.refuse("information_rates", rule))
}

fn spending(request: &Request<'_>) -> Result<Spending, RequestError> {
    let kinds = &["obrien_fleming", "pocock", "power", "hwang_shih_decani"];
    Ok(match request.choice("spending", kinds)? {
        "pocock" => Spending::Pocock,
        "power" => Spending::Power(request.number_where("parameter", "above 0", |rho| rho > 0.0)?),
        "hwang_shih_decani" => Spending::HwangShihDeCani(request.number("parameter")?),
        _ => Spending::OBrienFleming,
    })
}

fn numbers(values: &[f64]) -> Vec<Value> {
    values.iter().map(|value| number(*value)).collect()
}

fn boundaries(request: &Request<'_>) -> Result<Value, RequestError> {
    let rates = rates(request)?;
    let found = cached_bounds(&rates, request.alpha()?, sides(request)?, spending(request)?);
    Ok(match found {
        Ok(found) => json!({
            "bounds": numbers(&found.bounds), "cumulative_alpha": numbers(&found.cumulative_alpha),
            "nominal_p": numbers(&found.nominal_p),
        }),
        Err(error) => undefined(&["bounds", "cumulative_alpha", "nominal_p"], error),
    })
}
