//! Holdouts: units kept out of many experiments, to measure the sum of what was launched.

use super::{NoState, Share, default_unit, schema};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A holdout as authored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldoutDefinition {
    /// Name, unique in the project.
    #[schema(value_type = schema::Name)]
    pub name: String,
    /// What it measures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 4000)]
    pub description: Option<String>,
    /// Percent of the units that it holds.
    #[schema(value_type = schema::Percent)]
    pub size: Share,
    /// Which experiments it covers.
    #[serde(default)]
    #[schema(default = "project")]
    pub scope: HoldoutScope,
    /// Unit type that it holds.
    #[serde(default = "default_unit")]
    #[schema(value_type = schema::UnitType, default = "user_id")]
    pub unit: String,
    /// Salt of its buckets; generated when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Salt>)]
    pub salt: Option<String>,
}

/// Which experiments a holdout covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldoutScope {
    /// Every experiment of the project and of its unit type that starts while it exists, and what names it.
    #[default]
    Project,
    /// Only the experiments and flags that name it.
    Listed,
}

/// Nothing is added to a holdout.
pub type HoldoutState = NoState;
