//! One evaluation from start to end.
//!
//! The order of the steps is the specification's; each step that says no gives its reason, and whoever is not enrolled gets
//! control's value. Nothing here can fail: an input that makes no sense, or an entry that is damaged, ends in a decision.

use crate::bucket::{PreparedUnit, SaltState};
use crate::config::{
    CompiledConfig, Experiment, Extras, Flag, Holdout, RuleServe, Span, Target, UnitTypeId, Variant,
};
use crate::context::{AttributeValue, Context};
use crate::decision::{Decision, Exposure, Reason, UnitText};
use crate::explain::{NoTrace, Step, Trace};
use crate::fingerprint::{Fingerprint, unit_fingerprint};
use crate::memo::Memo;
use crate::slots::{owner_of, ranges_of};
use crate::source::{ExperimentStatus, PauseBehaviour};
use crate::strings::StringId;
use crate::targeting::{Node, NodeId, Operands, Operator, compare};
use std::fmt::Write;

/// Most entries that one decision may evaluate for its prerequisites; beyond it they count as unmet. Compiling keeps
/// chains short and free of cycles, so only a config that nothing of ours compiled comes near.
const PREREQUISITE_BUDGET: u32 = 256;

/// A context, ready to be evaluated against a config at a time.
#[derive(Debug)]
pub struct Request<'c> {
    config: &'c CompiledConfig<'c>,
    context: &'c Context<'c>,
    list_key: Option<&'c [u8; 32]>,
    now_ms: i64,
    /// Filled while many keys are evaluated.
    memo: Option<Box<Memo<'c>>>,
    fingerprint: Option<(UnitTypeId, Fingerprint)>,
    budget: u32,
}

/// What an experiment decided, before names are looked up.
#[derive(Clone, Copy)]
struct Outcome<'c> {
    variant: u16,
    enrolled: bool,
    reason: Reason<'c>,
    /// Whether a step chose this variant; otherwise it is control, by default.
    chosen: bool,
    /// Bucket in the experiment's own space, when it was worked out.
    bucket: u16,
}

/// Room for `cluster@slice`, the text that a switchback hashes.
struct SliceText {
    bytes: [u8; crate::bucket::MAX_UNIT_BYTES],
    len: usize,
}

impl Write for SliceText {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.len.checked_add(text.len()).ok_or(std::fmt::Error)?;
        self.bytes.get_mut(self.len..end).ok_or(std::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

/// Hands the text of a unit to `take`; none for a slice that is longer than a unit id may be.
#[cold]
#[inline(never)]
fn with_slice_text<T>(unit: UnitText<'_>, take: impl FnOnce(&str) -> T) -> Option<T> {
    let mut text = SliceText { bytes: [0; crate::bucket::MAX_UNIT_BYTES], len: 0 };
    write!(text, "{unit}").ok()?;
    let written = std::str::from_utf8(text.bytes.get(..text.len)?).ok()?;
    Some(take(written))
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

    fn find(&self, key: &str) -> Option<u32> {
        let config = self.config;
        config.index.find(key, |at| {
            config
                .entries
                .get(at as usize)
                .is_some_and(|entry| config.strings.get(entry.key) == key)
        })
    }

    fn name(&self, id: StringId) -> &'c str {
        self.config.strings.get(id)
    }

    fn decide<T: Trace>(&mut self, entry: u32, trace: &mut T) -> Decision<'c> {
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

    fn experiment_decision(
        &self,
        key: &'c str,
        experiment: &'c Experiment,
        outcome: Outcome<'c>,
        is_experiment: bool,
    ) -> Decision<'c> {
        let variant = self.variant(experiment.variants, outcome.variant);
        let name = variant.map(|v| self.name(v.key));
        let exposure = match name {
            Some(variant) if outcome.enrolled => self.unit_text(experiment).map(|unit| Exposure {
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
            enrolled: outcome.enrolled,
            reason: outcome.reason,
            exposure,
            is_experiment,
        }
    }

    fn variant(&self, variants: Span, at: u16) -> Option<&'c Variant> {
        variants.of(&self.config.variants).get(usize::from(at))
    }

    fn unit_type_name(&self, id: UnitTypeId) -> &'c str {
        self.config.unit_types.get(usize::from(id.0)).map_or("", |&name| self.name(name))
    }

    // --- experiments -----------------------------------------------------------------------------------------------

    fn experiment<T: Trace>(&mut self, experiment: &'c Experiment, trace: &mut T) -> Outcome<'c> {
        let control = |reason| Outcome {
            variant: experiment.control,
            enrolled: false,
            reason,
            chosen: false,
            bucket: 0,
        };
        let chosen =
            |variant, reason| Outcome { variant, enrolled: false, reason, chosen: true, bucket: 0 };
        let enrolled = |variant, bucket, reason| Outcome {
            variant,
            enrolled: true,
            reason,
            chosen: true,
            bucket,
        };
        let extras = self.config.extras_of(experiment);
        // 1. Inactive.
        let phase = self.phase(experiment, extras);
        trace.record(|| Step::Experiment {
            experiment: self.name(experiment.key).to_owned(),
            status: status_name(experiment.status),
            active: phase != Phase::Inactive,
        });
        if phase == Phase::Inactive {
            return control(Reason::Inactive);
        }
        // 2. No unit.
        let unit = self.unit(experiment, extras);
        trace.record(|| Step::Unit {
            unit_type: self.unit_type_name(experiment.unit_type).to_owned(),
            unit: unit.map(|unit| unit.to_string()),
        });
        let Some(unit) = unit else { return control(Reason::NoUnit) };
        // 3. Override.
        if phase != Phase::Shipped
            && let Some(extras) = extras
            && !extras.overrides.is_empty()
        {
            let found = match unit {
                UnitText::Id(id) => self.list_position(experiment.unit_type, id, extras.overrides),
                UnitText::Slice { .. } => with_slice_text(unit, |text| {
                    self.list_position(experiment.unit_type, text, extras.overrides)
                })
                .flatten(),
            };
            trace.record(|| Step::List {
                list: format!("overrides of {}", self.name(experiment.key)),
                searchable: self.list_key.is_some(),
                found: found.is_some(),
            });
            if let Some(variant) =
                found.and_then(|at| self.listed_variant(extras.override_variants, at))
            {
                return chosen(variant, Reason::Override);
            }
        }
        // 4. Consent.
        if self.config.requires_consent {
            let given = matches!(self.context.value("consent"), Some(AttributeValue::Bool(true)));
            trace.record(|| Step::Consent { given });
            if !given {
                return control(Reason::NoConsent);
            }
        }
        if let Some(extras) = extras {
            // 5. Holdout.
            if let Some(holdout) = self.holdout(extras.holdouts, trace) {
                return control(Reason::Holdout { holdout: self.name(holdout.key) });
            }
            // 6. Prerequisites.
            if let Some(flag) = self.unmet_prerequisite(extras.prerequisites, trace) {
                return control(Reason::Prerequisite { flag });
            }
        }
        // 7. Targeting.
        if let Some(condition) = experiment.targeting {
            let matched = self.holds(condition, trace);
            trace.record(|| Step::Targeting { matched });
            if !matched {
                return control(Reason::Targeting);
            }
        }
        if phase == Phase::Shipped {
            return match extras.and_then(|extras| extras.shipped) {
                Some(variant) => chosen(variant, Reason::Shipped),
                None => control(Reason::Inactive),
            };
        }
        // 8. Prior.
        if let Some(extras) = extras
            && (extras.sticky || extras.frozen)
        {
            let prior = self.prior(experiment);
            trace.record(|| Step::Prior {
                frozen: extras.frozen,
                variant: prior
                    .and_then(|at| self.variant(experiment.variants, at))
                    .map(|variant| self.name(variant.key).to_owned()),
            });
            match prior {
                Some(variant) => {
                    let bucket = self.bucket(experiment.salt, experiment.unit_type, unit);
                    return Self::if_enrolling(phase, enrolled(variant, bucket, Reason::Prior));
                }
                None if extras.frozen => return control(Reason::Frozen),
                None => {}
            }
        }
        // 9. and 10. Domain and layer.
        if let Some(reason) = self.outside_layer(experiment, unit, trace) {
            return control(reason);
        }
        // 11. Variant.
        let bucket = self.bucket(experiment.salt, experiment.unit_type, unit);
        let owner = owner_of(self.config.runs_of(experiment.split), bucket);
        trace.record(|| Step::Split {
            bucket,
            variant: owner
                .and_then(|at| self.variant(experiment.variants, at))
                .map(|variant| self.name(variant.key).to_owned()),
        });
        match owner {
            Some(variant) => {
                Self::if_enrolling(phase, enrolled(variant, bucket, Reason::Split { bucket }))
            }
            None => control(Reason::Inactive),
        }
    }

    /// A paused experiment that keeps serving shows the variant and enrols nobody.
    fn if_enrolling(phase: Phase, outcome: Outcome<'c>) -> Outcome<'c> {
        match phase {
            Phase::KeepServing => Outcome { enrolled: false, reason: Reason::Inactive, ..outcome },
            _ => outcome,
        }
    }

    fn phase(&self, experiment: &Experiment, extras: Option<&Extras>) -> Phase {
        if experiment.damaged {
            return Phase::Inactive;
        }
        let open = extras
            .and_then(|extras| extras.window)
            .is_none_or(|window| window.contains(self.now_ms));
        match experiment.status {
            ExperimentStatus::Running if open => Phase::Enrolling,
            ExperimentStatus::Scheduled
                if open
                    && extras.is_some_and(|e| e.window.is_some_and(|w| w.starts_at.is_some())) =>
            {
                Phase::Enrolling
            }
            ExperimentStatus::Paused
                if open
                    && extras.is_some_and(|e| {
                        Experiment::pause_behaviour(e) == PauseBehaviour::KeepServing
                    }) =>
            {
                Phase::KeepServing
            }
            ExperimentStatus::Completed
                if extras.is_some_and(|extras| extras.shipped.is_some()) =>
            {
                Phase::Shipped
            }
            _ => Phase::Inactive,
        }
    }

    /// The unit that an experiment randomises: the request's, or a time slice of its cluster.
    #[inline]
    fn unit(&self, experiment: &Experiment, extras: Option<&Extras>) -> Option<UnitText<'c>> {
        let unit = self.unit_text_of(experiment, extras)?;
        match unit {
            UnitText::Id(_) => Some(unit),
            UnitText::Slice { .. } => with_slice_text(unit, |_| unit),
        }
    }

    fn unit_text(&self, experiment: &Experiment) -> Option<UnitText<'c>> {
        self.unit_text_of(experiment, self.config.extras_of(experiment))
    }

    fn unit_text_of(
        &self,
        experiment: &Experiment,
        extras: Option<&Extras>,
    ) -> Option<UnitText<'c>> {
        if let Some(switchback) = extras.and_then(|extras| extras.switchback) {
            let name = self.name(switchback.cluster);
            let cluster = match self.context.unit_id(name) {
                Some(id) => id,
                None => self.context.value(name)?.as_str()?,
            };
            return Some(UnitText::Slice { cluster, slice: switchback.slice(self.now_ms)? });
        }
        self.context.unit_id(self.unit_type_name(experiment.unit_type)).map(UnitText::Id)
    }

    #[inline]
    fn bucket(&mut self, salt: SaltState, unit_type: UnitTypeId, unit: UnitText<'c>) -> u16 {
        match unit {
            UnitText::Id(id) => self.bucket_of(salt, unit_type, id),
            // `unit` has made sure that the slice has a text.
            UnitText::Slice { .. } => with_slice_text(unit, |text| salt.bucket(text)).unwrap_or(0),
        }
    }

    /// Bucket of a plain unit id, by its prepared form where a request keeps one.
    #[inline]
    fn bucket_of(&mut self, salt: SaltState, unit_type: UnitTypeId, id: &str) -> u16 {
        match self.memo.as_ref().and_then(|memo| memo.prepared(unit_type)) {
            Some(prepared) => salt.bucket_prepared(prepared),
            None => salt.bucket(id),
        }
    }

    fn prior(&self, experiment: &Experiment) -> Option<u16> {
        let prior = self.context.prior_variant(self.name(experiment.key))?;
        let variants = experiment.variants.of(&self.config.variants);
        let position = variants.iter().position(|variant| self.name(variant.key) == prior)?;
        u16::try_from(position).ok()
    }

    fn outside_layer<T: Trace>(
        &mut self,
        experiment: &'c Experiment,
        unit: UnitText<'c>,
        trace: &mut T,
    ) -> Option<Reason<'c>> {
        let layer_id = experiment.layer?;
        let config = self.config;
        let Some(layer) = config.layer(layer_id) else { return Some(Reason::Inactive) };
        if layer.domain_lo != 0 || layer.domain_hi != crate::bucket::BUCKET_COUNT {
            let bucket = self.bucket(config.domain_salt, experiment.unit_type, unit);
            let inside = layer.domain_lo <= bucket && bucket < layer.domain_hi;
            trace.record(|| Step::Domain {
                bucket,
                lo: layer.domain_lo,
                hi: layer.domain_hi,
                inside,
            });
            if !inside {
                return Some(Reason::Domain { bucket });
            }
        }
        // Units of a layer are of one type, so its bucket is the same for all of its experiments; a switchback's slice is not.
        let shared = matches!(unit, UnitText::Id(_));
        let remembered =
            self.memo.as_ref().filter(|_| shared).and_then(|memo| memo.layer_bucket(layer_id));
        let bucket = remembered.unwrap_or_else(|| {
            let bucket = self.bucket(layer.salt, experiment.unit_type, unit);
            if let Some(memo) = self.memo.as_mut().filter(|_| shared) {
                memo.set_layer_bucket(layer_id, bucket);
            }
            bucket
        });
        let runs = config.runs_of(layer.slots);
        let owned = owner_of(runs, bucket) == Some(experiment.slot);
        trace.record(|| Step::Layer {
            layer: self.name(layer.key).to_owned(),
            bucket,
            ranges: ranges_of(runs, experiment.slot).map(|range| (range.lo, range.hi)).collect(),
            owned,
        });
        (!owned).then_some(Reason::Traffic { bucket })
    }

    // --- flags ------------------------------------------------------------------------------------------------------

    fn flag<T: Trace>(&mut self, key: &'c str, flag: &'c Flag, trace: &mut T) -> Decision<'c> {
        trace
            .record(|| Step::Flag { flag: key.to_owned(), enabled: flag.enabled && !flag.damaged });
        let serve = |this: &Self, variant: u16, reason: Reason<'c>| {
            let variant = this.variant(flag.variants, variant);
            Decision {
                key,
                variant: variant.map(|v| this.name(v.key)),
                value: variant.map(|v| this.name(v.value)),
                enrolled: false,
                reason,
                exposure: None,
                is_experiment: false,
            }
        };
        // 2. The kill switch.
        if !flag.enabled || flag.damaged {
            return serve(self, flag.off_variant, Reason::Disabled);
        }
        // 3. Holdout.
        if let Some(holdout) = self.holdout(flag.holdouts, trace) {
            return serve(
                self,
                flag.off_variant,
                Reason::Holdout { holdout: self.name(holdout.key) },
            );
        }
        // 4. Prerequisites.
        if let Some(required) = self.unmet_prerequisite(flag.prerequisites, trace) {
            return serve(self, flag.off_variant, Reason::Prerequisite { flag: required });
        }
        let unit = self.context.unit_id(self.unit_type_name(flag.unit_type));
        // 5. Individual targets.
        if let Some(unit) = unit
            && !flag.targets.is_empty()
        {
            let found = self.list_position(flag.unit_type, unit, flag.targets);
            trace.record(|| Step::List {
                list: format!("targets of {key}"),
                searchable: self.list_key.is_some(),
                found: found.is_some(),
            });
            if let Some(variant) =
                found.and_then(|at| self.listed_variant(flag.target_variants, at))
            {
                return serve(self, variant, Reason::Target);
            }
        }
        // 6. Rules.
        for (index, rule) in (0u16..).zip(flag.rules.of(&self.config.rules)) {
            let matched = rule.condition.is_none_or(|condition| self.holds(condition, trace));
            if !matched {
                trace.record(|| Step::Rule {
                    index,
                    bucket: None,
                    included_below: rule.rollout,
                    serves: false,
                });
                continue;
            }
            let everybody = rule.rollout >= crate::bucket::BUCKET_COUNT;
            let bucket = match unit {
                Some(unit) if !everybody => Some(self.bucket_of(rule.salt, flag.unit_type, unit)),
                _ => None,
            };
            let included = everybody || bucket.is_some_and(|bucket| bucket < rule.rollout);
            trace.record(|| Step::Rule {
                index,
                bucket,
                included_below: rule.rollout,
                serves: included,
            });
            if !included {
                continue;
            }
            match rule.serve {
                RuleServe::Variant(variant) => return serve(self, variant, Reason::Rule { index }),
                RuleServe::Split(slots) => {
                    let Some(unit) = unit else { continue };
                    let bucket = self.bucket_of(flag.salt, flag.unit_type, unit);
                    let owner = owner_of(self.config.runs_of(crate::slots::SlotsId(slots)), bucket);
                    trace.record(|| Step::Split {
                        bucket,
                        variant: owner
                            .and_then(|at| self.variant(flag.variants, at))
                            .map(|variant| self.name(variant.key).to_owned()),
                    });
                    if let Some(variant) = owner {
                        return serve(self, variant, Reason::Split { bucket });
                    }
                }
                RuleServe::Experiment(id) => {
                    let Some(experiment) = self.config.experiments.get(id.0 as usize) else {
                        continue;
                    };
                    let outcome = self.experiment(experiment, trace);
                    // Skipped when nobody chose a variant for the unit: overrides and shipped variants did.
                    if outcome.chosen {
                        return self.experiment_decision(key, experiment, outcome, false);
                    }
                }
            }
        }
        // 7. The default.
        let reason = if flag.rules.is_empty() { Reason::Static } else { Reason::Default };
        serve(self, flag.default_variant, reason)
    }

    // --- what both ask ----------------------------------------------------------------------------------------------

    /// The first holdout of a list that holds the request's unit.
    fn holdout<T: Trace>(&mut self, holdouts: Span, trace: &mut T) -> Option<&'c Holdout> {
        if holdouts.is_empty() {
            return None;
        }
        let config = self.config;
        for id in holdouts.of(&config.holdout_ids) {
            let Some(holdout) = config.holdouts.get(id.0 as usize) else { continue };
            let remembered = self.memo.as_ref().and_then(|memo| memo.holdout_bucket(*id));
            let bucket = remembered.or_else(|| {
                let unit = self.context.unit_id(self.unit_type_name(holdout.unit_type))?;
                let bucket = self.bucket_of(holdout.salt, holdout.unit_type, unit);
                if let Some(memo) = self.memo.as_mut() {
                    memo.set_holdout_bucket(*id, bucket);
                }
                Some(bucket)
            });
            let held = bucket.is_some_and(|bucket| bucket < holdout.size);
            trace.record(|| Step::Holdout {
                holdout: self.name(holdout.key).to_owned(),
                bucket,
                held_below: holdout.size,
                held,
            });
            if held {
                return Some(holdout);
            }
        }
        None
    }

    /// Key of the first required flag that serves another variant than the required one.
    fn unmet_prerequisite<T: Trace>(&mut self, required: Span, trace: &mut T) -> Option<&'c str> {
        if required.is_empty() {
            return None;
        }
        let config = self.config;
        for row in required.of(&config.prerequisites) {
            let Some(entry) = config.entries.get(row.entry as usize) else { return Some("") };
            let variants = match entry.target {
                Target::Flag(id) => config.flags.get(id as usize).map(|flag| flag.variants),
                Target::Experiment(id) => config.experiments.get(id as usize).map(|e| e.variants),
            };
            let wanted = variants
                .and_then(|variants| self.variant(variants, row.variant))
                .map(|variant| self.name(variant.key));
            let served = match self.budget.checked_sub(1) {
                Some(left) => {
                    self.budget = left;
                    self.decide(row.entry, trace).variant
                }
                None => None,
            };
            let met = wanted.is_some() && wanted == served;
            let flag = self.name(entry.key);
            trace.record(|| Step::Prerequisite {
                flag: flag.to_owned(),
                required: wanted.unwrap_or_default().to_owned(),
                served: served.map(str::to_owned),
                met,
            });
            if !met {
                return Some(flag);
            }
        }
        None
    }

    /// Position of a unit in a list of fingerprints.
    fn list_position(&mut self, unit_type: UnitTypeId, unit: &str, list: Span) -> Option<usize> {
        if list.is_empty() {
            return None;
        }
        let key = self.list_key?;
        let name = self.unit_type_name(unit_type);
        // A switchback's slice is not the request's unit of that type, so it is neither kept nor taken from what is kept.
        let plain = self.context.unit_id(name) == Some(unit);
        let fingerprint = match self.fingerprint {
            Some((known, fingerprint)) if plain && known == unit_type => fingerprint,
            _ => unit_fingerprint(key, name, unit),
        };
        if plain {
            self.fingerprint = Some((unit_type, fingerprint));
        }
        self.config.position(list, &fingerprint)
    }

    fn listed_variant(&self, start: u32, at: usize) -> Option<u16> {
        self.config.listed_variants.get((start as usize).checked_add(at)?).copied()
    }

    /// Whether a condition is true of the request.
    fn holds<T: Trace>(&mut self, id: NodeId, trace: &mut T) -> bool {
        if !T::LISTENS
            && let Some(known) = self.memo.as_ref().and_then(|memo| memo.condition(id))
        {
            return known;
        }
        let holds = self.work_out(id, trace);
        if let Some(memo) = self.memo.as_mut() {
            memo.set_condition(id, holds);
        }
        holds
    }

    fn work_out<T: Trace>(&mut self, id: NodeId, trace: &mut T) -> bool {
        let config = self.config;
        match config.nodes.get(id.0 as usize) {
            Some(Node::All(children)) => children
                .of(&config.children)
                .iter()
                .all(|&child| child < id && self.holds(child, trace)),
            Some(Node::Any(children)) => children
                .of(&config.children)
                .iter()
                .any(|&child| child < id && self.holds(child, trace)),
            Some(Node::Not(child)) => *child < id && !self.holds(*child, trace),
            Some(Node::Compare(at)) => self.comparison(*at, trace),
            Some(Node::Segment(segment)) => self.segment(id, segment.0, trace),
            Some(Node::Never) | None => false,
        }
    }

    fn comparison<T: Trace>(&mut self, at: u32, trace: &mut T) -> bool {
        let config = self.config;
        let Some(comparison) = config.comparisons.get(at as usize) else { return false };
        let Some(&attribute) = config.attributes.get(comparison.attribute.0 as usize) else {
            return false;
        };
        let name = self.name(attribute);
        let value = self.context.value(name);
        let operator = Operator::from_code(comparison.op);
        let operands = Operands {
            strings: &config.strings,
            patterns: &config.patterns,
            values: comparison.values.of(&config.literals),
        };
        let matched = match (operator, value) {
            (Some(operator), Some(value)) => compare(operator, value, operands),
            _ => false,
        };
        trace.record(|| Step::Comparison {
            attribute: name.to_owned(),
            op: operator.map_or("unknown", Operator::as_str).to_owned(),
            present: value.is_some(),
            matched,
        });
        matched
    }

    fn segment<T: Trace>(&mut self, node: NodeId, at: u32, trace: &mut T) -> bool {
        let config = self.config;
        let Some(segment) = config.segments.get(at as usize) else { return false };
        let unit = self.context.unit_id(self.unit_type_name(segment.unit_type));
        let mut listed = |this: &mut Self, list: Span, name: &str| {
            let Some(unit) = unit.filter(|_| !list.is_empty()) else { return false };
            let found = this.list_position(segment.unit_type, unit, list).is_some();
            trace.record(|| Step::List {
                list: format!("{name} of {}", this.name(segment.key)),
                searchable: this.list_key.is_some(),
                found,
            });
            found
        };
        let matched = if listed(self, segment.exclude, "exclude") {
            false
        } else if listed(self, segment.include, "include") {
            true
        } else {
            segment
                .condition
                .is_some_and(|condition| condition < node && self.holds(condition, trace))
        };
        trace.record(|| Step::Segment { segment: self.name(segment.key).to_owned(), matched });
        matched
    }
}

/// What an experiment does for units that reach it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Inactive,
    Enrolling,
    KeepServing,
    Shipped,
}

fn status_name(status: ExperimentStatus) -> &'static str {
    match status {
        ExperimentStatus::Scheduled => "scheduled",
        ExperimentStatus::Running => "running",
        ExperimentStatus::Paused => "paused",
        ExperimentStatus::Completed => "completed",
    }
}

/// Room for one request's prepared unit ids, by unit type.
pub(crate) fn prepare<'c>(
    config: &'c CompiledConfig<'c>,
    context: &'c Context<'c>,
) -> Vec<Option<PreparedUnit<'c>>> {
    config
        .unit_types
        .iter()
        .map(|&name| context.unit_id(config.strings.get(name)).and_then(PreparedUnit::new))
        .collect()
}
