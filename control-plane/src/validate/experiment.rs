//! Experiments: what must hold before one is stored, and what may still change after it has started.

use super::{
    check_distinct, check_segments_exist, check_value_size, condition, prerequisites, salts,
};
use crate::definition::{ExperimentDefinition, LifecycleStatus, ServeDefinition, Share, Targeting};
use crate::error::Problems;
use crate::store::{EnvironmentSnapshot, Versioned};

/// Reports everything that is wrong with an experiment. `id` is empty for a new one.
pub(crate) fn check(
    definition: &ExperimentDefinition,
    id: &str,
    snapshot: &EnvironmentSnapshot,
) -> Problems {
    let mut problems = Problems::default();
    check_variants(definition, &mut problems);
    check_space(definition, snapshot, &mut problems);
    check_audience(definition, snapshot, &mut problems);
    check_metrics(definition, snapshot, &mut problems);
    check_times(definition, &mut problems);
    check_key(definition, id, snapshot, &mut problems);
    if let Some(salt) = &definition.salt {
        let own = snapshot
            .experiments
            .iter()
            .find(|experiment| experiment.id == id)
            .map_or(String::new(), |own| salts::experiment_name(&own.definition.name));
        salts::check(salt, &own, "/salt", [snapshot], &mut problems);
    }
    problems
}

fn check_variants(definition: &ExperimentDefinition, problems: &mut Problems) {
    let variants = &definition.variants;
    let sum: u32 = variants.iter().map(|variant| u32::from(variant.weight.buckets())).sum();
    if sum != u32::from(Share::ALL.buckets()) {
        let percent = f64::from(sum) / 100.0;
        problems.push("/variants", "weights_sum", format!("weights sum to {percent}, not to 100"));
    }
    let names = variants.iter().map(|variant| variant.name.as_str());
    check_distinct(names, |index| format!("/variants/{index}/name"), problems);
    let controls = variants.iter().enumerate().filter(|(_, variant)| variant.is_control);
    for (index, _) in controls.skip(1) {
        problems.push(
            format!("/variants/{index}/is_control"),
            "duplicate",
            "only one variant can be the control",
        );
    }
    for (index, variant) in variants.iter().enumerate() {
        check_value_size(&variant.config, &format!("/variants/{index}/config"), problems);
    }
    for (unit, variant) in &definition.overrides {
        if !variants.iter().any(|known| known.name == *variant) {
            let pointer = format!("/overrides/{}", unit.replace('~', "~0").replace('/', "~1"));
            problems.push(pointer, "unknown_variant", format!("there is no variant `{variant}`"));
        }
        if unit.is_empty() || unit.len() > eval_core::bucket::MAX_UNIT_BYTES {
            problems.push("/overrides", "too_long", "a unit id has 1 to 256 bytes");
        }
    }
}

fn check_space(
    definition: &ExperimentDefinition,
    snapshot: &EnvironmentSnapshot,
    problems: &mut Problems,
) {
    if definition.traffic.buckets() == 0 {
        problems.push("/traffic", "out_of_range", "must be above 0");
    }
    if let Some(name) = &definition.layer {
        match snapshot.layers.iter().find(|layer| layer.definition.name == *name) {
            None => {
                problems.push("/layer", "unknown_layer", format!("there is no layer `{name}`"));
            }
            Some(layer) if layer.definition.unit != definition.unit => {
                let detail = format!(
                    "layer `{name}` randomises `{}`, this experiment `{}`",
                    layer.definition.unit, definition.unit
                );
                problems.push("/unit", "unit_mismatch", detail);
            }
            Some(_) => {}
        }
    }
    for (index, name) in definition.holdouts.iter().enumerate() {
        let pointer = format!("/holdouts/{index}");
        match snapshot.holdouts.iter().find(|holdout| holdout.definition.name == *name) {
            None => {
                problems.push(pointer, "unknown_holdout", format!("there is no holdout `{name}`"));
            }
            Some(holdout) if holdout.definition.unit != definition.unit => {
                let detail = format!(
                    "holdout `{name}` holds `{}`, this experiment randomises `{}`",
                    holdout.definition.unit, definition.unit
                );
                problems.push(pointer, "unit_mismatch", detail);
            }
            Some(_) => {}
        }
    }
}

fn check_audience(
    definition: &ExperimentDefinition,
    snapshot: &EnvironmentSnapshot,
    problems: &mut Problems,
) {
    check_targeting(definition.targeting.as_ref(), "/targeting", snapshot, problems);
    prerequisites::check_exist(&definition.prerequisites, snapshot, problems);
    prerequisites::Requirements::new(snapshot, None, Some(definition)).check(
        definition.flag_key(),
        &definition.prerequisites,
        &[],
        problems,
    );
}

/// Reports what is wrong with a targeting or the condition of a rule.
pub(crate) fn check_targeting(
    targeting: Option<&Targeting>,
    pointer: &str,
    snapshot: &EnvironmentSnapshot,
    problems: &mut Problems,
) {
    match targeting {
        None => {}
        Some(Targeting::Condition(tree)) => {
            condition::check(tree, pointer, problems);
            check_segments_exist(tree, pointer, snapshot, problems);
        }
        Some(Targeting::Short(short)) => {
            let lists = [("countries", &short.countries), ("platforms", &short.platforms)];
            for (name, values) in lists {
                if values.as_ref().is_some_and(Vec::is_empty) {
                    let detail = "an empty list fits nobody; leave it out to fit everybody";
                    problems.push(format!("{pointer}/{name}"), "too_few_items", detail);
                }
            }
            if let Some(key) = &short.user_segment
                && !snapshot.segments.iter().any(|segment| segment.definition.key == *key)
            {
                let detail = format!("there is no segment `{key}`");
                problems.push(format!("{pointer}/user_segment"), "unknown_segment", detail);
            }
        }
    }
}

fn check_metrics(
    definition: &ExperimentDefinition,
    snapshot: &EnvironmentSnapshot,
    problems: &mut Problems,
) {
    let primary =
        definition.primary_metric.iter().map(|name| (name.as_str(), "/primary_metric".to_owned()));
    let secondary = definition
        .secondary_metrics
        .iter()
        .enumerate()
        .map(|(index, name)| (name.as_str(), format!("/secondary_metrics/{index}")));
    let guardrails = definition.guardrail_metrics.iter().enumerate().map(|(index, guardrail)| {
        (guardrail.metric.as_str(), format!("/guardrail_metrics/{index}"))
    });
    for (name, pointer) in primary.chain(secondary).chain(guardrails) {
        if !snapshot.metrics.iter().any(|metric| metric.definition.name == name) {
            problems.push(pointer, "unknown_metric", format!("there is no metric `{name}`"));
        }
    }
    let secondary = definition.secondary_metrics.iter().map(String::as_str);
    check_distinct(secondary, |index| format!("/secondary_metrics/{index}"), problems);
    let guardrails = definition.guardrail_metrics.iter().map(|guardrail| guardrail.metric.as_str());
    check_distinct(guardrails, |index| format!("/guardrail_metrics/{index}"), problems);
    if let Some(primary) = &definition.primary_metric
        && let Some(index) = definition.secondary_metrics.iter().position(|name| name == primary)
    {
        let detail = "is the primary metric already";
        problems.push(format!("/secondary_metrics/{index}"), "duplicate", detail);
    }
}

fn check_times(definition: &ExperimentDefinition, problems: &mut Problems) {
    if let (Some(start), Some(end)) = (definition.start_at, definition.end_at)
        && end <= start
    {
        problems.push("/end_at", "out_of_range", "must be after start_at");
    }
}

/// Clients ask for experiments and flags by one set of keys. An experiment may have the key of a flag only
/// if that flag serves it.
fn check_key(
    definition: &ExperimentDefinition,
    id: &str,
    snapshot: &EnvironmentSnapshot,
    problems: &mut Problems,
) {
    let key = definition.flag_key();
    let pointer = if definition.flag.is_some() { "/flag" } else { "/name" };
    let by_experiment = snapshot
        .experiments
        .iter()
        .filter(|other| other.id != id && other.state.status != LifecycleStatus::Archived)
        .find(|other| {
            other.definition.flag_key() == key && other.definition.name != definition.name
        });
    let flag = snapshot
        .flags
        .iter()
        .find(|flag| flag.definition.key == key && flag.state.archived_at.is_none());
    let serves = |name: &str| {
        flag.is_some_and(|flag| {
            flag.definition.rules.iter().any(
                |rule| matches!(&rule.serve, ServeDefinition::Experiment(served) if served == name),
            )
        })
    };
    match (flag, by_experiment) {
        (Some(_), _) if serves(&definition.name) => {}
        (Some(_), _) => problems.push(
            pointer,
            "key_taken",
            format!("flag `{key}` has this key and no rule that serves the experiment"),
        ),
        (None, Some(other)) => problems.push(
            pointer,
            "key_taken",
            format!("clients ask for experiment `{}` by this key", other.definition.name),
        ),
        (None, None) => {}
    }
}

/// Reports changes that an experiment which has started cannot take: they would deal its units anew, or
/// change what is tested after results were seen.
pub(crate) fn check_locked(
    before: &Versioned<ExperimentDefinition>,
    after: &ExperimentDefinition,
) -> Problems {
    let mut problems = Problems::default();
    let old = &before.definition;
    let status = before.state.status;
    if status == LifecycleStatus::Draft {
        return problems;
    }
    let variant_names =
        |d: &ExperimentDefinition| d.variants.iter().map(|v| v.name.clone()).collect::<Vec<_>>();
    let mut fixed = vec![
        ("/name", old.name != after.name),
        ("/layer", old.layer != after.layer),
        ("/unit", old.unit != after.unit),
        ("/salt", old.salt != after.salt),
        ("/flag", old.flag_key() != after.flag_key()),
        (
            "/variants",
            variant_names(old) != variant_names(after) || old.control() != after.control(),
        ),
        ("/switchback", old.switchback != after.switchback),
        ("/primary_metric", old.primary_metric != after.primary_metric),
        ("/min_detectable_effect", old.min_detectable_effect != after.min_detectable_effect),
        ("/mde_type", old.mde_type != after.mde_type),
        (
            "/significance_level",
            old.significance_level.to_bits() != after.significance_level.to_bits(),
        ),
        ("/power", old.power.to_bits() != after.power.to_bits()),
        ("/group_sequential", old.group_sequential != after.group_sequential),
    ];
    if status != LifecycleStatus::Scheduled {
        fixed.push(("/start_at", old.start_at != after.start_at));
    }
    if !status.holds_buckets() {
        fixed.push(("/traffic", old.traffic != after.traffic));
        fixed.push(("/variants", old.variants != after.variants));
        fixed.push(("/targeting", old.targeting != after.targeting));
        fixed.push(("/holdouts", old.holdouts != after.holdouts));
        fixed.push(("/prerequisites", old.prerequisites != after.prerequisites));
        fixed.push(("/end_at", old.end_at != after.end_at));
    }
    for (pointer, _) in fixed.into_iter().filter(|(_, changed)| *changed) {
        let detail = format!("cannot change any more: the experiment is {}", status.as_str());
        problems.push(pointer, "locked", detail);
    }
    problems
}
