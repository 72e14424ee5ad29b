//! Every path of the control plane.

use crate::api::{
    api_tokens, audit, bundles, change_requests, decisions, environments, events, experiments,
    flags, health, holdouts, launch, layers, metrics, projects, schedules, sdk_keys, segments,
    sessions, transitions, users, webhooks,
};
use crate::error::ApiError;
use crate::http::{auth, idempotency, rate_limit, request_id};
use crate::publish::{handlers as delivery, public_keys};
use crate::reports::handlers as results;
use crate::state::AppState;
use crate::{openapi, ui};
use axum::http::{Uri, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use std::sync::LazyLock;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What an API token opens, below `/api/v1`.
fn with_token() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(projects::list_projects, projects::create_project))
        .routes(routes!(projects::get_project, projects::patch_project))
        .routes(routes!(projects::list_project_history))
        .routes(routes!(environments::list_environments, environments::create_environment))
        .routes(routes!(environments::get_environment, environments::patch_environment))
        .routes(routes!(environments::list_environment_history))
        .routes(routes!(sdk_keys::list_sdk_keys, sdk_keys::create_sdk_key))
        .routes(routes!(sdk_keys::revoke_sdk_key))
        .routes(routes!(api_tokens::list_api_tokens, api_tokens::create_api_token))
        .routes(routes!(api_tokens::revoke_api_token))
        .routes(routes!(users::list_users, users::create_user))
        .routes(routes!(users::get_user, users::patch_user))
        .routes(routes!(users::list_user_history))
        .routes(routes!(users::set_password))
        .routes(routes!(sessions::get_me))
        .routes(routes!(sessions::end_session))
        .routes(routes!(audit::list_audit))
        .routes(routes!(audit::export_audit))
        .routes(routes!(audit::verify_audit))
        .routes(routes!(layers::list_layers, layers::create_layer))
        .routes(routes!(layers::get_layer, layers::patch_layer, layers::delete_layer))
        .routes(routes!(layers::list_layer_history))
        .routes(routes!(layers::roll_back_layer))
        .routes(routes!(layers::get_layer_allocations))
        .routes(routes!(holdouts::list_holdouts, holdouts::create_holdout))
        .routes(routes!(holdouts::get_holdout, holdouts::patch_holdout, holdouts::delete_holdout))
        .routes(routes!(holdouts::list_holdout_history))
        .routes(routes!(holdouts::roll_back_holdout))
        .routes(routes!(segments::list_segments, segments::create_segment))
        .routes(routes!(segments::get_segment, segments::patch_segment, segments::delete_segment))
        .routes(routes!(segments::list_segment_history))
        .routes(routes!(segments::roll_back_segment))
        .routes(routes!(metrics::list_metrics, metrics::create_metric))
        .routes(routes!(metrics::get_metric, metrics::patch_metric, metrics::delete_metric))
        .routes(routes!(metrics::list_metric_history))
        .routes(routes!(metrics::roll_back_metric))
        .routes(routes!(experiments::list_experiments, experiments::create_experiment))
        .routes(routes!(
            experiments::get_experiment,
            experiments::patch_experiment,
            experiments::delete_experiment
        ))
        .routes(routes!(transitions::start_experiment))
        .routes(routes!(transitions::pause_experiment))
        .routes(routes!(transitions::resume_experiment))
        .routes(routes!(transitions::freeze_enrolment))
        .routes(routes!(transitions::unfreeze_enrolment))
        .routes(routes!(transitions::complete_experiment))
        .routes(routes!(transitions::ship_experiment))
        .routes(routes!(transitions::archive_experiment))
        .routes(routes!(launch::validate_experiment))
        .routes(routes!(experiments::clone_experiment))
        .routes(routes!(decisions::decide_experiment, decisions::get_decision))
        .routes(routes!(decisions::approve_decision))
        .routes(routes!(experiments::roll_back_experiment))
        .routes(routes!(experiments::list_experiment_history))
        .routes(routes!(flags::list_flags, flags::create_flag))
        .routes(routes!(flags::get_flag, flags::patch_flag))
        .routes(routes!(flags::kill_flag))
        .routes(routes!(flags::archive_flag))
        .routes(routes!(flags::roll_back_flag))
        .routes(routes!(flags::list_flag_history))
        .routes(routes!(schedules::list_schedules, schedules::create_schedule))
        .routes(routes!(schedules::get_schedule))
        .routes(routes!(schedules::cancel_schedule))
        .routes(routes!(schedules::list_schedule_history))
        .routes(routes!(webhooks::list_webhooks, webhooks::create_webhook))
        .routes(routes!(webhooks::get_webhook, webhooks::patch_webhook, webhooks::delete_webhook))
        .routes(routes!(webhooks::list_webhook_history))
        .routes(routes!(webhooks::rotate_webhook_secret))
        .routes(routes!(webhooks::test_webhook))
        .routes(routes!(webhooks::list_deliveries))
        .routes(routes!(webhooks::replay_delivery))
        .routes(routes!(change_requests::list_change_requests))
        .routes(routes!(change_requests::get_change_request))
        .routes(routes!(change_requests::approve_change_request))
        .routes(routes!(change_requests::close_change_request))
        .routes(routes!(change_requests::apply_change_request))
        .routes(routes!(bundles::export_bundle))
        .routes(routes!(bundles::import_bundle))
        .routes(routes!(results::get_results))
        .routes(routes!(results::post_reports))
        .routes(routes!(delivery::list_publishes))
        .routes(routes!(delivery::get_publish))
        .routes(routes!(delivery::roll_back_publish))
        .routes(routes!(delivery::get_config))
        .routes(routes!(public_keys::list_public_keys))
}

/// What needs no API token, below `/api/v1`.
fn without_token() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(events::forward_events))
        .routes(routes!(sessions::begin_session))
        .routes(routes!(get_openapi_document))
}

static DOCUMENT: LazyLock<serde_json::Value> = LazyLock::new(|| {
    let all = OpenApiRouter::new().nest("/api/v1", with_token().merge(without_token()));
    openapi::finish(all.get_openapi())
});

/// The OpenAPI document of this API.
pub fn openapi() -> &'static serde_json::Value {
    &DOCUMENT
}

/// Answers this document.
#[utoipa::path(get, path = "/openapi.json", tag = "meta", responses((status = 200, description = "OpenAPI 3.1.")))]
async fn get_openapi_document() -> Response {
    ([(header::CACHE_CONTROL, "no-cache")], axum::Json(openapi())).into_response()
}

/// The whole service.
pub fn router(state: AppState) -> Router {
    // Where approved change requests are sent again.
    let routes = change_requests::Routes(Router::from(with_token()).with_state(state.clone()));
    let with_token = Router::from(with_token())
        .layer(Extension(routes))
        .route_layer(from_fn_with_state(state.clone(), change_requests::propose))
        .route_layer(from_fn_with_state(state.clone(), idempotency::once))
        .route_layer(from_fn_with_state(state.clone(), rate_limit::limit))
        .route_layer(from_fn_with_state(state.clone(), auth::authenticate));
    let api = with_token.merge(Router::from(without_token()));
    Router::new()
        .nest("/api/v1", api)
        .route("/objects/configs/{*key}", get(delivery::get_published_object))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .fallback(other_path)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(CatchPanicLayer::custom(after_panic))
        .layer(from_fn(request_id::identify))
        .with_state(state)
}

/// Paths of the API that do not exist are errors; all others belong to the dashboard.
async fn other_path(method: axum::http::Method, uri: Uri) -> Response {
    let path = uri.path();
    if path == "/api" || path.starts_with("/api/") {
        return ApiError::UnknownRoute.into_response();
    }
    ui::serve(&method, path)
}

#[expect(clippy::needless_pass_by_value, reason = "the layer hands it over")]
fn after_panic(panic: Box<dyn std::any::Any + Send>) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    ApiError::Internal(anyhow::anyhow!("a handler panicked: {text}")).into_response()
}
