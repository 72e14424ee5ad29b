//! One evaluation from start to end.
//!
//! The order of the steps is the specification's; each step that says no gives its reason, and whoever is not enrolled gets
//! control's value. Nothing here can fail: an input that makes no sense, or an entry that is damaged, ends in a decision.

use crate::config::{CompiledConfig, Entry, Target, UnitTypeId, Variants};
use crate::context::Context;
use crate::decision::Decision;
use crate::experiment::Asked;
use crate::explain::{NoTrace, Step, Trace};
use crate::fingerprint::Fingerprint;
use crate::memo::Memo;
use crate::strings::{StringId, same};

/// Most entries that one decision may evaluate for its prerequisites; beyond it they count as unmet. Compiling keeps
/// chains short and free of cycles, so only a config that nothing of ours compiled comes near.
const PREREQUISITE_BUDGET: u32 = 256;

/// Decisions that are made in one go.
const BATCH: usize = 32;

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
    #[inline]
    pub fn evaluate(&mut self, key: &str) -> Decision<'c> {
        let mut answer = Decision::NOT_FOUND;
        self.evaluate_into(key, &mut answer);
        answer
    }

    /// Writes the answer where the caller has it: it is too large to be handed on.
    #[inline(never)]
    fn evaluate_into(&mut self, key: &str, answer: &mut Decision<'c>) {
        self.budget = PREREQUISITE_BUDGET;
        if let Some(entry) = self.find(key) {
            self.decide_entry(entry, answer, &mut NoTrace);
        }
    }

    /// Decides every key, in the order of the keys. What experiments share is worked out once.
    pub fn evaluate_all(&mut self, mut take: impl FnMut(&Decision<'c>)) {
        self.remember();
        let mut room = [Decision::NOT_FOUND; BATCH];
        let mut from = 0usize;
        loop {
            let decided = self.decide_batch(from, &mut room);
            decided.iter().for_each(&mut take);
            if decided.len() < BATCH {
                return;
            }
            from = from.saturating_add(BATCH);
        }
    }

    /// Decides the entries from one on, as many as there is room for. One call for many, because a decision among thousands takes
    /// hardly longer than a call; and in this crate, whoever calls it.
    fn decide_batch<'o>(
        &mut self,
        from: usize,
        room: &'o mut [Decision<'c>; BATCH],
    ) -> &'o [Decision<'c>] {
        let entries = self.config.entries.get(from..).unwrap_or_default();
        let n_decided = entries.len().min(BATCH);
        for (place, entry) in room.iter_mut().zip(entries) {
            self.budget = PREREQUISITE_BUDGET;
            self.decide_entry(*entry, place, &mut NoTrace);
        }
        room.get(..n_decided).unwrap_or_default()
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
        let mut answer = Decision::NOT_FOUND;
        let mut steps = Vec::new();
        if let Some(entry) = self.find(key) {
            self.decide_entry(entry, &mut answer, &mut steps);
        }
        (answer, steps)
    }

    /// Lets the next decision evaluate as many prerequisites as any.
    pub(crate) fn restore_budget(&mut self) {
        self.budget = PREREQUISITE_BUDGET;
    }

    #[inline(always)]
    pub(crate) fn find(&self, key: &str) -> Option<Entry> {
        let config = self.config;
        let mut search = config.index.search(key.as_bytes());
        while let Some(at) = config.index.candidate(&mut search) {
            if let Some(entry) = config.entries.get(at as usize)
                && same(config.strings.bytes(entry.key), key.as_bytes())
            {
                return Some(*entry);
            }
        }
        None
    }

    pub(crate) fn name(&self, id: StringId) -> &'c str {
        self.config.strings.get(id)
    }

    /// Decides the entry of a required flag.
    pub(crate) fn decide<T: Trace>(&mut self, entry: u32, trace: &mut T) -> Decision<'c> {
        let mut answer = Decision::NOT_FOUND;
        if let Some(entry) = self.config.entries.get(entry as usize) {
            self.decide_entry(*entry, &mut answer, trace);
        }
        answer
    }

    /// Decides an entry. The answer is written where it stays: moving it would take longer than most of the steps.
    #[inline(always)]
    fn decide_entry<T: Trace>(&mut self, entry: Entry, answer: &mut Decision<'c>, trace: &mut T) {
        let config = self.config;
        match entry.target() {
            Target::Experiment(id) => match config.experiments.get(id as usize) {
                Some(experiment) => {
                    let asked = Asked { config, key: entry.key, experiment, is_experiment: true };
                    self.experiment(asked, answer, trace);
                }
                None => *answer = Decision::NOT_FOUND,
            },
            Target::Flag(id) => match config.flags.get(id as usize) {
                Some(flag) => self.flag(entry.key, flag, answer, trace),
                None => *answer = Decision::NOT_FOUND,
            },
        }
    }

    pub(crate) fn variant_name(&self, variants: Variants, at: u16) -> Option<&'c str> {
        self.config.variant_name(variants.at(at))
    }

    pub(crate) fn unit_type_name(&self, id: UnitTypeId) -> &'c str {
        self.config.unit_types.get(usize::from(id.0)).map_or("", |name| self.name(name.id))
    }
}
