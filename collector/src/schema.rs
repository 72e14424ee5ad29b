//! The stored columns of every event kind: what a Parquet file of the event lake contains.
//!
//! One row is one event *and* one unit: an event that names two units is two rows with the same
//! `event_id`. The hive keys of the path (`tenant`, `kind`, `dt`, `hr`) are not repeated inside
//! the file.
//!
//! Every file is sorted by (`unit_hash`, `ts`), so that any set of files can be merged as a stream.
//!
//! `unit_id` is a pseudonym: the first 16 bytes of HMAC-SHA-256 under the project's key of
//! `{unit_type}:{raw id}`. `unit_hash` is its first 8 bytes, big endian, as a signed integer
//! (engines read unsigned 64-bit columns as decimals). Raw ids are stored nowhere.
//!
//! An exposure's experiment counts one unit type; the row to use is the one whose `unit_type` is
//! that type. The rows of the other units of the same exposure have the same `event_id`.
//!
//! A diagnostic that names no unit has `unit_hash` 0 and null `unit_type` and `unit_id`.
//!
//! Counting once: inside one environment and one unit, rows with equal `event_id` are the same
//! event, and the one with the smallest `ts_received` is the one that counts.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use serde::{Deserialize, Serialize};

/// Version of the stored columns, written into the metadata of every file. It grows only by adding
/// nullable columns.
pub const SCHEMA_VERSION: &str = "1";

/// Key of [`SCHEMA_VERSION`] in the file metadata.
pub const SCHEMA_VERSION_KEY: &str = "sortition.schema_version";

/// Bytes of `event_id` and `unit_id`.
pub const ID_BYTES: i32 = 16;

/// The names of the columns.
pub mod column {
    /// The idempotency key of the event, a UUID.
    pub const EVENT_ID: &str = "event_id";
    /// The environment id.
    pub const ENV: &str = "env";
    /// `user_id`, `anonymous_id`, … as on the wire.
    pub const UNIT_TYPE: &str = "unit_type";
    /// Pseudonym of the unit.
    pub const UNIT_ID: &str = "unit_id";
    /// First 8 bytes of the pseudonym: the first sort key.
    pub const UNIT_HASH: &str = "unit_hash";
    /// Corrected time of the event: the second sort key.
    pub const TS: &str = "ts";
    /// The client's own time of the event, uncorrected.
    pub const TS_CLIENT: &str = "ts_client";
    /// The client's own time of sending, uncorrected.
    pub const TS_SENT: &str = "ts_sent";
    /// The collector's time.
    pub const TS_RECEIVED: &str = "ts_received";
    /// How far the client's clock is ahead of the collector's, in milliseconds.
    pub const SKEW_MS: &str = "skew_ms";
    /// Small map of what was known about the request (wire: `attributes`).
    pub const CONTEXT: &str = "context";
    /// The SDK instance that produced the event.
    pub const PRODUCER_ID: &str = "producer_id";
    /// Monotone number per SDK instance; a gap is a loss.
    pub const PRODUCER_SEQ: &str = "producer_seq";
    /// Name and version of the SDK.
    pub const SDK: &str = "sdk";
    /// Whether the unit consented, as the client says.
    pub const CONSENT: &str = "consent";
    /// The experiment key (wire: `experiment`).
    pub const EXPERIMENT_ID: &str = "experiment_id";
    /// The flag under which the client asked.
    pub const FLAG_KEY: &str = "flag_key";
    /// The variant key.
    pub const VARIANT: &str = "variant";
    /// The layer of the experiment.
    pub const LAYER_ID: &str = "layer_id";
    /// The bucket of the unit, 0 to 9999.
    pub const BUCKET: &str = "bucket";
    /// Why this variant.
    pub const REASON: &str = "reason";
    /// Generation of the config that decided (wire: `generation`).
    pub const CONFIG_VERSION: &str = "config_version";
    /// Version of the evaluator that decided.
    pub const EVALUATOR_VERSION: &str = "evaluator_version";
    /// The holdout that held the unit out.
    pub const HOLDOUT: &str = "holdout";
    /// Name of the metric event or of the diagnostic.
    pub const NAME: &str = "name";
    /// Value of the metric event; null when the client sent none (it still counts as one event).
    pub const VALUE: &str = "value";
    /// ISO 4217 code, copied from `properties.currency`.
    pub const CURRENCY: &str = "currency";
    /// Everything else that the client said of the event.
    pub const PROPERTIES: &str = "properties";
}

/// The four kinds of events, each with files of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A unit received a variant.
    Exposure,
    /// Something a unit did that a metric may count.
    Metric,
    /// Two ids belong to the same person.
    Identify,
    /// A client reports on itself.
    Diagnostic,
}

impl Kind {
    /// Every kind, in storage order.
    pub const ALL: [Self; 4] = [Self::Exposure, Self::Metric, Self::Identify, Self::Diagnostic];

    /// The word used on the wire and in paths.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exposure => "exposure",
            Self::Metric => "metric",
            Self::Identify => "identify",
            Self::Diagnostic => "diagnostic",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no [`Kind`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a kind of event")]
pub struct UnknownKind(pub String);

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(word: &str) -> Result<Self, UnknownKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == word)
            .ok_or_else(|| UnknownKind(word.to_owned()))
    }
}

/// The Arrow schema of the files of one kind.
pub fn schema(kind: Kind) -> SchemaRef {
    static SCHEMAS: LazyLock<[SchemaRef; 4]> = LazyLock::new(|| Kind::ALL.map(build_schema));
    Arc::clone(&SCHEMAS[kind as usize])
}

/// Type of the three UTC timestamp columns.
pub fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// Type of the columns that repeat few values.
pub fn word_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// Fields of the entries of the map columns.
pub fn map_entry_fields() -> Fields {
    Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Utf8, true),
    ])
}

/// Type of the map columns: text to text.
pub fn map_type() -> DataType {
    let entries = Field::new("key_value", DataType::Struct(map_entry_fields()), false);
    DataType::Map(Arc::new(entries), false)
}

/// Fields of the `sdk` column.
pub fn sdk_fields() -> Fields {
    Fields::from(vec![
        Field::new("name", DataType::Utf8, true),
        Field::new("version", DataType::Utf8, true),
    ])
}

fn build_schema(kind: Kind) -> SchemaRef {
    let id = || DataType::FixedSizeBinary(ID_BYTES);
    let mut fields = vec![
        Field::new(column::EVENT_ID, id(), false),
        Field::new(column::ENV, word_type(), false),
        Field::new(column::UNIT_TYPE, word_type(), true),
        Field::new(column::UNIT_ID, id(), true),
        Field::new(column::UNIT_HASH, DataType::Int64, false),
        Field::new(column::TS, timestamp_type(), false),
        Field::new(column::TS_CLIENT, timestamp_type(), true),
        Field::new(column::TS_SENT, timestamp_type(), true),
        Field::new(column::TS_RECEIVED, timestamp_type(), false),
        Field::new(column::SKEW_MS, DataType::Int64, true),
        Field::new(column::CONTEXT, map_type(), true),
        Field::new(column::PRODUCER_ID, DataType::Utf8, true),
        Field::new(column::PRODUCER_SEQ, DataType::Int64, true),
        Field::new(column::SDK, DataType::Struct(sdk_fields()), true),
        Field::new(column::CONSENT, DataType::Boolean, true),
    ];
    match kind {
        Kind::Exposure => fields.extend([
            Field::new(column::EXPERIMENT_ID, word_type(), false),
            Field::new(column::FLAG_KEY, word_type(), true),
            Field::new(column::VARIANT, word_type(), false),
            Field::new(column::LAYER_ID, word_type(), true),
            Field::new(column::BUCKET, DataType::Int32, true),
            Field::new(column::REASON, word_type(), true),
            Field::new(column::CONFIG_VERSION, DataType::Int64, true),
            Field::new(column::EVALUATOR_VERSION, word_type(), true),
            Field::new(column::HOLDOUT, word_type(), true),
        ]),
        Kind::Metric => fields.extend([
            Field::new(column::NAME, word_type(), false),
            Field::new(column::VALUE, DataType::Float64, true),
            Field::new(column::CURRENCY, word_type(), true),
            Field::new(column::PROPERTIES, map_type(), true),
        ]),
        Kind::Identify => {}
        Kind::Diagnostic => fields.extend([
            Field::new(column::NAME, word_type(), false),
            Field::new(column::VALUE, DataType::Float64, true),
            Field::new(column::PROPERTIES, map_type(), true),
        ]),
    }
    let metadata = HashMap::from([(SCHEMA_VERSION_KEY.to_owned(), SCHEMA_VERSION.to_owned())]);
    Arc::new(Schema::new_with_metadata(fields, metadata))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_word() {
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert!("click".parse::<Kind>().is_err());
    }

    #[test]
    fn every_kind_has_the_sort_keys_and_the_version() {
        for kind in Kind::ALL {
            let schema = schema(kind);
            assert_eq!(schema.field_with_name("unit_hash").unwrap().data_type(), &DataType::Int64);
            assert_eq!(schema.field_with_name("ts").unwrap().data_type(), &timestamp_type());
            assert_eq!(schema.metadata()[SCHEMA_VERSION_KEY], SCHEMA_VERSION);
        }
    }
}
