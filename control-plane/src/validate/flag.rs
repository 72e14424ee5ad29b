//! Flags: what must hold before one is stored.

use super::experiment::check_targeting;
use super::{check_distinct, check_value_size, prerequisites, salts};
use crate::definition::{
    FlagDefinition, LifecycleStatus, ServeDefinition, Share, SplitPartDefinition,
};
use crate::error::{ApiError, Problems};
use crate::store::EnvironmentSnapshot;

/// Reports everything that is wrong with a flag. `own_key` is the key that the flag has already; empty for a new one.
pub(crate) fn check(
    definition: &FlagDefinition,
    own_key: &str,
    snapshot: &EnvironmentSnapshot,
) -> Problems {
    let mut problems = Problems::default();
    check_variants(definition, &mut problems);
    check_rules(definition, own_key, snapshot, &mut problems);
    for (index, name) in definition.holdouts.iter().enumerate() {
        let pointer = format!("/holdouts/{index}");
        match snapshot.holdouts.iter().find(|holdout| holdout.definition.name == *name) {
            None => {
                problems.push(pointer, "unknown_holdout", format!("there is no holdout `{name}`"));
            }
            Some(holdout) if holdout.definition.unit != definition.unit => problems.push(
                pointer,
                "unit_mismatch",
                format!(
                    "holdout `{name}` holds `{}`, this flag `{}`",
                    holdout.definition.unit, definition.unit
                ),
            ),
            Some(_) => {}
        }
    }
    prerequisites::check_exist(&definition.prerequisites, snapshot, &mut problems);
    prerequisites::Requirements::new(snapshot, Some(definition), None).check(
        &definition.key,
        &definition.prerequisites,
        &definition.rules,
        &mut problems,
    );
    check_key(definition, own_key, snapshot, &mut problems);
    if let Some(salt) = &definition.salt {
        salts::check(salt, &salts::flag_name(own_key), "/salt", [snapshot], &mut problems);
    }
    problems
}

fn check_variants(definition: &FlagDefinition, problems: &mut Problems) {
    let names = definition.variants.iter().map(|variant| variant.name.as_str());
    check_distinct(names, |index| format!("/variants/{index}/name"), problems);
    for (index, variant) in definition.variants.iter().enumerate() {
        let pointer = format!("/variants/{index}/value");
        if !definition.value_type.admits(&variant.value) {
            let detail = format!("must be of the flag's type, {}", definition.value_type.as_str());
            problems.push(pointer.as_str(), "wrong_type", detail);
        }
        check_value_size(&variant.value, &pointer, problems);
    }
    let mut known = |variant: &str, pointer: String| {
        if !definition.variants.iter().any(|known| known.name == variant) {
            problems.push(pointer, "unknown_variant", format!("there is no variant `{variant}`"));
        }
    };
    known(&definition.default_variant, "/default_variant".to_owned());
    known(&definition.off_variant, "/off_variant".to_owned());
    for (unit, variant) in &definition.targets {
        known(variant, format!("/targets/{}", unit.replace('~', "~0").replace('/', "~1")));
    }
    for (index, rule) in definition.rules.iter().enumerate() {
        match &rule.serve {
            ServeDefinition::Variant(variant) => {
                known(variant, format!("/rules/{index}/serve/variant"));
            }
            ServeDefinition::Split(parts) => {
                for (at, part) in parts.iter().enumerate() {
                    known(&part.variant, format!("/rules/{index}/serve/split/{at}/variant"));
                }
            }
            ServeDefinition::Experiment(_) => {}
        }
    }
    if definition
        .targets
        .keys()
        .any(|unit| unit.is_empty() || unit.len() > eval_core::bucket::MAX_UNIT_BYTES)
    {
        problems.push("/targets", "too_long", "a unit id has 1 to 256 bytes");
    }
}

fn check_rules(
    definition: &FlagDefinition,
    own_key: &str,
    snapshot: &EnvironmentSnapshot,
    problems: &mut Problems,
) {
    for (index, rule) in definition.rules.iter().enumerate() {
        let pointer = format!("/rules/{index}");
        check_targeting(
            rule.condition.as_ref(),
            &format!("{pointer}/condition"),
            snapshot,
            problems,
        );
        match &rule.serve {
            ServeDefinition::Variant(_) => {}
            ServeDefinition::Split(parts) => check_split(parts, &pointer, problems),
            ServeDefinition::Experiment(name) => {
                let known = snapshot.experiments.iter().any(|experiment| {
                    experiment.definition.name == *name
                        && experiment.state.status != LifecycleStatus::Archived
                });
                if !known {
                    problems.push(
                        format!("{pointer}/serve/experiment"),
                        "unknown_experiment",
                        format!("there is no experiment `{name}`"),
                    );
                }
            }
        }
        if let Some(salt) = &rule.salt {
            // A rule that moved keeps its salt: it counts as its own wherever the flag had it.
            let had_it = snapshot.flags.iter().any(|flag| {
                flag.definition.key == own_key
                    && flag.definition.rules.iter().any(|old| old.salt.as_ref() == Some(salt))
            });
            if !had_it {
                salts::check(salt, "", &format!("{pointer}/salt"), [snapshot], problems);
            }
            let twice = definition.rules[..index].iter().any(|other| other.salt == rule.salt);
            if twice || definition.salt.as_ref() == Some(salt) {
                let detail = "another part of this flag has the same buckets already";
                problems.push(format!("{pointer}/salt"), "salt_taken", detail);
            }
        }
    }
}

fn check_split(parts: &[SplitPartDefinition], pointer: &str, problems: &mut Problems) {
    let sum: u32 = parts.iter().map(|part| u32::from(part.weight.buckets())).sum();
    if sum != u32::from(Share::ALL.buckets()) {
        let percent = f64::from(sum) / 100.0;
        problems.push(
            format!("{pointer}/serve/split"),
            "weights_sum",
            format!("weights sum to {percent}, not to 100"),
        );
    }
    let names = parts.iter().map(|part| part.variant.as_str());
    check_distinct(names, |at| format!("{pointer}/serve/split/{at}/variant"), problems);
}

/// Clients ask for experiments and flags by one set of keys.
fn check_key(
    definition: &FlagDefinition,
    own_key: &str,
    snapshot: &EnvironmentSnapshot,
    problems: &mut Problems,
) {
    if !own_key.is_empty() && definition.key != own_key {
        problems.push("/key", "locked", "a flag's key cannot change");
    }
    let clash = snapshot.experiments.iter().find(|experiment| {
        experiment.definition.flag_key() == definition.key
            && experiment.state.status != LifecycleStatus::Archived
            && !definition.rules.iter().any(
                |rule| matches!(&rule.serve, ServeDefinition::Experiment(name) if *name == experiment.definition.name),
            )
    });
    if let Some(experiment) = clash {
        let detail = format!(
            "clients ask for experiment `{}` by this key, and no rule serves it",
            experiment.definition.name
        );
        problems.push("/key", "key_taken", detail);
    }
}

/// 409 when the flag no longer has a variant that a prerequisite of another needs, or no longer serves an
/// experiment that clients ask for by the flag's key.
pub(crate) fn check_required_variants(
    definition: &FlagDefinition,
    snapshot: &EnvironmentSnapshot,
) -> Result<(), ApiError> {
    let of_experiments = snapshot
        .experiments
        .iter()
        .filter(|experiment| experiment.state.status != LifecycleStatus::Archived)
        .map(|experiment| (&experiment.definition.name, &experiment.definition.prerequisites));
    let of_flags = snapshot
        .flags
        .iter()
        .filter(|flag| flag.state.archived_at.is_none())
        .map(|flag| (&flag.definition.key, &flag.definition.prerequisites));
    for (user, prerequisites) in of_experiments.chain(of_flags) {
        for prerequisite in prerequisites.iter().filter(|p| p.flag == definition.key) {
            if !definition.variants.iter().any(|variant| variant.name == prerequisite.variant) {
                return Err(ApiError::conflict(
                    "in_use",
                    format!("`{user}` needs variant `{}` of this flag", prerequisite.variant),
                ));
            }
        }
    }
    Ok(())
}
