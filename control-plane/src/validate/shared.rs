//! What a project's environments share: layers, holdouts, segments, metrics.

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
    for key in segments_of(tree) {
        if by_key.contains_key(key) {
            walk(key, &mut vec![&definition.key], &by_key, &mut problems);
        } else {
            let detail = format!("there is no segment `{key}`");
            problems.push("/condition", "unknown_segment", detail);
        }
    }
    problems
}

fn walk<'s>(
    key: &'s str,
    path: &mut Vec<&'s str>,
    by_key: &BTreeMap<&'s str, &'s SegmentDefinition>,
    problems: &mut Problems,
) {
    if path.contains(&key) {
        let round = path.iter().chain([&key]).copied().collect::<Vec<_>>().join(" → ");
        problems.push("/condition", "cycle", format!("leads back to itself: {round}"));
        return;
    }
    if path.len() > MAX_CONDITION_DEPTH {
        let detail = format!("is the start of a chain of more than {MAX_CONDITION_DEPTH} segments");
        problems.push("/condition", "too_deep", detail);
        return;
    }
    path.push(key);
    let condition = by_key.get(key).and_then(|segment| segment.condition.as_ref());
    for next in condition.map(segments_of).unwrap_or_default() {
        walk(next, path, by_key, problems);
    }
    path.pop();
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
