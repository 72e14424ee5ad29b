//! Prerequisites: flags and variants that exist, no way round in a circle.

use crate::definition::{FlagDefinition, ServeDefinition};
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

/// What the decision of each flag asks for, with one flag or experiment put in.
pub(crate) struct Requirements<'s> {
    by_flag: BTreeMap<&'s str, Vec<&'s str>>,
}

impl<'s> Requirements<'s> {
    /// The flags of a snapshot, with `flag` in place of the one of its key and the prerequisites of
    /// experiment `experiment.0` replaced by `experiment.1`.
    pub(crate) fn new(
        snapshot: &'s EnvironmentSnapshot,
        flag: Option<&'s FlagDefinition>,
        experiment: Option<(&'s str, &'s [Prerequisite])>,
    ) -> Self {
        let of_experiment = |name: &str| -> Vec<&'s str> {
            let prerequisites = match experiment {
                Some((own, prerequisites)) if own == name => Some(prerequisites),
                _ => snapshot
                    .experiments
                    .iter()
                    .find(|experiment| experiment.definition.name == name)
                    .map(|experiment| experiment.definition.prerequisites.as_slice()),
            };
            prerequisites.unwrap_or_default().iter().map(|p| p.flag.as_str()).collect()
        };
        let of_flag = |flag: &'s FlagDefinition| -> Vec<&'s str> {
            let own = flag.prerequisites.iter().map(|p| p.flag.as_str());
            let served = flag.rules.iter().flat_map(|rule| match &rule.serve {
                ServeDefinition::Experiment(name) => of_experiment(name),
                _ => Vec::new(),
            });
            own.chain(served).collect()
        };
        let stored = snapshot.flags.iter().map(|flag| &flag.definition);
        let by_flag = stored
            .filter(|stored| flag.is_none_or(|flag| flag.key != stored.key))
            .chain(flag)
            .map(|flag| (flag.key.as_str(), of_flag(flag)))
            .collect();
        Self { by_flag }
    }

    /// Reports a circle or too long a chain among what `from` asks for.
    pub(crate) fn check(&self, from: &str, direct: &[Prerequisite], problems: &mut Problems) {
        for (index, prerequisite) in direct.iter().enumerate() {
            let mut path = vec![from];
            self.walk(&prerequisite.flag, &mut path, index, problems);
        }
    }

    fn walk<'p>(
        &'p self,
        key: &'p str,
        path: &mut Vec<&'p str>,
        index: usize,
        problems: &mut Problems,
    ) {
        let pointer = || format!("/prerequisites/{index}");
        if path.contains(&key) {
            let round = path.iter().chain([&key]).copied().collect::<Vec<_>>().join(" → ");
            problems.push(pointer(), "cycle", format!("leads back to itself: {round}"));
            return;
        }
        if path.len() > MAX_PREREQUISITE_DEPTH {
            let detail = format!("is the start of a chain of more than {MAX_PREREQUISITE_DEPTH}");
            problems.push(pointer(), "too_deep", detail);
            return;
        }
        path.push(key);
        for next in self.by_flag.get(key).into_iter().flatten() {
            self.walk(next, path, index, problems);
        }
        path.pop();
    }
}
