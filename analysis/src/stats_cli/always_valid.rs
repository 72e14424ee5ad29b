//! Requests about data that are looked at while they accumulate.

use serde_json::{Value, json};

use super::Method;
use super::answer::{interval, number, optional, status, undefined};
use super::request::{Request, RequestError};
use crate::methods::anytime_t::anytime_t;
use crate::methods::bernoulli_sequence::bernoulli_sequence;
use crate::methods::confidence_sequence::{N_TUNE, confidence_sequence};
use crate::methods::guardrail::{Levels, degradation, judge};
use crate::methods::interleaving::{Preferences, interleaving};
use crate::methods::msprt::{msprt, running_minimum};
use crate::methods::normal_mixture::sum_boundary;
use crate::methods::{Alpha, Alternative};

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "confidence_sequence",
        fields: "effect se n n_tune? alpha? alternative?",
        about: "Interval and p-value that hold at every look at once: the normal mixture.\n\
            half = se sqrt((1 + 1/(n rho2)) (ln(1 + n rho2) + 2 ln(1/alpha))); rho2 is tuned to n_tune\n\
            units in all (10 000 by default). p_value is that of this look; over looks take the least.\n\
            Assumes a normal estimate: 100 units in each arm, more when they are skewed.\n\
            Reference: Waudby-Smith et al. (2024); gbstats SequentialTwoSidedTTest; Howard et al. (2021)\n\
            for one direction.",
        compute: sequence,
    },
    Method {
        name: "msprt",
        fields: "effect se tau alpha? alternative?",
        about: "Mixture sequential probability ratio test with effects N(0, tau^2).\n\
            ln L = 0.5 ln(V/(V + tau^2)) + tau^2 d^2/(2 V (V + tau^2)), V = se^2; p = min(1, 1/L).\n\
            tau must be fixed before the data: the smallest effect worth detecting, or 0.1 sd.\n\
            Reference: Johari, Koomen, Pekelis, Walsh (2022).",
        compute: |request| {
            let (effect, se) = (request.number("effect")?, se(request)?);
            let found = msprt(effect, se, tau(request)?, request.alpha()?, request.alternative()?);
            Ok(match found {
                Ok(found) => json!({
                    "log_lambda": number(found.log_lambda), "p_value": number(found.p_value),
                    "ci": interval(found.ci),
                }),
                Err(error) => undefined(&["log_lambda", "p_value", "ci"], error),
            })
        },
    },
    Method {
        name: "msprt_sequence",
        fields: "looks[]{effect, se} tau alpha? alternative?",
        about: "msprt over looks: p_values is the running minimum, which is valid at every look; a look\n\
            with se 0 says nothing and keeps the last. look_p_values and log_lambdas are those of each\n\
            look by itself; stopped_at is the first look with p < alpha, from 0 on.",
        compute: sequence_of_looks,
    },
    Method {
        name: "normal_mixture_bound",
        fields: "v v_opt alpha? alpha_opt? sides: 2 | 1",
        about: "Boundary of a sum with intrinsic time v that is crossed ever with probability alpha,\n\
            tightest at v_opt for the level alpha_opt (0.05 by default).\n\
            Reference: Howard, Ramdas, McAuliffe, Sekhon (2021); confseq normal_mixture_bound.",
        compute: |request| {
            let v = request.number_where("v", "at least 0", |v| v >= 0.0)?;
            let v_opt = request.number_where("v_opt", "above 0", |v| v > 0.0)?;
            let alpha_opt = level(request, "alpha_opt")?;
            let sides = one_or_two(request)?;
            if sides == Alternative::Greater && alpha_opt.get() >= 0.45 {
                return Err(request.refuse("alpha_opt", "below 0.45 for one side"));
            }
            let alpha = request.alpha()?.get();
            let bound = sum_boundary(v, alpha, v_opt, alpha_opt.get(), sides);
            Ok(json!({"bound": number(bound)}))
        },
    },
    Method {
        name: "anytime_t",
        fields: "statistic se df n_effective phi? alpha?",
        about: "Anytime-valid t-test: r = phi/(phi + n_effective),\n\
            ln BF = 0.5 ln r + (df + 1)/2 ln((1 + t^2/df)/(1 + r t^2/df)); p = min(1, 1/BF).\n\
            n_effective is (s/se)^2, n_c n_t/(n_c + n_t) for two arms. half_width is infinite at first.\n\
            Reference: Lindon, Ham, Tingley, Bojinov (2022); savvi linear_regression.",
        compute: |request| {
            let above = |field| request.number_where(field, "above 0", |x| x > 0.0);
            let phi = request.number_or("phi", 1.0, "above 0", |phi| phi > 0.0)?;
            let (statistic, se) = (request.number("statistic")?, se(request)?);
            let (df, n) = (above("df")?, above("n_effective")?);
            Ok(match anytime_t(statistic, se, df, n, phi, request.alpha()?) {
                Ok(found) => json!({
                    "log_bayes_factor": number(found.log_bayes_factor),
                    "p_value": number(found.p_value), "half_width": number(found.half_width),
                }),
                Err(error) => undefined(&["log_bayes_factor", "p_value", "half_width"], error),
            })
        },
    },
    Method {
        name: "bernoulli_confidence_sequence",
        fields: "successes n t_opt alpha? alpha_opt?",
        about: "Interval of one share that holds at every look at once, exact for 0/1 outcomes: all p\n\
            that a Beta(k p, k (1 - p)) mixture does not reject, tightest at t_opt units.\n\
            Reference: Howard et al. (2021); confseq bernoulli_confidence_interval.",
        compute: |request| {
            let units = request.own_successes()?;
            let t_opt = request.number_where("t_opt", "above 0", |t| t > 0.0)?;
            let found =
                bernoulli_sequence(units, t_opt, request.alpha()?, level(request, "alpha_opt")?);
            Ok(match found {
                Ok(ci) => json!({"ci": interval(ci), "estimate": optional(units.share())}),
                Err(error) => undefined(&["ci", "estimate"], error),
            })
        },
    },
    Method {
        name: "guardrail",
        fields: "lift p_value desired_direction: increase | decrease max_degradation? alpha?",
        about: "The plain rule: pause when the metric got worse by more than max_degradation (0.05 by\n\
            default) and p < alpha, both strictly; else continue. What is null does not pause.\n\
            Checked again and again it needs an always-valid p.",
        compute: |request| {
            let margin =
                request.number_or("max_degradation", 0.05, "at least 0", |margin| margin >= 0.0)?;
            let bad = match request.choice("desired_direction", &["increase", "decrease"])? {
                "decrease" => Alternative::Greater,
                _ => Alternative::Less,
            };
            let lift = request.optional_number("lift")?;
            let p = if request.get("p_value").is_some() {
                let share = |p: f64| (0.0..=1.0).contains(&p);
                Some(request.number_where("p_value", "between 0 and 1", share)?)
            } else {
                None
            };
            let levels = Levels::plain(request.alpha()?.get());
            let action = judge(
                lift.map_or(f64::NAN, |lift| degradation(lift, bad)),
                margin,
                p.unwrap_or(1.0),
                levels,
            );
            Ok(json!({"action": action.as_str()}))
        },
    },
    Method {
        name: "interleaving",
        fields: "wins losses ties alpha? alternative?",
        about: "Do more units prefer the treatment's results? preference = (W + T/2)/(W + L + T) - 1/2;\n\
            exact sign test without ties; Wilson's interval of W/(W + L). p_value_sequential may be\n\
            looked at as often as one likes.\n\
            Reference: Chapelle et al. (2012); scipy binomtest.",
        compute: preferences,
    },
];

fn se(request: &Request<'_>) -> Result<f64, RequestError> {
    request.number_where("se", "at least 0", |se| se >= 0.0)
}

fn tau(request: &Request<'_>) -> Result<f64, RequestError> {
    request.number_where("tau", "above 0", |tau| tau > 0.0)
}

fn level(request: &Request<'_>, field: &str) -> Result<Alpha, RequestError> {
    let level = request.number_or(field, 0.05, "a number between 0 and 1", |_| true)?;
    Alpha::try_new(level).ok_or_else(|| request.refuse(field, "strictly between 0 and 1"))
}

/// `sides` as an alternative: one side is an increase.
pub(super) fn one_or_two(request: &Request<'_>) -> Result<Alternative, RequestError> {
    match request.number_or("sides", 2.0, "a number", |_| true)? {
        1.0 => Ok(Alternative::Greater),
        2.0 => Ok(Alternative::TwoSided),
        _ => Err(request.refuse("sides", "1 or 2")),
    }
}

fn sequence(request: &Request<'_>) -> Result<Value, RequestError> {
    let (effect, se) = (request.number("effect")?, se(request)?);
    let n = request.number_where("n", "above 0", |n| n > 0.0)?;
    let n_tune = request.number_or("n_tune", N_TUNE, "above 0", |n| n > 0.0)?;
    let found =
        confidence_sequence(effect, se, n, n_tune, request.alpha()?, request.alternative()?);
    Ok(match found {
        Ok(found) => json!({
            "rho2": number(found.rho2), "half_width": number(found.half_width),
            "ci": interval(found.ci), "log_e_value": number(found.log_e_value),
            "p_value": number(found.p_value),
        }),
        Err(error) => undefined(&["rho2", "half_width", "ci", "log_e_value", "p_value"], error),
    })
}

fn sequence_of_looks(request: &Request<'_>) -> Result<Value, RequestError> {
    let (tau, alpha, alternative) = (tau(request)?, request.alpha()?, request.alternative()?);
    let looks = request
        .objects("looks")?
        .iter()
        .map(|look| Ok(msprt(look.number("effect")?, se(look)?, tau, alpha, alternative).ok()))
        .collect::<Result<Vec<_>, RequestError>>()?;
    let p = running_minimum(looks.iter().map(|look| look.map(|look| look.p_value)));
    Ok(json!({
        "stopped_at": p.iter().position(|p| *p < alpha.get()),
        "p_values": p.into_iter().map(number).collect::<Vec<Value>>(),
        "look_p_values":
            looks.iter().map(|look| optional(look.map(|look| look.p_value))).collect::<Vec<Value>>(),
        "log_lambdas":
            looks.iter().map(|look| optional(look.map(|l| l.log_lambda))).collect::<Vec<Value>>(),
    }))
}

fn preferences(request: &Request<'_>) -> Result<Value, RequestError> {
    let units = Preferences {
        wins: request.count("wins")?,
        losses: request.count("losses")?,
        ties: if request.get("ties").is_some() { request.count("ties")? } else { 0 },
    };
    let fields = &["preference", "win_rate", "p_value", "win_rate_ci_wilson", "p_value_sequential"];
    let found = match interleaving(units, request.alpha()?, request.alternative()?) {
        Ok(found) => found,
        Err(error) => return Ok(undefined(fields, error)),
    };
    let mut result = json!({
        "preference": number(found.preference), "win_rate": null, "p_value": null,
        "win_rate_ci_wilson": null, "p_value_sequential": null,
    });
    match found.decided {
        Ok(decided) => {
            result["win_rate"] = number(decided.win_rate);
            result["p_value"] = number(decided.p_value);
            result["win_rate_ci_wilson"] = interval(decided.win_rate_ci);
            result["p_value_sequential"] = number(decided.p_value_sequential);
        }
        Err(error) => result["status"] = status(error),
    }
    Ok(result)
}
