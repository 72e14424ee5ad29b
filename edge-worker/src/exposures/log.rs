//! What waits for the collector: deduplicated, numbered, bounded, and counted when it is lost after all.

use std::collections::HashSet;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use xxhash_rust::xxh3::Xxh3;

use super::backoff::Backoff;
use super::{ExposureEvent, SDK, rfc3339, uuid, write_event};
use crate::events::Forwarded;
use crate::json::Members;

/// Entries of each of the two sets that remember what was logged; together about 2 MB.
const MAX_SEEN: usize = 50_000;
/// Bytes of events that wait for the collector or are on the way to it. When more come, the oldest batch is dropped and counted.
pub const MAX_PENDING_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of a batch at most, so that it fits into one message of a queue.
pub const MAX_BATCH_BYTES: usize = crate::queue::MAX_BODY_BYTES;
/// Milliseconds after which a batch that was taken and never settled is taken again: its isolate or task must have been stopped.
const LEASE_MS: i64 = 60_000;
/// SDK keys whose losses are told apart; those of further keys are counted, not reported as events.
const MAX_LOSS_KEYS: usize = 64;

/// A batch on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    /// For [`ExposureLog::settle`].
    pub id: u64,
    /// SDK key of the callers; the collector takes project and environment from it.
    pub key: String,
    /// Newline-delimited JSON.
    pub body: Arc<Vec<u8>>,
}

/// How sending a batch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The collector has it, but for so many events that it found wrong.
    Done {
        /// Events that were not taken.
        rejected: u64,
    },
    /// A queue has it, which will hand it to the collector.
    Queued,
    /// The collector may have it later.
    TryAgain,
    /// It will never take it, such as under a key that was revoked.
    Refused,
}

impl Delivery {
    /// What an answer of the collector means.
    pub fn of(forwarded: &Forwarded) -> Self {
        let rejected = |body| Members::read(body).ok()?.member("rejected").ok()??.unsigned();
        match forwarded {
            Forwarded::Queued => Self::Queued,
            Forwarded::Answered { status: 200..=299, body, .. } => {
                Self::Done { rejected: rejected(body).unwrap_or(0) }
            }
            Forwarded::Answered { status: 408 | 425 | 429 | 500.., .. }
            | Forwarded::Unreachable => Self::TryAgain,
            Forwarded::Answered { .. } => Self::Refused,
        }
    }
}

#[derive(Debug)]
struct Batch {
    id: u64,
    key: String,
    body: Arc<Vec<u8>>,
    n_exposures: u64,
    /// Losses that a diagnostic event in this batch reports.
    n_reported: u64,
    /// Once it was taken its bytes stay as they are, so that sending it again counts nothing twice.
    is_sealed: bool,
    leased_at_ms: Option<i64>,
}

/// Counts since the process or isolate started.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct ExposureCounts {
    /// Exposures that the collector took.
    pub sent: u64,
    /// Exposures that a queue took.
    pub queued: u64,
    /// Repetitions that were not sent again.
    pub suppressed: u64,
    /// Exposures that the collector found wrong.
    pub rejected: u64,
    /// Exposures lost: no room, or refused for good.
    pub dropped: u64,
}

/// What waits for the collector, and what has been logged already.
#[derive(Debug, Default)]
pub struct ExposureLog {
    producer: String,
    n_numbered: u64,
    seen: HashSet<u64>,
    seen_before: HashSet<u64>,
    /// Oldest first.
    batches: Vec<Batch>,
    n_batches: u64,
    n_bytes: usize,
    counts: ExposureCounts,
    /// By SDK key: losses that the collector was not told of yet.
    unreported: Vec<(String, u64)>,
    backoff: Backoff,
}

impl ExposureLog {
    /// An empty log. `producer` names this process or isolate in every event.
    pub fn new(producer: String) -> Self {
        Self { producer, ..Self::default() }
    }

    /// Queues the event, unless the same unit × experiment × variant × generation was logged already.
    pub fn log(&mut self, key: &str, event: &ExposureEvent<'_>) {
        if !self.remember(fingerprint(event)) {
            self.counts.suppressed += 1;
            return;
        }
        let number = self.next_number();
        let mut line = Vec::with_capacity(640);
        write_event(&mut line, event, Some((&self.producer, number)));
        let batch = self.append(key, &line);
        batch.n_exposures += 1;
        self.make_room();
    }

    fn next_number(&mut self) -> u64 {
        self.n_numbered += 1;
        self.n_numbered
    }

    /// Appends a line to the open batch of a key.
    fn append(&mut self, key: &str, line: &[u8]) -> &mut Batch {
        self.n_bytes += line.len();
        let fits = |batch: &Batch| {
            !batch.is_sealed && batch.key == key && batch.body.len() + line.len() <= MAX_BATCH_BYTES
        };
        let at = self.batches.iter().position(fits).unwrap_or_else(|| {
            self.n_batches += 1;
            self.batches.push(Batch {
                id: self.n_batches,
                key: key.to_owned(),
                body: Arc::default(),
                n_exposures: 0,
                n_reported: 0,
                is_sealed: false,
                leased_at_ms: None,
            });
            self.batches.len() - 1
        });
        let batch = &mut self.batches[at];
        Arc::make_mut(&mut batch.body).extend_from_slice(line);
        batch
    }

    /// Takes the oldest batch that nobody is sending, until it is [settled](Self::settle).
    pub fn lease(&mut self, now_ms: i64) -> Option<Parcel> {
        let batch = self.batches.iter_mut().find(|batch| batch.is_free(now_ms))?;
        batch.is_sealed = true;
        batch.leased_at_ms = Some(now_ms);
        Some(Parcel { id: batch.id, key: batch.key.clone(), body: batch.body.clone() })
    }

    /// How sending a batch ended.
    pub fn settle(&mut self, id: u64, delivery: Delivery, now_ms: i64) {
        let Some(at) = self.batches.iter().position(|batch| batch.id == id) else { return };
        if delivery == Delivery::TryAgain {
            if let Some(batch) = self.batches.get_mut(at) {
                batch.leased_at_ms = None;
            }
            return;
        }
        let Some(batch) = self.remove(at) else { return };
        match delivery {
            Delivery::Done { rejected } => {
                self.counts.sent += batch.n_exposures.saturating_sub(rejected);
                self.counts.rejected += rejected.min(batch.n_exposures);
                self.report(&batch.key, now_ms);
            }
            Delivery::Queued => self.counts.queued += batch.n_exposures,
            // Under a key that the collector does not take, it would not take the report either.
            Delivery::Refused | Delivery::TryAgain => self.count_loss(batch.n_exposures),
        }
    }

    /// What the collector's last answer, to whomever, says about asking it again. `fraction` is a random number from 0 to 1.
    pub fn observe(&mut self, delivery: Delivery, now_ms: i64, fraction: f64) {
        match delivery {
            Delivery::TryAgain => self.backoff.fail(now_ms, fraction),
            Delivery::Done { .. } | Delivery::Refused => self.backoff.end(),
            Delivery::Queued => {}
        }
    }

    /// Ends the rest of the collector: the last chance to send what waits.
    pub fn end_rest(&mut self) {
        self.backoff.end();
    }

    /// Milliseconds for which the collector should be left alone, because it failed just now.
    pub fn rest_ms(&self, now_ms: i64) -> i64 {
        self.backoff.rest_ms(now_ms)
    }

    /// Times in a row that the collector failed.
    pub fn n_failures(&self) -> u32 {
        self.backoff.n_failures()
    }

    /// Whether a batch waits that nobody is sending.
    pub fn has_free_batch(&self, now_ms: i64) -> bool {
        self.batches.iter().any(|batch| batch.is_free(now_ms))
    }

    /// Tells the collector, which takes events under this key, how many were lost.
    fn report(&mut self, key: &str, now_ms: i64) {
        let Some(at) = self.unreported.iter().position(|(known, _)| known == key) else { return };
        let (_, n_lost) = self.unreported.swap_remove(at);
        let number = self.next_number();
        let digest = Sha256::new()
            .chain_update("diagnostic\n")
            .chain_update(&self.producer)
            .chain_update(format!("\n{number}"));
        let line = format!(
            concat!(
                r#"{{"event_id":"{}","type":"diagnostic","name":"exposures_lost","value":{},"timestamp":"{}","#,
                r#""sdk":"{}","producer_id":"{}","producer_seq":{}}}"#,
                "\n"
            ),
            uuid(&digest.finalize().into()),
            n_lost,
            rfc3339(now_ms),
            SDK,
            self.producer,
            number
        );
        self.append(key, line.as_bytes()).n_reported += n_lost;
        self.make_room();
    }

    /// Drops the oldest batches while too much waits; those under way only when there are no others.
    fn make_room(&mut self) {
        while self.n_bytes > MAX_PENDING_BYTES {
            let oldest = self.batches.iter().position(|batch| batch.leased_at_ms.is_none());
            let Some(batch) = self.remove(oldest.unwrap_or(0)) else { return };
            self.count_loss(batch.n_exposures);
            let n_lost = batch.n_exposures + batch.n_reported;
            let known = self.unreported.iter_mut().find(|(known, _)| *known == batch.key);
            if let Some((_, known)) = known {
                *known += n_lost;
            } else if self.unreported.len() < MAX_LOSS_KEYS {
                self.unreported.push((batch.key, n_lost));
            }
        }
    }

    #[inline(never)]
    fn remove(&mut self, at: usize) -> Option<Batch> {
        let batch = (at < self.batches.len()).then(|| self.batches.remove(at))?;
        self.n_bytes -= batch.body.len();
        Some(batch)
    }

    /// Counts exposures that were lost, and forgets what was logged so that the units are logged again when they come back.
    fn count_loss(&mut self, n: u64) {
        if n > 0 {
            self.counts.dropped += n;
            self.seen.clear();
            self.seen_before.clear();
        }
    }

    /// Exposures that wait or are under way.
    pub fn n_pending(&self) -> u64 {
        self.batches.iter().map(|batch| batch.n_exposures).sum()
    }

    /// Whether anything waits or is under way, reports of losses included.
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Bytes that wait or are under way.
    pub fn n_pending_bytes(&self) -> usize {
        self.n_bytes
    }

    /// What became of the exposures so far.
    pub fn counts(&self) -> ExposureCounts {
        self.counts
    }

    /// Name of this process or isolate in its events.
    pub fn producer(&self) -> &str {
        &self.producer
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

impl Batch {
    /// Nobody is sending it, or nobody any more. Clocks may be set back, so a distance counts in both directions.
    fn is_free(&self, now_ms: i64) -> bool {
        self.leased_at_ms.is_none_or(|at| now_ms.saturating_sub(at).abs() >= LEASE_MS)
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

#[cfg(test)]
mod tests {
    use super::super::tests::event;
    use super::*;

    const DONE: Delivery = Delivery::Done { rejected: 0 };

    fn lines(parcel: &Parcel) -> Vec<serde_json::Value> {
        parcel
            .body
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect()
    }

    #[test]
    fn a_repeated_exposure_is_sent_once_until_events_were_lost() {
        let mut log = ExposureLog::new("p".to_owned());
        log.log("k", &event("u-1"));
        log.log("k", &event("u-1"));
        log.log("k", &ExposureEvent { generation: 43, ..event("u-1") });
        assert_eq!((log.n_pending(), log.counts().suppressed), (2, 1));
        let parcel = log.lease(0).unwrap();
        log.settle(parcel.id, Delivery::Refused, 0);
        assert_eq!((log.n_pending(), log.counts().dropped), (0, 2));
        log.log("k", &event("u-1"));
        assert_eq!(log.n_pending(), 1);
    }

    #[test]
    fn events_are_numbered_without_gaps_across_batches_and_keys() {
        let mut log = ExposureLog::new("p".to_owned());
        for n in 0..1000 {
            log.log(if n % 3 == 0 { "k" } else { "l" }, &event(&format!("u-{n}")));
        }
        let mut numbers = Vec::new();
        while let Some(parcel) = log.lease(0) {
            assert!(parcel.body.len() <= MAX_BATCH_BYTES);
            for line in lines(&parcel) {
                assert_eq!(line["producer_id"], "p");
                numbers.push(line["producer_seq"].as_u64().unwrap());
            }
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=1000).collect::<Vec<_>>());
    }

    #[test]
    fn memory_is_bounded_and_what_is_dropped_is_counted_and_reported() {
        let mut log = ExposureLog::new("p".to_owned());
        let on_the_way = {
            log.log("k", &event("first"));
            log.lease(0).unwrap()
        };
        for n in 0..20_000 {
            log.log("k", &event(&format!("unit-{n}")));
            assert!(log.n_pending_bytes() <= MAX_PENDING_BYTES);
        }
        let dropped = log.counts().dropped;
        assert_eq!(log.n_pending() + dropped, 20_001);
        assert!(dropped > 0);
        log.settle(on_the_way.id, DONE, 1);
        let (mut n_arrived, mut reports, mut last) = (1, Vec::new(), String::new());
        while let Some(parcel) = log.lease(1) {
            for line in lines(&parcel) {
                if line["type"] == "diagnostic" {
                    assert_eq!(
                        (&line["name"], &line["producer_id"]),
                        (&"exposures_lost".into(), &"p".into())
                    );
                    reports.push(line["value"].as_u64().unwrap());
                } else {
                    n_arrived += 1;
                    last = line["units"]["user_id"].as_str().unwrap().to_owned();
                }
            }
            log.settle(parcel.id, DONE, 1);
        }
        assert_eq!((n_arrived, reports.iter().sum::<u64>()), (20_001 - dropped, dropped));
        assert_eq!(last, "unit-19999", "the newest are kept");
        assert_eq!((log.counts().sent, log.is_empty()), (20_001 - dropped, true));
    }

    #[test]
    fn a_report_that_is_lost_is_made_again() {
        let mut log = ExposureLog::new("p".to_owned());
        log.unreported.push(("k".to_owned(), 5));
        log.report("k", 0);
        assert_eq!((log.n_pending(), log.is_empty()), (0, false));
        for n in 0..20_000 {
            log.log("l", &event(&format!("unit-{n}")));
        }
        assert!(log.unreported.contains(&("k".to_owned(), 5)));
    }

    #[test]
    fn a_batch_that_failed_keeps_its_bytes_and_its_place() {
        let mut log = ExposureLog::new("p".to_owned());
        log.log("k", &event("u-1"));
        let first = log.lease(0).unwrap();
        log.log("k", &event("u-2"));
        assert_ne!(log.lease(0).unwrap().id, first.id, "a batch under way is closed");
        assert_eq!(log.lease(0), None);
        log.settle(first.id, Delivery::TryAgain, 0);
        assert_eq!(log.lease(0), Some(first));
    }

    #[test]
    fn a_batch_whose_sender_died_is_sent_by_another() {
        let mut log = ExposureLog::new("p".to_owned());
        log.log("k", &event("u-1"));
        let taken = log.lease(0).unwrap();
        assert!(!log.has_free_batch(LEASE_MS - 1));
        assert_eq!(log.lease(LEASE_MS), Some(taken.clone()));
        log.settle(taken.id, DONE, LEASE_MS);
        log.settle(taken.id, DONE, LEASE_MS);
        assert_eq!((log.counts().sent, log.is_empty()), (1, true), "counted once");
    }

    #[test]
    fn answers_of_the_collector_mean_what_they_say() {
        let answered = |status, body: &str| {
            Delivery::of(&Forwarded::Answered {
                status,
                content_type: None,
                retry_after: None,
                body: body.as_bytes().to_vec(),
            })
        };
        assert_eq!(answered(202, r#"{"accepted":3,"rejected":2}"#), Delivery::Done { rejected: 2 });
        assert_eq!(answered(202, "fine"), DONE);
        for status in [408, 425, 429, 500, 503, 522] {
            assert_eq!(answered(status, ""), Delivery::TryAgain, "{status}");
        }
        for status in [302, 400, 401, 413] {
            assert_eq!(answered(status, ""), Delivery::Refused, "{status}");
        }
        assert_eq!(Delivery::of(&Forwarded::Unreachable), Delivery::TryAgain);
    }
}
