//! Requests about quantiles.

use serde_json::{Value, json};

use super::Method;
use super::answer::{interval, number, optional, undefined};
use super::request::{Request, RequestError};
use crate::methods::quantile::{QuantileEstimate, compare, type_7};
use crate::methods::quantile_ranks::{self, ClusterSums, Ranks};
use crate::methods::{Interval, MethodError, quantile_bootstrap, quantile_sketch};
use crate::stats::{MOST_BUCKETS, QuantileSketch};

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "quantile",
        fields: "values[] q",
        about: "Type-7 quantile: linear between order statistics. Reference: numpy quantile.",
        compute: |request| {
            let mut values = sample(request, "values")?;
            let q = request.number_where("q", "between 0 and 1", |q| (0.0..=1.0).contains(&q))?;
            Ok(json!({"estimate": number(type_7(&mut values, q))}))
        },
    },
    Method {
        name: "quantile_ci",
        fields: "values[] q alpha? interval: order_statistic | normal",
        about: "Distribution-free interval of a quantile of independent values.\n\
            order_statistic: ranks from the binomial law; normal: n q -+ z sqrt(n q (1 - q)), rounded\n\
            outwards. A side that no value bounds is null. Reference: Thompson (1936); scipy\n\
            quantile_test(...).confidence_interval.",
        compute: ranked,
    },
    Method {
        name: "quantile_test",
        fields: "q control{n, estimate, ci95[lo, hi]} treatment{n, estimate, ci95} alpha?",
        about: "Difference of two quantiles from their 95 % order-statistic intervals.\n\
            se = (U - L)/(2 z) in each arm; normal. Undefined when n <= z^2 max(q, 1 - q)/min(q, 1 - q).\n\
            lift_ci by Fieller. Reference: Deng, Knoblich, Lu (2018); gbstats QuantileStatistic.",
        compute: difference,
    },
    Method {
        name: "quantile_clustered_variance",
        fields: "q n_events n_clusters ci95[lo, hi] sum_below sum_below_sq sum_events sum_events_sq sum_cross",
        about: "Standard error of a quantile of events that are clustered by unit: (U - L)/(2 z) times\n\
            sqrt(v_cluster/(q (1 - q)/n)), v_cluster that of sum below/sum events over units.\n\
            Reference: Deng, Knoblich, Lu (2018), section 4.2; gbstats QuantileClusteredStatistic.",
        compute: clustered,
    },
    Method {
        name: "quantile_bootstrap",
        fields: "q control{values} treatment{values} alpha?",
        about: "Interval of the difference of two quantiles by the bootstrap without resampling: the\n\
            rank of a resampled quantile is Binomial(n + 1, q). Deterministic.\n\
            Reference: Schultzberg & Ankargren (2022).",
        compute: bootstrap,
    },
    Method {
        name: "quantile_sketch",
        fields: "chunks[[y]] q buckets? alpha?",
        about: "A quantile from merged histograms of the chunks. The interval runs to the outer edges of\n\
            the buckets of its ranks; rank_error is the share of values in the estimate's bucket.\n\
            Exact up to `buckets` (default 8192) distinct values, and the same for any order or split.",
        compute: sketched,
    },
];

fn sample(request: &Request<'_>, field: &str) -> Result<Vec<f64>, RequestError> {
    let values = request.numbers(field)?;
    if values.is_empty() {
        return Err(request.refuse(field, "a list with at least one number"));
    }
    Ok(values)
}

fn level(request: &Request<'_>) -> Result<f64, RequestError> {
    request.number_where("q", "strictly between 0 and 1", |q| q > 0.0 && q < 1.0)
}

fn ci95(request: &Request<'_>) -> Result<Interval, RequestError> {
    let bounds = request.numbers("ci95")?;
    match bounds[..] {
        [lo, hi] if lo <= hi => Ok(Interval { lo, hi }),
        _ => Err(request.refuse("ci95", "two numbers, the lower one first")),
    }
}

fn bounds((lo, hi): (Option<f64>, Option<f64>)) -> Value {
    json!([optional(lo), optional(hi)])
}

fn ranked(request: &Request<'_>) -> Result<Value, RequestError> {
    let mut values = sample(request, "values")?;
    let q = level(request)?;
    let ranks = match request.choice("interval", &["order_statistic", "normal"])? {
        "normal" => Ranks::Normal,
        _ => Ranks::Exact,
    };
    values.sort_by(f64::total_cmp);
    let ci = quantile_ranks::interval(&values, q, request.alpha()?, ranks);
    let mut result = json!({"estimate": number(type_7(&mut values, q)), "ci": bounds(ci)});
    if ci.0.is_none() || ci.1.is_none() {
        result["status"] = json!(MethodError::TooFewUnits.code());
    }
    Ok(result)
}

fn arm(request: &Request<'_>, name: &str, q: f64) -> Result<QuantileEstimate, RequestError> {
    let arm = request.object(name)?;
    let (n, value) = (arm.count("n")?, arm.number("estimate")?);
    Ok(quantile_ranks::from_interval(n, q, value, ci95(&arm)?))
}

fn difference(request: &Request<'_>) -> Result<Value, RequestError> {
    let q = level(request)?;
    let (control, treatment) = (arm(request, "control", q)?, arm(request, "treatment", q)?);
    let fields = ["se", "statistic", "p_value", "ci", "lift", "lift_ci"];
    Ok(match compare(&control, &treatment, request.alpha()?) {
        Ok(found) => json!({
            "effect": number(found.effect), "se": number(found.se),
            "statistic": number(found.statistic), "p_value": number(found.p_value),
            "ci": interval(found.ci),
            "lift": if control.value == 0.0 { Value::Null } else { number(found.effect / control.value.abs()) },
            "lift_ci": found.lift_ci.map_or(Value::Null, interval),
        }),
        Err(error) => {
            let mut result = undefined(&fields, error);
            result["effect"] = number(treatment.value - control.value);
            result
        }
    })
}

fn clustered(request: &Request<'_>) -> Result<Value, RequestError> {
    let q = level(request)?;
    let sum = |field| request.number_where(field, "at least 0", |sum| sum >= 0.0);
    let clusters = ClusterSums {
        n_clusters: request.count("n_clusters")?,
        below: sum("sum_below")?,
        below_squared: sum("sum_below_sq")?,
        events: sum("sum_events")?,
        events_squared: sum("sum_events_sq")?,
        cross: sum("sum_cross")?,
    };
    if clusters.below > clusters.events {
        return Err(request.refuse("sum_below", "at most sum_events"));
    }
    let ci95 = ci95(request)?;
    Ok(match quantile_ranks::clustered_se(request.count("n_events")?, q, ci95, &clusters) {
        Ok(se) => json!({"se": number(se)}),
        Err(error) => undefined(&["se"], error),
    })
}

fn bootstrap(request: &Request<'_>) -> Result<Value, RequestError> {
    let q = level(request)?;
    let of = |name| {
        let mut values = sample(&request.object(name)?, "values")?;
        values.sort_by(f64::total_cmp);
        Ok(values)
    };
    let (mut control, mut treatment) = (of("control")?, of("treatment")?);
    let ci = quantile_bootstrap::difference(&control, &treatment, q, request.alpha()?);
    let effect = type_7(&mut treatment, q) - type_7(&mut control, q);
    Ok(match ci {
        Ok(ci) => json!({"effect": number(effect), "ci": interval(ci)}),
        Err(error) => {
            let mut result = undefined(&["ci"], error);
            result["effect"] = number(effect);
            result
        }
    })
}

fn sketched(request: &Request<'_>) -> Result<Value, RequestError> {
    let q = level(request)?;
    let rule = "a list of lists of finite numbers";
    let chunks = request.list("chunks", rule, |chunk| {
        let finite = |value: &Value| value.as_f64().filter(|number| number.is_finite());
        chunk.as_array()?.iter().map(finite).collect::<Option<Vec<f64>>>()
    })?;
    let most =
        request.get("buckets").map_or(Ok(MOST_BUCKETS as u64), |_| request.count("buckets"))?;
    let most = usize::try_from(most)
        .ok()
        .filter(|most| (16..=1 << 20).contains(most))
        .ok_or_else(|| request.refuse("buckets", "between 16 and 1048576"))?;
    let sketch = chunks
        .iter()
        .map(|chunk| QuantileSketch::of(chunk, most))
        .fold(QuantileSketch::new(most), QuantileSketch::merge);
    let alpha = request.alpha()?;
    Ok(match quantile_sketch::estimate(&sketch, q, 1.0, alpha) {
        Some(found) => json!({
            "n": sketch.n(), "estimate": number(found.estimate.value),
            "bucket": [number(found.bucket.0), number(found.bucket.1)],
            "rank_error": number(found.rank_error), "ci": bounds(found.ci),
            "se": optional(found.estimate.se.ok()), "exact": sketch.is_exact(),
        }),
        None => {
            undefined(&["estimate", "bucket", "rank_error", "ci", "se"], MethodError::TooFewUnits)
        }
    })
}
