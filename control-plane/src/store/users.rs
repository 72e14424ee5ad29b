//! People, their grants and their sessions.

use super::db::{Row, Tx, is_unique_violation};
use crate::access::{Grant, Role};
use crate::error::ApiError;
use anyhow::Context;
use jiff::Timestamp;

/// A person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UserRow {
    /// Id.
    pub(crate) id: String,
    /// Lower case.
    pub(crate) email: String,
    /// What others see.
    pub(crate) name: String,
    /// PHC string of the password, if there is one.
    pub(crate) password: Option<String>,
    /// 1, 2, 3, ….
    pub(crate) version: i64,
    /// When it was made.
    pub(crate) created_at: Timestamp,
    /// When it was last changed.
    pub(crate) updated_at: Timestamp,
    /// Since when the user may do nothing.
    pub(crate) disabled_at: Option<Timestamp>,
    /// Wrong passwords in a row.
    pub(crate) n_failures: i64,
    /// When the first of them came.
    pub(crate) failing_since: Option<Timestamp>,
    /// What the user may do where, sorted.
    pub(crate) grants: Vec<Grant>,
}

/// Somebody signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionRow {
    /// Whose it is.
    pub(crate) user_id: String,
    /// When it was last used, to the minute.
    pub(crate) last_used_at: Timestamp,
    /// When it ends at the latest.
    pub(crate) expires_at: Timestamp,
}

const COLUMNS: &str = "id, email, name, password, version, created_at, updated_at, disabled_at, n_failures, failing_since";

/// Stores a new user with its grants.
pub(crate) async fn insert(tx: &mut Tx, user: &UserRow) -> Result<(), ApiError> {
    let inserted = tx
        .execute(
            "INSERT INTO users (id, email, name, password, version, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            [
                (&user.id).into(),
                (&user.email).into(),
                (&user.name).into(),
                user.password.as_deref().into(),
                user.version.into(),
                user.created_at.as_millisecond().into(),
                user.updated_at.as_millisecond().into(),
            ],
        )
        .await;
    match inserted {
        Ok(_) => {}
        Err(error) if is_unique_violation(&error) => {
            let detail = format!("there is a user `{}` already", user.email);
            return Err(ApiError::conflict("already_exists", detail));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(replace_grants(tx, user).await?)
}

/// Stores a changed user; its version is one above the stored one.
pub(crate) async fn update(tx: &mut Tx, user: &UserRow) -> Result<(), ApiError> {
    let n_rows = tx
        .execute(
            "UPDATE users SET name = $1, password = $2, version = $3, updated_at = $4, disabled_at = $5, \
             n_failures = 0, failing_since = NULL WHERE id = $6 AND version = $7",
            [
                (&user.name).into(),
                user.password.as_deref().into(),
                user.version.into(),
                user.updated_at.as_millisecond().into(),
                user.disabled_at.map(Timestamp::as_millisecond).into(),
                (&user.id).into(),
                (user.version - 1).into(),
            ],
        )
        .await?;
    if n_rows != 1 {
        let detail = "another request changed the user at the same time";
        return Err(ApiError::conflict("changed_meanwhile", detail));
    }
    Ok(replace_grants(tx, user).await?)
}

async fn replace_grants(tx: &mut Tx, user: &UserRow) -> sqlx::Result<()> {
    tx.execute("DELETE FROM grants WHERE user_id = $1", [(&user.id).into()]).await?;
    for grant in &user.grants {
        tx.execute(
            "INSERT INTO grants (user_id, project_id, role) VALUES ($1, $2, $3) \
             ON CONFLICT (user_id, project_id, role) DO NOTHING",
            [
                (&user.id).into(),
                grant.project_id.as_deref().unwrap_or_default().into(),
                grant.role.as_str().into(),
            ],
        )
        .await?;
    }
    Ok(())
}

/// The user of an id or an e-mail address.
pub(crate) async fn find(tx: &mut Tx, id_or_email: &str) -> anyhow::Result<Option<UserRow>> {
    if id_or_email.contains('\0') {
        return Ok(None);
    }
    let sql = format!("SELECT {COLUMNS} FROM users WHERE id = $1 OR email = $2");
    let email = id_or_email.to_lowercase();
    let row = tx.fetch_optional(&sql, [id_or_email.into(), email.into()]).await?;
    let Some(mut user) = row.map(|row| read(&row)).transpose()? else { return Ok(None) };
    user.grants = grants_of(tx, &user.id).await?;
    Ok(Some(user))
}

/// Users sorted by e-mail address, after one.
pub(crate) async fn list(
    tx: &mut Tx,
    after: Option<&str>,
    contains: Option<&str>,
    limit: i64,
) -> anyhow::Result<Vec<UserRow>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM users WHERE ($1 IS NULL OR email > $1) \
         AND ($2 IS NULL OR email LIKE $2 ESCAPE '!') ORDER BY email LIMIT $3"
    );
    let pattern = contains.map(|text| {
        let escaped = text.to_lowercase().replace('!', "!!").replace('%', "!%").replace('_', "!_");
        format!("%{escaped}%")
    });
    let rows = tx.fetch_all(&sql, [after.into(), pattern.as_deref().into(), limit.into()]).await?;
    let mut users: Vec<UserRow> = rows.iter().map(read).collect::<anyhow::Result<_>>()?;
    for user in &mut users {
        user.grants = grants_of(tx, &user.id).await?;
    }
    Ok(users)
}

async fn grants_of(tx: &mut Tx, user_id: &str) -> anyhow::Result<Vec<Grant>> {
    let rows = tx
        .fetch_all(
            "SELECT project_id, role FROM grants WHERE user_id = $1 ORDER BY project_id, role",
            [user_id.into()],
        )
        .await?;
    let grant = |row: &Row| {
        let word = row.text("role")?;
        let role = Role::parse(&word).with_context(|| format!("no role `{word}`"))?;
        let project_id = Some(row.text("project_id")?).filter(|id| !id.is_empty());
        Ok(Grant { project_id, role })
    };
    rows.iter().map(grant).collect()
}

/// Notes a wrong password; the count begins anew when the first failure is older than `since`.
pub(crate) async fn note_failure(
    tx: &mut Tx,
    user_id: &str,
    since: Timestamp,
    now: Timestamp,
) -> sqlx::Result<()> {
    tx.execute(
        "UPDATE users SET \
         n_failures = CASE WHEN failing_since IS NULL OR failing_since < $1 THEN 1 ELSE n_failures + 1 END, \
         failing_since = CASE WHEN failing_since IS NULL OR failing_since < $1 THEN $2 ELSE failing_since END \
         WHERE id = $3",
        [since.as_millisecond().into(), now.as_millisecond().into(), user_id.into()],
    )
    .await?;
    Ok(())
}

/// Forgets wrong passwords.
pub(crate) async fn forget_failures(tx: &mut Tx, user_id: &str) -> sqlx::Result<()> {
    tx.execute(
        "UPDATE users SET n_failures = 0, failing_since = NULL WHERE id = $1",
        [user_id.into()],
    )
    .await?;
    Ok(())
}

/// Begins a session, and removes those that are over.
pub(crate) async fn insert_session(
    tx: &mut Tx,
    sha256: &str,
    user_id: &str,
    now: Timestamp,
    lifetime_ms: i64,
) -> sqlx::Result<()> {
    let now = now.as_millisecond();
    tx.execute("DELETE FROM sessions WHERE expires_at <= $1", [now.into()]).await?;
    tx.execute(
        "INSERT INTO sessions (sha256, user_id, created_at, last_used_at, expires_at) \
         VALUES ($1, $2, $3, $3, $4)",
        [sha256.into(), user_id.into(), now.into(), now.saturating_add(lifetime_ms).into()],
    )
    .await?;
    Ok(())
}

/// The session of a cookie's hash.
pub(crate) async fn find_session(tx: &mut Tx, sha256: &str) -> anyhow::Result<Option<SessionRow>> {
    let row = tx
        .fetch_optional(
            "SELECT user_id, last_used_at, expires_at FROM sessions WHERE sha256 = $1",
            [sha256.into()],
        )
        .await?;
    row.map(|row| {
        Ok(SessionRow {
            user_id: row.text("user_id")?,
            last_used_at: Timestamp::from_millisecond(row.int("last_used_at")?)?,
            expires_at: Timestamp::from_millisecond(row.int("expires_at")?)?,
        })
    })
    .transpose()
}

/// Notes that a session is used.
pub(crate) async fn note_session_use(
    tx: &mut Tx,
    sha256: &str,
    now: Timestamp,
) -> sqlx::Result<()> {
    tx.execute(
        "UPDATE sessions SET last_used_at = $1 WHERE sha256 = $2",
        [now.as_millisecond().into(), sha256.into()],
    )
    .await?;
    Ok(())
}

/// Ends a session.
pub(crate) async fn delete_session(tx: &mut Tx, sha256: &str) -> sqlx::Result<()> {
    tx.execute("DELETE FROM sessions WHERE sha256 = $1", [sha256.into()]).await?;
    Ok(())
}

/// Ends every session of a user.
pub(crate) async fn delete_sessions(tx: &mut Tx, user_id: &str) -> sqlx::Result<()> {
    tx.execute("DELETE FROM sessions WHERE user_id = $1", [user_id.into()]).await?;
    Ok(())
}

fn read(row: &Row) -> anyhow::Result<UserRow> {
    let time = |value: Option<i64>| value.map(Timestamp::from_millisecond).transpose();
    Ok(UserRow {
        id: row.text("id")?,
        email: row.text("email")?,
        name: row.text("name")?,
        password: row.opt_text("password")?,
        version: row.int("version")?,
        created_at: Timestamp::from_millisecond(row.int("created_at")?)?,
        updated_at: Timestamp::from_millisecond(row.int("updated_at")?)?,
        disabled_at: time(row.opt_int("disabled_at")?)?,
        n_failures: row.int("n_failures")?,
        failing_since: time(row.opt_int("failing_since")?)?,
        grants: Vec::new(),
    })
}
