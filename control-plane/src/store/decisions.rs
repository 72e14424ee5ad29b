//! Decisions about experiments, written once, and who approved them.

use super::db::Tx;
use jiff::Timestamp;

/// A decision as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionRow {
    /// The experiment.
    pub experiment_id: String,
    /// When.
    pub at: Timestamp,
    /// `token` or `user`.
    pub actor_kind: String,
    /// Id of the token or user.
    pub actor_id: String,
    /// The record as JSON.
    pub record: String,
}

/// Writes a decision; `false` when there is one already.
pub async fn insert(tx: &mut Tx, row: &DecisionRow) -> sqlx::Result<bool> {
    let n_rows = tx
        .execute(
            "INSERT INTO decisions (experiment_id, at, actor_kind, actor_id, record) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (experiment_id) DO NOTHING",
            [
                (&row.experiment_id).into(),
                row.at.as_millisecond().into(),
                (&row.actor_kind).into(),
                (&row.actor_id).into(),
                (&row.record).into(),
            ],
        )
        .await?;
    Ok(n_rows == 1)
}

/// The decision about an experiment.
pub async fn find(tx: &mut Tx, experiment_id: &str) -> anyhow::Result<Option<DecisionRow>> {
    let row = tx
        .fetch_optional(
            "SELECT at, actor_kind, actor_id, record FROM decisions WHERE experiment_id = $1",
            [experiment_id.into()],
        )
        .await?;
    row.map(|row| {
        Ok(DecisionRow {
            experiment_id: experiment_id.to_owned(),
            at: Timestamp::from_millisecond(row.int("at")?)?,
            actor_kind: row.text("actor_kind")?,
            actor_id: row.text("actor_id")?,
            record: row.text("record")?,
        })
    })
    .transpose()
}
