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

/// Somebody who agreed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalRow {
    /// Id of the user.
    pub user_id: String,
    /// E-mail address at that time.
    pub approver: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub comment: Option<String>,
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

/// Notes that somebody agreed; `false` when they had before.
pub async fn approve(
    tx: &mut Tx,
    experiment_id: &str,
    approval: &ApprovalRow,
) -> sqlx::Result<bool> {
    let n_rows = tx
        .execute(
            "INSERT INTO decision_approvals (experiment_id, user_id, approver, at, comment) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (experiment_id, user_id) DO NOTHING",
            [
                experiment_id.into(),
                (&approval.user_id).into(),
                (&approval.approver).into(),
                approval.at.as_millisecond().into(),
                approval.comment.as_deref().into(),
            ],
        )
        .await?;
    Ok(n_rows == 1)
}

/// Everybody who agreed, in that order.
pub async fn approvals(tx: &mut Tx, experiment_id: &str) -> anyhow::Result<Vec<ApprovalRow>> {
    let rows = tx
        .fetch_all(
            "SELECT user_id, approver, at, comment FROM decision_approvals \
             WHERE experiment_id = $1 ORDER BY at, user_id",
            [experiment_id.into()],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(ApprovalRow {
                user_id: row.text("user_id")?,
                approver: row.text("approver")?,
                at: Timestamp::from_millisecond(row.int("at")?)?,
                comment: row.opt_text("comment")?,
            })
        })
        .collect()
}
