//! Layers: randomisation spaces that experiments share.

use super::experiment_view::Pairs;
use super::shared::{Shared, Surroundings};
use super::shared_handlers::shared_handlers;
use super::views::Layer;
use crate::definition::{
    ExperimentDefinition, LayerDefinition, LifecycleStatus, Share, salt, schema,
};
use crate::error::{ApiError, ProblemDocument, Problems};
use crate::http::{InEnvironment, NoQuery, PathKey};
use crate::lifecycle::allocation;
use crate::state::AppState;
use crate::store::resource;
use crate::validate::{shared as shared_rules, usage};
use axum::Json;
use axum::extract::State;
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

shared_handlers! {
    LayerDefinition => Layer, tag = "layers";
    "/layers" {
        /// Creates a layer.
        post = create_layer;
        /// Lists layers, sorted by name.
        get = list_layers;
    }
    "/layers/{name}" {
        /// Answers a layer by its name or id.
        get = get_layer;
        /// Changes a layer by a JSON Merge Patch.
        patch = patch_layer;
        /// Deletes a layer that nothing uses.
        delete = delete_layer;
    }
    "/layers/{name}/history" {
        /// Lists the changes of a layer, newest first.
        get = list_layer_history;
    }
    "/layers/{name}/rollback" {
        /// Defines a layer again as an earlier version did.
        post = roll_back_layer;
    }
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
