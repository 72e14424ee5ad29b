//! The platform's HTTP interfaces, as any client would call them: the control-plane API and an edge.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The control-plane API, with a token, for one project and environment.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    http: reqwest::Client,
    base: String,
    token: String,
    project: String,
    environment: String,
}

/// An answer of the API that is a success or a refusal; anything else is an error.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

impl Api {
    /// `base` is the address of the control plane, without `/api/v1`.
    pub(crate) fn new(
        base: &str,
        token: &str,
        project: &str,
        environment: &str,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            http: http_client()?,
            base: format!("{}/api/v1", base.trim_end_matches('/')),
            token: token.to_owned(),
            project: project.to_owned(),
            environment: environment.to_owned(),
        })
    }

    /// GET; a refusal is an error.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        accepted("GET", path, self.send(Method::GET, path, None).await?)
    }

    /// POST; a refusal is an error.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        accepted("POST", path, self.send(Method::POST, path, Some(body)).await?)
    }

    /// POST of a text, whatever is answered.
    pub(crate) async fn post_text(
        &self,
        path: &str,
        media_type: &str,
        text: String,
    ) -> anyhow::Result<Answer> {
        let request =
            self.request(Method::POST, path).header("Content-Type", media_type).body(text);
        answer(request).await.with_context(|| format!("{}{path}", self.base))
    }

    /// POST of something that may be there already, which is as good (409).
    pub(crate) async fn ensure(&self, path: &str, body: &Value) -> anyhow::Result<()> {
        let answer = self.send(Method::POST, path, Some(body)).await?;
        if answer.status == StatusCode::CONFLICT {
            return Ok(());
        }
        accepted("POST", path, answer).map(drop)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.token)
            .header("X-Project", &self.project)
            .header("X-Environment", &self.environment)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(body);
        }
        answer(request).await.with_context(|| format!("{}{path}", self.base))
    }
}

/// An edge, with an SDK key.
#[derive(Debug, Clone)]
pub(crate) struct Edge {
    http: reqwest::Client,
    base: String,
    sdk_key: String,
}

impl Edge {
    /// `base` is the address of the edge.
    pub(crate) fn new(base: &str, sdk_key: &str) -> anyhow::Result<Self> {
        Ok(Self {
            http: http_client()?,
            base: base.trim_end_matches('/').to_owned(),
            sdk_key: sdk_key.to_owned(),
        })
    }

    /// `POST /v1/evaluate`.
    pub(crate) async fn evaluate(&self, request: &Value) -> anyhow::Result<Value> {
        self.post("/v1/evaluate", request).await
    }

    /// Hands in events; every one must be accepted.
    pub(crate) async fn send_events(&self, events: &[Value]) -> anyhow::Result<()> {
        let answer = self.post("/v1/events/batch", &Value::from(events)).await?;
        if answer["rejected"].as_u64().unwrap_or(0) > 0 {
            bail!("events were rejected: {answer}");
        }
        Ok(())
    }

    /// Asks for one decision, without logging an exposure, until it is no longer refused with
    /// `not_found` or `inactive`: a change that was just published has then arrived.
    pub(crate) async fn wait_until_served(
        &self,
        key: &str,
        patience: Duration,
    ) -> anyhow::Result<()> {
        let request = json!({"unit_id": "somebody", "keys": [key], "exposure": "none"});
        let deadline = Instant::now() + patience;
        loop {
            let answer = self.evaluate(&request).await;
            if let Ok(answer) = &answer
                && let Some(reason) = answer["decisions"][key]["reason"].as_str()
                && !["not_found", "inactive"].contains(&reason)
            {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{key} did not reach the edge in {patience:?}; last answer: {answer:?}");
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request =
            self.http.post(format!("{}{path}", self.base)).bearer_auth(&self.sdk_key).json(body);
        let answer = answer(request).await.with_context(|| format!("{}{path}", self.base))?;
        accepted("POST", path, answer)
    }
}

/// A client for services on this machine or in this network: no proxy, no redirects.
fn http_client() -> anyhow::Result<reqwest::Client> {
    Ok(reqwest::Client::builder()
        .timeout(TIMEOUT)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()?)
}

async fn answer(request: RequestBuilder) -> anyhow::Result<Answer> {
    let response = request.send().await?;
    let status = response.status();
    let text = response.text().await?;
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok(Answer { status, body })
}

fn accepted(method: &str, path: &str, answer: Answer) -> anyhow::Result<Value> {
    if answer.status.is_success() {
        return Ok(answer.body);
    }
    bail!("{method} {path}: {} {}", answer.status, answer.body)
}
