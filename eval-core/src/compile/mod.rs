//! From definitions to the compiled config.
//!
//! Deterministic: the order in which definitions arrive does not matter (the orders of variants and rules do, being part
//! of their meaning), and equal definitions give equal tables.

mod conditions;
mod error;
mod experiments;
mod flags;
pub(crate) mod intern;
mod requirements;

pub use conditions::{MAX_CONDITION_DEPTH, MAX_CONDITION_SIZE};
pub use error::CompileError;
pub use requirements::MAX_PREREQUISITE_DEPTH;

use crate::config::{
    AttributeId, CompiledConfig, Entry, Fault, Holdout, HoldoutId, Layer, LayerId, Maybe, SdkKey,
    Segment, SegmentId, Span, Target, UnitTypeId,
};
use crate::fingerprint::unit_fingerprint;
use crate::index::KeyIndex;
use crate::source::{
    Condition, ConfigSource, ExperimentSource, ExperimentStatus, FlagSource, KeyKind,
    SegmentSource, Serve,
};
use crate::strings::{StringId, Word};
use crate::targeting::{Node, NodeId, Patterns};
use intern::index;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Compiles one environment.
pub fn compile(source: &ConfigSource) -> Result<CompiledConfig<'static>, CompileError> {
    let mut compiler = Compiler::new(source)?;
    compiler.strings_in_order();
    compiler.holdouts()?;
    compiler.segments()?;
    compiler.layers()?;
    compiler.entries()?;
    compiler.experiments()?;
    compiler.flags()?;
    compiler.requirements()?;
    let mut config = compiler.finish();
    config.routes = crate::route::compile(source)?;
    Ok(config)
}

/// Everything that compiling knows so far.
struct Compiler<'s> {
    source: &'s ConfigSource,
    /// Sorted by key.
    experiments: Vec<&'s ExperimentSource>,
    flags: Vec<&'s FlagSource>,
    strings: intern::Strings,
    variants: intern::VariantLists,
    salts: intern::Salts,
    slots: intern::SlotTables,
    lists: intern::Lists,
    conditions: conditions::Conditions,
    unit_types: BTreeMap<&'s str, UnitTypeId>,
    unit_type_names: Vec<StringId>,
    attributes: Vec<StringId>,
    segment_ids: BTreeMap<&'s str, SegmentId>,
    holdout_ids: BTreeMap<&'s str, HoldoutId>,
    layer_ids: BTreeMap<&'s str, LayerId>,
    /// Slot of each experiment in its layer.
    slot_of: BTreeMap<&'s str, u16>,
    entry_ids: BTreeMap<&'s str, u32>,
    config: CompiledConfig<'static>,
}

/// Definitions of one kind by key, or the key that occurs twice.
fn by_key<'s, T>(
    kind: &'static str,
    items: &'s [T],
    key: impl Fn(&'s T) -> &'s str,
) -> Result<BTreeMap<&'s str, &'s T>, CompileError> {
    let mut map = BTreeMap::new();
    for item in items {
        if map.insert(key(item), item).is_some() {
            return Err(CompileError::Duplicate { kind, key: key(item).to_owned() });
        }
    }
    Ok(map)
}

impl<'s> Compiler<'s> {
    fn new(source: &'s ConfigSource) -> Result<Self, CompileError> {
        let experiments = by_key("experiment", &source.experiments, |e| &e.key)?;
        let flags = by_key("flag", &source.flags, |f| &f.key)?;
        let mut conditions: Vec<&Condition> = Vec::new();
        conditions.extend(source.segments.iter().filter_map(|s| s.condition.as_ref()));
        conditions.extend(source.experiments.iter().filter_map(|e| e.targeting.as_ref()));
        conditions.extend(
            source.flags.iter().flat_map(|f| &f.rules).filter_map(|r| r.condition.as_ref()),
        );
        let mut names = BTreeSet::new();
        let mut texts = BTreeSet::new();
        for condition in conditions {
            conditions::collect_attributes(condition, &mut names);
            conditions::collect_texts(condition, &mut texts);
        }
        // The empty string is what a missing name reads as.
        let mut strings = intern::Strings::new();
        strings.intern("");
        let mut unit_names: BTreeSet<&str> = BTreeSet::new();
        unit_names.extend(source.layers.iter().map(|l| l.unit_type.as_str()));
        unit_names.extend(source.holdouts.iter().map(|h| h.unit_type.as_str()));
        unit_names.extend(source.segments.iter().map(|s| s.unit_type.as_str()));
        unit_names.extend(source.experiments.iter().map(|e| e.unit_type.as_str()));
        unit_names.extend(source.flags.iter().map(|f| f.unit_type.as_str()));
        let mut unit_types = BTreeMap::new();
        for name in &unit_names {
            let Ok(id) = u8::try_from(unit_types.len()) else {
                return Err(CompileError::Value {
                    entry: "the environment".into(),
                    problem: "at most 256 unit types".into(),
                });
            };
            unit_types.insert(*name, UnitTypeId(id));
        }
        let unit_type_names = unit_names.iter().map(|name| strings.intern(name)).collect();
        let attribute_ids: BTreeMap<String, AttributeId> = names
            .iter()
            .enumerate()
            .map(|(i, name)| ((*name).to_owned(), AttributeId(index(i))))
            .collect();
        let attributes = names.iter().map(|name| strings.intern(name)).collect();
        // Many comparisons name few texts: their ids come early, while they are short.
        for text in texts {
            strings.intern(text);
        }
        let config = CompiledConfig {
            environment: source.environment.clone(),
            project: source.project.clone(),
            requires_consent: source.requires_consent,
            ..CompiledConfig::default()
        };
        Ok(Self {
            source,
            experiments: experiments.into_values().collect(),
            flags: flags.into_values().collect(),
            strings,
            variants: intern::VariantLists::default(),
            salts: intern::Salts::default(),
            slots: intern::SlotTables::default(),
            lists: intern::Lists::default(),
            conditions: conditions::Conditions::new(attribute_ids),
            unit_types,
            unit_type_names,
            attributes,
            segment_ids: BTreeMap::new(),
            holdout_ids: BTreeMap::new(),
            layer_ids: BTreeMap::new(),
            slot_of: BTreeMap::new(),
            entry_ids: BTreeMap::new(),
            config,
        })
    }

    /// Interns strings by sort: variant names and keys in the order in which tables name them, so that neighbours in a table are
    /// neighbours in the text; then values in their own order, in which one begins as the one before it. Both keep the blob
    /// small once compressed.
    fn strings_in_order(&mut self) {
        let strings = &mut self.strings;
        let experiments = &self.experiments;
        let flags = &self.flags;
        for variant in experiments
            .iter()
            .flat_map(|e| &e.variants)
            .chain(flags.iter().flat_map(|f| &f.variants))
        {
            strings.intern(&variant.key);
        }
        for experiment in experiments {
            strings.intern(&experiment.key);
            strings.intern(&experiment.flag_key);
        }
        for flag in flags {
            strings.intern(&flag.key);
        }
        let lists =
            experiments.iter().map(|e| &e.variants).chain(flags.iter().map(|f| &f.variants));
        let values: BTreeSet<&str> =
            lists.flatten().map(|variant| variant.value.as_str()).collect();
        for value in values {
            strings.intern(value);
        }
    }

    fn unit_type(&self, name: &str) -> UnitTypeId {
        // Every unit type of the source was collected at the start.
        self.unit_types.get(name).copied().unwrap_or(UnitTypeId(0))
    }

    fn holdouts(&mut self) -> Result<(), CompileError> {
        for (key, holdout) in by_key("holdout", &self.source.holdouts, |h| &h.key)? {
            let entry = || format!("holdout `{key}`");
            if holdout.size > crate::bucket::BUCKET_COUNT {
                return Err(CompileError::Ranges {
                    entry: entry(),
                    problem: "a holdout holds at most 10000 buckets".into(),
                });
            }
            let salt = self.salts.absorb(&holdout.salt, entry)?;
            self.holdout_ids.insert(key, HoldoutId(index(self.config.holdouts.len())));
            let key = self.strings.intern(key);
            let unit_type = self.unit_type(&holdout.unit_type);
            self.config.holdouts.push(Holdout { key, unit_type, salt, size: holdout.size });
        }
        Ok(())
    }

    /// Segments in an order in which each one comes after those that it refers to.
    fn segments(&mut self) -> Result<(), CompileError> {
        let segments = by_key("segment", &self.source.segments, |s| &s.key)?;
        let mut open: Vec<&str> = Vec::new();
        for key in segments.keys() {
            self.segment(key, &segments, &mut open)?;
        }
        Ok(())
    }

    fn segment(
        &mut self,
        key: &'s str,
        segments: &BTreeMap<&'s str, &'s SegmentSource>,
        open: &mut Vec<&'s str>,
    ) -> Result<(), CompileError> {
        if self.segment_ids.contains_key(key) {
            return Ok(());
        }
        let Some((&key, &segment)) = segments.get_key_value(key) else { return Ok(()) };
        let entry = format!("segment `{key}`");
        if let Some(from) = open.iter().position(|known| *known == key) {
            let round = open.get(from..).unwrap_or_default().iter().chain([&key]);
            return Err(CompileError::Cycle {
                kind: "segments",
                path: round.map(|key| (*key).to_owned()).collect(),
            });
        }
        if open.len() > MAX_CONDITION_DEPTH {
            return Err(CompileError::Condition {
                entry,
                problem: format!("segments refer to each other at most {MAX_CONDITION_DEPTH} deep"),
            });
        }
        open.push(key);
        let mut inner = Vec::new();
        if let Some(condition) = &segment.condition {
            conditions::collect_segments(condition, &mut inner);
        }
        for inner_key in inner {
            self.segment(inner_key, segments, open)?;
        }
        open.pop();
        let condition = match &segment.condition {
            Some(condition) => Some(self.conditions.add(
                &entry,
                condition,
                &mut self.strings,
                &self.segment_ids,
            )?),
            None => None,
        };
        let id = SegmentId(index(self.config.segments.len()));
        self.conditions.close_segment(id, condition);
        let include = self.list(&segment.unit_type, &segment.include);
        let exclude = self.list(&segment.unit_type, &segment.exclude);
        let unit_type = self.unit_type(&segment.unit_type);
        let name = self.strings.intern(key);
        self.config.segments.push(Segment { key: name, unit_type, condition, include, exclude });
        self.segment_ids.insert(key, id);
        Ok(())
    }

    fn list(&mut self, unit_type: &str, ids: &[String]) -> Span {
        let Some(list_key) = &self.source.list_key else { return Span::default() };
        let fingerprints = ids.iter().map(|id| unit_fingerprint(list_key, unit_type, id)).collect();
        self.lists.push(fingerprints)
    }

    fn listed_variants(
        &mut self,
        entry: &dyn Fn() -> String,
        unit_type: &str,
        ids: &BTreeMap<String, String>,
        variant_of: &dyn Fn(&str) -> Option<u16>,
    ) -> Result<(Span, u32), CompileError> {
        let mut list = Vec::with_capacity(ids.len());
        for (id, variant) in ids {
            let Some(position) = variant_of(variant) else {
                return Err(CompileError::Unknown {
                    entry: entry(),
                    kind: "variant",
                    key: variant.clone(),
                });
            };
            if let Some(list_key) = &self.source.list_key {
                list.push((unit_fingerprint(list_key, unit_type, id), position));
            }
        }
        Ok(self.lists.push_with_variants(list))
    }

    fn holdout_span(
        &mut self,
        entry: &dyn Fn() -> String,
        keys: &[String],
    ) -> Result<Span, CompileError> {
        let mut ids = BTreeSet::new();
        for key in keys {
            match self.holdout_ids.get(key.as_str()) {
                Some(&id) => ids.insert(id),
                None => {
                    return Err(CompileError::Unknown {
                        entry: entry(),
                        kind: "holdout",
                        key: key.clone(),
                    });
                }
            };
        }
        if ids.is_empty() {
            return Ok(Span::default());
        }
        let span = Span { start: index(self.config.holdout_ids.len()), len: index(ids.len()) };
        self.config.holdout_ids.extend(ids);
        Ok(span)
    }

    /// Named layers: each with one slot table for all of its experiments. Completed ones own nothing any more.
    fn layers(&mut self) -> Result<(), CompileError> {
        let mut members_of: BTreeMap<&str, Vec<&'s ExperimentSource>> = BTreeMap::new();
        for experiment in &self.experiments {
            if let Some(layer) = &experiment.layer {
                members_of.entry(layer).or_default().push(experiment);
            }
        }
        for (key, layer) in by_key("layer", &self.source.layers, |l| &l.key)? {
            let entry = || format!("layer `{key}`");
            if layer.domain.lo >= layer.domain.hi || layer.domain.hi > crate::bucket::BUCKET_COUNT {
                return Err(CompileError::Ranges {
                    entry: entry(),
                    problem: "its domain slice is empty or not within 0..10000".into(),
                });
            }
            let members = members_of.remove(key).unwrap_or_default();
            if members.len() >= usize::from(u16::MAX) {
                return Err(CompileError::Value {
                    entry: entry(),
                    problem: "a layer has at most 65534 experiments".into(),
                });
            }
            let mut claims = Vec::new();
            for (slot, member) in (0u16..).zip(&members) {
                self.slot_of.insert(&member.key, slot);
                if member.status != ExperimentStatus::Completed {
                    claims.extend(member.ranges.iter().map(|range| (slot, *range)));
                }
            }
            let name = |slot: u16| {
                members.get(usize::from(slot)).map_or(String::new(), |member| member.key.clone())
            };
            let slots = self.slots.intern(&claims, entry, name)?;
            let salt = self.salts.absorb(&layer.salt, entry)?;
            self.layer_ids.insert(key, LayerId(index(self.config.layers.len())));
            let unit_type = self.unit_type(&layer.unit_type);
            let key = self.strings.intern(key);
            let (domain_lo, domain_hi) = (layer.domain.lo, layer.domain.hi);
            self.config.layers.push(Layer { key, unit_type, salt, domain_lo, domain_hi, slots });
        }
        Ok(())
    }

    /// The keys under which clients ask. An experiment that a flag serves by a rule needs no key of its own; its flag key may
    /// then be the flag's.
    fn entries(&mut self) -> Result<(), CompileError> {
        let mut entries: BTreeMap<&'s str, Target> = BTreeMap::new();
        for (i, flag) in self.flags.iter().enumerate() {
            entries.insert(&flag.key, Target::Flag(index(i)));
        }
        for (i, experiment) in self.experiments.iter().enumerate() {
            let key = experiment.flag_key.as_str();
            match entries.get(key) {
                None => {
                    entries.insert(key, Target::Experiment(index(i)));
                }
                Some(Target::Flag(flag)) if self.flag_serves(*flag, &experiment.key) => {}
                Some(_) => {
                    return Err(CompileError::Duplicate { kind: "key", key: key.to_owned() });
                }
            }
        }
        for (i, (key, target)) in entries.into_iter().enumerate() {
            self.entry_ids.insert(key, index(i));
            let key = self.strings.intern(key);
            self.config.entries.push(Entry::new(key, target));
        }
        Ok(())
    }

    fn flag_serves(&self, flag: u32, experiment: &str) -> bool {
        let Some(flag) = self.flags.get(flag as usize) else { return false };
        flag.rules
            .iter()
            .any(|rule| matches!(&rule.serve, Serve::Experiment(key) if key == experiment))
    }

    /// Attributes that only servers know, as far as something looks at them.
    fn server_only(&self) -> BTreeSet<&'s str> {
        let clusters = self.source.experiments.iter().filter_map(|e| e.switchback.as_ref());
        let clusters: BTreeSet<&str> = clusters.map(|design| design.cluster.as_str()).collect();
        let names = self.source.server_only_attributes.iter().map(String::as_str);
        names.filter(|name| clusters.contains(name) || self.conditions.looks_at(name)).collect()
    }

    fn finish(mut self) -> CompiledConfig<'static> {
        let mut keys: Vec<SdkKey> = self
            .source
            .sdk_keys
            .iter()
            .map(|key| SdkKey { sha256: key.sha256, server: key.kind == KeyKind::Server })
            .collect();
        keys.sort_unstable();
        keys.dedup_by_key(|key| key.sha256);
        let server_only: Vec<StringId> =
            self.server_only().into_iter().map(|name| self.strings.intern(name)).collect();
        let mut config = self.config;
        config.server_only = server_only;
        config.sdk_keys = keys;
        config.runs = self.slots.runs;
        config.slots = self.slots.slots;
        config.variant_names = self.variants.names;
        config.variant_values = self.variants.values;
        config.fingerprints = Cow::Owned(self.lists.fingerprints);
        config.listed_variants = self.lists.listed_variants;
        config.strings = self.strings.finish();
        let words = |ids: Vec<StringId>| -> Vec<Word> {
            ids.into_iter().map(|id| Word::new(&config.strings, id)).collect()
        };
        config.unit_types = words(self.unit_type_names);
        config.attributes = words(self.attributes);
        config.texts = words(self.conditions.texts);
        config.comparisons = self.conditions.comparisons;
        config.nodes = self.conditions.nodes;
        config.children = self.conditions.children;
        config.literals = self.conditions.literals;
        config.patterns = Patterns::new(self.conditions.patterns);
        number_nodes(&mut config);
        config.transitions = transitions(&config);
        let faults: Vec<Fault> = self.conditions.faults;
        config.faults = faults;
        config.index = key_index(&config);
        config
    }
}

/// Times at which some window opens or closes.
pub(crate) fn transitions(config: &CompiledConfig<'_>) -> Vec<i64> {
    let windows = config.extras.iter().filter_map(|extras| extras.window);
    let mut times: Vec<i64> =
        windows.flat_map(|window| [window.starts_at, window.ends_at]).flatten().collect();
    times.sort_unstable();
    times.dedup();
    times
}

pub(crate) fn key_index(config: &CompiledConfig<'_>) -> KeyIndex {
    KeyIndex::new(config.entries.iter().map(|entry| config.strings.bytes(entry.key)))
}

/// Gives nodes their final numbers: comparisons first, then all others.
fn number_nodes(config: &mut CompiledConfig<'_>) {
    let n_comparisons = index(config.comparisons.len());
    let number = |id: &mut NodeId| *id = conditions::numbered(*id, n_comparisons);
    for node in &mut config.nodes {
        if let Node::Not(child) = node {
            number(child);
        }
    }
    config.children.iter_mut().for_each(number);
    config.segments.iter_mut().filter_map(|segment| segment.condition.as_mut()).for_each(number);
    config.rules.iter_mut().filter_map(|rule| rule.condition.as_mut()).for_each(number);
    for experiment in &mut config.experiments {
        let id = experiment.targeting().map(|id| conditions::numbered(id, n_comparisons).0);
        experiment.targeting = Maybe::from_option(id);
    }
}
