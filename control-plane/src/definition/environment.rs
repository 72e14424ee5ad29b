//! Environments: where a project's experiments and flags are live, such as production and staging.

use super::schema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An environment as authored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentDefinition {
    /// Name, unique in its project. It begins the environment's id and cannot change.
    #[schema(value_type = schema::Slug)]
    pub name: String,
    /// What the environment is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 4000)]
    pub description: Option<String>,
    /// How many people other than its author must approve a change of what edges serve; see `/change-requests`.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schema(minimum = 0, maximum = 10, default = 0)]
    pub required_approvals: u32,
    /// E-mail addresses of the people whose approvals count; everybody's when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 100)]
    pub approvers: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What the platform adds to an environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnvironmentState {
    /// Salt of the space in which layers are given domain slices.
    pub domain_salt: String,
}
