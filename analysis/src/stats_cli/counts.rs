//! Requests about group sizes and families of p-values.

use serde_json::{Value, json};

use super::Method;
use super::answer::{number, optional, status};
use super::request::{Request, RequestError};
use crate::methods::multiplicity::{Correction, adjust};
use crate::methods::srm::{self, CONCENTRATION};

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "srm",
        fields: "counts[] weights[] threshold?",
        about: "Do group sizes fit the planned split? Pearson's chi-squared over variants with positive\n\
            weight; a unit where the weight is zero is a mismatch at once. threshold defaults to 0.01.\n\
            Valid for one look; srm_sequential may be looked at as often as one likes.",
        compute: |request| {
            let (counts, weights) = split(request)?;
            let threshold = request
                .number_or("threshold", 0.01, "between 0 and 1", |p| (0.0..=1.0).contains(&p))?;
            Ok(match srm::srm(&counts, &weights) {
                Ok(test) => json!({
                    "statistic": number(test.statistic), "df": test.df,
                    "p_value": number(test.p_value), "mismatch": test.p_value < threshold,
                }),
                Err(error) => json!({
                    "statistic": null, "df": null, "p_value": null, "mismatch": null,
                    "status": status(error),
                }),
            })
        },
    },
    Method {
        name: "srm_sequential",
        fields: "counts[] weights[] concentration?",
        about: "The always-valid sample-ratio check: Bayes factor of a Dirichlet(k w) mixture against\n\
            the plan, p = min(1, 1/BF). concentration k defaults to 100.\n\
            Reference: Lindon & Malek (2022); savvi Multinomial.",
        compute: |request| {
            let (counts, weights) = split(request)?;
            mixture(request, &counts, &weights)
        },
    },
    Method {
        name: "conversion_sequential",
        fields: "control{successes} treatment{successes} weights[] concentration?",
        about: "Anytime-valid test of conversions: do the converters split as the units were planned to?\n\
            Exact for Bernoulli and Poisson outcomes. concentration k defaults to 100.\n\
            Reference: Lindon & Malek (2022).",
        compute: |request| {
            let count = |arm: &str| request.object(arm)?.count("successes");
            let counts = [count("control")?, count("treatment")?];
            let weights = weights(request, counts.len())?;
            mixture(request, &counts, &weights)
        },
    },
    Method {
        name: "multiple_testing",
        fields: "p_values[] correction: bonferroni | sidak | holm | hochberg | benjamini_hochberg | \
                 benjamini_yekutieli alpha?",
        about: "Adjusted p-values; a null one stays null and is not counted.\n\
            Reference: statsmodels multipletests.",
        compute: multiple_testing,
    },
];

fn split(request: &Request<'_>) -> Result<(Vec<u64>, Vec<f64>), RequestError> {
    let counts = request.counts("counts")?;
    if counts.is_empty() {
        return Err(request.refuse("counts", "a list with at least one count"));
    }
    let weights = weights(request, counts.len())?;
    Ok((counts, weights))
}

fn weights(request: &Request<'_>, len: usize) -> Result<Vec<f64>, RequestError> {
    let weights = request.numbers("weights")?;
    let total: f64 = weights.iter().sum();
    if weights.len() != len || weights.iter().any(|w| *w < 0.0) || total <= 0.0 {
        let rule = format!("{len} numbers of at least 0, not all 0");
        return Err(request.refuse("weights", rule));
    }
    Ok(weights)
}

fn mixture(request: &Request<'_>, counts: &[u64], weights: &[f64]) -> Result<Value, RequestError> {
    let k = request.number_or("concentration", CONCENTRATION, "above 0", |k| k > 0.0)?;
    Ok(match srm::srm_sequential(counts, weights, k) {
        Ok(test) => json!({
            "log_bayes_factor": number(test.log_bayes_factor), "p_value": number(test.p_value),
        }),
        Err(error) => json!({"log_bayes_factor": null, "p_value": null, "status": status(error)}),
    })
}

fn multiple_testing(request: &Request<'_>) -> Result<Value, RequestError> {
    let rule = "a list of numbers between 0 and 1, or null";
    let p_values = request.list("p_values", rule, |value| {
        if value.is_null() {
            return Some(None);
        }
        value.as_f64().filter(|p| (0.0..=1.0).contains(p)).map(Some)
    })?;
    let alpha = request.alpha()?.get();
    let corrections =
        ["bonferroni", "sidak", "holm", "hochberg", "benjamini_hochberg", "benjamini_yekutieli"];
    let correction = match request.choice("correction", &corrections)? {
        "sidak" => Correction::Sidak,
        "holm" => Correction::Holm,
        "hochberg" => Correction::Hochberg,
        "benjamini_hochberg" => Correction::BenjaminiHochberg,
        "benjamini_yekutieli" => Correction::BenjaminiYekutieli,
        _ => Correction::Bonferroni,
    };
    let adjusted = adjust(&p_values, correction);
    let rejected: Vec<Option<bool>> = adjusted.iter().map(|p| p.map(|p| p <= alpha)).collect();
    let adjusted: Vec<Value> = adjusted.into_iter().map(optional).collect();
    Ok(json!({"adjusted": adjusted, "rejected": rejected}))
}
