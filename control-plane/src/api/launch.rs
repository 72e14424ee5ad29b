//! The launch gate: what stands against the start of an experiment. Starting asks it, and so may anybody before.

use super::change::Change;
use super::transitions::StartRequest;
use crate::definition::ExperimentDefinition;
use crate::error::{ApiError, Problem, ProblemDocument, Problems, Warning};
use crate::http::body::OptionalBody;
use crate::http::{InEnvironment, PathKey};
use crate::lifecycle::transition::{self, Transition};
use crate::publish;
use crate::state::AppState;
use crate::store::{EnvironmentSnapshot, Tx, Versioned, load_environment_in, reports, resource};
use crate::validate::{experiment as rules, warnings};
use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// Most earlier reports that are asked for baselines.
const MAX_REPORTS: i64 = 500;

/// Starts a draft within an open change, if its author has acknowledged what is doubtful about it.
pub(super) async fn start(
    change: &mut Change<'_>,
    before: &Versioned<ExperimentDefinition>,
    acknowledge: &[String],
) -> Result<Versioned<ExperimentDefinition>, ApiError> {
    transition::require_legal(Transition::Start, &before.state)?;
    let snapshot = load_environment_in(&mut change.tx, &before.scope_id).await?;
    problems(before, &snapshot, change.now).into_result()?;
    let raised = doubts(&mut change.tx, before, &snapshot).await?;
    change.require_acknowledged(raised, acknowledge)?;
    let mut after = before.clone();
    transition::start(&mut after, &snapshot.experiments, &snapshot.holdouts, change.now)?;
    Ok(after)
}

/// What forbids the start, whatever the author accepts. What an experiment refers to may have changed since it
/// was written.
fn problems(
    experiment: &Versioned<ExperimentDefinition>,
    snapshot: &EnvironmentSnapshot,
    now: Timestamp,
) -> Problems {
    let definition = &experiment.definition;
    let mut problems = rules::check(definition, &experiment.id, snapshot);
    if definition.primary_metric.is_none() {
        problems.push("/primary_metric", "required", "an experiment needs it to start");
    }
    if definition.end_at.is_some_and(|end| end <= now) {
        problems.push("/end_at", "out_of_range", "has passed already");
    }
    problems
}

/// What is doubtful about the start.
async fn doubts(
    tx: &mut Tx,
    experiment: &Versioned<ExperimentDefinition>,
    snapshot: &EnvironmentSnapshot,
) -> Result<Vec<Warning>, ApiError> {
    let known = reports::list_latest(tx, &experiment.scope_id, MAX_REPORTS).await?;
    Ok(warnings::check(&experiment.definition, snapshot, &warnings::observed(&known)))
}

/// What stands against starting an experiment now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LaunchFindings {
    /// Whether a start that acknowledges the same codes would succeed.
    ready: bool,
    /// What must be mended in the definition.
    errors: Vec<Problem>,
    /// What the present state of things forbids: the experiment's status, or a full layer.
    #[schema(inline)]
    conflicts: Vec<LaunchConflict>,
    /// What the author must acknowledge.
    warnings: Vec<Warning>,
}

/// A conflict with the present state of things.
#[derive(Debug, Serialize, ToSchema)]
struct LaunchConflict {
    /// `illegal_transition` or `layer_full`.
    code: String,
    /// What stands against it.
    detail: String,
}

/// Says what stands against starting an experiment, and starts nothing.
#[utoipa::path(post, path = "/experiments/{id}/validate", tag = "experiments", request_body = Option<StartRequest>,
    responses((status = 200, body = LaunchFindings), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn validate_experiment(
    State(state): State<AppState>,
    scope: InEnvironment,
    PathKey(id): PathKey,
    OptionalBody(StartRequest { acknowledge }): OptionalBody<StartRequest>,
) -> Result<Json<LaunchFindings>, ApiError> {
    let mut tx = state.db.read().await?;
    let experiment = resource::load(&mut tx, &scope.environment_id, &id).await?;
    let mut snapshot = load_environment_in(&mut tx, &scope.environment_id).await?;
    let now = Timestamp::now();
    let mut problems = problems(&experiment, &snapshot, now);
    let warnings = doubts(&mut tx, &experiment, &snapshot).await?;
    let mut after = experiment.clone();
    let mut conflicts = Vec::new();
    match transition::start(&mut after, &snapshot.experiments, &snapshot.holdouts, now) {
        Ok(()) => {
            snapshot.experiments.retain(|other| other.id != after.id);
            snapshot.experiments.push(after);
            if let Err(error) = publish::compile::compile(&snapshot, None)
                && problems.is_empty()
            {
                problems.push("", "does_not_compile", error.to_string());
            }
        }
        Err(error @ ApiError::Conflict { .. }) => conflicts.push(conflict(&error)),
        Err(error) => return Err(error),
    }
    let errors: Vec<Problem> = problems.iter().cloned().collect();
    let accepted = warnings.iter().all(|warning| acknowledge.contains(&warning.code));
    let ready = errors.is_empty() && conflicts.is_empty() && accepted;
    Ok(Json(LaunchFindings { ready, errors, conflicts, warnings }))
}

fn conflict(error: &ApiError) -> LaunchConflict {
    let document = error.document();
    let text = |member: &str| document[member].as_str().unwrap_or_default().to_owned();
    LaunchConflict { code: text("code"), detail: text("detail") }
}
