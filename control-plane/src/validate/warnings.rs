//! What is doubtful about an experiment that is about to start. Warnings are acknowledged, not forbidden.
//!
//! Each warning needs evidence: what is not known (no expected traffic, no earlier report) raises none,
//! except that a planned effect without any baseline is itself the warning `no_baseline`.

use crate::definition::{ExperimentDefinition, LifecycleStatus, MetricDefinition, Targeting};
use crate::error::Warning;
use crate::power::required_units;
use crate::store::EnvironmentSnapshot;
use analysis::report::{MetricStatus, Report};
use eval_core::source::{Condition, Literal};
use std::collections::{BTreeMap, BTreeSet};

/// Shortest run that sees every day of a week.
const WEEK_DAYS: u32 = 7;

/// What earlier reports of the project's experiments say about a metric.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Observed {
    /// Value of the control at the latest report.
    pub(crate) baseline: Option<f64>,
    /// Standard deviation between its units.
    pub(crate) std_dev: Option<f64>,
    /// Whether units were seen but none of them had an event.
    pub(crate) silent: bool,
}

/// What the latest reports of an environment, newest first, say about each metric.
pub(crate) fn observed(reports: &[Report]) -> BTreeMap<String, Observed> {
    let mut observed = BTreeMap::new();
    for metric in reports.iter().flat_map(|report| &report.metrics) {
        let n_units: u64 = metric.variants.iter().map(|variant| variant.n).sum();
        if n_units == 0 || metric.status != MetricStatus::Computed {
            continue;
        }
        let control = metric.variants.iter().find(|variant| variant.comparison.is_none());
        // A mean or share of exactly 0 in every variant: not one event reached one unit.
        let silent = metric.variants.iter().all(|variant| {
            variant.n == 0 || variant.value.is_none_or(|value| value.to_bits() == 0)
        });
        observed.entry(metric.metric.clone()).or_insert(Observed {
            baseline: control.filter(|_| !silent).and_then(|control| control.value),
            std_dev: control.and_then(|control| control.std_dev).filter(|sd| *sd > 0.0),
            silent,
        });
    }
    observed
}

/// Every warning about starting an experiment. `observed` is by metric name.
pub(crate) fn check(
    definition: &ExperimentDefinition,
    snapshot: &EnvironmentSnapshot,
    observed: &BTreeMap<String, Observed>,
) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |code: &str, detail: String| {
        warnings.push(Warning { code: code.to_owned(), detail });
    };
    let primary = definition.primary_metric.as_deref().and_then(|name| {
        snapshot.metrics.iter().map(|metric| &metric.definition).find(|metric| metric.name == name)
    });
    if let (Some(metric), Some(_)) = (primary, definition.min_detectable_effect) {
        let seen = observed.get(&metric.name).copied().unwrap_or_default();
        match required(definition, metric, seen) {
            None => warn(
                "no_baseline",
                format!("no sample size can be planned from what is known of `{}`", metric.name),
            ),
            Some(required) => {
                if let Some((planned, arm)) = smallest_arm(definition, &required) {
                    warn(
                        "underpowered",
                        format!(
                            "variant `{arm}` needs {} units to find the effect with power {}; {planned:.0} are expected",
                            required[&arm], definition.power
                        ),
                    );
                }
            }
        }
    }
    let planned_days = planned_days(definition);
    if let Some(days) = planned_days.filter(|days| *days < f64::from(WEEK_DAYS)) {
        warn("short_duration", format!("{days:.1} days do not cover a whole week"));
    }
    for name in definition.metrics().collect::<BTreeSet<_>>() {
        if observed.get(name).is_some_and(|seen| seen.silent) {
            warn(
                "metric_not_flowing",
                format!("no unit of the latest report has any event of metric `{name}`"),
            );
        }
    }
    for other in &snapshot.experiments {
        let active =
            matches!(other.state.status, LifecycleStatus::Running | LifecycleStatus::Scheduled);
        let other = &other.definition;
        let same_metric = definition.primary_metric.is_some()
            && other.metrics().any(|name| Some(name) == definition.primary_metric.as_deref());
        let excluded = definition.layer.is_some() && definition.layer == other.layer;
        if active
            && other.name != definition.name
            && other.unit == definition.unit
            && same_metric
            && !excluded
            && may_overlap(definition.targeting.as_ref(), other.targeting.as_ref())
        {
            warn(
                "overlapping_audience",
                format!(
                    "experiment `{}` reaches the same units and measures the same metric",
                    other.name
                ),
            );
        }
    }
    warnings
}

/// Units that each variant needs; what the metric does not state is taken from earlier reports.
fn required(
    definition: &ExperimentDefinition,
    metric: &MetricDefinition,
    observed: Observed,
) -> Option<BTreeMap<String, u64>> {
    let mut metric = metric.clone();
    metric.baseline = metric.baseline.or(observed.baseline);
    metric.std_dev = metric.std_dev.or(observed.std_dev);
    required_units(definition, &metric)
}

/// Planned length in days.
pub(crate) fn planned_days(definition: &ExperimentDefinition) -> Option<f64> {
    let window = match (definition.start_at, definition.end_at) {
        (Some(start), Some(end)) => Some(end.duration_since(start).as_secs_f64() / 86_400.0),
        _ => None,
    };
    definition.estimated_duration_days.map(f64::from).or(window)
}

/// The first variant that will have fewer units than it needs, with how many it will have.
fn smallest_arm(
    definition: &ExperimentDefinition,
    required: &BTreeMap<String, u64>,
) -> Option<(f64, String)> {
    let daily = definition.expected_daily_units? as f64;
    let days = planned_days(definition)?;
    let in_experiment = daily * days * definition.traffic.percent() / 100.0;
    definition.variants.iter().find_map(|variant| {
        let planned = in_experiment * variant.weight.percent() / 100.0;
        let needed = required.get(&variant.name)?;
        (planned < *needed as f64).then(|| (planned, variant.name.clone()))
    })
}

/// Whether some unit may fit both; `false` only when one attribute must have different values.
fn may_overlap(a: Option<&Targeting>, b: Option<&Targeting>) -> bool {
    let (Some(a), Some(b)) = (a.and_then(Targeting::condition), b.and_then(Targeting::condition))
    else {
        return true;
    };
    let (a, b) = (required_values(&a), required_values(&b));
    !a.iter().any(|(attribute, values)| {
        b.get(attribute).is_some_and(|others| values.is_disjoint(others))
    })
}

/// Attributes that must have one of some values for a condition to be true.
fn required_values(condition: &Condition) -> BTreeMap<String, BTreeSet<String>> {
    let mut required: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    match condition {
        Condition::All(parts) => {
            for (attribute, values) in parts.iter().flat_map(required_values) {
                required
                    .entry(attribute)
                    .and_modify(|known| known.retain(|value| values.contains(value)))
                    .or_insert(values);
            }
        }
        Condition::Compare { attribute, op, values } if op == "in" || op == "eq" => {
            required.insert(attribute.clone(), values.iter().map(literal_key).collect());
        }
        _ => {}
    }
    required
}

fn literal_key(literal: &Literal) -> String {
    match literal {
        Literal::Bool(value) => format!("bool {value}"),
        Literal::Number(value) => format!("number {value}"),
        Literal::String(value) => format!("string {value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{may_overlap, planned_days};
    use crate::definition::Targeting;
    use serde_json::{Value, json};

    #[test]
    fn audiences_overlap_unless_one_attribute_keeps_them_apart() {
        let targeting = |value: Value| serde_json::from_value::<Targeting>(value).unwrap();
        let us = targeting(json!({ "countries": ["US", "CA"] }));
        let de = targeting(json!({ "attribute": "country", "op": "eq", "values": ["DE"] }));
        let not_us =
            targeting(json!({ "not": { "attribute": "country", "op": "eq", "values": ["US"] } }));
        let canada = targeting(json!({ "all": [
            { "attribute": "country", "op": "in", "values": ["CA", "DE"] },
            { "attribute": "country", "op": "in", "values": ["CA", "FR"] }
        ] }));
        assert!(!may_overlap(Some(&us), Some(&de)));
        assert!(may_overlap(Some(&us), Some(&canada)));
        assert!(!may_overlap(Some(&de), Some(&canada)));
        // What is not understood may overlap.
        assert!(may_overlap(Some(&us), Some(&not_us)));
        assert!(may_overlap(None, Some(&us)));
    }

    #[test]
    fn a_window_is_a_planned_length() {
        let experiment = serde_json::from_value(json!({
            "name": "e", "variants": [],
            "start_at": "2026-01-01T00:00:00Z", "end_at": "2026-01-04T12:00:00Z"
        }))
        .unwrap();
        assert_eq!(planned_days(&experiment), Some(3.5));
    }
}
