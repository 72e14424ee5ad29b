//! Sending to the collector: a client's batch while it waits, and the edge's own exposures afterwards.

use std::time::Duration;

use worker::worker_sys::web_sys;
use worker::{AbortSignal, Date, Delay, Fetch, Headers, Method, RequestInit};

use super::settings::WorkerSettings;
use crate::events::{COLLECTOR_PATH, Forwarded};
use crate::exposures::Delivery;
use crate::service::Service;

/// Milliseconds that the collector may take to acknowledge.
const POST_TIMEOUT_MS: u32 = 5000;
/// Milliseconds for which exposures gather before they are sent, so that requests under load share one post.
const GATHER_MS: u64 = 50;
/// Milliseconds after which a flush leaves what still comes to the next request.
const MAX_FLUSH_MS: u64 = 10_000;
/// Milliseconds before the second and third try. With the timeouts they stay within the 30 s that Cloudflare gives `waitUntil`.
const RETRY_AFTER_MS: [u64; 2] = [500, 2000];

/// Posts events. `None` when the collector cannot be reached.
pub(super) async fn post(
    settings: &WorkerSettings,
    key: &str,
    content_type: &str,
    content_encoding: Option<&str>,
    body: &[u8],
) -> Option<Forwarded> {
    let base = settings.collector_url.as_deref()?;
    let result =
        try_post(&format!("{base}{COLLECTOR_PATH}"), key, content_type, content_encoding, body)
            .await;
    result.inspect_err(|error| worker::console_warn!("collector not reached: error={error}")).ok()
}

async fn try_post(
    url: &str,
    key: &str,
    content_type: &str,
    content_encoding: Option<&str>,
    body: &[u8],
) -> worker::Result<Forwarded> {
    let headers = Headers::new();
    headers.set("authorization", &format!("Bearer {key}"))?;
    headers.set("content-type", content_type)?;
    if let Some(content_encoding) = content_encoding {
        headers.set("content-encoding", content_encoding)?;
    }
    let mut init = RequestInit::new();
    init.with_method(Method::Post)
        .with_headers(headers)
        .with_body(Some(js_sys::Uint8Array::from(body).into()));
    let request = worker::Request::new_with_init(url, &init)?;
    let signal = AbortSignal::from(web_sys::AbortSignal::timeout_with_u32(POST_TIMEOUT_MS));
    let mut response = Fetch::Request(request).send_with_signal(&signal).await?;
    let header = |name| response.headers().get(name).ok().flatten();
    let (content_type, retry_after) = (header("content-type"), header("retry-after"));
    Ok(Forwarded::Answered {
        status: response.status_code(),
        content_type,
        retry_after,
        body: response.bytes().await?,
    })
}

/// Sends all exposures that wait, and those that come meanwhile: perhaps no later request comes that would send them. Ends when none
/// wait, when the collector takes none for now, or in time for `waitUntil`; under traffic the next request then goes on.
pub(super) async fn flush(service: &Service, settings: &WorkerSettings) {
    let began_ms = Date::now().as_millis();
    while send_waiting(service, settings).await
        && service.exposures().n_pending() > 0
        && Date::now().as_millis() - began_ms < MAX_FLUSH_MS
    {}
}

/// Sends what waits now; false when the collector takes none.
async fn send_waiting(service: &Service, settings: &WorkerSettings) -> bool {
    Delay::from(Duration::from_millis(GATHER_MS)).await;
    let batches = service.exposures().take();
    let mut is_down = false;
    for batch in batches {
        let mut delivery = Delivery::TryAgain;
        if !is_down {
            delivery = send(settings, &batch).await;
            for wait_ms in RETRY_AFTER_MS {
                if delivery != Delivery::TryAgain {
                    break;
                }
                Delay::from(Duration::from_millis(wait_ms)).await;
                delivery = send(settings, &batch).await;
            }
            is_down = delivery == Delivery::TryAgain;
        }
        service.exposures().settle(batch, delivery);
    }
    !is_down
}

async fn send(settings: &WorkerSettings, batch: &crate::exposures::Batch) -> Delivery {
    Delivery::of(
        post(settings, &batch.key, "application/x-ndjson", None, &batch.body).await.as_ref(),
    )
}
