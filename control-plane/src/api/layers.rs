//! Layers: randomisation spaces that experiments share.

use super::answer::ListOf;
use super::experiment_view::Pairs;
use super::history::Version;
use super::shared::{self, Shared, Surroundings};
use super::views::Layer;
use crate::api::history::RollbackRequest;
use crate::definition::{
    ExperimentDefinition, LayerDefinition, LifecycleStatus, Share, salt, schema,
};
use crate::error::{ApiError, ProblemDocument, Problems};
use crate::http::{
    Body, IfMatch, InEnvironment, InProject, ListQuery, MergePatch, NoQuery, PathKey, Query,
    RequiredIfMatch,
};
use crate::lifecycle::allocation;
use crate::state::AppState;
use crate::store::resource;
use crate::validate::{shared as shared_rules, usage};
use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use eval_core::source::BucketRange;
use serde::Serialize;
use utoipa::ToSchema;

impl Shared for LayerDefinition {
    const PATH: &'static str = "/layers";

    fn complete(&mut self) {
        self.salt.get_or_insert_with(salt::generate);
    }

    fn check(&self, own: &str, surroundings: &Surroundings<Self>) -> Problems {
        shared_rules::check_layer(self, own, &surroundings.environments)
    }

    fn check_change(
        before: &Self,
        after: &Self,
        surroundings: &Surroundings<Self>,
    ) -> Result<(), ApiError> {
        let same_space = before.salt == after.salt
            && before.unit == after.unit
            && before.domain() == after.domain();
        if same_space {
            return Ok(());
        }
        if before.unit != after.unit {
            usage::of_layer(&before.name, &surroundings.environments)
                .forbid("the layer's unit type", "changed")?;
        }
        usage::holding_buckets(&before.name, &surroundings.environments)
            .forbid("the layer's space", "changed")
    }

    fn check_delete(&self, surroundings: &Surroundings<Self>) -> Result<(), ApiError> {
        usage::of_layer(&self.name, &surroundings.environments).forbid("the layer", "deleted")
    }
}

/// Creates a layer.
#[utoipa::path(post, path = "/layers", tag = "layers", request_body = LayerDefinition,
    responses((status = 201, body = Layer), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn create_layer(
    State(state): State<AppState>,
    scope: InProject,
    body: Body<LayerDefinition>,
) -> Result<Response, ApiError> {
    shared::create(&state, &scope, body).await
}

/// Lists layers, sorted by name.
#[utoipa::path(get, path = "/layers", tag = "layers", params(ListQuery),
    responses((status = 200, body = ListOf<Layer>), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn list_layers(
    State(state): State<AppState>,
    scope: InProject,
    Query(query): Query<ListQuery>,
    uri: Uri,
) -> Result<Response, ApiError> {
    shared::list::<LayerDefinition>(&state, &scope, &query, &uri).await
}

/// Answers a layer by its name or id.
#[utoipa::path(get, path = "/layers/{name}", tag = "layers",
    responses((status = 200, body = Layer), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn get_layer(
    State(state): State<AppState>,
    scope: InProject,
    PathKey(key): PathKey,
    _: NoQuery,
) -> Result<Response, ApiError> {
    shared::get::<LayerDefinition>(&state, &scope, &key).await
}

/// Changes a layer by a JSON Merge Patch.
#[utoipa::path(patch, path = "/layers/{name}", tag = "layers",
    params(("If-Match" = String, Header, description = "`ETag` of the version that is changed")),
    request_body(content = LayerDefinition, content_type = "application/merge-patch+json"),
    responses((status = 200, body = Layer), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn patch_layer(
    State(state): State<AppState>,
    scope: InProject,
    PathKey(key): PathKey,
    RequiredIfMatch(condition): RequiredIfMatch,
    patch: MergePatch,
) -> Result<Response, ApiError> {
    shared::patch::<LayerDefinition>(&state, &scope, &key, &condition, patch).await
}

/// Deletes a layer that nothing uses.
#[utoipa::path(delete, path = "/layers/{name}", tag = "layers",
    params(("If-Match" = String, Header, description = "`ETag` of the version that is deleted")),
    responses((status = 204), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn delete_layer(
    State(state): State<AppState>,
    scope: InProject,
    PathKey(key): PathKey,
    RequiredIfMatch(condition): RequiredIfMatch,
    _: NoQuery,
) -> Result<Response, ApiError> {
    shared::delete::<LayerDefinition>(&state, &scope, &key, &condition).await
}

/// Lists the changes of a layer, newest first.
#[utoipa::path(get, path = "/layers/{name}/history", tag = "layers", params(ListQuery),
    responses((status = 200, body = ListOf<Version>), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn list_layer_history(
    State(state): State<AppState>,
    scope: InProject,
    PathKey(key): PathKey,
    Query(query): Query<ListQuery>,
    uri: Uri,
) -> Result<Response, ApiError> {
    shared::history::<LayerDefinition>(&state, &scope, &key, &query, &uri).await
}

/// Defines a layer again as an earlier version did.
#[utoipa::path(post, path = "/layers/{name}/rollback", tag = "layers", request_body = RollbackRequest,
    responses((status = 200, body = Layer), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn roll_back_layer(
    State(state): State<AppState>,
    scope: InProject,
    PathKey(key): PathKey,
    condition: IfMatch,
    body: Body<RollbackRequest>,
) -> Result<Response, ApiError> {
    let version = body.complete()?.version;
    shared::roll_back::<LayerDefinition>(&state, &scope, &key, &condition, version).await
}

/// Who holds which buckets of a layer in one environment.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LayerAllocations {
    /// Name of the layer.
    layer: String,
    /// Id of the environment.
    environment: String,
    /// Percent of the buckets that nobody holds.
    #[schema(value_type = schema::Percent)]
    free: Share,
    /// The buckets that nobody holds.
    #[schema(value_type = schema::Ranges)]
    free_ranges: Pairs,
    /// Who holds the others, sorted by name.
    allocations: Vec<LayerAllocation>,
}

/// The buckets of one experiment.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LayerAllocation {
    /// Name of the experiment.
    experiment: String,
    /// Id of the experiment.
    id: String,
    /// Where it stands.
    status: LifecycleStatus,
    /// The buckets that it holds.
    #[schema(value_type = schema::Ranges)]
    ranges: Pairs,
}

/// Answers who holds which buckets of a layer in the environment.
#[utoipa::path(get, path = "/layers/{name}/allocations", tag = "layers",
    responses((status = 200, body = LayerAllocations), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn get_layer_allocations(
    State(state): State<AppState>,
    scope: InEnvironment,
    PathKey(key): PathKey,
    _: NoQuery,
) -> Result<Json<LayerAllocations>, ApiError> {
    let mut tx = state.db.read().await?;
    let layer = resource::load::<LayerDefinition>(&mut tx, &scope.project_id, &key).await?;
    let experiments =
        resource::load_all::<ExperimentDefinition>(&mut tx, &scope.environment_id).await?;
    let holders: Vec<_> = experiments
        .iter()
        .filter(|item| item.definition.layer.as_deref() == Some(&layer.definition.name))
        .filter(|item| !item.state.owned_ranges().is_empty())
        .collect();
    let taken: Vec<BucketRange> =
        holders.iter().flat_map(|item| item.state.owned_ranges()).copied().collect();
    let free_ranges = allocation::free(&taken);
    Ok(Json(LayerAllocations {
        layer: layer.definition.name,
        environment: scope.environment_id,
        free: Share::from_buckets(allocation::size(&free_ranges)).unwrap_or_default(),
        free_ranges: Pairs::of(&free_ranges),
        allocations: holders
            .into_iter()
            .map(|item| LayerAllocation {
                experiment: item.definition.name.clone(),
                id: item.id.clone(),
                status: item.state.status,
                ranges: Pairs::of(item.state.owned_ranges()),
            })
            .collect(),
    }))
}
