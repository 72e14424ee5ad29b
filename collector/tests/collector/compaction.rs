//! Fresh files become few files per range of units, and the events stay the same.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use collector::CompactionSettings;
use collector::compact::Compaction;
use collector::lake::Lake;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::support::lake::StoredRow;
use crate::support::server::{Collector, Home, counts};
use crate::support::{exposure, lake, lines, purchase};

/// Sends `files` batches, each of which becomes a file of its own.
async fn fill(home: &Home, files: usize, events_of_file: usize) -> Vec<Vec<Value>> {
    let mut sent = Vec::new();
    for file in 0..files {
        let collector = home.start().await;
        let events: Vec<Value> = (0..events_of_file)
            .map(|event| purchase(&format!("u-{}", (file * 7 + event) % 50), 1.0))
            .collect();
        assert_eq!(counts(&collector.send(lines(&events)).await).0, events_of_file as u64);
        collector.stop().await;
        sent.push(events);
    }
    sent
}

fn open(home: &Home) -> Arc<Lake> {
    Arc::new(Lake::open(&format!("file://{}", home.store().display())).unwrap())
}

fn settings(target_bytes: u64) -> CompactionSettings {
    CompactionSettings {
        interval: Duration::from_mins(10),
        min_files: 3,
        target_bytes,
        grace: Duration::from_hours(1),
    }
}

async fn sorted_rows(lake: &Lake) -> Vec<StoredRow> {
    let mut rows = lake::rows(lake).await;
    rows.sort();
    rows
}

#[tokio::test]
async fn merged_files_hold_the_same_rows_and_the_old_ones_go_after_the_grace_period() {
    let home = Home::new();
    fill(&home, 5, 100).await;
    let lake = open(&home);
    let before = sorted_rows(&lake).await;
    let old: Vec<String> =
        lake.snapshot().await.unwrap().all_files().map(|file| file.path.clone()).collect();
    assert_eq!(old.len(), 5);

    let mut compaction = Compaction::new(Arc::clone(&lake), settings(1 << 30));
    let now = Timestamp::now();
    let report = compaction.run_once(now).await.unwrap();
    assert_eq!((report.jobs, report.files_removed, report.files_added), (1, 5, 1));
    assert_eq!((report.duplicates, report.files_deleted), (0, 0));
    assert_eq!(sorted_rows(&lake).await, before);
    assert!(old.iter().all(|path| home.store().join(path).exists()), "readers may still need them");

    let later = now + SignedDuration::from_hours(2);
    let report = compaction.run_once(later).await.unwrap();
    assert_eq!((report.jobs, report.files_deleted), (0, 5));
    assert!(!old.iter().any(|path| home.store().join(path).exists()));
    assert_eq!(compaction.run_once(later).await.unwrap().files_deleted, 0);
    // Another reader, from the manifests alone.
    assert_eq!(sorted_rows(&open(&home)).await, before);
}

#[tokio::test]
async fn large_tenants_get_unit_buckets_that_cover_every_unit_once() {
    let home = Home::new();
    fill(&home, 4, 400).await;
    let lake = open(&home);
    let before = sorted_rows(&lake).await;
    let total: u64 = lake.snapshot().await.unwrap().all_files().map(|file| file.bytes).sum();
    let mut compaction = Compaction::new(Arc::clone(&lake), settings(total / 7));
    assert_eq!(compaction.run_once(Timestamp::now()).await.unwrap().jobs, 1);
    assert_eq!(sorted_rows(&lake).await, before);
    let snapshot = lake.snapshot().await.unwrap();
    let buckets: BTreeSet<_> = snapshot.all_files().map(|file| file.ub.unwrap()).collect();
    let expected: Vec<(u8, u8)> = (0..8).map(|bucket| (bucket * 32, bucket * 32 + 31)).collect();
    assert_eq!(buckets.iter().map(|b| (b.first, b.last)).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn an_event_that_two_collectors_took_is_stored_once_after_compaction() {
    let home = Home::new();
    let events: Vec<Value> =
        (0..50).map(|user| exposure(&format!("u-{user}"), "control")).collect();
    for wal in ["wal-1", "wal-2", "wal-3"] {
        let mut settings = home.settings();
        settings.wal_dir = home.dir.path().join(wal);
        let collector = Collector::start(settings).await;
        assert_eq!(counts(&collector.send(lines(&events)).await), (50, 0, 0));
        collector.stop().await;
    }
    let lake = open(&home);
    let before = lake::rows(&lake).await;
    assert_eq!(before.len(), 300);
    let report = Compaction::new(Arc::clone(&lake), settings(1 << 30))
        .run_once(Timestamp::now())
        .await
        .unwrap();
    assert_eq!((report.jobs, report.duplicates), (1, 200));
    let after = lake::rows(&lake).await;
    assert_eq!(after.len(), 100);
    for row in after {
        let same =
            |other: &&StoredRow| (other.event_id, other.unit_id) == (row.event_id, row.unit_id);
        let first = before.iter().filter(same).map(|other| other.ts_received).min();
        assert_eq!(Some(row.ts_received), first, "the first received stays");
    }
}

#[tokio::test]
async fn a_day_that_is_over_is_compacted_whatever_its_number_of_files() {
    let home = Home::new();
    fill(&home, 1, 10).await;
    let lake = open(&home);
    let mut compaction = Compaction::new(Arc::clone(&lake), settings(1 << 30));
    let now = Timestamp::now();
    assert_eq!(compaction.run_once(now).await.unwrap().jobs, 0);
    let in_two_days = now + SignedDuration::from_hours(48);
    assert_eq!(compaction.run_once(in_two_days).await.unwrap().jobs, 1);
    assert_eq!(compaction.run_once(in_two_days).await.unwrap().jobs, 0);
    assert_eq!(lake::rows(&lake).await.len(), 10);
}

#[tokio::test]
async fn of_two_compactions_at_once_one_wins_and_nothing_changes() {
    let home = Home::new();
    fill(&home, 4, 50).await;
    let before = sorted_rows(&open(&home)).await;
    let run = async || {
        Compaction::new(open(&home), settings(1 << 30)).run_once(Timestamp::now()).await.unwrap()
    };
    let (one, two) = tokio::join!(run(), run());
    assert_eq!(one.jobs + two.jobs, 1);
    let lake = open(&home);
    assert_eq!(sorted_rows(&lake).await, before);
    assert_eq!(lake.snapshot().await.unwrap().all_files().count(), 1);
    let compacted = home.store().join("events/v1c/tenant=default/kind=metric");
    let day = std::fs::read_dir(compacted).unwrap().next().unwrap().unwrap().path();
    let files = std::fs::read_dir(day.join("ub=000")).unwrap().count();
    assert_eq!(files, 1, "the loser's file is gone");
}
