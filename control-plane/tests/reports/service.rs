//! A running control plane on either database and a local folder.

use std::time::Duration;

use control_plane::{BootstrapSecrets, Settings};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub const ENVIRONMENT: &str = "production-k3v9x2mq";

/// Which database.
#[derive(Clone, Copy, Debug)]
pub enum Database {
    Sqlite,
    Postgres,
}

/// Declares tests that take a fresh [`Service`], each to be run on SQLite and on PostgreSQL.
macro_rules! on_both_databases {
    ($($(#[$meta:meta])* async fn $name:ident($service:ident) $body:block)*) => {
        $(
            $(#[$meta])*
            async fn $name($service: &crate::service::Service) $body
        )*

        mod on_sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let database = crate::service::Database::Sqlite;
                    let service = crate::service::Service::start(database).await;
                    let service = service.expect("SQLite is built in");
                    super::$name(&service).await;
                    service.stop().await;
                }
            )*
        }

        mod on_postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let database = crate::service::Database::Postgres;
                    let Some(service) = crate::service::Service::start(database).await else {
                        return;
                    };
                    super::$name(&service).await;
                    service.stop().await;
                }
            )*
        }
    };
}
pub(crate) use on_both_databases;

pub struct Service {
    pub base: String,
    pub folder: tempfile::TempDir,
    client: reqwest::Client,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<anyhow::Result<()>>,
}

fn token(letter: char) -> String {
    format!("st_{}", letter.to_string().repeat(32))
}

impl Service {
    /// Starts one; `None` when its database is to be left out.
    pub async fn start(database: Database) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let database_url = match database {
            Database::Sqlite => {
                format!("sqlite:{}", folder.path().join("control-plane.db").display())
            }
            Database::Postgres => crate::postgres::database().await?.url,
        };
        let key = |kind: &str| format!("sk_{kind}_{ENVIRONMENT}_{}", "a".repeat(32));
        let settings = Settings {
            database_url,
            store_url: format!("file://{}", folder.path().join("store").display()),
            bootstrap: Some(BootstrapSecrets {
                environment_id: ENVIRONMENT.to_owned(),
                admin_token: token('a'),
                data_token: token('d'),
                server_sdk_key: key("server"),
                client_sdk_key: key("client"),
            }),
            ..Settings::default()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(control_plane::serve(listener, settings, shutdown.clone()));
        let service = Self { base, folder, client: reqwest::Client::new(), shutdown, task };
        service.wait_for_generation(1).await;
        Some(service)
    }

    /// Stops cleanly.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }

    pub async fn send(
        &self,
        who: char,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Response {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if who != '-' {
            request = request.bearer_auth(token(who));
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send().await.unwrap()
    }

    /// As administrator; the answer must have this status.
    pub async fn ok(&self, method: Method, path: &str, body: Option<Value>, status: u16) -> Value {
        let response = self.send('a', method.clone(), path, body).await;
        let (seen, body) = (response.status(), response.text().await.unwrap());
        assert_eq!(seen.as_u16(), status, "{method} {path}: {body}");
        serde_json::from_str(&body).unwrap_or(Value::Null)
    }

    pub async fn get(&self, path: &str) -> Value {
        self.ok(Method::GET, path, None, 200).await
    }

    pub async fn post(&self, path: &str, body: Value, status: u16) -> Value {
        self.ok(Method::POST, path, Some(body), status).await
    }

    /// A GET without a token, with `If-None-Match`.
    pub async fn fetch(&self, path: &str, known: Option<&str>) -> Response {
        let mut request = self.client.get(format!("{}{path}", self.base));
        if let Some(tag) = known {
            request = request.header("if-none-match", tag);
        }
        request.send().await.unwrap()
    }

    /// Waits until the pointer is at this generation or above it.
    pub async fn wait_for_generation(&self, generation: u64) -> Value {
        for _ in 0..2_000 {
            let path = format!("/objects/configs/{ENVIRONMENT}/latest.json");
            if let Ok(response) = self.client.get(format!("{}{path}", self.base)).send().await
                && response.status() == StatusCode::OK
            {
                let pointed: Value = response.json().await.unwrap();
                if pointed["generation"].as_u64() >= Some(generation) {
                    return pointed;
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("generation {generation} was never published");
    }

    /// The checkout experiment with what it needs, running; answers it.
    pub async fn start_checkout(&self) -> Value {
        for metric in [
            json!({"name": "checkout_conversion_rate", "kind": "proportion", "event": "purchase", "baseline": 0.1}),
            json!({"name": "revenue_per_user", "kind": "mean", "event": "purchase", "window": "P7D", "cap": 1000.0}),
            json!({"name": "p99_page_load", "kind": "quantile", "quantile": 0.99, "event": "page_load", "direction": "decrease"}),
        ] {
            self.post("/api/v1/metrics", metric, 201).await;
        }
        let segment = json!({"key": "returning_users", "condition": {"attribute": "returning", "op": "eq", "values": [true]}, "include": [], "exclude": []});
        self.post("/api/v1/segments", segment, 201).await;
        let layer = json!({"name": "checkout_layer", "domain_start": 0, "domain_end": 9999});
        self.post("/api/v1/layers", layer, 201).await;
        let made = self.post("/api/v1/experiments", json!({
            "name": "checkout_redesign_q1_2025", "hypothesis": "New checkout reduces cart abandonment by 5%", "layer": "checkout_layer",
            "variants": [{"name": "control", "weight": 50, "config": {"checkout_version": "v1"}},
                         {"name": "treatment_a", "weight": 25, "config": {"checkout_version": "v2_single_page"}},
                         {"name": "treatment_b", "weight": 25, "config": {"checkout_version": "v2_accordion"}}],
            "targeting": {"countries": ["US", "CA"], "platforms": ["web", "ios"], "user_segment": "returning_users"},
            "primary_metric": "checkout_conversion_rate",
            "guardrail_metrics": ["p99_page_load", {"metric": "revenue_per_user", "max_degradation": 0.05, "margin_type": "relative"}],
            "min_detectable_effect": 0.02, "significance_level": 0.05, "power": 0.8, "estimated_duration_days": 14
        }), 201).await;
        let path = format!("/api/v1/experiments/{}/start", made["id"].as_str().unwrap());
        let acknowledge = [
            "underpowered",
            "no_baseline",
            "short_duration",
            "metric_not_flowing",
            "overlapping_audience",
        ];
        self.post(&path, json!({ "acknowledge": acknowledge }), 200).await
    }
}
