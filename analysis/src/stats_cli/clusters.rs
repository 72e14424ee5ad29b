//! Requests about clusters of units and about time buckets.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Method;
use super::answer::{ESTIMATE, estimate, interval, number, optional, undefined};
use super::request::{Request, RequestError};
use crate::methods::cluster::{FEW_CLUSTERS, cluster_delta, cluster_robust, mean_of_units};
use crate::methods::switchback::{Bucket, after_burn_in, arm, switchback_hac, switchback_welch};
use crate::methods::switchback_randomisation::randomisation_test;
use crate::methods::{Alpha, Alternative, Estimate, MethodError};
use crate::stats::CoMoments;

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "cluster_robust",
        fields: "cluster[] treatment[0 | 1] values[] alpha? alternative?",
        about: "Treatment's coefficient in y ~ 1 + treatment with cluster-robust errors (CR1):\n\
            G/(G-1) (N-1)/(N-2) sum of squared cluster residual sums; t with G - 1 df. A cluster must\n\
            have units of one arm only. few_clusters: below 20.\n\
            Reference: Liang & Zeger (1986); statsmodels OLS cov_type=\"cluster\", use_t=True.",
        compute: |request| compare(request, cluster_robust),
    },
    Method {
        name: "cluster_delta",
        fields: "cluster[] treatment[0 | 1] values[] alpha? alternative?",
        about: "Ratio of cluster totals, sum over count, by the delta method: welch_t over clusters.\n\
            A cluster must have units of one arm only. few_clusters: below 20.\n\
            Reference: Deng, Knoblich, Lu (2018); tea-tasting RatioOfMeans.",
        compute: |request| compare(request, cluster_delta),
    },
    Method {
        name: "switchback_welch",
        fields: "values[] treatment[0 | 1] burn_in? alpha? alternative?",
        about: "welch_t over the means of time buckets, in order; burn_in buckets after each switch are\n\
            left out.",
        compute: |request| {
            let buckets = buckets(request)?;
            let (alpha, alternative) = (request.alpha()?, request.alternative()?);
            let mut result = match switchback_welch(&buckets, alpha, alternative) {
                Ok(found) => estimate(&found),
                Err(error) => undefined(ESTIMATE, error),
            };
            result["n_buckets"] = json!(buckets.len());
            Ok(result)
        },
    },
    Method {
        name: "switchback_hac",
        fields: "values[] treatment[0 | 1] max_lags? burn_in? alpha? alternative?",
        about: "Treatment's coefficient in y ~ 1 + treatment over time buckets, with errors robust to\n\
            autocorrelation (Newey-West, Bartlett weights, no small-sample factor); normal.\n\
            max_lags defaults to floor(1.3 sqrt(T)).\n\
            Reference: statsmodels OLS cov_type=\"HAC\", use_correction=False.",
        compute: robust,
    },
    Method {
        name: "switchback_randomisation",
        fields: "values[] treatment[0 | 1] burn_in? seed? alternative?",
        about: "How often would another schedule with as many treated buckets have shown a difference as\n\
            large? All schedules up to 200 000, else 20 000 drawn from the seed (default 0).\n\
            Reference: Fisher (1935); scipy permutation_test.",
        compute: |request| {
            let buckets = buckets(request)?;
            let seed = request.get("seed").map_or(Ok(0), |_| request.count("seed"))?;
            Ok(match randomisation_test(&buckets, request.alternative()?, seed) {
                Ok(test) => json!({
                    "effect": number(test.effect), "p_value": number(test.p_value),
                    "schedules": test.schedules, "exact": test.exact,
                }),
                Err(error) => undefined(&["effect", "p_value"], error),
            })
        },
    },
];

/// A list of arms, as long as the values.
fn arms(request: &Request<'_>, n: usize) -> Result<Vec<bool>, RequestError> {
    let rule = "a list of 0 and 1, as long as values";
    let arms = request.list("treatment", rule, |value| {
        let number = value.as_f64().or_else(|| value.as_bool().map(|b| f64::from(u8::from(b))))?;
        (number == 0.0 || (number - 1.0).abs() < f64::EPSILON).then_some(number > 0.5)
    })?;
    if arms.len() == n { Ok(arms) } else { Err(request.refuse("treatment", rule)) }
}

type Test = fn(&CoMoments, &CoMoments, Alpha, Alternative) -> Result<Estimate, MethodError>;

fn compare(request: &Request<'_>, test: Test) -> Result<Value, RequestError> {
    let values = request.numbers("values")?;
    let treated = arms(request, values.len())?;
    let rule = "a list of names or numbers, as long as values";
    let names = request.list("cluster", rule, |name| {
        (name.is_string() || name.is_number()).then(|| name.to_string())
    })?;
    if names.len() != values.len() {
        return Err(request.refuse("cluster", rule));
    }
    // Sum and number of units of each cluster, in a fixed order.
    let mut clusters: BTreeMap<&str, (bool, f64, f64)> = BTreeMap::new();
    for ((name, treated), value) in names.iter().zip(&treated).zip(&values) {
        let cluster = clusters.entry(name).or_insert((*treated, 0.0, 0.0));
        if cluster.0 != *treated {
            let rule = format!("of one arm only for each cluster; {name} has units of both");
            return Err(request.refuse("treatment", rule));
        }
        cluster.1 += value;
        cluster.2 += 1.0;
    }
    let of = |arm: bool| {
        let own = || clusters.values().filter(move |cluster| cluster.0 == arm);
        let sums: Vec<f64> = own().map(|cluster| cluster.1).collect();
        let counts: Vec<f64> = own().map(|cluster| cluster.2).collect();
        CoMoments::of(&sums, &counts)
    };
    let (control, treatment) = (of(false), of(true));
    let (alpha, alternative) = (request.alpha()?, request.alternative()?);
    let mut result = match test(&control, &treatment, alpha, alternative) {
        Ok(found) => estimate(&found),
        Err(error) => {
            let mut result = undefined(ESTIMATE, error);
            let means = mean_of_units(&treatment).zip(mean_of_units(&control));
            result["effect"] = optional(means.map(|(t, c)| t - c));
            result
        }
    };
    result["n_clusters"] = json!(clusters.len());
    result["few_clusters"] = json!((clusters.len() as u64) < FEW_CLUSTERS);
    Ok(result)
}

fn buckets(request: &Request<'_>) -> Result<Vec<Bucket>, RequestError> {
    let values = request.numbers("values")?;
    let treated = arms(request, values.len())?;
    let burn_in = request.get("burn_in").map_or(Ok(0), |_| request.count("burn_in"))?;
    let buckets: Vec<Bucket> =
        values.into_iter().zip(treated).map(|(value, treated)| Bucket { value, treated }).collect();
    Ok(after_burn_in(&buckets, usize::try_from(burn_in).unwrap_or(usize::MAX)))
}

fn robust(request: &Request<'_>) -> Result<Value, RequestError> {
    let buckets = buckets(request)?;
    let lags = request.get("max_lags").map(|_| request.count("max_lags")).transpose()?;
    let lags = lags.map(|lags| usize::try_from(lags).unwrap_or(usize::MAX));
    let (alpha, alternative) = (request.alpha()?, request.alternative()?);
    Ok(match switchback_hac(&buckets, lags, alpha, alternative) {
        Ok(test) => json!({
            "effect": number(test.effect), "se": number(test.se),
            "statistic": number(test.statistic), "p_value": number(test.p_value),
            "ci": interval(test.ci), "max_lags": test.max_lags, "n_buckets": buckets.len(),
        }),
        Err(error) => {
            let (control, treatment) = (arm(&buckets, false), arm(&buckets, true));
            let mut result = undefined(&["effect", "se", "statistic", "p_value", "ci"], error);
            if control.n() > 0 && treatment.n() > 0 {
                result["effect"] = number(control.mean_difference(&treatment));
            }
            result["n_buckets"] = json!(buckets.len());
            result
        }
    })
}
