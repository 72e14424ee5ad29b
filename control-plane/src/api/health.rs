//! Liveness and readiness.

use crate::error::ApiError;
use crate::state::AppState;
use crate::store::environments;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// The process runs.
pub(crate) async fn healthz() -> Response {
    Json(json!({ "status": "ok" })).into_response()
}

/// The database answers.
pub(crate) async fn readyz(State(state): State<AppState>) -> Result<Response, ApiError> {
    let reachable = async {
        let mut tx = state.db.read().await?;
        environments::revisions(&mut tx).await
    };
    match reachable.await {
        Ok(environments) => {
            Ok(Json(json!({ "status": "ready", "environments": environments.len() }))
                .into_response())
        }
        Err(error) => {
            tracing::error!(%error, "the database does not answer");
            Err(ApiError::Unavailable("the database does not answer".to_owned()))
        }
    }
}
