//! The HTTP server: requests to the service and back, and the two things that run beside it.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::State;
use axum::handler::Handler as _;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use futures::StreamExt as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::collector::Collector;
use super::guard;
use super::recorded::Recorded;
use super::routing::{self, Origins};
use super::settings::Settings;
use super::span;
use super::spool::Spool;
use super::store::ConfigSource;
use super::stream::{self, Bell};
use crate::environments::Environment;
use crate::fail_open;
use crate::freshness::{self, FRESHEN_MS};
use crate::request::{Headers, MAX_EVENTS_BODY_BYTES, MAX_WAITS, Patience, Request};
use crate::response::{Answer, Problem};
use crate::service::{Outcome, Service};
use crate::standing::Standing;
use crate::stream::Opened;

/// Time between two looks for exposures that wait. Under load they gather in between and share a post.
const FLUSH_INTERVAL: Duration = Duration::from_millis(50);
/// Time between two looks for events that the spool kept.
const DRAIN_INTERVAL: Duration = Duration::from_millis(500);
/// Bytes of a body that is too large that are still read before it is refused.
const MAX_DRAINED_BYTES: usize = 64 * 1024 * 1024;

pub(super) struct Edge {
    pub(super) service: Service,
    pub(super) source: ConfigSource,
    collector: Collector,
    pub(super) origins: Origins,
    pub(super) on_request: Option<fn(&str, &str)>,
    pub(super) bell: Bell,
    pub(super) recorded: Recorded,
    pub(super) shutdown: CancellationToken,
}

impl Edge {
    /// Loads an environment; the streams are called when that brought a newer config.
    async fn load(&self, environment: &Environment) {
        let generation = || environment.held().map(|held| held.generation());
        let before = generation();
        self.source.load(environment).await;
        if generation() != before {
            self.bell.ring();
        }
    }

    /// Waits for a newer config that a client has heard of, for a moment.
    async fn freshen(self: &Arc<Self>, wanted: freshness::Wanted) {
        let freshening = async {
            while !wanted.is_here() {
                if wanted.begin_load(now_ms()) {
                    // A task of its own: a load that takes longer than this request waits is of use to the next ones.
                    let (edge, environment) = (self.clone(), wanted.environment.clone());
                    let load = tokio::spawn(async move { edge.load(&environment).await });
                    if load.await.is_err() {
                        return;
                    }
                } else {
                    tokio::time::sleep(Duration::from_millis(freshness::STEP_MS)).await;
                }
            }
        };
        // In vain after this time: the client is answered with what is held.
        let _ = tokio::time::timeout(Duration::from_millis(FRESHEN_MS), freshening).await;
    }
}

/// Serves on `settings.listen` until cancelled.
pub async fn run(settings: Settings, shutdown: CancellationToken) -> anyhow::Result<()> {
    let listener = TcpListener::bind(settings.listen).await?;
    serve(listener, settings, shutdown).await
}

/// Serves on a listener that is bound already, until cancelled; then finishes the requests under way and sends the exposures that wait.
pub async fn serve(
    listener: TcpListener,
    settings: Settings,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let client = reqwest::Client::new();
    let edge = Arc::new(Edge {
        service: Service::new(settings.service()),
        source: ConfigSource::open(&settings, &client)?,
        origins: Origins::new(settings.routing.origin_timeout_ms)?,
        on_request: settings.on_request,
        bell: Bell::new(),
        recorded: Recorded::new(),
        shutdown: shutdown.clone(),
        collector: Collector {
            client,
            base: settings.collector_url.clone(),
            spool: settings.spool.as_deref().map(Spool::open).transpose()?,
        },
    });
    if let Some(id) = &settings.environment {
        let environment = edge.service.environments().get(id, now_ms());
        edge.source.load(&environment).await;
    }
    tracing::info!(address = %listener.local_addr()?, "edge listens");
    let interval = settings.refresh_interval.min(settings.stream_refresh_interval);
    let refreshing =
        spawn(&edge, &shutdown, "refreshing", move |edge, stop| refresh(edge, interval, stop));
    let flushing = spawn(&edge, &shutdown, "sending exposures", flush);
    let draining = spawn(&edge, &shutdown, "emptying the spool", drain);
    // No router: the service has its own routes, and this takes every request as it comes.
    let app = answer.with_state(edge);
    let app = app.into_make_service_with_connect_info::<std::net::SocketAddr>();
    axum::serve(listener, app).with_graceful_shutdown(shutdown.clone().cancelled_owned()).await?;
    shutdown.cancel();
    refreshing.await?;
    draining.await?;
    flushing.await?;
    Ok(())
}

/// Runs one of the tasks beside the server until it ends.
fn spawn<F>(
    edge: &Arc<Edge>,
    shutdown: &CancellationToken,
    what: &'static str,
    task: impl Fn(Arc<Edge>, CancellationToken) -> F + Send + Sync + 'static,
) -> tokio::task::JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let (edge, shutdown) = (edge.clone(), shutdown.clone());
    tokio::spawn(async move {
        let task = || task(edge.clone(), shutdown.clone());
        guard::keep_running(&edge.service, what, task).await;
    })
}

/// Looks for newer configs, and tells the streams. Environments are loaded side by side, so a slow one delays no other. `interval` is the
/// shortest between two looks at one.
async fn refresh(edge: Arc<Edge>, interval: Duration, shutdown: CancellationToken) {
    let tick = (interval / 4).max(Duration::from_millis(10));
    let mut called = stream::Called::new();
    while shutdown.run_until_cancelled(tokio::time::sleep(tick)).await.is_some() {
        for environment in edge.service.begin_refreshes(now_ms()) {
            let edge = edge.clone();
            tokio::spawn(async move {
                guard::catch(&edge.service, "loading a config", edge.load(&environment)).await;
            });
        }
        for environment in edge.service.begin_client_forms(now_ms()) {
            let edge = edge.clone();
            tokio::spawn(async move {
                let loading = edge.source.load_client_form(&environment);
                guard::catch(&edge.service, "loading a client form", loading).await;
            });
        }
        stream::call(&edge, &mut called);
        report(&edge.service);
    }
}

/// What Prometheus is told about configs and exposures.
fn report(service: &Service) {
    for environment in service.environments().list() {
        let label = environment.id().to_owned();
        if let Some(held) = environment.held() {
            let age_ms = now_ms() - held.header().created_at_ms;
            metrics::gauge!("edge_config_generation", "environment" => label.clone())
                .set(held.generation() as f64);
            metrics::gauge!("edge_config_age_seconds", "environment" => label.clone())
                .set(age_ms as f64 / 1000.0);
        }
        let status = environment.status();
        metrics::gauge!("edge_config_load_failing", "environment" => label.clone())
            .set(f64::from(u8::from(status.last_error.is_some())));
        metrics::counter!("edge_config_loads_failed_total", "environment" => label.clone())
            .absolute(status.n_failed);
        metrics::counter!("edge_config_refused_total", "environment" => label.clone())
            .absolute(status.n_refused);
        let n_faults = environment.held().map_or(0, |held| held.config().faults().len());
        metrics::gauge!("edge_config_damaged_entries", "environment" => label.clone())
            .set(n_faults as f64);
        // 1 for what is so, 0 for what is not, so that alerts can name it.
        for standing in Standing::ALL {
            metrics::gauge!(
                "edge_config_standing",
                "environment" => label.clone(),
                "standing" => standing.as_str()
            )
            .set(f64::from(u8::from(standing == environment.standing())));
        }
    }
    metrics::counter!("edge_panics_total").absolute(service.n_panics());
    routing::report(service);
    let exposures = service.exposures();
    let counts = exposures.counts();
    metrics::gauge!("edge_collector_failures").set(f64::from(exposures.n_failures()));
    metrics::gauge!("edge_exposures_pending").set(exposures.n_pending() as f64);
    metrics::counter!("edge_exposures_sent_total").absolute(counts.sent);
    metrics::counter!("edge_exposures_queued_total").absolute(counts.queued);
    metrics::counter!("edge_exposures_dropped_total").absolute(counts.dropped);
    metrics::counter!("edge_exposures_rejected_total").absolute(counts.rejected);
    metrics::counter!("edge_exposures_suppressed_total").absolute(counts.suppressed);
}

async fn flush(edge: Arc<Edge>, shutdown: CancellationToken) {
    loop {
        let tick = tokio::time::sleep(FLUSH_INTERVAL);
        let goes_on = shutdown.run_until_cancelled(tick).await.is_some();
        if !goes_on {
            edge.service.exposures().end_rest();
        }
        if edge.service.begin_flush(now_ms()) {
            edge.collector.flush(&edge.service).await;
            edge.service.end_flush();
        }
        if !goes_on {
            let n_lost = edge.service.exposures().n_pending();
            if n_lost > 0 {
                tracing::error!(
                    n_lost,
                    "exposures lost: the collector did not take them before the end"
                );
            }
            return;
        }
    }
}

/// Hands to the collector what the spool kept.
async fn drain(edge: Arc<Edge>, shutdown: CancellationToken) {
    while shutdown.run_until_cancelled(tokio::time::sleep(DRAIN_INTERVAL)).await.is_some() {
        if let Err(error) = edge.collector.drain(&edge.service).await {
            tracing::error!(%error, "the spool cannot be read");
        }
        if let Some(spool) = &edge.collector.spool {
            metrics::gauge!("edge_spool_messages").set(spool.len() as f64);
        }
    }
}

/// Answers a request; one that panics with the defaults.
async fn answer(State(edge): State<Arc<Edge>>, request: axum::extract::Request) -> Response<Body> {
    let uri = request.uri().clone();
    let origin = request.headers().get(header::ORIGIN).cloned();
    let answered = guard::catch(&edge.service, "a request", try_answer(&edge, request)).await;
    answered.unwrap_or_else(|| {
        let origin = origin.as_ref().and_then(|origin| origin.to_str().ok());
        let answer = fail_open::answer(uri.path(), origin);
        edge.recorded.count(answer.status);
        response(answer)
    })
}

async fn try_answer(edge: &Arc<Edge>, request: axum::extract::Request) -> Response<Body> {
    if routing::is_routed(&edge.service, &request) {
        let began = Instant::now();
        let response = routing::route(edge, request).await;
        edge.recorded.time(began.elapsed());
        return response;
    }
    let (parts, body) = request.into_parts();
    let Some((body, body_too_large)) = read(body).await else {
        return response(
            Problem::new(400, "incomplete_body", "the body ended before it was complete").into(),
        );
    };
    let began = Instant::now();
    let span = span::of(&parts);
    let decided = decide(edge, &parts, body, body_too_large).instrument(span.clone()).await;
    let status = match &decided {
        Decided::Answer(answer) => answer.status,
        Decided::Stream(opened) => opened.head.status,
    };
    span::answered(&span, status);
    edge.recorded.count(status);
    edge.recorded.time(began.elapsed());
    match decided {
        Decided::Answer(answer) => response(answer),
        Decided::Stream(opened) => stream::answer(edge.clone(), opened),
    }
}

enum Decided {
    Answer(Answer),
    Stream(Opened),
}

async fn decide(edge: &Arc<Edge>, parts: &Parts, body: Vec<u8>, body_too_large: bool) -> Decided {
    let mut request = Request {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        headers: headers(&parts.headers),
        body: &body,
        body_too_large,
        now_ms: now_ms(),
        patience: Patience::Full,
    };
    if let Some(on_request) = edge.on_request {
        on_request(request.path, request.query);
    }
    for n_waits in 0..=MAX_WAITS {
        if n_waits == MAX_WAITS {
            request.patience = Patience::None;
        }
        match edge.service.handle(&request) {
            Outcome::Answer(answer) => return Decided::Answer(answer),
            Outcome::Stream(opened) => return Decided::Stream(*opened),
            Outcome::Forward(forward) => {
                let forwarded = edge.collector.forward(&edge.service, &forward, &body).await;
                return Decided::Answer(forward.answer(forwarded));
            }
            Outcome::Load(environment) => edge.load(&environment).await,
            Outcome::Freshen(wanted) => {
                edge.freshen(wanted).await;
                request.patience = request.patience.min(Patience::Loads);
            }
            Outcome::LoadClientForm(environment) => {
                edge.source.load_client_form(&environment).await;
            }
            Outcome::LoadArchived(wanted) => {
                let loaded = edge.source.load_archived(&wanted).await;
                edge.service.archive().put(&wanted, loaded, now_ms());
            }
        }
    }
    // Without patience nothing is waited for; if it were, callers would have their defaults.
    Decided::Answer(fail_open::answer(request.path, request.headers.origin))
}

/// The body, and whether it was too large to be kept; `None` when the client broke off. What comes after the limit is read and dropped,
/// because a client that still sends does not see the answer.
async fn read(body: Body) -> Option<(Vec<u8>, bool)> {
    let mut chunks = body.into_data_stream();
    let (mut bytes, mut size) = (Vec::new(), 0);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.ok()?;
        size += chunk.len();
        if size <= MAX_EVENTS_BODY_BYTES {
            bytes.extend_from_slice(&chunk);
        } else if size > MAX_DRAINED_BYTES {
            break;
        }
    }
    if size > MAX_EVENTS_BODY_BYTES { Some((Vec::new(), true)) } else { Some((bytes, false)) }
}

/// [`Headers::NAMES`], ready to be looked up.
static NAMES: LazyLock<[HeaderName; Headers::NAMES.len()]> =
    LazyLock::new(|| Headers::NAMES.map(HeaderName::from_static));

fn headers(map: &HeaderMap) -> Headers<'_> {
    Headers::from_values(
        NAMES.iter().map(|name| map.get(name).and_then(|value| value.to_str().ok())),
    )
}

pub(super) fn response(answer: Answer) -> Response<Body> {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() =
        answer.status.try_into().unwrap_or(axum::http::StatusCode::BAD_GATEWAY);
    for (name, value) in answer.headers {
        let value = match value {
            Cow::Borrowed(text) => HeaderValue::from_str(text),
            Cow::Owned(text) => HeaderValue::try_from(text),
        };
        if let Ok(value) = value {
            response.headers_mut().append(HeaderName::from_static(name), value);
        }
    }
    response
}

/// Milliseconds since the Unix epoch.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
