//! Liveness and readiness.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use super::AppState;

/// `GET /healthz`: the process answers.
pub(crate) async fn get_health() -> Json<Health> {
    Json(Health { status: "ok" })
}

#[derive(Debug, Serialize)]
pub(crate) struct Health {
    status: &'static str,
}

/// `GET /readyz`: whether events are accepted, and what is under way.
pub(crate) async fn get_readiness(State(state): State<AppState>) -> (StatusCode, Json<Readiness>) {
    let wal_bytes = state.load.logged_bytes();
    let status = if state.shutdown.is_cancelled() {
        "stopping"
    } else if wal_bytes >= state.limits.wal {
        "log_full"
    } else {
        "ready"
    };
    let configs = state.configs.as_ref().map(|configs| configs.known()).unwrap_or_default();
    let readiness = Readiness {
        status,
        wal_bytes,
        queued_bytes: state.load.queued_bytes(),
        configs: configs
            .into_iter()
            .map(|(environment, generation, age)| ConfigState {
                environment,
                generation,
                age_s: age.as_secs(),
            })
            .collect(),
    };
    let is_ready = readiness.status == "ready";
    let code = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(readiness))
}

#[derive(Debug, Serialize)]
pub(crate) struct Readiness {
    status: &'static str,
    /// Bytes that are durable and not in the lake yet.
    wal_bytes: u64,
    /// Bytes that wait to become durable.
    queued_bytes: usize,
    configs: Vec<ConfigState>,
}

#[derive(Debug, Serialize)]
struct ConfigState {
    environment: String,
    generation: u64,
    /// Since it was last known to be the newest.
    age_s: u64,
}
