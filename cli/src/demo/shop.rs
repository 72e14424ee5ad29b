//! The demo's definitions: project `demo` with the checkout experiment, started.

use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::Api;
use crate::dev::description::write_private;

/// Name of the demo's project.
pub(crate) const PROJECT: &str = "demo";
/// Name of its environment.
pub(crate) const ENVIRONMENT: &str = "production";
/// Name of its experiment.
pub(crate) const EXPERIMENT: &str = "checkout_redesign_q1_2025";

/// Name of the file in the state folder in which the shop is noted.
pub(crate) const NOTE: &str = "demo.json";

/// What must be known again after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shop {
    /// Server SDK key of the demo's environment.
    pub(crate) server_sdk_key: String,
    /// Id of the experiment.
    pub(crate) experiment_id: String,
}

impl Shop {
    /// Reads what an earlier start noted, or defines everything and notes it. `api` is for the demo's project.
    pub(crate) async fn open(api: &Api, note: &Path) -> anyhow::Result<Self> {
        if let Ok(text) = std::fs::read_to_string(note) {
            return serde_json::from_str(&text).with_context(|| note.display().to_string());
        }
        let shop = Self::define(api).await.context("the demo's definitions")?;
        write_private(note, &serde_json::to_vec_pretty(&shop)?)?;
        Ok(shop)
    }

    /// Repeatable: what an interrupted start left behind is used.
    async fn define(api: &Api) -> anyhow::Result<Self> {
        api.ensure("/projects", &json!({"name": PROJECT})).await?;
        api.ensure("/environments", &json!({"name": ENVIRONMENT})).await?;
        let key =
            api.post("/sdk-keys", &json!({"kind": "server", "name": "demo visitors"})).await?;
        let server_sdk_key = key["key"].as_str().context("an SDK key without a key")?.to_owned();
        for (path, body) in catalogue() {
            api.ensure(path, &body).await?;
        }
        api.ensure("/experiments", &experiment()).await?;
        let listed = api.get("/experiments?limit=100").await?;
        let found = listed["data"]
            .as_array()
            .and_then(|list| list.iter().find(|entry| entry["name"] == EXPERIMENT))
            .context("the demo's experiment is not in the list")?;
        let experiment_id = found["id"].as_str().context("an experiment without id")?.to_owned();
        if found["status"] == "draft" {
            let warnings = [
                "underpowered",
                "no_baseline",
                "short_duration",
                "metric_not_flowing",
                "overlapping_audience",
            ];
            api.post(
                &format!("/experiments/{experiment_id}/start"),
                &json!({"acknowledge": warnings}),
            )
            .await?;
        }
        Ok(Self { server_sdk_key, experiment_id })
    }
}

/// Layer, segment and metrics that the experiment refers to.
fn catalogue() -> [(&'static str, Value); 5] {
    [
        (
            "/layers",
            json!({"name": "checkout_layer", "description": "Everything on the checkout page",
                   "domain_start": 0, "domain_end": 9999}),
        ),
        (
            "/segments",
            json!({"key": "returning_users", "include": [], "exclude": [],
                   "condition": {"attribute": "returning", "op": "eq", "values": [true]}}),
        ),
        (
            "/metrics",
            json!({"name": "checkout_conversion_rate", "kind": "proportion", "event": "purchase",
                   "direction": "increase"}),
        ),
        ("/metrics", json!({"name": "revenue_per_user", "kind": "mean", "event": "purchase"})),
        (
            "/metrics",
            json!({"name": "p99_page_load", "kind": "quantile", "quantile": 0.99, "event": "page_load",
                   "direction": "decrease"}),
        ),
    ]
}

fn experiment() -> Value {
    json!({
        "name": EXPERIMENT,
        "hypothesis": "New checkout reduces cart abandonment by 5%",
        "layer": "checkout_layer",
        "variants": [
            {"name": "control", "weight": 50, "config": {"checkout_version": "v1"}},
            {"name": "treatment_a", "weight": 25, "config": {"checkout_version": "v2_single_page"}},
            {"name": "treatment_b", "weight": 25, "config": {"checkout_version": "v2_accordion"}},
        ],
        "targeting": {"countries": ["US", "CA"], "platforms": ["web", "ios"], "user_segment": "returning_users"},
        "primary_metric": "checkout_conversion_rate",
        "guardrail_metrics": ["p99_page_load", "revenue_per_user"],
        "min_detectable_effect": 0.02,
        "significance_level": 0.05,
        "power": 0.8,
        "estimated_duration_days": 14,
    })
}
