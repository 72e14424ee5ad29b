//! `sortition serve`: the control plane.

use std::net::SocketAddr;

use clap::Args;
use control_plane::webhooks::network::Network;

use crate::commands::{Secret, default_store};
use crate::prometheus::{self, MetricsArgs};
use crate::shutdown;

/// Serve the control plane: API, dashboard, publishing.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Address to listen on.
    #[arg(
        long,
        env = "SORTITION_LISTEN",
        default_value = "127.0.0.1:8080",
        value_name = "ADDRESS"
    )]
    listen: SocketAddr,

    /// Base URL of the collector, to which `/api/v1/events/batch` forwards.
    #[arg(
        long,
        env = "SORTITION_COLLECTOR_URL",
        default_value = "http://127.0.0.1:8081",
        value_name = "URL"
    )]
    collector_url: String,

    /// Largest request body, in bytes.
    #[arg(long, env = "SORTITION_BODY_LIMIT_BYTES", default_value_t = 1024 * 1024, value_name = "BYTES")]
    body_limit_bytes: usize,

    /// Seconds between two looks for experiments and schedules that are due; 0 leaves them to other replicas.
    #[arg(
        long,
        env = "SORTITION_SCHEDULER_INTERVAL_S",
        default_value_t = 1,
        value_name = "SECONDS"
    )]
    scheduler_interval_s: u64,

    /// Seconds between two looks for messages to webhooks; 0 leaves them to other replicas.
    #[arg(long, env = "SORTITION_WEBHOOK_INTERVAL_S", default_value_t = 1, value_name = "SECONDS")]
    webhook_interval_s: u64,

    /// Networks that are not public and to which webhooks may post all the same, also in clear: `10.0.0.0/8,fd00::/8`.
    #[arg(long, env = "SORTITION_WEBHOOK_NETWORKS", value_delimiter = ',', value_name = "NETWORK")]
    webhook_networks: Vec<Network>,

    /// Requests that one token or user may make in a minute; 0 sets no limit.
    #[arg(
        long,
        env = "SORTITION_RATE_LIMIT_PER_MINUTE",
        default_value_t = 30_000,
        value_name = "REQUESTS"
    )]
    rate_limit_per_minute: u32,

    /// Browsers reach the service by https: session cookies are for https alone.
    #[arg(long, env = "SORTITION_SECURE_COOKIES")]
    secure_cookies: bool,

    #[command(flatten)]
    installation: InstallationArgs,

    #[command(flatten)]
    metrics: MetricsArgs,
}

/// What a control plane keeps, and where.
#[derive(Debug, Args)]
pub(crate) struct InstallationArgs {
    /// Database: `sqlite:path` or `postgres://…`.
    #[arg(
        long,
        env = "SORTITION_DATABASE_URL",
        default_value = "sqlite:.sortition/control-plane.db",
        hide_env_values = true,
        value_name = "URL"
    )]
    database_url: String,

    /// Object storage for configs, plans and events: `file:///…` or `s3://bucket/prefix`. Default: the folder
    /// `.sortition/store` here.
    #[arg(long, env = "SORTITION_STORE", value_name = "URL")]
    store: Option<String>,

    /// Secret from which list keys are derived, 64 hexadecimal digits; edges need the same. Without it unit-id lists match
    /// nobody.
    #[arg(long, env = "SORTITION_LIST_SECRET", hide_env_values = true, value_name = "HEX")]
    list_secret: Option<Secret>,

    /// Ed25519 key that signs blobs, 64 hexadecimal digits. Without it one is made and kept in the database.
    #[arg(long, env = "SORTITION_SIGNING_KEY", hide_env_values = true, value_name = "HEX")]
    signing_key: Option<Secret>,
}

impl InstallationArgs {
    /// Settings of a control plane on this installation, all others at their defaults.
    pub(crate) fn settings(self) -> anyhow::Result<control_plane::Settings> {
        Ok(control_plane::Settings {
            database_url: self.database_url,
            store_url: self.store.map_or_else(default_store, Ok)?,
            list_secret: self.list_secret.map(Secret::bytes),
            signing_key: self.signing_key.map(Secret::bytes),
            ..control_plane::Settings::default()
        })
    }
}

impl Serve {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let shutdown = shutdown::on_signal()?;
        prometheus::serve(&self.metrics, shutdown.clone()).await?;
        let settings = control_plane::Settings {
            listen: self.listen,
            collector_url: self.collector_url,
            body_limit_bytes: self.body_limit_bytes,
            scheduler_interval_s: self.scheduler_interval_s,
            webhook_interval_s: self.webhook_interval_s,
            webhook_networks: self.webhook_networks,
            rate_limit_per_minute: self.rate_limit_per_minute,
            secure_cookies: self.secure_cookies,
            ..self.installation.settings()?
        };
        control_plane::run(settings, shutdown).await
    }
}
