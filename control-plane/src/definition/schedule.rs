//! Schedules: what is to happen to an experiment or a flag, and when.

use super::{salt, schema};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Random characters at the end of a generated name.
const SUFFIX_LENGTH: usize = 8;

/// Steps of one experiment or flag at given times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleDefinition {
    /// Name, unique in the environment; generated when absent.
    #[serde(default = "generated_name")]
    #[schema(value_type = schema::Name)]
    pub name: String,
    /// What the schedule is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 4000)]
    pub description: Option<String>,
    /// The experiment that it moves, by id or name; this or `flag`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Name>)]
    pub experiment: Option<String>,
    /// The flag that it moves, by key; this or `experiment`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Name>)]
    pub flag: Option<String>,
    /// What happens, in rising order of time.
    #[schema(min_items = 1, max_items = 100)]
    pub steps: Vec<StepDefinition>,
}

fn generated_name() -> String {
    format!("schedule-{}", salt::random_base32(SUFFIX_LENGTH))
}

/// One step: a move of an experiment, or a change of a definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StepDefinition {
    /// When; a step whose time passed while no control plane ran is made as soon as one runs.
    #[schema(value_type = schema::Time)]
    pub at: Timestamp,
    /// The move; this or `patch`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<StepAction>,
    /// A JSON Merge Patch of the definition as it will be then; this or `action`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub patch: Option<Map<String, Value>>,
    /// Variant that `ship` serves to everyone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Name>)]
    pub variant: Option<String>,
    /// Codes of warnings that are accepted by `start` and `freeze_enrolment`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 100)]
    pub acknowledge: Vec<String>,
}

/// A move of an experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepAction {
    /// Begin.
    Start,
    /// Stop enrolling for a while.
    Pause,
    /// Enrol again.
    Resume,
    /// Enrol nobody new.
    FreezeEnrolment,
    /// Enrol new units again.
    Unfreeze,
    /// End for good.
    Complete,
    /// Serve `variant` to everyone.
    Ship,
    /// Put away.
    Archive,
}

/// What the platform knows of a schedule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScheduleState {
    /// Where it stands.
    pub status: ScheduleStatus,
    /// Id of the experiment or flag: it may be renamed meanwhile.
    pub target_id: String,
    /// Who asked for it.
    pub author: String,
    /// What became of the steps that were due, in order.
    pub outcomes: Vec<StepOutcome>,
}

/// Where a schedule stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleStatus {
    /// Steps are to come.
    #[default]
    Active,
    /// Every step was made.
    Done,
    /// A step was refused; those after it are not made.
    Failed,
    /// Called off.
    Cancelled,
}

impl ScheduleStatus {
    /// The word of the API and of the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StepOutcome {
    /// When it was tried.
    #[schema(value_type = schema::Time)]
    pub at: Timestamp,
    /// Why it was refused, as the API would have answered; null when it was made.
    #[schema(value_type = Option<Object>)]
    pub problem: Option<Value>,
}

impl ScheduleDefinition {
    /// The next step and its number from 0; `None` unless the schedule is active.
    pub fn next_step(&self, state: &ScheduleState) -> Option<(usize, &StepDefinition)> {
        let next = state.outcomes.len();
        let step = self.steps.get(next).filter(|_| state.status == ScheduleStatus::Active)?;
        Some((next, step))
    }
}
