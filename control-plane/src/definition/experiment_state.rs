//! What the platform adds to an experiment: its life, its buckets, its phases.

use eval_core::source::BucketRange;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Where an experiment stands.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum LifecycleStatus {
    /// Being written; unknown to the edge.
    #[default]
    Draft,
    /// Starts by itself at its `start_at`; holds its buckets.
    Scheduled,
    /// Enrols.
    Running,
    /// Enrols nobody; holds its buckets.
    Paused,
    /// Over; its buckets are free for others.
    Completed,
    /// Put away; unknown to the edge.
    Archived,
}

impl LifecycleStatus {
    /// The word of the API and of the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Scheduled => "scheduled",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::Archived => "archived",
        }
    }

    /// Whether its buckets are taken from the others of its layer.
    pub fn holds_buckets(self) -> bool {
        matches!(self, Self::Scheduled | Self::Running | Self::Paused)
    }

    /// Whether the edge knows the experiment.
    pub fn is_published(self) -> bool {
        self.holds_buckets() || self == Self::Completed
    }
}

/// What the platform knows of an experiment beside its definition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExperimentState {
    /// Where it stands.
    pub status: LifecycleStatus,
    /// Salt of its own layer, used when its definition names no layer.
    pub own_layer_salt: String,
    /// Buckets of the layer in the order in which they were given: lowering the traffic takes from the
    /// end. Kept after completion for the record; see [`ExperimentState::owned_ranges`].
    pub layer_ranges: Vec<BucketRange>,
    /// Buckets of the experiment's own space by variant.
    pub variant_ranges: BTreeMap<String, Vec<BucketRange>>,
    /// Every phase so far, the current one last; empty before the start.
    pub phases: Vec<Phase>,
    /// When it first enrolled.
    pub started_at: Option<Timestamp>,
    /// When it was paused, while it is.
    pub paused_at: Option<Timestamp>,
    /// When it was completed.
    pub ended_at: Option<Timestamp>,
    /// Variant that everyone gets since its completion.
    pub shipped: Option<String>,
    /// Holdouts that cover it: those that it names and, as of its start, those of the whole project.
    pub holdouts: Vec<String>,
    /// Whether only units with a prior assignment stay in.
    pub frozen: bool,
    /// Since when they alone do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frozen_at: Option<Timestamp>,
}

/// A stretch of an experiment in which no unit changed its variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Phase {
    /// 1, 2, 3, …
    pub number: u32,
    /// When it began.
    #[schema(value_type = super::schema::Time)]
    pub started_at: Timestamp,
    /// Why it began.
    pub reason: String,
}

impl ExperimentState {
    /// Number of the current phase; 0 before the start.
    pub fn phase(&self) -> u32 {
        self.phases.last().map_or(0, |phase| phase.number)
    }

    /// Buckets of the layer that no other experiment may have now: none unless the status holds them.
    pub fn owned_ranges(&self) -> &[BucketRange] {
        if self.status.holds_buckets() { &self.layer_ranges } else { &[] }
    }
}
