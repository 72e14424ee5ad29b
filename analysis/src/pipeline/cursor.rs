//! Reading one lake file unit by unit, in batches of bounded size.

use std::sync::Arc;

use arrow::array::{
    Array, AsArray, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringArray,
};
use arrow::buffer::{Buffer, ScalarBuffer};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use collector::lake::FileEntry;
use collector::schema::column;
use futures::StreamExt;
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::arrow::ProjectionMask;
use parquet::arrow::async_reader::{ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;
use tokio::runtime::Handle;

use super::object_reader::ObjectReader;
use super::questions::{NONE, Questions, Slot};

/// Rows decoded at a time. Larger batches gain no speed and cost memory in every open file.
const BATCH_ROWS: usize = 8192;

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The object store or the Parquet reader failed.
    #[error("{path}: {error}")]
    Parquet {
        /// The file.
        path: String,
        /// What happened.
        error: parquet::errors::ParquetError,
    },
    /// A column is missing or of another type than the schema says.
    #[error("{path}: column {column} is not what the schema says")]
    Column {
        /// The file.
        path: String,
        /// The column.
        column: &'static str,
    },
    /// Rows are not sorted by unit hash.
    #[error("{path}: rows are not sorted by unit_hash")]
    Unsorted {
        /// The file.
        path: String,
    },
}

impl ReadError {
    /// Whether the file is gone, which a compaction may have done: a new snapshot helps.
    pub(super) fn is_gone(&self) -> bool {
        let Self::Parquet { error: parquet::errors::ParquetError::External(cause), .. } = self
        else {
            return false;
        };
        matches!(
            cause.downcast_ref::<object_store::Error>(),
            Some(object_store::Error::NotFound { .. })
        )
    }
}

/// An exposure that is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExposureRow {
    pub(super) event_id: u128,
    pub(super) ts: i64,
    pub(super) received: i64,
    pub(super) generation: Option<i64>,
    pub(super) experiment: u32,
    /// Project-wide number of the variant's name.
    pub(super) variant: u32,
}

/// A metric event that is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct MetricRow {
    pub(super) event_id: u128,
    pub(super) ts: i64,
    pub(super) received: i64,
    pub(super) value: f64,
    pub(super) slot: Slot,
}

/// The columns of one kind of file, as the scan needs them.
pub(super) trait Columns: Sized {
    /// What a row becomes.
    type Row;
    /// Names of the columns to read.
    const NAMES: &'static [&'static str];
    /// Takes the columns out of a batch.
    fn take(batch: &RecordBatch, questions: &Questions) -> Result<Self, &'static str>;
    /// The hashes of all rows.
    fn hashes(&self) -> &[i64];
    /// A row, unless nobody asks for it.
    fn row(&self, index: usize) -> Option<Self::Row>;
}

/// Columns that both kinds have.
struct Common {
    hashes: ScalarBuffer<i64>,
    ts: ScalarBuffer<i64>,
    received: ScalarBuffer<i64>,
    /// 16 bytes for each row.
    event_ids: Buffer,
}

impl Common {
    fn take(batch: &RecordBatch) -> Result<Self, &'static str> {
        let times = |name: &'static str| -> Result<ScalarBuffer<i64>, &'static str> {
            let column = batch.column_by_name(name).ok_or(name)?;
            let times = column.as_primitive_opt::<TimestampMicrosecondType>().ok_or(name)?;
            Ok(times.values().clone())
        };
        Ok(Self {
            hashes: int64(batch, column::UNIT_HASH)?.values().clone(),
            ts: times(column::TS)?,
            received: times(column::TS_RECEIVED)?,
            event_ids: batch
                .column_by_name(column::EVENT_ID)
                .and_then(|ids| ids.as_fixed_size_binary_opt())
                .filter(|ids| ids.value_length() == 16 && ids.null_count() == 0)
                .map(|ids| ids.values().clone())
                .ok_or(column::EVENT_ID)?,
        })
    }

    #[inline]
    fn event_id(&self, index: usize) -> u128 {
        let bytes = self.event_ids.as_slice().as_chunks::<16>().0;
        u128::from_ne_bytes(bytes[index])
    }
}

/// What the questions call each row's combination of environment, unit type and name.
fn meanings(
    batch: &RecordBatch,
    name: &'static str,
    lookup: impl Fn(&str, &str, &str) -> u32,
) -> Result<Vec<u32>, &'static str> {
    let environments = Words::take(batch, column::ENV)?;
    let unit_types = Words::take(batch, column::UNIT_TYPE)?;
    let names = Words::take(batch, name)?;
    // Each combination of words is looked up once for the whole batch.
    let mut table = Vec::with_capacity(environments.len() * unit_types.len() * names.len());
    for env in environments.iter() {
        for unit_type in unit_types.iter() {
            table.extend(names.iter().map(|name| lookup(env, unit_type, name)));
        }
    }
    let meaning = |env: usize, unit_type: usize, name: usize| {
        let row = env * unit_types.len() + unit_type;
        table.get(row * names.len() + name).copied().unwrap_or(NONE)
    };
    if environments.is_uniform() && unit_types.is_uniform() && names.words.null_count() == 0 {
        return Ok(names
            .keys()
            .map(|name| name.map_or(NONE, |name| meaning(0, 0, name)))
            .collect());
    }
    let rows = environments.keys().zip(unit_types.keys()).zip(names.keys());
    Ok(rows
        .map(|((env, unit_type), name)| match (env, unit_type, name) {
            (Some(env), Some(unit_type), Some(name)) => meaning(env, unit_type, name),
            _ => NONE,
        })
        .collect())
}

/// A dictionary column.
struct Words {
    words: DictionaryArray<Int32Type>,
    values: StringArray,
}

impl Words {
    fn take(batch: &RecordBatch, name: &'static str) -> Result<Self, &'static str> {
        let words = batch
            .column_by_name(name)
            .and_then(|column| column.as_dictionary_opt::<Int32Type>())
            .ok_or(name)?;
        let values = words.values().as_string_opt::<i32>().ok_or(name)?.clone();
        Ok(Self { words: words.clone(), values })
    }

    fn len(&self) -> usize {
        self.values.len()
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(Option::unwrap_or_default)
    }

    /// Whether every row has the one word that there is.
    fn is_uniform(&self) -> bool {
        self.len() == 1 && self.words.null_count() == 0
    }

    /// Index of each row's word; none where there is none.
    fn keys(&self) -> impl Iterator<Item = Option<usize>> {
        let keys = self.words.keys();
        let nulls = keys.nulls();
        keys.values().iter().enumerate().map(move |(row, key)| {
            let known = nulls.is_none_or(|nulls| nulls.is_valid(row));
            usize::try_from(*key).ok().filter(|_| known)
        })
    }
}

fn int64<'b>(batch: &'b RecordBatch, name: &'static str) -> Result<&'b Int64Array, &'static str> {
    batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int64Type>()).ok_or(name)
}

/// Columns of exposures.
pub(super) struct ExposureColumns {
    common: Common,
    experiments: Vec<u32>,
    /// Project-wide number of each row's variant.
    variants: Vec<u32>,
    generations: Int64Array,
}

impl Columns for ExposureColumns {
    type Row = ExposureRow;

    const NAMES: &'static [&'static str] = &[
        column::EVENT_ID,
        column::ENV,
        column::UNIT_TYPE,
        column::UNIT_HASH,
        column::TS,
        column::TS_RECEIVED,
        column::EXPERIMENT_ID,
        column::VARIANT,
        column::CONFIG_VERSION,
    ];

    fn take(batch: &RecordBatch, questions: &Questions) -> Result<Self, &'static str> {
        let variants = Words::take(batch, column::VARIANT)?;
        let numbers: Vec<u32> = variants.iter().map(|name| questions.variant(name)).collect();
        let number = |key: Option<usize>| key.and_then(|key| numbers.get(key)).copied();
        Ok(Self {
            common: Common::take(batch)?,
            experiments: meanings(batch, column::EXPERIMENT_ID, |env, unit, name| {
                questions.experiment(env, unit, name)
            })?,
            variants: variants.keys().map(|key| number(key).unwrap_or(NONE)).collect(),
            generations: int64(batch, column::CONFIG_VERSION)?.clone(),
        })
    }

    fn hashes(&self) -> &[i64] {
        &self.common.hashes
    }

    #[inline]
    fn row(&self, index: usize) -> Option<ExposureRow> {
        let experiment = self.experiments[index];
        if experiment == NONE {
            return None;
        }
        let known = !self.generations.is_null(index);
        Some(ExposureRow {
            event_id: self.common.event_id(index),
            ts: self.common.ts[index],
            received: self.common.received[index],
            generation: known.then(|| self.generations.values()[index]),
            experiment,
            variant: self.variants[index],
        })
    }
}

/// Columns of metric events.
pub(super) struct MetricColumns {
    common: Common,
    slots: Vec<u32>,
    values: Float64Array,
}

impl Columns for MetricColumns {
    type Row = MetricRow;

    const NAMES: &'static [&'static str] = &[
        column::EVENT_ID,
        column::ENV,
        column::UNIT_TYPE,
        column::UNIT_HASH,
        column::TS,
        column::TS_RECEIVED,
        column::NAME,
        column::VALUE,
    ];

    fn take(batch: &RecordBatch, questions: &Questions) -> Result<Self, &'static str> {
        Ok(Self {
            common: Common::take(batch)?,
            slots: meanings(batch, column::NAME, |env, unit, name| {
                questions.slot(env, unit, name)
            })?,
            values: batch
                .column_by_name(column::VALUE)
                .and_then(|values| values.as_primitive_opt())
                .ok_or(column::VALUE)?
                .clone(),
        })
    }

    fn hashes(&self) -> &[i64] {
        &self.common.hashes
    }

    #[inline]
    fn row(&self, index: usize) -> Option<MetricRow> {
        let slot = self.slots[index];
        if slot == NONE {
            return None;
        }
        // An event without a value still is an event; its sum is 0.
        let value = if self.values.is_null(index) { 0.0 } else { self.values.values()[index] };
        Some(MetricRow {
            event_id: self.common.event_id(index),
            ts: self.common.ts[index],
            received: self.common.received[index],
            value,
            slot,
        })
    }
}

/// One open file, at one of its rows. Hashes at the cursor only grow.
pub(super) struct Cursor<C> {
    path: String,
    stream: ParquetRecordBatchStream<ObjectReader>,
    columns: C,
    index: usize,
    rows_read: u64,
}

impl<C: Columns> Cursor<C> {
    /// Opens a file at its first row with a hash of at least `from`; none if there is none.
    pub(super) fn open(
        handle: &Handle,
        store: &Arc<dyn ObjectStore>,
        entry: &FileEntry,
        questions: &Questions,
        from: i64,
    ) -> Result<Option<Self>, ReadError> {
        let failed = |error| ReadError::Parquet { path: entry.path.clone(), error };
        let path = Path::from(entry.path.as_str());
        let reader = ObjectReader::new(Arc::clone(store), path, entry.bytes);
        let builder =
            handle.block_on(ParquetRecordBatchStreamBuilder::new(reader)).map_err(failed)?;
        let projection =
            ProjectionMask::columns(builder.parquet_schema(), C::NAMES.iter().copied());
        let groups = builder.metadata().row_groups();
        let wanted = (0..groups.len()).filter(|&i| reaches(&groups[i], from)).collect();
        let mut stream = builder
            .with_projection(projection)
            .with_row_groups(wanted)
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(failed)?;
        let path = entry.path.clone();
        let first: Option<C> = next_columns(handle, &mut stream, &path, questions)?;
        let Some(columns) = first else {
            return Ok(None);
        };
        let rows_read = columns.hashes().len() as u64;
        let mut cursor = Self { path, stream, columns, index: 0, rows_read };
        Ok(cursor.seek(handle, questions, from)?.then_some(cursor))
    }

    /// Hash at the cursor.
    pub(super) fn hash(&self) -> i64 {
        self.columns.hashes()[self.index]
    }

    /// Rows decoded so far.
    pub(super) fn rows_read(&self) -> u64 {
        self.rows_read
    }

    /// Moves to the first row with a hash of at least `hash`; false at the end of the file.
    pub(super) fn seek(
        &mut self,
        handle: &Handle,
        questions: &Questions,
        hash: i64,
    ) -> Result<bool, ReadError> {
        loop {
            let rest = &self.columns.hashes()[self.index..];
            if rest.last().is_some_and(|last| *last >= hash) {
                self.index += rest.partition_point(|other| *other < hash);
                return Ok(true);
            }
            if !self.next_batch(handle, questions)? {
                return Ok(false);
            }
        }
    }

    /// Hands over the rows of the unit at the cursor and moves behind them; false at the end.
    pub(super) fn take_unit(
        &mut self,
        handle: &Handle,
        questions: &Questions,
        rows: &mut Vec<C::Row>,
    ) -> Result<bool, ReadError> {
        let hash = self.hash();
        loop {
            let hashes = self.columns.hashes();
            while self.index < hashes.len() && hashes[self.index] == hash {
                rows.extend(self.columns.row(self.index));
                self.index += 1;
            }
            if let Some(next) = hashes.get(self.index) {
                if *next < hash {
                    return Err(ReadError::Unsorted { path: self.path.clone() });
                }
                return Ok(true);
            }
            if !self.next_batch(handle, questions)? {
                return Ok(false);
            }
            if self.hash() < hash {
                return Err(ReadError::Unsorted { path: self.path.clone() });
            }
        }
    }

    fn next_batch(&mut self, handle: &Handle, questions: &Questions) -> Result<bool, ReadError> {
        let next: Option<C> = next_columns(handle, &mut self.stream, &self.path, questions)?;
        let Some(columns) = next else {
            return Ok(false);
        };
        self.rows_read += columns.hashes().len() as u64;
        self.columns = columns;
        self.index = 0;
        Ok(true)
    }
}

/// The columns of the next batch that has rows.
fn next_columns<C: Columns>(
    handle: &Handle,
    stream: &mut ParquetRecordBatchStream<ObjectReader>,
    path: &str,
    questions: &Questions,
) -> Result<Option<C>, ReadError> {
    loop {
        let Some(batch) = handle.block_on(stream.next()) else { return Ok(None) };
        let batch = batch.map_err(|error| ReadError::Parquet { path: path.to_owned(), error })?;
        if batch.num_rows() > 0 {
            let columns = C::take(&batch, questions);
            return columns
                .map(Some)
                .map_err(|column| ReadError::Column { path: path.to_owned(), column });
        }
    }
}

/// Whether a row group may hold hashes of at least `from`.
fn reaches(group: &RowGroupMetaData, from: i64) -> bool {
    let hashes =
        group.columns().iter().find(|chunk| chunk.column_path().string() == column::UNIT_HASH);
    match hashes.and_then(|chunk| chunk.statistics()) {
        Some(Statistics::Int64(bounds)) => bounds.max_opt().is_none_or(|max| *max >= from),
        _ => true,
    }
}
