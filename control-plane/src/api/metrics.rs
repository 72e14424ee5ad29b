//! The metric catalogue.

use super::answer::ListOf;
use super::history::Version;
use super::shared::{self, Shared, Surroundings};
use super::views::Metric;
use crate::api::history::RollbackRequest;
use crate::definition::MetricDefinition;
use crate::error::{ApiError, ProblemDocument, Problems};
use crate::http::{
    Body, IfMatch, InProject, ListQuery, MergePatch, NoQuery, PathKey, Query, RequiredIfMatch,
};
use crate::state::AppState;
use crate::validate::{shared as shared_rules, usage};
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;

impl Shared for MetricDefinition {
    const PATH: &'static str = "/metrics";

    fn check(&self, _own: &str, _surroundings: &Surroundings<Self>) -> Problems {
        shared_rules::check_metric(self)
    }

    fn check_change(
        before: &Self,
        after: &Self,
        surroundings: &Surroundings<Self>,
    ) -> Result<(), ApiError> {
        if before.kind == after.kind {
            return Ok(());
        }
        usage::of_metric(&before.name, &surroundings.environments)
            .forbid("the metric's kind", "changed")
    }

    fn check_delete(&self, surroundings: &Surroundings<Self>) -> Result<(), ApiError> {
        usage::of_metric(&self.name, &surroundings.environments).forbid("the metric", "deleted")
    }
}

/// Creates a metric.
#[utoipa::path(post, path = "/metrics", tag = "metrics", request_body = MetricDefinition,
    responses((status = 201, body = Metric), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn create_metric(
    State(state): State<AppState>,
    scope: InProject,
    body: Body<MetricDefinition>,
) -> Result<Response, ApiError> {
    shared::create(&state, &scope, body).await
}

/// Lists metrics, sorted by name.
#[utoipa::path(get, path = "/metrics", tag = "metrics", params(ListQuery),
    responses((status = 200, body = ListOf<Metric>), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn list_metrics(
    State(state): State<AppState>,
    scope: InProject,
    Query(query): Query<ListQuery>,
    uri: Uri,
) -> Result<Response, ApiError> {
    shared::list::<MetricDefinition>(&state, &scope, &query, &uri).await
}

/// Answers a metric by its name or id.
#[utoipa::path(get, path = "/metrics/{name}", tag = "metrics",
    responses((status = 200, body = Metric), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn get_metric(
    State(state): State<AppState>,
    scope: InProject,
    PathKey(key): PathKey,
    _: NoQuery,
) -> Result<Response, ApiError> {
    shared::get::<MetricDefinition>(&state, &scope, &key).await
}

/// Changes a metric by a JSON Merge Patch.
#[utoipa::path(patch, path = "/metrics/{name}", tag = "metrics",
    params(("If-Match" = String, Header, description = "`ETag` of the version that is changed")),
    request_body(content = MetricDefinition, content_type = "application/merge-patch+json"),
    responses((status = 200, body = Metric), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn patch_metric(
    State(state): State<AppState>,
    scope: InProject,
    PathKey(key): PathKey,
    RequiredIfMatch(condition): RequiredIfMatch,
    patch: MergePatch,
) -> Result<Response, ApiError> {
    shared::patch::<MetricDefinition>(&state, &scope, &key, &condition, patch).await
}

/// Deletes a metric that nothing uses.
#[utoipa::path(delete, path = "/metrics/{name}", tag = "metrics",
    params(("If-Match" = String, Header, description = "`ETag` of the version that is deleted")),
    responses((status = 204), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn delete_metric(
    State(state): State<AppState>,
    scope: InProject,
    PathKey(key): PathKey,
    RequiredIfMatch(condition): RequiredIfMatch,
    _: NoQuery,
) -> Result<Response, ApiError> {
    shared::delete::<MetricDefinition>(&state, &scope, &key, &condition).await
}

/// Lists the changes of a metric, newest first.
#[utoipa::path(get, path = "/metrics/{name}/history", tag = "metrics", params(ListQuery),
    responses((status = 200, body = ListOf<Version>), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn list_metric_history(
    State(state): State<AppState>,
    scope: InProject,
    PathKey(key): PathKey,
    Query(query): Query<ListQuery>,
    uri: Uri,
) -> Result<Response, ApiError> {
    shared::history::<MetricDefinition>(&state, &scope, &key, &query, &uri).await
}

/// Defines a metric again as an earlier version did.
#[utoipa::path(post, path = "/metrics/{name}/rollback", tag = "metrics", request_body = RollbackRequest,
    responses((status = 200, body = Metric), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn roll_back_metric(
    State(state): State<AppState>,
    scope: InProject,
    PathKey(key): PathKey,
    condition: IfMatch,
    body: Body<RollbackRequest>,
) -> Result<Response, ApiError> {
    let version = body.complete()?.version;
    shared::roll_back::<MetricDefinition>(&state, &scope, &key, &condition, version).await
}
