//! What evaluation answers.

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
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision<'c> {
    /// The key, as the config has it; empty when nothing has the key that was asked for.
    pub key: &'c str,
    /// The variant that is served. `None` leaves the caller with its default.
    pub variant: Option<&'c str>,
    /// The variant's value as serialized JSON.
    pub value: Option<&'c str>,
    /// Whether the unit takes part in an experiment.
    pub enrolled: bool,
    /// Why.
    pub reason: Reason<'c>,
    /// What to log; there exactly when `enrolled` is true.
    pub exposure: Option<Exposure<'c>>,
    /// Whether the key is an experiment's (as opposed to a flag's).
    pub is_experiment: bool,
}

impl Decision<'_> {
    /// The answer for a key that nothing has.
    pub const NOT_FOUND: Self = Self {
        key: "",
        variant: None,
        value: None,
        enrolled: false,
        reason: Reason::NotFound,
        exposure: None,
        is_experiment: false,
    };
}
