//! The life of an experiment: start, pause, resume, freeze, complete, ship, archive.
//!
//! [`carry_out`] makes a move within an open change; handlers, decisions and schedules share it.

use super::change::Change;
use super::experiment_view::Experiment;
use super::experiments::answer_experiment;
use super::launch;
use crate::definition::{ExperimentDefinition, schema};
use crate::error::{ApiError, ProblemDocument, Warning};
use crate::http::body::OptionalBody;
use crate::http::{Body, EmptyBody, IfMatch, InEnvironment, PathKey};
use crate::lifecycle::transition::{self, Transition};
use crate::state::AppState;
use crate::store::{Versioned, load_environment_in, resource};
use crate::validate::usage;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which warnings the author accepts.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartRequest {
    /// Codes of warnings; those that are not raised are ignored.
    #[serde(default)]
    #[schema(max_items = 100)]
    pub(crate) acknowledge: Vec<String>,
}

/// How an experiment ends.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CompleteRequest {
    /// Variant that everyone gets from now on; control for everyone when absent.
    #[serde(default)]
    #[schema(value_type = Option<schema::Name>)]
    pub(crate) ship: Option<String>,
}

/// What everyone gets.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShipRequest {
    /// Name of the variant.
    #[schema(value_type = schema::Name)]
    variant: String,
}

/// A move with what it needs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Move {
    Start {
        acknowledge: Vec<String>,
    },
    Pause,
    Resume,
    FreezeEnrolment {
        acknowledge: Vec<String>,
    },
    Unfreeze,
    Complete {
        ship: Option<String>,
    },
    Ship {
        variant: String,
    },
    /// Of a completed experiment: serve the control again.
    Unship,
    Archive,
}

/// Makes a move within an open change, which its caller commits.
pub(crate) async fn carry_out(
    change: &mut Change<'_>,
    before: &Versioned<ExperimentDefinition>,
    to: Move,
) -> Result<Versioned<ExperimentDefinition>, ApiError> {
    let now = change.now;
    let mut after = before.clone();
    let (definition, state) = (&before.definition, &mut after.state);
    let action = match to {
        Move::Start { acknowledge } => {
            after = launch::start(change, before, &acknowledge).await?;
            Transition::Start.past()
        }
        Move::Pause => {
            transition::pause(state, now)?;
            Transition::Pause.past()
        }
        Move::Resume => {
            transition::resume(state)?;
            Transition::Resume.past()
        }
        Move::FreezeEnrolment { acknowledge } => {
            transition::freeze_enrolment(definition, state, now)?;
            change.require_acknowledged(doubts_about_freezing(definition), &acknowledge)?;
            Transition::FreezeEnrolment.past()
        }
        Move::Unfreeze => {
            transition::unfreeze(state)?;
            Transition::Unfreeze.past()
        }
        Move::Complete { ship } => {
            require_variant(definition, ship.as_deref(), "/ship")?;
            transition::complete(state, ship, now)?;
            Transition::Complete.past()
        }
        Move::Ship { variant } => {
            require_variant(definition, Some(&variant), "/variant")?;
            transition::ship(state, variant, now)?;
            Transition::Ship.past()
        }
        Move::Unship => {
            state.shipped = None;
            "unshipped"
        }
        Move::Archive => {
            transition::archive(state)?;
            let snapshot = load_environment_in(&mut change.tx, &before.scope_id).await?;
            usage::of_experiment(&definition.name, &snapshot)
                .forbid("the experiment", "archived")?;
            Transition::Archive.past()
        }
    };
    let due = transition::due_at(&after.definition, &after.state);
    let item = change.update(action, before, after.definition, after.state).await?;
    resource::set_due::<ExperimentDefinition>(&mut change.tx, &item.id, due).await?;
    Ok(item)
}

/// Without prior assignments a frozen experiment has nobody left to measure.
fn doubts_about_freezing(definition: &ExperimentDefinition) -> Vec<Warning> {
    if definition.sticky {
        return Vec::new();
    }
    vec![Warning {
        code: "no_prior_assignments".to_owned(),
        detail: "the experiment is not sticky, so edges kept no assignments: only units whose requests bring one \
                 in `prior` stay in"
            .to_owned(),
    }]
}

pub(super) fn require_variant(
    definition: &ExperimentDefinition,
    variant: Option<&str>,
    pointer: &str,
) -> Result<(), ApiError> {
    match variant {
        Some(name) if !definition.variants.iter().any(|variant| variant.name == name) => {
            let detail = format!("there is no variant `{name}`");
            Err(ApiError::invalid(pointer, "unknown_variant", detail))
        }
        _ => Ok(()),
    }
}

/// A move that was asked for over HTTP.
async fn answer_move(
    state: &AppState,
    scope: &InEnvironment,
    id: &str,
    condition: &IfMatch,
    to: Move,
) -> Result<Response, ApiError> {
    let mut change = Change::in_environment(state, scope).await?;
    let before = resource::load(&mut change.tx, &scope.environment_id, id).await?;
    condition.check(&before)?;
    let item = carry_out(&mut change, &before, to).await?;
    change.commit().await?;
    let mut tx = state.db.read().await?;
    answer_experiment(&mut tx, scope, item).await
}

/// Starts a draft, now or at its `start_at`.
#[utoipa::path(post, path = "/experiments/{id}/start", tag = "experiments", request_body = Option<StartRequest>,
    params(IfMatch),
    responses((status = 200, body = Experiment), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn start_experiment(
    State(state): State<AppState>,
    scope: InEnvironment,
    PathKey(id): PathKey,
    condition: IfMatch,
    OptionalBody(StartRequest { acknowledge }): OptionalBody<StartRequest>,
) -> Result<Response, ApiError> {
    answer_move(&state, &scope, &id, &condition, Move::Start { acknowledge }).await
}

/// Stops enrolling for a while.
#[utoipa::path(post, path = "/experiments/{id}/pause", tag = "experiments",
    params(IfMatch),
    responses((status = 200, body = Experiment), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn pause_experiment(
    State(state): State<AppState>,
    scope: InEnvironment,
    PathKey(id): PathKey,
    condition: IfMatch,
    _: EmptyBody,
) -> Result<Response, ApiError> {
    answer_move(&state, &scope, &id, &condition, Move::Pause).await
}

/// Enrols again.
#[utoipa::path(post, path = "/experiments/{id}/resume", tag = "experiments",
    params(IfMatch),
    responses((status = 200, body = Experiment), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn resume_experiment(
    State(state): State<AppState>,
    scope: InEnvironment,
    PathKey(id): PathKey,
    condition: IfMatch,
    _: EmptyBody,
) -> Result<Response, ApiError> {
    answer_move(&state, &scope, &id, &condition, Move::Resume).await
}

/// Enrols nobody new: units that bring a prior assignment stay in and are measured, all others get the control.
#[utoipa::path(post, path = "/experiments/{id}/freeze-enrolment", tag = "experiments", request_body = Option<StartRequest>,
    params(IfMatch),
    responses((status = 200, body = Experiment), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn freeze_enrolment(
    State(state): State<AppState>,
    scope: InEnvironment,
    PathKey(id): PathKey,
    condition: IfMatch,
    OptionalBody(StartRequest { acknowledge }): OptionalBody<StartRequest>,
) -> Result<Response, ApiError> {
    answer_move(&state, &scope, &id, &condition, Move::FreezeEnrolment { acknowledge }).await
}

/// Enrols new units again after its enrolment was frozen.
#[utoipa::path(post, path = "/experiments/{id}/unfreeze", tag = "experiments",
    params(IfMatch),
    responses((status = 200, body = Experiment), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn unfreeze_enrolment(
    State(state): State<AppState>,
    scope: InEnvironment,
    PathKey(id): PathKey,
    condition: IfMatch,
    _: EmptyBody,
) -> Result<Response, ApiError> {
    answer_move(&state, &scope, &id, &condition, Move::Unfreeze).await
}

/// Ends an experiment for good, and ships a variant to everyone if one is named.
#[utoipa::path(post, path = "/experiments/{id}/complete", tag = "experiments", request_body = Option<CompleteRequest>,
    params(IfMatch),
    responses((status = 200, body = Experiment), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn complete_experiment(
    State(state): State<AppState>,
    scope: InEnvironment,
    PathKey(id): PathKey,
    condition: IfMatch,
    OptionalBody(CompleteRequest { ship }): OptionalBody<CompleteRequest>,
) -> Result<Response, ApiError> {
    answer_move(&state, &scope, &id, &condition, Move::Complete { ship }).await
}

/// Serves one variant to everyone in the audience; ends the experiment if it has not ended. Of a completed
/// experiment it changes what is shipped.
#[utoipa::path(post, path = "/experiments/{id}/ship", tag = "experiments", request_body = ShipRequest,
    params(IfMatch),
    responses((status = 200, body = Experiment), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn ship_experiment(
    State(state): State<AppState>,
    scope: InEnvironment,
    PathKey(id): PathKey,
    condition: IfMatch,
    body: Body<ShipRequest>,
) -> Result<Response, ApiError> {
    let ShipRequest { variant } = body.complete()?;
    answer_move(&state, &scope, &id, &condition, Move::Ship { variant }).await
}

/// Puts a draft or a completed experiment away.
#[utoipa::path(post, path = "/experiments/{id}/archive", tag = "experiments",
    params(IfMatch),
    responses((status = 200, body = Experiment), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn archive_experiment(
    State(state): State<AppState>,
    scope: InEnvironment,
    PathKey(id): PathKey,
    condition: IfMatch,
    _: EmptyBody,
) -> Result<Response, ApiError> {
    answer_move(&state, &scope, &id, &condition, Move::Archive).await
}
