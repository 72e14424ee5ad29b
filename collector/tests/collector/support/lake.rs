//! A reader of the lake that trusts nothing but the manifests and the Parquet files.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use collector::lake::{FileEntry, FileReader, Lake};
use collector::schema::Kind;
use futures::TryStreamExt;
use object_store::ObjectStore;
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// One stored row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StoredRow {
    pub(crate) kind: Kind,
    pub(crate) event_id: Uuid,
    pub(crate) env: String,
    pub(crate) unit_type: Option<String>,
    pub(crate) unit_id: Option<[u8; 16]>,
    pub(crate) unit_hash: i64,
    pub(crate) ts: i64,
    pub(crate) ts_received: i64,
}

/// Every row of the lake. On the way, checks every file against what the log says of it.
pub(crate) async fn rows(lake: &Lake) -> Vec<StoredRow> {
    let snapshot = lake.snapshot().await.unwrap();
    let mut rows = Vec::new();
    for file in snapshot.all_files() {
        let stored = read_file(lake.store(), file).await;
        check_file(lake.store(), file, &stored).await;
        rows.extend(stored);
    }
    rows
}

/// How often every event id is stored, in rows of different units once.
pub(crate) async fn event_counts(lake: &Lake) -> BTreeMap<Uuid, usize> {
    let mut by_unit: BTreeMap<(Uuid, Option<[u8; 16]>), usize> = BTreeMap::new();
    for row in rows(lake).await {
        *by_unit.entry((row.event_id, row.unit_id)).or_default() += 1;
    }
    let mut counts = BTreeMap::new();
    for ((event_id, _), count) in by_unit {
        let most = counts.entry(event_id).or_default();
        *most = count.max(*most);
    }
    counts
}

pub(crate) async fn batches(store: &Arc<dyn ObjectStore>, file: &FileEntry) -> Vec<RecordBatch> {
    let reader = FileReader::new(store, file);
    let builder = ParquetRecordBatchStreamBuilder::new(reader).await.unwrap();
    builder.build().unwrap().try_collect().await.unwrap()
}

async fn read_file(store: &Arc<dyn ObjectStore>, file: &FileEntry) -> Vec<StoredRow> {
    let mut rows = Vec::new();
    for batch in batches(store, file).await {
        let column = |name: &str| batch.column_by_name(name).unwrap();
        let time = |name: &str| column(name).as_primitive::<TimestampMicrosecondType>().clone();
        let words = |name: &str, row: usize| {
            let words = column(name).as_dictionary::<Int32Type>();
            let key = usize::try_from(words.keys().value(row)).unwrap();
            words.is_valid(row).then(|| words.values().as_string::<i32>().value(key).to_owned())
        };
        let (ts, ts_received) = (time("ts"), time("ts_received"));
        for row in 0..batch.num_rows() {
            let unit_id = column("unit_id").as_fixed_size_binary();
            rows.push(StoredRow {
                kind: file.kind,
                event_id: Uuid::from_slice(column("event_id").as_fixed_size_binary().value(row))
                    .unwrap(),
                env: words("env", row).unwrap(),
                unit_type: words("unit_type", row),
                unit_id: unit_id.is_valid(row).then(|| unit_id.value(row).try_into().unwrap()),
                unit_hash: column("unit_hash").as_primitive::<Int64Type>().value(row),
                ts: ts.value(row),
                ts_received: ts_received.value(row),
            });
        }
    }
    rows
}

/// What the log says of a file is true.
async fn check_file(store: &Arc<dyn ObjectStore>, file: &FileEntry, rows: &[StoredRow]) {
    use object_store::ObjectStoreExt;
    let path = object_store::path::Path::from(file.path.as_str());
    let bytes = store.get(&path).await.unwrap().bytes().await.unwrap();
    assert_eq!(bytes.len() as u64, file.bytes);
    assert_eq!(hex::encode(Sha256::digest(&bytes)), file.sha256);
    assert_eq!(rows.len() as u64, file.rows);
    assert!(rows.is_sorted_by_key(|row| (row.unit_hash, row.ts)), "{}", file.path);
    let bounds = |key: fn(&StoredRow) -> i64| {
        (rows.iter().map(key).min().unwrap(), rows.iter().map(key).max().unwrap())
    };
    assert_eq!(bounds(|row| row.unit_hash), (file.min_unit_hash, file.max_unit_hash));
    assert_eq!(bounds(|row| row.ts), (file.min_ts, file.max_ts));
    assert_eq!(bounds(|row| row.ts_received), (file.min_ts_received, file.max_ts_received));
    assert!(rows.iter().all(|row| file.environments.contains(&row.env)));
    assert!(file.path.starts_with(&format!(
        "events/v1{}/tenant={}/kind={}/dt={}/",
        if file.ub.is_some() { "c" } else { "" },
        file.tenant,
        file.kind,
        file.dt
    )));
    if let Some(buckets) = file.ub {
        let in_range = |row: &StoredRow| {
            let [byte, ..] = row.unit_hash.to_be_bytes();
            (buckets.first..=buckets.last).contains(&byte)
        };
        assert!(rows.iter().all(in_range), "{}", file.path);
    }
}
