//! `X-Request-Id`: taken from the client when it is usable, made otherwise, on every answer and in the log.
//! Requests are also counted and timed here.

use axum::extract::{MatchedPath, Request};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use std::time::Instant;
use tracing::Instrument;
use uuid::Uuid;

const HEADER: &str = "x-request-id";

/// Middleware: gives each request an id and a log span.
pub(crate) async fn identify(mut request: Request, next: Next) -> Response {
    let given = request.headers().get(HEADER).filter(|value| {
        let bytes = value.as_bytes();
        (1..=128).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
    });
    let id = given.cloned().unwrap_or_else(|| {
        HeaderValue::from_str(&Uuid::now_v7().to_string()).expect("a UUID is a header value")
    });
    request.headers_mut().insert(HEADER, id.clone());
    let span = tracing::info_span!(
        "request",
        id = id.to_str().unwrap_or_default(),
        method = %request.method(),
        path = request.uri().path(),
    );
    // The route, not the path: a label per experiment would never end.
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    let (method, route) = (request.method().to_string(), route.to_owned());
    let begun = Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    metrics::histogram!(
        "sortition_control_plane_request_duration_seconds",
        "method" => method, "route" => route, "status" => status.to_string()
    )
    .record(begun.elapsed().as_secs_f64());
    let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    span.in_scope(|| tracing::debug!(status, duration_ms, "answered"));
    response.headers_mut().insert(HEADER, id);
    response
}
