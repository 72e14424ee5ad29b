//! The power goes at every operation of a scenario, again during recovery, and nothing that was
//! acknowledged is lost or stored twice.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use collector::disk::Disk;
use collector::event::{Detail, Event, Measure, Unit};
use collector::flush::Flush;
use collector::lake::{DiskStore, Lake};
use collector::wal::{Batch, Recovered, SealedSegment, Wal};
use uuid::Uuid;

use crate::support::disk::{SimulatedDisk, Survival};
use crate::support::lake;

const WAL: &str = "/data/wal";
const STORE: &str = "/data/store";
const RECENT_IDS: usize = 1000;

/// 2026-11-20T13:59:59Z: the batches of the scenario fall into two received hours.
const RECEIVED: i64 = 1_795_183_199_000_000;

/// A client that sends its batches in order and sends each again until it is acknowledged.
struct Client {
    acknowledged: BTreeSet<Uuid>,
    next_group: u128,
    /// How many groups it sends in all.
    groups: u128,
}

/// The groups that the client sends while the power goes; each is two batches of two events.
const GROUPS: u128 = 3;
const EVENTS_OF_GROUP: u128 = 4;

fn event_id(group: u128, event: u128) -> Uuid {
    Uuid::from_u128((1 << 100) | (group * EVENTS_OF_GROUP + event))
}

fn batches(group: u128) -> Vec<Batch> {
    let received = RECEIVED + i64::try_from(group).unwrap() * 700_000;
    (0..2)
        .map(|batch| {
            let mut encoded = Batch::new("default".into(), "production-1".into(), received);
            for index in batch * 2..batch * 2 + 2 {
                encoded.push(&event(event_id(group, index), received)).unwrap();
            }
            encoded
        })
        .collect()
}

fn event(id: Uuid, ts: i64) -> Event<'static> {
    let measure = Measure { name: "purchase".into(), value: Some(1.0), properties: Vec::new() };
    Event {
        event_id: id.into_bytes(),
        ts,
        ts_client: None,
        ts_sent: None,
        skew_ms: None,
        units: vec![Unit { unit_type: "user_id".into(), pseudonym: id.into_bytes() }],
        context: Vec::new(),
        producer_id: None,
        producer_seq: None,
        sdk: None,
        consent: None,
        detail: if (id.as_u128() / EVENTS_OF_GROUP).is_multiple_of(2) {
            Detail::Diagnostic(measure)
        } else {
            Detail::Metric(measure)
        },
    }
}

impl Client {
    fn new() -> Self {
        Self { acknowledged: BTreeSet::new(), next_group: 0, groups: GROUPS }
    }

    /// Runs a collector from its start until everything is sent and in the lake, or until
    /// something fails.
    async fn run(&mut self, disk: &SimulatedDisk) -> anyhow::Result<()> {
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        let Recovered { mut wal, segments } =
            Wal::open(Arc::clone(&disk), Path::new(WAL), RECENT_IDS)?;
        let store = DiskStore::new(Arc::clone(&disk), PathBuf::from(STORE));
        let flush = Flush {
            disk,
            dir: PathBuf::from(WAL),
            lake: Arc::new(Lake::new(Arc::new(store))),
            collector: wal.collector().simple().to_string(),
            recent_capacity: RECENT_IDS,
        };
        // What is found in the log is flushed while the client goes on.
        let mut sealed: VecDeque<SealedSegment> = segments.into();
        while self.next_group < self.groups {
            // Every other time the group before comes once more, as from a client that lost the
            // answer. (Always would hide a loss.)
            let again =
                self.next_group.is_multiple_of(2).then(|| self.next_group.saturating_sub(1));
            for group in again.into_iter().chain([self.next_group]) {
                wal.commit(&batches(group))?;
                self.acknowledged.extend((0..EVENTS_OF_GROUP).map(|event| event_id(group, event)));
            }
            self.next_group += 1;
            sealed.extend(wal.seal());
            // The flush lags behind, so that the log holds several segments when the power goes.
            if sealed.len() > 1
                && let Some(segment) = sealed.pop_front()
            {
                flush.flush(&segment).await?;
            }
        }
        sealed.extend(wal.seal());
        for segment in &sealed {
            flush.flush(segment).await?;
        }
        Ok(())
    }
}

async fn stored(disk: &SimulatedDisk) -> Vec<Uuid> {
    let store = DiskStore::new(Arc::new(disk.clone()), PathBuf::from(STORE));
    let rows = lake::rows(&Lake::new(Arc::new(store))).await;
    rows.into_iter().map(|row| row.event_id).collect()
}

/// Cuts the power at one operation, and maybe once more during recovery; then lets the collector
/// finish.
async fn check(cut: u64, second_cut: Option<u64>, survival: Survival, seed: u64) {
    let context = format!("cut at {cut}, then {second_cut:?}, {survival:?}, seed {seed}");
    let disk = SimulatedDisk::new(seed);
    let mut client = Client::new();
    for cut in [Some(cut), second_cut].into_iter().flatten() {
        disk.cut_after(cut);
        let is_done = client.run(&disk).await.is_ok();
        assert!(is_done || disk.is_out(), "{context}: failed before the cut");
        disk.reboot(survival);
    }
    finish(&disk, &mut client, &context).await;
}

/// With the power back everything succeeds, nothing that was acknowledged is missing, and nothing
/// is there twice, even if the client sends all of it once more.
async fn finish(disk: &SimulatedDisk, client: &mut Client, context: &str) {
    client.run(disk).await.unwrap_or_else(|error| panic!("{context}: {error:#}"));
    check_stored(disk, client, context).await;
    {
        let opened = Wal::open(Arc::new(disk.clone()), Path::new(WAL), RECENT_IDS);
        let mut wal = opened.unwrap().wal;
        for group in 0..GROUPS {
            for committed in wal.commit(&batches(group)).unwrap() {
                assert_eq!(committed.accepted, 0, "{context}: group {group} was forgotten");
            }
        }
    }
    // A later start does not take its new events for old ones.
    client.groups += 1;
    client.run(disk).await.unwrap_or_else(|error| panic!("{context}: {error:#}"));
    check_stored(disk, client, context).await;
}

async fn check_stored(disk: &SimulatedDisk, client: &Client, context: &str) {
    let stored = stored(disk).await;
    let unique: BTreeSet<Uuid> = stored.iter().copied().collect();
    assert_eq!(unique, client.acknowledged, "{context}");
    assert_eq!(stored.len(), unique.len(), "{context}: stored twice");
    assert_eq!(unique.len() as u128, client.groups * EVENTS_OF_GROUP, "{context}");
}

async fn operations_of_the_scenario() -> u64 {
    let disk = SimulatedDisk::new(0);
    Client::new().run(&disk).await.unwrap();
    disk.operations()
}

#[tokio::test]
async fn a_power_cut_at_any_operation_loses_and_doubles_nothing() {
    let operations = operations_of_the_scenario().await;
    assert!(operations > 50, "{operations}");
    for cut in 0..=operations {
        check(cut, None, Survival::Nothing, cut).await;
    }
}

#[tokio::test]
async fn torn_writes_and_lost_names_lose_and_double_nothing() {
    let operations = operations_of_the_scenario().await;
    for cut in 0..=operations {
        check(cut, None, Survival::Chance, cut ^ 0x5eed).await;
    }
}

#[tokio::test]
async fn a_kill_followed_by_a_power_cut_loses_and_doubles_nothing() {
    let operations = operations_of_the_scenario().await;
    // After the kill everything is still there, and what the second process finds is not durable
    // until it makes it so.
    for kill in (0..12).chain((12..=operations).step_by(3)) {
        let cuts = if kill < 12 { 0..70 } else { 5..25 };
        for cut in cuts.step_by(10) {
            kill_then_cut(kill, cut + kill % 10, kill * 100 + cut).await;
        }
    }
}

async fn kill_then_cut(kill: u64, cut: u64, seed: u64) {
    let context = format!("killed at {kill}, power cut at {cut}, seed {seed}");
    let disk = SimulatedDisk::new(seed);
    let mut client = Client::new();
    disk.cut_after(kill);
    if client.run(&disk).await.is_err() {
        disk.kill();
        disk.cut_after(cut);
        client.run(&disk).await.ok();
    }
    disk.reboot(Survival::Nothing);
    finish(&disk, &mut client, &context).await;
}

#[tokio::test]
async fn a_second_power_cut_during_recovery_loses_and_doubles_nothing() {
    let operations = operations_of_the_scenario().await;
    for cut in (0..=operations).step_by(5) {
        for second_cut in [3, 11, 29] {
            let seed = cut * 100 + second_cut;
            check(cut, Some(second_cut), Survival::Chance, seed).await;
            check(cut, Some(second_cut), Survival::Nothing, seed).await;
        }
    }
}
