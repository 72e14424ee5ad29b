//! The life of an experiment: start, pause, resume, complete, archive.

use super::change::Change;
use super::experiment_view::Experiment;
use super::experiments::answer_experiment;
use crate::definition::ExperimentDefinition;
use crate::error::{ApiError, ProblemDocument, Problems};
use crate::http::body::OptionalBody;
use crate::http::{EmptyBody, IfMatch, InEnvironment, PathKey};
use crate::lifecycle::transition::{self, Transition};
use crate::state::AppState;
use crate::store::reports;
use crate::store::{EnvironmentSnapshot, Versioned, load_environment_in, resource};
use crate::validate::{experiment as rules, usage, warnings};
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Most earlier reports that are asked for baselines.
const MAX_REPORTS: i64 = 500;

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
    #[schema(value_type = Option<crate::definition::schema::Name>)]
    pub(crate) ship: Option<String>,
}

/// A transition under way: the experiment as it was, and the rest of its environment.
struct Moving<'s> {
    change: Change<'s>,
    before: Versioned<ExperimentDefinition>,
    snapshot: EnvironmentSnapshot,
}

impl<'s> Moving<'s> {
    async fn begin(
        state: &'s AppState,
        scope: &InEnvironment,
        id: &str,
        condition: &IfMatch,
    ) -> Result<Self, ApiError> {
        let mut change = Change::in_environment(state, scope).await?;
        let before = resource::load(&mut change.tx, &scope.environment_id, id).await?;
        condition.check(&before)?;
        let snapshot = load_environment_in(&mut change.tx, &scope.environment_id).await?;
        Ok(Self { change, before, snapshot })
    }

    async fn finish(
        mut self,
        state: &AppState,
        scope: &InEnvironment,
        transition: Transition,
        after: Versioned<ExperimentDefinition>,
    ) -> Result<Response, ApiError> {
        let due = transition::due_at(&after.definition, &after.state);
        let item = self
            .change
            .update(transition.past(), &self.before, after.definition, after.state)
            .await?;
        resource::set_due(&mut self.change.tx, &item.id, due).await?;
        self.change.commit().await?;
        let mut tx = state.db.read().await?;
        answer_experiment(&mut tx, scope, item).await
    }
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
    OptionalBody(request): OptionalBody<StartRequest>,
) -> Result<Response, ApiError> {
    let mut moving = Moving::begin(&state, &scope, &id, &condition).await?;
    let mut after = moving.before.clone();
    transition::require_legal(Transition::Start, after.state.status)?;
    check_startable(&after, &moving)?;
    let known = reports::list_latest(&mut moving.change.tx, &scope.environment_id, MAX_REPORTS);
    let observed = warnings::observed(&known.await?);
    let raised = warnings::check(&after.definition, &moving.snapshot, &observed);
    moving.change.require_acknowledged(raised, &request.acknowledge)?;
    let (experiments, holdouts) = (&moving.snapshot.experiments, &moving.snapshot.holdouts);
    transition::start(&mut after, experiments, holdouts, moving.change.now)?;
    moving.finish(&state, &scope, Transition::Start, after).await
}

/// What it refers to may have changed since it was written.
fn check_startable(
    experiment: &Versioned<ExperimentDefinition>,
    moving: &Moving<'_>,
) -> Result<(), ApiError> {
    let definition = &experiment.definition;
    let mut problems: Problems = rules::check(definition, &experiment.id, &moving.snapshot);
    if definition.primary_metric.is_none() {
        problems.push("/primary_metric", "required", "an experiment needs it to start");
    }
    if definition.end_at.is_some_and(|end| end <= moving.change.now) {
        problems.push("/end_at", "out_of_range", "has passed already");
    }
    problems.into_result()
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
    let moving = Moving::begin(&state, &scope, &id, &condition).await?;
    let mut after = moving.before.clone();
    transition::pause(&mut after.state, moving.change.now)?;
    moving.finish(&state, &scope, Transition::Pause, after).await
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
    let moving = Moving::begin(&state, &scope, &id, &condition).await?;
    let mut after = moving.before.clone();
    transition::resume(&mut after.state)?;
    moving.finish(&state, &scope, Transition::Resume, after).await
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
    OptionalBody(request): OptionalBody<CompleteRequest>,
) -> Result<Response, ApiError> {
    let moving = Moving::begin(&state, &scope, &id, &condition).await?;
    let mut after = moving.before.clone();
    if let Some(ship) = &request.ship
        && !after.definition.variants.iter().any(|variant| variant.name == *ship)
    {
        let detail = format!("there is no variant `{ship}`");
        return Err(ApiError::invalid("/ship", "unknown_variant", detail));
    }
    transition::complete(&mut after.state, request.ship, moving.change.now)?;
    moving.finish(&state, &scope, Transition::Complete, after).await
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
    let moving = Moving::begin(&state, &scope, &id, &condition).await?;
    let mut after = moving.before.clone();
    transition::archive(&mut after.state)?;
    usage::of_experiment(&after.definition.name, &moving.snapshot)
        .forbid("the experiment", "archived")?;
    moving.finish(&state, &scope, Transition::Archive, after).await
}
