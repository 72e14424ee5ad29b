//! Requests about several tests at once: combination, selection, and sample ratios broken down.

use serde_json::{Value, json};

use super::Method;
use super::answer::{number, optional, undefined};
use super::request::{Request, RequestError, whole};
use crate::methods::combination::{fisher_combined, stouffer_combined};
use crate::methods::selection::{e_bh, fcr_level};
use crate::methods::srm::{ALERT, CONCENTRATION};
use crate::methods::srm_breakdown::{Phase, by_day, by_segment, over_phases};

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "combine_p_values",
        fields: "p_values[] combination: fisher | stouffer weights[]?",
        about: "One p-value from independent replications. fisher: -2 sum ln p, chi-squared with 2 k df;\n\
            stouffer: sum w z/sqrt(sum w^2). A null one is not counted.\n\
            Reference: scipy combine_pvalues.",
        compute: combine,
    },
    Method {
        name: "e_bh",
        fields: "e_values[] alpha?",
        about: "Which e-values stand: the k largest, k the largest number with e_(k) >= m/(alpha k).\n\
            Valid under any dependence and at any time. A null one is not counted.\n\
            Reference: Wang & Ramdas (2022).",
        compute: |request| {
            let rule = "a list of numbers of at least 0, or null";
            let e_values = request.list("e_values", rule, |value| {
                if value.is_null() {
                    return Some(None);
                }
                if value.as_str() == Some("Infinity") {
                    return Some(Some(f64::INFINITY));
                }
                value.as_f64().filter(|e| *e >= 0.0).map(Some)
            })?;
            Ok(json!({"rejected": e_bh(&e_values, request.alpha()?)}))
        },
    },
    Method {
        name: "fcr_level",
        fields: "p_values[] alpha?",
        about: "Confidence level of the intervals of comparisons that Benjamini-Hochberg selects:\n\
            1 - R alpha/m. A null p-value is not counted.\n\
            Reference: Benjamini & Yekutieli (2005).",
        compute: |request| {
            let level = fcr_level(&p_values(request)?, request.alpha()?);
            Ok(json!({
                "selected": level.selected, "marginal_level": optional(level.marginal_level),
            }))
        },
    },
    Method {
        name: "srm_segments",
        fields: "segments[[count]] weights[] concentration?",
        about: "Sample-ratio check of each segment, at a fixed horizon and always valid, with\n\
            Holm-adjusted p-values; mismatch when the adjusted always-valid one is below 0.01.",
        compute: segments,
    },
    Method {
        name: "srm_phases",
        fields: "phases[]{counts[], weights[]} threshold?",
        about: "One sample-ratio check over phases with different weights (ramps, bandits): the sums of\n\
            observed - expected against their joint variance; chi-squared.",
        compute: phases,
    },
    Method {
        name: "srm_daily",
        fields: "days[[count]] weights[] concentration?",
        about: "Always-valid sample-ratio check after each day, the first day with p < 0.01, and the day\n\
            from which on the counts fit least.",
        compute: daily,
    },
];

fn p_values(request: &Request<'_>) -> Result<Vec<Option<f64>>, RequestError> {
    request.list("p_values", "a list of numbers between 0 and 1, or null", |value| {
        if value.is_null() {
            return Some(None);
        }
        value.as_f64().filter(|p| (0.0..=1.0).contains(p)).map(Some)
    })
}

fn combine(request: &Request<'_>) -> Result<Value, RequestError> {
    let p_values = p_values(request)?;
    let kind = request.choice("combination", &["fisher", "stouffer"])?;
    let weights = if request.get("weights").is_some() {
        let weights = request.numbers("weights")?;
        let sound = weights.len() == p_values.len() && weights.iter().all(|w| *w >= 0.0);
        if !sound || kind != "stouffer" {
            let rule = "numbers of at least 0, as many as p_values, with combination stouffer";
            return Err(request.refuse("weights", rule));
        }
        weights
    } else {
        vec![1.0; p_values.len()]
    };
    let counted = p_values.iter().zip(weights).filter_map(|(p, w)| p.map(|p| (p, w)));
    let (p_values, weights): (Vec<f64>, Vec<f64>) = counted.unzip();
    let combined = match kind {
        "stouffer" => stouffer_combined(&p_values, &weights),
        _ => fisher_combined(&p_values),
    };
    Ok(match combined {
        Ok(found) => {
            json!({"statistic": number(found.statistic), "p_value": number(found.p_value)})
        }
        Err(error) => undefined(&["statistic", "p_value"], error),
    })
}

fn weights(request: &Request<'_>) -> Result<Vec<f64>, RequestError> {
    let weights = request.numbers("weights")?;
    let total: f64 = weights.iter().sum();
    let sound = weights.iter().all(|w| *w >= 0.0) && total > 0.0 && total.is_finite();
    if sound {
        Ok(weights)
    } else {
        Err(request.refuse("weights", "numbers of at least 0, not all 0"))
    }
}

/// A list of lists of counts, each as long as the weights.
fn counts(request: &Request<'_>, field: &str, len: usize) -> Result<Vec<Vec<u64>>, RequestError> {
    let rule = format!("a list of lists of {len} whole numbers of at least 0");
    request.list(field, &rule, |row| {
        let row = row.as_array()?.iter().map(whole).collect::<Option<Vec<u64>>>()?;
        (row.len() == len).then_some(row)
    })
}

fn concentration(request: &Request<'_>) -> Result<f64, RequestError> {
    request.number_or("concentration", CONCENTRATION, "above 0", |k| k > 0.0)
}

fn segments(request: &Request<'_>) -> Result<Value, RequestError> {
    let weights = weights(request)?;
    let segments = counts(request, "segments", weights.len())?;
    let checks = by_segment(&segments, &weights, concentration(request)?);
    let each: Vec<Value> = checks
        .iter()
        .map(|check| {
            let fixed = check.fixed.ok();
            let sequential = check.sequential.ok();
            json!({
                "statistic": optional(fixed.map(|test| test.statistic)),
                "p_value": optional(fixed.map(|test| test.p_value)),
                "p_value_adjusted": optional(check.adjusted[0]),
                "p_value_sequential": optional(sequential.map(|test| test.p_value)),
                "p_value_sequential_adjusted": optional(check.adjusted[1]),
                "mismatch": check.adjusted[1].is_some_and(|p| p < ALERT),
            })
        })
        .collect();
    let any = checks.iter().any(|check| check.adjusted[1].is_some_and(|p| p < ALERT));
    Ok(json!({"segments": each, "mismatch": any}))
}

fn phases(request: &Request<'_>) -> Result<Value, RequestError> {
    let objects = request.objects("phases")?;
    let mut phases = Vec::with_capacity(objects.len());
    for phase in &objects {
        let weights = weights(phase)?;
        let counts = phase.counts("counts")?;
        if counts.len() != weights.len() {
            return Err(phase.refuse("weights", "as long as counts"));
        }
        phases.push(Phase { counts, weights });
    }
    let same = phases.windows(2).all(|pair| pair[0].counts.len() == pair[1].counts.len());
    if phases.is_empty() || !same {
        return Err(request.refuse("phases", "a list of phases with as many variants each"));
    }
    let threshold =
        request.number_or("threshold", 0.01, "between 0 and 1", |p| (0.0..=1.0).contains(&p))?;
    Ok(match over_phases(&phases) {
        Ok(test) => json!({
            "statistic": number(test.statistic), "df": test.df, "p_value": number(test.p_value),
            "mismatch": test.p_value < threshold,
        }),
        Err(error) => undefined(&["statistic", "df", "p_value", "mismatch"], error),
    })
}

fn daily(request: &Request<'_>) -> Result<Value, RequestError> {
    let weights = weights(request)?;
    let days = counts(request, "days", weights.len())?;
    Ok(match by_day(&days, &weights, concentration(request)?) {
        Ok(found) => json!({
            "p_values": found.p_values.into_iter().map(number).collect::<Vec<Value>>(),
            "detected": found.detected, "onset": found.onset,
        }),
        Err(error) => undefined(&["p_values", "detected", "onset"], error),
    })
}
