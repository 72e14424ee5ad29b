//! Who agreed to a decision or to a change request.

use super::db::Tx;
use jiff::Timestamp;

/// What somebody agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// The decision about the experiment of this id.
    Decision(&'a str),
    /// The change request of this id.
    ChangeRequest(&'a str),
}

impl<'a> Subject<'a> {
    /// The table of the approvals, its column of the subject, and the subject's id.
    fn place(self) -> (&'static str, &'static str, &'a str) {
        match self {
            Self::Decision(id) => ("decision_approvals", "experiment_id", id),
            Self::ChangeRequest(id) => ("change_request_approvals", "change_request_id", id),
        }
    }
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

/// Notes that somebody agreed; `false` when they had before.
pub async fn approve(
    tx: &mut Tx,
    subject: Subject<'_>,
    approval: &ApprovalRow,
) -> sqlx::Result<bool> {
    let (table, column, id) = subject.place();
    let n_rows = tx
        .execute(
            &format!(
                "INSERT INTO {table} ({column}, user_id, approver, at, comment) \
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT ({column}, user_id) DO NOTHING"
            ),
            [
                id.into(),
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
pub async fn approvals(tx: &mut Tx, subject: Subject<'_>) -> anyhow::Result<Vec<ApprovalRow>> {
    let (table, column, id) = subject.place();
    let rows = tx
        .fetch_all(
            &format!(
                "SELECT user_id, approver, at, comment FROM {table} \
                 WHERE {column} = $1 ORDER BY at, user_id"
            ),
            [id.into()],
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
