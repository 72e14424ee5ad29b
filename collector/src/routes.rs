//! Every route of the collector.

use axum::Router;
use axum::http::{HeaderName, header};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{Any, CorsLayer};

use crate::http::{AppState, Problem, health, ingest};

pub(crate) fn router(state: AppState) -> Router {
    Router::new()
        .route("/v1/events/batch", post(ingest::post_events))
        .route("/v1/exposures", post(ingest::post_exposures))
        .route("/v1/metrics", post(ingest::post_metrics))
        .route("/healthz", get(health::get_health))
        .route("/readyz", get(health::get_readiness))
        .fallback(async || Problem::NotFound)
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        .layer(CatchPanicLayer::custom(|_| {
            axum::response::IntoResponse::into_response(Problem::Internal)
        }))
        .layer(cors())
        .with_state(state)
}

/// Browsers may send events from any page; the key is what counts, and no cookies are involved.
fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([http::Method::POST, http::Method::GET])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::CONTENT_ENCODING,
            HeaderName::from_static("x-sdk-key"),
            HeaderName::from_static("x-sent-at"),
        ])
        .expose_headers([header::RETRY_AFTER])
}
