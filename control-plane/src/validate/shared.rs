//! What a project's environments share: layers, holdouts, segments, metrics.

use super::graph::Walk;
use super::{condition, salts};
use crate::definition::targeting::segments_of;
use crate::definition::{
    HoldoutDefinition, IsoDuration, LayerDefinition, MetricDefinition, MetricKind,
    SegmentDefinition,
};
use crate::error::Problems;
use crate::store::{EnvironmentSnapshot, Versioned};
use eval_core::MAX_CONDITION_DEPTH;
use std::collections::BTreeMap;

/// Longest name of an event in bytes.
const MAX_EVENT_BYTES: usize = 128;

/// Reports everything that is wrong with a layer. `own` is its present name; empty for a new one.
pub(crate) fn check_layer(
    definition: &LayerDefinition,
    own: &str,
    environments: &[EnvironmentSnapshot],
) -> Problems {
    let mut problems = Problems::default();
    if definition.domain_end < definition.domain_start {
        problems.push("/domain_end", "out_of_range", "must not be below domain_start");
    }
    if let Some(salt) = &definition.salt {
        salts::check(salt, &salts::layer_name(own), "/salt", environments, &mut problems);
    }
    problems
}

/// Reports everything that is wrong with a holdout.
pub(crate) fn check_holdout(
    definition: &HoldoutDefinition,
    own: &str,
    environments: &[EnvironmentSnapshot],
) -> Problems {
    let mut problems = Problems::default();
    if definition.size.buckets() == 0 {
        problems.push("/size", "out_of_range", "must be above 0");
    }
    if let Some(salt) = &definition.salt {
        salts::check(salt, &salts::holdout_name(own), "/salt", environments, &mut problems);
    }
    problems
}

/// Reports everything that is wrong with a segment; `segments` are those of the project.
pub(crate) fn check_segment(
    definition: &SegmentDefinition,
    segments: &[Versioned<SegmentDefinition>],
) -> Problems {
    let mut problems = Problems::default();
    if definition.condition.is_none() && definition.include.is_empty() {
        problems.push("/condition", "required", "a segment needs a condition or included units");
    }
    let lists = [("/include", &definition.include), ("/exclude", &definition.exclude)];
    for (pointer, ids) in lists {
        if let Some(index) = ids.iter().position(|id| id.len() > eval_core::bucket::MAX_UNIT_BYTES)
        {
            problems.push(format!("{pointer}/{index}"), "too_long", "a unit id has 1 to 256 bytes");
        }
    }
    let Some(tree) = &definition.condition else { return problems };
    condition::check(tree, "/condition", &mut problems);
    let mut by_key: BTreeMap<&str, &SegmentDefinition> = segments
        .iter()
        .map(|segment| (segment.definition.key.as_str(), &segment.definition))
        .collect();
    by_key.insert(&definition.key, definition);
    let edges = |key: &str| {
        let condition = by_key.get(key).and_then(|segment| segment.condition.as_ref());
        condition.map(segments_of).unwrap_or_default()
    };
    let mut walk = Walk::new(&definition.key, MAX_CONDITION_DEPTH, edges);
    for key in segments_of(tree) {
        if !by_key.contains_key(key) {
            let detail = format!("there is no segment `{key}`");
            problems.push("/condition", "unknown_segment", detail);
        } else if let Err(fault) = walk.follow(key) {
            let (code, detail) = fault.describe(MAX_CONDITION_DEPTH);
            problems.push("/condition", code, detail);
        }
    }
    problems
}

/// Reports everything that is wrong with a metric.
pub(crate) fn check_metric(definition: &MetricDefinition) -> Problems {
    let mut problems = Problems::default();
    let kind = definition.kind;
    let ratio = kind == MetricKind::Ratio;
    let (funnel, retention) = (kind == MetricKind::Funnel, kind == MetricKind::Retention);
    let summed = matches!(kind, MetricKind::Mean | MetricKind::Count | MetricKind::Sum);
    let share = matches!(kind, MetricKind::Proportion | MetricKind::Retention | MetricKind::Funnel);
    let one_event = !ratio && !funnel;
    let fields = [
        ("/event", definition.event.is_some(), one_event, one_event),
        ("/steps", !definition.steps.is_empty(), funnel, funnel),
        ("/after", definition.after.is_some(), retention, retention),
        ("/numerator", definition.numerator.is_some(), ratio, ratio),
        ("/denominator", definition.denominator.is_some(), ratio, ratio),
        (
            "/quantile",
            definition.quantile.is_some(),
            kind == MetricKind::Quantile,
            kind == MetricKind::Quantile,
        ),
        ("/cap", definition.cap.is_some(), false, summed),
        ("/std_dev", definition.std_dev.is_some(), false, summed),
    ];
    for (pointer, given, required, possible) in fields {
        if required && !given {
            problems.push(pointer, "required", "is missing for this kind of metric");
        }
        if given && !possible {
            problems.push(pointer, "not_applicable", "does not belong to this kind of metric");
        }
    }
    check_steps(definition, &mut problems);
    let ends_before = |after: &IsoDuration| {
        definition.window.as_ref().is_some_and(|window| window.millis() <= after.millis())
    };
    if definition.after.as_ref().is_some_and(ends_before) {
        problems.push("/after", "out_of_range", "must be shorter than the window");
    }
    if let (true, Some(baseline)) = (share, definition.baseline)
        && !(0.0..=1.0).contains(&baseline)
    {
        problems.push("/baseline", "out_of_range", "a proportion lies between 0 and 1");
    }
    problems
}

/// The steps of a funnel: names like those of events, two or more, none of them twice.
fn check_steps(definition: &MetricDefinition, problems: &mut Problems) {
    let steps = &definition.steps;
    if definition.kind == MetricKind::Funnel && steps.len() == 1 {
        problems.push("/steps", "too_short", "a funnel has two steps or more");
    }
    for (index, step) in steps.iter().enumerate() {
        let pointer = format!("/steps/{index}");
        if step.is_empty() || step.len() > MAX_EVENT_BYTES {
            problems.push(pointer, "invalid_value", "the name of an event has 1 to 128 bytes");
        } else if steps[..index].contains(step) {
            problems.push(pointer, "duplicate", "is a step already");
        }
    }
}
