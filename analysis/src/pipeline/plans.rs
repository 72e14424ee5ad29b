//! Finding the analysis plan of every environment.

use anyhow::Context;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde::Deserialize;

use crate::plan::Plan;

/// What the analysis needs of `configs/{environment}/latest.json`.
#[derive(Debug, Deserialize)]
struct Manifest {
    environment: String,
    project: String,
    /// Absent in generations that were published before there were plans.
    #[serde(default)]
    plan: Option<String>,
}

/// The plan of the latest generation of every environment that passes the filters, by environment.
/// An environment whose plan cannot be read is logged and left out: it must not stop the others.
pub async fn load_plans(
    store: &dyn ObjectStore,
    project: Option<&str>,
    environment: Option<&str>,
) -> anyhow::Result<Vec<Plan>> {
    let listed = store
        .list_with_delimiter(Some(&Path::from("configs")))
        .await
        .context("listing the environments under configs/")?;
    let mut plans = Vec::new();
    for folder in listed.common_prefixes {
        let name = folder.filename().unwrap_or_default();
        if environment.is_some_and(|wanted| wanted != name) {
            continue;
        }
        match load_plan(store, &folder, project).await {
            Ok(plan) => plans.extend(plan),
            Err(error) => {
                tracing::warn!(environment = name, error = format!("{error:#}"), "no plan");
            }
        }
    }
    plans.sort_by(|a, b| a.environment.cmp(&b.environment));
    Ok(plans)
}

async fn load_plan(
    store: &dyn ObjectStore,
    folder: &Path,
    project: Option<&str>,
) -> anyhow::Result<Option<Plan>> {
    let Some(manifest) = read_if_there(store, &folder.clone().join("latest.json")).await? else {
        return Ok(None);
    };
    let manifest: Manifest = serde_json::from_slice(&manifest).context("latest.json")?;
    if project.is_some_and(|wanted| wanted != manifest.project) {
        return Ok(None);
    }
    let Some(path) = manifest.plan else { return Ok(None) };
    let bytes = read_if_there(store, &Path::from(path.as_str()))
        .await?
        .with_context(|| format!("{path} is missing"))?;
    let plan: Plan = serde_json::from_slice(&bytes).with_context(|| path.clone())?;
    anyhow::ensure!(
        plan.environment == manifest.environment && plan.project == manifest.project,
        "{path} belongs to {}/{}",
        plan.project,
        plan.environment
    );
    Ok(Some(plan))
}

async fn read_if_there(
    store: &dyn ObjectStore,
    path: &Path,
) -> anyhow::Result<Option<bytes::Bytes>> {
    match store.get(path).await {
        Ok(object) => Ok(Some(object.bytes().await?)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
