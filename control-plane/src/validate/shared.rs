//! What a project's environments share: layers, holdouts, segments, metrics.

use super::graph::Walk;
use super::{condition, salts};
use crate::definition::targeting::segments_of;
use crate::definition::{
    HoldoutDefinition, LayerDefinition, MetricDefinition, MetricKind, SegmentDefinition,
};
use crate::error::Problems;
use crate::store::{EnvironmentSnapshot, Versioned};
use eval_core::MAX_CONDITION_DEPTH;
use std::collections::BTreeMap;

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
    let fields = [
        ("/event", definition.event.is_some(), !ratio, !ratio),
        ("/numerator", definition.numerator.is_some(), ratio, ratio),
        ("/denominator", definition.denominator.is_some(), ratio, ratio),
        (
            "/quantile",
            definition.quantile.is_some(),
            kind == MetricKind::Quantile,
            kind == MetricKind::Quantile,
        ),
        ("/cap", definition.cap.is_some(), false, kind == MetricKind::Mean),
        ("/std_dev", definition.std_dev.is_some(), false, kind == MetricKind::Mean),
    ];
    for (pointer, given, required, possible) in fields {
        if required && !given {
            problems.push(pointer, "required", "is missing for this kind of metric");
        }
        if given && !possible {
            problems.push(pointer, "not_applicable", "does not belong to this kind of metric");
        }
    }
    if let (MetricKind::Proportion, Some(baseline)) = (kind, definition.baseline)
        && !(0.0..=1.0).contains(&baseline)
    {
        problems.push("/baseline", "out_of_range", "a proportion lies between 0 and 1");
    }
    problems
}
