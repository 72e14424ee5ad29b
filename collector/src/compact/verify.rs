//! Reading back what a merge has written.

use std::sync::Arc;

use futures::TryStreamExt;
use object_store::ObjectStore;
use parquet::arrow::ProjectionMask;
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;

use super::CompactionError;
use super::merge::Merged;
use super::rows::{RowKeys, RowSet};
use crate::lake::{FileReader, LakeError};
use crate::schema::column;

/// Compares the stored files with what was read from the old ones.
pub(super) async fn verify(
    store: &Arc<dyn ObjectStore>,
    merged: &Merged,
) -> Result<(), CompactionError> {
    let mut written = RowSet::default();
    for file in &merged.files {
        let builder = ParquetRecordBatchStreamBuilder::new(FileReader::new(store, file))
            .await
            .map_err(LakeError::from)?;
        let columns = [
            column::UNIT_HASH,
            column::TS,
            column::TS_RECEIVED,
            column::EVENT_ID,
            column::UNIT_ID,
            column::ENV,
        ];
        let mask = ProjectionMask::columns(builder.parquet_schema(), columns);
        let mut batches = builder.with_projection(mask).build().map_err(LakeError::from)?;
        while let Some(batch) = batches.try_next().await.map_err(LakeError::from)? {
            let keys = RowKeys::of(&batch)?;
            for row in 0..keys.len() {
                written.add(keys.identity(row));
            }
        }
    }
    if written != merged.expected {
        return Err(CompactionError::Mismatch {
            rows_expected: merged.expected.rows,
            rows_written: written.rows,
        });
    }
    Ok(())
}
