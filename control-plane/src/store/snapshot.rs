//! Everything that validating and compiling an environment need, read in one transaction.

use super::db::{Db, Tx};
use super::resource::{self, INSTANCE, Resource, Versioned};
use super::{environments, keys};
use crate::definition::{
    EnvironmentDefinition, ExperimentDefinition, FlagDefinition, HoldoutDefinition,
    LayerDefinition, MetricDefinition, ProjectDefinition, SegmentDefinition,
};
use crate::error::ApiError;
use keys::SdkKeyRow;

/// One consistent state of an environment and of what it shares with its project.
#[derive(Clone, Debug)]
pub struct EnvironmentSnapshot {
    /// Grows with every change of anything below; equal revisions hold equal definitions.
    pub revision: i64,
    /// The project, with its rule about consent.
    pub project: Versioned<ProjectDefinition>,
    /// The environment; its state holds the domain salt.
    pub environment: Versioned<EnvironmentDefinition>,
    /// Keys that work.
    pub sdk_keys: Vec<SdkKeyRow>,
    /// Layers of the project, sorted by name.
    pub layers: Vec<Versioned<LayerDefinition>>,
    /// Holdouts of the project, sorted by name.
    pub holdouts: Vec<Versioned<HoldoutDefinition>>,
    /// Segments of the project, sorted by key.
    pub segments: Vec<Versioned<SegmentDefinition>>,
    /// Metrics of the project, sorted by name.
    pub metrics: Vec<Versioned<MetricDefinition>>,
    /// Experiments of every status, drafts and archived ones included, sorted by name.
    pub experiments: Vec<Versioned<ExperimentDefinition>>,
    /// Flags, archived ones included, sorted by key.
    pub flags: Vec<Versioned<FlagDefinition>>,
}

/// Loads an environment by its id.
pub async fn load_environment(
    db: &Db,
    environment_id: &str,
) -> Result<EnvironmentSnapshot, ApiError> {
    let mut tx = db.read().await?;
    load_environment_in(&mut tx, environment_id).await
}

/// Like [`load_environment`], inside a transaction.
pub async fn load_environment_in(
    tx: &mut Tx,
    environment_id: &str,
) -> Result<EnvironmentSnapshot, ApiError> {
    let missing = || ApiError::not_found(EnvironmentDefinition::KIND, environment_id);
    let revision = environments::revision(tx, environment_id).await?.ok_or_else(missing)?;
    let project_id = environments::project_of(tx, environment_id).await?.ok_or_else(missing)?;
    let sdk_keys = keys::list(tx, environment_id).await?;
    Ok(EnvironmentSnapshot {
        revision,
        project: resource::load(tx, INSTANCE, &project_id).await?,
        environment: resource::load(tx, &project_id, environment_id).await?,
        sdk_keys: sdk_keys.into_iter().filter(|key| key.revoked_at.is_none()).collect(),
        layers: resource::load_all(tx, &project_id).await?,
        holdouts: resource::load_all(tx, &project_id).await?,
        segments: resource::load_all(tx, &project_id).await?,
        metrics: resource::load_all(tx, &project_id).await?,
        experiments: resource::load_all(tx, environment_id).await?,
        flags: resource::load_all(tx, environment_id).await?,
    })
}

/// The item of a key in a sorted list of the snapshot.
pub fn by_key<'s, D: Resource>(items: &'s [Versioned<D>], key: &str) -> Option<&'s Versioned<D>> {
    items.iter().find(|item| item.definition.key() == key)
}

/// Every environment of a project, sorted by id.
pub async fn load_project(
    tx: &mut Tx,
    project_id: &str,
) -> Result<Vec<EnvironmentSnapshot>, ApiError> {
    let mut snapshots = Vec::new();
    for environment_id in environments::ids(tx, project_id).await? {
        snapshots.push(load_environment_in(tx, &environment_id).await?);
    }
    Ok(snapshots)
}
