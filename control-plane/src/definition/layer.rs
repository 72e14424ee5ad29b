//! Layers: randomisation spaces that several experiments share without meeting.

use super::{NoState, default_unit, schema};
use eval_core::source::BucketRange;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A layer as authored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LayerDefinition {
    /// Name, unique in the project.
    #[schema(value_type = schema::Name)]
    pub name: String,
    /// What its experiments have in common.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 4000)]
    pub description: Option<String>,
    /// Unit type that its experiments randomise.
    #[serde(default = "default_unit")]
    #[schema(value_type = schema::UnitType, default = "user_id")]
    pub unit: String,
    /// Salt of its buckets; generated when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Salt>)]
    pub salt: Option<String>,
    /// First bucket of the environment's domain space in which the layer exists.
    #[serde(default)]
    #[schema(maximum = 9999, default = 0)]
    pub domain_start: u16,
    /// Last bucket of that slice, inclusive.
    #[serde(default = "last_bucket")]
    #[schema(maximum = 9999, default = 9999)]
    pub domain_end: u16,
}

fn last_bucket() -> u16 {
    9999
}

impl LayerDefinition {
    /// The domain slice as a half-open range.
    pub fn domain(&self) -> BucketRange {
        BucketRange { lo: self.domain_start, hi: self.domain_end.saturating_add(1) }
    }
}

/// Nothing is added to a layer; which experiments hold its buckets stands with them.
pub type LayerState = NoState;
