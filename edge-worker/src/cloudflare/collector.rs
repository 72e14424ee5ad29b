//! Sending to the collector: a client's batch while it waits, the edge's own exposures afterwards, and what a queue kept.

use super::settings::WorkerSettings;
use super::{Env, Isolate, console, io, now_ms};
use crate::events::{COLLECTOR_PATH, Forward, Forwarded};
use crate::exposures::{Delivery, Parcel};
use crate::queue::{Message, retry_delay_s};
use crate::service::Service;

/// Milliseconds for which exposures gather before they are sent, so that requests under load share one post.
const GATHER_MS: u64 = 50;
/// Milliseconds after which a flush leaves what still waits to the next request. With the timeout of a post it stays within the 30 s
/// that Cloudflare gives `waitUntil`.
const MAX_FLUSH_MS: i64 = 20_000;

/// Passes a client's batch on, or hands it to the queue when the collector cannot be reached.
pub(super) async fn forward(
    isolate: &Isolate,
    env: &Env,
    forward: &Forward,
    body: &[u8],
) -> Forwarded {
    let Isolate { service, settings } = isolate;
    if service.queue_takes(now_ms()) && service.exposures().rest_ms(now_ms()) > 0 {
        return keep(service, env, forward.messages(body)).await;
    }
    let content_encoding = forward.content_encoding.as_deref();
    let sent =
        post(settings, &forward.key, &forward.content_type, content_encoding, forward.body(body))
            .await;
    if sent != Forwarded::Unreachable {
        return sent;
    }
    service.observe_collector(Delivery::TryAgain, now_ms());
    keep(service, env, forward.messages(body)).await
}

/// Hands messages to the queue; `Unreachable` when there is none or it takes them not all.
async fn keep(service: &Service, env: &Env, messages: Option<Vec<Vec<u8>>>) -> Forwarded {
    let Some(messages) = messages.filter(|_| service.config().has_queue) else {
        return Forwarded::Unreachable;
    };
    for message in messages {
        if let Err(error) = io::put(env, &message).await {
            console::error(&format!("the queue takes nothing: error={error}"));
            service.queue_failed(now_ms());
            return Forwarded::Unreachable;
        }
    }
    Forwarded::Queued
}

/// Posts events.
async fn post(
    settings: &WorkerSettings,
    key: &str,
    content_type: &str,
    content_encoding: Option<&str>,
    body: &[u8],
) -> Forwarded {
    let Some(base) = settings.collector_url.as_deref() else { return Forwarded::Unreachable };
    let url = format!("{base}{COLLECTOR_PATH}");
    let mut headers = format!("authorization: Bearer {key}\ncontent-type: {content_type}");
    if let Some(content_encoding) = content_encoding {
        headers.push_str("\ncontent-encoding: ");
        headers.push_str(content_encoding);
    }
    match io::post(&url, &headers, body).await {
        Ok(forwarded) => {
            if let Forwarded::Answered { status: status @ 500.., .. } = &forwarded {
                console::warn(&format!("the collector failed: status={status}"));
            }
            forwarded
        }
        Err(error) => {
            console::warn(&format!("collector not reached: error={error}"));
            Forwarded::Unreachable
        }
    }
}

/// Sends all exposures that wait, and those that come meanwhile: perhaps no later request comes that would send them. Ends when none
/// wait, or in time for `waitUntil`; under traffic the next request then goes on.
pub(super) async fn flush(isolate: &Isolate, env: &Env) {
    let service = &isolate.service;
    let began_ms = now_ms();
    let mut wait_ms = GATHER_MS;
    loop {
        io::sleep(wait_ms).await;
        while let Some((parcel, asks_collector)) = service.lease_exposures(now_ms()) {
            let delivery = deliver(isolate, env, &parcel, asks_collector).await;
            service.exposures().settle(parcel.id, delivery, now_ms());
            if delivery == Delivery::TryAgain {
                break;
            }
        }
        let now_ms = now_ms();
        let exposures = service.exposures();
        wait_ms = u64::try_from(exposures.rest_ms(now_ms)).unwrap_or(0).max(GATHER_MS);
        let ends_ms = now_ms.saturating_add_unsigned(wait_ms);
        if !exposures.has_free_batch(now_ms) || ends_ms - began_ms > MAX_FLUSH_MS {
            return;
        }
    }
}

async fn deliver(isolate: &Isolate, env: &Env, parcel: &Parcel, asks_collector: bool) -> Delivery {
    let Isolate { service, settings } = isolate;
    let (key, content_type) = (parcel.key.as_str(), "application/x-ndjson");
    if asks_collector {
        let delivery = Delivery::of(&post(settings, key, content_type, None, &parcel.body).await);
        service.observe_collector(delivery, now_ms());
        if delivery == Delivery::Refused {
            console::error("exposures refused by the collector");
        }
        if delivery != Delivery::TryAgain {
            return delivery;
        }
    }
    let message = Message { key, content_type, content_encoding: None, body: &parcel.body };
    match keep(service, env, Some(vec![message.encode()])).await {
        Forwarded::Queued => Delivery::Queued,
        _ => Delivery::TryAgain,
    }
}

/// Hands to the collector what the queue kept. Answers for each message the seconds after which the queue shall bring it again, or -1
/// when it is done with.
pub(super) async fn consume(
    isolate: &Isolate,
    messages: Vec<Vec<u8>>,
    n_attempts: &[u32],
) -> Vec<i32> {
    const DONE: i32 = -1;
    let Isolate { service, settings } = isolate;
    let mut verdicts = Vec::with_capacity(messages.len());
    let mut is_down = false;
    for (at, bytes) in messages.into_iter().enumerate() {
        let Some(message) = Message::decode(&bytes) else {
            console::error("a message of the queue is none of ours; it is dropped");
            verdicts.push(DONE);
            continue;
        };
        let mut delivery = Delivery::TryAgain;
        if !is_down {
            let Message { key, content_type, content_encoding, body } = message;
            delivery =
                Delivery::of(&post(settings, key, content_type, content_encoding, body).await);
            service.observe_collector(delivery, now_ms());
            is_down = delivery == Delivery::TryAgain;
        }
        if delivery == Delivery::Refused {
            console::error("queued events refused by the collector");
        }
        verdicts.push(if delivery == Delivery::TryAgain {
            let n_attempts = n_attempts.get(at).copied().unwrap_or(1);
            let delay_s = retry_delay_s(n_attempts, service.random().fraction());
            i32::try_from(delay_s).unwrap_or(i32::MAX)
        } else {
            DONE
        });
    }
    verdicts
}
