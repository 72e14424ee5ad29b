//! Projects. Those who see one project alone see no other and create none.

use super::answer::{self, ListOf};
use super::change::Change;
use super::environments::new_environment;
use super::history::{self, Version};
use super::shared::to_value;
use super::views::Project;
use crate::access::Reach;
use crate::definition::{NoState, ProjectDefinition};
use crate::error::{ApiError, ProblemDocument};
use crate::http::body::check;
use crate::http::scope::DEFAULT_ENVIRONMENT;
use crate::http::{Body, Caller, ListQuery, MergePatch, NoQuery, PathKey, Query, RequiredIfMatch};
use crate::state::AppState;
use crate::store::resource::{self, INSTANCE};
use crate::store::{Versioned, environments};
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;

/// 404 unless the caller sees the project.
fn require_visible(caller: &Caller, project_id: &str) -> Result<(), ApiError> {
    if caller.reach().includes(project_id) {
        return Ok(());
    }
    Err(ApiError::not_found("project", project_id))
}

/// Creates a project with an environment `production`.
#[utoipa::path(post, path = "/projects", tag = "projects", request_body = ProjectDefinition,
    responses((status = 201, body = Project), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn create_project(
    State(state): State<AppState>,
    caller: Caller,
    body: Body<ProjectDefinition>,
) -> Result<Response, ApiError> {
    caller.require_whole_project()?;
    let definition = body.complete()?;
    let mut change = Change::begin(&state, &caller).await?;
    let id = definition.name.clone();
    let item = change.create(INSTANCE, Some(id), definition, NoState {}).await?;
    change.about_project(&item.id);
    new_environment(&mut change, &item.id, DEFAULT_ENVIRONMENT, None).await?;
    change.commit().await?;
    let location = format!("/projects/{}", item.id);
    Ok(answer::created(item.version, &location, Project::from(item)))
}

/// Lists the projects that the token sees, sorted by name.
#[utoipa::path(get, path = "/projects", tag = "projects", params(ListQuery),
    responses((status = 200, body = ListOf<Project>), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn list_projects(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<ListQuery>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let page = query.page(&["active"])?;
    let mut tx = state.db.read().await?;
    let (items, next) = match caller.reach() {
        Reach::Everything => answer::page::<ProjectDefinition>(&mut tx, INSTANCE, &page).await?,
        Reach::Projects(own) => {
            let mut items = Vec::new();
            for id in own {
                items.extend(resource::find(&mut tx, INSTANCE, &id).await?);
            }
            (items, None)
        }
    };
    Ok(answer::list(&uri, next, items.into_iter().map(Project::from).collect()))
}

/// Answers a project.
#[utoipa::path(get, path = "/projects/{name}", tag = "projects",
    responses((status = 200, body = Project), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn get_project(
    State(state): State<AppState>,
    caller: Caller,
    PathKey(name): PathKey,
    _: NoQuery,
) -> Result<Response, ApiError> {
    require_visible(&caller, &name)?;
    let mut tx = state.db.read().await?;
    let item = resource::load::<ProjectDefinition>(&mut tx, INSTANCE, &name).await?;
    Ok(answer::ok(item.version, Project::from(item)))
}

/// Changes a project by a JSON Merge Patch.
#[utoipa::path(patch, path = "/projects/{name}", tag = "projects",
    params(RequiredIfMatch),
    request_body(content = ProjectDefinition, content_type = "application/merge-patch+json"),
    responses((status = 200, body = Project), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn patch_project(
    State(state): State<AppState>,
    caller: Caller,
    PathKey(name): PathKey,
    RequiredIfMatch(condition): RequiredIfMatch,
    patch: MergePatch,
) -> Result<Response, ApiError> {
    require_visible(&caller, &name)?;
    caller.require_whole_project()?;
    let mut change = Change::begin(&state, &caller).await?;
    change.about_project(&name);
    for environment_id in environments::ids(&mut change.tx, &name).await? {
        change.touch(&environment_id).await?;
    }
    let before: Versioned<ProjectDefinition> =
        resource::load(&mut change.tx, INSTANCE, &name).await?;
    condition.check(&before)?;
    let (definition, mut problems) =
        check::<ProjectDefinition>(patch.apply(to_value(&before.definition)?));
    let Some(definition) = definition else { return Err(ApiError::Invalid(problems)) };
    if definition.name != before.definition.name {
        problems.push("/name", "locked", "a project's name is its id: it cannot change");
    }
    problems.into_result()?;
    let item = change.update("updated", &before, definition, before.state).await?;
    change.commit().await?;
    Ok(answer::ok(item.version, Project::from(item)))
}

/// Lists the changes of a project, newest first.
#[utoipa::path(get, path = "/projects/{name}/history", tag = "projects", params(ListQuery),
    responses((status = 200, body = ListOf<Version>), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn list_project_history(
    State(state): State<AppState>,
    caller: Caller,
    PathKey(name): PathKey,
    Query(query): Query<ListQuery>,
    uri: Uri,
) -> Result<Response, ApiError> {
    require_visible(&caller, &name)?;
    let mut tx = state.db.read().await?;
    let item: Versioned<ProjectDefinition> = resource::load(&mut tx, INSTANCE, &name).await?;
    history::answer::<ProjectDefinition>(&mut tx, &item.id, &query, &uri).await
}
