//! The portable service: a request in, an answer out, and what the shell has to do besides.
//!
//! Nothing here does I/O or reads a clock. The shells (Cloudflare, native) read requests, load configs, forward events and send the
//! exposures that were logged; what to load, when, and what to answer is decided here, the same for both.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::auth::Refused;
use crate::environments::{Environment, Environments};
use crate::exposures::{Delivery, ExposureLog, Parcel};
use crate::random::Random;
use crate::request::{Patience, Request};
use crate::response::Answer;
use crate::routes;
use crate::routing::{RoutingConfig, RoutingCounters, RoutingState};
use crate::trust::PublicKeys;

/// Milliseconds after which a flush that never reported back is given up for dead.
const FLUSH_TIMEOUT_MS: i64 = 60_000;
/// Milliseconds for which a queue that failed is left alone.
const QUEUE_REST_MS: i64 = 2000;

/// What the service needs to know; the same for both shells.
#[derive(Debug, Clone)]
pub struct ServiceConfig {
    /// Environment of requests whose key names none that exists, and of `/readyz`.
    pub default_environment: Option<String>,
    /// Secret from which the list keys and signing keys of all environments derive. Without it, lists of unit ids match nobody, and
    /// there are neither cookies nor deferred exposures.
    pub list_secret: Option<[u8; 32]>,
    /// Milliseconds between two looks at the pointer of an environment in use.
    pub refresh_interval_ms: i64,
    /// The same while somebody reads a stream of the environment, so that news reach the stream soon.
    pub stream_refresh_interval_ms: i64,
    /// Streams that this process or isolate serves at once; 0: none, and bulk answers name none.
    pub max_streams: usize,
    /// Whether the collector's address is known.
    pub has_collector: bool,
    /// Whether a queue takes events when the collector cannot be reached.
    pub has_queue: bool,
    /// Whether there is a store to read configs from.
    pub has_store: bool,
    /// Domain of the identity cookie, such as `shop.example`, so that its subdomains share it. `None`: the host that was asked, alone.
    pub cookie_domain: Option<String>,
    /// What is in front of which site.
    pub routing: RoutingConfig,
    /// Whose configs are taken.
    pub public_keys: PublicKeys,
    /// 32 bytes from the platform's cryptographic source: ids and jitter of this process or isolate come from it.
    pub seed: [u8; 32],
}

impl Default for ServiceConfig {
    fn default() -> Self {
        Self {
            default_environment: None,
            list_secret: None,
            refresh_interval_ms: 5000,
            stream_refresh_interval_ms: 500,
            max_streams: 10_000,
            has_collector: false,
            has_queue: false,
            has_store: true,
            cookie_domain: None,
            routing: RoutingConfig::default(),
            public_keys: PublicKeys::EVERYONE,
            seed: [0; 32],
        }
    }
}

impl ServiceConfig {
    /// Whether there is anywhere for events to go.
    pub fn takes_events(&self) -> bool {
        self.has_collector || self.has_queue
    }
}

/// What the shell does with a request.
#[derive(Debug)]
pub enum Outcome {
    /// Send it.
    Answer(Answer),
    /// Load this environment, of which nothing is known yet, and ask again.
    Load(Arc<Environment>),
    /// Load the client form of this environment's config, of which nothing is known yet, and ask again.
    LoadClientForm(Arc<Environment>),
    /// Load this archived generation, of which nothing is known yet, and ask again.
    LoadArchived(crate::archive::Wanted),
    /// Load this environment within [`FRESHEN_MS`](crate::freshness::FRESHEN_MS) at most, and ask again with [`Patience::Loads`]: the
    /// client knows of a newer generation than this edge holds.
    Freshen(crate::freshness::Wanted),
    /// Send the head, then what the feed says for as long as the client listens.
    Stream(Box<crate::stream::Opened>),
    /// Hand the body to the collector and pass on what it answers, through [`Forward::answer`](crate::events::Forward).
    Forward(crate::events::Forward),
}

/// The service of one process or isolate.
#[derive(Debug, Default)]
pub struct Service {
    config: ServiceConfig,
    random: Random,
    environments: Environments,
    archive: crate::archive::Archive,
    exposures: Mutex<ExposureLog>,
    routing: RoutingState,
    streams: Arc<crate::stream::Slots>,
    /// When a flush of exposures began; 0 when none is under way.
    flushing_since_ms: AtomicI64,
    /// When the queue last took nothing.
    queue_failed_at_ms: AtomicI64,
    n_panics: AtomicU64,
}

impl Service {
    /// A service that holds nothing yet.
    pub fn new(config: ServiceConfig) -> Self {
        let random = Random::new(config.seed);
        let exposures = Mutex::new(ExposureLog::new(format!("edge-{}", random.id())));
        Self { config, random, exposures, ..Self::default() }
    }

    /// What it was made with.
    pub fn config(&self) -> &ServiceConfig {
        &self.config
    }

    /// Random numbers of this process or isolate.
    pub fn random(&self) -> &Random {
        &self.random
    }

    pub(crate) fn routing(&self) -> &RoutingState {
        &self.routing
    }

    /// What happened to routed requests.
    pub fn routing_counters(&self) -> RoutingCounters {
        self.routing.counters()
    }

    /// Requests that ended in a panic, or in a trap of an earlier instance.
    pub fn n_panics(&self) -> u64 {
        self.n_panics.load(Ordering::Relaxed)
    }

    /// Counts panics or traps.
    pub fn count_panics(&self, n: u64) {
        self.n_panics.fetch_add(n, Ordering::Relaxed);
    }

    /// Answers a request from memory, or says what is missing.
    pub fn handle(&self, request: &Request<'_>) -> Outcome {
        routes::dispatch(self, request)
    }

    /// An environment that was tried at least once, or the request to load it first if there is the patience for it.
    pub(crate) fn environment(
        &self,
        id: &str,
        now_ms: i64,
        patience: Patience,
    ) -> Result<Arc<Environment>, Refused> {
        let environment = self.environments.get(id, now_ms);
        if self.config.has_store && patience > Patience::None && environment.is_untried() {
            return Err(Refused::Untried(environment));
        }
        Ok(environment)
    }

    pub(crate) fn streams(&self) -> &Arc<crate::stream::Slots> {
        &self.streams
    }

    /// Streams that are open.
    pub fn n_streams(&self) -> usize {
        self.streams.len()
    }

    /// Ids of the environments of which streams are open.
    pub fn streamed_environments(&self) -> Vec<Arc<str>> {
        self.streams.environments()
    }

    /// Milliseconds between two looks at the pointer of an environment.
    fn refresh_interval_ms(&self, environment: &Environment, now_ms: i64) -> i64 {
        let config = &self.config;
        if self.streams.count(environment.id(), now_ms) > 0 {
            config.refresh_interval_ms.min(config.stream_refresh_interval_ms)
        } else {
            config.refresh_interval_ms
        }
    }

    /// All environments that were asked for.
    pub fn environments(&self) -> &Environments {
        &self.environments
    }

    /// The archived generation that was asked for last.
    pub fn archive(&self) -> &crate::archive::Archive {
        &self.archive
    }

    /// The exposures that wait.
    pub fn exposures(&self) -> MutexGuard<'_, ExposureLog> {
        self.exposures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Environments in use that are due for a refresh which nobody is at; the caller has taken them on.
    pub fn begin_refreshes(&self, now_ms: i64) -> Vec<Arc<Environment>> {
        if !self.config.has_store {
            return Vec::new();
        }
        let mut environments = self.environments.list();
        environments.retain(|environment| {
            environment.begin_refresh(now_ms, self.refresh_interval_ms(environment, now_ms))
        });
        environments
    }

    /// Whether an environment is due for a refresh which nobody is at. Takes nothing on.
    pub fn is_refresh_due(&self, environment: &str, now_ms: i64) -> bool {
        let environment = self.environments.get(environment, now_ms);
        self.config.has_store
            && environment.is_refresh_due(now_ms, self.refresh_interval_ms(&environment, now_ms))
    }

    /// An environment that is due for a refresh which nobody is at; the caller has taken it on.
    pub fn begin_refresh(&self, environment: &str, now_ms: i64) -> Option<Arc<Environment>> {
        let environment = self.environments.get(environment, now_ms);
        let interval_ms = self.refresh_interval_ms(&environment, now_ms);
        let begins = self.config.has_store && environment.begin_refresh(now_ms, interval_ms);
        begins.then_some(environment)
    }

    /// Environments whose client form is wanted and which nobody is fetching; the caller has taken them on.
    pub fn begin_client_forms(&self, now_ms: i64) -> Vec<Arc<Environment>> {
        let mut environments = self.environments.list();
        environments.retain(|environment| {
            environment.begin_client_form(now_ms, self.config.refresh_interval_ms)
        });
        environments
    }

    /// Whether a refresh or a flush is due. Cheap, and takes nothing on.
    pub fn has_background_work(&self, now_ms: i64) -> bool {
        let interval_ms = self.config.refresh_interval_ms;
        self.is_flush_due(now_ms)
            || (self.config.has_store
                && self.environments.list().iter().any(|environment| {
                    environment
                        .is_refresh_due(now_ms, self.refresh_interval_ms(environment, now_ms))
                        || environment.is_client_form_due(now_ms, interval_ms)
                }))
    }

    fn is_flush_due(&self, now_ms: i64) -> bool {
        if !self.config.takes_events() || self.is_flushing(now_ms) {
            return false;
        }
        let exposures = self.exposures();
        exposures.has_free_batch(now_ms)
            && (exposures.rest_ms(now_ms) == 0 || self.queue_takes(now_ms))
    }

    /// Whether there is a queue, and it did not fail just now.
    pub fn queue_takes(&self, now_ms: i64) -> bool {
        let failed_at = self.queue_failed_at_ms.load(Ordering::Relaxed);
        self.config.has_queue && now_ms.saturating_sub(failed_at).saturating_abs() >= QUEUE_REST_MS
    }

    /// The queue did not take a message.
    pub fn queue_failed(&self, now_ms: i64) {
        self.queue_failed_at_ms.store(now_ms, Ordering::Relaxed);
    }

    fn is_flushing(&self, now_ms: i64) -> bool {
        let since = self.flushing_since_ms.load(Ordering::Relaxed);
        since != 0 && (now_ms - since).abs() < FLUSH_TIMEOUT_MS
    }

    /// Whether exposures wait that nobody is sending and that somebody may take; if so, the caller has taken it on and must call
    /// [`end_flush`](Self::end_flush).
    pub fn begin_flush(&self, now_ms: i64) -> bool {
        let since = self.flushing_since_ms.load(Ordering::Relaxed);
        self.is_flush_due(now_ms)
            && self
                .flushing_since_ms
                .compare_exchange(since, now_ms, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// The next batch to send, and whether to ask the collector at all: one that failed just now is left alone for a while, when a
    /// queue can take the batch instead.
    pub fn lease_exposures(&self, now_ms: i64) -> Option<(Parcel, bool)> {
        let mut exposures = self.exposures();
        let asks_collector = self.config.has_collector && exposures.rest_ms(now_ms) == 0;
        if !asks_collector && !self.queue_takes(now_ms) {
            return None;
        }
        exposures.lease(now_ms).map(|parcel| (parcel, asks_collector))
    }

    /// What the collector's answer says about asking it again.
    pub fn observe_collector(&self, delivery: Delivery, now_ms: i64) {
        self.exposures().observe(delivery, now_ms, self.random.fraction());
    }

    /// The flush that [`begin_flush`](Self::begin_flush) allowed has ended.
    pub fn end_flush(&self) {
        self.flushing_since_ms.store(0, Ordering::Relaxed);
    }
}

/// A secret of 32 bytes, written in hex.
pub fn parse_secret(text: &str) -> Option<[u8; 32]> {
    let digits = text.trim().as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut secret = [0; 32];
    for (byte, pair) in secret.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(secret)
}
