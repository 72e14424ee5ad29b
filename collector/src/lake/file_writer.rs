//! Writing one Parquet file of the lake, and what the log says about it.

use std::collections::BTreeSet;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::{max, min};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use object_store::path::Path;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use sha2::{Digest, Sha256};

use super::layout::ReceivedHour;
use super::{FileEntry, LakeError, UnitBuckets};
use crate::schema::{self, Kind, SCHEMA_VERSION, SCHEMA_VERSION_KEY, column};

/// Rows of a row group: what a reader holds of one file is bounded by it.
const ROW_GROUP_ROWS: usize = 128 * 1024;

/// Rows of a page: the page index skips in steps of this size.
const PAGE_ROWS: usize = 16 * 1024;

const ZSTD_LEVEL: i32 = 3;

/// Where a file belongs.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// Fresh, under its received hour.
    Hour(ReceivedHour),
    /// Compacted, under its received day and unit buckets.
    Buckets(String, UnitBuckets),
}

/// A file that is complete and not stored yet.
#[derive(Debug, Clone)]
pub(crate) struct NewFile {
    pub(crate) entry: FileEntry,
    pub(crate) bytes: Vec<u8>,
}

impl NewFile {
    pub(crate) fn path(&self) -> Path {
        Path::from(self.entry.path.as_str())
    }
}

/// A file being written. Batches must come in (`unit_hash`, `ts`) order.
pub(crate) struct FileWriter {
    kind: Kind,
    writer: ArrowWriter<Vec<u8>>,
    rows: u64,
    unit_hash: Bounds,
    ts: Bounds,
    ts_received: Bounds,
    environments: BTreeSet<String>,
}

impl FileWriter {
    pub(crate) fn try_new(kind: Kind) -> Result<Self, LakeError> {
        let writer =
            ArrowWriter::try_new(Vec::new(), schema::schema(kind), Some(properties(kind)?))?;
        Ok(Self {
            kind,
            writer,
            rows: 0,
            unit_hash: Bounds::default(),
            ts: Bounds::default(),
            ts_received: Bounds::default(),
            environments: BTreeSet::new(),
        })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), LakeError> {
        self.writer.write(batch)?;
        self.rows += batch.num_rows() as u64;
        let times = |name: &str| {
            let times =
                batch.column_by_name(name)?.as_primitive_opt::<TimestampMicrosecondType>()?;
            Some((min(times)?, max(times)?))
        };
        let hashes = batch.column_by_name(column::UNIT_HASH);
        let hashes = hashes.and_then(|hashes| hashes.as_primitive_opt::<Int64Type>());
        self.unit_hash.extend(hashes.and_then(|hashes| Some((min(hashes)?, max(hashes)?))));
        self.ts.extend(times(column::TS));
        self.ts_received.extend(times(column::TS_RECEIVED));
        self.note_environments(batch);
        Ok(())
    }

    fn note_environments(&mut self, batch: &RecordBatch) {
        let environments = batch.column_by_name(column::ENV);
        let Some(environments) =
            environments.and_then(|words| words.as_dictionary_opt::<Int32Type>())
        else {
            return;
        };
        let values = environments.values().as_string::<i32>();
        let mut last = None;
        for key in environments.keys().iter().flatten() {
            if last != Some(key) {
                last = Some(key);
                let value = usize::try_from(key).ok().filter(|key| *key < values.len());
                if let Some(value) = value.map(|key| values.value(key))
                    && !self.environments.contains(value)
                {
                    self.environments.insert(value.to_owned());
                }
            }
        }
    }

    /// Number of rows so far.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes so far, compressed or about to be.
    pub(crate) fn size_bytes(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }

    /// Completes the file of a place, under a name that comes without `.parquet`.
    pub(crate) fn finish(
        self,
        tenant: &str,
        place: &Place,
        name: &str,
    ) -> Result<NewFile, LakeError> {
        let kind = self.kind;
        let bytes = self.writer.into_inner()?;
        let (path, dt, hr, ub) = match place {
            Place::Hour(hour) => {
                let path = super::layout::fresh_path(tenant, kind, *hour, name);
                (path, hour.date(), Some(hour.hour()), None)
            }
            Place::Buckets(date, buckets) => {
                let path = super::layout::compacted_path(tenant, kind, date, buckets.first, name);
                (path, date.clone(), None, Some(*buckets))
            }
        };
        let entry = FileEntry {
            path: path.to_string(),
            tenant: tenant.to_owned(),
            kind,
            dt,
            hr,
            ub,
            environments: self.environments.into_iter().collect(),
            rows: self.rows,
            bytes: bytes.len() as u64,
            min_unit_hash: self.unit_hash.min,
            max_unit_hash: self.unit_hash.max,
            min_ts: self.ts.min,
            max_ts: self.ts.max,
            min_ts_received: self.ts_received.min,
            max_ts_received: self.ts_received.max,
            sha256: hex::encode(Sha256::digest(&bytes)),
        };
        Ok(NewFile { entry, bytes })
    }
}

#[derive(Debug, Clone, Copy)]
struct Bounds {
    min: i64,
    max: i64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { min: i64::MAX, max: i64::MIN }
    }
}

impl Bounds {
    fn extend(&mut self, bounds: Option<(i64, i64)>) {
        if let Some((min, max)) = bounds {
            self.min = self.min.min(min);
            self.max = self.max.max(max);
        }
    }
}

fn properties(kind: Kind) -> Result<WriterProperties, LakeError> {
    let schema = schema::schema(kind);
    let sorting = [column::UNIT_HASH, column::TS]
        .iter()
        .filter_map(|name| leaf_index(&schema, name))
        .map(|column_idx| SortingColumn { column_idx, descending: false, nulls_first: false })
        .collect();
    let version = KeyValue::new(SCHEMA_VERSION_KEY.to_owned(), SCHEMA_VERSION.to_owned());
    // Random or nearly unique: a dictionary would be built only to be given up.
    let without_dictionary = [column::EVENT_ID, column::UNIT_HASH, column::TS, column::VALUE];
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("sortition ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_sorting_columns(Some(sorting))
        .set_key_value_metadata(Some(vec![version]));
    for name in without_dictionary {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(name), false);
    }
    Ok(properties.build())
}

/// Index of a column among the leaves that Parquet counts; the columns before the sort keys are
/// not nested.
fn leaf_index(schema: &arrow::datatypes::Schema, name: &str) -> Option<i32> {
    schema.index_of(name).ok().and_then(|index| i32::try_from(index).ok())
}
