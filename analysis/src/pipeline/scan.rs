//! The scan of one project: every file once, divided between threads by unit hash.

use std::sync::Arc;
use std::time::Instant;

use collector::lake::{FileEntry, Lake, Snapshot};
use collector::schema::Kind;
use object_store::ObjectStore;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::cursor::{ExposureColumns, MetricColumns, ReadError};
use super::merge::{Source, UnitMerge};
use super::questions::Questions;
use super::tally::Tally;
use super::unit::UnitFold;

/// How often a scan starts again because compactions took its files away.
const ATTEMPTS: usize = 3;

/// Units between two looks at the cancellation.
const CANCEL_EVERY: u64 = 4096;

/// What a scan read.
#[derive(Debug, Clone, Copy, Default)]
pub struct ScanStats {
    /// Number of the lake's last manifest.
    pub lake: u64,
    /// Files read.
    pub files: u64,
    /// Rows decoded.
    pub rows: u64,
    /// Units with an exposure that was asked for.
    pub units: u64,
    /// Largest receive time among the files, microseconds since 1970; `i64::MIN` without files.
    pub max_received: i64,
}

/// Scans the lake's files of the project that the questions are about.
pub async fn scan(
    lake: &Lake,
    project: &str,
    questions: Arc<Questions>,
    threads: usize,
    cancelled: &CancellationToken,
) -> anyhow::Result<(Tally, ScanStats)> {
    let mut attempt = 1;
    loop {
        let snapshot = lake.snapshot().await?;
        let result = scan_snapshot(
            lake.store(),
            &snapshot,
            project,
            Arc::clone(&questions),
            threads,
            cancelled.clone(),
        )
        .await;
        match result {
            Err(error)
                if attempt < ATTEMPTS
                    && error.downcast_ref::<ReadError>().is_some_and(ReadError::is_gone) =>
            {
                tracing::info!(project, attempt, "files were compacted away, scanning again");
                attempt += 1;
            }
            result => return result,
        }
    }
}

async fn scan_snapshot(
    store: &Arc<dyn ObjectStore>,
    snapshot: &Arc<Snapshot>,
    project: &str,
    questions: Arc<Questions>,
    threads: usize,
    cancelled: CancellationToken,
) -> anyhow::Result<(Tally, ScanStats)> {
    let mut stats =
        ScanStats { lake: snapshot.number, max_received: i64::MIN, ..ScanStats::default() };
    let files = |kind| -> Vec<FileEntry> {
        let asked = |file: &&FileEntry| {
            file.environments.is_empty()
                || file.environments.iter().any(|env| questions.has_environment(env))
        };
        snapshot.files(project, kind).filter(asked).cloned().collect()
    };
    let exposures = Arc::new(files(Kind::Exposure));
    let metrics = Arc::new(files(Kind::Metric));
    for file in exposures.iter().chain(metrics.iter()) {
        stats.files += 1;
        stats.max_received = stats.max_received.max(file.max_ts_received);
    }
    let settled_at = stats.max_received;
    // Reading blocks on the store and computing takes whole seconds: neither belongs on the threads
    // that serve.
    let tasks: Vec<_> = hash_ranges(threads)
        .into_iter()
        .map(|(from, to)| {
            let (store, questions) = (Arc::clone(store), Arc::clone(&questions));
            let (exposures, metrics) = (Arc::clone(&exposures), Arc::clone(&metrics));
            let (handle, cancelled) = (Handle::current(), cancelled.clone());
            tokio::task::spawn_blocking(move || {
                let source = Source { handle: &handle, store: &store, questions: &questions };
                scan_range(&source, &exposures, &metrics, (from, to), settled_at, &cancelled)
            })
        })
        .collect();
    let mut tally: Option<Tally> = None;
    for task in tasks {
        let (part, rows, units) = task.await??;
        stats.rows += rows;
        stats.units += units;
        // In the order of the ranges: the same lake gives the same bits.
        tally = Some(match tally {
            None => part,
            Some(whole) => whole.merge(part),
        });
    }
    Ok((tally.unwrap_or_default(), stats))
}

/// The 64-bit hashes in `parts` equal ranges, both ends included.
fn hash_ranges(parts: usize) -> Vec<(i64, i64)> {
    let parts = i128::try_from(parts.max(1)).unwrap_or(1);
    let bound = |part: i128| i128::from(i64::MIN) + (part << 64) / parts;
    (0..parts)
        .filter_map(|part| {
            let from = i64::try_from(bound(part)).ok()?;
            let to = i64::try_from(bound(part + 1) - 1).ok()?;
            Some((from, to))
        })
        .collect()
}

fn scan_range(
    source: &Source<'_>,
    exposures: &[FileEntry],
    metrics: &[FileEntry],
    (from, to): (i64, i64),
    settled_at: i64,
    cancelled: &CancellationToken,
) -> anyhow::Result<(Tally, u64, u64)> {
    let started = Instant::now();
    let exposure_files: Vec<&FileEntry> = exposures.iter().collect();
    let metric_files: Vec<&FileEntry> = metrics.iter().collect();
    let mut exposures = UnitMerge::<ExposureColumns>::new(source, &exposure_files, from, to);
    let mut metrics = UnitMerge::<MetricColumns>::new(source, &metric_files, from, to);
    let mut fold = UnitFold::new(source.questions, settled_at);
    let (mut seen, mut events) = (Vec::new(), Vec::new());
    let mut units = 0_u64;
    while let Some(hash) = exposures.next_hash()? {
        seen.clear();
        exposures.take_unit(hash, &mut seen)?;
        if !fold.enter(&mut seen) {
            continue;
        }
        events.clear();
        metrics.take_unit(hash, &mut events)?;
        fold.fold(&mut events);
        units += 1;
        if units.is_multiple_of(CANCEL_EVERY) && cancelled.is_cancelled() {
            anyhow::bail!("cancelled");
        }
    }
    let rows = exposures.rows_read() + metrics.rows_read();
    tracing::debug!(
        from,
        to,
        rows,
        units,
        duration_ms = started.elapsed().as_secs_f64() * 1e3,
        "scanned a range of units"
    );
    Ok((fold.tally.close(), rows, units))
}

#[cfg(test)]
mod tests {
    use super::hash_ranges;

    #[test]
    fn hash_ranges_cover_every_hash_once() {
        for parts in [1, 2, 3, 7, 16] {
            let ranges = hash_ranges(parts);
            assert_eq!(ranges.len(), parts);
            assert_eq!((ranges[0].0, ranges[parts - 1].1), (i64::MIN, i64::MAX));
            assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0));
        }
    }
}
