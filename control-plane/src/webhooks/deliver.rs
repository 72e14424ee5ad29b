//! Posting messages.

use super::{retry, sign, target};
use crate::api::change::Change;
use crate::definition::{WebhookDefinition, WebhookState};
use crate::http::Caller;
use crate::state::AppState;
use crate::store::webhooks::{self, Attempt, Due};
use crate::store::{Versioned, resource};
use futures::StreamExt;
use jiff::Timestamp;
use rand::RngExt;
use reqwest::header::RETRY_AFTER;
use tokio_util::sync::CancellationToken;
use url::Url;

/// Deliveries that are sent at the same time.
const MAX_AT_ONCE: usize = 16;

/// Deliveries that are claimed at once.
const BATCH: i64 = 64;

/// How long a claim holds: longer than a receiver may take, so that nobody else sends meanwhile.
const CLAIM_MS: i64 = 15_000;

/// Author of what the platform does to webhooks.
const AUTHOR: &str = "webhooks";

/// Sends every delivery that is due.
pub(super) async fn deliver_due(
    state: &AppState,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let mut tx = state.db.read().await?;
    let due = webhooks::list_due(&mut tx, Timestamp::now(), BATCH).await?;
    drop(tx);
    let sent = futures::stream::iter(due)
        .take_while(|_| std::future::ready(!shutdown.is_cancelled()))
        .map(|due| deliver(state, due))
        .buffer_unordered(MAX_AT_ONCE);
    sent.for_each(|outcome| async {
        if let Err(error) = outcome {
            tracing::error!(error = format!("{error:#}"), "a delivery could not be made or noted");
        }
    })
    .await;
    Ok(())
}

async fn deliver(state: &AppState, due: Due) -> anyhow::Result<()> {
    let mut tx = state.db.write().await?;
    let claimed = webhooks::claim(&mut tx, &due, Timestamp::now(), CLAIM_MS).await?;
    tx.commit().await?;
    if !claimed {
        return Ok(());
    }
    let started = Timestamp::now();
    let answered = post(state, &due, started).await;
    let now = Timestamp::now();
    let (status, error, wish_s) = match answered {
        Ok(Answer { status, wish_s }) => (Some(i64::from(status)), None, wish_s),
        Err(error) => (None, Some(error), None),
    };
    let attempt = Attempt {
        number: due.n_attempts + 1,
        at: started,
        status,
        error,
        duration_ms: now.as_millisecond() - started.as_millisecond(),
    };
    let delivered = status.is_some_and(|status| (200..300).contains(&status));
    let outcome = if delivered { "delivered" } else { "failed" };
    metrics::counter!("sortition_webhook_attempts_total", "outcome" => outcome).increment(1);
    let next = if delivered || status == Some(410) {
        None
    } else {
        let jitter = rand::rng().random();
        retry::next_try(attempt.number, now, due.retry_until, wish_s, jitter)
    };
    let mut tx = state.db.write().await?;
    webhooks::note_attempt(&mut tx, &due, &attempt, delivered, next).await?;
    tx.commit().await?;
    if status == Some(410) {
        disable(state, &due).await?;
    }
    Ok(())
}

struct Answer {
    status: u16,
    /// Seconds that the receiver wants to be left alone.
    wish_s: Option<i64>,
}

async fn post(state: &AppState, due: &Due, now: Timestamp) -> Result<Answer, String> {
    let url = Url::parse(&due.url).map_err(|error| error.to_string())?;
    let client = target::client(&url, &state.settings.webhook_networks).await?;
    let signatures = sign::signatures(&due.secrets, &due.id, now.as_second(), &due.body);
    let request = client
        .post(url)
        .header("content-type", "application/json")
        .header("webhook-id", &due.id)
        .header("webhook-timestamp", now.as_second().to_string())
        .header("webhook-signature", signatures)
        .body(due.body.clone());
    // The body of the answer is not read: it could be endless, and nothing in it matters.
    let response = request.send().await.map_err(|error| describe(&error))?;
    let wish_s =
        response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Ok(Answer { status: response.status().as_u16(), wish_s })
}

/// The innermost cause, which says most.
fn describe(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if error.is_timeout() { "no answer in time".to_owned() } else { cause.to_string() }
}

/// A receiver that answers 410 wants no more messages.
async fn disable(state: &AppState, due: &Due) -> anyhow::Result<()> {
    let mut caller = Caller::system(AUTHOR);
    caller.write.comment = Some("the receiver answered 410 Gone".to_owned());
    let mut change = Change::begin(state, &caller).await?;
    change.about_project(&due.project_id);
    let found: Option<Versioned<WebhookDefinition>> =
        resource::find(&mut change.tx, &due.project_id, &due.webhook_id).await?;
    let Some(before) = found.filter(|webhook| webhook.definition.enabled) else { return Ok(()) };
    let definition = WebhookDefinition { enabled: false, ..before.definition.clone() };
    change.update("disabled", &before, definition, WebhookState { enabled: false }).await?;
    Ok(change.commit().await?)
}
