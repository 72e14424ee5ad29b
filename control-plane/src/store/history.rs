//! One row for every change: who, when, what it was before and after.

use super::db::{Row, Tx};
use super::resource::{Resource, Versioned};
use jiff::Timestamp;
use serde_json::{Value, json};

/// One recorded change.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionRow {
    /// Version that the change made.
    pub version: i64,
    /// What was done: `created`, `updated`, `started`, …
    pub action: String,
    /// Who did it.
    pub author: String,
    /// When.
    pub at: Timestamp,
    /// Why, as its author said.
    pub comment: Option<String>,
    /// `{"definition", "state"}` before; null at its creation.
    pub before: Option<Value>,
    /// The same afterwards; null at its deletion.
    pub after: Option<Value>,
}

/// What was done by whom.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// Past tense, one word.
    pub action: &'a str,
    /// Name of the token, or `scheduler`.
    pub author: &'a str,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub comment: Option<&'a str>,
}

/// Records a change of something by its values before and after.
pub async fn record_values(
    tx: &mut Tx,
    kind: &str,
    id: &str,
    version: i64,
    change: Change<'_>,
    before: Option<Value>,
    after: Option<Value>,
) -> sqlx::Result<()> {
    tx.execute(
        "INSERT INTO versions (kind, resource_id, version, action, author, at, before, after, comment) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        [
            kind.into(),
            id.into(),
            version.into(),
            change.action.into(),
            change.author.into(),
            change.at.as_millisecond().into(),
            before.map(|value| value.to_string()).as_deref().into(),
            after.map(|value| value.to_string()).as_deref().into(),
            change.comment.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Changes of one thing, newest first, below a version.
pub async fn list(
    tx: &mut Tx,
    kind: &str,
    id: &str,
    below: Option<i64>,
    limit: i64,
) -> anyhow::Result<Vec<VersionRow>> {
    let rows = tx
        .fetch_all(
            "SELECT version, action, author, at, before, after, comment FROM versions \
             WHERE kind = $1 AND resource_id = $2 AND ($3 IS NULL OR version < $3) \
             ORDER BY version DESC LIMIT $4",
            [kind.into(), id.into(), below.into(), limit.into()],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// The definition that a thing had at a version.
pub async fn definition_at<D: Resource>(
    tx: &mut Tx,
    id: &str,
    version: i64,
) -> anyhow::Result<Option<Value>> {
    let row = tx
        .fetch_optional(
            "SELECT version, action, author, at, before, after, comment FROM versions \
             WHERE kind = $1 AND resource_id = $2 AND version = $3",
            [D::KIND.into(), id.into(), version.into()],
        )
        .await?;
    let row = row.map(|row| read(&row)).transpose()?;
    Ok(row.and_then(|row| row.after).map(|mut after| after["definition"].take()))
}

/// What history keeps of a thing.
pub(crate) fn image<D: Resource>(item: &Versioned<D>) -> Value {
    json!({ "definition": item.definition, "state": item.state })
}

fn read(row: &Row) -> anyhow::Result<VersionRow> {
    let parse = |text: Option<String>| text.as_deref().map(serde_json::from_str).transpose();
    Ok(VersionRow {
        version: row.int("version")?,
        action: row.text("action")?,
        author: row.text("author")?,
        at: Timestamp::from_millisecond(row.int("at")?)?,
        comment: row.opt_text("comment")?,
        before: parse(row.opt_text("before")?)?,
        after: parse(row.opt_text("after")?)?,
    })
}
