//! Exposures that the edge itself logs: event, deterministic id, per-isolate deduplication, bounded queue.
//!
//! # The event id
//!
//! `event_id` is a UUID of version 8 made of the first 16 bytes of
//! `SHA-256(environment \n unit type \n experiment \n variant \n generation \n window \n unit id)`, where `window` is the hour since the
//! Unix epoch, in decimal (so are the generation and the window). Two isolates that see the same unit in the same hour, and one that
//! sends a batch again, produce the same id, and the collector counts it once.

use std::collections::HashSet;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use xxhash_rust::xxh3::Xxh3;

use crate::events::Forwarded;
use crate::response::push_json_string;

/// Milliseconds of the time window of an event id.
const WINDOW_MS: i64 = 3_600_000;
/// Entries of each of the two sets that remember what was logged; together about 2 MB.
const MAX_SEEN: usize = 50_000;
/// Bytes of events that wait for the collector. When more come, the oldest batch is dropped and counted.
pub const MAX_PENDING_BYTES: usize = 4 * 1024 * 1024;
/// Bytes after which a batch is closed and the next one begun.
const MAX_BATCH_BYTES: usize = 256 * 1024;
/// Name and version of this producer, in every event.
const SDK: &str = concat!("edge/", env!("CARGO_PKG_VERSION"));

/// One exposure about to be logged.
#[derive(Debug, Clone, Copy)]
pub struct ExposureEvent<'e> {
    /// Environment id.
    pub environment: &'e str,
    /// Every unit that the request named and the config knows.
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
    /// Clock of the edge, milliseconds since the Unix epoch.
    pub now_ms: i64,
    /// Attributes for segmented analysis, already serialized as a JSON object; empty for none.
    pub attributes_json: &'e str,
}

/// Events of one SDK key that wait to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// SDK key of the callers; the collector takes project and environment from it.
    pub key: String,
    /// Newline-delimited JSON.
    pub body: Vec<u8>,
    /// Events in it.
    pub n_events: usize,
    /// Times that sending it failed.
    pub n_failures: u32,
}

/// How sending a batch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The collector has it.
    Done,
    /// It may have it later.
    TryAgain,
    /// It will never take it, such as under a key that was revoked.
    Refused,
}

impl Delivery {
    /// What an answer of the collector means; `None`: it was not reached.
    pub fn of(forwarded: Option<&Forwarded>) -> Self {
        match forwarded {
            Some(Forwarded::Answered { status: 200..=299, .. }) => Self::Done,
            Some(
                Forwarded::Answered { status: 408 | 425 | 429 | 500.., .. }
                | Forwarded::Unreachable,
            )
            | None => Self::TryAgain,
            Some(Forwarded::Answered { .. }) => Self::Refused,
        }
    }
}

/// What waits for the collector, and what has been logged already.
#[derive(Debug, Default)]
pub struct ExposureLog {
    seen: HashSet<u64>,
    seen_before: HashSet<u64>,
    pending: Vec<Batch>,
    pending_bytes: usize,
    n_dropped: u64,
    n_suppressed: u64,
}

impl ExposureLog {
    /// Queues the event, unless the same unit × experiment × variant × generation was logged already.
    pub fn log(&mut self, key: &str, event: &ExposureEvent<'_>) {
        if !self.remember(fingerprint(event)) {
            self.n_suppressed += 1;
            return;
        }
        let mut line = Vec::with_capacity(512);
        write_event(&mut line, event);
        self.pending_bytes += line.len();
        let open = self.pending.iter_mut().find(|batch| {
            batch.key == key && batch.n_failures == 0 && batch.body.len() < MAX_BATCH_BYTES
        });
        if let Some(batch) = open {
            batch.body.extend_from_slice(&line);
            batch.n_events += 1;
        } else {
            self.pending.push(Batch {
                key: key.to_owned(),
                body: line,
                n_events: 1,
                n_failures: 0,
            });
        }
        self.make_room();
    }

    /// Takes everything that waits.
    pub fn take(&mut self) -> Vec<Batch> {
        self.pending_bytes = 0;
        std::mem::take(&mut self.pending)
    }

    /// Closes a batch that [`take`](Self::take) gave out.
    pub fn settle(&mut self, batch: Batch, delivery: Delivery) {
        match delivery {
            Delivery::Done => {}
            Delivery::TryAgain => self.give_back(batch),
            Delivery::Refused => self.drop_events(batch.n_events as u64),
        }
    }

    /// Puts a batch back that could not be sent.
    fn give_back(&mut self, mut batch: Batch) {
        batch.n_failures += 1;
        self.pending_bytes += batch.body.len();
        self.pending.insert(0, batch);
        self.make_room();
    }

    /// Drops the oldest batches while too much waits.
    fn make_room(&mut self) {
        while self.pending_bytes > MAX_PENDING_BYTES && !self.pending.is_empty() {
            let oldest = self.pending.remove(0);
            self.pending_bytes -= oldest.body.len();
            self.drop_events(oldest.n_events as u64);
        }
    }

    /// Counts events that were lost, and forgets what was logged so that the units are logged again when they come back.
    pub fn drop_events(&mut self, n: u64) {
        self.n_dropped += n;
        self.seen.clear();
        self.seen_before.clear();
    }

    /// Events that wait.
    pub fn n_pending(&self) -> usize {
        self.pending.iter().map(|batch| batch.n_events).sum()
    }

    /// Whether a batch waits that the collector did not take before.
    pub fn has_failed_batches(&self) -> bool {
        self.pending.iter().any(|batch| batch.n_failures > 0)
    }

    /// Events lost since the isolate started.
    pub fn n_dropped(&self) -> u64 {
        self.n_dropped
    }

    /// Repeated exposures that were not sent again.
    pub fn n_suppressed(&self) -> u64 {
        self.n_suppressed
    }

    /// Whether the fingerprint is new. Two sets: when the younger is full the older one is forgotten, so memory stays bounded and at
    /// least the last `MAX_SEEN` exposures are known.
    fn remember(&mut self, fingerprint: u64) -> bool {
        if self.seen_before.contains(&fingerprint) || !self.seen.insert(fingerprint) {
            return false;
        }
        if self.seen.len() >= MAX_SEEN {
            self.seen_before = std::mem::take(&mut self.seen);
        }
        true
    }
}

fn fingerprint(event: &ExposureEvent<'_>) -> u64 {
    let mut hasher = Xxh3::new();
    for part in [event.environment, event.unit_type, event.experiment, event.variant, event.unit_id]
    {
        hasher.update(part.as_bytes());
        hasher.update(&[0xff]); // no UTF-8 text holds this byte
    }
    hasher.update(&event.generation.to_le_bytes());
    hasher.digest()
}

/// The deterministic id of an exposure; see the module's description.
pub fn event_id(event: &ExposureEvent<'_>) -> String {
    let window = event.now_ms.div_euclid(WINDOW_MS);
    let mut hasher = Sha256::new();
    for part in [event.environment, event.unit_type, event.experiment, event.variant] {
        hasher.update(part);
        hasher.update("\n");
    }
    hasher.update(format!("{}\n{window}\n", event.generation));
    hasher.update(event.unit_id);
    let digest = hasher.finalize();
    let mut id = String::with_capacity(36);
    for (at, &byte) in digest.iter().take(16).enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            id.push('-');
        }
        let byte = match at {
            6 => 0x80 | byte & 0x0f, // version 8: the bits mean what the application says
            8 => 0x80 | byte & 0x3f, // variant of RFC 9562
            _ => byte,
        };
        write!(id, "{byte:02x}").expect("writing to a string cannot fail");
    }
    id
}

fn write_event(body: &mut Vec<u8>, event: &ExposureEvent<'_>) {
    body.extend_from_slice(br#"{"event_id":""#);
    body.extend_from_slice(event_id(event).as_bytes());
    body.extend_from_slice(br#"","type":"exposure","units":{"#);
    push_json_string(body, event.unit_type);
    body.push(b':');
    push_json_string(body, event.unit_id);
    for (unit_type, unit_id) in
        event.units.iter().filter(|(unit_type, _)| *unit_type != event.unit_type)
    {
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
    body.extend_from_slice(
        format!(r#","generation":{},"timestamp":"{}"}}"#, event.generation, rfc3339(event.now_ms))
            .as_bytes(),
    );
    body.push(b'\n');
}

/// `2026-11-20T10:30:00.000Z` of milliseconds since the epoch.
///
/// Days to civil date after Howard Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`; written out because a
/// calendar crate would be a tenth of the Worker's size.
pub fn rfc3339(epoch_ms: i64) -> String {
    let (days, ms) = (epoch_ms.div_euclid(86_400_000), epoch_ms.rem_euclid(86_400_000));
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(unit_id: &str) -> ExposureEvent<'_> {
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
            now_ms: 1_795_170_600_000,
            attributes_json: r#"{"country":"US"}"#,
        }
    }

    #[test]
    fn times_are_written_as_rfc_3339() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_795_170_600_123, "2026-11-20T10:30:00.123Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ];
        for (epoch_ms, expected) in cases {
            assert_eq!(rfc3339(epoch_ms), expected);
        }
    }

    #[test]
    fn an_event_has_the_fields_of_the_contract() {
        let mut log = ExposureLog::default();
        log.log("sk_client_e_s", &event("u\"1"));
        let batches = log.take();
        let parsed: serde_json::Value = serde_json::from_slice(&batches[0].body).unwrap();
        assert_eq!(
            parsed,
            serde_json::json!({
                "event_id": event_id(&event("u\"1")), "type": "exposure", "units": {"user_id": "u\"1", "anonymous_id": "a-9"},
                "experiment": "checkout", "variant": "treatment", "unit_type": "user_id", "flag": "checkout", "reason": "split",
                "sdk": SDK, "layer": "checkout_layer", "bucket": 17, "attributes": {"country": "US"}, "generation": 42, "timestamp": "2026-11-20T10:30:00.000Z"
            })
        );
    }

    #[test]
    fn the_event_id_is_the_documented_hash_and_holds_for_an_hour() {
        let id = event_id(&event("u-1"));
        // python3: hashlib.sha256("production-k3v9x2mq\nuser_id\ncheckout\ntreatment\n42\n498658\nu-1".encode()).hexdigest()
        assert_eq!(id, "9f13b63a-f894-84b8-8001-d58fbcc1b6b0");
        assert_eq!(
            id,
            event_id(&ExposureEvent { now_ms: 1_795_170_600_000 + 1_799_999, ..event("u-1") })
        );
        assert_ne!(
            id,
            event_id(&ExposureEvent { now_ms: 1_795_170_600_000 + 1_800_000, ..event("u-1") })
        );
        assert_ne!(id, event_id(&event("u-2")));
    }

    #[test]
    fn a_repeated_exposure_is_sent_once_until_events_were_lost() {
        let mut log = ExposureLog::default();
        log.log("k", &event("u-1"));
        log.log("k", &event("u-1"));
        log.log("k", &ExposureEvent { generation: 43, ..event("u-1") });
        assert_eq!((log.n_pending(), log.n_suppressed()), (2, 1));
        log.drop_events(2);
        log.log("k", &event("u-1"));
        assert_eq!(log.n_pending(), 3);
    }

    #[test]
    fn the_queue_is_bounded_and_counts_the_oldest_that_it_drops() {
        let mut log = ExposureLog::default();
        for n in 0..20_000 {
            log.log("k", &event(&format!("unit-{n}")));
        }
        assert_eq!(log.n_pending() as u64 + log.n_dropped(), 20_000);
        assert!(log.n_dropped() > 0);
        let batches = log.take();
        assert!(batches.iter().map(|batch| batch.body.len()).sum::<usize>() <= MAX_PENDING_BYTES);
        let last = String::from_utf8(batches.last().unwrap().body.clone()).unwrap();
        assert!(last.contains("unit-19999"), "the newest are kept");
        for batch in &batches {
            assert_eq!(batch.body.split_inclusive(|byte| *byte == b'\n').count(), batch.n_events);
        }
    }

    #[test]
    fn what_the_collector_refused_for_now_waits_and_what_it_refused_for_good_is_counted() {
        let mut log = ExposureLog::default();
        log.log("k", &event("u-1"));
        let batch = log.take().remove(0);
        log.settle(batch, Delivery::TryAgain);
        assert_eq!((log.n_pending(), log.has_failed_batches()), (1, true));
        log.log("k", &event("u-2"));
        let batches = log.take();
        assert_eq!(
            batches.len(),
            2,
            "a batch that failed keeps its bytes, so that sending it again counts nothing twice"
        );
        for batch in batches {
            log.settle(batch, Delivery::Refused);
        }
        assert_eq!((log.n_pending(), log.n_dropped()), (0, 2));
    }
}
