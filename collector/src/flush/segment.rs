//! A segment of the write-ahead log as Parquet files.

use std::collections::{BTreeMap, HashSet};

use crate::clock::Micros;
use crate::event::Event;
use crate::lake::LakeError;
use crate::lake::file_writer::{FileWriter, NewFile, Place};
use crate::lake::layout::ReceivedHour;
use crate::schema::Kind;
use crate::wal::record::{self, Contents};

use super::columns::{Columns, Row};

/// Rows built at a time.
const BATCH_ROWS: usize = 8 * 1024;

/// The files of a segment.
#[derive(Debug, Default)]
pub(crate) struct SegmentFiles {
    pub(crate) files: Vec<NewFile>,
    /// Events whose id came twice in the segment; the first one counts.
    pub(crate) duplicates: u64,
    /// Events that cannot be decoded, though their record is whole.
    pub(crate) unreadable: u64,
}

/// A file holds the events of one project, kind and received hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Group<'s> {
    tenant: &'s str,
    kind: Kind,
    hour: ReceivedHour,
}

/// Where a row lies in the segment, and its sort keys. Rows are decoded twice, once to be sorted
/// and once to be written, so that memory holds this instead of the decoded event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct RowKey {
    unit_hash: i64,
    ts: Micros,
    batch: u32,
    event: u32,
    unit: u32,
}

/// Brings a segment into files named `name`.
pub(crate) fn segment_files(bytes: &[u8], name: &str) -> Result<SegmentFiles, LakeError> {
    let contents = record::read(bytes);
    let mut result = SegmentFiles::default();
    for (group, mut rows) in sort_rows(&contents, &mut result) {
        rows.sort_unstable();
        result.files.push(write_file(&contents, group, &rows, name)?);
    }
    Ok(result)
}

fn sort_rows<'s>(
    contents: &Contents<'s>,
    result: &mut SegmentFiles,
) -> BTreeMap<Group<'s>, Vec<RowKey>> {
    let mut groups: BTreeMap<Group<'s>, Vec<RowKey>> = BTreeMap::new();
    let mut seen = HashSet::new();
    for (batch_index, batch) in (0..).zip(&contents.batches) {
        let hour = ReceivedHour::of_micros(batch.received);
        for ((event_index, bytes), key) in (0..).zip(&batch.events).zip(batch.dedup_keys()) {
            if !seen.insert(key) {
                result.duplicates += 1;
                continue;
            }
            let Ok(event) = postcard::from_bytes::<Event<'_>>(bytes) else {
                result.unreadable += 1;
                continue;
            };
            let group = Group { tenant: batch.tenant, kind: event.detail.kind(), hour };
            let rows = groups.entry(group).or_default();
            let key = |unit_hash, unit| RowKey {
                unit_hash,
                ts: event.ts,
                batch: batch_index,
                event: event_index,
                unit,
            };
            if event.units.is_empty() {
                rows.push(key(0, 0));
            }
            rows.extend((0..).zip(&event.units).map(|(index, unit)| key(unit.hash(), index)));
        }
    }
    groups
}

fn write_file(
    contents: &Contents<'_>,
    group: Group<'_>,
    rows: &[RowKey],
    name: &str,
) -> Result<NewFile, LakeError> {
    let mut file = FileWriter::try_new(group.kind)?;
    let mut columns = Columns::new(group.kind);
    for key in rows {
        let batch = &contents.batches[key.batch as usize];
        let Ok(event) = postcard::from_bytes::<Event<'_>>(batch.events[key.event as usize]) else {
            continue;
        };
        columns.push(&Row {
            env: batch.env,
            received: batch.received,
            event: &event,
            unit: event.units.get(key.unit as usize),
        })?;
        if columns.rows() >= BATCH_ROWS {
            file.write(&columns.finish_batch()?)?;
        }
    }
    if columns.rows() > 0 {
        file.write(&columns.finish_batch()?)?;
    }
    file.finish(group.tenant, &Place::Hour(group.hour), name)
}
