//! Secrets and deliveries of webhooks; the webhooks themselves are definitions like others.

use super::db::{Row, Tx};
use super::resource::{self, Versioned};
use crate::definition::WebhookDefinition;
use crate::error::ApiError;
use crate::webhooks::PERIOD_MS;
use jiff::Timestamp;
use uuid::Uuid;

/// A delivery that is to be sent now.
#[derive(Clone, Debug)]
pub struct Due {
    /// Id of the message.
    pub id: String,
    /// The webhook.
    pub webhook_id: String,
    /// Its project.
    pub project_id: String,
    /// Where to.
    pub url: String,
    /// What.
    pub body: String,
    /// Secrets to sign with, the newest first.
    pub secrets: Vec<String>,
    /// Tries so far.
    pub n_attempts: i64,
    /// Until when it is tried.
    pub retry_until: Timestamp,
}

/// One try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// 1, 2, 3, ….
    pub number: i64,
    /// When.
    pub at: Timestamp,
    /// HTTP status of the answer.
    pub status: Option<i64>,
    /// Why there was none.
    pub error: Option<String>,
    /// How long it took.
    pub duration_ms: i64,
}

/// A delivery with its tries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Id of the message.
    pub id: String,
    /// Its type.
    pub event: String,
    /// Its body.
    pub body: String,
    /// `pending`, `delivered` or `failed`.
    pub status: String,
    /// When the message was written.
    pub created_at: Timestamp,
    /// When it is sent next.
    pub next_at: Option<Timestamp>,
    /// The tries, oldest first.
    pub attempts: Vec<Attempt>,
}

/// The last entry of the audit log that was seen, and the last one that there is.
pub async fn marks(tx: &mut Tx) -> sqlx::Result<(i64, i64)> {
    let row = tx
        .fetch_optional(
            "SELECT m.seq AS mark, h.seq AS head FROM webhook_mark m, audit_head h WHERE m.id = 1 AND h.id = 1",
            [],
        )
        .await?
        .ok_or(sqlx::Error::RowNotFound)?;
    Ok((row.int("mark")?, row.int("head")?))
}

/// Moves the mark; `false` when another replica moved it before.
pub async fn move_mark(tx: &mut Tx, from: i64, to: i64) -> sqlx::Result<bool> {
    let sql = "UPDATE webhook_mark SET seq = $1 WHERE id = 1 AND seq = $2";
    Ok(tx.execute(sql, [to.into(), from.into()]).await? == 1)
}

/// Every webhook that is enabled, of all projects.
pub async fn active(tx: &mut Tx) -> Result<Vec<Versioned<WebhookDefinition>>, ApiError> {
    let sql = "SELECT DISTINCT project_id FROM webhooks WHERE status = 'active'";
    let projects = tx.fetch_all(sql, []).await?;
    let mut found = Vec::new();
    for project in projects {
        let all: Vec<Versioned<WebhookDefinition>> =
            resource::load_all(tx, &project.text("project_id")?).await?;
        found.extend(all.into_iter().filter(|webhook| webhook.definition.enabled));
    }
    Ok(found)
}

/// Adds a secret; those before it end at `old_until`.
pub async fn add_secret(
    tx: &mut Tx,
    webhook_id: &str,
    secret: &str,
    now: Timestamp,
    old_until: Timestamp,
) -> sqlx::Result<()> {
    tx.execute(
        "UPDATE webhook_secrets SET ends_at = $1 WHERE webhook_id = $2 AND (ends_at IS NULL OR ends_at > $1)",
        [old_until.as_millisecond().into(), webhook_id.into()],
    )
    .await?;
    tx.execute(
        "DELETE FROM webhook_secrets WHERE webhook_id = $1 AND ends_at <= $2",
        [webhook_id.into(), now.as_millisecond().into()],
    )
    .await?;
    tx.execute(
        "INSERT INTO webhook_secrets (id, webhook_id, secret) VALUES ($1, $2, $3)",
        [Uuid::now_v7().to_string().into(), webhook_id.into(), secret.into()],
    )
    .await?;
    Ok(())
}

async fn secrets(tx: &mut Tx, webhook_id: &str, now: Timestamp) -> sqlx::Result<Vec<String>> {
    let rows = tx
        .fetch_all(
            "SELECT secret FROM webhook_secrets WHERE webhook_id = $1 AND (ends_at IS NULL OR ends_at > $2) \
             ORDER BY id DESC",
            [webhook_id.into(), now.as_millisecond().into()],
        )
        .await?;
    rows.iter().map(|row| row.text("secret")).collect()
}

/// Writes a delivery that is due at once.
pub async fn insert_delivery(
    tx: &mut Tx,
    webhook_id: &str,
    event: &str,
    body: &str,
    now: Timestamp,
) -> sqlx::Result<String> {
    let id = format!("msg_{}", Uuid::now_v7().simple());
    let now = now.as_millisecond();
    tx.execute(
        "INSERT INTO webhook_deliveries \
         (id, webhook_id, event, body, status, created_at, next_at, retry_until, n_attempts) \
         VALUES ($1, $2, $3, $4, 'pending', $5, $5, $6, 0)",
        [
            (&id).into(),
            webhook_id.into(),
            event.into(),
            body.into(),
            now.into(),
            (now + PERIOD_MS).into(),
        ],
    )
    .await?;
    Ok(id)
}

/// Deliveries that are to be sent at `now`, the first due first.
pub async fn list_due(tx: &mut Tx, now: Timestamp, limit: i64) -> anyhow::Result<Vec<Due>> {
    let rows = tx
        .fetch_all(
            "SELECT d.id AS id, d.webhook_id AS webhook_id, d.body AS body, d.n_attempts AS n_attempts, \
                    d.retry_until AS retry_until, w.project_id AS project_id, w.definition AS definition \
             FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id \
             WHERE d.next_at <= $1 AND w.status = 'active' ORDER BY d.next_at, d.id LIMIT $2",
            [now.as_millisecond().into(), limit.into()],
        )
        .await?;
    let mut due = Vec::with_capacity(rows.len());
    for row in rows {
        let definition: WebhookDefinition = serde_json::from_str(&row.text("definition")?)?;
        let webhook_id = row.text("webhook_id")?;
        due.push(Due {
            id: row.text("id")?,
            project_id: row.text("project_id")?,
            url: definition.url,
            body: row.text("body")?,
            secrets: secrets(tx, &webhook_id, now).await?,
            n_attempts: row.int("n_attempts")?,
            retry_until: Timestamp::from_millisecond(row.int("retry_until")?)?,
            webhook_id,
        });
    }
    Ok(due)
}

/// Claims a delivery for one try; `false` when another replica has it, or it was tried meanwhile.
pub async fn claim(tx: &mut Tx, due: &Due, now: Timestamp, claim_ms: i64) -> sqlx::Result<bool> {
    let now = now.as_millisecond();
    let n_rows = tx
        .execute(
            "UPDATE webhook_deliveries SET next_at = $1 \
             WHERE id = $2 AND n_attempts = $3 AND next_at <= $4",
            [(now + claim_ms).into(), (&due.id).into(), due.n_attempts.into(), now.into()],
        )
        .await?;
    Ok(n_rows == 1)
}

/// Notes a try. Without a next one the delivery has come to its end.
pub async fn note_attempt(
    tx: &mut Tx,
    due: &Due,
    attempt: &Attempt,
    delivered: bool,
    next: Option<Timestamp>,
) -> sqlx::Result<()> {
    let status = match (delivered, next) {
        (true, _) => "delivered",
        (false, Some(_)) => "pending",
        (false, None) => "failed",
    };
    let n_rows = tx
        .execute(
            "UPDATE webhook_deliveries SET status = $1, next_at = $2, n_attempts = $3 \
             WHERE id = $4 AND n_attempts = $5",
            [
                status.into(),
                next.map(Timestamp::as_millisecond).into(),
                attempt.number.into(),
                (&due.id).into(),
                due.n_attempts.into(),
            ],
        )
        .await?;
    if n_rows == 0 {
        return Ok(());
    }
    tx.execute(
        "INSERT INTO webhook_attempts (delivery_id, number, at, status, error, duration_ms) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        [
            (&due.id).into(),
            attempt.number.into(),
            attempt.at.as_millisecond().into(),
            attempt.status.into(),
            attempt.error.as_deref().into(),
            attempt.duration_ms.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Sends a delivery again, and tries for as long as at first; `false` when the webhook has no such delivery.
pub async fn replay(tx: &mut Tx, webhook_id: &str, id: &str, now: Timestamp) -> sqlx::Result<bool> {
    let now = now.as_millisecond();
    let n_rows = tx
        .execute(
            "UPDATE webhook_deliveries SET status = 'pending', next_at = $1, retry_until = $2 \
             WHERE webhook_id = $3 AND id = $4",
            [now.into(), (now + PERIOD_MS).into(), webhook_id.into(), id.into()],
        )
        .await?;
    Ok(n_rows == 1)
}

const COLUMNS: &str = "id, event, body, status, created_at, next_at";

/// Deliveries of a webhook, newest first, below an id.
pub async fn list(
    tx: &mut Tx,
    webhook_id: &str,
    below: Option<&str>,
    status: Option<&str>,
    limit: i64,
) -> anyhow::Result<Vec<DeliveryRow>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM webhook_deliveries WHERE webhook_id = $1 AND ($2 IS NULL OR id < $2) \
         AND ($3 IS NULL OR status = $3) ORDER BY id DESC LIMIT $4"
    );
    let args = [webhook_id.into(), below.into(), status.into(), limit.into()];
    let rows = tx.fetch_all(&sql, args).await?;
    let mut deliveries = Vec::with_capacity(rows.len());
    for row in rows {
        deliveries.push(read(tx, &row).await?);
    }
    Ok(deliveries)
}

/// One delivery of a webhook.
pub async fn find(tx: &mut Tx, webhook_id: &str, id: &str) -> anyhow::Result<Option<DeliveryRow>> {
    let sql = format!("SELECT {COLUMNS} FROM webhook_deliveries WHERE webhook_id = $1 AND id = $2");
    match tx.fetch_optional(&sql, [webhook_id.into(), id.into()]).await? {
        None => Ok(None),
        Some(row) => Ok(Some(read(tx, &row).await?)),
    }
}

/// Removes deliveries that are over and were written before a time.
pub async fn forget(tx: &mut Tx, before_ms: i64) -> sqlx::Result<()> {
    let sql = "DELETE FROM webhook_deliveries WHERE created_at < $1 AND next_at IS NULL";
    tx.execute(sql, [before_ms.into()]).await?;
    Ok(())
}

async fn read(tx: &mut Tx, row: &Row) -> anyhow::Result<DeliveryRow> {
    let id = row.text("id")?;
    let attempts = tx
        .fetch_all(
            "SELECT number, at, status, error, duration_ms FROM webhook_attempts \
             WHERE delivery_id = $1 ORDER BY number",
            [(&id).into()],
        )
        .await?;
    let attempts = attempts.iter().map(|row| {
        Ok(Attempt {
            number: row.int("number")?,
            at: Timestamp::from_millisecond(row.int("at")?)?,
            status: row.opt_int("status")?,
            error: row.opt_text("error")?,
            duration_ms: row.int("duration_ms")?,
        })
    });
    Ok(DeliveryRow {
        attempts: attempts.collect::<anyhow::Result<_>>()?,
        event: row.text("event")?,
        body: row.text("body")?,
        status: row.text("status")?,
        created_at: Timestamp::from_millisecond(row.int("created_at")?)?,
        next_at: row.opt_int("next_at")?.map(Timestamp::from_millisecond).transpose()?,
        id,
    })
}
