//! What compiling reads: plain owned definitions of one environment, every name resolved to a key.
//!
//! The control plane fills these from what people authored; [`crate::compile`] turns them into the
//! [`CompiledConfig`](crate::CompiledConfig) that evaluation reads.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeMap};
use std::collections::BTreeMap;

/// A half-open range of buckets: `lo <= bucket && bucket < hi`, with `hi` at most 10 000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BucketRange {
    /// First bucket inside.
    pub lo: u16,
    /// First bucket after it.
    pub hi: u16,
}

impl BucketRange {
    /// All 10 000 buckets.
    pub const ALL: Self = Self { lo: 0, hi: crate::bucket::BUCKET_COUNT };

    /// Whether a bucket lies inside.
    pub fn contains(self, bucket: u16) -> bool {
        self.lo <= bucket && bucket < self.hi
    }
}

/// A tree over comparisons of attributes; the JSON form is that of the API.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// True when every part is true; an empty list is true.
    All(Vec<Condition>),
    /// True when some part is true; an empty list is false.
    Any(Vec<Condition>),
    /// True when the part is false.
    Not(Box<Condition>),
    /// `attribute op values`. An operator that this build does not know makes the comparison false.
    Compare {
        /// Name of the attribute.
        attribute: String,
        /// Operator as written in the API, such as `in` or `semver_gte`.
        op: String,
        /// What the attribute is compared with; most operators take the first alone.
        values: Vec<Literal>,
    },
    /// Membership in a segment, by its key.
    Segment(String),
}

/// A value to compare with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Literal {
    /// `true` or `false`.
    Bool(bool),
    /// Any JSON number.
    Number(f64),
    /// A string; also times, versions, networks and patterns, which the operator interprets.
    String(String),
}

/// Everything that one environment's config is compiled from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ConfigSource {
    /// Environment id.
    pub environment: String,
    /// Project that the environment belongs to.
    pub project: String,
    /// Salt of the environment's domain space.
    pub domain_salt: String,
    /// Whether only units whose `consent` attribute is true take part in experiments.
    pub requires_consent: bool,
    /// Key under which unit ids of lists are fingerprinted. Without it lists are left out.
    pub list_key: Option<[u8; 32]>,
    /// Keys that may read this environment.
    pub sdk_keys: Vec<SdkKeySource>,
    /// Attributes that only servers know: a client is not told of conditions on them, and what needs them is decided by the edge.
    #[serde(default)]
    pub server_only_attributes: Vec<String>,
    /// Randomisation spaces shared by several experiments.
    pub layers: Vec<LayerSource>,
    /// Units kept out of the experiments and flags that name the holdout.
    pub holdouts: Vec<HoldoutSource>,
    /// Named audiences.
    pub segments: Vec<SegmentSource>,
    /// Scheduled, running, paused and completed experiments.
    pub experiments: Vec<ExperimentSource>,
    /// Flags that are not archived.
    pub flags: Vec<FlagSource>,
    /// What an edge in front of a site does with its requests.
    #[serde(default)]
    pub routes: Vec<crate::route::RouteSource>,
}

/// One SDK key, hashed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SdkKeySource {
    /// SHA-256 of the whole key.
    pub sha256: [u8; 32],
    /// What the key may see.
    pub kind: KeyKind,
}

/// What an SDK key may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// Held by a server: may read the whole config.
    Server,
    /// Shipped to browsers and apps: sees answers only.
    Client,
}

/// A randomisation space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerSource {
    /// Name.
    pub key: String,
    /// Salt of the layer's buckets.
    pub salt: String,
    /// Which of a request's unit ids is hashed.
    pub unit_type: String,
    /// Slice of the environment's domain space in which the layer exists.
    pub domain: BucketRange,
}

/// Units that experiments and flags leave alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldoutSource {
    /// Name.
    pub key: String,
    /// Salt of the holdout's buckets.
    pub salt: String,
    /// Which of a request's unit ids is hashed.
    pub unit_type: String,
    /// Number of buckets held, from bucket 0.
    pub size: u16,
}

/// A named audience: excluded units are out, included ones in, the condition decides about the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SegmentSource {
    /// Name.
    pub key: String,
    /// Unit type of the lists.
    pub unit_type: String,
    /// Who belongs; nobody when absent.
    pub condition: Option<Condition>,
    /// Unit ids that belong.
    pub include: Vec<String>,
    /// Unit ids that do not; wins over everything.
    pub exclude: Vec<String>,
}

/// State of an experiment, as far as evaluation cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExperimentStatus {
    /// Starts by itself when its window opens.
    Scheduled,
    /// Enrols.
    Running,
    /// Serves what its [`PauseBehaviour`] says.
    Paused,
    /// Over; serves its shipped variant, if one was chosen.
    Completed,
}

/// What a paused experiment serves. Either way nobody is enrolled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseBehaviour {
    /// Control for everyone.
    #[default]
    Control,
    /// Each unit goes on seeing the variant that it would be given.
    KeepServing,
}

/// A flag that must serve a given variant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prerequisite {
    /// Flag key.
    pub flag: String,
    /// Variant that it must serve for this request.
    pub variant: String,
}

/// One answer of an experiment or flag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VariantSource {
    /// Name.
    pub key: String,
    /// Value, as serialized JSON; passed through untouched.
    pub value: String,
    /// Buckets of the experiment's own space that the variant owns; unused for flags.
    pub ranges: Vec<BucketRange>,
}

/// Randomises slices of time of a cluster instead of units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchbackSource {
    /// Unit type or attribute that names the cluster.
    pub cluster: String,
    /// Start of slice 0, epoch milliseconds.
    pub anchor_ms: i64,
    /// Length of a slice in milliseconds, above 0.
    pub period_ms: i64,
}

/// One experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExperimentSource {
    /// Name: how exposures and prior assignments call it.
    pub key: String,
    /// Key under which clients ask for it.
    pub flag_key: String,
    /// Salt of the split between variants.
    pub salt: String,
    /// Which of a request's unit ids is randomised.
    pub unit_type: String,
    /// State.
    pub status: ExperimentStatus,
    /// What it serves while paused.
    pub pause_behaviour: PauseBehaviour,
    /// Start of its window, epoch milliseconds.
    pub starts_at: Option<i64>,
    /// End of its window (exclusive), epoch milliseconds.
    pub ends_at: Option<i64>,
    /// Variant that everyone gets once it is completed.
    pub shipped: Option<String>,
    /// Whether a prior assignment is kept.
    pub sticky: bool,
    /// Whether only units with a prior assignment stay in.
    pub frozen: bool,
    /// Layer that it shares with others.
    pub layer: Option<String>,
    /// Salt of its own layer, when it shares none.
    pub own_layer_salt: Option<String>,
    /// Buckets of the layer that it owns.
    pub ranges: Vec<BucketRange>,
    /// Holdouts that cover it.
    pub holdouts: Vec<String>,
    /// Flags that must serve given variants.
    pub prerequisites: Vec<Prerequisite>,
    /// Who is eligible; everybody when absent.
    pub targeting: Option<Condition>,
    /// Unit id → variant, without enrolment.
    pub overrides: BTreeMap<String, String>,
    /// Variants in declared order.
    pub variants: Vec<VariantSource>,
    /// Index of the control variant.
    pub control: usize,
    /// Switchback design.
    pub switchback: Option<SwitchbackSource>,
}

/// A share of a weighted split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitPart {
    /// Variant of the flag.
    pub variant: String,
    /// Buckets of the flag's space that it owns.
    pub ranges: Vec<BucketRange>,
}

/// What a rule serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Serve {
    /// One variant of the flag.
    Variant(String),
    /// A weighted split between variants of the flag.
    Split(Vec<SplitPart>),
    /// An experiment, by its key.
    Experiment(String),
}

/// A rule of a flag.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleSource {
    /// Salt of the rollout.
    pub salt: String,
    /// Who the rule is for; everybody when absent.
    pub condition: Option<Condition>,
    /// Number of buckets that the rule includes, from bucket 0.
    pub rollout: u16,
    /// What it serves.
    pub serve: Serve,
}

/// One flag.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FlagSource {
    /// Key under which clients ask for it.
    pub key: String,
    /// Salt of its weighted splits.
    pub salt: String,
    /// Which of a request's unit ids is hashed.
    pub unit_type: String,
    /// The kill switch: `false` serves the off variant.
    pub enabled: bool,
    /// Variants in declared order.
    pub variants: Vec<VariantSource>,
    /// Variant when no rule serves.
    pub default_variant: String,
    /// Variant when the flag is off.
    pub off_variant: String,
    /// Holdouts that cover it.
    pub holdouts: Vec<String>,
    /// Flags that must serve given variants.
    pub prerequisites: Vec<Prerequisite>,
    /// Unit id → variant.
    pub targets: BTreeMap<String, String>,
    /// Rules, in order.
    pub rules: Vec<RuleSource>,
}

impl Serialize for Condition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::All(parts) => map.serialize_entry("all", parts)?,
            Self::Any(parts) => map.serialize_entry("any", parts)?,
            Self::Not(part) => map.serialize_entry("not", part)?,
            Self::Segment(key) => map.serialize_entry("segment", key)?,
            Self::Compare { attribute, op, values } => {
                map.serialize_entry("attribute", attribute)?;
                map.serialize_entry("op", op)?;
                map.serialize_entry("values", values)?;
            }
        }
        map.end()
    }
}

/// The JSON object of a condition, before it is known which kind it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConditionObject {
    all: Option<Vec<Condition>>,
    any: Option<Vec<Condition>>,
    not: Option<Box<Condition>>,
    segment: Option<String>,
    attribute: Option<String>,
    op: Option<String>,
    #[serde(default)]
    values: Option<Vec<Literal>>,
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = ConditionObject::deserialize(deserializer)?;
        match object {
            ConditionObject {
                all: Some(parts),
                any: None,
                not: None,
                segment: None,
                attribute: None,
                op: None,
                values: None,
            } => Ok(Self::All(parts)),
            ConditionObject {
                all: None,
                any: Some(parts),
                not: None,
                segment: None,
                attribute: None,
                op: None,
                values: None,
            } => Ok(Self::Any(parts)),
            ConditionObject {
                all: None,
                any: None,
                not: Some(part),
                segment: None,
                attribute: None,
                op: None,
                values: None,
            } => Ok(Self::Not(part)),
            ConditionObject {
                all: None,
                any: None,
                not: None,
                segment: Some(key),
                attribute: None,
                op: None,
                values: None,
            } => Ok(Self::Segment(key)),
            ConditionObject {
                all: None,
                any: None,
                not: None,
                segment: None,
                attribute: Some(attribute),
                op: Some(op),
                values,
            } => Ok(Self::Compare { attribute, op, values: values.unwrap_or_default() }),
            _ => Err(de::Error::custom(
                "a condition is one of {all}, {any}, {not}, {segment} or {attribute, op, values}",
            )),
        }
    }
}
