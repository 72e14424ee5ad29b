//! The object store fails while collectors flush, and several collectors share one lake.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use collector::CompactionSettings;
use collector::Settings;
use collector::compact::Compaction;
use collector::disk::RealDisk;
use collector::keys::{ConfigKeys, ConfigSource};
use collector::lake::{Change, CommitOutcome, Lake, Source, open_store};
use collector::server::{Parts, serve_parts};
use object_store::memory::InMemory;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::s3::S3Server;
use crate::support::server::{BATCH, Collector, Home, SERVER_KEY, counts, receipt};
use crate::support::store::UnreliableStore;
use crate::support::{id_of, lake, lines, purchase};

/// Runs a collector over a lake of its own, with the keys of `home`.
async fn with_lake(
    home: &Home,
    settings: Settings,
    lake: Arc<Lake>,
    work: impl AsyncFnOnce(String),
) {
    let keys = Arc::new(ConfigKeys::new(ConfigSource::Store(
        open_store(&format!("file://{}", home.store().display())).unwrap(),
    )));
    let parts = Parts { disk: Arc::new(RealDisk), lake, keys, configs: None };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(serve_parts(listener, settings, parts, shutdown.clone()));
    work(base).await;
    shutdown.cancel();
    running.await.unwrap().unwrap();
}

async fn send(base: &str, events: &[Value]) -> Value {
    let client = reqwest::Client::new();
    let request = client.post(format!("{base}{BATCH}")).bearer_auth(SERVER_KEY);
    receipt(request.body(lines(events)).send().await.unwrap()).await
}

#[tokio::test]
async fn a_store_that_fails_half_the_time_gets_every_event_once() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let home = Home::new();
    let memory: Arc<InMemory> = Arc::default();
    let store = Arc::new(UnreliableStore::new(memory, seed));
    let lake = Arc::new(Lake::new(Arc::<UnreliableStore>::clone(&store)));
    let mut settings = home.settings();
    settings.flush_interval = Duration::from_millis(10);
    let mut sent = BTreeSet::new();
    with_lake(&home, settings, Arc::clone(&lake), async |base| {
        for _ in 0..15 {
            let events = [purchase("u-1", 1.0), purchase("u-2", 2.0)];
            sent.extend(events.iter().map(id_of));
            assert_eq!(counts(&send(&base, &events).await), (2, 0, 0));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        while store.failures.load(Ordering::Relaxed) < 5 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            send(
                &base,
                &[purchase("u-3", 1.0)].map(|event| {
                    sent.insert(id_of(&event));
                    event
                }),
            )
            .await;
        }
        store.is_unreliable.store(false, Ordering::Release);
    })
    .await;
    let stored = lake::event_counts(&lake).await;
    assert_eq!(stored.keys().copied().collect::<BTreeSet<_>>(), sent);
    assert!(stored.values().all(|count| *count == 1), "seed {seed}");
}

#[tokio::test]
async fn while_the_store_is_away_events_are_kept_until_the_log_is_full() {
    let home = Home::new();
    let store = Arc::new(UnreliableStore::new(Arc::<InMemory>::default(), 1));
    let lake = Arc::new(Lake::new(Arc::new(Away)));
    let mut settings = home.settings();
    settings.wal_bytes = 4000;
    settings.shutdown_timeout = Duration::from_millis(100);
    let mut accepted = BTreeSet::new();
    with_lake(&home, settings, lake, async |base| {
        let client = reqwest::Client::new();
        loop {
            let event = purchase("u-1", 1.0);
            let request = client.post(format!("{base}{BATCH}")).bearer_auth(SERVER_KEY);
            let response = request.body(event.to_string()).send().await.unwrap();
            if response.status() == 503 {
                assert_eq!(response.headers()["retry-after"], "1");
                assert_eq!(response.headers()["content-type"], "application/problem+json");
                let ready = client.get(format!("{base}/readyz")).send().await.unwrap();
                assert_eq!(ready.status(), 503);
                break;
            }
            assert_eq!(counts(&receipt(response).await), (1, 0, 0));
            accepted.insert(id_of(&event));
        }
    })
    .await;
    assert!(accepted.len() > 10, "{}", accepted.len());
    // The next start, with the store back, flushes what the log kept.
    store.is_unreliable.store(false, Ordering::Release);
    let lake = Arc::new(Lake::new(store));
    with_lake(&home, home.settings(), Arc::clone(&lake), async |_| {}).await;
    let stored: BTreeSet<Uuid> = lake::event_counts(&lake).await.into_keys().collect();
    assert_eq!(stored, accepted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_collectors_on_one_lake_lose_and_double_nothing() {
    let home = Home::new();
    let start = async |wal: &str| {
        let mut settings = home.settings();
        settings.wal_dir = Path::new(home.dir.path()).join(wal);
        settings.flush_interval = Duration::from_millis(5);
        Collector::start(settings).await
    };
    let collectors = [start("wal-1").await, start("wal-2").await];
    let mut sent = BTreeSet::new();
    for round in 0..40 {
        let [one, two] = [0, 1].map(|of| [purchase(&format!("u-{}", round % 5), f64::from(of))]);
        sent.extend([id_of(&one[0]), id_of(&two[0])]);
        let answers =
            tokio::join!(collectors[0].send(lines(&one)), collectors[1].send(lines(&two)));
        assert_eq!((counts(&answers.0), counts(&answers.1)), ((1, 0, 0), (1, 0, 0)));
    }
    for collector in collectors {
        collector.stop().await;
    }
    let lake = Lake::open(&format!("file://{}", home.store().display())).unwrap();
    let stored = lake::event_counts(&lake).await;
    assert_eq!(stored.keys().copied().collect::<BTreeSet<_>>(), sent);
    assert!(stored.values().all(|count| *count == 1));
    let snapshot = lake.snapshot().await.unwrap();
    assert!(snapshot.number >= 20, "few races: {} manifests", snapshot.number);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_s3_two_collectors_and_a_compaction_keep_every_event_once() {
    let home = Home::new();
    let s3 = S3Server::start().await;
    let mut sent = BTreeSet::new();
    let collect = async |wal: &str| {
        let mut settings = home.settings();
        settings.wal_dir = home.dir.path().join(wal);
        settings.flush_interval = Duration::from_millis(20);
        let mut ids = Vec::new();
        with_lake(&home, settings, Arc::new(Lake::new(s3.store())), async |base| {
            for round in 0..6 {
                let events = [purchase("u-1", f64::from(round)), purchase("u-2", 2.0)];
                ids.extend(events.iter().map(id_of));
                assert_eq!(counts(&send(&base, &events).await), (2, 0, 0));
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        })
        .await;
        ids
    };
    for ids in [collect("wal-1").await, collect("wal-2").await] {
        sent.extend(ids);
    }
    let lake = Arc::new(Lake::new(s3.store()));
    let racers = (0..3).map(|racer| {
        let lake = Lake::new(s3.store());
        tokio::spawn(async move {
            for segment in 1..=5 {
                let source = Source { collector: format!("racer-{racer}"), segment };
                let change = Change { source: Some(source), ..Change::default() };
                let outcome = lake.commit(change).await.unwrap();
                assert!(matches!(outcome, CommitOutcome::Committed(_)));
            }
        })
    });
    for racer in racers.collect::<Vec<_>>() {
        racer.await.unwrap();
    }
    let before = lake.snapshot().await.unwrap();
    assert!((0..3).all(|racer| before.committed_segment(&format!("racer-{racer}")) == Some(5)));
    let settings = CompactionSettings { min_files: 2, ..CompactionSettings::default() };
    let mut compaction = Compaction::new(Arc::clone(&lake), settings);
    assert!(compaction.run_once(jiff::Timestamp::now()).await.unwrap().jobs > 0);
    let stored = lake::event_counts(&Lake::new(s3.store())).await;
    assert_eq!(stored.keys().copied().collect::<BTreeSet<_>>(), sent);
    assert!(stored.values().all(|count| *count == 1));
}

/// A store that cannot be reached.
#[derive(Debug)]
struct Away;

mod away {
    use async_trait::async_trait;
    use futures::StreamExt;
    use futures::stream::BoxStream;
    use object_store::path::Path;
    use object_store::{
        CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
        ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    };

    use super::Away;

    impl std::fmt::Display for Away {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Away")
        }
    }

    fn away<T>() -> Result<T> {
        Err(Error::Generic { store: "away", source: "no connection".into() })
    }

    #[async_trait]
    impl ObjectStore for Away {
        async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
            away()
        }

        async fn put_multipart_opts(
            &self,
            _: &Path,
            _: PutMultipartOptions,
        ) -> Result<Box<dyn MultipartUpload>> {
            away()
        }

        async fn get_opts(&self, _: &Path, _: GetOptions) -> Result<GetResult> {
            away()
        }

        fn delete_stream(
            &self,
            locations: BoxStream<'static, Result<Path>>,
        ) -> BoxStream<'static, Result<Path>> {
            locations.map(|_| away()).boxed()
        }

        fn list(&self, _: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
            futures::stream::iter([away()]).boxed()
        }

        async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
            away()
        }

        async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
            away()
        }
    }
}
