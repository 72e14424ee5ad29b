//! Holdouts: units kept out of many experiments.

use super::answer::ListOf;
use super::history::Version;
use super::shared::{self, Shared, Surroundings};
use super::views::Holdout;
use crate::api::history::RollbackRequest;
use crate::definition::{HoldoutDefinition, salt};
use crate::error::{ApiError, ProblemDocument, Problems};
use crate::http::{
    Body, IfMatch, InProject, ListQuery, MergePatch, NoQuery, PathKey, Query, RequiredIfMatch,
};
use crate::state::AppState;
use crate::validate::{shared as shared_rules, usage};
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;

impl Shared for HoldoutDefinition {
    const PATH: &'static str = "/holdouts";

    fn complete(&mut self) {
        self.salt.get_or_insert_with(salt::generate);
    }

    fn check(&self, own: &str, surroundings: &Surroundings<Self>) -> Problems {
        shared_rules::check_holdout(self, own, &surroundings.environments)
    }

    fn check_change(
        before: &Self,
        after: &Self,
        surroundings: &Surroundings<Self>,
    ) -> Result<(), ApiError> {
        if before.salt == after.salt && before.unit == after.unit && before.size == after.size {
            return Ok(());
        }
        usage::of_holdout(&before.name, &surroundings.environments)
            .forbid("the units of the holdout", "changed")
    }

    fn check_delete(&self, surroundings: &Surroundings<Self>) -> Result<(), ApiError> {
        usage::of_holdout(&self.name, &surroundings.environments).forbid("the holdout", "deleted")
    }
}

/// Creates a holdout.
#[utoipa::path(post, path = "/holdouts", tag = "holdouts", request_body = HoldoutDefinition,
    responses((status = 201, body = Holdout), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn create_holdout(
    State(state): State<AppState>,
    scope: InProject,
    body: Body<HoldoutDefinition>,
) -> Result<Response, ApiError> {
    shared::create(&state, &scope, body).await
}

/// Lists holdouts, sorted by name.
#[utoipa::path(get, path = "/holdouts", tag = "holdouts", params(ListQuery),
    responses((status = 200, body = ListOf<Holdout>), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn list_holdouts(
    State(state): State<AppState>,
    scope: InProject,
    Query(query): Query<ListQuery>,
    uri: Uri,
) -> Result<Response, ApiError> {
    shared::list::<HoldoutDefinition>(&state, &scope, &query, &uri).await
}

/// Answers a holdout by its name or id.
#[utoipa::path(get, path = "/holdouts/{name}", tag = "holdouts",
    responses((status = 200, body = Holdout), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn get_holdout(
    State(state): State<AppState>,
    scope: InProject,
    PathKey(key): PathKey,
    _: NoQuery,
) -> Result<Response, ApiError> {
    shared::get::<HoldoutDefinition>(&state, &scope, &key).await
}

/// Changes a holdout by a JSON Merge Patch.
#[utoipa::path(patch, path = "/holdouts/{name}", tag = "holdouts",
    params(("If-Match" = String, Header, description = "`ETag` of the version that is changed")),
    request_body(content = HoldoutDefinition, content_type = "application/merge-patch+json"),
    responses((status = 200, body = Holdout), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn patch_holdout(
    State(state): State<AppState>,
    scope: InProject,
    PathKey(key): PathKey,
    RequiredIfMatch(condition): RequiredIfMatch,
    patch: MergePatch,
) -> Result<Response, ApiError> {
    shared::patch::<HoldoutDefinition>(&state, &scope, &key, &condition, patch).await
}

/// Deletes a holdout that nothing uses.
#[utoipa::path(delete, path = "/holdouts/{name}", tag = "holdouts",
    params(("If-Match" = String, Header, description = "`ETag` of the version that is deleted")),
    responses((status = 204), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn delete_holdout(
    State(state): State<AppState>,
    scope: InProject,
    PathKey(key): PathKey,
    RequiredIfMatch(condition): RequiredIfMatch,
    _: NoQuery,
) -> Result<Response, ApiError> {
    shared::delete::<HoldoutDefinition>(&state, &scope, &key, &condition).await
}

/// Lists the changes of a holdout, newest first.
#[utoipa::path(get, path = "/holdouts/{name}/history", tag = "holdouts", params(ListQuery),
    responses((status = 200, body = ListOf<Version>), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn list_holdout_history(
    State(state): State<AppState>,
    scope: InProject,
    PathKey(key): PathKey,
    Query(query): Query<ListQuery>,
    uri: Uri,
) -> Result<Response, ApiError> {
    shared::history::<HoldoutDefinition>(&state, &scope, &key, &query, &uri).await
}

/// Defines a holdout again as an earlier version did.
#[utoipa::path(post, path = "/holdouts/{name}/rollback", tag = "holdouts", request_body = RollbackRequest,
    responses((status = 200, body = Holdout), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn roll_back_holdout(
    State(state): State<AppState>,
    scope: InProject,
    PathKey(key): PathKey,
    condition: IfMatch,
    body: Body<RollbackRequest>,
) -> Result<Response, ApiError> {
    let version = body.complete()?.version;
    shared::roll_back::<HoldoutDefinition>(&state, &scope, &key, &condition, version).await
}
