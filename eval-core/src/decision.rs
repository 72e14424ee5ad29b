//! What evaluation answers.

use crate::config::{CompiledConfig, Experiment, HoldoutId, Variant};
use crate::strings::StringId;
use std::borrow::Cow;
use std::fmt;

/// Why this variant. The set is closed: every input gets one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason<'c> {
    /// The experiment does not run now.
    Inactive,
    /// The request has no id of the experiment's unit type.
    NoUnit,
    /// The unit stands in the experiment's override list.
    Override,
    /// The project requires consent and the request gives none.
    NoConsent,
    /// A holdout keeps the unit out.
    Holdout {
        /// Name of the holdout.
        holdout: &'c str,
    },
    /// A required flag serves another variant.
    Prerequisite {
        /// Key of the flag.
        flag: &'c str,
    },
    /// The unit is not in the audience.
    Targeting,
    /// The unit keeps the variant that it was given before.
    Prior,
    /// Enrolment is frozen and the unit was not in before.
    Frozen,
    /// The unit lies outside the layer's slice of the domain space.
    Domain {
        /// Its bucket in the domain space.
        bucket: u16,
    },
    /// The unit's bucket in the layer belongs to another experiment or to nobody.
    Traffic {
        /// Its bucket in the layer.
        bucket: u16,
    },
    /// The unit was dealt this variant.
    Split {
        /// Its bucket in the experiment's (or flag's) own space.
        bucket: u16,
    },
    /// The experiment is over and this variant goes to everyone.
    Shipped,
    /// Nothing has this key.
    NotFound,
    /// The flag is switched off.
    Disabled,
    /// The unit is targeted by name.
    Target,
    /// A rule serves a fixed variant.
    Rule {
        /// Position of the rule, from 0.
        index: u16,
    },
    /// The flag has no rules.
    Static,
    /// No rule served.
    Default,
}

impl Reason<'_> {
    /// The reason's word on the wire.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::NoUnit => "no_unit",
            Self::Override => "override",
            Self::NoConsent => "no_consent",
            Self::Holdout { .. } => "holdout",
            Self::Prerequisite { .. } => "prerequisite",
            Self::Targeting => "targeting",
            Self::Prior => "prior",
            Self::Frozen => "frozen",
            Self::Domain { .. } => "domain",
            Self::Traffic { .. } => "traffic",
            Self::Split { .. } => "split",
            Self::Shipped => "shipped",
            Self::NotFound => "not_found",
            Self::Disabled => "disabled",
            Self::Target => "target",
            Self::Rule { .. } => "rule",
            Self::Static => "static",
            Self::Default => "default",
        }
    }

    /// The reason of the OpenFeature Remote Evaluation Protocol.
    pub fn open_feature(&self) -> &'static str {
        match self {
            Self::Split { .. } | Self::Prior => "SPLIT",
            Self::Target | Self::Rule { .. } | Self::Override | Self::Shipped => "TARGETING_MATCH",
            Self::Disabled => "DISABLED",
            Self::Static => "STATIC",
            _ => "UNKNOWN",
        }
    }
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The id that was randomised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitText<'c> {
    /// A unit id of the request.
    Id(&'c str),
    /// A time slice of a cluster, written `cluster@slice`.
    Slice {
        /// The cluster.
        cluster: &'c str,
        /// Number of the slice.
        slice: i64,
    },
}

impl fmt::Display for UnitText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => f.write_str(id),
            Self::Slice { cluster, slice } => write!(f, "{cluster}@{slice}"),
        }
    }
}

/// The fact that a unit takes part in an experiment: what the caller logs when the variant is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exposure<'c> {
    /// Key of the experiment.
    pub experiment: &'c str,
    /// The variant.
    pub variant: &'c str,
    /// The experiment's unit type.
    pub unit_type: &'c str,
    /// The unit.
    pub unit: UnitText<'c>,
    /// Name of the layer, empty for an experiment that shares none.
    pub layer: &'c str,
    /// The unit's bucket in the experiment's own space.
    pub bucket: u16,
}

/// A [`Reason`] before names are looked up: its word, and a number that says the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Why {
    word: Word,
    /// A bucket, the position of a rule, or the index of what the reason names.
    number: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Inactive,
    NoUnit,
    Override,
    NoConsent,
    Holdout,
    Prerequisite,
    Targeting,
    Prior,
    Frozen,
    Domain,
    Traffic,
    Split,
    Shipped,
    NotFound,
    Disabled,
    Target,
    Rule,
    Static,
    Default,
}

impl Why {
    pub(crate) const INACTIVE: Self = Self::plain(Word::Inactive);
    pub(crate) const NO_UNIT: Self = Self::plain(Word::NoUnit);
    pub(crate) const OVERRIDE: Self = Self::plain(Word::Override);
    pub(crate) const NO_CONSENT: Self = Self::plain(Word::NoConsent);
    pub(crate) const TARGETING: Self = Self::plain(Word::Targeting);
    pub(crate) const PRIOR: Self = Self::plain(Word::Prior);
    pub(crate) const FROZEN: Self = Self::plain(Word::Frozen);
    pub(crate) const SHIPPED: Self = Self::plain(Word::Shipped);
    pub(crate) const DISABLED: Self = Self::plain(Word::Disabled);
    pub(crate) const TARGET: Self = Self::plain(Word::Target);
    pub(crate) const STATIC: Self = Self::plain(Word::Static);
    pub(crate) const DEFAULT: Self = Self::plain(Word::Default);

    const fn plain(word: Word) -> Self {
        Self { word, number: 0 }
    }

    pub(crate) fn holdout(id: HoldoutId) -> Self {
        Self { word: Word::Holdout, number: id.0 }
    }

    /// The entry of the required flag.
    pub(crate) fn prerequisite(entry: u32) -> Self {
        Self { word: Word::Prerequisite, number: entry }
    }

    pub(crate) fn domain(bucket: u16) -> Self {
        Self { word: Word::Domain, number: bucket.into() }
    }

    pub(crate) fn traffic(bucket: u16) -> Self {
        Self { word: Word::Traffic, number: bucket.into() }
    }

    pub(crate) fn split(bucket: u16) -> Self {
        Self { word: Word::Split, number: bucket.into() }
    }

    pub(crate) fn rule(index: u16) -> Self {
        Self { word: Word::Rule, number: index.into() }
    }

    fn reason<'c>(self, config: &'c CompiledConfig<'c>) -> Reason<'c> {
        let at = self.number as usize;
        let bucket = (self.number & 0xffff) as u16;
        match self.word {
            Word::Inactive => Reason::Inactive,
            Word::NoUnit => Reason::NoUnit,
            Word::Override => Reason::Override,
            Word::NoConsent => Reason::NoConsent,
            Word::Holdout => Reason::Holdout {
                holdout: config.holdouts.get(at).map_or("", |row| config.strings.get(row.key)),
            },
            Word::Prerequisite => Reason::Prerequisite {
                flag: config.entries.get(at).map_or("", |entry| config.strings.get(entry.key)),
            },
            Word::Targeting => Reason::Targeting,
            Word::Prior => Reason::Prior,
            Word::Frozen => Reason::Frozen,
            Word::Domain => Reason::Domain { bucket },
            Word::Traffic => Reason::Traffic { bucket },
            Word::Split => Reason::Split { bucket },
            Word::Shipped => Reason::Shipped,
            Word::NotFound => Reason::NotFound,
            Word::Disabled => Reason::Disabled,
            Word::Target => Reason::Target,
            Word::Rule => Reason::Rule { index: bucket },
            Word::Static => Reason::Static,
            Word::Default => Reason::Default,
        }
    }
}

static NO_ID: Cow<'static, str> = Cow::Borrowed("");

/// The id that is randomised, in parts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unit<'c> {
    /// A unit id, or the cluster of a switchback.
    pub(crate) id: &'c Cow<'c, str>,
    /// Number of the cluster's time slice.
    pub(crate) slice: Option<i64>,
}

impl<'c> Unit<'c> {
    /// Stands where nobody asks for the unit.
    pub(crate) const NONE: Self = Self { id: &NO_ID, slice: None };

    pub(crate) fn text(self) -> UnitText<'c> {
        match self.slice {
            None => UnitText::Id(self.id),
            Some(slice) => UnitText::Slice { cluster: self.id, slice },
        }
    }
}

/// The answer for one key.
///
/// It knows names and values by their places in the config and looks them up when asked, so that a pass over thousands of
/// keys reads only what its caller reads.
#[derive(Clone, Copy)]
pub struct Decision<'c> {
    pub(crate) config: Option<&'c CompiledConfig<'c>>,
    /// The experiment in which the unit takes part.
    pub(crate) part: Option<&'c Experiment>,
    pub(crate) unit: Unit<'c>,
    pub(crate) key: StringId,
    pub(crate) variant: Variant,
    pub(crate) why: Why,
    /// The unit's bucket in the experiment's own space.
    pub(crate) bucket: u16,
    pub(crate) is_experiment: bool,
    /// Whether a step of an experiment chose the variant; otherwise it is control, by default.
    pub(crate) is_chosen: bool,
}

impl<'c> Decision<'c> {
    /// The answer for a key that nothing has.
    pub const NOT_FOUND: Self = Self {
        config: None,
        part: None,
        unit: Unit::NONE,
        key: StringId(0),
        variant: Variant::NONE,
        why: Why::plain(Word::NotFound),
        bucket: 0,
        is_experiment: false,
        is_chosen: false,
    };

    /// The key, as the config has it; empty when nothing has the key that was asked for.
    #[inline]
    pub fn key(&self) -> &'c str {
        self.config.map_or("", |config| config.strings.get(self.key))
    }

    /// The variant that is served. `None` leaves the caller with its default.
    #[inline]
    pub fn variant(&self) -> Option<&'c str> {
        self.config?.variant_name(self.variant)
    }

    /// The variant's value as serialized JSON.
    #[inline]
    pub fn value(&self) -> Option<&'c str> {
        self.config?.variant_value(self.variant)
    }

    /// The bytes of [`Decision::value`], for writing them into an answer: unlike the text, they are found without being read.
    #[inline]
    pub fn value_bytes(&self) -> Option<&'c [u8]> {
        self.config?.variant_value_bytes(self.variant)
    }

    /// Why.
    #[inline]
    pub fn reason(&self) -> Reason<'c> {
        self.config.map_or(Reason::NotFound, |config| self.why.reason(config))
    }

    /// Whether the unit takes part in an experiment.
    #[inline]
    pub fn enrolled(&self) -> bool {
        self.part.is_some()
    }

    /// Whether the key is an experiment's (as opposed to a flag's).
    #[inline]
    pub fn is_experiment(&self) -> bool {
        self.is_experiment
    }

    /// What to log; there exactly when the unit is enrolled.
    #[inline]
    pub fn exposure(&self) -> Option<Exposure<'c>> {
        let config = self.config?;
        let experiment = self.part?;
        Some(Exposure {
            experiment: config.strings.get(experiment.key),
            variant: config.variant_name(self.variant).unwrap_or_default(),
            unit_type: config
                .unit_types
                .get(usize::from(experiment.unit_type.0))
                .map_or("", |name| config.strings.get(name.id)),
            unit: self.unit.text(),
            layer: experiment
                .layer()
                .and_then(|id| config.layer(id))
                .map_or("", |layer| config.strings.get(layer.key)),
            bucket: self.bucket,
        })
    }
}

/// Decisions are equal that say the same, of whichever config.
impl PartialEq for Decision<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
            && self.variant() == other.variant()
            && self.value() == other.value()
            && self.reason() == other.reason()
            && self.exposure() == other.exposure()
            && self.is_experiment == other.is_experiment
    }
}

impl fmt::Debug for Decision<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decision")
            .field("key", &self.key())
            .field("variant", &self.variant())
            .field("value", &self.value())
            .field("reason", &self.reason())
            .field("exposure", &self.exposure())
            .field("is_experiment", &self.is_experiment)
            .finish()
    }
}
