//! Settings of the control plane.

use crate::webhooks::network::Network;
use std::net::{Ipv4Addr, SocketAddr};

/// How a control plane runs. `Default` is the embedded installation: SQLite and a local folder.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address to listen on. `SORTITION_LISTEN`, default `127.0.0.1:8080`.
    pub listen: SocketAddr,
    /// Database: `sqlite:path` or `postgres://…`. `SORTITION_DATABASE_URL`, default `sqlite:.sortition/control-plane.db`.
    pub database_url: String,
    /// Object storage for configs, plans and events: `file:///…` or `s3://bucket/prefix`. `SORTITION_STORE`,
    /// default the folder `.sortition/store` below the working directory.
    pub store_url: String,
    /// Base URL of the collector, to which `/api/v1/events/batch` forwards. `SORTITION_COLLECTOR_URL`, default `http://127.0.0.1:8081`.
    pub collector_url: String,
    /// Secret from which list keys are derived, 32 bytes. `SORTITION_LIST_SECRET` (hex); without it unit-id lists match nobody.
    pub list_secret: Option<[u8; 32]>,
    /// Ed25519 key that signs configs, 32 bytes. `SORTITION_SIGNING_KEY` (hex); without it one is made and kept in the database.
    pub signing_key: Option<[u8; 32]>,
    /// Largest request body in bytes. `SORTITION_BODY_LIMIT_BYTES`, default 1 MiB.
    pub body_limit_bytes: usize,
    /// Seconds between two looks for experiments and schedules that are due. 0: this process leaves them to other
    /// replicas. `SORTITION_SCHEDULER_INTERVAL_S`, default 1.
    pub scheduler_interval_s: u64,
    /// Seconds between two looks for messages to webhooks. 0: this process leaves them to other replicas.
    /// `SORTITION_WEBHOOK_INTERVAL_S`, default 1.
    pub webhook_interval_s: u64,
    /// Networks that are not public and to which webhooks may post all the same, also in clear.
    /// `SORTITION_WEBHOOK_NETWORKS` such as `10.0.0.0/8,fd00::/8`; none by default.
    pub webhook_networks: Vec<Network>,
    /// Requests that one token or user may make in a minute. `SORTITION_RATE_LIMIT_PER_MINUTE`, default 30 000; 0 sets no limit.
    pub rate_limit_per_minute: u32,
    /// Whether browsers reach the service by https, so that session cookies are for https alone.
    /// `SORTITION_SECURE_COOKIES`, default no.
    pub secure_cookies: bool,
    /// Tokens and keys that must exist, known to whoever starts the process; none by default.
    pub bootstrap: Option<BootstrapSecrets>,
}

impl Default for Settings {
    fn default() -> Self {
        let here = std::env::current_dir().unwrap_or_default();
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            database_url: "sqlite:.sortition/control-plane.db".to_owned(),
            store_url: format!("file://{}", here.join(".sortition/store").display()),
            collector_url: "http://127.0.0.1:8081".to_owned(),
            list_secret: None,
            signing_key: None,
            body_limit_bytes: 1024 * 1024,
            scheduler_interval_s: 1,
            webhook_interval_s: 1,
            webhook_networks: Vec::new(),
            rate_limit_per_minute: 30_000,
            secure_cookies: false,
            bootstrap: None,
        }
    }
}

/// Secrets of the project `default` and its environment `production`, in clear, so that they survive restarts.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BootstrapSecrets {
    /// Id of the environment, `production-` and 8 base32 characters.
    pub environment_id: String,
    /// API token of role `admin` for all projects.
    pub admin_token: String,
    /// API token of role `data` for all projects.
    pub data_token: String,
    /// Server SDK key of the environment.
    pub server_sdk_key: String,
    /// Client SDK key of the environment.
    pub client_sdk_key: String,
}
