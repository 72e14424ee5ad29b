//! From a config to its client form.

use crate::bucket::SaltState;
use crate::client::names::{NameHash, Names, text_of};
use crate::client::reach::{Life, Reach};
use crate::client::tables::{Conditions, Slots};
use crate::compile::intern::{Strings, VariantLists, index};
use crate::compile::{key_index, transitions};
use crate::config::{
    CompiledConfig, Entry, Experiment, ExperimentId, Extras, Flag, Holdout, HoldoutId, Layer,
    LayerId, Maybe, PrerequisiteRow, Rule, RuleServe, Span, Switchback, Target, Variants,
};
use crate::slots::{NOBODY, Run, SlotsId};
use crate::source::ExperimentStatus;
use crate::strings::{StringId, Word};
use crate::targeting::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// The client form of a config.
pub fn form(config: &CompiledConfig<'_>) -> CompiledConfig<'static> {
    let names = Names::new(config.environment());
    let reach = Reach::of(config);
    let mut kept: BTreeMap<String, u32> = BTreeMap::new();
    let mut at_edge: BTreeSet<NameHash> = BTreeSet::new();
    for (at, entry) in config.entries.iter().enumerate() {
        let hash = names.key(config.strings.get(entry.key));
        if reach.entries.get(at) == Some(&true) {
            kept.insert(text_of(&hash), index(at));
        } else {
            at_edge.insert(hash);
        }
    }
    let mut builder = Builder::new(config, names, &kept);
    builder.holdouts();
    builder.layers();
    builder.experiments();
    builder.flags();
    builder.finish(&kept, at_edge)
}

struct Builder<'s, 'b> {
    config: &'s CompiledConfig<'b>,
    names: Names,
    strings: Strings,
    variants: VariantLists,
    slots: Slots,
    conditions: Conditions,
    /// Kept experiments in the order of their hashes, by old index.
    experiments: Vec<u32>,
    experiment_ids: BTreeMap<u32, u32>,
    flags: Vec<u32>,
    flag_ids: BTreeMap<u32, u32>,
    entry_ids: BTreeMap<u32, u32>,
    holdout_ids: BTreeMap<HoldoutId, HoldoutId>,
    layer_ids: BTreeMap<LayerId, LayerId>,
    /// New slot of an experiment in its layer.
    slot_of: BTreeMap<u32, u16>,
    made: CompiledConfig<'static>,
}

impl<'s, 'b> Builder<'s, 'b> {
    fn new(config: &'s CompiledConfig<'b>, names: Names, kept: &BTreeMap<String, u32>) -> Self {
        let mut experiments: BTreeSet<u32> = BTreeSet::new();
        let mut flags = Vec::new();
        let mut entry_ids = BTreeMap::new();
        for (new, &old) in kept.values().enumerate() {
            entry_ids.insert(old, index(new));
            match config.entries.get(old as usize).map(|entry| entry.target()) {
                Some(Target::Experiment(id)) => {
                    experiments.insert(id);
                }
                Some(Target::Flag(id)) => {
                    flags.push(id);
                    experiments.extend(served_by(config, id));
                }
                None => {}
            }
        }
        // In the order of the hashes: the order of the names would tell something of them.
        let mut by_hash: Vec<(String, u32)> = experiments
            .into_iter()
            .filter_map(|id| {
                let experiment = config.experiments.get(id as usize)?;
                Some((names.experiment(config.strings.get(experiment.key)), id))
            })
            .collect();
        by_hash.sort_unstable();
        let experiments: Vec<u32> = by_hash.into_iter().map(|(_, id)| id).collect();
        let numbered = |ids: &[u32]| ids.iter().copied().zip(0u32..).collect();
        let mut strings = Strings::new();
        // What a missing name reads as, and what names are left out by.
        strings.intern("");
        let roots: Vec<NodeId> = roots(config, &experiments, &flags);
        let conditions = Conditions::keep(config, roots.into_iter(), &names, &mut strings);
        Self {
            config,
            strings,
            variants: VariantLists::default(),
            slots: Slots::default(),
            conditions,
            experiment_ids: numbered(&experiments),
            experiments,
            flag_ids: numbered(&flags),
            flags,
            entry_ids,
            holdout_ids: BTreeMap::new(),
            layer_ids: BTreeMap::new(),
            slot_of: BTreeMap::new(),
            names,
            made: CompiledConfig {
                environment: config.environment.clone(),
                requires_consent: config.requires_consent,
                ..CompiledConfig::default()
            },
        }
    }

    fn experiment_at(&self, id: u32) -> Option<(&'s Experiment, Extras)> {
        let experiment = self.config.experiments.get(id as usize)?;
        Some((experiment, self.config.extras_of(experiment).copied().unwrap_or_default()))
    }

    /// Holdouts that something kept names, without their names.
    fn holdouts(&mut self) {
        let config = self.config;
        let mut spans: Vec<Span> = Vec::new();
        for &id in &self.experiments {
            if let Some((experiment, extras)) = self.experiment_at(id)
                && Life::of(experiment, Some(&extras)) != Life::Over
            {
                spans.push(extras.holdouts);
            }
        }
        for &id in &self.flags {
            spans.extend(config.flags.get(id as usize).filter(|f| f.enabled).map(|f| f.holdouts));
        }
        let wanted: BTreeSet<HoldoutId> =
            spans.into_iter().flat_map(|span| span.of(&config.holdout_ids)).copied().collect();
        let nameless = self.strings.intern("");
        for id in wanted {
            let Some(holdout) = config.holdouts.get(id.0 as usize) else { continue };
            self.holdout_ids.insert(id, HoldoutId(index(self.made.holdouts.len())));
            self.made.holdouts.push(Holdout { key: nameless, ..holdout.clone() });
        }
    }

    /// Layers that something kept takes part in. Buckets of experiments that are not kept belong to nobody here.
    fn layers(&mut self) {
        let config = self.config;
        let mut members: BTreeMap<LayerId, BTreeMap<u16, u16>> = BTreeMap::new();
        let mut order: Vec<LayerId> = Vec::new();
        for &id in &self.experiments {
            let Some((experiment, extras)) = self.experiment_at(id) else { continue };
            if Life::of(experiment, Some(&extras)) != Life::Deals {
                continue;
            }
            let Some(layer) = experiment.layer() else { continue };
            let slots = members.entry(layer).or_insert_with(|| {
                order.push(layer);
                BTreeMap::new()
            });
            let next = u16::try_from(slots.len()).unwrap_or(NOBODY);
            let slot = *slots.entry(experiment.slot).or_insert(next);
            self.slot_of.insert(id, slot);
        }
        let nameless = self.strings.intern("");
        for id in order {
            let (Some(layer), Some(slots)) = (config.layer(id), members.get(&id)) else { continue };
            let table = self.slots.intern(config.runs_of(layer.slots), |owner| {
                slots.get(&owner).copied().unwrap_or(NOBODY)
            });
            if layer.domain_lo != 0 || layer.domain_hi != crate::bucket::BUCKET_COUNT {
                self.made.domain_salt = config.domain_salt;
            }
            self.layer_ids.insert(id, LayerId(index(self.made.layers.len())));
            self.made.layers.push(Layer { key: nameless, slots: table, ..layer.clone() });
        }
    }

    fn experiments(&mut self) {
        let config = self.config;
        for id in self.experiments.clone() {
            let Some((experiment, extras)) = self.experiment_at(id) else { continue };
            let life = Life::of(experiment, Some(&extras));
            let mut served: BTreeSet<u16> = BTreeSet::from([experiment.control]);
            let split = if life == Life::Deals {
                let runs = config.runs_of(experiment.split);
                served.extend(runs.iter().map(|run| run.owner));
                self.slots.intern(runs, |owner| owner)
            } else {
                served.extend(extras.shipped.filter(|_| life == Life::Shipped));
                self.whole_space(experiment.control)
            };
            let key = config.strings.get(experiment.key);
            let made = Experiment {
                key: self.strings.intern(&self.names.experiment(key)),
                salt: if life == Life::Deals { experiment.salt } else { SaltState::default() },
                targeting: Maybe::from_option(
                    self.condition(experiment.targeting().filter(|_| life != Life::Over))
                        .map(|id| id.0),
                ),
                layer: Maybe::from_option(
                    experiment
                        .layer()
                        .filter(|_| life == Life::Deals)
                        .and_then(|id| self.layer_ids.get(&id))
                        .map(|id| id.0),
                ),
                slot: self.slot_of.get(&id).copied().unwrap_or(0),
                variants: self.variants(experiment.variants, &served),
                split,
                extras: self.extras(life, &extras),
                control: experiment.control,
                unit_type: experiment.unit_type,
                // Which of the two it is that serves control for good is nobody's business.
                status: if life == Life::Over {
                    ExperimentStatus::Completed
                } else {
                    experiment.status
                },
                damaged: false,
            };
            self.made.experiments.push(made);
        }
    }

    fn whole_space(&mut self, owner: u16) -> SlotsId {
        self.slots.intern(&[Run { end: crate::bucket::BUCKET_COUNT, owner }], |owner| owner)
    }

    fn condition(&self, id: Option<NodeId>) -> Option<NodeId> {
        self.conditions.place(id?)
    }

    /// Variants keep their names and places; only those that can be served keep their values.
    fn variants(&mut self, variants: Variants, served: &BTreeSet<u16>) -> Variants {
        let config = self.config;
        let names: Vec<StringId> = config
            .names_of(variants)
            .iter()
            .map(|&name| self.strings.intern(config.strings.get(name)))
            .collect();
        let values = (0..variants.len)
            .map(|at| match config.variant_value(variants.at(at)) {
                Some(value) if served.contains(&at) => self.strings.intern(value),
                _ => self.strings.intern(""),
            })
            .collect();
        Variants {
            names: self.variants.names(names),
            values: self.variants.values(values),
            len: variants.len,
        }
    }

    fn extras(&mut self, life: Life, extras: &Extras) -> Maybe {
        if life == Life::Over {
            return Maybe::NONE;
        }
        let deals = life == Life::Deals;
        let made = Extras {
            window: extras.window.filter(|_| deals),
            switchback: extras.switchback.map(|design| {
                let cluster = self.names.attribute(self.config.strings.get(design.cluster));
                Switchback { cluster: self.strings.intern(&cluster), ..design }
            }),
            shipped: extras.shipped.filter(|_| !deals),
            holdouts: self.holdout_span(extras.holdouts),
            prerequisites: self.prerequisite_span(extras.prerequisites),
            keep_serving: extras.keep_serving && deals,
            ..Extras::default()
        };
        if made == Extras::default() {
            return Maybe::NONE;
        }
        let id = index(self.made.extras.len());
        self.made.extras.push(made);
        Maybe::from_option(Some(id))
    }

    fn holdout_span(&mut self, span: Span) -> Span {
        let ids: Vec<HoldoutId> = span
            .of(&self.config.holdout_ids)
            .iter()
            .filter_map(|id| self.holdout_ids.get(id).copied())
            .collect();
        push_all(&mut self.made.holdout_ids, ids)
    }

    fn prerequisite_span(&mut self, span: Span) -> Span {
        let rows: Vec<PrerequisiteRow> = span
            .of(&self.config.prerequisites)
            .iter()
            .filter_map(|row| {
                let entry = self.entry_ids.get(&row.entry).copied()?;
                Some(PrerequisiteRow { entry, variant: row.variant })
            })
            .collect();
        push_all(&mut self.made.prerequisites, rows)
    }

    fn flags(&mut self) {
        for id in self.flags.clone() {
            if let Some(flag) = self.config.flags.get(id as usize) {
                let made = if flag.enabled { self.live_flag(flag) } else { self.dead_flag(flag) };
                self.made.flags.push(made);
            }
        }
    }

    /// A flag that is switched off serves one variant, whoever asks.
    fn dead_flag(&mut self, flag: &Flag) -> Flag {
        let variants = self.variants(flag.variants, &BTreeSet::from([flag.off_variant]));
        Flag {
            key: self.strings.intern(""),
            salt: SaltState::default(),
            variants,
            default_variant: flag.off_variant,
            holdouts: Span::default(),
            prerequisites: Span::default(),
            targets: Span::default(),
            target_variants: 0,
            rules: Span::default(),
            ..*flag
        }
    }

    fn live_flag(&mut self, flag: &Flag) -> Flag {
        let config = self.config;
        let mut served = BTreeSet::from([flag.default_variant]);
        if !flag.holdouts.is_empty() || !flag.prerequisites.is_empty() {
            served.insert(flag.off_variant);
        }
        let mut rules = Vec::new();
        for rule in flag.rules.of(&config.rules) {
            let serve = match rule.serve {
                RuleServe::Variant(at) => {
                    served.insert(at);
                    RuleServe::Variant(at)
                }
                RuleServe::Split(slots) => {
                    let runs = config.runs_of(slots);
                    served.extend(runs.iter().map(|run| run.owner));
                    RuleServe::Split(self.slots.intern(runs, |owner| owner))
                }
                RuleServe::Experiment(id) => {
                    let id = self.experiment_ids.get(&id.0).copied().unwrap_or(u32::MAX);
                    RuleServe::Experiment(ExperimentId(id))
                }
            };
            rules.push(Rule { condition: self.condition(rule.condition), serve, ..*rule });
        }
        Flag {
            key: self.strings.intern(""),
            variants: self.variants(flag.variants, &served),
            holdouts: self.holdout_span(flag.holdouts),
            prerequisites: self.prerequisite_span(flag.prerequisites),
            targets: Span::default(),
            target_variants: 0,
            rules: push_all(&mut self.made.rules, rules),
            ..*flag
        }
    }

    fn finish(
        mut self,
        kept: &BTreeMap<String, u32>,
        at_edge: BTreeSet<NameHash>,
    ) -> CompiledConfig<'static> {
        let config = self.config;
        for (name, &old) in kept {
            let Some(entry) = config.entries.get(old as usize) else { continue };
            let target = match entry.target() {
                Target::Flag(id) => Target::Flag(self.flag_ids.get(&id).copied().unwrap_or(0)),
                Target::Experiment(id) => {
                    Target::Experiment(self.experiment_ids.get(&id).copied().unwrap_or(0))
                }
            };
            let key = self.strings.intern(name);
            self.made.entries.push(Entry::new(key, target));
        }
        let unit_types: Vec<StringId> = config
            .unit_types()
            .map(|name| self.strings.intern(&self.names.attribute(name)))
            .collect();
        let mut made = self.made;
        made.strings = self.strings.finish();
        let words = |ids: Vec<StringId>| -> Vec<Word> {
            ids.into_iter().map(|id| Word::new(&made.strings, id)).collect()
        };
        made.unit_types = words(unit_types);
        made.attributes = words(self.conditions.attributes);
        made.texts = words(self.conditions.texts);
        made.variant_names = self.variants.names;
        made.variant_values = self.variants.values;
        made.nodes = self.conditions.nodes;
        made.children = self.conditions.children;
        made.comparisons = self.conditions.comparisons;
        made.literals = self.conditions.literals;
        made.runs = self.slots.runs;
        made.slots = self.slots.tables;
        made.at_edge = Some(at_edge.into_iter().collect());
        made.transitions = transitions(&made);
        made.index = key_index(&made);
        made
    }
}

fn push_all<T>(table: &mut Vec<T>, rows: Vec<T>) -> Span {
    if rows.is_empty() {
        return Span::default();
    }
    let span = Span { start: index(table.len()), len: index(rows.len()) };
    table.extend(rows);
    span
}

/// Experiments that a flag that is on may serve.
fn served_by(config: &CompiledConfig<'_>, flag: u32) -> Vec<u32> {
    let Some(flag) = config.flags.get(flag as usize).filter(|flag| flag.enabled) else {
        return Vec::new();
    };
    let rules = flag.rules.of(&config.rules).iter();
    rules
        .filter_map(|rule| match rule.serve {
            RuleServe::Experiment(id) => Some(id.0),
            RuleServe::Variant(_) | RuleServe::Split(_) => None,
        })
        .collect()
}

/// Conditions of what is kept and not yet over.
fn roots(config: &CompiledConfig<'_>, experiments: &[u32], flags: &[u32]) -> Vec<NodeId> {
    let mut roots = Vec::new();
    for &id in experiments {
        if let Some(experiment) = config.experiments.get(id as usize)
            && Life::of(experiment, config.extras_of(experiment)) != Life::Over
        {
            roots.extend(experiment.targeting());
        }
    }
    for &id in flags {
        if let Some(flag) = config.flags.get(id as usize).filter(|flag| flag.enabled) {
            roots.extend(flag.rules.of(&config.rules).iter().filter_map(|rule| rule.condition));
        }
    }
    roots
}
