//! `sortition edge`: the edge as a native service.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use edge_worker::routing::{Hosts, RoutingConfig};
use edge_worker::trust::PublicKeys;

use crate::commands::Secret;
use crate::prometheus::{self, MetricsArgs};
use crate::shutdown;

/// Decide requests: the edge as a native service. (On Cloudflare and in workerd the same service runs as a Worker.)
#[derive(Debug, Args)]
pub(crate) struct Edge {
    /// Address to listen on.
    #[arg(
        long,
        env = "SORTITION_EDGE_LISTEN",
        default_value = "127.0.0.1:8787",
        value_name = "ADDRESS"
    )]
    listen: SocketAddr,

    /// Object storage to read configs from: `file:///…` or `s3://bucket/prefix`.
    #[arg(long, env = "SORTITION_STORE", value_name = "URL")]
    store: Option<String>,

    /// Base URL under which `configs/{environment}/latest.json` is served; used where no store is given.
    #[arg(long, env = "SORTITION_CONFIG_URL", value_name = "URL")]
    config_url: Option<String>,

    /// Base URL of the collector. Without it exposures are not logged and events are refused.
    #[arg(long, env = "SORTITION_COLLECTOR_URL", value_name = "URL")]
    collector_url: Option<String>,

    /// Folder that keeps events while the collector cannot be reached, of this process alone. Without it exposures wait in memory, and
    /// clients' events are answered 503.
    #[arg(long, env = "SORTITION_SPOOL", value_name = "FOLDER")]
    spool: Option<PathBuf>,

    /// Environment id of requests whose key names no environment that exists, and of `/readyz`.
    #[arg(long, env = "SORTITION_ENVIRONMENT", value_name = "ID")]
    environment: Option<String>,

    /// Secret from which the keys of unit-id lists, cookies and deferred exposures are derived, 64 hexadecimal digits. Without it lists
    /// match nobody, and there are neither cookies nor deferred exposures.
    #[arg(long, env = "SORTITION_LIST_SECRET", hide_env_values = true, value_name = "HEX")]
    list_secret: Option<Secret>,

    /// Domain of the identity cookie, so that its subdomains share it; without it the cookie belongs to the host that was asked.
    #[arg(long, env = "SORTITION_COOKIE_DOMAIN", value_name = "DOMAIN")]
    cookie_domain: Option<String>,

    /// Hosts of sites that this edge stands in front of: `host=environment` or `host=environment@origin`, separated by commas.
    #[arg(long, env = "SORTITION_HOSTS", default_value = "", value_name = "LIST", value_parser = Hosts::parse)]
    hosts: Hosts,

    /// SDK keys under which exposures of routed requests are logged, one for each environment, separated by commas.
    #[arg(
        long,
        env = "SORTITION_ROUTING_KEYS",
        default_value = "",
        hide_env_values = true,
        value_name = "LIST"
    )]
    routing_keys: String,

    /// Time that an origin may take until it begins to answer, in milliseconds.
    #[arg(long, env = "SORTITION_ORIGIN_TIMEOUT_MS", default_value_t = 10_000, value_name = "MS")]
    origin_timeout_ms: u32,

    /// Ed25519 public keys of publishers, each 64 hexadecimal digits, separated by commas (`sortition public-key` prints the control plane's). With
    /// them the edge takes only configs that one of them signed.
    #[arg(long, env = "SORTITION_PUBLIC_KEYS", default_value = "", hide_default_value = true, value_name = "LIST", value_parser = PublicKeys::parse)]
    public_keys: PublicKeys,

    /// Folder that keeps a copy of every config in use, of this process alone: what a start serves when the store is down.
    #[arg(long, env = "SORTITION_CONFIG_CACHE", value_name = "FOLDER")]
    config_cache: Option<PathBuf>,

    /// File of configs that came with the deployment (`sortition bundle` makes it): what is served when neither the store nor the folder
    /// gives one.
    #[arg(long, env = "SORTITION_BUNDLED_CONFIG", value_name = "FILE")]
    bundled_config: Option<PathBuf>,

    /// Time between two looks for a newer config, in milliseconds.
    #[arg(long, env = "SORTITION_REFRESH_INTERVAL_MS", default_value_t = 5000, value_name = "MS")]
    refresh_interval_ms: u64,

    /// The same for environments of which somebody reads a stream, so that news reach the stream within a second.
    #[arg(
        long,
        env = "SORTITION_STREAM_REFRESH_INTERVAL_MS",
        default_value_t = 500,
        value_name = "MS"
    )]
    stream_refresh_interval_ms: u64,

    /// Streams (`GET /v1/stream`) that are served at once. 0: none, and OFREP clients poll.
    #[arg(long, env = "SORTITION_MAX_STREAMS", default_value_t = 10_000, value_name = "N")]
    max_streams: usize,

    #[command(flatten)]
    metrics: MetricsArgs,
}

impl Edge {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let shutdown = shutdown::on_signal()?;
        prometheus::serve(&self.metrics, shutdown.clone()).await?;
        let settings = edge_worker::Settings {
            listen: self.listen,
            store: self.store,
            config_url: self.config_url,
            collector_url: self.collector_url,
            spool: self.spool,
            environment: self.environment,
            list_secret: self.list_secret.map(Secret::bytes),
            cookie_domain: self.cookie_domain,
            routing: RoutingConfig {
                hosts: self.hosts,
                sdk_keys: RoutingConfig::parse_keys(&self.routing_keys),
                origin_timeout_ms: self.origin_timeout_ms,
            },
            public_keys: self.public_keys,
            config_cache: self.config_cache,
            bundled_config: self.bundled_config,
            refresh_interval: Duration::from_millis(self.refresh_interval_ms),
            stream_refresh_interval: Duration::from_millis(self.stream_refresh_interval_ms),
            max_streams: self.max_streams,
            ..edge_worker::Settings::default()
        };
        edge_worker::run(settings, shutdown).await
    }
}
