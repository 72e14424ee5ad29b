//! Every experiment of a config for one context: what a unit is assigned, whatever keys clients ask under.

use crate::config::Target;
use crate::decision::Decision;
use crate::evaluate::Request;
use crate::experiment::status_name;

/// What an experiment assigns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Assignment<'c> {
    /// Key of the experiment.
    pub experiment: &'c str,
    /// Key under which clients ask for it; none when it is served by rules of flags alone.
    pub flag_key: Option<&'c str>,
    /// Its status in the config.
    pub status: &'static str,
    /// The experiment's unit type.
    pub unit_type: &'c str,
    /// The decision; its key is the experiment's.
    pub decision: Decision<'c>,
}

impl<'c> Request<'c> {
    /// Decides every experiment, in the order of their keys.
    pub fn assignments(&mut self, mut take: impl FnMut(Assignment<'c>)) {
        let config = self.config;
        self.remember();
        let mut flag_keys: Vec<Option<&'c str>> = vec![None; config.experiments.len()];
        for entry in &config.entries {
            if let Target::Experiment(id) = entry.target()
                && let Some(key) = flag_keys.get_mut(id as usize)
            {
                *key = Some(self.name(entry.key));
            }
        }
        for (experiment, flag_key) in config.experiments.iter().zip(flag_keys) {
            self.restore_budget();
            take(Assignment {
                experiment: self.name(experiment.key),
                flag_key,
                status: status_name(experiment.status),
                unit_type: self.unit_type_name(experiment.unit_type),
                decision: self.own_decision(experiment),
            });
        }
    }
}
