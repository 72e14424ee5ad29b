//! A running control plane and a client for it.

use super::{Database, postgres};
use control_plane::{Bootstrap, Settings, bootstrap};
use reqwest::{Method, RequestBuilder, StatusCode, header};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A control plane with project `default`, environment `production`.
pub struct Server {
    pub base: String,
    pub made: Bootstrap,
    pub settings: Settings,
    http: reqwest::Client,
    shutdown: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
    _folder: TempDir,
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: header::HeaderMap,
    pub body: Value,
}

impl Server {
    /// Starts one; `None` when its database is to be left out.
    pub async fn start(database: Database) -> Option<Self> {
        Self::start_with(database, |_| {}).await
    }

    /// Starts one with some settings changed.
    pub async fn start_with(
        database: Database,
        change: impl FnOnce(&mut Settings),
    ) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let database_url = match database {
            Database::Sqlite => {
                format!("sqlite:{}", folder.path().join("definitions.db").display())
            }
            Database::Postgres => postgres::database().await?.url,
        };
        let store = folder.path().join("store");
        std::fs::create_dir_all(&store).unwrap();
        let mut settings = Settings {
            database_url,
            store_url: format!("file://{}", store.display()),
            list_secret: Some([7; 32]),
            // Nobody listens there.
            collector_url: "http://127.0.0.1:1".to_owned(),
            // Where tests receive what webhooks are sent.
            webhook_networks: vec!["127.0.0.0/8".parse().unwrap()],
            ..Settings::default()
        };
        change(&mut settings);
        let made = bootstrap(&settings).await.unwrap();
        settings.bootstrap = Some(made.secrets());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        let service = control_plane::serve(listener, settings.clone(), shutdown.clone());
        let running = tokio::spawn(async {
            service.await.inspect_err(|error| eprintln!("the control plane ended: {error:#}"))
        });
        let http = reqwest::Client::new();
        Some(Self { base, made, settings, http, shutdown, running, _folder: folder })
    }

    /// Stops it and checks that it ended well.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.running.await.unwrap().unwrap();
    }

    /// A request with the admin token.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(&self.made.admin_token)
    }

    /// A request without a token.
    pub fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/api/v1/{path}") };
        self.http.request(method, format!("{}{path}", self.base))
    }

    pub async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        send(self.request(Method::POST, path).json(&body)).await
    }

    /// PATCH of the current version.
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        let current = self.get(path).await;
        let etag = current.headers.get(header::ETAG).expect("a resource has an ETag").clone();
        send(self.request(Method::PATCH, path).header(header::IF_MATCH, etag).json(&body)).await
    }

    /// DELETE of the current version.
    pub async fn delete(&self, path: &str) -> Answer {
        let current = self.get(path).await;
        let etag = current.headers.get(header::ETAG).expect("a resource has an ETag").clone();
        send(self.request(Method::DELETE, path).header(header::IF_MATCH, etag)).await
    }

    /// POST that must be answered with a 2xx.
    pub async fn made(&self, path: &str, body: Value) -> Value {
        let answer = self.post(path, body).await;
        assert!(answer.status.is_success(), "POST {path}: {answer:?}");
        answer.body
    }

    /// The experiment, with every warning acknowledged.
    pub async fn start_experiment(&self, id: &str) -> Answer {
        let all = [
            "underpowered",
            "no_baseline",
            "short_duration",
            "metric_not_flowing",
            "overlapping_audience",
        ];
        self.post(&format!("experiments/{id}/start"), json!({ "acknowledge": all })).await
    }
}

/// Sends a request and reads its answer.
pub async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = response.bytes().await.unwrap();
    let body = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
    Answer { status, headers, body }
}

impl Answer {
    /// Checks that this is the problem document of a status and code, and answers its pointers.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Vec<String> {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json", "{self:?}");
        assert_eq!(self.body["code"], code, "{self:?}");
        assert_eq!(self.body["status"], status, "{self:?}");
        for member in ["type", "title", "detail"] {
            assert!(self.body[member].is_string(), "{member}: {self:?}");
        }
        let errors = self.body["errors"].as_array().expect("errors is a list");
        errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect()
    }
}
