//! Small lakes and plans on disk, in the layout that collector and control plane write.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::allow_attributes,
    reason = "every test and benchmark uses another part of this"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use analysis::plan::Plan;
use arrow::array::{
    ArrayRef, DictionaryArray, FixedSizeBinaryBuilder, Float64Array, Int64Array, RecordBatch,
    TimestampMicrosecondArray, new_null_array,
};
use arrow::datatypes::Int32Type;
use collector::lake::{FileEntry, Manifest, UnitBuckets, layout};
use collector::schema::{Kind, column, schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

/// 2026-11-20T00:00:00Z in microseconds since 1970.
pub const DAY: i64 = 1_795_132_800_000_000;

/// One stored row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub event_id: u128,
    pub env: String,
    pub unit_type: String,
    pub unit_hash: i64,
    pub ts: i64,
    pub received: i64,
    pub what: What,
}

/// What a row is about.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    Exposure { experiment: String, variant: String, generation: Option<i64> },
    Metric { name: String, value: Option<f64> },
}

impl Row {
    pub fn kind(&self) -> Kind {
        match self.what {
            What::Exposure { .. } => Kind::Exposure,
            What::Metric { .. } => Kind::Metric,
        }
    }
}

/// The hash of a unit of a test: well spread, and different for each unit type.
pub fn unit_hash(unit_type: &str, unit: u64) -> i64 {
    let salt = unit_type.bytes().fold(0_u64, |hash, byte| hash.rotate_left(9) ^ u64::from(byte));
    split_mix(unit ^ split_mix(salt)).cast_signed()
}

/// `SplitMix64` (Steele, Lea, Flood 2014): one well-mixed number for each input.
pub fn split_mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A store in a folder, being filled.
pub struct LakeWriter {
    root: PathBuf,
    pub tenant: String,
    manifest: u64,
    added: Vec<FileEntry>,
    pub rows_per_group: usize,
}

impl LakeWriter {
    pub fn new(root: &Path, tenant: &str) -> Self {
        let (root, tenant) = (root.to_owned(), tenant.to_owned());
        Self { root, tenant, manifest: 0, added: Vec::new(), rows_per_group: 128 * 1024 }
    }

    /// The store's URL.
    pub fn url(&self) -> String {
        format!("file://{}", self.root.display())
    }

    /// Writes the rows of one kind as one fresh file.
    pub fn write_fresh(&mut self, rows: &mut [Row]) {
        rows.sort_by_key(|row| (row.unit_hash, row.ts));
        let Some(first) = rows.first() else { return };
        let hour = layout::ReceivedHour::of_micros(first.received);
        let name = format!("test-{}", self.added.len());
        let path = layout::fresh_path(&self.tenant, first.kind(), hour, &name);
        self.write(path.as_ref(), first.kind(), [batch(rows)], None);
    }

    /// Writes sorted batches of one kind as the compacted file of some unit buckets.
    pub fn write_compacted(
        &mut self,
        kind: Kind,
        day: &str,
        buckets: UnitBuckets,
        batches: impl IntoIterator<Item = RecordBatch>,
    ) {
        let name = format!("test-{}", self.added.len());
        let path = layout::compacted_path(&self.tenant, kind, day, buckets.first, &name);
        self.write(path.as_ref(), kind, batches, Some(buckets));
    }

    fn write(
        &mut self,
        path: &str,
        kind: Kind,
        batches: impl IntoIterator<Item = RecordBatch>,
        ub: Option<UnitBuckets>,
    ) {
        let file = self.root.join(path);
        std::fs::create_dir_all(file.parent().expect("a path in a folder")).expect("folder");
        let output = std::fs::File::create(&file).expect("file");
        let mut writer =
            ArrowWriter::try_new(output, schema(kind), Some(self.properties())).expect("writer");
        let mut entry = FileEntry {
            path: path.to_owned(),
            tenant: self.tenant.clone(),
            kind,
            dt: "2026-11-20".into(),
            hr: ub.is_none().then_some(0),
            ub,
            environments: Vec::new(),
            rows: 0,
            bytes: 0,
            min_unit_hash: i64::MAX,
            max_unit_hash: i64::MIN,
            min_ts: i64::MAX,
            max_ts: i64::MIN,
            min_ts_received: i64::MAX,
            max_ts_received: i64::MIN,
            sha256: String::new(),
        };
        let mut environments = BTreeSet::new();
        for batch in batches {
            describe(&batch, &mut entry, &mut environments);
            writer.write(&batch).expect("rows");
        }
        writer.close().expect("footer");
        entry.environments = environments.into_iter().collect();
        entry.bytes = std::fs::metadata(&file).expect("the file was written").len();
        self.added.push(entry);
    }

    fn properties(&self) -> WriterProperties {
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).expect("a zstd level")))
            .set_max_row_group_row_count(Some(self.rows_per_group))
            .set_data_page_row_count_limit(16 * 1024)
            .set_statistics_enabled(EnabledStatistics::Page);
        for name in [column::EVENT_ID, column::UNIT_HASH, column::TS, column::VALUE] {
            properties = properties.set_column_dictionary_enabled(ColumnPath::from(name), false);
        }
        properties.build()
    }

    /// Makes the files that were written part of the lake.
    pub fn commit(&mut self) {
        self.manifest += 1;
        let manifest = Manifest {
            number: self.manifest,
            committed_at: jiff::Timestamp::UNIX_EPOCH,
            source: None,
            added: std::mem::take(&mut self.added),
            removed: Vec::new(),
        };
        let path = layout::manifest_path(self.manifest);
        self.put(path.as_ref(), &serde_json::to_vec(&manifest).expect("a manifest is JSON"));
    }

    /// Publishes a plan as the latest of its environment.
    pub fn publish(&self, plan: &Plan) {
        let path = format!("plans/{}/{:020}.json", plan.environment, plan.generation);
        self.put(&path, &serde_json::to_vec(plan).expect("a plan is JSON"));
        let manifest = serde_json::json!({
            "generation": plan.generation, "object": "configs/x.bin", "blake3": "", "size": 0,
            "published_at": plan.created_at, "environment": plan.environment,
            "project": plan.project, "plan": path,
        });
        let pointer = format!("configs/{}/latest.json", plan.environment);
        self.put(&pointer, manifest.to_string().as_bytes());
    }

    pub fn put(&self, path: &str, bytes: &[u8]) {
        let file = self.root.join(path);
        std::fs::create_dir_all(file.parent().expect("a path in a folder")).expect("folder");
        std::fs::write(file, bytes).expect("file");
    }
}

fn describe(batch: &RecordBatch, entry: &mut FileEntry, environments: &mut BTreeSet<String>) {
    use arrow::array::AsArray;
    use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
    let hashes =
        batch.column_by_name(column::UNIT_HASH).expect("hashes").as_primitive::<Int64Type>();
    let times = |name: &str| {
        batch
            .column_by_name(name)
            .expect("times")
            .as_primitive::<TimestampMicrosecondType>()
            .values()
    };
    let words = batch.column_by_name(column::ENV).expect("env").as_dictionary::<Int32Type>();
    environments.extend(words.values().as_string::<i32>().iter().flatten().map(str::to_owned));
    entry.rows += batch.num_rows() as u64;
    for &hash in hashes.values() {
        entry.min_unit_hash = entry.min_unit_hash.min(hash);
        entry.max_unit_hash = entry.max_unit_hash.max(hash);
    }
    for &ts in times(column::TS) {
        entry.min_ts = entry.min_ts.min(ts);
        entry.max_ts = entry.max_ts.max(ts);
    }
    for &ts in times(column::TS_RECEIVED) {
        entry.min_ts_received = entry.min_ts_received.min(ts);
        entry.max_ts_received = entry.max_ts_received.max(ts);
    }
}

/// Rows of one kind as a batch.
pub fn batch(rows: &[Row]) -> RecordBatch {
    let kind = rows[0].kind();
    let words = |word: &dyn Fn(&Row) -> Option<String>| -> ArrayRef {
        let words: Vec<Option<String>> = rows.iter().map(word).collect();
        Arc::new(words.iter().map(Option::as_deref).collect::<DictionaryArray<Int32Type>>())
    };
    let times = |time: &dyn Fn(&Row) -> i64| -> ArrayRef {
        Arc::new(
            TimestampMicrosecondArray::from_iter_values(rows.iter().map(time)).with_timezone("UTC"),
        )
    };
    let schema = schema(kind);
    let columns = schema.fields().iter().map(|field| -> ArrayRef {
        match field.name().as_str() {
            column::EVENT_ID => {
                let mut ids = FixedSizeBinaryBuilder::new(16);
                for row in rows {
                    ids.append_value(row.event_id.to_be_bytes()).expect("16 bytes");
                }
                Arc::new(ids.finish())
            }
            column::ENV => words(&|row| Some(row.env.clone())),
            column::UNIT_TYPE => words(&|row| Some(row.unit_type.clone())),
            column::UNIT_HASH => {
                Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.unit_hash)))
            }
            column::TS => times(&|row| row.ts),
            column::TS_RECEIVED => times(&|row| row.received),
            column::EXPERIMENT_ID => words(&|row| match &row.what {
                What::Exposure { experiment, .. } => Some(experiment.clone()),
                What::Metric { .. } => None,
            }),
            column::VARIANT => words(&|row| match &row.what {
                What::Exposure { variant, .. } => Some(variant.clone()),
                What::Metric { .. } => None,
            }),
            column::CONFIG_VERSION => Arc::new(
                rows.iter()
                    .map(|row| match row.what {
                        What::Exposure { generation, .. } => generation,
                        What::Metric { .. } => None,
                    })
                    .collect::<Int64Array>(),
            ),
            column::NAME => words(&|row| match &row.what {
                What::Metric { name, .. } => Some(name.clone()),
                What::Exposure { .. } => None,
            }),
            column::VALUE => Arc::new(
                rows.iter()
                    .map(|row| match row.what {
                        What::Metric { value, .. } => value,
                        What::Exposure { .. } => None,
                    })
                    .collect::<Float64Array>(),
            ),
            _ => new_null_array(field.data_type(), rows.len()),
        }
    });
    let columns = columns.collect();
    RecordBatch::try_new(schema, columns).expect("columns fit the schema")
}
