//! Environments of a project.

use super::answer::{self, ListOf};
use super::change::Change;
use super::history::{self, Version};
use super::shared::to_value;
use super::views::Environment;
use crate::definition::{EnvironmentDefinition, EnvironmentState, salt};
use crate::error::{ApiError, ProblemDocument, Problems};
use crate::http::body::check;
use crate::http::{
    Body, InProject, ListQuery, MergePatch, NoQuery, PathKey, Query, RequiredIfMatch,
};
use crate::state::AppState;
use crate::store::{Versioned, resource};
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;

/// Random characters at the end of an environment's id: 40 bits.
const ID_LENGTH: usize = 8;

/// A new id for an environment of this name.
pub(crate) fn new_id(name: &str) -> String {
    format!("{name}-{}", salt::random_base32(ID_LENGTH))
}

/// Creates an environment within a change.
pub(crate) async fn new_environment(
    change: &mut Change<'_>,
    project_id: &str,
    name: &str,
    id: Option<&str>,
) -> Result<Versioned<EnvironmentDefinition>, ApiError> {
    let definition = EnvironmentDefinition {
        name: name.to_owned(),
        description: None,
        required_approvals: 0,
        approvers: Vec::new(),
    };
    create_in(change, project_id, definition, id).await
}

async fn create_in(
    change: &mut Change<'_>,
    project_id: &str,
    definition: EnvironmentDefinition,
    id: Option<&str>,
) -> Result<Versioned<EnvironmentDefinition>, ApiError> {
    let id = id.map_or_else(|| new_id(&definition.name), str::to_owned);
    let state = EnvironmentState { domain_salt: salt::generate() };
    let item = change.create(project_id, Some(id), definition, state).await?;
    change.touch(&item.id).await?;
    Ok(item)
}

/// Creates an environment; its first, empty config is published at once.
#[utoipa::path(post, path = "/environments", tag = "environments", request_body = EnvironmentDefinition,
    responses((status = 201, body = Environment), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn create_environment(
    State(state): State<AppState>,
    scope: InProject,
    body: Body<EnvironmentDefinition>,
) -> Result<Response, ApiError> {
    let (definition, mut problems) = body.partial()?;
    check_approvals(&definition, &mut problems);
    problems.into_result()?;
    scope.caller.require_whole_project()?;
    let mut change = Change::begin(&state, &scope.caller).await?;
    change.about_project(&scope.project_id);
    let item = create_in(&mut change, &scope.project_id, definition, None).await?;
    change.commit().await?;
    let location = format!("/environments/{}", item.id);
    Ok(answer::created(item.version, &location, Environment::from(item)))
}

/// Lists the environments of the project, sorted by name.
#[utoipa::path(get, path = "/environments", tag = "environments", params(ListQuery),
    responses((status = 200, body = ListOf<Environment>), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn list_environments(
    State(state): State<AppState>,
    scope: InProject,
    Query(query): Query<ListQuery>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let page = query.page(&["active"])?;
    let mut tx = state.db.read().await?;
    let (items, next) = match &scope.caller.environment_id {
        None => answer::page::<EnvironmentDefinition>(&mut tx, &scope.project_id, &page).await?,
        Some(own) => (vec![resource::load(&mut tx, &scope.project_id, own).await?], None),
    };
    Ok(answer::list(&uri, next, items.into_iter().map(Environment::from).collect()))
}

async fn load_visible(
    tx: &mut crate::store::Tx,
    scope: &InProject,
    id: &str,
) -> Result<Versioned<EnvironmentDefinition>, ApiError> {
    let item: Versioned<EnvironmentDefinition> = resource::load(tx, &scope.project_id, id).await?;
    match &scope.caller.environment_id {
        Some(own) if *own != item.id => Err(ApiError::not_found("environment", id)),
        _ => Ok(item),
    }
}

/// Answers an environment by its id or name.
#[utoipa::path(get, path = "/environments/{id}", tag = "environments",
    responses((status = 200, body = Environment), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn get_environment(
    State(state): State<AppState>,
    scope: InProject,
    PathKey(id): PathKey,
    _: NoQuery,
) -> Result<Response, ApiError> {
    let mut tx = state.db.read().await?;
    let item = load_visible(&mut tx, &scope, &id).await?;
    Ok(answer::ok(item.version, Environment::from(item)))
}

/// Changes an environment by a JSON Merge Patch.
#[utoipa::path(patch, path = "/environments/{id}", tag = "environments",
    params(RequiredIfMatch),
    request_body(content = EnvironmentDefinition, content_type = "application/merge-patch+json"),
    responses((status = 200, body = Environment), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn patch_environment(
    State(state): State<AppState>,
    scope: InProject,
    PathKey(id): PathKey,
    RequiredIfMatch(condition): RequiredIfMatch,
    patch: MergePatch,
) -> Result<Response, ApiError> {
    let mut change = Change::begin(&state, &scope.caller).await?;
    change.about_project(&scope.project_id);
    let before = load_visible(&mut change.tx, &scope, &id).await?;
    condition.check(&before)?;
    let (definition, mut problems) =
        check::<EnvironmentDefinition>(patch.apply(to_value(&before.definition)?));
    let Some(definition) = definition else { return Err(ApiError::Invalid(problems)) };
    if definition.name != before.definition.name {
        problems.push(
            "/name",
            "locked",
            "the environment's id begins with its name: it cannot change",
        );
    }
    check_approvals(&definition, &mut problems);
    problems.into_result()?;
    let (old, new) = (&before.definition, &definition);
    if new.required_approvals < old.required_approvals || new.approvers != old.approvers {
        // Otherwise whoever lacks approvals would take the rule away first.
        change.guard(&before).await?;
    }
    let state = before.state.clone();
    let item = change.update("updated", &before, definition, state).await?;
    change.commit().await?;
    Ok(answer::ok(item.version, Environment::from(item)))
}

fn check_approvals(definition: &EnvironmentDefinition, problems: &mut Problems) {
    let n_approvers = u32::try_from(definition.approvers.len()).unwrap_or(u32::MAX);
    if n_approvers > 0 && n_approvers < definition.required_approvals {
        let rule =
            format!("{n_approvers} people cannot give {} approvals", definition.required_approvals);
        problems.push("/approvers", "too_few_items", rule);
    }
    for (index, approver) in definition.approvers.iter().enumerate() {
        if !approver.contains('@') || approver.len() > 254 || *approver != approver.to_lowercase() {
            let rule = "must be an e-mail address in lower case";
            problems.push(format!("/approvers/{index}"), "format", rule);
        }
    }
}

/// Lists the changes of an environment, newest first.
#[utoipa::path(get, path = "/environments/{id}/history", tag = "environments", params(ListQuery),
    responses((status = 200, body = ListOf<Version>), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn list_environment_history(
    State(state): State<AppState>,
    scope: InProject,
    PathKey(id): PathKey,
    Query(query): Query<ListQuery>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let mut tx = state.db.read().await?;
    let item = load_visible(&mut tx, &scope, &id).await?;
    history::answer::<EnvironmentDefinition>(&mut tx, &item.id, &query, &uri).await
}
