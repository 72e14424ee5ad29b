//! One evaluation from start to end.
//!
//! The order of the steps is the specification's; each step that says no gives its reason, and whoever is not enrolled gets
//! control's value. Nothing here can fail: an input that makes no sense, or an entry that is damaged, ends in a decision.

use crate::config::{CompiledConfig, Experiment, Span, Target, UnitTypeId, Variant};
use crate::context::Context;
use crate::decision::{Decision, Exposure};
use crate::experiment::Outcome;
use crate::explain::{NoTrace, Step, Trace};
use crate::fingerprint::Fingerprint;
use crate::memo::Memo;
use crate::strings::StringId;

/// Most entries that one decision may evaluate for its prerequisites; beyond it they count as unmet. Compiling keeps
/// chains short and free of cycles, so only a config that nothing of ours compiled comes near.
const PREREQUISITE_BUDGET: u32 = 256;

/// A context, ready to be evaluated against a config at a time.
#[derive(Debug)]
pub struct Request<'c> {
    pub(crate) config: &'c CompiledConfig<'c>,
    pub(crate) context: &'c Context<'c>,
    pub(crate) list_key: Option<&'c [u8; 32]>,
    pub(crate) now_ms: i64,
    /// Filled while many keys are evaluated.
    pub(crate) memo: Option<Box<Memo<'c>>>,
    pub(crate) fingerprint: Option<(UnitTypeId, Fingerprint)>,
    pub(crate) budget: u32,
}

impl<'c> Request<'c> {
    /// Prepares a context. `list_key` is the environment's secret for unit-id lists; without it lists match nobody.
    /// `now_ms` is the time in epoch milliseconds.
    pub fn new(
        config: &'c CompiledConfig<'c>,
        context: &'c Context<'c>,
        list_key: Option<&'c [u8; 32]>,
        now_ms: i64,
    ) -> Self {
        Self {
            config,
            context,
            list_key,
            now_ms,
            memo: None,
            fingerprint: None,
            budget: PREREQUISITE_BUDGET,
        }
    }

    /// Decides one key. Allocates nothing, but for values of attributes that the comparison itself must take apart.
    pub fn evaluate(&mut self, key: &str) -> Decision<'c> {
        self.budget = PREREQUISITE_BUDGET;
        match self.find(key) {
            Some(entry) => self.decide(entry, &mut NoTrace),
            None => Decision::NOT_FOUND,
        }
    }

    /// Decides every key, in the order of the keys. What experiments share is worked out once.
    pub fn evaluate_all(&mut self, mut take: impl FnMut(Decision<'c>)) {
        self.remember();
        for entry in 0..u32::try_from(self.config.entries.len()).unwrap_or(u32::MAX) {
            self.budget = PREREQUISITE_BUDGET;
            take(self.decide(entry, &mut NoTrace));
        }
    }

    /// Keeps what is worked out for later keys of the same request: worth it from a dozen keys on.
    pub fn remember(&mut self) {
        if self.memo.is_none() {
            self.memo = Some(Box::new(Memo::new(self.config, self.context)));
        }
    }

    /// Decides one key and says how.
    pub fn explain(&mut self, key: &str) -> (Decision<'c>, Vec<Step>) {
        self.budget = PREREQUISITE_BUDGET;
        let mut steps = Vec::new();
        let decision = match self.find(key) {
            Some(entry) => self.decide(entry, &mut steps),
            None => Decision::NOT_FOUND,
        };
        (decision, steps)
    }

    /// Lets the next decision evaluate as many prerequisites as any.
    pub(crate) fn restore_budget(&mut self) {
        self.budget = PREREQUISITE_BUDGET;
    }

    pub(crate) fn find(&self, key: &str) -> Option<u32> {
        let config = self.config;
        config.index.find(key, |at| {
            config
                .entries
                .get(at as usize)
                .is_some_and(|entry| config.strings.get(entry.key) == key)
        })
    }

    pub(crate) fn name(&self, id: StringId) -> &'c str {
        self.config.strings.get(id)
    }

    pub(crate) fn decide<T: Trace>(&mut self, entry: u32, trace: &mut T) -> Decision<'c> {
        let config = self.config;
        let Some(entry) = config.entries.get(entry as usize) else { return Decision::NOT_FOUND };
        let key = self.name(entry.key);
        match entry.target {
            Target::Experiment(id) => match config.experiments.get(id as usize) {
                Some(experiment) => {
                    let outcome = self.experiment(experiment, trace);
                    self.experiment_decision(key, experiment, outcome, true)
                }
                None => Decision::NOT_FOUND,
            },
            Target::Flag(id) => match config.flags.get(id as usize) {
                Some(flag) => self.flag(key, flag, trace),
                None => Decision::NOT_FOUND,
            },
        }
    }

    pub(crate) fn experiment_decision(
        &self,
        key: &'c str,
        experiment: &'c Experiment,
        outcome: Outcome<'c>,
        is_experiment: bool,
    ) -> Decision<'c> {
        let variant = self.variant(experiment.variants, outcome.variant);
        let name = variant.map(|v| self.name(v.key));
        let exposure = match (name, outcome.enrolled) {
            (Some(variant), Some(unit)) => Some(Exposure {
                experiment: self.name(experiment.key),
                variant,
                unit_type: self.unit_type_name(experiment.unit_type),
                unit,
                layer: experiment
                    .layer
                    .and_then(|id| self.config.layer(id))
                    .map_or("", |layer| self.name(layer.key)),
                bucket: outcome.bucket,
            }),
            _ => None,
        };
        Decision {
            key,
            variant: name,
            value: variant.map(|v| self.name(v.value)),
            enrolled: exposure.is_some(),
            reason: outcome.reason,
            exposure,
            is_experiment,
        }
    }

    pub(crate) fn variant(&self, variants: Span, at: u16) -> Option<&'c Variant> {
        variants.of(&self.config.variants).get(usize::from(at))
    }

    pub(crate) fn unit_type_name(&self, id: UnitTypeId) -> &'c str {
        self.config.unit_types.get(usize::from(id.0)).map_or("", |&name| self.name(name))
    }
}
