//! API tokens: only their hashes are kept.

use super::db::{Row, Tx};
use crate::access::Role;
use anyhow::Context;
use jiff::Timestamp;

/// An API token without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiTokenRow {
    /// Id.
    pub id: String,
    /// The only project that it sees; every project when absent.
    pub project_id: Option<String>,
    /// The only environment that it sees; every one of its projects when absent.
    pub environment_id: Option<String>,
    /// What people call it; the author of what is done with it.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Its first characters.
    pub prefix: String,
    /// SHA-256 of the whole token.
    pub sha256: [u8; 32],
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stopped working.
    pub revoked_at: Option<Timestamp>,
    /// When it stops working by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
}

const COLUMNS: &str = "id, project_id, environment_id, name, role, prefix, sha256, created_at, revoked_at, expires_at, last_used_at";

/// Stores a token. A token that is stored already stays as it is.
pub async fn insert(tx: &mut Tx, token: &ApiTokenRow) -> sqlx::Result<()> {
    tx.execute(
        "INSERT INTO api_tokens (id, project_id, environment_id, name, role, prefix, sha256, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (sha256) DO NOTHING",
        [
            (&token.id).into(),
            token.project_id.as_deref().into(),
            token.environment_id.as_deref().into(),
            (&token.name).into(),
            token.role.as_str().into(),
            (&token.prefix).into(),
            hex::encode(token.sha256).into(),
            token.created_at.as_millisecond().into(),
            token.expires_at.map(Timestamp::as_millisecond).into(),
        ],
    )
    .await?;
    Ok(())
}

/// Tokens that begin with these characters and work.
pub async fn find_by_prefix(tx: &mut Tx, prefix: &str) -> anyhow::Result<Vec<ApiTokenRow>> {
    let sql = format!("SELECT {COLUMNS} FROM api_tokens WHERE prefix = $1 AND revoked_at IS NULL");
    tx.fetch_all(&sql, [prefix.into()]).await?.iter().map(read).collect()
}

/// Every token that sees a project alone (`Some`), or every token (`None`), oldest first.
pub async fn list(tx: &mut Tx, project_id: Option<&str>) -> anyhow::Result<Vec<ApiTokenRow>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM api_tokens WHERE ($1 IS NULL OR project_id = $1) ORDER BY id"
    );
    tx.fetch_all(&sql, [project_id.into()]).await?.iter().map(read).collect()
}

/// Stops a token from working; `false` when there is no such token in reach or it was revoked before.
pub async fn revoke(
    tx: &mut Tx,
    project_id: Option<&str>,
    id: &str,
    now: Timestamp,
) -> sqlx::Result<bool> {
    let n_rows = tx
        .execute(
            "UPDATE api_tokens SET revoked_at = $1 \
             WHERE id = $2 AND ($3 IS NULL OR project_id = $3) AND revoked_at IS NULL",
            [now.as_millisecond().into(), id.into(), project_id.into()],
        )
        .await?;
    Ok(n_rows == 1)
}

/// Notes when a token was used.
pub async fn note_use(tx: &mut Tx, id: &str, now: Timestamp) -> sqlx::Result<()> {
    tx.execute(
        "UPDATE api_tokens SET last_used_at = $1 WHERE id = $2",
        [now.as_millisecond().into(), id.into()],
    )
    .await?;
    Ok(())
}

fn read(row: &Row) -> anyhow::Result<ApiTokenRow> {
    let mut sha256 = [0; 32];
    hex::decode_to_slice(row.text("sha256")?, &mut sha256).context("damaged token hash")?;
    Ok(ApiTokenRow {
        id: row.text("id")?,
        project_id: row.opt_text("project_id")?,
        environment_id: row.opt_text("environment_id")?,
        name: row.text("name")?,
        role: Role::parse(&row.text("role")?).context("damaged token role")?,
        prefix: row.text("prefix")?,
        sha256,
        created_at: Timestamp::from_millisecond(row.int("created_at")?)?,
        revoked_at: row.opt_int("revoked_at")?.map(Timestamp::from_millisecond).transpose()?,
        expires_at: row.opt_int("expires_at")?.map(Timestamp::from_millisecond).transpose()?,
        last_used_at: row.opt_int("last_used_at")?.map(Timestamp::from_millisecond).transpose()?,
    })
}
