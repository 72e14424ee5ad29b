//! `kill -9` of a real collector process, again and again, under load.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use collector::lake::Lake;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::StatusCode;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::server::{BATCH, Home, SERVER_KEY};
use crate::support::{id_of, lake, lines, purchase};

/// Tells the child process which folder to work in; without it, it does nothing.
const CHILD_HOME: &str = "COLLECTOR_TEST_HOME";
const KILLS: usize = 8;
const CLIENTS: usize = 4;
const EVENTS_OF_BATCH: usize = 20;

/// Not a test: the process that the test below kills. It tells its address in a file.
#[tokio::test]
#[ignore = "the process that another test starts and kills"]
async fn collector_process() {
    let Some(home) = std::env::var_os(CHILD_HOME).map(PathBuf::from) else { return };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::fs::write(home.join("address.new"), address).unwrap();
    std::fs::rename(home.join("address.new"), home.join("address")).unwrap();
    let settings = collector::Settings {
        compaction: Some(collector::CompactionSettings {
            interval: Duration::from_millis(20),
            min_files: 3,
            grace: Duration::ZERO,
            ..collector::CompactionSettings::default()
        }),
        flush_interval: Duration::from_millis(20),
        ..settings_in(&home)
    };
    collector::serve(listener, settings, CancellationToken::new()).await.unwrap();
}

fn settings_in(home: &Path) -> collector::Settings {
    collector::Settings {
        store_url: format!("file://{}", home.join("store").display()),
        wal_dir: home.join("wal"),
        pseudonym_secret: Some(collector::pseudonym::PseudonymSecret::new([7; 32])),
        group_delay: Duration::from_millis(1),
        ..collector::Settings::default()
    }
}

fn start_process(home: &Path) -> Child {
    std::fs::remove_file(home.join("address")).ok();
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::collector_process", "--ignored", "--nocapture"])
        .env(CHILD_HOME, home)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What the clients share.
struct Load {
    home: PathBuf,
    http: reqwest::Client,
    stop: AtomicBool,
    acknowledged: Mutex<BTreeSet<Uuid>>,
    batches: AtomicUsize,
    duplicates: AtomicUsize,
}

/// A client that sends each batch until it is acknowledged, as an SDK does.
async fn send_until_stopped(load: Arc<Load>, client: usize) {
    let mut round = 0;
    while !load.stop.load(Ordering::Acquire) {
        let events: Vec<Value> = (0..EVENTS_OF_BATCH)
            .map(|event| purchase(&format!("u-{}", (client * 31 + round * 7 + event) % 97), 1.0))
            .collect();
        round += 1;
        let receipt = deliver(&load, &lines(&events)).await;
        let count = |name: &str| usize::try_from(receipt[name].as_u64().unwrap()).unwrap();
        assert_eq!(count("accepted") + count("duplicate"), EVENTS_OF_BATCH, "{receipt}");
        load.duplicates.fetch_add(count("duplicate"), Ordering::Relaxed);
        load.batches.fetch_add(1, Ordering::Relaxed);
        load.acknowledged.lock().unwrap().extend(events.iter().map(id_of));
    }
}

async fn deliver(load: &Load, body: &str) -> Value {
    loop {
        if let Ok(address) = std::fs::read_to_string(load.home.join("address")) {
            let url = format!("http://{address}{BATCH}");
            let request = load.http.post(url).bearer_auth(SERVER_KEY).body(body.to_owned());
            if let Ok(response) = request.send().await
                && response.status() == StatusCode::ACCEPTED
                && let Ok(receipt) = response.json().await
            {
                return receipt;
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_minus_nine_under_load_loses_and_doubles_nothing() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let home = Home::new();
    let load = Arc::new(Load {
        home: home.dir.path().to_owned(),
        http: reqwest::Client::new(),
        stop: AtomicBool::new(false),
        acknowledged: Mutex::default(),
        batches: AtomicUsize::new(0),
        duplicates: AtomicUsize::new(0),
    });
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| tokio::spawn(send_until_stopped(Arc::clone(&load), client)))
        .collect();
    for _ in 0..KILLS {
        let mut process = start_process(home.dir.path());
        // Progress between two kills, however slow the machine is.
        let goal = load.batches.load(Ordering::Relaxed) + random.random_range(10..60);
        while load.batches.load(Ordering::Relaxed) < goal {
            assert!(process.try_wait().unwrap().is_none(), "the process ended by itself");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        process.kill().unwrap();
        process.wait().unwrap();
    }
    load.stop.store(true, Ordering::Release);
    let mut process = start_process(home.dir.path());
    for client in clients {
        client.await.unwrap();
    }
    process.kill().unwrap();
    process.wait().unwrap();

    // A last start brings what the log holds into the lake.
    home.start().await.stop().await;
    let lake = Lake::open(&format!("file://{}", home.store().display())).unwrap();
    let stored = lake::event_counts(&lake).await;
    let acknowledged = load.acknowledged.lock().unwrap().clone();
    let lost: Vec<_> = acknowledged.iter().filter(|id| !stored.contains_key(id)).collect();
    let doubled: Vec<_> = stored.iter().filter(|(_, count)| **count > 1).collect();
    println!(
        "{} events acknowledged, {} retried after they were stored, {} manifests",
        acknowledged.len(),
        load.duplicates.load(Ordering::Relaxed),
        lake.snapshot().await.unwrap().number
    );
    assert_eq!((lost.len(), doubled.len()), (0, 0), "seed {seed}");
    assert_eq!(stored.len(), acknowledged.len(), "seed {seed}");
    assert!(acknowledged.len() >= KILLS * 10 * EVENTS_OF_BATCH);
}
