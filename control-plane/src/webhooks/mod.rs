//! Telling others what happened, in the form of Standard Webhooks (<https://www.standardwebhooks.com>).
//!
//! The audit log is the queue: `fan_out` reads the entries after the last one that it has seen, and writes one delivery
//! for each webhook that wants the entry, in the transaction that moves the mark. So a change and its messages are both
//! there or both not, whatever crashes. `deliver` posts them, signed by `sign`, to addresses that `target` has
//! checked, and tries again at the times of `retry`.
//!
//! A replica that sends a delivery claims its row first, so no two send one at a time. A message can still arrive twice,
//! because a process can die between the receiver's answer and its note: receivers tell by `webhook-id`.

mod deliver;
pub(crate) mod fan_out;
pub mod network;
mod retry;
pub mod sign;
mod target;

use crate::state::AppState;
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

pub(crate) use retry::PERIOD_MS;
pub(crate) use target::check_url;

/// How long deliveries that have come to an end are kept.
const KEPT_MS: i64 = 30 * 24 * 3_600_000;

/// Time between two looks for deliveries that are too old.
const CLEANING_MS: i64 = 3_600_000;

/// Delivers messages until `shutdown`.
pub(crate) async fn run(state: AppState, shutdown: CancellationToken) {
    let period = Duration::from_secs(state.settings.webhook_interval_s);
    if period.is_zero() {
        return;
    }
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut cleaned_ms = 0;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = fan_out::fan_out(&state).await {
            tracing::error!(
                error = format!("{error:#}"),
                "the audit log could not be read for webhooks"
            );
        }
        if let Err(error) = deliver::deliver_due(&state, &shutdown).await {
            tracing::error!(error = format!("{error:#}"), "webhooks could not be delivered");
        }
        let now_ms = Timestamp::now().as_millisecond();
        if now_ms - cleaned_ms > CLEANING_MS {
            cleaned_ms = now_ms;
            if let Err(error) = fan_out::forget(&state, now_ms - KEPT_MS).await {
                tracing::warn!(error = format!("{error:#}"), "old deliveries were not removed");
            }
        }
    }
}
