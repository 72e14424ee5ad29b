//! Carrying out what routing decides: fetching from origins, streaming bodies both ways.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, header};
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use tracing::Instrument as _;

use super::guard;
use super::server::{Edge, now_ms, response};
use super::span;
use crate::response::{Answer, Problem};
use crate::routing::{Attempt, Edits, Head, Injector, OriginAnswer, Plan, Routed, Verdict};
use crate::service::Service;

/// Time in which a connection to an origin must stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Time for which an origin may send nothing in the middle of an answer.
const READ_TIMEOUT: Duration = Duration::from_mins(1);
/// How many times longer an origin may take where the client still sends.
const UPLOAD_FACTOR: u32 = 30;

/// The way to the origins.
pub(super) struct Origins {
    client: reqwest::Client,
    timeout: Duration,
}

impl Origins {
    pub(super) fn new(timeout_ms: u32) -> reqwest::Result<Self> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .build()?;
        Ok(Self { client, timeout: Duration::from_millis(timeout_ms.into()) })
    }

    /// Sends a request; `Err` says whether it was too slow.
    async fn fetch(
        &self,
        method: Method,
        attempt: &Attempt,
        headers: HeaderMap,
        body: Option<Body>,
    ) -> Result<reqwest::Response, bool> {
        let timeout = if body.is_some() { self.timeout * UPLOAD_FACTOR } else { self.timeout };
        let mut request = self.client.request(method, &attempt.url).headers(headers);
        if let Some(body) = body {
            request = request.body(reqwest::Body::wrap_stream(body.into_data_stream()));
        }
        match tokio::time::timeout(timeout, request.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => {
                tracing::warn!(url = attempt.url, %error, "origin not reached");
                Err(error.is_timeout())
            }
            Err(_) => {
                tracing::warn!(url = attempt.url, "origin did not answer in time");
                Err(true)
            }
        }
    }
}

/// Whether a request is for a site behind this edge.
pub(super) fn is_routed(service: &Service, request: &axum::extract::Request) -> bool {
    service.is_routed(authority(request.headers(), request.uri()), request.uri().path())
}

fn authority<'r>(headers: &'r HeaderMap, uri: &'r axum::http::Uri) -> &'r str {
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    host.or_else(|| uri.authority().map(axum::http::uri::Authority::as_str)).unwrap_or_default()
}

/// Routes a request.
pub(super) async fn route(edge: &Edge, request: axum::extract::Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let span = span::of(&parts);
    let routed = async {
        match decide(edge, &parts).await {
            Ok(plan) => fetch(edge, &plan, &parts, body).await,
            Err(answer) => response(answer),
        }
    };
    let answer = routed.instrument(span.clone()).await;
    span::answered(&span, answer.status().as_u16());
    edge.recorded.count(answer.status().as_u16());
    answer
}

async fn decide(edge: &Edge, parts: &Parts) -> Result<Box<Plan>, Answer> {
    let text = |name: HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let forwarded = text(HeaderName::from_static("x-forwarded-proto"));
    let address = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let client_ip = address.map(|address| address.0.ip().to_string());
    let head = Head {
        method: parts.method.as_str(),
        scheme: if forwarded == Some("https") { "https" } else { "http" },
        authority: authority(&parts.headers, &parts.uri),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        headers: lines(&parts.headers),
        client_ip: client_ip.as_deref(),
        now_ms: now_ms(),
    };
    // The host names one environment; it may have to be loaded first.
    for _ in 0..2 {
        let routed = guard::catch_in(&edge.service, "routing", || {
            if let Some(on_request) = edge.on_request {
                on_request(head.path, head.query);
            }
            edge.service.route(&head)
        });
        match routed.unwrap_or_else(|| edge.service.pass_on(&head)) {
            Routed::Fetch(plan) => return Ok(plan),
            Routed::Answer(answer) => return Err(answer),
            Routed::Load(environment) => edge.source.load(&environment).await,
            Routed::Elsewhere => break,
        }
    }
    // The environment was forgotten as soon as it was loaded, because very many are asked for at once: as if there were no config.
    match edge.service.pass_on(&head) {
        Routed::Fetch(plan) => Ok(plan),
        Routed::Answer(answer) => Err(answer),
        Routed::Load(_) | Routed::Elsewhere => {
            Err(Problem::new(404, "unknown_path", "the edge has no such path").into())
        }
    }
}

fn lines(headers: &HeaderMap) -> Vec<(&str, &str)> {
    headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect()
}

fn apply(edits: &Edits, headers: &mut HeaderMap) {
    for name in &edits.remove {
        headers.remove(name.as_ref());
    }
    let line = |(name, value): &(std::borrow::Cow<'static, str>, String)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_str(value).ok()?))
    };
    for (name, value) in edits.set.iter().filter_map(line) {
        headers.insert(name, value);
    }
    for (name, value) in edits.append.iter().filter_map(line) {
        headers.append(name, value);
    }
}

async fn fetch(edge: &Edge, plan: &Plan, parts: &Parts, body: Body) -> Response<Body> {
    let mut body = (!body.is_end_stream()).then_some(body);
    for (n, attempt) in plan.attempts.iter().enumerate() {
        let mut headers = parts.headers.clone();
        apply(&attempt.edits, &mut headers);
        let fetched = edge.origins.fetch(parts.method.clone(), attempt, headers, body.take()).await;
        let (verdict, fetched) = match fetched {
            Ok(fetched) => {
                let status = fetched.status().as_u16();
                let headers = lines(fetched.headers());
                (edge.service.answered(plan, n, status, &headers, false, now_ms()), Some(fetched))
            }
            Err(is_timeout) => (edge.service.failed(plan, n, is_timeout, now_ms()), None),
        };
        match (verdict, fetched) {
            (Verdict::Fallback, _) => {}
            (Verdict::Send(answer), Some(fetched)) => return send(*answer, fetched),
            (Verdict::Refuse(answer), _) => return response(answer),
            (Verdict::Send(_), None) => break,
        }
    }
    response(Problem::new(502, "origin_unreachable", "the origin cannot be reached").into())
}

fn send(answer: OriginAnswer, fetched: reqwest::Response) -> Response<Body> {
    let mut headers = fetched.headers().clone();
    apply(&answer.edits, &mut headers);
    let body = match answer.script {
        _ if answer.is_empty => Body::empty(),
        Some(script) => Body::from_stream(injected(fetched.bytes_stream(), Injector::new(script))),
        None => Body::from_stream(fetched.bytes_stream()),
    };
    let mut response = Response::new(body);
    *response.status_mut() =
        answer.status.try_into().unwrap_or(axum::http::StatusCode::BAD_GATEWAY);
    *response.headers_mut() = headers;
    response
}

/// The page with the script in it. Once it is written, what comes passes as it is.
fn injected(
    chunks: impl Stream<Item = reqwest::Result<Bytes>> + Send + Unpin + 'static,
    injector: Injector,
) -> impl Stream<Item = reqwest::Result<Bytes>> + Send {
    let state = Some((chunks, injector));
    futures::stream::try_unfold(state, |state| async move {
        let Some((mut chunks, mut injector)) = state else { return Ok(None) };
        let mut out = Vec::new();
        match chunks.next().await.transpose()? {
            Some(chunk) if injector.is_done() => Ok(Some((chunk, Some((chunks, injector))))),
            Some(chunk) => {
                injector.push(&chunk, &mut out);
                Ok(Some((Bytes::from(out), Some((chunks, injector)))))
            }
            None => {
                injector.finish(&mut out);
                Ok(Some((Bytes::from(out), None)))
            }
        }
    })
    .try_filter(|chunk| std::future::ready(!chunk.is_empty()))
}

/// What Prometheus is told about routing.
pub(super) fn report(service: &Service) {
    if service.config().routing.hosts.is_empty() {
        return;
    }
    let counters = service.routing_counters();
    metrics::counter!("edge_routed_total").absolute(counters.routed);
    metrics::counter!("edge_route_redirects_total").absolute(counters.redirected);
    metrics::counter!("edge_route_fallbacks_total").absolute(counters.fell_back);
    metrics::counter!("edge_route_failures_total").absolute(counters.failed);
    metrics::counter!("edge_route_injections_total").absolute(counters.injected);
}
