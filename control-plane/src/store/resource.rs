//! What all authored things have in common: one table shape, versions, keyset pages.

use super::db::{Arg, Row, Tx, is_unique_violation};
use crate::definition::{
    EnvironmentDefinition, EnvironmentState, ExperimentDefinition, ExperimentState, FlagDefinition,
    FlagState, HoldoutDefinition, LayerDefinition, LifecycleStatus, MetricDefinition, NoState,
    ProjectDefinition, ScheduleDefinition, ScheduleState, SegmentDefinition, WebhookDefinition,
    WebhookState,
};
use crate::error::ApiError;
use anyhow::Context;
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};

/// An authored thing with its row.
#[derive(Clone, Debug, PartialEq)]
pub struct Versioned<D: Resource> {
    /// Id of the row.
    pub id: String,
    /// Id of the project or environment that it belongs to.
    pub scope_id: String,
    /// 1, 2, 3, …: every change adds one.
    pub version: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// What people wrote.
    pub definition: D,
    /// What the platform adds.
    pub state: D::State,
}

/// A kind of definition and its table.
pub trait Resource:
    Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// What the platform adds to it.
    type State: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What people call one, in messages and in the history.
    const KIND: &'static str;
    /// Its table.
    const TABLE: &'static str;
    /// The column that names what it belongs to.
    const SCOPE: &'static str;
    /// Whether lists begin with the newest; otherwise they are sorted by key.
    const NEWEST_FIRST: bool = false;

    /// Its name or key, unique in its scope.
    fn key(&self) -> &str;
    /// Word by which lists are filtered.
    fn status(_state: &Self::State) -> &'static str {
        "active"
    }
}

macro_rules! resource {
    ($definition:ty, $state:ty, $kind:literal, $table:literal, $scope:literal, $key:ident) => {
        impl Resource for $definition {
            type State = $state;
            const KIND: &'static str = $kind;
            const TABLE: &'static str = $table;
            const SCOPE: &'static str = $scope;
            fn key(&self) -> &str {
                &self.$key
            }
        }
    };
}

resource!(ProjectDefinition, NoState, "project", "projects", "instance_id", name);
resource!(
    EnvironmentDefinition,
    EnvironmentState,
    "environment",
    "environments",
    "project_id",
    name
);
resource!(LayerDefinition, NoState, "layer", "layers", "project_id", name);
resource!(HoldoutDefinition, NoState, "holdout", "holdouts", "project_id", name);
resource!(SegmentDefinition, NoState, "segment", "segments", "project_id", key);
resource!(MetricDefinition, NoState, "metric", "metrics", "project_id", name);

impl Resource for ExperimentDefinition {
    type State = ExperimentState;
    const KIND: &'static str = "experiment";
    const TABLE: &'static str = "experiments";
    const SCOPE: &'static str = "environment_id";
    const NEWEST_FIRST: bool = true;
    fn key(&self) -> &str {
        &self.name
    }
    fn status(state: &ExperimentState) -> &'static str {
        state.status.as_str()
    }
}

impl Resource for ScheduleDefinition {
    type State = ScheduleState;
    const KIND: &'static str = "schedule";
    const TABLE: &'static str = "schedules";
    const SCOPE: &'static str = "environment_id";
    const NEWEST_FIRST: bool = true;
    fn key(&self) -> &str {
        &self.name
    }
    fn status(state: &ScheduleState) -> &'static str {
        state.status.as_str()
    }
}

impl Resource for WebhookDefinition {
    type State = WebhookState;
    const KIND: &'static str = "webhook";
    const TABLE: &'static str = "webhooks";
    const SCOPE: &'static str = "project_id";
    fn key(&self) -> &str {
        &self.name
    }
    fn status(state: &WebhookState) -> &'static str {
        if state.enabled { "active" } else { "disabled" }
    }
}

impl Resource for FlagDefinition {
    type State = FlagState;
    const KIND: &'static str = "flag";
    const TABLE: &'static str = "flags";
    const SCOPE: &'static str = "environment_id";
    fn key(&self) -> &str {
        &self.key
    }
    fn status(state: &FlagState) -> &'static str {
        if state.archived_at.is_some() { "archived" } else { "active" }
    }
}

/// The one scope of projects.
pub const INSTANCE: &str = "instance";

/// Which part of a list to read.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Largest number of items.
    pub limit: i64,
    /// Sort key of the last item of the page before.
    pub after: Option<String>,
    /// Only items of this status.
    pub status: Option<String>,
    /// Only items whose key contains this text, whatever the case.
    pub contains: Option<String>,
}

const COLUMNS: &str = "id, key, version, definition, state, created_at, updated_at";

/// Creates a row.
pub async fn insert<D: Resource>(tx: &mut Tx, item: &Versioned<D>) -> Result<(), ApiError> {
    let sql = format!(
        "INSERT INTO {} (id, {}, key, status, version, definition, state, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        D::TABLE,
        D::SCOPE
    );
    let args = [
        Arg::from(&item.id),
        Arg::from(&item.scope_id),
        Arg::from(item.definition.key()),
        Arg::from(D::status(&item.state)),
        Arg::from(item.version),
        Arg::from(json(&item.definition)),
        Arg::from(json(&item.state)),
        Arg::from(item.created_at.as_millisecond()),
        Arg::from(item.updated_at.as_millisecond()),
    ];
    match tx.execute(&sql, args).await {
        Ok(_) => Ok(()),
        Err(error) if is_unique_violation(&error) => Err(taken::<D>(item.definition.key())),
        Err(error) => Err(error.into()),
    }
}

/// Writes a changed row whose `version` is one above the stored one.
pub async fn update<D: Resource>(tx: &mut Tx, item: &Versioned<D>) -> Result<(), ApiError> {
    let sql = format!(
        "UPDATE {} SET key = $1, status = $2, version = $3, definition = $4, state = $5, updated_at = $6 \
         WHERE id = $7 AND version = $8",
        D::TABLE
    );
    let args = [
        Arg::from(item.definition.key()),
        Arg::from(D::status(&item.state)),
        Arg::from(item.version),
        Arg::from(json(&item.definition)),
        Arg::from(json(&item.state)),
        Arg::from(item.updated_at.as_millisecond()),
        Arg::from(&item.id),
        Arg::from(item.version - 1),
    ];
    match tx.execute(&sql, args).await {
        Ok(1) => Ok(()),
        Ok(_) => Err(ApiError::conflict(
            "changed_meanwhile",
            "another request changed it at the same time",
        )),
        Err(error) if is_unique_violation(&error) => Err(taken::<D>(item.definition.key())),
        Err(error) => Err(error.into()),
    }
}

/// Removes a row.
pub async fn delete<D: Resource>(tx: &mut Tx, id: &str) -> sqlx::Result<()> {
    tx.execute(&format!("DELETE FROM {} WHERE id = $1", D::TABLE), [id.into()]).await?;
    Ok(())
}

/// The row of an id, or else of a key, within a scope.
pub async fn find<D: Resource>(
    tx: &mut Tx,
    scope_id: &str,
    id_or_key: &str,
) -> Result<Option<Versioned<D>>, ApiError> {
    // PostgreSQL refuses text with a NUL; no id or key holds one.
    if id_or_key.contains('\0') {
        return Ok(None);
    }
    let sql = format!(
        "SELECT {COLUMNS} FROM {} WHERE {} = $1 AND (id = $2 OR key = $2) \
         ORDER BY CASE WHEN id = $2 THEN 0 ELSE 1 END LIMIT 1",
        D::TABLE,
        D::SCOPE
    );
    let row = tx.fetch_optional(&sql, [scope_id.into(), id_or_key.into()]).await?;
    row.map(|row| read(&row, scope_id)).transpose().map_err(Into::into)
}

/// Like [`find`], answering 404 when there is none.
pub async fn load<D: Resource>(
    tx: &mut Tx,
    scope_id: &str,
    id_or_key: &str,
) -> Result<Versioned<D>, ApiError> {
    find(tx, scope_id, id_or_key).await?.ok_or_else(|| ApiError::not_found(D::KIND, id_or_key))
}

/// Every row of a scope, sorted by key.
pub async fn load_all<D: Resource>(
    tx: &mut Tx,
    scope_id: &str,
) -> Result<Vec<Versioned<D>>, ApiError> {
    let sql = format!("SELECT {COLUMNS} FROM {} WHERE {} = $1 ORDER BY key", D::TABLE, D::SCOPE);
    let rows = tx.fetch_all(&sql, [scope_id.into()]).await?;
    Ok(rows.iter().map(|row| read(row, scope_id)).collect::<anyhow::Result<_>>()?)
}

/// One page of a scope.
pub async fn list<D: Resource>(
    tx: &mut Tx,
    scope_id: &str,
    page: &Page,
) -> Result<Vec<Versioned<D>>, ApiError> {
    let (sort, compare, direction) =
        if D::NEWEST_FIRST { ("id", "<", "DESC") } else { ("key", ">", "ASC") };
    let sql = format!(
        "SELECT {COLUMNS} FROM {} WHERE {} = $1 \
         AND ($2 IS NULL OR {sort} {compare} $2) \
         AND ($3 IS NULL OR status = $3) \
         AND ($4 IS NULL OR LOWER(key) LIKE $4 ESCAPE '!') \
         ORDER BY {sort} {direction} LIMIT $5",
        D::TABLE,
        D::SCOPE
    );
    let pattern = page.contains.as_ref().map(|text| {
        let escaped = text.to_lowercase().replace('!', "!!").replace('%', "!%").replace('_', "!_");
        format!("%{escaped}%")
    });
    let args = [
        Arg::from(scope_id),
        Arg::from(page.after.as_deref()),
        Arg::from(page.status.as_deref()),
        Arg::from(pattern.as_deref()),
        Arg::from(page.limit),
    ];
    let rows = tx.fetch_all(&sql, args).await?;
    Ok(rows.iter().map(|row| read(row, scope_id)).collect::<anyhow::Result<_>>()?)
}

/// A kind of thing that the scheduler moves: its table has the column `due_at`.
pub trait Timed: Resource {}
impl Timed for ExperimentDefinition {}
impl Timed for ScheduleDefinition {}

/// Sets when the scheduler must look at a thing.
pub async fn set_due<D: Timed>(tx: &mut Tx, id: &str, due: Option<Timestamp>) -> sqlx::Result<()> {
    let sql = format!("UPDATE {} SET due_at = $1 WHERE id = $2", D::TABLE);
    tx.execute(&sql, [due.map(Timestamp::as_millisecond).into(), id.into()]).await?;
    Ok(())
}

/// Things at which the scheduler must look, as (id of the scope, id), the first due first.
pub async fn list_due<D: Timed>(
    tx: &mut Tx,
    now: Timestamp,
) -> sqlx::Result<Vec<(String, String)>> {
    let sql = format!(
        "SELECT {} AS scope, id FROM {} WHERE due_at <= $1 ORDER BY due_at, id",
        D::SCOPE,
        D::TABLE
    );
    let rows = tx.fetch_all(&sql, [now.as_millisecond().into()]).await?;
    rows.iter().map(|row| Ok((row.text("scope")?, row.text("id")?))).collect()
}

impl LifecycleStatus {
    /// The status of a word of the database or the API.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Draft, Self::Scheduled, Self::Running, Self::Paused, Self::Completed, Self::Archived]
            .into_iter()
            .find(|status| status.as_str() == word)
    }
}

fn read<D: Resource>(row: &Row, scope_id: &str) -> anyhow::Result<Versioned<D>> {
    let id = row.text("id")?;
    let damaged = || format!("{} {id} in the database is damaged", D::KIND);
    Ok(Versioned {
        definition: serde_json::from_str(&row.text("definition")?).with_context(damaged)?,
        state: serde_json::from_str(&row.text("state")?).with_context(damaged)?,
        scope_id: scope_id.to_owned(),
        version: row.int("version")?,
        created_at: Timestamp::from_millisecond(row.int("created_at")?).with_context(damaged)?,
        updated_at: Timestamp::from_millisecond(row.int("updated_at")?).with_context(damaged)?,
        id,
    })
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("definitions have string keys and finite numbers")
}

fn taken<D: Resource>(key: &str) -> ApiError {
    let pointer = if D::KIND == "flag" || D::KIND == "segment" { "/key" } else { "/name" };
    let mut extra = serde_json::Map::new();
    extra.insert("pointer".to_owned(), pointer.into());
    ApiError::Conflict {
        code: "already_exists",
        detail: format!("there is a {} `{key}` already", D::KIND),
        extra,
    }
}
