//! Sending to the collector: a client's batch while it waits, and the edge's own exposures afterwards.

use std::time::Duration;

use crate::events::{COLLECTOR_PATH, Forward, Forwarded};
use crate::exposures::Delivery;
use crate::service::Service;

/// Time that the collector may take to acknowledge.
const POST_TIMEOUT: Duration = Duration::from_secs(5);

/// The collector, where there is one.
pub(super) struct Collector {
    pub(super) client: reqwest::Client,
    pub(super) base: Option<String>,
}

impl Collector {
    /// Passes a client's batch on.
    pub(super) async fn forward(&self, forward: &Forward, body: Vec<u8>) -> Forwarded {
        self.post(&forward.key, &forward.content_type, forward.content_encoding.as_deref(), body)
            .await
    }

    async fn post(
        &self,
        key: &str,
        content_type: &str,
        content_encoding: Option<&str>,
        body: Vec<u8>,
    ) -> Forwarded {
        match self.try_post(key, content_type, content_encoding, body).await {
            Ok(Some(forwarded)) => forwarded,
            Ok(None) => Forwarded::Unreachable,
            Err(error) => {
                tracing::warn!(%error, "collector not reached");
                Forwarded::Unreachable
            }
        }
    }

    async fn try_post(
        &self,
        key: &str,
        content_type: &str,
        content_encoding: Option<&str>,
        body: Vec<u8>,
    ) -> reqwest::Result<Option<Forwarded>> {
        let Some(base) = &self.base else { return Ok(None) };
        let mut request = self
            .client
            .post(format!("{}{COLLECTOR_PATH}", base.trim_end_matches('/')))
            .timeout(POST_TIMEOUT)
            .bearer_auth(key)
            .header("content-type", content_type)
            .body(body);
        if let Some(content_encoding) = content_encoding {
            request = request.header("content-encoding", content_encoding);
        }
        let response = request.send().await?;
        let header = |name| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(ToOwned::to_owned)
        };
        let (content_type, retry_after) = (header("content-type"), header("retry-after"));
        let status = response.status().as_u16();
        Ok(Some(Forwarded::Answered {
            status,
            content_type,
            retry_after,
            body: response.bytes().await?.to_vec(),
        }))
    }

    /// Sends all exposures that wait, once; what the collector cannot take now is given back.
    pub(super) async fn flush(&self, service: &Service) {
        let batches = service.exposures().take();
        let mut is_down = false;
        for batch in batches {
            let mut delivery = Delivery::TryAgain;
            if !is_down {
                let sent =
                    self.post(&batch.key, "application/x-ndjson", None, batch.body.clone()).await;
                delivery = Delivery::of(Some(&sent));
                is_down = delivery == Delivery::TryAgain;
                if delivery == Delivery::Refused {
                    tracing::error!(
                        n_events = batch.n_events,
                        ?sent,
                        "exposures refused by the collector"
                    );
                }
            }
            service.exposures().settle(batch, delivery);
        }
    }
}
