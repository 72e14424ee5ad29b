//! Segments: named audiences.

use super::answer::ListOf;
use super::history::Version;
use super::shared::{self, Shared, Surroundings};
use super::views::Segment;
use crate::api::history::RollbackRequest;
use crate::definition::SegmentDefinition;
use crate::error::{ApiError, ProblemDocument, Problems};
use crate::http::{
    Body, IfMatch, InProject, ListQuery, MergePatch, NoQuery, PathKey, Query, RequiredIfMatch,
};
use crate::state::AppState;
use crate::validate::{shared as shared_rules, usage};
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;

impl Shared for SegmentDefinition {
    const PATH: &'static str = "/segments";

    fn check(&self, _own: &str, surroundings: &Surroundings<Self>) -> Problems {
        shared_rules::check_segment(self, &surroundings.siblings)
    }

    fn check_change(
        _before: &Self,
        _after: &Self,
        _surroundings: &Surroundings<Self>,
    ) -> Result<(), ApiError> {
        Ok(())
    }

    fn check_delete(&self, surroundings: &Surroundings<Self>) -> Result<(), ApiError> {
        usage::of_segment(&self.key, &surroundings.environments).forbid("the segment", "deleted")
    }
}

/// Creates a segment.
#[utoipa::path(post, path = "/segments", tag = "segments", request_body = SegmentDefinition,
    responses((status = 201, body = Segment), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn create_segment(
    State(state): State<AppState>,
    scope: InProject,
    body: Body<SegmentDefinition>,
) -> Result<Response, ApiError> {
    shared::create(&state, &scope, body).await
}

/// Lists segments, sorted by key.
#[utoipa::path(get, path = "/segments", tag = "segments", params(ListQuery),
    responses((status = 200, body = ListOf<Segment>), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn list_segments(
    State(state): State<AppState>,
    scope: InProject,
    Query(query): Query<ListQuery>,
    uri: Uri,
) -> Result<Response, ApiError> {
    shared::list::<SegmentDefinition>(&state, &scope, &query, &uri).await
}

/// Answers a segment by its key or id.
#[utoipa::path(get, path = "/segments/{key}", tag = "segments",
    responses((status = 200, body = Segment), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn get_segment(
    State(state): State<AppState>,
    scope: InProject,
    PathKey(key): PathKey,
    _: NoQuery,
) -> Result<Response, ApiError> {
    shared::get::<SegmentDefinition>(&state, &scope, &key).await
}

/// Changes a segment by a JSON Merge Patch.
#[utoipa::path(patch, path = "/segments/{key}", tag = "segments",
    params(("If-Match" = String, Header, description = "`ETag` of the version that is changed")),
    request_body(content = SegmentDefinition, content_type = "application/merge-patch+json"),
    responses((status = 200, body = Segment), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn patch_segment(
    State(state): State<AppState>,
    scope: InProject,
    PathKey(key): PathKey,
    RequiredIfMatch(condition): RequiredIfMatch,
    patch: MergePatch,
) -> Result<Response, ApiError> {
    shared::patch::<SegmentDefinition>(&state, &scope, &key, &condition, patch).await
}

/// Deletes a segment that nothing uses.
#[utoipa::path(delete, path = "/segments/{key}", tag = "segments",
    params(("If-Match" = String, Header, description = "`ETag` of the version that is deleted")),
    responses((status = 204), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn delete_segment(
    State(state): State<AppState>,
    scope: InProject,
    PathKey(key): PathKey,
    RequiredIfMatch(condition): RequiredIfMatch,
    _: NoQuery,
) -> Result<Response, ApiError> {
    shared::delete::<SegmentDefinition>(&state, &scope, &key, &condition).await
}

/// Lists the changes of a segment, newest first.
#[utoipa::path(get, path = "/segments/{key}/history", tag = "segments", params(ListQuery),
    responses((status = 200, body = ListOf<Version>), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn list_segment_history(
    State(state): State<AppState>,
    scope: InProject,
    PathKey(key): PathKey,
    Query(query): Query<ListQuery>,
    uri: Uri,
) -> Result<Response, ApiError> {
    shared::history::<SegmentDefinition>(&state, &scope, &key, &query, &uri).await
}

/// Defines a segment again as an earlier version did.
#[utoipa::path(post, path = "/segments/{key}/rollback", tag = "segments", request_body = RollbackRequest,
    responses((status = 200, body = Segment), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn roll_back_segment(
    State(state): State<AppState>,
    scope: InProject,
    PathKey(key): PathKey,
    condition: IfMatch,
    body: Body<RollbackRequest>,
) -> Result<Response, ApiError> {
    let version = body.complete()?.version;
    shared::roll_back::<SegmentDefinition>(&state, &scope, &key, &condition, version).await
}
