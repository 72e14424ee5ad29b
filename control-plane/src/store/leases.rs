//! Leases: work that one of several replicas does for all of them.
//!
//! A lease says who looks for work. It is not what keeps work from being done twice: a process that was stopped for
//! longer than its lease may still believe in it. Whatever is done is done in one transaction with the note that it
//! was, which only one process can write.

use super::db::{Db, Tx};

/// The right to do some work, as one replica asks for it.
#[derive(Clone, Debug)]
pub struct Lease {
    name: &'static str,
    holder: String,
    duration_ms: i64,
}

impl Lease {
    /// The lease of some work. `holder` is the replica that asks; after `duration_ms` without renewal another may take
    /// it.
    pub fn new(name: &'static str, holder: &str, duration_ms: i64) -> Self {
        Self { name, holder: holder.to_owned(), duration_ms }
    }

    /// Whether this replica has the lease. Takes it when it is free and renews it when half of it is over; otherwise
    /// nothing is written.
    pub async fn hold(&self, db: &Db) -> sqlx::Result<bool> {
        let mut tx = db.read().await?;
        let now = tx.clock_ms().await?;
        let row = tx
            .fetch_optional(
                "SELECT holder, expires_at FROM leases WHERE name = $1",
                [self.name.into()],
            )
            .await?;
        drop(tx);
        if let Some(row) = row {
            let (own, left_ms) = (row.text("holder")? == self.holder, row.int("expires_at")? - now);
            if left_ms > 0 && (!own || left_ms > self.duration_ms / 2) {
                return Ok(own);
            }
        }
        let mut tx = db.write().await?;
        let taken = self.take(&mut tx).await?;
        tx.commit().await?;
        Ok(taken)
    }

    async fn take(&self, tx: &mut Tx) -> sqlx::Result<bool> {
        let now = tx.clock_ms().await?;
        let n_rows = tx
            .execute(
                "INSERT INTO leases (name, holder, expires_at) VALUES ($1, $2, $3) \
                 ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at \
                 WHERE leases.holder = excluded.holder OR leases.expires_at <= $4",
                [
                    self.name.into(),
                    (&self.holder).into(),
                    (now + self.duration_ms).into(),
                    now.into(),
                ],
            )
            .await?;
        Ok(n_rows == 1)
    }

    /// Gives the lease up, so that another replica need not wait for its end.
    pub async fn release(&self, db: &Db) -> sqlx::Result<()> {
        let mut tx = db.write().await?;
        tx.execute(
            "DELETE FROM leases WHERE name = $1 AND holder = $2",
            [self.name.into(), (&self.holder).into()],
        )
        .await?;
        tx.commit().await
    }
}
