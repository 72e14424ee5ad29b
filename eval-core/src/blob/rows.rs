//! The tables of experiments, flags and what they share, as columns.

use crate::blob::body::{ids, low_byte, low_half};
use crate::blob::columns::{Ascending, Bytes, Expected, Numbers, Optional, SaltStates, Spans};
use crate::config::{
    CompiledConfig, Entry, Experiment, ExperimentId, Flag, Holdout, Layer, Maybe, Rule, RuleServe,
    Span, Target, UnitTypeId, Variants,
};
use crate::slots::SlotsId;
use crate::source::ExperimentStatus;
use crate::strings::StringId;
use crate::targeting::NodeId;
use serde::{Deserialize, Serialize};

fn n_comparisons(config: &CompiledConfig<'_>) -> u32 {
    u32::try_from(config.comparisons.len()).unwrap_or(u32::MAX)
}

#[derive(Serialize, Deserialize)]
pub(super) struct Layers<'b> {
    #[serde(borrow)]
    keys: Ascending<'b>,
    unit_types: Numbers<'b>,
    salts: SaltStates<'b>,
    domain_los: Numbers<'b>,
    domain_his: Numbers<'b>,
    slots: Ascending<'b>,
}

impl Layers<'_> {
    pub(super) fn of(config: &CompiledConfig<'_>) -> Self {
        let rows = config.layers.iter();
        Self {
            keys: ids(rows.clone().map(|row| row.key)),
            unit_types: Numbers::of(rows.clone().map(|row| u32::from(row.unit_type.0))),
            salts: SaltStates::of(rows.clone().map(|row| row.salt)),
            domain_los: Numbers::of(rows.clone().map(|row| u32::from(row.domain_lo))),
            domain_his: Numbers::of(rows.clone().map(|row| u32::from(row.domain_hi))),
            slots: Ascending::of(rows.map(|row| row.slots.0)),
        }
    }

    pub(super) fn rows(&self) -> Vec<Layer> {
        let mut rows = Vec::with_capacity(self.keys.len());
        let columns = self.keys.iter().zip(self.unit_types.iter()).zip(self.salts.iter());
        let columns = columns.zip(self.domain_los.iter()).zip(self.domain_his.iter());
        let columns = columns.zip(self.slots.iter());
        rows.extend(columns.map(|(((((key, unit_type), salt), lo), hi), slots)| Layer {
            key: StringId(key),
            unit_type: UnitTypeId(low_byte(unit_type)),
            salt,
            domain_lo: low_half(lo),
            domain_hi: low_half(hi),
            slots: SlotsId(slots),
        }));
        rows
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Holdouts<'b> {
    #[serde(borrow)]
    keys: Ascending<'b>,
    unit_types: Numbers<'b>,
    salts: SaltStates<'b>,
    sizes: Numbers<'b>,
}

impl Holdouts<'_> {
    pub(super) fn of(config: &CompiledConfig<'_>) -> Self {
        let rows = config.holdouts.iter();
        Self {
            keys: ids(rows.clone().map(|row| row.key)),
            unit_types: Numbers::of(rows.clone().map(|row| u32::from(row.unit_type.0))),
            salts: SaltStates::of(rows.clone().map(|row| row.salt)),
            sizes: Numbers::of(rows.map(|row| u32::from(row.size))),
        }
    }

    pub(super) fn rows(&self) -> Vec<Holdout> {
        let columns = self.keys.iter().zip(self.unit_types.iter()).zip(self.salts.iter());
        let row = |(((key, unit_type), salt), size)| Holdout {
            key: StringId(key),
            unit_type: UnitTypeId(low_byte(unit_type)),
            salt,
            size: low_half(size),
        };
        columns.zip(self.sizes.iter()).map(row).collect()
    }
}

/// The answers of experiments or of flags. The values are stretches of the table of values, in format 1 of the strings.
#[derive(Serialize, Deserialize)]
struct VariantLists<'b> {
    #[serde(borrow)]
    names: Numbers<'b>,
    values: Spans<'b>,
}

impl VariantLists<'_> {
    fn of(rows: impl Iterator<Item = Variants> + Clone) -> Self {
        let values = |row: Variants| Span { start: row.values, len: u32::from(row.len) };
        Self {
            names: Numbers::of(rows.clone().map(|row| row.names)),
            values: Spans::of(rows.map(values)),
        }
    }

    fn iter(&self) -> impl Iterator<Item = Variants> {
        self.names.iter().zip(self.values.iter()).map(|(names, values)| Variants {
            names,
            values: values.start,
            // A list that is too long for its number is damaged: without any it is found to be.
            len: u16::try_from(values.len).unwrap_or(0),
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Experiments<'b> {
    #[serde(borrow)]
    keys: Ascending<'b>,
    salts: SaltStates<'b>,
    statuses: Bytes<'b>,
    unit_types: Numbers<'b>,
    targeting: Optional<'b>,
    layers: Optional<'b>,
    slots: Numbers<'b>,
    variants: VariantLists<'b>,
    splits: Numbers<'b>,
    controls: Numbers<'b>,
    extras: Optional<'b>,
}

fn status_code(status: ExperimentStatus) -> u8 {
    match status {
        ExperimentStatus::Running => 0,
        ExperimentStatus::Scheduled => 1,
        ExperimentStatus::Paused => 2,
        ExperimentStatus::Completed => 3,
    }
}

fn status_of(code: u8) -> Option<ExperimentStatus> {
    match code {
        0 => Some(ExperimentStatus::Running),
        1 => Some(ExperimentStatus::Scheduled),
        2 => Some(ExperimentStatus::Paused),
        3 => Some(ExperimentStatus::Completed),
        _ => None,
    }
}

impl Experiments<'_> {
    pub(super) fn of(config: &CompiledConfig<'_>) -> Self {
        let rows = config.experiments.iter();
        Self {
            keys: ids(rows.clone().map(|row| row.key)),
            salts: SaltStates::of(rows.clone().map(|row| row.salt)),
            statuses: Bytes(rows.clone().map(|row| status_code(row.status)).collect()),
            unit_types: Numbers::of(rows.clone().map(|row| u32::from(row.unit_type.0))),
            targeting: Optional::of(
                rows.clone().map(|row| row.targeting.get()),
                n_comparisons(config),
            ),
            layers: Optional::of(rows.clone().map(|row| row.layer.get()), 0),
            slots: Numbers::of(rows.clone().map(|row| u32::from(row.slot))),
            variants: VariantLists::of(rows.clone().map(|row| row.variants)),
            splits: Numbers::of(rows.clone().map(|row| row.split.0)),
            controls: Numbers::of(rows.clone().map(|row| u32::from(row.control))),
            extras: Optional::of(rows.map(|row| row.extras.get()), 0),
        }
    }

    pub(super) fn rows(&self, n_comparisons: u32) -> Result<Vec<Experiment>, String> {
        let mut rows = Vec::with_capacity(self.keys.len());
        let mut salts = self.salts.iter();
        let mut statuses = self.statuses.0.iter();
        let mut unit_types = self.unit_types.iter();
        let mut targeting = self.targeting.iter(n_comparisons);
        let mut layers = self.layers.iter(0);
        let mut slots = self.slots.iter();
        let mut variants = self.variants.iter();
        let mut splits = self.splits.iter();
        let mut controls = self.controls.iter();
        let mut extras = self.extras.iter(0);
        for key in self.keys.iter() {
            let mut row = || -> Option<Experiment> {
                Some(Experiment {
                    key: StringId(key),
                    salt: salts.next()?,
                    targeting: Maybe::from_option(targeting.next()?),
                    layer: Maybe::from_option(layers.next()?),
                    split: SlotsId(splits.next()?),
                    extras: Maybe::from_option(extras.next()?),
                    variants: variants.next()?,
                    slot: low_half(slots.next()?),
                    control: low_half(controls.next()?),
                    unit_type: UnitTypeId(low_byte(unit_types.next()?)),
                    status: status_of(*statuses.next()?)?,
                    damaged: false,
                })
            };
            rows.push(
                row().ok_or("columns of experiments differ in length or hold an unknown status")?,
            );
        }
        Ok(rows)
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Rules<'b> {
    #[serde(borrow)]
    salts: SaltStates<'b>,
    rollouts: Numbers<'b>,
    conditions: Optional<'b>,
    /// 0 a variant, 1 a split, 2 an experiment.
    kinds: Bytes<'b>,
    /// Which one.
    serves: Numbers<'b>,
}

impl Rules<'_> {
    pub(super) fn of(config: &CompiledConfig<'_>) -> Self {
        let rows = config.rules.iter();
        let code = |serve: RuleServe| match serve {
            RuleServe::Variant(at) => (0, u32::from(at)),
            RuleServe::Split(slots) => (1, slots.0),
            RuleServe::Experiment(id) => (2, id.0),
        };
        Self {
            salts: SaltStates::of(rows.clone().map(|row| row.salt)),
            rollouts: Numbers::of(rows.clone().map(|row| u32::from(row.rollout))),
            conditions: Optional::of(
                rows.clone().map(|row| row.condition.map(|id| id.0)),
                n_comparisons(config),
            ),
            kinds: Bytes(rows.clone().map(|row| code(row.serve).0).collect()),
            serves: Numbers::of(rows.map(|row| code(row.serve).1)),
        }
    }

    pub(super) fn rows(&self, n_comparisons: u32) -> Vec<Rule> {
        let serve = |(&kind, which): (&u8, u32)| match kind {
            0 => RuleServe::Variant(low_half(which)),
            1 => RuleServe::Split(SlotsId(which)),
            // One that does not exist, of a kind that does not exist: its flag is damaged.
            2 => RuleServe::Experiment(ExperimentId(which)),
            _ => RuleServe::Experiment(ExperimentId(u32::MAX)),
        };
        let serves = self.kinds.0.iter().zip(self.serves.iter()).map(serve);
        let mut rows = Vec::with_capacity(self.kinds.0.len());
        let columns = self.salts.iter().zip(self.rollouts.iter());
        let columns = columns.zip(self.conditions.iter(n_comparisons)).zip(serves);
        rows.extend(columns.map(|(((salt, rollout), condition), serve)| Rule {
            salt,
            rollout: low_half(rollout),
            condition: condition.map(NodeId),
            serve,
        }));
        rows
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Flags<'b> {
    #[serde(borrow)]
    keys: Ascending<'b>,
    salts: SaltStates<'b>,
    unit_types: Numbers<'b>,
    enabled: Bytes<'b>,
    variants: VariantLists<'b>,
    default_variants: Numbers<'b>,
    off_variants: Numbers<'b>,
    holdouts: Spans<'b>,
    prerequisites: Spans<'b>,
    targets: Spans<'b>,
    target_variants: Numbers<'b>,
    rules: Spans<'b>,
}

impl Flags<'_> {
    pub(super) fn of(config: &CompiledConfig<'_>) -> Self {
        let rows = config.flags.iter();
        Self {
            keys: ids(rows.clone().map(|row| row.key)),
            salts: SaltStates::of(rows.clone().map(|row| row.salt)),
            unit_types: Numbers::of(rows.clone().map(|row| u32::from(row.unit_type.0))),
            enabled: Bytes(rows.clone().map(|row| u8::from(row.enabled)).collect()),
            variants: VariantLists::of(rows.clone().map(|row| row.variants)),
            default_variants: Numbers::of(rows.clone().map(|row| u32::from(row.default_variant))),
            off_variants: Numbers::of(rows.clone().map(|row| u32::from(row.off_variant))),
            holdouts: Spans::of(rows.clone().map(|row| row.holdouts)),
            prerequisites: Spans::of(rows.clone().map(|row| row.prerequisites)),
            targets: Spans::of(rows.clone().map(|row| row.targets)),
            target_variants: Numbers::of(rows.clone().map(|row| row.target_variants)),
            rules: Spans::of(rows.map(|row| row.rules)),
        }
    }

    pub(super) fn rows(&self) -> Vec<Flag> {
        let mut rows = Vec::with_capacity(self.keys.len());
        let mut salts = self.salts.iter();
        let mut unit_types = self.unit_types.iter();
        let mut enabled = self.enabled.0.iter();
        let mut variants = self.variants.iter();
        let mut default_variants = self.default_variants.iter();
        let mut off_variants = self.off_variants.iter();
        let mut holdouts = self.holdouts.iter();
        let mut prerequisites = self.prerequisites.iter();
        let mut targets = self.targets.iter();
        let mut target_variants = self.target_variants.iter();
        let mut rules = self.rules.iter();
        for key in self.keys.iter() {
            let mut row = || -> Option<Flag> {
                Some(Flag {
                    key: StringId(key),
                    salt: salts.next()?,
                    unit_type: UnitTypeId(low_byte(unit_types.next()?)),
                    enabled: *enabled.next()? == 1,
                    variants: variants.next()?,
                    default_variant: low_half(default_variants.next()?),
                    off_variant: low_half(off_variants.next()?),
                    holdouts: holdouts.next()?,
                    prerequisites: prerequisites.next()?,
                    targets: targets.next()?,
                    target_variants: target_variants.next()?,
                    rules: rules.next()?,
                    damaged: false,
                })
            };
            rows.extend(row());
        }
        rows
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Entries<'b> {
    #[serde(borrow)]
    keys: Ascending<'b>,
    /// 0 a flag, 1 an experiment.
    kinds: Bytes<'b>,
    /// Which one: mostly the one after the last of its kind.
    targets: Expected<'b>,
}

impl Entries<'_> {
    pub(super) fn of(config: &CompiledConfig<'_>) -> Self {
        let rows = config.entries.iter();
        let mut next = [0u32; 2];
        let mut expected = |entry: &Entry| {
            let [next_flag, next_experiment] = &mut next;
            let (next, index) = match entry.target() {
                Target::Flag(id) => (next_flag, id),
                Target::Experiment(id) => (next_experiment, id),
            };
            (std::mem::replace(next, index.wrapping_add(1)), index)
        };
        Self {
            keys: ids(rows.clone().map(|row| row.key)),
            kinds: Bytes(
                rows.clone()
                    .map(|row| u8::from(matches!(row.target(), Target::Experiment(_))))
                    .collect(),
            ),
            targets: Expected::of(rows.map(&mut expected)),
        }
    }

    pub(super) fn rows(&self) -> Vec<Entry> {
        let mut rows = Vec::with_capacity(self.keys.len());
        let (mut next_flag, mut next_experiment) = (0u32, 0u32);
        let columns = self.keys.iter().zip(self.kinds.0.iter()).zip(self.targets.iter());
        rows.extend(columns.map(|((key, &kind), distance)| {
            let next = if kind == 0 { &mut next_flag } else { &mut next_experiment };
            let index = next.wrapping_add(distance);
            *next = index.wrapping_add(1);
            let target = if kind == 0 { Target::Flag(index) } else { Target::Experiment(index) };
            Entry::new(StringId(key), target)
        }));
        rows
    }
}
