//! The span of a request: what a trace shows of it.

use axum::http::HeaderMap;
use axum::http::request::Parts;
use opentelemetry_http::HeaderExtractor;
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// A span named by method and route, inside of the caller's trace if the caller says so (`traceparent`). Costs a
/// comparison where nothing is traced. Names of fields: OpenTelemetry's conventions for HTTP servers.
pub(super) fn of(parts: &Parts) -> Span {
    let route = route(parts.uri.path());
    let span = tracing::trace_span!(
        "request",
        otel.name = Empty,
        otel.kind = "server",
        http.request.method = parts.method.as_str(),
        http.route = route,
        http.response.status_code = Empty,
    );
    if !span.is_disabled() {
        span.record("otel.name", format!("{} {route}", parts.method));
        // Fails only where no tracer listens.
        let _ = span.set_parent(parent(&parts.headers));
    }
    span
}

/// What the answer adds to it.
pub(super) fn answered(span: &Span, status: u16) {
    span.record("http.response.status_code", i64::from(status));
}

fn parent(headers: &HeaderMap) -> opentelemetry::Context {
    opentelemetry::global::get_text_map_propagator(|propagator| {
        propagator.extract(&HeaderExtractor(headers))
    })
}

/// The path without what differs from request to request: a name per flag would be no name.
fn route(path: &str) -> &'static str {
    const ROUTES: [&str; 10] = [
        "/healthz",
        "/readyz",
        "/v1/evaluate",
        "/v1/config-bundle",
        "/v1/stream",
        "/v1/events/batch",
        "/v1/exposures",
        "/v1/metrics",
        "/v1/units/",
        "/ofrep/v1/evaluate/flags",
    ];
    ROUTES
        .into_iter()
        .find(|route| path == *route || (route.ends_with('/') && path.starts_with(route)))
        .unwrap_or(if path.starts_with("/ofrep/v1/evaluate/flags/") {
            "/ofrep/v1/evaluate/flags/{key}"
        } else {
            "/{routed}"
        })
}
