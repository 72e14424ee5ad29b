//! Sending to the collector: a client's batch while it waits, the edge's own exposures afterwards, and what the spool kept.

use std::time::Duration;

use super::server::now_ms;
use super::spool::Spool;
use crate::events::{COLLECTOR_PATH, Forward, Forwarded};
use crate::exposures::{Delivery, Parcel};
use crate::queue::Message;
use crate::service::Service;

/// Time that the collector may take to acknowledge.
const POST_TIMEOUT: Duration = Duration::from_secs(5);

/// The collector, where there is one.
pub(super) struct Collector {
    pub(super) client: reqwest::Client,
    pub(super) base: Option<String>,
    pub(super) spool: Option<Spool>,
}

impl Collector {
    /// Passes a client's batch on, or keeps it when the collector cannot be reached.
    pub(super) async fn forward(
        &self,
        service: &Service,
        forward: &Forward,
        body: &[u8],
    ) -> Forwarded {
        if service.queue_takes(now_ms()) && service.exposures().rest_ms(now_ms()) > 0 {
            return self.keep(service, forward.messages(body)).await;
        }
        let body_to_send = forward.body(body).to_vec();
        let content_encoding = forward.content_encoding.as_deref();
        let sent =
            self.post(&forward.key, &forward.content_type, content_encoding, body_to_send).await;
        match sent {
            Forwarded::Unreachable => {
                service.observe_collector(Delivery::TryAgain, now_ms());
                self.keep(service, forward.messages(body)).await
            }
            answered => answered,
        }
    }

    /// Writes messages to the spool; `Unreachable` when there is none or it takes them not all.
    async fn keep(&self, service: &Service, messages: Option<Vec<Vec<u8>>>) -> Forwarded {
        let (Some(spool), Some(messages)) = (&self.spool, messages) else {
            return Forwarded::Unreachable;
        };
        for message in messages {
            if let Err(error) = spool.put(&message).await {
                tracing::error!(%error, "the spool takes nothing");
                service.queue_failed(now_ms());
                return Forwarded::Unreachable;
            }
        }
        Forwarded::Queued
    }

    async fn post(
        &self,
        key: &str,
        content_type: &str,
        content_encoding: Option<&str>,
        body: Vec<u8>,
    ) -> Forwarded {
        match self.try_post(key, content_type, content_encoding, body).await {
            Ok(Some(forwarded)) => {
                if let Forwarded::Answered { status: status @ 500.., .. } = &forwarded {
                    tracing::warn!(status, "the collector failed");
                }
                forwarded
            }
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
        let body = response.bytes().await?.to_vec();
        Ok(Some(Forwarded::answered(status, content_type, retry_after, body)))
    }

    /// Sends all exposures that wait, until none do or nobody takes them for now.
    pub(super) async fn flush(&self, service: &Service) {
        while let Some((parcel, asks_collector)) = service.lease_exposures(now_ms()) {
            let delivery = self.deliver(service, &parcel, asks_collector).await;
            service.exposures().settle(parcel.id, delivery, now_ms());
            if delivery == Delivery::TryAgain {
                return;
            }
        }
    }

    async fn deliver(&self, service: &Service, parcel: &Parcel, asks_collector: bool) -> Delivery {
        let (key, content_type) = (parcel.key.as_str(), "application/x-ndjson");
        if asks_collector {
            let sent = self.post(key, content_type, None, parcel.body.to_vec()).await;
            let delivery = Delivery::of(&sent);
            service.observe_collector(delivery, now_ms());
            if delivery == Delivery::Refused {
                tracing::error!(?sent, "exposures refused by the collector");
            }
            if delivery != Delivery::TryAgain {
                return delivery;
            }
        }
        let message = Message { key, content_type, content_encoding: None, body: &parcel.body };
        match self.keep(service, Some(vec![message.encode()])).await {
            Forwarded::Queued => Delivery::Queued,
            _ => Delivery::TryAgain,
        }
    }

    /// Sends what the spool kept, oldest first, until nothing is left or the collector takes nothing for now.
    pub(super) async fn drain(&self, service: &Service) -> anyhow::Result<()> {
        let Some(spool) = &self.spool else { return Ok(()) };
        while service.config().has_collector
            && service.exposures().rest_ms(now_ms()) == 0
            && let Some((number, bytes)) = spool.oldest().await?
        {
            match Message::decode(&bytes) {
                None => tracing::error!(number, "a file of the spool is no message; it is removed"),
                Some(Message { key, content_type, content_encoding, body }) => {
                    let sent = self.post(key, content_type, content_encoding, body.to_vec()).await;
                    let delivery = Delivery::of(&sent);
                    service.observe_collector(delivery, now_ms());
                    match delivery {
                        Delivery::TryAgain => return Ok(()),
                        Delivery::Refused => {
                            tracing::error!(number, ?sent, "kept events refused by the collector");
                        }
                        Delivery::Done { .. } | Delivery::Queued => {}
                    }
                }
            }
            spool.remove(number, bytes.len()).await?;
        }
        Ok(())
    }
}
