//! From the write-ahead log into the lake.
//!
//! One sealed segment becomes one Parquet file per project, kind and received hour, named by the
//! collector and the segment's number, so that a repeated flush overwrites its own files. Then one
//! manifest adds all of them at once and notes the segment, so that it cannot be added again. Only
//! then the segment leaves the log. Segments are flushed in order; one that cannot be flushed is
//! tried again for as long as it takes, while the log holds what comes after it.

mod columns;
pub(crate) mod segment;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use object_store::ObjectStoreExt;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::disk::Disk;
use crate::lake::{Change, CommitOutcome, Lake, LakeError, Source};
use crate::wal::{Load, SealedSegment, retire};

const FIRST_RETRY: Duration = Duration::from_millis(200);
const LAST_RETRY: Duration = Duration::from_secs(15);

/// Why a segment is not in the lake yet.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FlushError {
    /// The log cannot be read or cleaned up.
    #[error("write-ahead log: {0}")]
    Log(#[from] io::Error),
    /// The lake cannot be written.
    #[error(transparent)]
    Lake(#[from] LakeError),
}

/// Brings segments into the lake.
#[derive(Debug, Clone)]
pub struct Flush {
    /// The disk of the log.
    pub disk: Arc<dyn Disk>,
    /// The folder of the log.
    pub dir: PathBuf,
    /// The lake.
    pub lake: Arc<Lake>,
    /// Id of the collector, as in the log.
    pub collector: String,
    /// How many event ids the log keeps of flushed segments.
    pub recent_capacity: usize,
}

impl Flush {
    /// Brings one segment into the lake and removes it from the log. May be repeated after any
    /// error and after any crash.
    pub async fn flush(&self, segment: &SealedSegment) -> Result<(), FlushError> {
        let started = Instant::now();
        let source = Source { collector: self.collector.clone(), segment: segment.number };
        let mut segment = segment.clone();
        let snapshot = self.lake.snapshot().await?;
        let is_committed = snapshot.committed_segment(&self.collector) >= Some(segment.number);
        let mut added = Vec::new();
        if !is_committed {
            let built = self.build(&segment).await?;
            if built.unreadable > 0 {
                tracing::error!(number = segment.number, events = built.unreadable, "unreadable");
                segment.damaged = true;
            }
            metrics::counter!("collector_flush_duplicates_total").increment(built.duplicates);
            for file in built.files {
                self.lake
                    .store()
                    .put(&file.path(), file.bytes.into())
                    .await
                    .map_err(LakeError::from)?;
                added.push(file.entry);
            }
        }
        let rows: u64 = added.iter().map(|file| file.rows).sum();
        let oldest = added.iter().map(|file| file.min_ts_received).min();
        let files = added.len();
        let change = Change { source: Some(source), added, removed: Vec::new() };
        let outcome = self.lake.commit(change).await?;
        self.retire(segment.clone()).await?;
        let manifest = match outcome {
            CommitOutcome::Committed(number) => number,
            CommitOutcome::AlreadyCommitted | CommitOutcome::Conflict => 0,
        };
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        metrics::histogram!("collector_flush_ms").record(started.elapsed().as_secs_f64() * 1e3);
        metrics::counter!("collector_flushed_rows_total").increment(rows);
        if let Some(oldest) = oldest {
            let lag_ms = clock::now().saturating_sub(oldest) as f64 / 1e3;
            metrics::gauge!("collector_flush_lag_ms").set(lag_ms);
        }
        tracing::info!(segment = segment.number, manifest, files, rows, duration_ms, "flushed");
        Ok(())
    }

    async fn build(&self, segment: &SealedSegment) -> Result<segment::SegmentFiles, FlushError> {
        let name = format!("{}-{:020}", self.collector, segment.number);
        let (disk, segment) = (Arc::clone(&self.disk), segment.clone());
        blocking(move || {
            let mut bytes = disk.read(&segment.path)?;
            bytes.truncate(usize::try_from(segment.valid_bytes).unwrap_or(usize::MAX));
            Ok(segment::segment_files(&bytes, &name)?)
        })
        .await
    }

    async fn retire(&self, segment: SealedSegment) -> Result<(), FlushError> {
        let (disk, dir, capacity) =
            (Arc::clone(&self.disk), self.dir.clone(), self.recent_capacity);
        blocking(move || Ok(retire(disk.as_ref(), &dir, &segment, capacity)?)).await
    }

    /// Flushes segments as they come, until there will be no more, or until `give_up` while one
    /// cannot be flushed: what is left stays in the log for the next start.
    pub async fn run(
        &self,
        mut segments: UnboundedReceiver<SealedSegment>,
        log: &Load,
        give_up: CancellationToken,
    ) {
        while let Some(segment) = segments.recv().await {
            let mut delay = FIRST_RETRY;
            while let Err(error) = self.flush(&segment).await {
                metrics::counter!("collector_flush_failures_total").increment(1);
                tracing::warn!(segment = segment.number, %error, ?delay, "flush failed, will retry");
                tokio::select! {
                    () = tokio::time::sleep(delay) => {}
                    () = give_up.cancelled() => return,
                }
                delay = (delay * 2).min(LAST_RETRY);
            }
            log.note_flushed(segment.valid_bytes);
        }
    }
}

/// Runs work that blocks or computes for long away from the runtime's own threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FlushError> + Send + 'static,
) -> Result<T, FlushError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(FlushError::Log(io::Error::other(error))),
    }
}
