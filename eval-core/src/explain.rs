//! Why a decision came out as it did: every step that evaluation took, in order.
//!
//! Evaluation is generic over a [`Trace`]; without one ([`NoTrace`]) the steps are never made, so explaining costs nothing
//! when nobody asks.

use serde::Serialize;

/// One step of an evaluation, with what it looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// The key leads to an experiment.
    Experiment {
        /// Its key.
        experiment: String,
        /// Its status in the config.
        status: &'static str,
        /// Whether it is active at the time of the request.
        active: bool,
    },
    /// The key leads to a flag.
    Flag {
        /// Its key.
        flag: String,
        /// Whether it is switched on.
        enabled: bool,
    },
    /// The unit that is randomised.
    Unit {
        /// Unit type.
        unit_type: String,
        /// The id, if the request has one.
        unit: Option<String>,
    },
    /// A list of unit ids was searched.
    List {
        /// Overrides, targets, include or exclude, and whose.
        list: String,
        /// Whether the edge has the list key; without it lists match nobody.
        searchable: bool,
        /// Whether the unit was found.
        found: bool,
    },
    /// Consent is required.
    Consent {
        /// Whether the request gives it.
        given: bool,
    },
    /// A holdout was looked at.
    Holdout {
        /// Its name.
        holdout: String,
        /// The unit's bucket; none without a unit of its type.
        bucket: Option<u16>,
        /// Buckets below this one are held.
        held_below: u16,
        /// Whether the unit is held.
        held: bool,
    },
    /// A required flag was evaluated.
    Prerequisite {
        /// Its key.
        flag: String,
        /// Variant that is required.
        required: String,
        /// Variant that it serves.
        served: Option<String>,
        /// Whether they are the same.
        met: bool,
    },
    /// A comparison was made.
    Comparison {
        /// Attribute.
        attribute: String,
        /// Operator.
        op: String,
        /// Whether the context has the attribute.
        present: bool,
        /// The outcome.
        matched: bool,
    },
    /// A segment was looked at.
    Segment {
        /// Its key.
        segment: String,
        /// Whether the unit belongs.
        matched: bool,
    },
    /// The whole condition of an experiment or rule.
    Targeting {
        /// The outcome.
        matched: bool,
    },
    /// A prior assignment was looked for.
    Prior {
        /// Whether enrolment is frozen.
        frozen: bool,
        /// The variant that the request brings, if it still exists.
        variant: Option<String>,
    },
    /// The layer's slice of the domain space.
    Domain {
        /// The unit's bucket.
        bucket: u16,
        /// First bucket of the slice.
        lo: u16,
        /// First bucket after it.
        hi: u16,
        /// Whether the unit lies inside.
        inside: bool,
    },
    /// The layer.
    Layer {
        /// Its name; empty for the own layer of one experiment.
        layer: String,
        /// The unit's bucket.
        bucket: u16,
        /// Ranges that the experiment owns, half-open.
        ranges: Vec<(u16, u16)>,
        /// Whether the bucket is the experiment's.
        owned: bool,
    },
    /// The split between variants.
    Split {
        /// The unit's bucket in the space of the experiment or flag.
        bucket: u16,
        /// The variant that owns it.
        variant: Option<String>,
    },
    /// A rule of a flag was looked at.
    Rule {
        /// Its position, from 0.
        index: u16,
        /// The unit's bucket in the rollout; none when everybody is included or there is no unit.
        bucket: Option<u16>,
        /// Buckets below this one are included.
        included_below: u16,
        /// Whether the rule serves.
        serves: bool,
    },
}

/// Receives the steps of an evaluation.
pub(crate) trait Trace {
    /// Takes a step; `make` is called only when somebody listens.
    fn record(&mut self, make: impl FnOnce() -> Step);

    /// Whether anybody listens; results that were remembered are then worked out anew.
    const LISTENS: bool;
}

/// Nobody listens.
pub(crate) struct NoTrace;

impl Trace for NoTrace {
    #[inline]
    fn record(&mut self, _: impl FnOnce() -> Step) {}

    const LISTENS: bool = false;
}

impl Trace for Vec<Step> {
    fn record(&mut self, make: impl FnOnce() -> Step) {
        self.push(make());
    }

    const LISTENS: bool = true;
}
