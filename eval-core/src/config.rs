//! The compiled config: what evaluation reads.
//!
//! Flat tables that refer to each other by index. Conditions, splits and strings that occur more than once are kept
//! once, so a request evaluates a comparison that a thousand experiments share a single time. Every access is
//! checked: an index that leads nowhere makes its own entry inactive and nothing else.

use crate::bucket::SaltState;
use crate::fingerprint::Fingerprint;
use crate::slots::{Run, SlotsId};
use crate::source::{ExperimentStatus, KeyKind, PauseBehaviour};
use crate::strings::{StringId, StringTable, Word};
use crate::targeting::{Comparison, LiteralRow, Node, NodeId, Patterns};
use std::borrow::Cow;

/// A stretch of a shared table.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

impl Span {
    pub(crate) fn of<T>(self, table: &[T]) -> &[T] {
        let start = self.start as usize;
        table.get(start..start.saturating_add(self.len as usize)).unwrap_or_default()
    }

    pub(crate) fn is_empty(self) -> bool {
        self.len == 0
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident($inner:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub(crate) struct $name(pub(crate) $inner);
    )*};
}

ids! {
    /// Index into [`CompiledConfig::unit_types`].
    UnitTypeId(u8);
    /// Index into [`CompiledConfig::attributes`].
    AttributeId(u32);
    /// Index into [`CompiledConfig::layers`].
    LayerId(u32);
    /// Index into [`CompiledConfig::holdouts`].
    HoldoutId(u32);
    /// Index into [`CompiledConfig::segments`].
    SegmentId(u32);
    /// Index into [`CompiledConfig::experiments`].
    ExperimentId(u32);
}

/// An index, or none, in the space of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Maybe(u32);

impl Maybe {
    pub(crate) const NONE: Self = Self(u32::MAX);

    pub(crate) fn from_option(index: Option<u32>) -> Self {
        Self(index.unwrap_or(u32::MAX))
    }

    #[inline]
    pub(crate) fn get(self) -> Option<u32> {
        (self != Self::NONE).then_some(self.0)
    }
}

/// The answers of an experiment or flag. Lists that several share are kept once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Variants {
    /// Start of their names in [`CompiledConfig::variant_names`].
    pub(crate) names: u32,
    /// Start of their values in [`CompiledConfig::variant_values`].
    pub(crate) values: u32,
    pub(crate) len: u16,
}

/// One answer of an experiment or flag: its places in [`CompiledConfig::variant_names`] and
/// [`CompiledConfig::variant_values`], which are looked up when somebody reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Variant {
    name: u32,
    value: u32,
}

impl Variant {
    /// What an index leads to that no variant has.
    pub(crate) const NONE: Self = Self { name: u32::MAX, value: u32::MAX };
}

/// A randomisation space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layer {
    /// Empty for the own layer of a single experiment.
    pub(crate) key: StringId,
    pub(crate) unit_type: UnitTypeId,
    pub(crate) salt: SaltState,
    pub(crate) domain_lo: u16,
    pub(crate) domain_hi: u16,
    pub(crate) slots: SlotsId,
}

/// Units that experiments and flags leave alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holdout {
    pub(crate) key: StringId,
    pub(crate) unit_type: UnitTypeId,
    pub(crate) salt: SaltState,
    pub(crate) size: u16,
}

/// A named audience.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Segment {
    pub(crate) key: StringId,
    pub(crate) unit_type: UnitTypeId,
    pub(crate) condition: Option<NodeId>,
    /// Stretches of the fingerprint table.
    pub(crate) include: Span,
    pub(crate) exclude: Span,
}

/// A flag that must serve a given variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct PrerequisiteRow {
    /// Index into [`CompiledConfig::entries`].
    pub(crate) entry: u32,
    /// Variant index within the entry's flag or experiment.
    pub(crate) variant: u16,
}

/// A window of time, epoch milliseconds, half-open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Window {
    pub(crate) starts_at: Option<i64>,
    pub(crate) ends_at: Option<i64>,
}

/// A switchback design.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Switchback {
    /// Name of the cluster's unit type or attribute.
    pub(crate) cluster: StringId,
    pub(crate) anchor_ms: i64,
    pub(crate) period_ms: i64,
}

/// What few experiments have; kept apart so that the common ones stay small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Extras {
    pub(crate) window: Option<Window>,
    pub(crate) switchback: Option<Switchback>,
    pub(crate) shipped: Option<u16>,
    pub(crate) holdouts: Span,
    pub(crate) prerequisites: Span,
    /// Fingerprints, and as many variants from `override_variants` on.
    pub(crate) overrides: Span,
    pub(crate) override_variants: u32,
    pub(crate) sticky: bool,
    pub(crate) frozen: bool,
    pub(crate) keep_serving: bool,
}

/// A randomised comparison. Ten thousand of these are read for one request: they are kept small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Experiment {
    pub(crate) key: StringId,
    pub(crate) salt: SaltState,
    pub(crate) targeting: Maybe,
    /// None: it owns its whole space and nothing is hashed for traffic.
    pub(crate) layer: Maybe,
    pub(crate) split: SlotsId,
    /// Index into [`CompiledConfig::extras`].
    pub(crate) extras: Maybe,
    pub(crate) variants: Variants,
    /// Its owner number in the layer's slot table.
    pub(crate) slot: u16,
    pub(crate) control: u16,
    pub(crate) unit_type: UnitTypeId,
    pub(crate) status: ExperimentStatus,
    /// Set when the entry refers to something that does not exist.
    pub(crate) damaged: bool,
}

impl Experiment {
    pub(crate) fn targeting(&self) -> Option<NodeId> {
        self.targeting.get().map(NodeId)
    }

    pub(crate) fn layer(&self) -> Option<LayerId> {
        self.layer.get().map(LayerId)
    }

    /// Whether it runs and nothing about it is out of the ordinary.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.extras == Maybe::NONE && self.status == ExperimentStatus::Running && !self.damaged
    }

    pub(crate) fn pause_behaviour(extras: &Extras) -> PauseBehaviour {
        if extras.keep_serving { PauseBehaviour::KeepServing } else { PauseBehaviour::Control }
    }
}

/// What a rule serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RuleServe {
    Variant(u16),
    Split(SlotsId),
    Experiment(ExperimentId),
}

/// A rule of a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) salt: SaltState,
    pub(crate) rollout: u16,
    pub(crate) condition: Option<NodeId>,
    pub(crate) serve: RuleServe,
}

/// A switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flag {
    pub(crate) key: StringId,
    pub(crate) salt: SaltState,
    pub(crate) unit_type: UnitTypeId,
    pub(crate) enabled: bool,
    pub(crate) variants: Variants,
    pub(crate) default_variant: u16,
    pub(crate) off_variant: u16,
    pub(crate) holdouts: Span,
    pub(crate) prerequisites: Span,
    pub(crate) targets: Span,
    pub(crate) target_variants: u32,
    pub(crate) rules: Span,
    pub(crate) damaged: bool,
}

/// What a key leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Flag(u32),
    Experiment(u32),
}

/// A key under which clients ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: StringId,
    /// The index, and in the highest bit whether it is an experiment's.
    target: u32,
}

impl Entry {
    const EXPERIMENT: u32 = 1 << 31;

    /// An index of 2³¹ or more becomes one that leads nowhere.
    pub(crate) fn new(key: StringId, target: Target) -> Self {
        let target = match target {
            Target::Flag(id) => id.min(Self::EXPERIMENT.wrapping_sub(1)),
            Target::Experiment(id) => id | Self::EXPERIMENT,
        };
        Self { key, target }
    }

    #[inline]
    pub(crate) fn target(self) -> Target {
        let index = self.target & !Self::EXPERIMENT;
        if self.target == index { Target::Flag(index) } else { Target::Experiment(index) }
    }
}

/// An SDK key, hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SdkKey {
    pub(crate) sha256: [u8; 32],
    pub(crate) server: bool,
}

/// Something in a config that is not as it should be. The entry that it stands in is inactive, all others work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Key of the experiment, flag, layer or segment.
    pub entry: String,
    /// What is wrong.
    pub problem: String,
}

/// Everything that an edge needs to decide every experiment and flag of one environment.
#[derive(Clone, Debug, Default)]
pub struct CompiledConfig<'b> {
    pub(crate) strings: StringTable<'b>,
    pub(crate) environment: String,
    pub(crate) project: String,
    pub(crate) requires_consent: bool,
    pub(crate) domain_salt: SaltState,
    pub(crate) sdk_keys: Vec<SdkKey>,
    pub(crate) unit_types: Vec<Word>,
    /// Sorted by name.
    pub(crate) attributes: Vec<Word>,
    pub(crate) runs: Vec<Run>,
    /// Stretches of `runs`.
    pub(crate) slots: Vec<Span>,
    /// Leaves of conditions: the nodes of the lowest ids.
    pub(crate) comparisons: Vec<Comparison>,
    /// The nodes after them.
    pub(crate) nodes: Vec<Node>,
    pub(crate) children: Vec<NodeId>,
    /// Texts that comparisons compare with; those of one comparison are sorted.
    pub(crate) texts: Vec<Word>,
    /// All other values of comparisons.
    pub(crate) literals: Vec<LiteralRow>,
    pub(crate) patterns: Patterns,
    pub(crate) segments: Vec<Segment>,
    pub(crate) layers: Vec<Layer>,
    pub(crate) holdouts: Vec<Holdout>,
    pub(crate) holdout_ids: Vec<HoldoutId>,
    pub(crate) prerequisites: Vec<PrerequisiteRow>,
    /// Fingerprints of unit ids, 16 bytes each; every list is sorted.
    pub(crate) fingerprints: Cow<'b, [u8]>,
    /// Variants of overrides and targets, beside their fingerprints.
    pub(crate) listed_variants: Vec<u16>,
    pub(crate) extras: Vec<Extras>,
    pub(crate) variant_names: Vec<StringId>,
    /// Serialized JSON.
    pub(crate) variant_values: Vec<StringId>,
    pub(crate) experiments: Vec<Experiment>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) flags: Vec<Flag>,
    /// Sorted by key.
    pub(crate) entries: Vec<Entry>,
    pub(crate) index: crate::index::KeyIndex,
    pub(crate) routes: crate::route::RouteTable<'b>,
    /// Attributes and clusters that only servers know, sorted by name.
    pub(crate) server_only: Vec<StringId>,
    /// Of a client form: the keys that only the edge decides, hashed and sorted. `None` for a server's config.
    pub(crate) at_edge: Option<Vec<crate::client::NameHash>>,
    /// Times at which some window opens or closes, sorted.
    pub(crate) transitions: Vec<i64>,
    pub(crate) faults: Vec<Fault>,
}

impl CompiledConfig<'_> {
    /// Environment id.
    pub fn environment(&self) -> &str {
        &self.environment
    }

    /// Project that the environment belongs to.
    pub fn project(&self) -> &str {
        &self.project
    }

    /// Whether experiments enrol only units whose `consent` attribute is true.
    pub fn requires_consent(&self) -> bool {
        self.requires_consent
    }

    /// What a key may see, by the SHA-256 of the whole key; `None` for a key that this environment does not know.
    pub fn sdk_key(&self, sha256: &[u8; 32]) -> Option<KeyKind> {
        let at = self.sdk_keys.binary_search_by(|key| key.sha256.cmp(sha256)).ok()?;
        self.sdk_keys.get(at).map(|key| if key.server { KeyKind::Server } else { KeyKind::Client })
    }

    /// Every key that this environment knows, by the SHA-256 of the whole key.
    pub fn sdk_keys(&self) -> impl Iterator<Item = (&[u8; 32], KeyKind)> {
        self.sdk_keys
            .iter()
            .map(|key| (&key.sha256, if key.server { KeyKind::Server } else { KeyKind::Client }))
    }

    /// Whether some list of unit ids exists, so that evaluation wants the list key.
    pub fn has_lists(&self) -> bool {
        !self.fingerprints.is_empty()
    }

    /// Keys under which clients can ask, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| self.strings.get(entry.key))
    }

    /// Number of keys under which clients can ask.
    pub fn n_keys(&self) -> usize {
        self.entries.len()
    }

    /// Number of experiments.
    pub fn n_experiments(&self) -> usize {
        self.experiments.len()
    }

    /// Unit types that some experiment, layer, holdout, flag or list is about.
    pub fn unit_types(&self) -> impl Iterator<Item = &str> {
        self.unit_types.iter().map(|name| self.strings.get(name.id))
    }

    /// Attributes that some condition looks at, sorted. Nothing else in a context changes an answer, besides unit ids,
    /// prior assignments, `consent` (see [`CompiledConfig::requires_consent`]) and the clusters of switchbacks.
    pub fn attributes(&self) -> impl Iterator<Item = &str> {
        self.attributes.iter().map(|name| self.strings.get(name.id))
    }

    /// Whether some experiment keeps prior assignments, so that they change answers.
    pub fn uses_prior(&self) -> bool {
        self.extras.iter().any(|extras| extras.sticky || extras.frozen)
    }

    /// Names of the clusters of switchback experiments, with the number of the time slice in which `now_ms` lies.
    pub fn switchbacks(&self, now_ms: i64) -> impl Iterator<Item = (&str, i64)> {
        self.extras.iter().filter_map(move |extras| {
            let switchback = extras.switchback?;
            Some((self.strings.get(switchback.cluster), switchback.slice(now_ms)?))
        })
    }

    /// The next time at which some window opens or closes.
    pub fn next_transition(&self, now_ms: i64) -> Option<i64> {
        self.transitions.get(self.transitions.partition_point(|&at| at <= now_ms)).copied()
    }

    /// Number of windows that opened or closed until now: answers change between two values of it only by
    /// switchback slices.
    pub fn schedule_window(&self, now_ms: i64) -> usize {
        self.transitions.partition_point(|&at| at <= now_ms)
    }

    /// The routes of an edge that stands in front of a site.
    pub fn routes(&self) -> &crate::route::RouteTable<'_> {
        &self.routes
    }

    /// A variant of the experiment or flag that a key leads to, by its name: the name and its value as serialized JSON.
    pub fn variant_named(&self, key: &str, variant: &str) -> Option<(&str, &str)> {
        let at =
            self.entries.binary_search_by(|entry| self.strings.get(entry.key).cmp(key)).ok()?;
        let variants = match self.entries.get(at)?.target() {
            Target::Flag(id) => self.flags.get(id as usize)?.variants,
            Target::Experiment(id) => self.experiments.get(id as usize)?.variants,
        };
        let rows = (0..variants.len).map(|at| variants.at(at));
        rows.filter_map(|row| Some((self.variant_name(row)?, self.variant_value(row)?)))
            .find(|(name, _)| *name == variant)
    }

    /// What is wrong in this config; empty for everything that [`crate::compile`] made.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    #[inline]
    pub(crate) fn runs_of(&self, slots: SlotsId) -> &[Run] {
        self.slots.get(slots.0 as usize).map_or(&[], |span| span.of(&self.runs))
    }

    pub(crate) fn layer(&self, id: LayerId) -> Option<&Layer> {
        self.layers.get(id.0 as usize)
    }

    #[inline]
    pub(crate) fn extras_of(&self, experiment: &Experiment) -> Option<&Extras> {
        self.extras.get(experiment.extras.get()? as usize)
    }

    /// Number of nodes of conditions, leaves included.
    pub(crate) fn n_nodes(&self) -> usize {
        self.comparisons.len().saturating_add(self.nodes.len())
    }

    /// Names of variants, in their order.
    pub(crate) fn names_of(&self, variants: Variants) -> &[StringId] {
        Span { start: variants.names, len: u32::from(variants.len) }.of(&self.variant_names)
    }

    /// Name of a variant.
    #[inline]
    pub(crate) fn variant_name(&self, variant: Variant) -> Option<&str> {
        Some(self.strings.get(*self.variant_names.get(variant.name as usize)?))
    }

    /// Value of a variant, serialized JSON.
    #[inline]
    pub(crate) fn variant_value(&self, variant: Variant) -> Option<&str> {
        Some(self.strings.get(*self.variant_values.get(variant.value as usize)?))
    }

    /// The bytes of [`CompiledConfig::variant_value`].
    #[inline]
    pub(crate) fn variant_value_bytes(&self, variant: Variant) -> Option<&[u8]> {
        Some(self.strings.bytes(*self.variant_values.get(variant.value as usize)?))
    }

    /// Position of a fingerprint in a sorted list.
    pub(crate) fn position(&self, list: Span, wanted: &Fingerprint) -> Option<usize> {
        let start = (list.start as usize).checked_mul(16)?;
        let end = start.checked_add((list.len as usize).checked_mul(16)?)?;
        let (entries, _) = self.fingerprints.get(start..end)?.as_chunks::<16>();
        entries.binary_search(wanted).ok()
    }
}

impl Variants {
    /// The variant at a position.
    #[inline]
    pub(crate) fn at(self, at: u16) -> Variant {
        if at >= self.len {
            return Variant::NONE;
        }
        Variant {
            name: self.names.wrapping_add(u32::from(at)),
            value: self.values.wrapping_add(u32::from(at)),
        }
    }
}

impl Switchback {
    /// Number of the slice in which a time lies; slices before the anchor are negative.
    pub(crate) fn slice(&self, now_ms: i64) -> Option<i64> {
        now_ms.checked_sub(self.anchor_ms)?.checked_div_euclid(self.period_ms)
    }
}

impl Window {
    pub(crate) fn contains(&self, now_ms: i64) -> bool {
        self.starts_at.is_none_or(|at| at <= now_ms) && self.ends_at.is_none_or(|at| now_ms < at)
    }
}
