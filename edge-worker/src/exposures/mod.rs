//! Exposures: what they say, how they wait for the collector, and how a client confirms one later.
//!
//! # The event id
//!
//! `event_id` is a UUID of version 8 made of the first 16 bytes of
//! `SHA-256(environment \n unit type \n experiment \n variant \n generation \n window \n unit id)`, where `window` is the hour since the
//! Unix epoch in which the edge decided, in decimal (so are the generation and the window). Two isolates that see the same unit in the
//! same hour, one that sends a batch again, and a client that posts a token twice, all produce the same id, and the collector counts
//! it once.
//!
//! # What is lost
//!
//! Every event that the edge itself logs carries its producer (one process or isolate) and that producer's running number, so that a
//! missing number shows a loss even when the isolate is gone. What the isolate knows that it lost, it says: in `/readyz`, and as a
//! diagnostic event `exposures_lost` to the collector when that takes events again.

mod backoff;
mod decided;
mod log;
mod time;
pub mod token;

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

pub(crate) use decided::Decided;
pub use log::{Delivery, ExposureCounts, ExposureLog, MAX_BATCH_BYTES, MAX_PENDING_BYTES, Parcel};
pub use time::rfc3339;

use crate::response::push_json_string;

/// Milliseconds of the time window of an event id.
const WINDOW_MS: i64 = 3_600_000;
/// Units of one event; the collector takes no more.
const MAX_UNITS: usize = 8;
/// Name and version of this producer, in every event.
const SDK: &str = concat!("edge/", env!("CARGO_PKG_VERSION"));

/// One exposure about to be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExposureEvent<'e> {
    /// Environment id.
    pub environment: &'e str,
    /// Every unit that the request named and the config knows; the event's own among them or not.
    pub units: &'e [(&'e str, &'e str)],
    /// Flag under which the client asked.
    pub flag: &'e str,
    /// Experiment key.
    pub experiment: &'e str,
    /// Variant key.
    pub variant: &'e str,
    /// Unit type of the experiment.
    pub unit_type: &'e str,
    /// The unit that was assigned.
    pub unit_id: &'e str,
    /// Layer of the experiment; empty for an experiment that shares none.
    pub layer: &'e str,
    /// Bucket of the unit in the experiment's own space.
    pub bucket: u16,
    /// Reason, `split` or `prior`.
    pub reason: &'e str,
    /// Generation of the config.
    pub generation: u64,
    /// When the edge decided, milliseconds since the Unix epoch: names the event's time window.
    pub decided_at_ms: i64,
    /// When the variant was shown, by the edge's clock, milliseconds since the Unix epoch: the time of the event.
    pub shown_at_ms: i64,
    /// Attributes for segmented analysis, already serialized as a JSON object; empty for none.
    pub attributes_json: &'e str,
}

impl<'e> ExposureEvent<'e> {
    /// The units besides the event's own, as many as an event may have.
    fn other_units(&self) -> impl Iterator<Item = &'e (&'e str, &'e str)> {
        let own = self.unit_type;
        self.units.iter().filter(move |(unit_type, _)| *unit_type != own).take(MAX_UNITS - 1)
    }
}

/// The deterministic id of an exposure; see the module's description.
pub fn event_id(event: &ExposureEvent<'_>) -> String {
    let window = event.decided_at_ms.div_euclid(WINDOW_MS);
    let mut hasher = Sha256::new();
    for part in [event.environment, event.unit_type, event.experiment, event.variant] {
        hasher.update(part);
        hasher.update("\n");
    }
    hasher.update(format!("{}\n{window}\n", event.generation));
    hasher.update(event.unit_id);
    uuid(&hasher.finalize().into())
}

/// A UUID of version 8, whose bits mean what the application says, of the first 16 bytes of a digest.
fn uuid(digest: &[u8; 32]) -> String {
    let mut id = String::with_capacity(36);
    for (at, &byte) in digest.iter().take(16).enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            id.push('-');
        }
        let byte = match at {
            6 => 0x80 | byte & 0x0f,
            8 => 0x80 | byte & 0x3f, // variant of RFC 9562
            _ => byte,
        };
        write!(id, "{byte:02x}").expect("writing to a string cannot fail");
    }
    id
}

/// Appends an exposure as one line of JSON. `producer` names the one that logs it, with its running number.
pub(crate) fn write_event(
    body: &mut Vec<u8>,
    event: &ExposureEvent<'_>,
    producer: Option<(&str, u64)>,
) {
    body.extend_from_slice(br#"{"event_id":""#);
    body.extend_from_slice(event_id(event).as_bytes());
    body.extend_from_slice(br#"","type":"exposure","units":{"#);
    push_json_string(body, event.unit_type);
    body.push(b':');
    push_json_string(body, event.unit_id);
    for (unit_type, unit_id) in event.other_units() {
        body.push(b',');
        push_json_string(body, unit_type);
        body.push(b':');
        push_json_string(body, unit_id);
    }
    body.push(b'}');
    for (name, text) in [
        ("experiment", event.experiment),
        ("variant", event.variant),
        ("unit_type", event.unit_type),
        ("flag", event.flag),
        ("reason", event.reason),
        ("sdk", SDK),
    ] {
        body.extend_from_slice(b",\"");
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(b"\":");
        push_json_string(body, text);
    }
    if !event.layer.is_empty() {
        body.extend_from_slice(br#","layer":"#);
        push_json_string(body, event.layer);
    }
    body.extend_from_slice(format!(r#","bucket":{}"#, event.bucket).as_bytes());
    if !event.attributes_json.is_empty() {
        body.extend_from_slice(br#","attributes":"#);
        body.extend_from_slice(event.attributes_json.as_bytes());
    }
    if let Some((id, seq)) = producer {
        body.extend_from_slice(format!(r#","producer_id":"{id}","producer_seq":{seq}"#).as_bytes());
    }
    let time = rfc3339(event.shown_at_ms);
    body.extend_from_slice(
        format!(r#","generation":{},"timestamp":"{time}"}}"#, event.generation).as_bytes(),
    );
    body.push(b'\n');
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn event(unit_id: &str) -> ExposureEvent<'_> {
        ExposureEvent {
            environment: "production-k3v9x2mq",
            units: &[("user_id", "ignored"), ("anonymous_id", "a-9")],
            flag: "checkout",
            experiment: "checkout",
            variant: "treatment",
            unit_type: "user_id",
            unit_id,
            layer: "checkout_layer",
            bucket: 17,
            reason: "split",
            generation: 42,
            decided_at_ms: 1_795_170_600_000,
            shown_at_ms: 1_795_170_600_000,
            attributes_json: r#"{"country":"US"}"#,
        }
    }

    #[test]
    fn an_event_has_the_fields_of_the_contract() {
        let mut line = Vec::new();
        write_event(&mut line, &event("u\"1"), Some(("edge-x", 7)));
        let parsed: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(
            parsed,
            serde_json::json!({
                "event_id": event_id(&event("u\"1")), "type": "exposure", "units": {"user_id": "u\"1", "anonymous_id": "a-9"},
                "experiment": "checkout", "variant": "treatment", "unit_type": "user_id", "flag": "checkout", "reason": "split",
                "sdk": SDK, "layer": "checkout_layer", "bucket": 17, "attributes": {"country": "US"}, "generation": 42,
                "producer_id": "edge-x", "producer_seq": 7, "timestamp": "2026-11-20T10:30:00.000Z"
            })
        );
    }

    #[test]
    fn an_event_names_no_more_units_than_the_collector_takes() {
        let many: Vec<(&str, &str)> = vec![("x", "1"); 20];
        let mut line = Vec::new();
        write_event(&mut line, &ExposureEvent { units: &many, ..event("u") }, None);
        let text = String::from_utf8(line).unwrap();
        assert_eq!(text.matches(r#""x":"1""#).count(), MAX_UNITS - 1);
    }

    #[test]
    fn the_event_id_is_the_documented_hash_and_holds_for_an_hour() {
        let id = event_id(&event("u-1"));
        // python3: hashlib.sha256("production-k3v9x2mq\nuser_id\ncheckout\ntreatment\n42\n498658\nu-1".encode()).hexdigest()
        assert_eq!(id, "9f13b63a-f894-84b8-8001-d58fbcc1b6b0");
        let later =
            |ms: i64| ExposureEvent { decided_at_ms: 1_795_170_600_000 + ms, ..event("u-1") };
        assert_eq!(id, event_id(&later(1_799_999)));
        assert_ne!(id, event_id(&later(1_800_000)));
        assert_ne!(id, event_id(&event("u-2")));
        assert_eq!(id, event_id(&ExposureEvent { shown_at_ms: 0, ..event("u-1") }));
    }
}
