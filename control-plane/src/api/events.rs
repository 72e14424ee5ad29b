//! Events, handed on to the collector as they are: it knows the keys and answers for itself.

use crate::error::{ApiError, ProblemDocument};
use crate::http::body::read_limited;
use crate::state::AppState;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::time::Duration;

/// Largest batch of the collector, in bytes.
const MAX_BATCH_BYTES: usize = 5 * 1024 * 1024;

/// How long the collector may take to make a batch durable.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Headers that the collector reads.
const FORWARDED: [HeaderName; 4] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    HeaderName::from_static("x-sdk-key"),
];

/// Headers of the collector's answer.
const ANSWERED: [HeaderName; 2] = [header::CONTENT_TYPE, header::RETRY_AFTER];

/// Takes a batch of events with an SDK key, as the collector's `/v1/events/batch` does.
#[utoipa::path(post, path = "/events/batch", tag = "events",
    request_body(content = String, content_type = "application/x-ndjson", description = "Newline-delimited JSON or a JSON array of events, gzip or zstd, up to 5 MiB."),
    responses((status = 202, description = "What was accepted, and what was not and why."), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn forward_events(
    State(state): State<AppState>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let body = read_limited(body, MAX_BATCH_BYTES).await?;
    let url = format!("{}/v1/events/batch", state.settings.collector_url.trim_end_matches('/'));
    let mut forward = state.http.post(url).timeout(TIMEOUT).body(body);
    for name in FORWARDED {
        if let Some(value) = parts.headers.get(&name) {
            forward = forward.header(name, value);
        }
    }
    let unavailable = |error: reqwest::Error| {
        tracing::warn!(%error, "the collector does not answer");
        ApiError::Unavailable("the collector does not answer now; send the batch again".to_owned())
    };
    let answer = forward.send().await.map_err(unavailable)?;
    let status = StatusCode::from_u16(answer.status().as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
    let headers = answer.headers().clone();
    let body = answer.bytes().await.map_err(unavailable)?;
    let mut response = (status, Body::from(body)).into_response();
    response.headers_mut().remove(header::CONTENT_TYPE);
    for name in ANSWERED {
        if let Some(value) = headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    Ok(response)
}
