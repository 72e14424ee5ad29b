//! Answers to requests that came with an `Idempotency-Key`.

use super::db::Tx;
use jiff::Timestamp;

/// How long an answer is kept.
pub const KEPT_MS: i64 = 24 * 3_600_000;

/// After this time a request without an answer counts as lost with the process that served it.
const LOST_AFTER_MS: i64 = 60_000;

/// An answer as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAnswer {
    /// HTTP status.
    pub status: i64,
    /// JSON object of the headers worth repeating.
    pub headers: String,
    /// Body.
    pub body: String,
}

/// What is known of a key when a request arrives with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The key is new: serve the request, then [`store`] its answer.
    New,
    /// The first request with the key is still being served.
    InProgress,
    /// The key came with another request.
    Mismatch,
    /// The same request was answered before.
    Answered(StoredAnswer),
}

/// Claims a key for a request.
pub async fn claim(
    tx: &mut Tx,
    token_id: &str,
    key: &str,
    request_hash: &str,
    now: Timestamp,
) -> sqlx::Result<Claim> {
    let now = now.as_millisecond();
    tx.execute(
        "DELETE FROM idempotency_keys WHERE created_at < $1 OR (status IS NULL AND created_at < $2)",
        [(now - KEPT_MS).into(), (now - LOST_AFTER_MS).into()],
    )
    .await?;
    let inserted = tx
        .execute(
            "INSERT INTO idempotency_keys (token_id, key, request_hash, created_at) \
             VALUES ($1, $2, $3, $4) ON CONFLICT (token_id, key) DO NOTHING",
            [token_id.into(), key.into(), request_hash.into(), now.into()],
        )
        .await?;
    if inserted == 1 {
        return Ok(Claim::New);
    }
    let row = tx
        .fetch_optional(
            "SELECT request_hash, status, headers, body FROM idempotency_keys \
             WHERE token_id = $1 AND key = $2",
            [token_id.into(), key.into()],
        )
        .await?;
    // Released between the two statements: whoever asks again gets it.
    let Some(row) = row else { return Ok(Claim::InProgress) };
    if row.text("request_hash")? != request_hash {
        return Ok(Claim::Mismatch);
    }
    Ok(match row.opt_int("status")? {
        None => Claim::InProgress,
        Some(status) => Claim::Answered(StoredAnswer {
            status,
            headers: row.opt_text("headers")?.unwrap_or_default(),
            body: row.opt_text("body")?.unwrap_or_default(),
        }),
    })
}

/// Keeps the answer to a claimed key.
pub async fn store(
    tx: &mut Tx,
    token_id: &str,
    key: &str,
    answer: &StoredAnswer,
) -> sqlx::Result<()> {
    tx.execute(
        "UPDATE idempotency_keys SET status = $1, headers = $2, body = $3 \
         WHERE token_id = $4 AND key = $5",
        [
            answer.status.into(),
            (&answer.headers).into(),
            (&answer.body).into(),
            token_id.into(),
            key.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Gives a claimed key up, so that the request can be tried again.
pub async fn release(tx: &mut Tx, token_id: &str, key: &str) -> sqlx::Result<()> {
    tx.execute(
        "DELETE FROM idempotency_keys WHERE token_id = $1 AND key = $2",
        [token_id.into(), key.into()],
    )
    .await?;
    Ok(())
}
