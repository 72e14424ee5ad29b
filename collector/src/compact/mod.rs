//! Compaction: many fresh files become few files per range of units.
//!
//! Readers merge every file of a project and kind, so their cost grows with the number of files.
//! A job takes files of one project, kind and received day, merges them in (`unit_hash`, `ts`)
//! order, drops what was stored twice, writes the result under `events/v1c`, reads it back and
//! compares row count and set of event ids, and commits the exchange in one manifest. The old
//! files are deleted after a grace period, in which readers of an older snapshot finish.

mod merge;
mod plan;
mod rows;
mod verify;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use tokio_util::sync::CancellationToken;

use crate::lake::{Change, CommitOutcome, FileEntry, Lake, LakeError, Snapshot};
use merge::Merged;
use plan::Job;

/// When and how fresh files are merged.
#[derive(Debug, Clone)]
pub struct CompactionSettings {
    /// Time between two looks for work; default 10 min.
    pub interval: Duration,
    /// Files of a running day are merged when there are this many of similar size; default 8.
    pub min_files: usize,
    /// Size in bytes that a compacted file should have; default 128 MiB.
    pub target_bytes: u64,
    /// How long replaced files stay readable; default 1 h.
    pub grace: Duration,
}

impl Default for CompactionSettings {
    fn default() -> Self {
        Self {
            interval: Duration::from_mins(10),
            min_files: 8,
            target_bytes: 128 * 1024 * 1024,
            grace: Duration::from_hours(1),
        }
    }
}

/// Why a job was given up. The lake is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompactionError {
    /// The lake cannot be read or written.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// What was written is not what was read.
    #[error("{rows_written} rows were written where {rows_expected} should be, or other events")]
    Mismatch {
        /// Rows read less rows stored twice.
        rows_expected: u64,
        /// Rows read back.
        rows_written: u64,
    },
    /// The work could not be run.
    #[error("{0}")]
    Runtime(#[from] tokio::task::JoinError),
}

/// What one look has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CompactionReport {
    /// Jobs that were committed.
    pub jobs: usize,
    /// Files that were replaced.
    pub files_removed: usize,
    /// Files that replace them.
    pub files_added: usize,
    /// Rows that were stored twice.
    pub duplicates: u64,
    /// Files whose grace period is over and which were deleted.
    pub files_deleted: usize,
}

/// Merges files of one lake.
#[derive(Debug)]
pub struct Compaction {
    lake: Arc<Lake>,
    settings: CompactionSettings,
    /// Removed files that are deleted already, though the log still names them.
    deleted: HashSet<String>,
}

impl Compaction {
    /// Over a lake.
    pub fn new(lake: Arc<Lake>, settings: CompactionSettings) -> Self {
        Self { lake, settings, deleted: HashSet::new() }
    }

    /// Looks for work again and again, until cancelled.
    pub async fn run(&mut self, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.settings.interval) => {}
                () = shutdown.cancelled() => return,
            }
            let round = tokio::select! {
                round = self.run_once(Timestamp::now()) => round,
                // A job that is dropped leaves files that no manifest names.
                () = shutdown.cancelled() => return,
            };
            match round {
                Ok(report) if report == CompactionReport::default() => {}
                Ok(report) => tracing::info!(
                    jobs = report.jobs,
                    files_removed = report.files_removed,
                    files_added = report.files_added,
                    duplicates = report.duplicates,
                    files_deleted = report.files_deleted,
                    "compacted"
                ),
                Err(error) => {
                    metrics::counter!("collector_compaction_failures_total").increment(1);
                    tracing::warn!(%error, "compaction failed");
                }
            }
        }
    }

    /// Does what there is to do now.
    pub async fn run_once(&mut self, now: Timestamp) -> Result<CompactionReport, CompactionError> {
        let mut report = CompactionReport::default();
        let snapshot = self.lake.snapshot().await?;
        for job in plan::jobs(&snapshot, &self.settings, now) {
            self.run_job(job, &mut report).await?;
        }
        let snapshot = self.lake.snapshot().await?;
        report.files_deleted = self.delete_removed(&snapshot, now).await?;
        Ok(report)
    }

    async fn run_job(
        &self,
        job: Job,
        report: &mut CompactionReport,
    ) -> Result<(), CompactionError> {
        let started = Instant::now();
        let merged = self.merge(job.clone()).await?;
        if let Err(error) = verify::verify(self.lake.store(), &merged).await {
            self.discard(&merged.files).await;
            return Err(error);
        }
        let Merged { files: added, duplicates, .. } = merged;
        let n_added = added.len();
        let removed: Vec<String> = job.files.iter().map(|file| file.path.clone()).collect();
        let n_removed = removed.len();
        match self.lake.commit(Change { source: None, added: added.clone(), removed }).await? {
            CommitOutcome::Committed(manifest) => {
                report.jobs += 1;
                report.files_removed += n_removed;
                report.files_added += n_added;
                report.duplicates += duplicates;
                metrics::counter!("collector_compacted_files_total").increment(n_removed as u64);
                let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                let (tenant, kind, dt) = (&job.tenant, job.kind, &job.dt);
                tracing::info!(%tenant, %kind, %dt, manifest, n_removed, n_added, duration_ms, "merged");
            }
            CommitOutcome::Conflict | CommitOutcome::AlreadyCommitted => {
                tracing::info!(tenant = %job.tenant, kind = %job.kind, "merged by another collector");
                self.discard(&added).await;
            }
        }
        Ok(())
    }

    /// Deletes files that no manifest names.
    async fn discard(&self, files: &[FileEntry]) {
        for file in files {
            let deleted = self.lake.store().delete(&Path::from(file.path.as_str())).await;
            if let Err(error) = deleted {
                tracing::warn!(path = file.path, %error, "discarded file not deleted");
            }
        }
    }

    /// Merging computes for long, which the runtime's own threads must not.
    async fn merge(&self, job: Job) -> Result<Merged, CompactionError> {
        let (store, target_bytes) = (Arc::clone(self.lake.store()), self.settings.target_bytes);
        let runtime = tokio::runtime::Handle::current();
        let work = move || runtime.block_on(merge::merge(&store, &job, target_bytes));
        Ok(tokio::task::spawn_blocking(work).await??)
    }

    async fn delete_removed(
        &mut self,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<usize, LakeError> {
        let grace = SignedDuration::try_from(self.settings.grace).unwrap_or(SignedDuration::MAX);
        let horizon = now.saturating_sub(grace).unwrap_or(Timestamp::MIN);
        let mut deleted = 0;
        for removed in snapshot.removed() {
            let is_due = removed.removed_at <= horizon && snapshot.file(&removed.path).is_none();
            if !is_due || self.deleted.contains(&removed.path) {
                continue;
            }
            match self.lake.store().delete(&Path::from(removed.path.as_str())).await {
                Ok(()) => deleted += 1,
                Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            self.deleted.insert(removed.path.clone());
        }
        let named: HashSet<&str> =
            snapshot.removed().iter().map(|gone| gone.path.as_str()).collect();
        self.deleted.retain(|path| named.contains(path.as_str()));
        Ok(deleted)
    }
}
