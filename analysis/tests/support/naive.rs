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
    /// Days since 1970 → variant → units.
    pub days: BTreeMap<i64, BTreeMap<String, u64>>,
    /// Metric → variant → its numbers.
    pub metrics: BTreeMap<String, BTreeMap<String, Numbers>>,
}

/// What is known of a metric in one variant.
#[derive(Debug, Clone, Copy, Default)]
pub struct Numbers {
    pub value: Option<f64>,
    /// Sample standard deviation over units (of the linearised number, for a ratio).
    pub std_dev: Option<f64>,
    /// Units whose window has closed; all of them without a window.
    pub settled: Spread,
    /// Stratum of units with events before their exposure: metric, covariate.
    pub known: [Spread; 2],
    /// Σ (y − ȳ)(x − x̄) over these.
    pub product: f64,
    /// The metric of the other units.
    pub unknown: Spread,
}

/// Count, mean, squared deviations.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spread {
    pub n: f64,
    pub mean: f64,
    pub squares: f64,
}

impl Spread {
    fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n.max(1.0);
        Self { n, mean, squares: values.iter().map(|y| (y - mean).powi(2)).sum() }
    }

    pub fn variance(&self) -> f64 {
        self.squares / (self.n - 1.0)
    }
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
    let settled_at = rows.iter().map(|row| row.received).max().unwrap_or(i64::MIN);
    let rows: Vec<&Row> = first_received(rows)
        .into_iter()
        .filter(|row| row.env == plan.environment && row.unit_type == experiment.unit_type)
        .collect();
    let known = |variant: &str| experiment.variants.iter().any(|known| known.variant == variant);
    let mut naive = Naive::default();
    let mut seen: BTreeMap<i64, (i64, BTreeSet<&str>)> = BTreeMap::new();
    let mut ever: BTreeMap<i64, i64> = BTreeMap::new();
    for row in &rows {
        let What::Exposure { experiment: name, variant, generation } = &row.what else { continue };
        let in_phase = experiment.phase <= 1
            || match generation {
                Some(generation) => *generation >= experiment.phase_generation.cast_signed(),
                None => experiment.phase_started_at.is_none_or(|at| row.ts >= at.as_microsecond()),
            };
        if *name == experiment.experiment {
            let first = ever.entry(row.unit_hash).or_insert(row.ts);
            *first = row.ts.min(*first);
        }
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
        for (_, first) in &units {
            let day = naive.days.entry(first.div_euclid(86_400_000_000)).or_default();
            *day.entry(name.to_owned()).or_default() += 1;
        }
        for metric in &experiment.metrics {
            let mut numbers = numbers(&rows, &units, metric);
            let settled: Vec<(i64, i64)> = units
                .iter()
                .filter(|(_, first)| {
                    metric.window_ms.is_none_or(|window| first + window * 1000 <= settled_at)
                })
                .copied()
                .collect();
            if let Some(values) = unit_numbers(&rows, &settled, metric) {
                numbers.settled = Spread::of(&values);
            }
            strata(&rows, &units, &ever, experiment, metric, &mut numbers);
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

/// Times and names of a unit's events in the metric's window after the first exposure, in order.
fn moments<'r>(
    rows: &[&'r Row],
    (hash, first): (i64, i64),
    metric: &PlannedMetric,
) -> Vec<(i64, &'r str)> {
    let end = metric.window_ms.map_or(i64::MAX, |window| first + window * 1000);
    let mut events: Vec<(i64, &str)> = rows
        .iter()
        .filter(|row| row.unit_hash == hash && row.ts >= first && row.ts < end)
        .filter_map(|row| match &row.what {
            What::Metric { name, .. } => Some((row.ts, name.as_str())),
            What::Exposure { .. } => None,
        })
        .collect();
    events.sort_unstable();
    events
}

/// Steps of a funnel that a unit took in order.
pub fn steps_taken(rows: &[&Row], unit: (i64, i64), metric: &PlannedMetric) -> usize {
    let MetricKind::Funnel { steps } = &metric.kind else { return 0 };
    let events = moments(rows, unit, metric);
    let mut earliest = i64::MIN;
    for (taken, step) in steps.iter().enumerate() {
        match events.iter().find(|(ts, name)| name == step && *ts >= earliest) {
            Some((ts, _)) => earliest = *ts,
            None => return taken,
        }
    }
    steps.len()
}

/// One number for each unit; none for kinds that have none.
fn unit_numbers(rows: &[&Row], units: &[(i64, i64)], metric: &PlannedMetric) -> Option<Vec<f64>> {
    let per_unit = |event: &str, number: &dyn Fn(&[f64]) -> f64| -> Vec<f64> {
        units.iter().map(|unit| number(&values(rows, *unit, metric, event))).collect()
    };
    let cap = metric.cap.unwrap_or(f64::INFINITY);
    let flag = |is: bool| f64::from(u8::from(is));
    Some(match &metric.kind {
        MetricKind::Proportion { event } => per_unit(event, &|values| flag(!values.is_empty())),
        MetricKind::Mean { event } | MetricKind::Sum { event } => {
            per_unit(event, &|values| values.iter().sum::<f64>().min(cap))
        }
        MetricKind::Count { event } => per_unit(event, &|values| (values.len() as f64).min(cap)),
        MetricKind::Retention { event, after_ms } => units
            .iter()
            .map(|unit| {
                let from = unit.1 + after_ms * 1000;
                let events = moments(rows, *unit, metric);
                flag(events.iter().any(|(ts, name)| name == event && *ts >= from))
            })
            .collect(),
        MetricKind::Funnel { steps } => {
            units.iter().map(|unit| flag(steps_taken(rows, *unit, metric) == steps.len())).collect()
        }
        MetricKind::Ratio { .. } | MetricKind::Quantile { .. } => return None,
    })
}

/// What was known of the units before their exposure.
fn strata(
    rows: &[&Row],
    units: &[(i64, i64)],
    ever: &BTreeMap<i64, i64>,
    experiment: &PlannedExperiment,
    metric: &PlannedMetric,
    numbers: &mut Numbers,
) {
    let asked = ["purchase", "click", "view"];
    let cap = metric.cap.unwrap_or(f64::INFINITY);
    let (mut known, mut covariates, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for unit in units {
        let Some(y) = unit_numbers(rows, &[*unit], metric) else { return };
        let end = ever[&unit.0];
        let before: Vec<(&str, f64)> = rows
            .iter()
            .filter(|row| row.unit_hash == unit.0 && row.ts < end)
            .filter(|row| row.ts >= end - experiment.covariate_lookback_ms * 1000)
            .filter_map(|row| match &row.what {
                What::Metric { name, value } if asked.contains(&name.as_str()) => {
                    Some((name.as_str(), value.unwrap_or(0.0)))
                }
                _ => None,
            })
            .collect();
        if before.is_empty() {
            unknown.extend(y);
            continue;
        }
        let of = |event: &str| -> Vec<f64> {
            let own = before.iter().filter(|(name, _)| *name == event);
            own.map(|(_, value)| *value).collect()
        };
        covariates.push(match &metric.kind {
            MetricKind::Proportion { event } => f64::from(u8::from(!of(event).is_empty())),
            MetricKind::Mean { event } | MetricKind::Sum { event } => {
                of(event).iter().sum::<f64>().min(cap)
            }
            MetricKind::Count { event } => (of(event).len() as f64).min(cap),
            _ => return,
        });
        known.extend(y);
    }
    numbers.known = [Spread::of(&known), Spread::of(&covariates)];
    numbers.product = known
        .iter()
        .zip(&covariates)
        .map(|(y, x)| (y - numbers.known[0].mean) * (x - numbers.known[1].mean))
        .sum();
    numbers.unknown = Spread::of(&unknown);
}

fn numbers(rows: &[&Row], units: &[(i64, i64)], metric: &PlannedMetric) -> Numbers {
    if let Some(values) = unit_numbers(rows, units, metric) {
        return spread(&values);
    }
    let per_unit = |event: &str, number: &dyn Fn(&[f64]) -> f64| -> Vec<f64> {
        units.iter().map(|unit| number(&values(rows, *unit, metric, event))).collect()
    };
    let sum = |values: &[f64]| values.iter().sum::<f64>();
    match &metric.kind {
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
            Numbers { value: Some(ratio), std_dev: spread(&linear).std_dev, ..Numbers::default() }
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
            Numbers {
                value: Some(below + (above - below) * position.fract()),
                ..Numbers::default()
            }
        }
        _ => Numbers::default(),
    }
}

fn spread(values: &[f64]) -> Numbers {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|y| (y - mean).powi(2)).sum();
    Numbers {
        value: (!values.is_empty()).then_some(mean),
        std_dev: (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt()),
        ..Numbers::default()
    }
}
