//! Handing reports in to the control plane.

use std::time::Duration;

use anyhow::Context;
use serde::Deserialize;
use url::Url;

use crate::report::ReportBatch;

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Tries of one batch; what fails is computed anew in the next cycle.
const ATTEMPTS: u32 = 3;

/// A client of `POST /api/v1/reports`.
#[derive(Debug)]
pub(crate) struct Submitter {
    client: reqwest::Client,
    url: Url,
    token: Option<String>,
}

impl Submitter {
    /// A client of the control plane at a base URL.
    pub(crate) fn new(control_plane: &str, token: Option<String>) -> anyhow::Result<Self> {
        let url = Url::parse(&format!("{}/api/v1/reports", control_plane.trim_end_matches('/')))
            .with_context(|| format!("control plane URL {control_plane:?}"))?;
        let client = reqwest::Client::builder().timeout(TIMEOUT).build()?;
        Ok(Self { client, url, token })
    }

    /// Hands one environment's reports in; a refusal is an error, anything transient is tried again.
    pub(crate) async fn submit(&self, project: &str, batch: &ReportBatch) -> anyhow::Result<()> {
        let mut attempt = 1;
        loop {
            match self.post(project, batch).await {
                Ok(()) => return Ok(()),
                Err(Failure::Refused(error)) => return Err(error),
                Err(Failure::Transient(error)) if attempt >= ATTEMPTS => return Err(error),
                Err(Failure::Transient(error)) => {
                    tracing::warn!(error = format!("{error:#}"), attempt, "reports not taken yet");
                    tokio::time::sleep(Duration::from_millis(250) * 4_u32.pow(attempt - 1)).await;
                    attempt += 1;
                }
            }
        }
    }

    async fn post(&self, project: &str, batch: &ReportBatch) -> Result<(), Failure> {
        let mut request =
            self.client.post(self.url.clone()).header("X-Project", project).json(batch);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.context("POST /api/v1/reports")?;
        let status = response.status();
        if status.is_success() {
            let answer: Answer = response.json().await.unwrap_or_default();
            if !answer.skipped.is_empty() {
                tracing::warn!(project, skipped = ?answer.skipped, "reports were not kept");
            }
            return Ok(());
        }
        let body = response.text().await.unwrap_or_default();
        let error = anyhow::anyhow!("POST /api/v1/reports answered {status}: {body}");
        let transient =
            status.is_server_error() || status == reqwest::StatusCode::TOO_MANY_REQUESTS;
        Err(if transient { Failure::Transient(error) } else { Failure::Refused(error) })
    }
}

/// What became of a batch, as far as it matters here.
#[derive(Debug, Default, Deserialize)]
struct Answer {
    #[serde(default)]
    skipped: Vec<serde_json::Value>,
}

enum Failure {
    Refused(anyhow::Error),
    Transient(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Transient(error)
    }
}
