//! One streaming merge of sorted files into sorted files per range of units.
//!
//! Memory holds a batch of every input, the rows of the unit at hand, and the output file being
//! written (compressed).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::async_reader::{ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder};
use uuid::Uuid;

use super::plan::{self, Job};
use super::rows::{RowKeys, RowSet};
use crate::lake::file_writer::{FileWriter, Place};
use crate::lake::{FileEntry, FileReader, LakeError, UnitBuckets};

/// Rows read and written at a time.
const BATCH_ROWS: usize = 8 * 1024;

/// A unit with more rows is merged in pieces, and of its rows that were stored twice the earliest
/// stays instead of the first received.
const MAX_UNIT_ROWS: usize = 64 * 1024;

/// The files of a merge, stored and not yet part of the lake.
#[derive(Debug)]
pub(super) struct Merged {
    pub(super) files: Vec<FileEntry>,
    /// Rows that were stored twice and are not in the files.
    pub(super) duplicates: u64,
    /// The rows that the files should have.
    pub(super) expected: RowSet,
}

/// Merges the files of a job. The new files get names that were never used: another collector may
/// be merging the same files, and must not overwrite them.
pub(super) async fn merge(
    store: &Arc<dyn ObjectStore>,
    job: &Job,
    target_bytes: u64,
) -> Result<Merged, LakeError> {
    let total_bytes = job.files.iter().map(|file| file.bytes).sum();
    let mut merge = Merge {
        sources: Vec::new(),
        held: Vec::new(),
        heap: BinaryHeap::new(),
        unit: Vec::new(),
        seen: HashSet::new(),
        read: RowSet::default(),
        dropped: RowSet::default(),
        output: Output {
            store,
            job,
            name: Uuid::now_v7().simple().to_string(),
            max_bytes: usize::try_from(target_bytes.saturating_mul(2)).unwrap_or(usize::MAX),
            buckets: plan::bucket_count(total_bytes, target_bytes),
            open: None,
            pending: Vec::new(),
            files: Vec::new(),
        },
    };
    for file in &job.files {
        merge.open(store, file).await?;
    }
    merge.run().await
}

/// One input.
struct Source {
    batches: ParquetRecordBatchStream<FileReader>,
    /// Index of its current batch among the held ones.
    held: usize,
    row: usize,
}

/// A batch that rows of the output still come from.
struct Held {
    batch: RecordBatch,
    keys: RowKeys,
}

/// Where a row is: held batch and row in it.
type RowAt = (usize, usize);

/// Sort key of the next row of a source: `unit_hash`, `ts`, `ts_received`, source.
type Next = Reverse<(i64, i64, i64, usize)>;

struct Merge<'m> {
    sources: Vec<Source>,
    held: Vec<Held>,
    heap: BinaryHeap<Next>,
    /// Rows of the unit at hand, in order.
    unit: Vec<RowAt>,
    /// Identities of the unit's earlier pieces.
    seen: HashSet<u128>,
    read: RowSet,
    dropped: RowSet,
    output: Output<'m>,
}

impl Merge<'_> {
    async fn open(
        &mut self,
        store: &Arc<dyn ObjectStore>,
        file: &FileEntry,
    ) -> Result<(), LakeError> {
        let batches = ParquetRecordBatchStreamBuilder::new(FileReader::new(store, file))
            .await?
            .with_batch_size(BATCH_ROWS)
            .build()?;
        self.sources.push(Source { batches, held: 0, row: 0 });
        self.advance(self.sources.len() - 1).await
    }

    async fn run(mut self) -> Result<Merged, LakeError> {
        let mut unit_hash = None;
        while let Some(Reverse((hash, _, _, source))) = self.heap.pop() {
            if unit_hash.is_some_and(|current| current != hash) {
                self.finish_unit(true).await?;
            } else if self.unit.len() >= MAX_UNIT_ROWS {
                self.finish_unit(false).await?;
            }
            unit_hash = Some(hash);
            let Source { held, row, .. } = &mut self.sources[source];
            self.unit.push((*held, *row));
            *row += 1;
            if *row < self.held[*held].keys.len() {
                self.push_next(source);
            } else {
                self.advance(source).await?;
            }
        }
        self.finish_unit(true).await?;
        self.output.flush(&self.held)?;
        self.output.close().await?;
        Ok(Merged {
            files: self.output.files,
            duplicates: self.dropped.rows,
            expected: self.read.without(self.dropped),
        })
    }

    /// Brings the next batch of a source in.
    async fn advance(&mut self, source: usize) -> Result<(), LakeError> {
        while let Some(batch) = self.sources[source].batches.try_next().await? {
            if batch.num_rows() == 0 {
                continue;
            }
            let keys = RowKeys::of(&batch)?;
            self.held.push(Held { batch, keys });
            self.sources[source].held = self.held.len() - 1;
            self.sources[source].row = 0;
            self.push_next(source);
            return Ok(());
        }
        Ok(())
    }

    fn push_next(&mut self, source: usize) {
        let Source { held, row, .. } = self.sources[source];
        let keys = &self.held[held].keys;
        self.heap.push(Reverse((keys.unit_hash(row), keys.ts(row), keys.ts_received(row), source)));
    }

    /// Hands the rows of the unit on, each event once.
    async fn finish_unit(&mut self, is_last_piece: bool) -> Result<(), LakeError> {
        let unit = std::mem::take(&mut self.unit);
        let Some(first) = unit.first() else { return Ok(()) };
        let unit_hash = self.held[first.0].keys.unit_hash(first.1);
        let mut kept: HashMap<u128, RowAt> = HashMap::with_capacity(unit.len());
        for at in &unit {
            let keys = &self.held[at.0].keys;
            let identity = keys.identity(at.1);
            self.read.add(identity);
            if self.seen.contains(&identity) {
                continue;
            }
            kept.entry(identity)
                .and_modify(|known| {
                    let known_received = self.held[known.0].keys.ts_received(known.1);
                    if keys.ts_received(at.1) < known_received {
                        *known = *at;
                    }
                })
                .or_insert(*at);
        }
        self.output.enter(unit_hash, &self.held).await?;
        for at in unit {
            let identity = self.held[at.0].keys.identity(at.1);
            if kept.get(&identity) == Some(&at) {
                self.output.pending.push(at);
            } else {
                self.dropped.add(identity);
            }
        }
        if is_last_piece {
            self.seen.clear();
        } else {
            self.seen.extend(kept.into_keys());
        }
        if self.output.pending.len() >= BATCH_ROWS {
            self.output.flush(&self.held)?;
            self.release();
        }
        Ok(())
    }

    /// Lets go of the batches that no row comes from any more.
    fn release(&mut self) {
        let in_use: HashSet<usize> = self.sources.iter().map(|source| source.held).collect();
        let mut moved = HashMap::new();
        let held = std::mem::take(&mut self.held);
        for (index, batch) in held.into_iter().enumerate() {
            if in_use.contains(&index) {
                moved.insert(index, self.held.len());
                self.held.push(batch);
            }
        }
        for source in &mut self.sources {
            if let Some(index) = moved.get(&source.held) {
                source.held = *index;
            }
        }
    }
}

/// The files being written.
struct Output<'m> {
    store: &'m Arc<dyn ObjectStore>,
    job: &'m Job,
    name: String,
    max_bytes: usize,
    buckets: u16,
    open: Option<(UnitBuckets, FileWriter)>,
    /// Rows that are not in the open file yet.
    pending: Vec<RowAt>,
    files: Vec<FileEntry>,
}

impl Output<'_> {
    /// Makes sure that the open file is one for a unit.
    async fn enter(&mut self, unit_hash: i64, held: &[Held]) -> Result<(), LakeError> {
        let buckets = buckets_of(unit_hash, self.buckets);
        let is_right = self
            .open
            .as_ref()
            .is_some_and(|(open, file)| *open == buckets && file.size_bytes() < self.max_bytes);
        if !is_right {
            self.flush(held)?;
            self.close().await?;
            self.open = Some((buckets, FileWriter::try_new(self.job.kind)?));
        }
        Ok(())
    }

    /// Writes the pending rows.
    fn flush(&mut self, held: &[Held]) -> Result<(), LakeError> {
        if let Some((_, file)) = &mut self.open
            && !self.pending.is_empty()
        {
            let batches: Vec<&RecordBatch> = held.iter().map(|held| &held.batch).collect();
            file.write(&interleave_record_batch(&batches, &self.pending)?)?;
        }
        self.pending.clear();
        Ok(())
    }

    /// Stores the open file.
    async fn close(&mut self) -> Result<(), LakeError> {
        let Some((buckets, file)) = self.open.take() else { return Ok(()) };
        if file.rows() == 0 {
            return Ok(());
        }
        let name = format!("{}-{:03}", self.name, self.files.len());
        let place = Place::Buckets(self.job.dt.clone(), buckets);
        let file = file.finish(&self.job.tenant, &place, &name)?;
        self.store.put(&file.path(), file.bytes.into()).await?;
        self.files.push(file.entry);
        Ok(())
    }
}

/// The range of first bytes that a unit falls into when there are so many.
fn buckets_of(unit_hash: i64, count: u16) -> UnitBuckets {
    let width = 256 / count.clamp(1, 256);
    let [byte, ..] = unit_hash.to_be_bytes();
    let first = u16::from(byte) / width * width;
    let byte = |value: u16| u8::try_from(value).unwrap_or(u8::MAX);
    UnitBuckets { first: byte(first), last: byte(first + width - 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_ranges_of_the_first_byte() {
        let hash = |byte: u8| i64::from_be_bytes([byte, 1, 2, 3, 4, 5, 6, 7]);
        for (byte, count, first, last) in [
            (0, 1, 0, 255),
            (255, 1, 0, 255),
            (127, 2, 0, 127),
            (128, 2, 128, 255),
            (200, 4, 192, 255),
            (200, 256, 200, 200),
        ] {
            assert_eq!(
                buckets_of(hash(byte), count),
                UnitBuckets { first, last },
                "{byte} {count}"
            );
        }
    }
}
