//! Projects: one customer or product each, with nothing shared between them.

use super::{NoState, schema};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A project as authored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectDefinition {
    /// Name and id.
    #[schema(value_type = schema::Slug)]
    pub name: String,
    /// What the project is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 4000)]
    pub description: Option<String>,
    /// Whether only units whose `consent` attribute is true take part in experiments.
    #[serde(default)]
    pub requires_consent: bool,
}

/// Nothing is added to a project.
pub type ProjectState = NoState;
