//! The columns of a batch that merging looks at.

use arrow::array::{Array, AsArray, FixedSizeBinaryArray, Int32Array, RecordBatch, StringArray};
use arrow::array::{Int64Array, TimestampMicrosecondArray};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use xxhash_rust::xxh3::Xxh3;

use crate::lake::LakeError;
use crate::schema::column;

/// The keys of the rows of a batch.
#[derive(Debug, Clone)]
pub(super) struct RowKeys {
    unit_hash: Int64Array,
    ts: TimestampMicrosecondArray,
    ts_received: TimestampMicrosecondArray,
    event_id: FixedSizeBinaryArray,
    unit_id: FixedSizeBinaryArray,
    env_keys: Int32Array,
    env_values: StringArray,
}

impl RowKeys {
    /// The keys of a batch of the lake's schema.
    pub(super) fn of(batch: &RecordBatch) -> Result<Self, LakeError> {
        let damaged = |name: &str| LakeError::Damaged {
            path: name.to_owned(),
            detail: "the column is missing or of another type".to_owned(),
        };
        let time = |name: &str| {
            let times =
                batch.column_by_name(name)?.as_primitive_opt::<TimestampMicrosecondType>()?;
            Some(times.clone())
        };
        let id = |name: &str| {
            let ids =
                batch.column_by_name(name)?.as_any().downcast_ref::<FixedSizeBinaryArray>()?;
            Some(ids.clone())
        };
        let unit_hash = batch.column_by_name(column::UNIT_HASH);
        let env = batch.column_by_name(column::ENV);
        let env = env.and_then(|env| env.as_dictionary_opt::<Int32Type>());
        let env = env.ok_or_else(|| damaged(column::ENV))?;
        Ok(Self {
            unit_hash: unit_hash
                .and_then(|hashes| hashes.as_primitive_opt::<Int64Type>())
                .ok_or_else(|| damaged(column::UNIT_HASH))?
                .clone(),
            ts: time(column::TS).ok_or_else(|| damaged(column::TS))?,
            ts_received: time(column::TS_RECEIVED).ok_or_else(|| damaged(column::TS_RECEIVED))?,
            event_id: id(column::EVENT_ID).ok_or_else(|| damaged(column::EVENT_ID))?,
            unit_id: id(column::UNIT_ID).ok_or_else(|| damaged(column::UNIT_ID))?,
            env_keys: env.keys().clone(),
            env_values: env
                .values()
                .as_string_opt::<i32>()
                .ok_or_else(|| damaged(column::ENV))?
                .clone(),
        })
    }

    pub(super) fn len(&self) -> usize {
        self.unit_hash.len()
    }

    pub(super) fn unit_hash(&self, row: usize) -> i64 {
        self.unit_hash.value(row)
    }

    pub(super) fn ts(&self, row: usize) -> i64 {
        self.ts.value(row)
    }

    pub(super) fn ts_received(&self, row: usize) -> i64 {
        self.ts_received.value(row)
    }

    /// Two rows of one kind with the same identity are the same event of the same unit.
    pub(super) fn identity(&self, row: usize) -> u128 {
        let mut hasher = Xxh3::new();
        hasher.update(self.event_id.value(row));
        if self.unit_id.is_valid(row) {
            hasher.update(self.unit_id.value(row));
        }
        if let Ok(key) = usize::try_from(self.env_keys.value(row)) {
            hasher.update(self.env_values.value(key).as_bytes());
        }
        hasher.digest128()
    }
}

/// How many rows there are and which, whatever their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RowSet {
    pub(super) rows: u64,
    /// Sum of the identities.
    pub(super) digest: u128,
}

impl RowSet {
    pub(super) fn add(&mut self, identity: u128) {
        self.rows += 1;
        self.digest = self.digest.wrapping_add(identity);
    }

    pub(super) fn without(self, other: Self) -> Self {
        Self {
            rows: self.rows.saturating_sub(other.rows),
            digest: self.digest.wrapping_sub(other.digest),
        }
    }
}
