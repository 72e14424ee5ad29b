//! The log of files and the store under it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use collector::disk::RealDisk;
use collector::lake::{Change, CommitOutcome, DiskStore, FileEntry, Lake, Source};
use collector::schema::Kind;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutPayload};

use crate::support::disk::{SimulatedDisk, Survival};

fn file(path: &str) -> FileEntry {
    FileEntry {
        path: path.to_owned(),
        tenant: "default".to_owned(),
        kind: Kind::Metric,
        dt: "2026-11-20".to_owned(),
        hr: Some(7),
        ub: None,
        environments: vec!["production-1".to_owned()],
        rows: 1,
        bytes: 1,
        min_unit_hash: 0,
        max_unit_hash: 0,
        min_ts: 0,
        max_ts: 0,
        min_ts_received: 0,
        max_ts_received: 0,
        sha256: String::new(),
    }
}

fn flushed(collector: &str, segment: u64) -> Change {
    Change {
        source: Some(Source { collector: collector.to_owned(), segment }),
        added: vec![file(&format!("{collector}-{segment}"))],
        removed: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_collectors_each_commit_every_segment_once() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("file://{}", dir.path().display());
    let racers = (0..4).map(|racer| {
        let url = url.clone();
        tokio::spawn(async move {
            let lake = Lake::open(&url).unwrap();
            let collector = format!("collector-{racer}");
            for segment in 1..=25 {
                let change = flushed(&collector, segment);
                let outcome = lake.commit(change.clone()).await.unwrap();
                assert!(matches!(outcome, CommitOutcome::Committed(_)));
                let again = lake.commit(change).await.unwrap();
                assert_eq!(again, CommitOutcome::AlreadyCommitted);
            }
        })
    });
    for racer in racers.collect::<Vec<_>>() {
        racer.await.unwrap();
    }
    // A reader that starts from a checkpoint and one that has read on see the same.
    let lake = Lake::open(&url).unwrap();
    let snapshot = lake.snapshot().await.unwrap();
    assert_eq!(snapshot.number, 100);
    let paths: BTreeSet<&str> = snapshot.all_files().map(|file| file.path.as_str()).collect();
    assert_eq!(paths.len(), 100);
    assert_eq!(snapshot.committed_segment("collector-3"), Some(25));
    assert!(dir.path().join("events/v1/checkpoints/00000000000000000064.json").exists());
    let mut from_the_start = Vec::new();
    for number in 1..=100 {
        from_the_start.extend(lake.manifest(number).await.unwrap().unwrap().added);
    }
    let from_the_start: BTreeSet<&str> =
        from_the_start.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(from_the_start, paths);
}

#[tokio::test]
async fn of_two_compactions_of_one_file_the_second_is_refused() {
    let lake = Lake::new(Arc::<InMemory>::default());
    lake.commit(flushed("c", 1)).await.unwrap();
    let replace = |path: &str| Change {
        source: None,
        added: vec![file(path)],
        removed: vec!["c-1".to_owned()],
    };
    assert_eq!(lake.commit(replace("merged-1")).await.unwrap(), CommitOutcome::Committed(2));
    assert_eq!(lake.commit(replace("merged-2")).await.unwrap(), CommitOutcome::Conflict);
    let snapshot = lake.snapshot().await.unwrap();
    let paths: Vec<&str> = snapshot.all_files().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["merged-1"]);
    assert_eq!(snapshot.removed()[0].path, "c-1");
    assert_eq!(snapshot.files("default", Kind::Metric).count(), 1);
    assert_eq!(snapshot.files("default", Kind::Exposure).count(), 0);
    assert_eq!(snapshot.files("other", Kind::Metric).count(), 0);
}

#[tokio::test]
async fn a_damaged_manifest_is_an_error_and_not_an_empty_lake() {
    let store: Arc<InMemory> = Arc::default();
    let path = Path::from("events/v1/manifests/00000000000000000001.json");
    for content in ["", "{", "{\"number\": 2, \"committed_at\": \"2026-11-20T00:00:00Z\"}"] {
        store.put(&path, PutPayload::from(content.to_owned())).await.unwrap();
        assert!(Lake::new(store.clone()).snapshot().await.is_err(), "{content}");
    }
}

/// The same operations on our store and on `object_store`'s own end in the same answers and files.
#[tokio::test]
async fn the_disk_store_agrees_with_the_local_file_system() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ours: Arc<dyn ObjectStore> =
        Arc::new(DiskStore::new(Arc::new(RealDisk), ours.path().to_owned()));
    let theirs: Arc<dyn ObjectStore> =
        Arc::new(LocalFileSystem::new_with_prefix(theirs.path()).unwrap());
    let mut answers = Vec::new();
    for store in [ours, theirs] {
        let mut answer = Vec::new();
        let path = Path::from("events/v1/tenant=default/dt=2026-11-20/a.parquet");
        let other = Path::from("events/v1/tenant=default/b.parquet");
        let content = PutPayload::from_static(b"0123456789");
        answer.push(store.get(&path).await.is_err().to_string());
        store.put(&path, content.clone()).await.unwrap();
        store.put_opts(&other, content.clone(), PutMode::Create.into()).await.unwrap();
        let taken = store.put_opts(&path, content.clone(), PutMode::Create.into()).await;
        answer.push(matches!(taken, Err(object_store::Error::AlreadyExists { .. })).to_string());
        for range in [
            GetRange::Bounded(2..4),
            GetRange::Bounded(8..20),
            GetRange::Offset(7),
            GetRange::Suffix(3),
        ] {
            let options = GetOptions { range: Some(range), ..GetOptions::default() };
            let got = store.get_opts(&path, options).await.unwrap();
            answer.push(format!("{:?} {:?}", got.range, got.meta.size));
            answer.push(format!("{:?}", got.bytes().await.unwrap()));
        }
        answer.push(format!("{:?}", store.get_ranges(&path, &[0..2, 5..6]).await.unwrap()));
        answer.push(store.head(&path).await.unwrap().size.to_string());
        let copy = Path::from("copy");
        store.copy(&path, &copy).await.unwrap();
        answer.push(store.copy_if_not_exists(&path, &copy).await.is_err().to_string());
        let mut listed: Vec<String> = store
            .list(Some(&Path::from("events/v1")))
            .map_ok(|meta| format!("{} {}", meta.location, meta.size))
            .try_collect()
            .await
            .unwrap();
        listed.sort();
        answer.extend(listed);
        let tenant = Path::from("events/v1/tenant=default");
        let delimited = store.list_with_delimiter(Some(&tenant));
        let delimited = delimited.await.unwrap();
        answer.push(format!("{:?}", delimited.common_prefixes));
        answer.push(format!("{}", delimited.objects.len()));
        store.delete(&path).await.unwrap();
        answer.push(
            matches!(store.get(&path).await, Err(object_store::Error::NotFound { .. })).to_string(),
        );
        answer.push(
            store
                .list(Some(&Path::from("nothing")))
                .try_collect::<Vec<_>>()
                .await
                .unwrap()
                .len()
                .to_string(),
        );
        let mut upload = store.put_multipart(&path).await.unwrap();
        upload.put_part(PutPayload::from_static(b"one")).await.unwrap();
        upload.put_part(PutPayload::from_static(b"two")).await.unwrap();
        upload.complete().await.unwrap();
        answer.push(format!("{:?}", store.get(&path).await.unwrap().bytes().await.unwrap()));
        answers.push(answer);
    }
    assert_eq!(answers[0], answers[1]);
}

/// What a put has returned for is there after a power cut; what it has not is whole or not there.
#[tokio::test]
async fn a_put_is_durable_when_it_returns_and_never_torn() {
    let path = Path::from("events/v1/manifests/1.json");
    for mode in [PutMode::Create, PutMode::Overwrite] {
        for cut in 0..14 {
            for seed in 0..4 {
                let disk = SimulatedDisk::new(seed);
                let store = || DiskStore::new(Arc::new(disk.clone()), PathBuf::from("/data/store"));
                disk.cut_after(cut);
                let content = PutPayload::from_static(b"whole");
                let put = store().put_opts(&path, content, mode.clone().into()).await;
                disk.reboot(if seed == 0 { Survival::Nothing } else { Survival::Chance });
                let found = match store().get(&path).await {
                    Ok(object) => Some(object.bytes().await.unwrap()),
                    Err(object_store::Error::NotFound { .. }) => None,
                    Err(error) => panic!("{error}"),
                };
                assert!(found.as_ref().is_none_or(|bytes| bytes == "whole"), "{cut} {found:?}");
                assert!(put.is_err() || found.is_some(), "{mode:?} cut at {cut}: lost");
            }
        }
    }
}
