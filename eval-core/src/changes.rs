//! What would change a decision: every gate between a unit and the answer that it did not get.
//!
//! An explanation says which step said no; people who ask want to know what would have made it say yes. So all gates are
//! looked at, also those behind the first closed one, and each closed gate says what it needs: the values of an
//! attribute, the buckets of a space, the time at which a window opens.

use crate::config::{
    Entry, Experiment, ExperimentId, Extras, Flag, Rule, RuleServe, Span, Target, Variants,
};
use crate::context::{AttributeValue, Context};
use crate::decision::{Reason, Unit};
use crate::evaluate::Request;
use crate::experiment::{Phase, status_name};
use crate::explain::NoTrace;
use crate::needs::{Need, Room};
use crate::slots::{SlotsId, owner_of, ranges_of};
use crate::unit::with_slice_text;
use serde::Serialize;

/// A half-open range of buckets.
pub type Buckets = (u16, u16);

/// Buckets that lead to a variant.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VariantBuckets {
    /// The variant.
    pub variant: String,
    /// Its buckets, half-open.
    pub ranges: Vec<Buckets>,
}

/// Something that, were it otherwise, would change the outcome.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// The experiment enrols nobody now: it must be running, in its window.
    Status {
        /// Its key.
        experiment: String,
        /// Its status in the config.
        status: &'static str,
        /// When its window opens, epoch milliseconds, where that is still to come.
        opens_at_ms: Option<i64>,
        /// When its window closed, epoch milliseconds, where that is past.
        closed_at_ms: Option<i64>,
    },
    /// The flag must be switched on.
    Switch {
        /// Its key.
        flag: String,
    },
    /// The request must name a unit of this type.
    Unit {
        /// Unit type, or the cluster of a switchback.
        unit_type: String,
    },
    /// The unit stands in a list that decides before everything else.
    List {
        /// `overrides` or `targets`, and whose.
        list: String,
        /// What the list gives the unit.
        variant: String,
    },
    /// The `consent` attribute must be true.
    Consent,
    /// A holdout holds the unit. Another unit is held when its bucket is below.
    Holdout {
        /// Its name.
        holdout: String,
        /// The unit's bucket.
        bucket: u16,
        /// Buckets below this one are held.
        held_below: u16,
    },
    /// A required flag must serve another variant.
    Prerequisite {
        /// Its key.
        flag: String,
        /// What is required.
        required: String,
        /// What it serves.
        served: Option<String>,
    },
    /// The audience: what the context must have.
    Targeting {
        /// What is missing.
        needs: Need,
    },
    /// Enrolment is frozen: the request must bring a prior assignment.
    Frozen {
        /// Variants that can be brought.
        variants: Vec<String>,
    },
    /// The request brings a prior assignment, which is kept.
    Prior {
        /// The variant that is kept.
        variant: String,
        /// What the unit would get without it.
        without: Option<String>,
        /// Why.
        without_reason: &'static str,
    },
    /// The layer exists in a slice of the domain space only.
    Domain {
        /// The unit's bucket.
        bucket: u16,
        /// The slice, half-open.
        slice: Buckets,
    },
    /// The unit's bucket of the layer is not the experiment's.
    Traffic {
        /// Name of the layer; empty for the own layer of one experiment.
        layer: String,
        /// The unit's bucket.
        bucket: u16,
        /// Buckets in which it would take part.
        ranges: Vec<Buckets>,
        /// The experiment that owns the unit's bucket, if any does.
        owner: Option<String>,
    },
    /// The variant was dealt: other buckets lead to other variants.
    Split {
        /// The unit's bucket.
        bucket: u16,
        /// Who owns which buckets.
        variants: Vec<VariantBuckets>,
    },
    /// The experiment is over and its shipped variant goes to everyone in the audience.
    Shipped {
        /// The variant.
        variant: String,
    },
    /// A rule of a flag: what would make it serve, or, for the one that serves, what would stop it.
    Rule {
        /// Its position, from 0.
        index: u16,
        /// Whether it serves now.
        serves: bool,
        /// What its condition needs to become the opposite; none when the condition is not what decides.
        needs: Option<Need>,
        /// The unit's bucket in the rollout.
        bucket: Option<u16>,
        /// Buckets below this one are included.
        included_below: u16,
        /// The gates of the experiment that the rule serves, where the experiment chose nothing.
        experiment: Vec<Change>,
    },
}

impl<'c> Request<'c> {
    /// What would change the outcome of a key; empty for a key that nothing has.
    pub fn changes(&mut self, key: &str) -> Vec<Change> {
        let config = self.config;
        self.restore_budget();
        match self.find(key).map(Entry::target) {
            Some(Target::Experiment(id)) => {
                config.experiments.get(id as usize).map(|e| self.experiment_changes(e))
            }
            Some(Target::Flag(id)) => {
                config.flags.get(id as usize).map(|flag| self.flag_changes(key, flag))
            }
            None => None,
        }
        .unwrap_or_default()
    }

    fn named(&self, variants: Variants, at: u16) -> String {
        self.variant_name(variants, at).unwrap_or_default().to_owned()
    }

    fn experiment_changes(&mut self, experiment: &'c Experiment) -> Vec<Change> {
        let decision = self.own_decision(experiment);
        match decision.reason() {
            Reason::Split { bucket } => {
                return vec![self.split_change(experiment.split, experiment.variants, bucket)];
            }
            Reason::Prior => {
                let (without, without_reason) = self.without_prior(experiment);
                let variant = decision.variant().unwrap_or_default().to_owned();
                return vec![Change::Prior { variant, without, without_reason }];
            }
            _ => {}
        }
        let mut changes = Vec::new();
        let extras = self.config.extras_of(experiment).copied().unwrap_or_default();
        let phase = self.phase(experiment, Some(&extras));
        if matches!(phase, Phase::Inactive | Phase::KeepServing) {
            changes.push(self.status_change(experiment, &extras));
        }
        let unit = self.unit(experiment, Some(&extras));
        match unit {
            Some(unit) if phase != Phase::Shipped => {
                changes.extend(self.override_change(experiment, &extras, unit));
            }
            Some(_) => {}
            None => changes.push(Change::Unit {
                unit_type: match extras.switchback {
                    Some(design) => self.name(design.cluster),
                    None => self.unit_type_name(experiment.unit_type),
                }
                .to_owned(),
            }),
        }
        if self.config.requires_consent
            && self.context.value("consent") != Some(&AttributeValue::Bool(true))
        {
            changes.push(Change::Consent);
        }
        self.holdout_changes(extras.holdouts, &mut changes);
        self.prerequisite_changes(extras.prerequisites, &mut changes);
        if let Some(needs) =
            experiment.targeting().and_then(|id| self.need(id, true, &mut Room::default()))
        {
            changes.push(Change::Targeting { needs });
        }
        if phase == Phase::Shipped {
            if let Some(at) = extras.shipped.filter(|_| changes.is_empty()) {
                changes.push(Change::Shipped { variant: self.named(experiment.variants, at) });
            }
            return changes;
        }
        if extras.frozen && self.prior(experiment).is_none() {
            let names = self.config.names_of(experiment.variants);
            changes.push(Change::Frozen {
                variants: names.iter().map(|&name| self.name(name).to_owned()).collect(),
            });
        }
        if let Some(unit) = unit {
            self.layer_changes(experiment, unit, &mut changes);
        }
        changes
    }

    fn status_change(&self, experiment: &Experiment, extras: &Extras) -> Change {
        let now_ms = self.now_ms;
        let window = extras.window;
        Change::Status {
            experiment: self.name(experiment.key).to_owned(),
            status: status_name(experiment.status),
            opens_at_ms: window.and_then(|w| w.starts_at).filter(|&at| at > now_ms),
            closed_at_ms: window.and_then(|w| w.ends_at).filter(|&at| at <= now_ms),
        }
    }

    fn override_change(
        &mut self,
        experiment: &Experiment,
        extras: &Extras,
        unit: Unit<'c>,
    ) -> Option<Change> {
        let found = with_slice_text(unit, |text| {
            self.list_position(experiment.unit_type, text, extras.overrides)
        })
        .flatten()?;
        let variant = self.listed_variant(extras.override_variants, found)?;
        Some(Change::List {
            list: format!("overrides of {}", self.name(experiment.key)),
            variant: self.named(experiment.variants, variant),
        })
    }

    fn holdout_changes(&mut self, holdouts: Span, changes: &mut Vec<Change>) {
        let config = self.config;
        for id in holdouts.of(&config.holdout_ids) {
            let Some(holdout) = config.holdouts.get(id.0 as usize) else { continue };
            let Some(unit) = self.unit_id(holdout.unit_type) else { continue };
            let bucket = self.bucket_of(holdout.salt, holdout.unit_type, unit);
            if bucket < holdout.size {
                changes.push(Change::Holdout {
                    holdout: self.name(holdout.key).to_owned(),
                    bucket,
                    held_below: holdout.size,
                });
            }
        }
    }

    fn prerequisite_changes(&mut self, required: Span, changes: &mut Vec<Change>) {
        let config = self.config;
        for row in required.of(&config.prerequisites) {
            let Some(entry) = config.entries.get(row.entry as usize) else { continue };
            let variants = match entry.target() {
                Target::Flag(id) => config.flags.get(id as usize).map(|flag| flag.variants),
                Target::Experiment(id) => config.experiments.get(id as usize).map(|e| e.variants),
            };
            let wanted = variants.map(|variants| self.named(variants, row.variant));
            let wanted = wanted.unwrap_or_default();
            self.restore_budget();
            let served = self.decide(row.entry, &mut NoTrace).variant();
            if served != Some(wanted.as_str()) {
                changes.push(Change::Prerequisite {
                    flag: self.name(entry.key).to_owned(),
                    required: wanted,
                    served: served.map(str::to_owned),
                });
            }
        }
    }

    fn layer_changes(
        &mut self,
        experiment: &'c Experiment,
        unit: Unit<'c>,
        changes: &mut Vec<Change>,
    ) {
        let config = self.config;
        let Some(layer) = experiment.layer().and_then(|id| config.layer(id)) else { return };
        if layer.domain_lo != 0 || layer.domain_hi != crate::bucket::BUCKET_COUNT {
            let bucket = self.bucket(config.domain_salt, experiment.unit_type, unit);
            if bucket < layer.domain_lo || bucket >= layer.domain_hi {
                changes.push(Change::Domain { bucket, slice: (layer.domain_lo, layer.domain_hi) });
            }
        }
        let bucket = self.bucket(layer.salt, experiment.unit_type, unit);
        let runs = config.runs_of(layer.slots);
        let owner = owner_of(runs, bucket);
        if owner != Some(experiment.slot) {
            let owns = |e: &&Experiment| e.layer == experiment.layer && Some(e.slot) == owner;
            changes.push(Change::Traffic {
                layer: self.name(layer.key).to_owned(),
                bucket,
                ranges: ranges_of(runs, experiment.slot).map(|r| (r.lo, r.hi)).collect(),
                owner: config.experiments.iter().find(owns).map(|e| self.name(e.key).to_owned()),
            });
        }
    }

    fn split_change(&self, split: SlotsId, variants: Variants, bucket: u16) -> Change {
        let runs = self.config.runs_of(split);
        let rows = (0u16..).zip(self.config.names_of(variants)).map(|(at, &name)| {
            let ranges = ranges_of(runs, at).map(|range| (range.lo, range.hi)).collect();
            VariantBuckets { variant: self.name(name).to_owned(), ranges }
        });
        Change::Split { bucket, variants: rows.collect() }
    }

    /// What an experiment would decide had the request brought no prior assignment of it.
    fn without_prior(&self, experiment: &'c Experiment) -> (Option<String>, &'static str) {
        let key = self.name(experiment.key);
        let mut context: Context<'_> = self.context.clone();
        context.prior.retain(|(name, _)| name != key);
        let mut request = Request::new(self.config, &context, self.list_key, self.now_ms);
        let decision = request.own_decision(experiment);
        (decision.variant().map(str::to_owned), decision.reason().as_str())
    }

    fn flag_changes(&mut self, key: &str, flag: &'c Flag) -> Vec<Change> {
        let mut changes = Vec::new();
        if !flag.enabled || flag.damaged {
            changes.push(Change::Switch { flag: key.to_owned() });
        }
        self.holdout_changes(flag.holdouts, &mut changes);
        self.prerequisite_changes(flag.prerequisites, &mut changes);
        let unit = self.unit_id(flag.unit_type).map(AsRef::as_ref);
        let listed = unit.and_then(|id| self.list_position(flag.unit_type, id, flag.targets));
        if let Some(variant) = listed.and_then(|at| self.listed_variant(flag.target_variants, at)) {
            changes.push(Change::List {
                list: format!("targets of {key}"),
                variant: self.named(flag.variants, variant),
            });
        }
        if unit.is_none() {
            let unit_type = self.unit_type_name(flag.unit_type).to_owned();
            changes.push(Change::Unit { unit_type });
        }
        for (index, rule) in (0u16..).zip(flag.rules.of(&self.config.rules)) {
            let serves = self.rule_change(flag, index, rule, unit, &mut changes);
            if serves {
                break;
            }
        }
        changes
    }

    /// Adds what would change a rule's say, and answers whether it serves.
    fn rule_change(
        &mut self,
        flag: &'c Flag,
        index: u16,
        rule: &'c Rule,
        unit: Option<&'c str>,
        changes: &mut Vec<Change>,
    ) -> bool {
        let holds = rule.condition.is_none_or(|id| self.holds(id, &mut NoTrace));
        let needs = rule.condition.and_then(|id| self.need(id, !holds, &mut Room::default()));
        let everybody = rule.rollout >= crate::bucket::BUCKET_COUNT;
        let bucket =
            unit.filter(|_| !everybody).map(|unit| self.bucket_of(rule.salt, flag.unit_type, unit));
        let included = everybody || bucket.is_some_and(|bucket| bucket < rule.rollout);
        let mut serves = holds && included;
        let mut experiment = Vec::new();
        let mut split = None;
        match rule.serve {
            RuleServe::Variant(_) => {}
            RuleServe::Split(slots) => {
                serves &= unit.is_some();
                if let Some(unit) = unit.filter(|_| serves) {
                    let bucket = self.bucket_of(flag.salt, flag.unit_type, unit);
                    split = Some(self.split_change(slots, flag.variants, bucket));
                }
            }
            RuleServe::Experiment(ExperimentId(id)) => {
                if let Some(served) = self.config.experiments.get(id as usize) {
                    serves &= self.own_decision(served).is_chosen;
                    experiment = self.experiment_changes(served);
                }
            }
        }
        changes.push(Change::Rule {
            index,
            serves,
            // A condition that holds decides nothing where the rollout leaves the unit out.
            needs: needs.filter(|_| serves || !holds),
            bucket,
            included_below: rule.rollout,
            experiment,
        });
        changes.extend(split);
        serves
    }
}
