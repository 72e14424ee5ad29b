//! The results of an experiment straight from the raw rows, with maps and loops: slow, obvious, and
//! sharing no code with the pipeline.
#![allow(
    unreachable_pub,
    missing_docs,
    clippy::allow_attributes,
    reason = "every test uses another part of this"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap};

use analysis::plan::{Aggregation, MetricKind, Plan, PlannedExperiment, PlannedMetric};

use super::support::{Row, What};

/// Results of one experiment.
#[derive(Debug, Default)]
pub struct Naive {
    pub exposures: BTreeMap<String, u64>,
    pub excluded: u64,
    pub generations: BTreeSet<u64>,
    /// Metric → variant → its numbers.
    pub metrics: BTreeMap<String, BTreeMap<String, Numbers>>,
}

/// What is known of a metric in one variant.
#[derive(Debug, Clone, Copy, Default)]
pub struct Numbers {
    pub value: Option<f64>,
    /// Sample standard deviation over units (of the linearised number, for a ratio).
    pub std_dev: Option<f64>,
}

/// Of rows with the same event id in one environment, kind and unit: the one received first.
fn first_received(rows: &[Row]) -> Vec<&Row> {
    let mut kept: HashMap<(u128, &str, &str, i64, bool), &Row> = HashMap::new();
    for row in rows {
        let exposure = matches!(row.what, What::Exposure { .. });
        let key = (row.event_id, row.env.as_str(), row.unit_type.as_str(), row.unit_hash, exposure);
        let earlier = kept.entry(key).or_insert(row);
        if (row.received, row.ts) < (earlier.received, earlier.ts) {
            *earlier = row;
        }
    }
    kept.into_values().collect()
}

pub fn results(rows: &[Row], plan: &Plan, experiment: &PlannedExperiment) -> Naive {
    let rows: Vec<&Row> = first_received(rows)
        .into_iter()
        .filter(|row| row.env == plan.environment && row.unit_type == experiment.unit_type)
        .collect();
    let known = |variant: &str| experiment.variants.iter().any(|known| known.variant == variant);
    let mut naive = Naive::default();
    let mut seen: BTreeMap<i64, (i64, BTreeSet<&str>)> = BTreeMap::new();
    for row in &rows {
        let What::Exposure { experiment: name, variant, generation } = &row.what else { continue };
        let in_phase = experiment.phase <= 1
            || match generation {
                Some(generation) => *generation >= experiment.phase_generation.cast_signed(),
                None => experiment.phase_started_at.is_none_or(|at| row.ts >= at.as_microsecond()),
            };
        if *name != experiment.experiment || !in_phase || !known(variant) {
            continue;
        }
        naive.generations.extend(generation.map(i64::cast_unsigned));
        let entry = seen.entry(row.unit_hash).or_insert((row.ts, BTreeSet::new()));
        entry.0 = entry.0.min(row.ts);
        entry.1.insert(variant);
    }
    naive.excluded = seen.values().filter(|(_, variants)| variants.len() > 1).count() as u64;
    seen.retain(|_, (_, variants)| variants.len() == 1);
    for variant in &experiment.variants {
        let name = variant.variant.as_str();
        let units: Vec<(i64, i64)> = seen
            .iter()
            .filter(|(_, (_, variants))| variants.contains(name))
            .map(|(unit, (first, _))| (*unit, *first))
            .collect();
        naive.exposures.insert(name.to_owned(), units.len() as u64);
        for metric in &experiment.metrics {
            let numbers = numbers(&rows, &units, metric);
            naive
                .metrics
                .entry(metric.metric.clone())
                .or_default()
                .insert(name.to_owned(), numbers);
        }
    }
    naive
}

/// Values of a unit's events of one name, in the metric's window after the first exposure.
fn values(rows: &[&Row], unit: (i64, i64), metric: &PlannedMetric, event: &str) -> Vec<f64> {
    let (hash, first) = unit;
    let end = metric.window_ms.map_or(i64::MAX, |window| first + window * 1000);
    rows.iter()
        .filter(|row| row.unit_hash == hash && row.ts >= first && row.ts < end)
        .filter_map(|row| match &row.what {
            What::Metric { name, value } if name == event => Some(value.unwrap_or(0.0)),
            _ => None,
        })
        .collect()
}

fn numbers(rows: &[&Row], units: &[(i64, i64)], metric: &PlannedMetric) -> Numbers {
    let per_unit = |event: &str, number: &dyn Fn(&[f64]) -> f64| -> Vec<f64> {
        units.iter().map(|unit| number(&values(rows, *unit, metric, event))).collect()
    };
    let sum = |values: &[f64]| values.iter().sum::<f64>();
    match &metric.kind {
        MetricKind::Proportion { event } => {
            spread(&per_unit(event, &|values| f64::from(u8::from(!values.is_empty()))))
        }
        MetricKind::Mean { event } => {
            let cap = metric.cap.unwrap_or(f64::INFINITY);
            spread(&per_unit(event, &|values| sum(values).min(cap)))
        }
        MetricKind::Ratio { numerator, denominator } => {
            let part = |part: &analysis::plan::RatioPart| match part.aggregation {
                Aggregation::Count => per_unit(&part.event, &|values| values.len() as f64),
                Aggregation::Sum => per_unit(&part.event, &sum),
            };
            let (y, d) = (part(numerator), part(denominator));
            let (total_y, total_d) = (sum(&y), sum(&d));
            if total_d == 0.0 {
                return Numbers::default();
            }
            let ratio = total_y / total_d;
            let mean_d = total_d / d.len() as f64;
            // Variance of the residuals: the delta method written another way.
            let linear: Vec<f64> =
                y.iter().zip(&d).map(|(y, d)| ratio + (y - ratio * d) / mean_d).collect();
            Numbers { value: Some(ratio), std_dev: spread(&linear).std_dev }
        }
        MetricKind::Quantile { event, quantile } => {
            let mut all: Vec<f64> =
                units.iter().flat_map(|unit| values(rows, *unit, metric, event)).collect();
            if all.is_empty() {
                return Numbers::default();
            }
            all.sort_by(f64::total_cmp);
            let position = (all.len() - 1) as f64 * quantile;
            let below = all.iter().enumerate().rfind(|(i, _)| *i as f64 <= position);
            let above = all.iter().enumerate().find(|(i, _)| *i as f64 >= position);
            let (below, above) = (below.map_or(0.0, |v| *v.1), above.map_or(0.0, |v| *v.1));
            Numbers { value: Some(below + (above - below) * position.fract()), std_dev: None }
        }
    }
}

fn spread(values: &[f64]) -> Numbers {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|y| (y - mean).powi(2)).sum();
    Numbers {
        value: (!values.is_empty()).then_some(mean),
        std_dev: (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt()),
    }
}
