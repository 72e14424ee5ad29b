//! Change requests: writes that wait for the approval of others.

use super::db::{Row, Tx};
use jiff::Timestamp;

/// A write as it was proposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeRequestRow {
    /// Id.
    pub id: String,
    /// Project in which it acts.
    pub project_id: String,
    /// `open`, `applied` or `closed`.
    pub status: String,
    /// `token` or `user`.
    pub author_kind: String,
    /// Id of the token or user.
    pub author_id: String,
    /// Its name at that time.
    pub author: String,
    /// Why.
    pub comment: Option<String>,
    /// HTTP method.
    pub method: String,
    /// Path as the API's description has it.
    pub route: String,
    /// Path and query below `/api/v1`.
    pub target: String,
    /// JSON object of the headers that matter.
    pub headers: String,
    /// The body.
    pub body: String,
    /// JSON of what it would have done when it was proposed.
    pub preview: String,
    /// JSON list of the environments whose approvals it takes.
    pub environments: String,
    /// When it was proposed.
    pub created_at: Timestamp,
    /// When it was applied or closed.
    pub ended_at: Option<Timestamp>,
    /// Who did.
    pub ended_by: Option<String>,
}

/// Writes one.
pub async fn insert(tx: &mut Tx, row: &ChangeRequestRow) -> sqlx::Result<()> {
    tx.execute(
        "INSERT INTO change_requests (id, project_id, status, author_kind, author_id, author, comment, method, \
         route, target, headers, body, preview, environments, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        [
            (&row.id).into(),
            (&row.project_id).into(),
            (&row.status).into(),
            (&row.author_kind).into(),
            (&row.author_id).into(),
            (&row.author).into(),
            row.comment.as_deref().into(),
            (&row.method).into(),
            (&row.route).into(),
            (&row.target).into(),
            (&row.headers).into(),
            (&row.body).into(),
            (&row.preview).into(),
            (&row.environments).into(),
            row.created_at.as_millisecond().into(),
        ],
    )
    .await?;
    Ok(())
}

const COLUMNS: &str = "id, project_id, status, author_kind, author_id, author, comment, method, route, target, \
    headers, body, preview, environments, created_at, ended_at, ended_by";

/// One of a project.
pub async fn find(
    tx: &mut Tx,
    project_id: &str,
    id: &str,
) -> anyhow::Result<Option<ChangeRequestRow>> {
    let sql = format!("SELECT {COLUMNS} FROM change_requests WHERE project_id = $1 AND id = $2");
    let row = tx.fetch_optional(&sql, [project_id.into(), id.into()]).await?;
    row.map(|row| read(&row)).transpose()
}

/// Those of a project, newest first, below an id.
pub async fn list(
    tx: &mut Tx,
    project_id: &str,
    below: Option<&str>,
    status: Option<&str>,
    limit: i64,
) -> anyhow::Result<Vec<ChangeRequestRow>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM change_requests WHERE project_id = $1 AND ($2 IS NULL OR id < $2) \
         AND ($3 IS NULL OR status = $3) ORDER BY id DESC LIMIT $4"
    );
    let args = [project_id.into(), below.into(), status.into(), limit.into()];
    tx.fetch_all(&sql, args).await?.iter().map(read).collect()
}

/// Moves one from a status to another; `false` when it has another status by now.
pub async fn set_status(
    tx: &mut Tx,
    id: &str,
    from: &str,
    to: &str,
    ended: Option<(Timestamp, &str)>,
) -> sqlx::Result<bool> {
    let n_rows = tx
        .execute(
            "UPDATE change_requests SET status = $1, ended_at = $2, ended_by = $3 \
             WHERE id = $4 AND status = $5",
            [
                to.into(),
                ended.map(|(at, _)| at.as_millisecond()).into(),
                ended.map(|(_, by)| by).into(),
                id.into(),
                from.into(),
            ],
        )
        .await?;
    Ok(n_rows == 1)
}

fn read(row: &Row) -> anyhow::Result<ChangeRequestRow> {
    Ok(ChangeRequestRow {
        id: row.text("id")?,
        project_id: row.text("project_id")?,
        status: row.text("status")?,
        author_kind: row.text("author_kind")?,
        author_id: row.text("author_id")?,
        author: row.text("author")?,
        comment: row.opt_text("comment")?,
        method: row.text("method")?,
        route: row.text("route")?,
        target: row.text("target")?,
        headers: row.text("headers")?,
        body: row.text("body")?,
        preview: row.text("preview")?,
        environments: row.text("environments")?,
        created_at: Timestamp::from_millisecond(row.int("created_at")?)?,
        ended_at: row.opt_int("ended_at")?.map(Timestamp::from_millisecond).transpose()?,
        ended_by: row.opt_text("ended_by")?,
    })
}
