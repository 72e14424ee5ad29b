//! Experiments: create, read, list, patch, delete, history, rollback.

use super::answer::{self, ListOf};
use super::change::Change;
use super::experiment_view::Experiment;
use super::history::{self, RollbackRequest, Version};
use super::shared::to_value;
use crate::definition::{
    ExperimentDefinition, ExperimentState, LayerDefinition, LifecycleStatus, salt, schema,
};
use crate::error::{ApiError, ProblemDocument, Problems};
use crate::http::body::check;
use crate::http::{
    Body, IfMatch, InEnvironment, ListQuery, MergePatch, NoQuery, PathKey, Query, RequiredIfMatch,
};
use crate::lifecycle::{revision, transition};
use crate::state::AppState;
use crate::store::{Tx, Versioned, load_environment_in, resource};
use crate::validate::{experiment as rules, usage};
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Words by which lists of experiments are filtered.
const STATUSES: [&str; 6] = ["draft", "scheduled", "running", "paused", "completed", "archived"];

/// 200 with the experiment.
pub(crate) async fn answer_experiment(
    tx: &mut Tx,
    scope: &InEnvironment,
    item: Versioned<ExperimentDefinition>,
) -> Result<Response, ApiError> {
    let layers = resource::load_all::<LayerDefinition>(tx, &scope.project_id).await?;
    Ok(answer::ok(item.version, Experiment::new(item, &layers)))
}

/// Creates an experiment as a draft.
#[utoipa::path(post, path = "/experiments", tag = "experiments", request_body = ExperimentDefinition,
    responses((status = 201, body = Experiment), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn create_experiment(
    State(state): State<AppState>,
    scope: InEnvironment,
    body: Body<ExperimentDefinition>,
) -> Result<Response, ApiError> {
    let (definition, problems) = body.partial()?;
    let mut change = Change::in_environment(&state, &scope).await?;
    change.only_drafts();
    let item = define(&mut change, &scope.environment_id, definition, problems).await?;
    finish_new(change, &scope, item).await
}

/// Stores a new draft within an open change. `problems` are what was wrong with its body.
pub(crate) async fn define(
    change: &mut Change<'_>,
    environment_id: &str,
    mut definition: ExperimentDefinition,
    mut problems: Problems,
) -> Result<Versioned<ExperimentDefinition>, ApiError> {
    let snapshot = load_environment_in(&mut change.tx, environment_id).await?;
    problems.extend(rules::check(&definition, "", &snapshot));
    problems.into_result()?;
    definition.salt.get_or_insert_with(salt::generate);
    let draft = ExperimentState { own_layer_salt: salt::generate(), ..ExperimentState::default() };
    change.create(environment_id, None, definition, draft).await
}

/// Commits a new draft and answers 201 with it.
async fn finish_new(
    mut change: Change<'_>,
    scope: &InEnvironment,
    item: Versioned<ExperimentDefinition>,
) -> Result<Response, ApiError> {
    let layers = resource::load_all::<LayerDefinition>(&mut change.tx, &scope.project_id).await?;
    change.commit().await?;
    let location = format!("/experiments/{}", item.id);
    Ok(answer::created(item.version, &location, Experiment::new(item, &layers)))
}

/// What a copy is called.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CloneRequest {
    /// Name of the copy.
    #[schema(value_type = schema::Name)]
    name: String,
    /// Key under which clients ask for it; its name when absent.
    #[serde(default)]
    #[schema(value_type = Option<schema::Name>)]
    flag: Option<String>,
}

/// Copies the definition of an experiment of any status into a new draft, with a new salt and without times.
#[utoipa::path(post, path = "/experiments/{id}/clone", tag = "experiments", request_body = CloneRequest,
    responses((status = 201, body = Experiment), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn clone_experiment(
    State(state): State<AppState>,
    scope: InEnvironment,
    PathKey(id): PathKey,
    body: Body<CloneRequest>,
) -> Result<Response, ApiError> {
    let request = body.complete()?;
    let mut change = Change::in_environment(&state, &scope).await?;
    change.only_drafts();
    let original: Versioned<ExperimentDefinition> =
        resource::load(&mut change.tx, &scope.environment_id, &id).await?;
    let copy = ExperimentDefinition {
        name: request.name,
        flag: request.flag,
        salt: None,
        start_at: None,
        end_at: None,
        ..original.definition
    };
    let item = define(&mut change, &scope.environment_id, copy, Problems::default()).await?;
    finish_new(change, &scope, item).await
}

/// Lists experiments, newest first.
#[utoipa::path(get, path = "/experiments", tag = "experiments", params(ListQuery),
    responses((status = 200, body = ListOf<Experiment>), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn list_experiments(
    State(state): State<AppState>,
    scope: InEnvironment,
    Query(query): Query<ListQuery>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let page = query.page(&STATUSES)?;
    let mut tx = state.db.read().await?;
    let (items, next) =
        answer::page::<ExperimentDefinition>(&mut tx, &scope.environment_id, &page).await?;
    let layers = resource::load_all::<LayerDefinition>(&mut tx, &scope.project_id).await?;
    let views: Vec<Experiment> =
        items.into_iter().map(|item| Experiment::new(item, &layers)).collect();
    Ok(answer::list(&uri, next, views))
}

/// Answers an experiment by its id or name.
#[utoipa::path(get, path = "/experiments/{id}", tag = "experiments",
    responses((status = 200, body = Experiment), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn get_experiment(
    State(state): State<AppState>,
    scope: InEnvironment,
    PathKey(id): PathKey,
    _: NoQuery,
) -> Result<Response, ApiError> {
    let mut tx = state.db.read().await?;
    let item = resource::load(&mut tx, &scope.environment_id, &id).await?;
    answer_experiment(&mut tx, &scope, item).await
}

/// Changes an experiment by a JSON Merge Patch. What would deal units anew is fixed once it has started;
/// traffic and weights move as few units as they can.
#[utoipa::path(patch, path = "/experiments/{id}", tag = "experiments",
    params(RequiredIfMatch),
    request_body(content = ExperimentDefinition, content_type = "application/merge-patch+json"),
    responses((status = 200, body = Experiment), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn patch_experiment(
    State(state): State<AppState>,
    scope: InEnvironment,
    PathKey(id): PathKey,
    RequiredIfMatch(condition): RequiredIfMatch,
    patch: MergePatch,
) -> Result<Response, ApiError> {
    let mut change = Change::in_environment(&state, &scope).await?;
    let before: Versioned<ExperimentDefinition> =
        resource::load(&mut change.tx, &scope.environment_id, &id).await?;
    condition.check(&before)?;
    let merged = patch.apply(to_value(&before.definition)?);
    replace(change, &scope, "updated", before, merged).await
}

/// Defines an experiment again as an earlier version did, under the same rules as a patch.
#[utoipa::path(post, path = "/experiments/{id}/rollback", tag = "experiments", request_body = RollbackRequest,
    params(IfMatch),
    responses((status = 200, body = Experiment), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn roll_back_experiment(
    State(state): State<AppState>,
    scope: InEnvironment,
    PathKey(id): PathKey,
    condition: IfMatch,
    body: Body<RollbackRequest>,
) -> Result<Response, ApiError> {
    let version = body.complete()?.version;
    let mut change = Change::in_environment(&state, &scope).await?;
    let before: Versioned<ExperimentDefinition> =
        resource::load(&mut change.tx, &scope.environment_id, &id).await?;
    condition.check(&before)?;
    let earlier =
        history::definition_at::<ExperimentDefinition>(&mut change.tx, &before.id, version).await?;
    replace(change, &scope, "rolled_back", before, earlier).await
}

async fn replace(
    mut change: Change<'_>,
    scope: &InEnvironment,
    action: &str,
    before: Versioned<ExperimentDefinition>,
    after: Value,
) -> Result<Response, ApiError> {
    if before.state.status == LifecycleStatus::Draft {
        change.only_drafts();
    }
    let item = redefine(&mut change, action, &before, after).await?;
    let layers = resource::load_all::<LayerDefinition>(&mut change.tx, &scope.project_id).await?;
    change.commit().await?;
    Ok(answer::ok(item.version, Experiment::new(item, &layers)))
}

/// Gives an experiment another definition within an open change, under the rules of a patch.
pub(crate) async fn redefine(
    change: &mut Change<'_>,
    action: &str,
    before: &Versioned<ExperimentDefinition>,
    after: Value,
) -> Result<Versioned<ExperimentDefinition>, ApiError> {
    let (definition, mut problems) = check::<ExperimentDefinition>(after);
    let Some(mut definition) = definition else { return Err(ApiError::Invalid(problems)) };
    let snapshot = load_environment_in(&mut change.tx, &before.scope_id).await?;
    if before.state.status == LifecycleStatus::Draft {
        definition.salt.get_or_insert_with(salt::generate);
    }
    problems.extend(rules::check(&definition, &before.id, &snapshot));
    problems.extend(rules::check_locked(before, &definition));
    problems.into_result()?;
    if definition.name != before.definition.name {
        usage::of_experiment(&before.definition.name, &snapshot)
            .forbid("the experiment's name", "changed")?;
    }
    let state = revision::revised(before, &definition, &snapshot, change.now)?;
    let due = transition::due_at(&definition, &state);
    let item = change.update(action, before, definition, state).await?;
    resource::set_due::<ExperimentDefinition>(&mut change.tx, &item.id, due).await?;
    Ok(item)
}

/// Deletes a draft.
#[utoipa::path(delete, path = "/experiments/{id}", tag = "experiments",
    params(RequiredIfMatch),
    responses((status = 204), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn delete_experiment(
    State(state): State<AppState>,
    scope: InEnvironment,
    PathKey(id): PathKey,
    RequiredIfMatch(condition): RequiredIfMatch,
    _: NoQuery,
) -> Result<Response, ApiError> {
    let mut change = Change::in_environment(&state, &scope).await?;
    let item: Versioned<ExperimentDefinition> =
        resource::load(&mut change.tx, &scope.environment_id, &id).await?;
    condition.check(&item)?;
    if item.state.status != LifecycleStatus::Draft {
        let detail = format!("only drafts are deleted; this one is {}", item.state.status.as_str());
        return Err(ApiError::conflict("not_a_draft", detail));
    }
    change.only_drafts();
    let snapshot = load_environment_in(&mut change.tx, &scope.environment_id).await?;
    usage::of_experiment(&item.definition.name, &snapshot).forbid("the experiment", "deleted")?;
    change.delete(&item).await?;
    change.commit().await?;
    Ok(answer::deleted())
}

/// Lists the changes of an experiment, newest first.
#[utoipa::path(get, path = "/experiments/{id}/history", tag = "experiments", params(ListQuery),
    responses((status = 200, body = ListOf<Version>), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn list_experiment_history(
    State(state): State<AppState>,
    scope: InEnvironment,
    PathKey(id): PathKey,
    Query(query): Query<ListQuery>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let mut tx = state.db.read().await?;
    let item: Versioned<ExperimentDefinition> =
        resource::load(&mut tx, &scope.environment_id, &id).await?;
    history::answer::<ExperimentDefinition>(&mut tx, &item.id, &query, &uri).await
}
