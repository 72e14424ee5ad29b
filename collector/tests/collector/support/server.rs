//! A running collector on folders of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use collector::Settings;
use collector::pseudonym::PseudonymSecret;
use eval_core::source::{ConfigSource, KeyKind, SdkKeySource};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const PROJECT: &str = "default";
pub(crate) const ENVIRONMENT: &str = "production-k3v9x2mq";
pub(crate) const SERVER_KEY: &str =
    "sk_server_production-k3v9x2mq_abcdefghijklmnopqrstuvwxyz234567";
pub(crate) const CLIENT_KEY: &str =
    "sk_client_production-k3v9x2mq_abcdefghijklmnopqrstuvwxyz234567";
pub(crate) const BATCH: &str = "/v1/events/batch";

/// Folders with a published config, and no collector yet.
pub(crate) struct Home {
    pub(crate) dir: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let home = Self { dir: tempfile::tempdir().unwrap() };
        publish(&home.store(), ENVIRONMENT, 1, &[SERVER_KEY, CLIENT_KEY]);
        home
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            store_url: format!("file://{}", self.store().display()),
            wal_dir: self.dir.path().join("wal"),
            pseudonym_secret: Some(PseudonymSecret::new([7; 32])),
            flush_interval: Duration::from_millis(50),
            group_delay: Duration::from_millis(1),
            refresh_interval: Duration::from_millis(50),
            compaction: None,
            ..Settings::default()
        }
    }

    pub(crate) async fn start(&self) -> Collector {
        Collector::start(self.settings()).await
    }
}

/// Publishes a config that knows these keys.
pub(crate) fn publish(store: &Path, environment: &str, generation: u64, keys: &[&str]) {
    let sdk_keys = keys
        .iter()
        .map(|key| SdkKeySource { sha256: Sha256::digest(key).into(), kind: KeyKind::Server })
        .collect();
    let source = ConfigSource {
        environment: environment.to_owned(),
        project: PROJECT.to_owned(),
        sdk_keys,
        ..ConfigSource::default()
    };
    let blob = eval_core::blob::encode(&eval_core::compile(&source).unwrap(), generation, 0);
    let object = format!("configs/{environment}/{generation}.bin");
    write(&store.join(&object), &blob);
    let pointer = json!({"generation": generation, "object": object});
    write(
        &store.join(format!("configs/{environment}/latest.json")),
        pointer.to_string().as_bytes(),
    );
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// A running collector.
pub(crate) struct Collector {
    pub(crate) base: String,
    pub(crate) client: reqwest::Client,
    shutdown: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
}

impl Collector {
    pub(crate) async fn start(settings: Settings) -> Self {
        let shutdown = CancellationToken::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let running = tokio::spawn(collector::serve(listener, settings, shutdown.clone()));
        Self { base, client: reqwest::Client::new(), shutdown, running }
    }

    /// Stops it, which brings everything into the lake.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.running.await.unwrap().unwrap();
    }

    pub(crate) fn request(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.post(format!("{}{path}", self.base)).bearer_auth(SERVER_KEY)
    }

    /// Sends a body and expects a receipt.
    pub(crate) async fn send(&self, body: impl Into<reqwest::Body>) -> Value {
        let response = self.request(BATCH).body(body).send().await.unwrap();
        receipt(response).await
    }
}

pub(crate) async fn receipt(response: Response) -> Value {
    let status = response.status();
    let text = response.text().await.unwrap();
    assert_eq!(status, StatusCode::ACCEPTED, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// The counts of a receipt: accepted, duplicate, rejected.
pub(crate) fn counts(receipt: &Value) -> (u64, u64, u64) {
    let count = |name: &str| receipt[name].as_u64().unwrap();
    (count("accepted"), count("duplicate"), count("rejected"))
}
