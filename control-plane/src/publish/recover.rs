//! Finishing what a crash, or a store that was away, has left behind.

use super::claim::{self, Claim};
use super::prepared::Prepared;
use super::{PublishError, Publisher};
use crate::store::publications;

impl Publisher {
    /// Brings every pending publication of an environment to its end: it is delivered with the
    /// recorded bytes, or marked as superseded when a higher generation has taken its place. Also
    /// mends a pointer that a crash left at an older generation.
    ///
    /// A pending publication may belong to another process that is still at it. Delivering it
    /// twice is harmless, since the bytes are the same.
    pub(super) async fn finish_pending(&self, environment_id: &str) -> Result<(), PublishError> {
        let (pending, highest) = {
            let mut tx = self.db.read().await?;
            let pending = publications::list_pending(&mut tx, environment_id).await?;
            (pending, publications::highest_generation(&mut tx, environment_id).await?)
        };
        for prepared in pending {
            let generation = prepared.manifest.generation;
            if self.still_wanted(&prepared, highest).await?
                && claim::deliver(&self.store, &prepared).await? == Claim::Ours
            {
                self.record_live(&prepared.manifest).await?;
                tracing::info!(environment_id, generation, "finished a pending publication");
            } else {
                self.record_superseded(&prepared.manifest).await?;
                tracing::info!(environment_id, generation, "a pending publication was superseded");
            }
        }
        claim::advance_pointer(&self.store, environment_id).await?;
        Ok(())
    }

    /// Whether a pending publication is to be delivered: it was claimed before the crash, or nothing
    /// above it exists. Otherwise a later publication holds everything that it would bring.
    async fn still_wanted(
        &self,
        prepared: &Prepared,
        highest_in_database: u64,
    ) -> Result<bool, PublishError> {
        let manifest = &prepared.manifest;
        let (environment, generation) = (&manifest.environment, manifest.generation);
        if claim::manifest(&self.store, environment, generation).await?.is_some() {
            return Ok(true); // `deliver` finds out whose it is.
        }
        let highest_in_store = claim::highest_generation(&self.store, environment).await?;
        Ok(generation >= highest_in_database.max(highest_in_store))
    }
}
