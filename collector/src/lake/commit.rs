//! Committing to the log of files: claim the next number, or read on and try again.

use futures::TryStreamExt;
use jiff::SignedDuration;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};

use super::layout;
use super::{FileEntry, Lake, LakeError, Manifest, Snapshot, Source};

/// A checkpoint is written after every so many manifests.
const CHECKPOINT_EVERY: u64 = 64;

/// This many checkpoints are kept.
const CHECKPOINTS_KEPT: usize = 3;

/// A removed file is forgotten by checkpoints after this long; it was deleted long before.
const REMOVED_KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What a commit changes.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// The write-ahead log segment that the files came from.
    pub source: Option<Source>,
    /// Files that readers shall see.
    pub added: Vec<FileEntry>,
    /// Paths that readers shall see no longer.
    pub removed: Vec<String>,
}

/// How a commit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitOutcome {
    /// The change is in the log, as this manifest.
    Committed(u64),
    /// The segment was in the log before.
    AlreadyCommitted,
    /// A file to be removed is no longer current: another compaction was faster.
    Conflict,
}

impl Lake {
    /// Brings a change into the log. After an error the change may or may not be in it; calling
    /// again settles that for a segment, and for a compaction a new plan does.
    pub async fn commit(&self, change: Change) -> Result<CommitOutcome, LakeError> {
        loop {
            let snapshot = self.snapshot().await?;
            if let Some(source) = &change.source
                && snapshot.committed_segment(&source.collector) >= Some(source.segment)
            {
                self.confirm(&snapshot, source).await?;
                return Ok(CommitOutcome::AlreadyCommitted);
            }
            if change.removed.iter().any(|path| snapshot.file(path).is_none()) {
                return Ok(CommitOutcome::Conflict);
            }
            let manifest = Manifest {
                number: snapshot.number + 1,
                committed_at: jiff::Timestamp::now(),
                source: change.source.clone(),
                added: change.added.clone(),
                removed: change.removed.clone(),
            };
            let number = manifest.number;
            if self.claim(&manifest).await? {
                if number.is_multiple_of(CHECKPOINT_EVERY) {
                    // Not a new snapshot: another collector may be a number further already.
                    let now = manifest.committed_at;
                    let mut committed = Snapshot::clone(&snapshot);
                    committed.apply(manifest);
                    self.checkpoint(committed, now).await;
                }
                return Ok(CommitOutcome::Committed(number));
            }
            tracing::debug!(number, "manifest number taken, trying the next");
        }
    }

    /// Creates a manifest; false if its number is taken.
    async fn claim(&self, manifest: &Manifest) -> Result<bool, LakeError> {
        let path = layout::manifest_path(manifest.number);
        let bytes = to_json(&path, manifest)?;
        match self.store.put_opts(&path, bytes.into(), PutMode::Create.into()).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes the manifest of a committed segment once more, with the same bytes: the process that
    /// wrote it may have been killed before the local disk had it durably, and the caller is about
    /// to delete the only other copy of the events.
    async fn confirm(&self, snapshot: &Snapshot, source: &Source) -> Result<(), LakeError> {
        for number in (1..=snapshot.number).rev() {
            let path = layout::manifest_path(number);
            let Some(manifest) = self.manifest(number).await? else { continue };
            let is_it = manifest.source.as_ref().is_some_and(|committed| {
                committed.collector == source.collector && committed.segment <= source.segment
            });
            if is_it {
                self.store.put(&path, to_json(&path, &manifest)?.into()).await?;
                return Ok(());
            }
        }
        Ok(())
    }

    /// Sums the log up, so that a new reader need not read all of it. Failing here harms nobody.
    async fn checkpoint(&self, mut snapshot: Snapshot, now: jiff::Timestamp) {
        snapshot.forget_removed_before(now.saturating_sub(REMOVED_KEPT).unwrap_or(now));
        let number = snapshot.number;
        if let Err(error) = self.write_checkpoint(&snapshot).await {
            tracing::warn!(number, %error, "checkpoint not written");
        }
    }

    async fn write_checkpoint(&self, snapshot: &Snapshot) -> Result<(), LakeError> {
        let path = layout::checkpoint_path(snapshot.number);
        self.store.put(&path, to_json(&path, snapshot)?.into()).await?;
        let prefix = Path::from(layout::CHECKPOINTS);
        let mut paths: Vec<Path> =
            self.store.list(Some(&prefix)).map_ok(|meta| meta.location).try_collect().await?;
        paths.sort();
        let surplus = paths.len().saturating_sub(CHECKPOINTS_KEPT);
        for path in &paths[..surplus] {
            self.store.delete(path).await?;
        }
        Ok(())
    }
}

fn to_json<T: serde::Serialize>(path: &Path, value: &T) -> Result<Vec<u8>, LakeError> {
    serde_json::to_vec(value)
        .map_err(|error| LakeError::Damaged { path: path.to_string(), detail: error.to_string() })
}
