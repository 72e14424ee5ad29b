//! Segments: named audiences for targeting.

use super::{NoState, default_unit, schema};
use eval_core::source::Condition;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A segment as authored: excluded units are out, included ones in, the condition decides about the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SegmentDefinition {
    /// Key, unique in the project.
    #[schema(value_type = schema::Name)]
    pub key: String,
    /// Who they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 4000)]
    pub description: Option<String>,
    /// Who belongs; nobody but the included when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Condition>)]
    pub condition: Option<Condition>,
    /// Unit type of the two lists.
    #[serde(default = "default_unit")]
    #[schema(value_type = schema::UnitType, default = "user_id")]
    pub unit: String,
    /// Unit ids that belong.
    #[serde(default)]
    #[schema(value_type = schema::UnitIds)]
    pub include: Vec<String>,
    /// Unit ids that do not, whatever else says so.
    #[serde(default)]
    #[schema(value_type = schema::UnitIds)]
    pub exclude: Vec<String>,
}

/// Nothing is added to a segment.
pub type SegmentState = NoState;
