//! Settings of the native edge.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::routing::RoutingConfig;
use crate::service::ServiceConfig;
use crate::trust::PublicKeys;

/// Settings of `sortition edge`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Address to listen on. `SORTITION_EDGE_LISTEN`, default `127.0.0.1:8787`.
    pub listen: SocketAddr,
    /// Object store to read configs from, `file:///abs/path` or `s3://bucket/prefix`. `SORTITION_STORE`, default none.
    pub store: Option<String>,
    /// Base URL under which `configs/{environment}/latest.json` is served; used where `store` is not set. `SORTITION_CONFIG_URL`, default none.
    pub config_url: Option<String>,
    /// Base URL of the collector. Without it exposures are not logged and events are refused. `SORTITION_COLLECTOR_URL`, default none.
    pub collector_url: Option<String>,
    /// Folder that keeps events while the collector cannot be reached, of this process alone. `SORTITION_SPOOL`, default none: exposures
    /// wait in memory, and clients' events are answered 503.
    pub spool: Option<PathBuf>,
    /// Environment of keys that name none that exists, and of `/readyz`. `SORTITION_ENVIRONMENT`, default none.
    pub environment: Option<String>,
    /// Secret of 32 bytes from which the keys of unit-id lists, cookies and deferred exposures derive. `SORTITION_LIST_SECRET` (hex),
    /// default none: lists match nobody, and there are neither cookies nor deferred exposures.
    pub list_secret: Option<[u8; 32]>,
    /// Domain of the identity cookie, so that its subdomains share it. `SORTITION_COOKIE_DOMAIN`, default none: the host that was asked.
    pub cookie_domain: Option<String>,
    /// What this edge is in front of. `SORTITION_HOSTS`, `SORTITION_ROUTING_KEYS` and `SORTITION_ORIGIN_TIMEOUT_MS`, default nothing.
    pub routing: RoutingConfig,
    /// Ed25519 keys of publishers; with them only blobs are taken that one of them signed. `SORTITION_PUBLIC_KEYS` (hex, separated by commas),
    /// default none: every blob is taken.
    pub public_keys: PublicKeys,
    /// Folder that keeps a copy of every config in use, of this process alone: what a start serves when the store is down.
    /// `SORTITION_CONFIG_CACHE`, default none.
    pub config_cache: Option<PathBuf>,
    /// File of configs that came with the deployment: what is served when neither store nor folder gives one. `SORTITION_BUNDLED_CONFIG`,
    /// default none.
    pub bundled_config: Option<PathBuf>,
    /// Called with path and query of every request before it is answered, by the task that answers it: a way to let things go wrong that no
    /// request can. Default none; no setting of a process.
    pub on_request: Option<fn(&str, &str)>,
    /// Time between two looks for a newer config. `SORTITION_REFRESH_INTERVAL_MS` (milliseconds), default 5 s.
    pub refresh_interval: Duration,
    /// The same for environments of which somebody reads a stream. `SORTITION_STREAM_REFRESH_INTERVAL_MS` (milliseconds), default 0.5 s.
    pub stream_refresh_interval: Duration,
    /// Streams that are served at once; 0: none. `SORTITION_MAX_STREAMS`, default 10 000.
    pub max_streams: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8787)),
            store: None,
            config_url: None,
            collector_url: None,
            spool: None,
            environment: None,
            list_secret: None,
            cookie_domain: None,
            routing: RoutingConfig::default(),
            public_keys: PublicKeys::EVERYONE,
            config_cache: None,
            bundled_config: None,
            on_request: None,
            refresh_interval: Duration::from_secs(5),
            stream_refresh_interval: Duration::from_millis(500),
            max_streams: 10_000,
        }
    }
}

impl Settings {
    pub(super) fn service(&self) -> ServiceConfig {
        ServiceConfig {
            default_environment: self.environment.clone(),
            list_secret: self.list_secret,
            refresh_interval_ms: milliseconds(self.refresh_interval),
            stream_refresh_interval_ms: milliseconds(self.stream_refresh_interval),
            max_streams: self.max_streams,
            has_collector: self.collector_url.is_some(),
            has_queue: self.spool.is_some(),
            has_store: self.store.is_some() || self.config_url.is_some(),
            cookie_domain: self.cookie_domain.clone(),
            routing: self.routing.clone(),
            public_keys: self.public_keys.clone(),
            seed: rand::random(),
        }
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
