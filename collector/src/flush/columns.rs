//! Rows into Arrow columns.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, FixedSizeBinaryBuilder, Float64Builder, Int32Builder, Int64Builder,
    MapBuilder, MapFieldNames, NullBufferBuilder, RecordBatch, StringBuilder,
    StringDictionaryBuilder, StructArray, TimestampMicrosecondBuilder,
};
use arrow::datatypes::Int32Type;
use arrow::error::ArrowError;

use crate::clock::Micros;
use crate::event::{Detail, Event, Exposure, Measure, Text, Unit};
use crate::schema::{self, ID_BYTES, Kind};

type Words = StringDictionaryBuilder<Int32Type>;
type Texts = MapBuilder<StringBuilder, StringBuilder>;

/// One row: an event, and one of its units (none for a diagnostic without units).
pub(super) struct Row<'r, 'a> {
    pub(super) env: &'r str,
    pub(super) received: Micros,
    pub(super) event: &'r Event<'a>,
    pub(super) unit: Option<&'r Unit<'a>>,
}

/// The columns of one kind, being filled.
pub(super) struct Columns {
    kind: Kind,
    rows: usize,
    event_id: FixedSizeBinaryBuilder,
    env: Words,
    unit_type: Words,
    unit_id: FixedSizeBinaryBuilder,
    unit_hash: Int64Builder,
    ts: TimestampMicrosecondBuilder,
    ts_client: TimestampMicrosecondBuilder,
    ts_sent: TimestampMicrosecondBuilder,
    ts_received: TimestampMicrosecondBuilder,
    skew_ms: Int64Builder,
    context: Texts,
    producer_id: StringBuilder,
    producer_seq: Int64Builder,
    sdk: SdkColumn,
    consent: BooleanBuilder,
    exposure: ExposureColumns,
    measure: MeasureColumns,
}

impl Columns {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            rows: 0,
            event_id: FixedSizeBinaryBuilder::new(ID_BYTES),
            env: Words::new(),
            unit_type: Words::new(),
            unit_id: FixedSizeBinaryBuilder::new(ID_BYTES),
            unit_hash: Int64Builder::new(),
            ts: timestamps(),
            ts_client: timestamps(),
            ts_sent: timestamps(),
            ts_received: timestamps(),
            skew_ms: Int64Builder::new(),
            context: texts(),
            producer_id: StringBuilder::new(),
            producer_seq: Int64Builder::new(),
            sdk: SdkColumn::new(),
            consent: BooleanBuilder::new(),
            exposure: ExposureColumns::default(),
            measure: MeasureColumns::new(),
        }
    }

    /// Number of rows since the last batch.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a row, whose event must be of the columns' kind.
    pub(super) fn push(&mut self, row: &Row<'_, '_>) -> Result<(), ArrowError> {
        let event = row.event;
        self.rows += 1;
        self.event_id.append_value(event.event_id)?;
        self.env.append(row.env)?;
        self.unit_type.append_option(row.unit.map(|unit| &*unit.unit_type));
        match row.unit {
            Some(unit) => self.unit_id.append_value(unit.pseudonym)?,
            None => self.unit_id.append_null(),
        }
        self.unit_hash.append_value(row.unit.map_or(0, Unit::hash));
        self.ts.append_value(event.ts);
        self.ts_client.append_option(event.ts_client);
        self.ts_sent.append_option(event.ts_sent);
        self.ts_received.append_value(row.received);
        self.skew_ms.append_option(event.skew_ms);
        append_texts(&mut self.context, &event.context)?;
        self.producer_id.append_option(event.producer_id.as_deref());
        self.producer_seq.append_option(event.producer_seq);
        self.sdk.append(event.sdk.as_deref());
        self.consent.append_option(event.consent);
        match &event.detail {
            Detail::Exposure(exposure) => self.exposure.push(exposure),
            Detail::Metric(measure) | Detail::Diagnostic(measure) => self.measure.push(measure)?,
            Detail::Identify => {}
        }
        Ok(())
    }

    /// The rows since the last batch.
    pub(super) fn finish_batch(&mut self) -> Result<RecordBatch, ArrowError> {
        self.rows = 0;
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.event_id.finish()),
            Arc::new(self.env.finish()),
            Arc::new(self.unit_type.finish()),
            Arc::new(self.unit_id.finish()),
            Arc::new(self.unit_hash.finish()),
            Arc::new(self.ts.finish()),
            Arc::new(self.ts_client.finish()),
            Arc::new(self.ts_sent.finish()),
            Arc::new(self.ts_received.finish()),
            Arc::new(self.skew_ms.finish()),
            Arc::new(self.context.finish()),
            Arc::new(self.producer_id.finish()),
            Arc::new(self.producer_seq.finish()),
            self.sdk.finish()?,
            Arc::new(self.consent.finish()),
        ];
        match self.kind {
            Kind::Exposure => columns.extend(self.exposure.finish()),
            Kind::Metric => columns.extend(self.measure.finish(true)),
            Kind::Identify => {}
            Kind::Diagnostic => columns.extend(self.measure.finish(false)),
        }
        RecordBatch::try_new(schema::schema(self.kind), columns)
    }
}

#[derive(Default)]
struct ExposureColumns {
    experiment_id: Words,
    flag_key: Words,
    variant: Words,
    layer_id: Words,
    bucket: Int32Builder,
    reason: Words,
    config_version: Int64Builder,
    evaluator_version: Words,
    holdout: Words,
}

impl ExposureColumns {
    fn push(&mut self, exposure: &Exposure<'_>) {
        self.experiment_id.append_value(&*exposure.experiment_id);
        self.flag_key.append_option(exposure.flag_key.as_deref());
        self.variant.append_value(&*exposure.variant);
        self.layer_id.append_option(exposure.layer_id.as_deref());
        self.bucket.append_option(exposure.bucket.map(i32::from));
        self.reason.append_option(exposure.reason.as_deref());
        self.config_version.append_option(exposure.config_version);
        self.evaluator_version.append_option(exposure.evaluator_version.as_deref());
        self.holdout.append_option(exposure.holdout.as_deref());
    }

    fn finish(&mut self) -> Vec<ArrayRef> {
        vec![
            Arc::new(self.experiment_id.finish()),
            Arc::new(self.flag_key.finish()),
            Arc::new(self.variant.finish()),
            Arc::new(self.layer_id.finish()),
            Arc::new(self.bucket.finish()),
            Arc::new(self.reason.finish()),
            Arc::new(self.config_version.finish()),
            Arc::new(self.evaluator_version.finish()),
            Arc::new(self.holdout.finish()),
        ]
    }
}

struct MeasureColumns {
    name: Words,
    value: Float64Builder,
    currency: Words,
    properties: Texts,
}

impl MeasureColumns {
    fn new() -> Self {
        Self {
            name: Words::new(),
            value: Float64Builder::new(),
            currency: Words::new(),
            properties: texts(),
        }
    }

    fn push(&mut self, measure: &Measure<'_>) -> Result<(), ArrowError> {
        self.name.append_value(&*measure.name);
        self.value.append_option(measure.value);
        let currency = measure.properties.iter().find(|(key, _)| &**key == "currency");
        self.currency.append_option(currency.map(|(_, value)| &**value));
        append_texts(&mut self.properties, &measure.properties)
    }

    fn finish(&mut self, with_currency: bool) -> Vec<ArrayRef> {
        let currency = self.currency.finish();
        let mut columns: Vec<ArrayRef> =
            vec![Arc::new(self.name.finish()), Arc::new(self.value.finish())];
        if with_currency {
            columns.push(Arc::new(currency));
        }
        columns.push(Arc::new(self.properties.finish()));
        columns
    }
}

/// `name/version` as a struct.
struct SdkColumn {
    name: StringBuilder,
    version: StringBuilder,
    valid: NullBufferBuilder,
}

impl SdkColumn {
    fn new() -> Self {
        Self {
            name: StringBuilder::new(),
            version: StringBuilder::new(),
            valid: NullBufferBuilder::new(0),
        }
    }

    fn append(&mut self, sdk: Option<&str>) {
        let (name, version) = match sdk.map(|sdk| sdk.split_once('/').ok_or(sdk)) {
            None => (None, None),
            Some(Ok((name, version))) => (Some(name), Some(version)),
            Some(Err(name)) => (Some(name), None),
        };
        self.name.append_option(name);
        self.version.append_option(version);
        self.valid.append(sdk.is_some());
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let columns: Vec<ArrayRef> =
            vec![Arc::new(self.name.finish()), Arc::new(self.version.finish())];
        let valid = self.valid.finish();
        Ok(Arc::new(StructArray::try_new(schema::sdk_fields(), columns, valid)?))
    }
}

fn timestamps() -> TimestampMicrosecondBuilder {
    TimestampMicrosecondBuilder::new().with_timezone("UTC")
}

fn texts() -> Texts {
    let names = MapFieldNames {
        entry: "key_value".to_owned(),
        key: "key".to_owned(),
        value: "value".to_owned(),
    };
    MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new())
}

fn append_texts(column: &mut Texts, entries: &[(Text<'_>, Text<'_>)]) -> Result<(), ArrowError> {
    for (key, value) in entries {
        column.keys().append_value(&**key);
        column.values().append_value(&**value);
    }
    column.append(!entries.is_empty())
}
