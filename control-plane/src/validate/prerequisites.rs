//! Prerequisites: flags and variants that exist, no way round in a circle.

use super::graph::Walk;
use crate::definition::{ExperimentDefinition, FlagDefinition, RuleDefinition, ServeDefinition};
use crate::error::Problems;
use crate::store::EnvironmentSnapshot;
use eval_core::MAX_PREREQUISITE_DEPTH;
use eval_core::source::Prerequisite;
use std::collections::BTreeMap;

/// Reports prerequisites that no flag of the environment can meet.
pub(crate) fn check_exist(
    prerequisites: &[Prerequisite],
    snapshot: &EnvironmentSnapshot,
    problems: &mut Problems,
) {
    for (index, prerequisite) in prerequisites.iter().enumerate() {
        let flag = snapshot
            .flags
            .iter()
            .filter(|flag| flag.state.archived_at.is_none())
            .find(|flag| flag.definition.key == prerequisite.flag);
        match flag {
            None => problems.push(
                format!("/prerequisites/{index}/flag"),
                "unknown_flag",
                format!("there is no flag `{}`", prerequisite.flag),
            ),
            Some(flag)
                if !flag.definition.variants.iter().any(|v| v.name == prerequisite.variant) =>
            {
                problems.push(
                    format!("/prerequisites/{index}/variant"),
                    "unknown_variant",
                    format!(
                        "flag `{}` has no variant `{}`",
                        prerequisite.flag, prerequisite.variant
                    ),
                );
            }
            Some(_) => {}
        }
    }
}

/// Which flags the decisions of flags and experiments ask for.
pub(crate) struct Requirements<'s> {
    by_flag: BTreeMap<&'s str, Vec<&'s str>>,
    by_experiment: BTreeMap<&'s str, Vec<&'s str>>,
}

impl<'s> Requirements<'s> {
    /// The flags and experiments of a snapshot, with `flag` or `experiment` in place of the stored one of its
    /// key or name.
    pub(crate) fn new(
        snapshot: &'s EnvironmentSnapshot,
        flag: Option<&'s FlagDefinition>,
        experiment: Option<&'s ExperimentDefinition>,
    ) -> Self {
        let keys = |prerequisites: &'s [Prerequisite]| -> Vec<&'s str> {
            prerequisites.iter().map(|prerequisite| prerequisite.flag.as_str()).collect()
        };
        let stored = snapshot.experiments.iter().map(|item| &item.definition);
        let by_experiment: BTreeMap<&str, Vec<&str>> = stored
            .chain(experiment)
            .map(|experiment| (experiment.name.as_str(), keys(&experiment.prerequisites)))
            .collect();
        let stored = snapshot.flags.iter().map(|item| &item.definition);
        let by_flag = stored
            .chain(flag)
            .map(|flag| {
                let served = flag.rules.iter().filter_map(|rule| match &rule.serve {
                    ServeDefinition::Experiment(name) => by_experiment.get(name.as_str()),
                    _ => None,
                });
                let mut asked = keys(&flag.prerequisites);
                asked.extend(served.flatten());
                (flag.key.as_str(), asked)
            })
            .collect();
        Self { by_flag, by_experiment }
    }

    /// Reports circles and too long chains among what `from` asks for: its own prerequisites and, for a flag,
    /// those of the experiments that its rules serve.
    pub(crate) fn check(
        &self,
        from: &str,
        direct: &[Prerequisite],
        rules: &[RuleDefinition],
        problems: &mut Problems,
    ) {
        let edges = |key: &str| self.by_flag.get(key).cloned().unwrap_or_default();
        let mut walk = Walk::new(from, MAX_PREREQUISITE_DEPTH, edges);
        let mut follow = |key, pointer: String| {
            if let Err(fault) = walk.follow(key) {
                let (code, detail) = fault.describe(MAX_PREREQUISITE_DEPTH);
                problems.push(pointer, code, detail);
            }
        };
        for (index, prerequisite) in direct.iter().enumerate() {
            follow(&prerequisite.flag, format!("/prerequisites/{index}"));
        }
        for (index, rule) in rules.iter().enumerate() {
            let ServeDefinition::Experiment(name) = &rule.serve else { continue };
            for key in self.by_experiment.get(name.as_str()).into_iter().flatten() {
                follow(key, format!("/rules/{index}/serve/experiment"));
            }
        }
    }
}
