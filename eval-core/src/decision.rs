//! What evaluation answers.

use crate::config::{CompiledConfig, Experiment, Variant};
use crate::strings::StringId;
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

/// The answer for one key.
///
/// It knows names and values by their places in the config and looks them up when asked, so that a pass over thousands of
/// keys reads only what its caller reads.
#[derive(Clone, Copy)]
pub struct Decision<'c> {
    config: Option<&'c CompiledConfig<'c>>,
    key: StringId,
    variant: Option<Variant>,
    part: Option<Part<'c>>,
    /// Why.
    pub reason: Reason<'c>,
    /// Whether the unit takes part in an experiment.
    pub enrolled: bool,
    /// Whether the key is an experiment's (as opposed to a flag's).
    pub is_experiment: bool,
}

/// A unit's part in an experiment.
#[derive(Clone, Copy)]
pub(crate) struct Part<'c> {
    pub(crate) experiment: &'c Experiment,
    pub(crate) unit: UnitText<'c>,
    /// Bucket in the experiment's own space.
    pub(crate) bucket: u16,
}

impl<'c> Decision<'c> {
    /// The answer for a key that nothing has.
    pub const NOT_FOUND: Self = Self {
        config: None,
        key: StringId(0),
        variant: None,
        part: None,
        reason: Reason::NotFound,
        enrolled: false,
        is_experiment: false,
    };

    /// A unit takes part only with a variant.
    #[inline]
    pub(crate) fn new(
        config: &'c CompiledConfig<'c>,
        key: StringId,
        variant: Option<Variant>,
        part: Option<Part<'c>>,
        reason: Reason<'c>,
        is_experiment: bool,
    ) -> Self {
        let part = part.filter(|_| variant.is_some());
        Self {
            config: Some(config),
            key,
            variant,
            part,
            reason,
            enrolled: part.is_some(),
            is_experiment,
        }
    }

    /// The key, as the config has it; empty when nothing has the key that was asked for.
    pub fn key(&self) -> &'c str {
        self.config.map_or("", |config| config.strings.get(self.key))
    }

    /// The variant that is served. `None` leaves the caller with its default.
    pub fn variant(&self) -> Option<&'c str> {
        Some(self.config?.strings.get(self.variant?.name))
    }

    /// The variant's value as serialized JSON.
    pub fn value(&self) -> Option<&'c str> {
        Some(self.config?.strings.get(self.variant?.value))
    }

    /// The bytes of [`Decision::value`], for writing them into an answer: unlike the text, they are found without being read.
    pub fn value_bytes(&self) -> Option<&'c [u8]> {
        Some(self.config?.strings.bytes(self.variant?.value))
    }

    /// What to log; there exactly when `enrolled` is true.
    pub fn exposure(&self) -> Option<Exposure<'c>> {
        let config = self.config?;
        let part = self.part?;
        let experiment = part.experiment;
        Some(Exposure {
            experiment: config.strings.get(experiment.key),
            variant: self.variant()?,
            unit_type: config
                .unit_types
                .get(usize::from(experiment.unit_type.0))
                .map_or("", |name| config.strings.get(name.id)),
            unit: part.unit,
            layer: experiment
                .layer()
                .and_then(|id| config.layer(id))
                .map_or("", |layer| config.strings.get(layer.key)),
            bucket: part.bucket,
        })
    }
}

/// Decisions are equal that say the same, of whichever config.
impl PartialEq for Decision<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
            && self.variant() == other.variant()
            && self.value() == other.value()
            && self.reason == other.reason
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
            .field("reason", &self.reason)
            .field("exposure", &self.exposure())
            .field("is_experiment", &self.is_experiment)
            .finish()
    }
}
