//! Requests about sample sizes and power.

use serde_json::{Value, json};

use super::Method;
use super::answer::{number, optional};
use super::request::{Request, RequestError};
use crate::methods::normal;
use crate::power::{self, Design};

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "sample_size_mean",
        fields: "mde sd ratio? alpha? power? alternative? distribution: normal | t",
        about: "Units of control to find a difference of means of mde at sd; treatment has ratio times\n\
            as many. Not rounded. t: by the power of Student's t-test (noncentral t), some more.\n\
            Reference: statsmodels NormalIndPower.solve_power, TTestIndPower.solve_power.",
        compute: sample_size_mean,
    },
    Method {
        name: "sample_size_proportion",
        fields: "baseline mde ratio? alpha? power? formula: pooled | unpooled | evan_miller",
        about: "Units per arm (of control, if ratio is given) to find baseline -> baseline + mde.\n\
            pooled: Fleiss, the one that fits the pooled test; evan_miller: that calculator's formula.",
        compute: sample_size_proportion,
    },
    Method {
        name: "sample_size_rule_16",
        fields: "variance mde",
        about: "n = 16 variance/mde^2 per arm: two-sided 5 %, power 80 %, roughly.",
        compute: |request| {
            let variance = request.number_where("variance", "at least 0", |v| v >= 0.0)?;
            let mde = request.number_where("mde", "other than 0", |d| d != 0.0)?;
            Ok(json!({"n_per_arm": number(16.0 * variance / (mde * mde))}))
        },
    },
    Method {
        name: "mde_mean",
        fields: "n_control n_treatment variance_control variance_treatment alpha? power?",
        about: "Smallest detectable difference of means: (z_(1-alpha/2) + z_power) se.",
        compute: |request| {
            let se = standard_error(request)?;
            let z = normal::isf(request.alpha()?.get() / 2.0) + normal::isf(1.0 - level(request)?);
            Ok(json!({"mde": number(z * se)}))
        },
    },
    Method {
        name: "power_mean",
        fields: "effect n_control n_treatment variance_control variance_treatment alpha?",
        about: "Chance that a two-sided test of means finds the effect: Phi(d/se - z) + Phi(-d/se - z).",
        compute: |request| {
            let effect = request.number("effect")?;
            let se = standard_error(request)?;
            let reached = power::power_mean(effect, se, request.alpha()?.get());
            Ok(json!({"power": optional(reached)}))
        },
    },
    Method {
        name: "underpowered",
        fields: "n_per_arm required_n_per_arm",
        about: "Whether an arm has fewer units than were planned.",
        compute: |request| {
            let reached = request.number_where("n_per_arm", "at least 0", |n| n >= 0.0)?;
            let required =
                request.number_where("required_n_per_arm", "at least 0", |n| n >= 0.0)?;
            Ok(json!({"underpowered": reached < required}))
        },
    },
];

fn level(request: &Request<'_>) -> Result<f64, RequestError> {
    request.number_or("power", 0.8, "strictly between 0 and 1", |p| p > 0.0 && p < 1.0)
}

fn standard_error(request: &Request<'_>) -> Result<f64, RequestError> {
    let part = |n: &str, variance: &str| {
        let n = request.number_where(n, "above 0", |n| n > 0.0)?;
        Ok(request.number_where(variance, "at least 0", |v| v >= 0.0)? / n)
    };
    Ok((part("n_control", "variance_control")? + part("n_treatment", "variance_treatment")?).sqrt())
}

fn design(request: &Request<'_>) -> Result<Design, RequestError> {
    let alpha = request.alpha()?.get();
    let ratio = request.number_or("ratio", 1.0, "above 0", |ratio| ratio > 0.0)?;
    Ok(Design { alpha, power: level(request)?, ratio })
}

fn sample_size_mean(request: &Request<'_>) -> Result<Value, RequestError> {
    let effect = request.number_where("mde", "other than 0", |d| d != 0.0)?;
    let sd = request.number_where("sd", "above 0", |sd| sd > 0.0)?;
    let by_t = request.choice("distribution", &["normal", "t"])? == "t";
    let design = design(request)?;
    let one_sided =
        request.choice("alternative", &["two-sided", "greater", "less"])? != "two-sided";
    let units = if by_t {
        power::required_per_arm_mean_t(sd * sd, effect, design, !one_sided)
    } else if one_sided {
        power::required_per_arm_mean_one_sided(sd * sd, sd * sd, effect, design)
    } else {
        power::required_per_arm_mean(sd * sd, sd * sd, effect, design)
    };
    Ok(json!({"n_control": optional(units)}))
}

fn sample_size_proportion(request: &Request<'_>) -> Result<Value, RequestError> {
    let share = |p: f64| p > 0.0 && p < 1.0;
    let baseline = request.number_where("baseline", "strictly between 0 and 1", share)?;
    let mde = request.number_where("mde", "other than 0", |d| d != 0.0)?;
    let treatment = baseline + mde;
    let design = design(request)?;
    let formula = request.choice("formula", &["pooled", "unpooled", "evan_miller"])?;
    if formula != "evan_miller" && !(0.0..=1.0).contains(&treatment) {
        return Err(request.refuse("mde", "such that baseline + mde lies between 0 and 1"));
    }
    let units = match formula {
        "unpooled" => power::required_per_arm_proportion_unpooled(baseline, treatment, design),
        "evan_miller" => power::required_per_arm_evan_miller(baseline, mde, design),
        _ => power::required_per_arm_proportion(baseline, treatment, design),
    };
    Ok(json!({"n_per_arm": optional(units)}))
}
