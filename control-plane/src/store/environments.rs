//! Revisions of environments: what changed since it was last published, and one writer at a time.

use super::db::Tx;
use crate::definition::EnvironmentDefinition;

/// Announces that something changes from which this environment's config is compiled, and keeps every
/// other writer of the environment out until the transaction ends. To be called before anything is read
/// that the change depends on.
pub async fn touch(tx: &mut Tx, environment_id: &str) -> sqlx::Result<()> {
    tx.execute(
        "UPDATE environments SET revision = revision + 1 WHERE id = $1",
        [environment_id.into()],
    )
    .await?;
    Ok(())
}

/// Like [`touch`], for every environment of a project.
pub async fn touch_all(tx: &mut Tx, project_id: &str) -> sqlx::Result<()> {
    // Locked in one order, so that two writers cannot wait for each other.
    for environment_id in ids(tx, project_id).await? {
        touch(tx, &environment_id).await?;
    }
    Ok(())
}

/// Ids of a project's environments, sorted.
pub async fn ids(tx: &mut Tx, project_id: &str) -> sqlx::Result<Vec<String>> {
    let rows = tx
        .fetch_all(
            "SELECT id FROM environments WHERE project_id = $1 ORDER BY id",
            [project_id.into()],
        )
        .await?;
    rows.iter().map(|row| row.text("id")).collect()
}

/// Id of the project of an environment.
pub async fn project_of(tx: &mut Tx, environment_id: &str) -> sqlx::Result<Option<String>> {
    let row = tx
        .fetch_optional(
            "SELECT project_id FROM environments WHERE id = $1",
            [environment_id.into()],
        )
        .await?;
    row.map(|row| row.text("project_id")).transpose()
}

/// How many approvals a change of what the environment's edges serve takes.
pub async fn required_approvals(tx: &mut Tx, environment_id: &str) -> anyhow::Result<u32> {
    let row = tx
        .fetch_optional(
            "SELECT definition FROM environments WHERE id = $1",
            [environment_id.into()],
        )
        .await?;
    let Some(row) = row else { return Ok(0) };
    let definition: EnvironmentDefinition = serde_json::from_str(&row.text("definition")?)?;
    Ok(definition.required_approvals)
}

/// Every environment with its revision, as (environment id, project id, revision).
pub async fn revisions(tx: &mut Tx) -> sqlx::Result<Vec<(String, String, i64)>> {
    let rows =
        tx.fetch_all("SELECT id, project_id, revision FROM environments ORDER BY id", []).await?;
    rows.iter()
        .map(|row| Ok((row.text("id")?, row.text("project_id")?, row.int("revision")?)))
        .collect()
}

/// Revision of an environment.
pub async fn revision(tx: &mut Tx, environment_id: &str) -> sqlx::Result<Option<i64>> {
    let row = tx
        .fetch_optional("SELECT revision FROM environments WHERE id = $1", [environment_id.into()])
        .await?;
    row.map(|row| row.int("revision")).transpose()
}
