//! Requests about means of limited values, ranks, equivalence, and noise for privacy.

use serde_json::{Value, json};

use super::Method;
use super::answer::{ESTIMATE, estimate, interval, number, optional, undefined};
use super::request::{Request, RequestError};
use crate::methods::equivalence::equivalence;
use crate::methods::mann_whitney::mann_whitney;
use crate::methods::privacy::Laplace;
use crate::methods::welch::welch_against;
use crate::methods::winsorise::Caps;
use crate::methods::{Interval, normal};
use crate::stats::Moments;

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "winsorized_welch",
        fields: "control{values} treatment{values} upper_quantile? lower_quantile? alpha? alternative?",
        about: "welch_t of values limited to a quantile (type 7) of both arms together. raw holds the\n\
            test of the values themselves, share_capped how many were changed.\n\
            Reference: numpy quantile and clip, scipy ttest_ind.",
        compute: winsorised,
    },
    Method {
        name: "equivalence",
        fields: "control{n, mean, variance} treatment{n, mean, variance} low high alpha?",
        about: "Two one-sided Welch tests of an effect between the margins: p_value is the larger one,\n\
            ci has level 1 - 2 alpha. Reference: Schuirmann (1987).",
        compute: equivalent,
    },
    Method {
        name: "mann_whitney",
        fields: "control{values} treatment{values} alternative?",
        about: "Rank test; statistic U counts the pairs in which the treated unit is ahead. Exact without\n\
            ties up to 400 pairs, else normal with corrections for ties and continuity.\n\
            Reference: scipy mannwhitneyu.",
        compute: ranks,
    },
    Method {
        name: "dp_laplace",
        fields: "se epsilon sensitivity | lower upper n  effect? alpha?",
        about: "Laplace noise for a released mean: scale = sensitivity/epsilon, which adds 2 scale^2 to\n\
            the variance. Without sensitivity that of n values clipped to [lower, upper].\n\
            Reference: Dwork et al. (2006).",
        compute: noise,
    },
];

fn values(request: &Request<'_>, arm: &str) -> Result<Vec<f64>, RequestError> {
    let arm = request.object(arm)?;
    let values = arm.numbers("values")?;
    if values.is_empty() {
        return Err(arm.refuse("values", "a list with at least one number"));
    }
    Ok(values)
}

fn winsorised(request: &Request<'_>) -> Result<Value, RequestError> {
    let (c, t) = (values(request, "control")?, values(request, "treatment")?);
    let share = |q: f64| (0.0..=1.0).contains(&q);
    let at = |field| match request.get(field) {
        Some(_) => request.number_where(field, "between 0 and 1", share).map(Some),
        None => Ok(None),
    };
    let (lower, upper) = (at("lower_quantile")?, at("upper_quantile")?);
    if lower > upper && upper.is_some() {
        return Err(request.refuse("lower_quantile", "at most upper_quantile"));
    }
    let (alpha, alternative) = (request.alpha()?, request.alternative()?);
    let Some(caps) = Caps::at_quantiles(&c, &t, lower, upper) else {
        return Err(request.refuse("control.values", "a list with at least one number"));
    };
    let test = |control: &Moments, treatment: &Moments| {
        let mut result = match welch_against(control, treatment, 0.0, alpha, alternative) {
            Ok(found) => estimate(&found),
            Err(error) => {
                let mut result = undefined(ESTIMATE, error);
                result["effect"] = number(control.mean_difference(treatment));
                result
            }
        };
        result["control_mean"] = number(control.mean());
        result["treatment_mean"] = number(treatment.mean());
        result
    };
    let limited = |values: &[f64]| Moments::of(&caps.apply_all(values));
    let mut result = test(&limited(&c), &limited(&t));
    let capped = caps.beyond(&c) + caps.beyond(&t);
    result["cap"] = if upper.is_some() { number(caps.upper) } else { Value::Null };
    if lower.is_some() {
        result["lower_cap"] = number(caps.lower);
    }
    result["share_capped"] = number(capped as f64 / (c.len() + t.len()) as f64);
    result["raw"] = test(&Moments::of(&c), &Moments::of(&t));
    Ok(result)
}

fn equivalent(request: &Request<'_>) -> Result<Value, RequestError> {
    let (control, treatment) = (request.summary("control")?, request.summary("treatment")?);
    let margins = Interval { lo: request.number("low")?, hi: request.number("high")? };
    if margins.lo >= margins.hi {
        return Err(request.refuse("low", "below high"));
    }
    let alpha = request.alpha()?;
    Ok(match equivalence(&control, &treatment, margins, alpha) {
        Ok(found) => json!({
            "effect": number(found.effect), "se": number(found.se), "df": number(found.df),
            "p_value_low": number(found.p_low), "p_value_high": number(found.p_high),
            "p_value": number(found.p_value()), "ci": interval(found.ci),
            "equivalent": found.p_value() < alpha.get(),
        }),
        Err(error) => undefined(
            &["effect", "se", "df", "p_value_low", "p_value_high", "p_value", "ci", "equivalent"],
            error,
        ),
    })
}

fn ranks(request: &Request<'_>) -> Result<Value, RequestError> {
    let (c, t) = (values(request, "control")?, values(request, "treatment")?);
    Ok(match mann_whitney(&c, &t, request.alternative()?) {
        Ok(found) => json!({
            "statistic": number(found.statistic), "probability": number(found.probability),
            "p_value": number(found.p_value), "exact": found.exact,
        }),
        Err(error) => undefined(&["statistic", "probability", "p_value", "exact"], error),
    })
}

fn noise(request: &Request<'_>) -> Result<Value, RequestError> {
    let se = request.number_where("se", "at least 0", |se| se >= 0.0)?;
    let epsilon = request.number_where("epsilon", "above 0", |epsilon| epsilon > 0.0)?;
    let sensitivity = if request.get("sensitivity").is_some() {
        request.number_where("sensitivity", "at least 0", |s| s >= 0.0)?
    } else {
        let (lower, upper) = (request.number("lower")?, request.number("upper")?);
        Laplace::sensitivity(lower, upper, request.count("n")?)
            .ok_or_else(|| request.refuse("n", "at least 1, and lower at most upper"))?
    };
    let law = Laplace::for_mean(sensitivity, epsilon)
        .ok_or_else(|| request.refuse("epsilon", "such that sensitivity/epsilon is finite"))?;
    let se_total = law.se_total(se);
    let mut result = json!({
        "scale": number(law.scale), "se_total": number(se_total), "sensitivity": number(sensitivity),
        "epsilon": number(epsilon),
    });
    if let Some(effect) = request.optional_number("effect")? {
        let half = normal::isf(request.alpha()?.get() / 2.0) * se_total;
        let p = (se_total > 0.0).then(|| normal::two_sided(effect / se_total));
        result["ci"] = interval(Interval { lo: effect - half, hi: effect + half });
        result["p_value"] = optional(p);
    }
    Ok(result)
}
