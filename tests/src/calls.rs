//! Requests to the platform, as any client makes them.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::platform::Description;

/// Calls to one platform, with the admin token and the server SDK key.
#[derive(Debug, Clone)]
pub struct Calls {
    http: Client,
    description: Description,
}

impl Calls {
    /// Calls to the platform described.
    pub fn new(description: &Description) -> Self {
        let http = Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(30))
            .build()
            .expect("a client with plain settings");
        Self { http, description: description.clone() }
    }

    /// A request to the control-plane API; anything but success is an error.
    pub async fn api(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
        let url = format!("{}/api/v1{path}", self.description.control_plane);
        let mut request =
            self.http.request(method, &url).bearer_auth(&self.description.admin_token);
        if !body.is_null() {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            bail!("{url}: {status} {text}");
        }
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// POST to the API.
    pub async fn post(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        self.api(Method::POST, path, &body).await
    }

    /// GET from the API.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.api(Method::GET, path, &Value::Null).await
    }

    /// Creates an experiment, starts it with every warning acknowledged, and returns it as it is then.
    pub async fn run_experiment(&self, definition: Value) -> anyhow::Result<Value> {
        let created = self.post("/experiments", definition).await?;
        let id = created["id"].as_str().context("an experiment without id")?;
        let warnings = [
            "underpowered",
            "no_baseline",
            "short_duration",
            "metric_not_flowing",
            "overlapping_audience",
        ];
        self.post(&format!("/experiments/{id}/start"), json!({"acknowledge": warnings})).await?;
        let name = created["name"].as_str().context("an experiment without name")?;
        self.wait_until_served(name).await?;
        self.get(&format!("/experiments/{id}")).await
    }

    /// Waits until the edge knows the experiment or flag.
    pub async fn wait_until_served(&self, key: &str) -> anyhow::Result<()> {
        wait("the edge to serve it", Duration::from_mins(1), async || {
            let request = json!({"unit_id": "somebody", "keys": [key], "exposure": "none"});
            let answer = self.evaluate(&request).await?;
            let reason = answer["decisions"][key]["reason"].as_str().context("no reason")?;
            if ["not_found", "inactive"].contains(&reason) {
                bail!("reason {reason}");
            }
            Ok(())
        })
        .await
    }

    /// `POST /v1/evaluate` at the edge.
    pub async fn evaluate(&self, request: &Value) -> anyhow::Result<Value> {
        let url = format!("{}/v1/evaluate", self.description.edge);
        let (status, body) = self.post_with_key(&url, request).await?;
        if status != StatusCode::OK {
            bail!("{url}: {status} {body}");
        }
        Ok(body)
    }

    /// `POST /v1/events/batch` at the edge or at the collector; returns what was answered.
    pub async fn send_events(&self, to: Intake, events: &[Value]) -> anyhow::Result<Value> {
        let base = match to {
            Intake::Edge => &self.description.edge,
            Intake::Collector => &self.description.collector,
        };
        let url = format!("{base}/v1/events/batch");
        let (status, body) = self.post_with_key(&url, &Value::from(events)).await?;
        if status != StatusCode::ACCEPTED {
            bail!("{url}: {status} {body}");
        }
        Ok(body)
    }

    async fn post_with_key(&self, url: &str, body: &Value) -> anyhow::Result<(StatusCode, Value)> {
        let answer = self
            .http
            .post(url)
            .bearer_auth(&self.description.server_sdk_key)
            .json(body)
            .send()
            .await?;
        let status = answer.status();
        let text = answer.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// The results of an experiment, once `complete` says that they are.
    pub async fn results_when(
        &self,
        id: &str,
        complete: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        wait("complete results", Duration::from_mins(2), async || {
            let results = self.get(&format!("/experiments/{id}/results")).await?;
            if !complete(&results) {
                bail!("the results are {results}");
            }
            Ok(results)
        })
        .await
    }
}

/// Where events are handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intake {
    /// At the Worker, which hands them on.
    Edge,
    /// At the collector itself.
    Collector,
}

/// A metric event of a `user_id`, now.
pub fn metric_event(unit: &str, name: &str, value: f64) -> Value {
    json!({
        "event_id": Uuid::now_v7(),
        "type": "metric",
        "units": {"user_id": unit},
        "name": name,
        "value": value,
        "timestamp": now(),
    })
}

/// An exposure of a `user_id`, now.
pub fn exposure_event(unit: &str, experiment: &str, variant: &str, generation: u64) -> Value {
    json!({
        "event_id": Uuid::now_v7(),
        "type": "exposure",
        "units": {"user_id": unit},
        "experiment": experiment,
        "variant": variant,
        "unit_type": "user_id",
        "generation": generation,
        "timestamp": now(),
        "attributes": {},
        "sdk": "platform-tests/0.1.0",
    })
}

/// The time as events carry it.
pub fn now() -> String {
    jiff::Timestamp::now().to_string()
}

/// Tries until it succeeds; the last problem is in the error.
async fn wait<T>(
    what: &str,
    patience: Duration,
    mut attempt: impl AsyncFnMut() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() > deadline => {
                return Err(error.context(format!("waited {patience:?} for {what}")));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(300)).await,
        }
    }
}
