//! The rules that an event must meet, each naming the field that breaks it.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::wire::{self, Entries, JsonType, Raw, WireEvent};
use super::{Detail, Event, Exposure, Id, Measure, Text, Unit};
use crate::clock::{self, Micros};
use crate::pseudonym::PseudonymKey;
use crate::schema::Kind;

/// Largest JSON text of one event in bytes.
const MAX_EVENT_BYTES: usize = 64 * 1024;
/// Longest unit id in bytes.
const MAX_UNIT_ID_BYTES: usize = 512;
/// Longest key or name in bytes: experiments, variants, metrics, unit types, …
const MAX_NAME_BYTES: usize = 256;
/// Longest value in `attributes` and `properties` in bytes.
const MAX_VALUE_BYTES: usize = 2048;
/// Most units of one event.
const MAX_UNITS: usize = 8;
/// Most entries of `attributes` and of `properties`.
const MAX_ENTRIES: usize = 64;
/// Number of buckets of a layer.
const BUCKETS: i64 = 10_000;
/// The unit type of a bare `unit_id`.
const DEFAULT_UNIT_TYPE: &str = "user_id";

/// Why one event was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rejection {
    /// What is wrong, for programs.
    pub code: &'static str,
    /// JSON pointer of the field that is wrong.
    pub pointer: String,
    /// What is wrong, for people.
    pub detail: String,
}

/// The code of an event that is not JSON.
pub const MALFORMED_JSON: &str = "malformed_json";
/// The code of an event that is JSON but no object.
pub const NOT_AN_OBJECT: &str = "not_an_object";

/// What the request around an event contributes to it.
#[derive(Debug, Clone)]
pub struct Intake<'k> {
    /// When the request arrived.
    pub received: Micros,
    /// When the client says it sent the request.
    pub sent: Option<Micros>,
    /// The kind of events that do not say theirs.
    pub default_kind: Option<Kind>,
    /// The project's pseudonym key.
    pub pseudonyms: &'k PseudonymKey,
}

/// Checks one event and brings it into the form that is stored.
pub fn validate<'a>(text: &'a [u8], intake: &Intake<'_>) -> Result<Event<'a>, Rejection> {
    if text.len() > MAX_EVENT_BYTES {
        let detail = format!("the event has {} bytes, at most {MAX_EVENT_BYTES}", text.len());
        return Err(reject("too_large", "", detail));
    }
    if text.first() != Some(&b'{') {
        // What does not even begin like an object may still be JSON.
        return Err(match serde_json::from_slice::<&RawValue>(text) {
            Ok(raw) => {
                let found = wire::json_type(raw);
                reject(NOT_AN_OBJECT, "", format!("an event is an object, not {found}"))
            }
            Err(error) => reject(MALFORMED_JSON, "", error.to_string()),
        });
    }
    let wire: WireEvent<'a> =
        serde_json::from_slice(text).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => reject("invalid_event", "", error.to_string()),
            _ => reject(MALFORMED_JSON, "", error.to_string()),
        })?;

    let event_id = event_id(wire.event_id)?;
    let kind = kind(wire.kind, intake.default_kind)?;
    let consent = optional("consent", wire.consent, boolean)?;
    if consent == Some(false) {
        let detail = "the unit has not consented; nothing was stored";
        return Err(reject("no_consent", "/consent", detail));
    }
    let ts_client = optional("timestamp", wire.timestamp, time)?;
    let ts_sent = optional("sent_at", wire.sent_at, time)?.or(intake.sent);
    let corrected = clock::correct(intake.received, ts_client, ts_sent);
    Ok(Event {
        event_id,
        ts: corrected.ts,
        ts_client,
        ts_sent,
        skew_ms: corrected.skew_ms,
        units: units(&wire, kind, intake.pseudonyms)?,
        context: entries("attributes", wire.attributes)?,
        producer_id: optional("producer_id", wire.producer_id, name)?,
        producer_seq: optional("producer_seq", wire.producer_seq, count)?,
        sdk: optional("sdk", wire.sdk, name)?,
        consent,
        detail: match kind {
            Kind::Exposure => Detail::Exposure(exposure(&wire)?),
            Kind::Metric => Detail::Metric(measure(&wire)?),
            Kind::Identify => Detail::Identify,
            Kind::Diagnostic => Detail::Diagnostic(measure(&wire)?),
        },
    })
}

fn exposure<'a>(wire: &WireEvent<'a>) -> Result<Exposure<'a>, Rejection> {
    Ok(Exposure {
        experiment_id: required("experiment", wire.experiment, name)?,
        flag_key: optional("flag", wire.flag, name)?,
        variant: required("variant", wire.variant, name)?,
        layer_id: optional("layer", wire.layer, name)?,
        bucket: optional("bucket", wire.bucket, bucket)?,
        reason: optional("reason", wire.reason, name)?,
        config_version: optional("generation", wire.generation, count)?,
        evaluator_version: optional("evaluator_version", wire.evaluator_version, name)?,
        holdout: optional("holdout", wire.holdout, name)?,
    })
}

fn measure<'a>(wire: &WireEvent<'a>) -> Result<Measure<'a>, Rejection> {
    Ok(Measure {
        name: required("name", wire.name, name)?,
        value: optional("value", wire.value, number)?,
        properties: entries("properties", wire.properties)?,
    })
}

fn event_id(raw: Raw<'_>) -> Result<Id, Rejection> {
    required("event_id", raw, |field, raw| {
        let text = text(field, raw)?;
        match Uuid::try_parse(&text) {
            Ok(id) if !id.is_nil() => Ok(id.into_bytes()),
            _ => Err(invalid(field, "is not a UUID")),
        }
    })
}

fn kind(raw: Raw<'_>, default: Option<Kind>) -> Result<Kind, Rejection> {
    let word = optional("type", raw, text)?;
    match (word, default) {
        (Some(word), _) => word.parse().map_err(|_unknown| {
            invalid("type", "is none of exposure, metric, identify, diagnostic")
        }),
        (None, Some(kind)) => Ok(kind),
        (None, None) => Err(missing("type")),
    }
}

fn units<'a>(
    wire: &WireEvent<'a>,
    kind: Kind,
    key: &PseudonymKey,
) -> Result<Vec<Unit<'a>>, Rejection> {
    let mut units: Vec<Unit<'a>> = Vec::with_capacity(2);
    if let Some(raw) = wire.units {
        for (unit_type, raw) in object("units", raw)? {
            let pointer = pointer("units", &unit_type);
            check_unit_type(&pointer, &unit_type)?;
            if wire::json_type(raw) == JsonType::Null {
                continue;
            }
            let unit_id = unit_id(&pointer, raw)?;
            if units.iter().any(|unit| unit.unit_type == unit_type) {
                return Err(reject("invalid_value", &pointer, "names this unit type twice"));
            }
            units.push(Unit { pseudonym: key.pseudonym(&unit_type, &unit_id), unit_type });
        }
        if units.len() > MAX_UNITS {
            let detail = format!("has {} entries, at most {MAX_UNITS}", units.len());
            return Err(reject("too_many", "/units", detail));
        }
    }
    let named_type = optional("unit_type", wire.unit_type, text)?.map(Text);
    if let Some(unit_type) = &named_type {
        check_unit_type("/unit_type", unit_type)?;
    }
    if let Some(raw) = wire.unit_id {
        let unit_id = unit_id("/unit_id", raw)?;
        let unit_type = named_type.unwrap_or_else(|| DEFAULT_UNIT_TYPE.into());
        let pseudonym = key.pseudonym(&unit_type, &unit_id);
        match units.iter().find(|unit| unit.unit_type == unit_type) {
            Some(unit) if unit.pseudonym != pseudonym => {
                let detail = format!("contradicts units.{}", &*unit_type);
                return Err(reject("invalid_value", "/unit_id", detail));
            }
            Some(_) => {}
            None => units.push(Unit { unit_type, pseudonym }),
        }
    } else if let Some(unit_type) = named_type
        && !units.iter().any(|unit| unit.unit_type == unit_type)
    {
        let detail = format!("the event's unit_type is {:?}, which units lacks", &*unit_type);
        return Err(reject("missing_field", &pointer("units", &unit_type), detail));
    }
    match (kind, units.len()) {
        (Kind::Exposure | Kind::Metric, 0) => Err(missing("units")),
        (Kind::Identify, 0 | 1) => {
            Err(reject("missing_field", "/units", "an identify event names two units or more"))
        }
        _ => Ok(units),
    }
}

fn check_unit_type(pointer: &str, unit_type: &str) -> Result<(), Rejection> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if unit_type.is_empty() || !unit_type.bytes().all(allowed) {
        let detail = "a unit type consists of letters, digits, '_', '-' and '.'";
        return Err(reject("invalid_value", pointer, detail));
    }
    check_length(pointer, unit_type, MAX_NAME_BYTES)
}

fn unit_id<'a>(pointer: &str, raw: &'a RawValue) -> Result<Cow<'a, str>, Rejection> {
    let Some(id) = wire::string(raw) else {
        return Err(wrong_type(pointer, "a string", raw));
    };
    if id.is_empty() {
        return Err(reject("invalid_value", pointer, "is empty"));
    }
    check_length(pointer, &id, MAX_UNIT_ID_BYTES)?;
    Ok(id)
}

/// A map of texts. Numbers, booleans and nested values keep their JSON text; nulls are left out.
fn entries<'a>(field: &str, raw: Raw<'a>) -> Result<Vec<(Text<'a>, Text<'a>)>, Rejection> {
    let Some(raw) = raw else { return Ok(Vec::new()) };
    let object = object(field, raw)?;
    if object.len() > MAX_ENTRIES {
        let detail = format!("has {} entries, at most {MAX_ENTRIES}", object.len());
        return Err(reject("too_many", &format!("/{field}"), detail));
    }
    let mut entries = Vec::with_capacity(object.len());
    for (key, raw) in object {
        if key.len() > MAX_NAME_BYTES {
            let detail = format!("a key has {} bytes, at most {MAX_NAME_BYTES}", key.len());
            return Err(reject("too_long", &format!("/{field}"), detail));
        }
        let value = match wire::json_type(raw) {
            JsonType::Null => continue,
            JsonType::Text => wire::string(raw).ok_or_else(|| {
                reject("invalid_value", &pointer(field, &key), "is not valid Unicode")
            })?,
            _ => Cow::Borrowed(raw.get()),
        };
        if value.len() > MAX_VALUE_BYTES {
            check_length(&pointer(field, &key), &value, MAX_VALUE_BYTES)?;
        }
        entries.push((key, Text(value)));
    }
    Ok(entries)
}

fn object<'a>(field: &str, raw: &'a RawValue) -> Result<Vec<(Text<'a>, &'a RawValue)>, Rejection> {
    let pointer = format!("/{field}");
    if wire::json_type(raw) != JsonType::Object {
        return Err(wrong_type(&pointer, "an object", raw));
    }
    match serde_json::from_str::<Entries<'a>>(raw.get()) {
        Ok(Entries(entries)) => Ok(entries),
        Err(error) => Err(reject("invalid_value", &pointer, error.to_string())),
    }
}

/// Reads a field that must be there.
fn required<'a, T>(
    field: &str,
    raw: Raw<'a>,
    read: impl FnOnce(&str, &'a RawValue) -> Result<T, Rejection>,
) -> Result<T, Rejection> {
    read(field, raw.ok_or_else(|| missing(field))?)
}

/// Reads a field that may be absent or null.
fn optional<'a, T>(
    field: &str,
    raw: Raw<'a>,
    read: impl FnOnce(&str, &'a RawValue) -> Result<T, Rejection>,
) -> Result<Option<T>, Rejection> {
    raw.map(|raw| read(field, raw)).transpose()
}

fn text<'a>(field: &str, raw: &'a RawValue) -> Result<Cow<'a, str>, Rejection> {
    if wire::json_type(raw) != JsonType::Text {
        return Err(wrong_type(&format!("/{field}"), "a string", raw));
    }
    wire::string(raw).ok_or_else(|| invalid(field, "is not valid Unicode"))
}

/// A key or name: not empty, not long, nothing invisible.
fn name<'a>(field: &str, raw: &'a RawValue) -> Result<Text<'a>, Rejection> {
    let text = text(field, raw)?;
    if text.is_empty() {
        return Err(invalid(field, "is empty"));
    }
    if text.len() > MAX_NAME_BYTES {
        check_length(&format!("/{field}"), &text, MAX_NAME_BYTES)?;
    }
    if text.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(invalid(field, "contains a control character"));
    }
    Ok(Text(text))
}

fn time(field: &str, raw: &RawValue) -> Result<Micros, Rejection> {
    let text = text(field, raw)?;
    clock::parse(&text).ok_or_else(|| {
        invalid(field, "is not an RFC 3339 time with offset, such as 2026-11-20T10:30:00.000Z")
    })
}

fn boolean(field: &str, raw: &RawValue) -> Result<bool, Rejection> {
    match raw.get() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(wrong_type(&format!("/{field}"), "a boolean", raw)),
    }
}

fn number(field: &str, raw: &RawValue) -> Result<f64, Rejection> {
    if wire::json_type(raw) != JsonType::Number {
        return Err(wrong_type(&format!("/{field}"), "a number", raw));
    }
    // The standard library rounds correctly, which serde_json does only with a feature.
    match raw.get().parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err(invalid(field, "is too large for a 64-bit floating-point number")),
    }
}

fn count(field: &str, raw: &RawValue) -> Result<i64, Rejection> {
    if wire::json_type(raw) != JsonType::Number {
        return Err(wrong_type(&format!("/{field}"), "a number", raw));
    }
    match raw.get().parse::<i64>() {
        Ok(value) if value >= 0 => Ok(value),
        _ => Err(invalid(field, "is not a whole number from 0 to 9223372036854775807")),
    }
}

fn bucket(field: &str, raw: &RawValue) -> Result<u16, Rejection> {
    let value = count(field, raw)?;
    match u16::try_from(value) {
        Ok(bucket) if value < BUCKETS => Ok(bucket),
        _ => Err(invalid(field, "is not a bucket from 0 to 9999")),
    }
}

fn check_length(pointer: &str, text: &str, max_bytes: usize) -> Result<(), Rejection> {
    if text.len() > max_bytes {
        let detail = format!("has {} bytes, at most {max_bytes}", text.len());
        return Err(reject("too_long", pointer, detail));
    }
    Ok(())
}

fn reject(code: &'static str, pointer: &str, detail: impl Into<String>) -> Rejection {
    Rejection { code, pointer: pointer.to_owned(), detail: detail.into() }
}

fn missing(field: &str) -> Rejection {
    reject("missing_field", &format!("/{field}"), format!("{field} is missing"))
}

fn invalid(field: &str, detail: &str) -> Rejection {
    reject("invalid_value", &format!("/{field}"), format!("{field} {detail}"))
}

fn wrong_type(pointer: &str, expected: &str, raw: &RawValue) -> Rejection {
    let found = wire::json_type(raw);
    reject("invalid_type", pointer, format!("expected {expected}, found {found}"))
}

/// JSON pointer of an entry of an object (RFC 6901); the key is cut when it is absurdly long.
fn pointer(field: &str, key: &str) -> String {
    let key: String = key.chars().take(MAX_NAME_BYTES).collect();
    format!("/{field}/{}", key.replace('~', "~0").replace('/', "~1"))
}
