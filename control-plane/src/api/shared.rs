//! Creating, reading, changing and deleting what a project's environments share: layers, holdouts, segments,
//! metrics. The four differ only in their rules.

use super::answer;
use super::change::Change;
use super::history;
use super::views::View;
use crate::error::{ApiError, Problems};
use crate::http::body::check;
use crate::http::{Body, IfMatch, InProject, ListQuery, MergePatch};
use crate::state::AppState;
use crate::store::resource;
use crate::store::snapshot::load_project;
use crate::store::{EnvironmentSnapshot, Versioned};
use crate::store::{Resource, Tx};
use axum::http::Uri;
use axum::response::Response;
use serde_json::Value;
use utoipa::ToSchema;

/// What definitions of a project are checked against.
pub(crate) struct Surroundings<D: Resource> {
    /// Every environment of the project.
    pub(crate) environments: Vec<EnvironmentSnapshot>,
    /// The project's definitions of the same kind.
    pub(crate) siblings: Vec<Versioned<D>>,
}

impl<D: Resource> Surroundings<D> {
    async fn load(tx: &mut Tx, project_id: &str) -> Result<Self, ApiError> {
        Ok(Self {
            environments: load_project(tx, project_id).await?,
            siblings: resource::load_all(tx, project_id).await?,
        })
    }
}

/// A kind of definition that environments share.
pub(crate) trait Shared: View<State = crate::definition::NoState> + ToSchema {
    /// Path of its list.
    const PATH: &'static str;

    /// Fills in what the author left to the platform.
    fn complete(&mut self) {}
    /// Everything that is wrong with it. `own` is its present key; empty for a new one.
    fn check(&self, own: &str, surroundings: &Surroundings<Self>) -> Problems;
    /// Whether others would be disturbed by the change.
    fn check_change(
        before: &Self,
        after: &Self,
        surroundings: &Surroundings<Self>,
    ) -> Result<(), ApiError>;
    /// Whether others need it.
    fn check_delete(&self, surroundings: &Surroundings<Self>) -> Result<(), ApiError>;
}

/// POST of a list.
pub(crate) async fn create<D: Shared>(
    state: &AppState,
    scope: &InProject,
    body: Body<D>,
) -> Result<Response, ApiError> {
    let (definition, problems) = body.partial()?;
    let mut change = Change::in_project(state, scope).await?;
    let item = define(&mut change, &scope.project_id, definition, problems).await?;
    change.commit().await?;
    let location = format!("{}/{}", D::PATH, item.definition.key());
    Ok(answer::created(item.version, &location, D::View::from(item)))
}

/// Stores a new definition within an open change of the project. `problems` are what was wrong with its body.
pub(crate) async fn define<D: Shared>(
    change: &mut Change<'_>,
    project_id: &str,
    mut definition: D,
    mut problems: Problems,
) -> Result<Versioned<D>, ApiError> {
    let surroundings = Surroundings::load(&mut change.tx, project_id).await?;
    problems.extend(definition.check("", &surroundings));
    problems.into_result()?;
    definition.complete();
    change.create(project_id, None, definition, crate::definition::NoState {}).await
}

/// GET of a list.
pub(crate) async fn list<D: Shared>(
    state: &AppState,
    scope: &InProject,
    query: &ListQuery,
    uri: &Uri,
) -> Result<Response, ApiError> {
    let page = query.page(&["active"])?;
    let mut tx = state.db.read().await?;
    let (items, next) = answer::page::<D>(&mut tx, &scope.project_id, &page).await?;
    let views: Vec<D::View> = items.into_iter().map(D::View::from).collect();
    Ok(answer::list(uri, next, views))
}

/// GET of one.
pub(crate) async fn get<D: Shared>(
    state: &AppState,
    scope: &InProject,
    key: &str,
) -> Result<Response, ApiError> {
    let mut tx = state.db.read().await?;
    let item = resource::load::<D>(&mut tx, &scope.project_id, key).await?;
    Ok(answer::ok(item.version, D::View::from(item)))
}

/// PATCH of one.
pub(crate) async fn patch<D: Shared>(
    state: &AppState,
    scope: &InProject,
    key: &str,
    condition: &IfMatch,
    patch: MergePatch,
) -> Result<Response, ApiError> {
    let mut change = Change::in_project(state, scope).await?;
    let before = resource::load::<D>(&mut change.tx, &scope.project_id, key).await?;
    condition.check(&before)?;
    let merged = patch.apply(to_value(&before.definition)?);
    replace(change, scope, "updated", before, merged).await
}

/// POST of a rollback.
pub(crate) async fn roll_back<D: Shared>(
    state: &AppState,
    scope: &InProject,
    key: &str,
    condition: &IfMatch,
    version: i64,
) -> Result<Response, ApiError> {
    let mut change = Change::in_project(state, scope).await?;
    let before = resource::load::<D>(&mut change.tx, &scope.project_id, key).await?;
    condition.check(&before)?;
    let earlier = history::definition_at::<D>(&mut change.tx, &before.id, version).await?;
    replace(change, scope, "rolled_back", before, earlier).await
}

async fn replace<D: Shared>(
    mut change: Change<'_>,
    scope: &InProject,
    action: &str,
    before: Versioned<D>,
    after: Value,
) -> Result<Response, ApiError> {
    let item = redefine(&mut change, &scope.project_id, action, &before, after).await?;
    change.commit().await?;
    Ok(answer::ok(item.version, D::View::from(item)))
}

/// Changes a definition within an open change of the project.
pub(crate) async fn redefine<D: Shared>(
    change: &mut Change<'_>,
    project_id: &str,
    action: &str,
    before: &Versioned<D>,
    after: Value,
) -> Result<Versioned<D>, ApiError> {
    let (definition, mut problems) = check::<D>(after);
    let Some(mut definition) = definition else { return Err(ApiError::Invalid(problems)) };
    let surroundings = Surroundings::load(&mut change.tx, project_id).await?;
    if definition.key() != before.definition.key() {
        let pointer = if D::KIND == "segment" { "/key" } else { "/name" };
        problems.push(pointer, "locked", "others refer to it by this name: it cannot change");
    }
    problems.extend(definition.check(before.definition.key(), &surroundings));
    problems.into_result()?;
    definition.complete();
    D::check_change(&before.definition, &definition, &surroundings)?;
    change.update(action, before, definition, before.state).await
}

/// DELETE of one.
pub(crate) async fn delete<D: Shared>(
    state: &AppState,
    scope: &InProject,
    key: &str,
    condition: &IfMatch,
) -> Result<Response, ApiError> {
    let mut change = Change::in_project(state, scope).await?;
    let item = resource::load::<D>(&mut change.tx, &scope.project_id, key).await?;
    condition.check(&item)?;
    let surroundings = Surroundings::load(&mut change.tx, &scope.project_id).await?;
    item.definition.check_delete(&surroundings)?;
    change.delete(&item).await?;
    change.commit().await?;
    Ok(answer::deleted())
}

/// GET of the history of one.
pub(crate) async fn history<D: Shared>(
    state: &AppState,
    scope: &InProject,
    key: &str,
    query: &ListQuery,
    uri: &Uri,
) -> Result<Response, ApiError> {
    let mut tx = state.db.read().await?;
    let item = resource::load::<D>(&mut tx, &scope.project_id, key).await?;
    history::answer::<D>(&mut tx, &item.id, query, uri).await
}

/// A definition as JSON.
pub(crate) fn to_value<D: Resource>(definition: &D) -> Result<Value, ApiError> {
    serde_json::to_value(definition).map_err(|error| ApiError::Internal(error.into()))
}
