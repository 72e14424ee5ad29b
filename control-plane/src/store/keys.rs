//! SDK keys: only their hashes are kept.

use super::db::{Row, Tx};
use anyhow::Context;
use eval_core::source::KeyKind;
use jiff::Timestamp;

/// An SDK key without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SdkKeyRow {
    /// Id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it may see.
    pub kind: KeyKind,
    /// SHA-256 of the whole key.
    pub sha256: [u8; 32],
    /// The key's last four characters, to recognise it.
    pub hint: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stopped working.
    pub revoked_at: Option<Timestamp>,
    /// When it stops working by itself.
    pub expires_at: Option<Timestamp>,
}

/// The word for a kind in keys, API and database.
pub fn kind_word(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Server => "server",
        KeyKind::Client => "client",
    }
}

/// Stores a key. A key that is stored already stays as it is.
pub async fn insert(tx: &mut Tx, environment_id: &str, key: &SdkKeyRow) -> sqlx::Result<()> {
    tx.execute(
        "INSERT INTO sdk_keys (id, environment_id, name, kind, sha256, hint, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (sha256) DO NOTHING",
        [
            (&key.id).into(),
            environment_id.into(),
            (&key.name).into(),
            kind_word(key.kind).into(),
            hex::encode(key.sha256).into(),
            (&key.hint).into(),
            key.created_at.as_millisecond().into(),
            key.expires_at.map(Timestamp::as_millisecond).into(),
        ],
    )
    .await?;
    Ok(())
}

/// Every key of an environment, revoked ones included, oldest first.
pub async fn list(tx: &mut Tx, environment_id: &str) -> anyhow::Result<Vec<SdkKeyRow>> {
    let rows = tx
        .fetch_all(
            "SELECT id, name, kind, sha256, hint, created_at, revoked_at, expires_at FROM sdk_keys \
             WHERE environment_id = $1 ORDER BY id",
            [environment_id.into()],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Keys whose time is over and that still work, as (environment id, key id).
pub async fn list_expired(tx: &mut Tx, now: Timestamp) -> sqlx::Result<Vec<(String, String)>> {
    let rows = tx
        .fetch_all(
            "SELECT environment_id, id FROM sdk_keys WHERE expires_at <= $1 AND revoked_at IS NULL ORDER BY id",
            [now.as_millisecond().into()],
        )
        .await?;
    rows.iter().map(|row| Ok((row.text("environment_id")?, row.text("id")?))).collect()
}

/// Stops a key from working; `false` when there is no such key or it was revoked before.
pub async fn revoke(
    tx: &mut Tx,
    environment_id: &str,
    id: &str,
    now: Timestamp,
) -> sqlx::Result<bool> {
    let n_rows = tx
        .execute(
            "UPDATE sdk_keys SET revoked_at = $1 \
             WHERE environment_id = $2 AND id = $3 AND revoked_at IS NULL",
            [now.as_millisecond().into(), environment_id.into(), id.into()],
        )
        .await?;
    Ok(n_rows == 1)
}

fn read(row: &Row) -> anyhow::Result<SdkKeyRow> {
    let mut sha256 = [0; 32];
    hex::decode_to_slice(row.text("sha256")?, &mut sha256).context("damaged SDK key hash")?;
    Ok(SdkKeyRow {
        id: row.text("id")?,
        name: row.text("name")?,
        kind: if row.text("kind")? == "client" { KeyKind::Client } else { KeyKind::Server },
        sha256,
        hint: row.text("hint")?,
        created_at: Timestamp::from_millisecond(row.int("created_at")?)?,
        revoked_at: row.opt_int("revoked_at")?.map(Timestamp::from_millisecond).transpose()?,
        expires_at: row.opt_int("expires_at")?.map(Timestamp::from_millisecond).transpose()?,
    })
}
