//! The five roles.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What somebody may do. Roles are not ordered: `data` and `publisher` each may what the other may not.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads definitions and results.
    Viewer,
    /// Also writes whatever leaves what edges serve as it is: drafts, metrics, what nothing running refers to.
    Experimenter,
    /// Also changes what edges serve.
    Publisher,
    /// Reads, and hands in reports: the role of the analysis.
    Data,
    /// Everything, people and keys included.
    Admin,
}

impl Role {
    /// Every role, in the order of the matrix's columns.
    pub const ALL: [Self; 5] =
        [Self::Viewer, Self::Experimenter, Self::Publisher, Self::Data, Self::Admin];

    /// The word of the API and of the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Experimenter => "experimenter",
            Self::Publisher => "publisher",
            Self::Data => "data",
            Self::Admin => "admin",
        }
    }

    /// The role of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }
}
