//! Flags as authored.

use super::experiment::PrerequisiteDefinition;
use super::{Share, Targeting, default_unit, schema};
use eval_core::source::{BucketRange, Prerequisite};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A named switch that yields one variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FlagDefinition {
    /// Key under which clients ask for it, unique in the environment; cannot change.
    #[schema(value_type = schema::Name)]
    pub key: String,
    /// What it switches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 4000)]
    pub description: Option<String>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 256)]
    pub owner: Option<String>,
    /// Type of its variants' values.
    #[serde(rename = "type")]
    pub value_type: FlagType,
    /// Unit type of rollouts, splits and targets.
    #[serde(default = "default_unit")]
    #[schema(value_type = schema::UnitType, default = "user_id")]
    pub unit: String,
    /// Salt of weighted splits; generated when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Salt>)]
    pub salt: Option<String>,
    /// Possible answers.
    #[schema(min_items = 1, max_items = 100)]
    pub variants: Vec<FlagVariantDefinition>,
    /// Variant when no rule serves.
    #[schema(value_type = schema::Name)]
    pub default_variant: String,
    /// Variant when the flag is off.
    #[schema(value_type = schema::Name)]
    pub off_variant: String,
    /// The kill switch: `false` serves the off variant to everyone.
    #[serde(default = "enabled")]
    #[schema(default = true)]
    pub enabled: bool,
    /// Rules in order; the first that fits serves.
    #[serde(default)]
    #[schema(max_items = 200)]
    pub rules: Vec<RuleDefinition>,
    /// Units that get a variant whatever the rules say (unit id → variant).
    #[serde(default)]
    #[schema(value_type = schema::Assignments)]
    pub targets: BTreeMap<String, String>,
    /// Flags that must serve given variants.
    #[serde(default)]
    #[schema(value_type = Vec<PrerequisiteDefinition>, max_items = 50)]
    pub prerequisites: Vec<Prerequisite>,
    /// Holdouts that cover it.
    #[serde(default)]
    #[schema(value_type = Vec<schema::Name>, max_items = 50)]
    pub holdouts: Vec<String>,
}

fn enabled() -> bool {
    true
}

/// Type of a flag's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FlagType {
    /// `true` or `false`.
    Boolean,
    /// Text.
    String,
    /// A number. Where one variant's has a fraction, clients are served all of them with one (`1.0`), so that typed clients see one type.
    Number,
    /// Any JSON value.
    Json,
}

impl FlagType {
    /// Whether a value is of this type.
    pub fn admits(self, value: &serde_json::Value) -> bool {
        match self {
            Self::Boolean => value.is_boolean(),
            Self::String => value.is_string(),
            Self::Number => value.is_number(),
            Self::Json => true,
        }
    }

    /// The word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::String => "string",
            Self::Number => "number",
            Self::Json => "json",
        }
    }
}

/// One answer of a flag.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FlagVariantDefinition {
    /// Name, unique in the flag.
    #[schema(value_type = schema::Name)]
    pub name: String,
    /// What clients are answered.
    #[schema(value_type = schema::JsonValue)]
    pub value: serde_json::Value,
}

/// "If it fits, serve this."
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleDefinition {
    /// What the rule is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 4000)]
    pub description: Option<String>,
    /// Who the rule is for; everybody when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<Targeting>,
    /// Percent of the units that the rule includes.
    #[serde(default = "Share::all")]
    #[schema(value_type = schema::Percent, default = 100)]
    pub rollout: Share,
    /// Salt of the rollout; generated when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Salt>)]
    pub salt: Option<String>,
    /// What the rule serves.
    pub serve: ServeDefinition,
}

/// What a rule serves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServeDefinition {
    /// One variant.
    #[schema(value_type = schema::Name)]
    Variant(String),
    /// A weighted split; the weights sum to 100.
    Split(Vec<SplitPartDefinition>),
    /// An experiment of the same environment; the rule is skipped for units that are not enrolled.
    #[schema(value_type = schema::Name)]
    Experiment(String),
}

/// One part of a weighted split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SplitPartDefinition {
    /// Variant of the flag.
    #[schema(value_type = schema::Name)]
    pub variant: String,
    /// Percent of the units.
    #[schema(value_type = schema::Percent)]
    pub weight: Share,
}

/// What the platform adds to a flag.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FlagState {
    /// When it was archived; archived flags are unknown to the edge.
    pub archived_at: Option<Timestamp>,
    /// Buckets of each weighted split: the rule's salt → variant → buckets.
    pub split_ranges: BTreeMap<String, BTreeMap<String, Vec<BucketRange>>>,
}
