//! Events per second made durable, with every sync that a real installation does.
//!
//! ```text
//! cargo bench -p collector --bench ingest              all parts
//! cargo bench -p collector --bench ingest -- http      one part: parse, log, http, paced, flush
//! ```
//!
//! `INGEST_DIR` names the folder to work in (default: the system's temporary folder), and so the
//! disk that is measured. Per-core figures divide by the CPU seconds of the process that does the
//! work, since clients and other programs share the machine.

#![expect(clippy::print_stdout, reason = "figures are what it is for")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on should stop")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use collector::disk::RealDisk;
use collector::event::{Intake, split, validate};
use collector::flush::Flush;
use collector::lake::{DiskStore, Lake};
use collector::pseudonym::{PseudonymKey, PseudonymSecret};
use collector::wal::{Batch, Recovered, Wal, WriterSettings, spawn_writer};
use collector::{CompactionSettings, Settings};
use eval_core::source::{ConfigSource, KeyKind, SdkKeySource};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

const ENVIRONMENT: &str = "production-k3v9x2mq";
const KEY: &str = "sk_server_production-k3v9x2mq_abcdefghijklmnopqrstuvwxyz234567";
const SERVER: &str = "server";
const UNITS: u64 = 200_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, dir] = &arguments[..]
        && word == SERVER
    {
        return serve(Path::new(dir));
    }
    let parts: [(&str, fn()); 5] = [
        ("parse", bench_parse),
        ("log", bench_log),
        ("http", bench_http),
        ("paced", bench_paced),
        ("flush", bench_flush),
    ];
    let chosen = |name: &str| {
        let mut named = arguments.iter().filter(|argument| !argument.starts_with('-')).peekable();
        named.peek().is_none() || named.any(|argument| argument == name)
    };
    for (name, bench) in parts {
        if chosen(name) {
            bench();
        }
    }
}

fn work_dir() -> tempfile::TempDir {
    match std::env::var_os("INGEST_DIR") {
        Some(dir) => tempfile::tempdir_in(dir).unwrap(),
        None => tempfile::tempdir().unwrap(),
    }
}

/// Batches whose events are all different, made by rewriting the ids of one.
struct BatchMaker {
    body: Vec<u8>,
    /// Where the last 12 digits of every event id are.
    ids: Vec<usize>,
    /// Where the 7 digits of every unit id are.
    units: Vec<usize>,
}

const ID: &str = "018f0000-0000-7000-8000-";

impl BatchMaker {
    fn new(events: usize) -> Self {
        let mut maker = Self { body: Vec::new(), ids: Vec::new(), units: Vec::new() };
        for index in 0..events {
            // Two exposures to three metric events.
            let event = if index % 5 < 2 {
                format!(
                    concat!(
                        r#"{{"event_id":"{}000000000000","type":"exposure","units":{{"user_id":"u-0000000"}},"#,
                        r#""experiment":"exp_checkout_v{}","variant":"treatment","unit_type":"user_id","#,
                        r#""generation":42,"timestamp":"2026-11-20T10:30:00.000Z","#,
                        r#""attributes":{{"platform":"web","country":"US"}},"sdk":"edge/0.1.0"}}"#,
                        "\n"
                    ),
                    ID,
                    index % 7
                )
            } else {
                format!(
                    concat!(
                        r#"{{"event_id":"{}000000000000","type":"metric","units":{{"user_id":"u-0000000"}},"#,
                        r#""name":"purchase","value":{}.95,"timestamp":"2026-11-20T10:31:00.000Z","#,
                        r#""properties":{{"currency":"USD"}}}}"#,
                        "\n"
                    ),
                    ID, index
                )
            };
            let start = maker.body.len();
            maker.ids.push(start + event.find(ID).unwrap() + ID.len());
            maker.units.push(start + event.find("u-0000000").unwrap() + 2);
            maker.body.extend_from_slice(event.as_bytes());
        }
        maker
    }

    fn next(&mut self) -> Vec<u8> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let first = NEXT.fetch_add(self.ids.len() as u64, Ordering::Relaxed);
        for (number, (id, unit)) in (first..).zip(self.ids.iter().zip(&self.units)) {
            let digits = format!("{number:012x}");
            self.body[*id..id + 12].copy_from_slice(digits.as_bytes());
            let digits = format!("{:07}", number.wrapping_mul(2_654_435_761) % UNITS);
            self.body[*unit..unit + 7].copy_from_slice(digits.as_bytes());
        }
        self.body.clone()
    }

    fn events(&self) -> u64 {
        self.ids.len() as u64
    }
}

fn parse(body: &[u8], key: &PseudonymKey) -> Batch {
    let received = collector::clock::now();
    let intake = Intake { received, sent: None, default_kind: None, pseudonyms: key };
    let mut batch = Batch::new("default".into(), ENVIRONMENT.into(), received);
    for text in split(body, false).unwrap() {
        batch.push(&validate(text, &intake).unwrap()).unwrap();
    }
    batch
}

fn key() -> PseudonymKey {
    PseudonymKey::derive(&PseudonymSecret::new([7; 32]), "default")
}

/// Parse, validate, pseudonymise and encode, on one thread.
fn bench_parse() {
    let (mut maker, key) = (BatchMaker::new(500), key());
    let bodies: Vec<Vec<u8>> = (0..200).map(|_| maker.next()).collect();
    let (started, cpu) = (Instant::now(), cpu_seconds(std::process::id()));
    let mut events = 0;
    while started.elapsed() < Duration::from_secs(3) {
        for body in &bodies {
            events += parse(body, &key).len() as u64;
        }
    }
    let used = cpu_seconds(std::process::id()) - cpu;
    let bytes = bodies[0].len() as u64 / maker.events();
    println!(
        "parse   {:>9.0} events/s per core ({bytes} bytes of JSON each)",
        events as f64 / used
    );
}

fn writer_settings() -> WriterSettings {
    WriterSettings {
        group_delay: Duration::from_millis(5),
        group_bytes: 4 * 1024 * 1024,
        segment_bytes: 64 * 1024 * 1024,
        segment_age: Duration::from_mins(1),
        queue_bytes: 256 * 1024 * 1024,
        log_bytes: u64::MAX,
    }
}

/// From JSON to durable in the log, without HTTP and without the flush.
fn bench_log() {
    let dir = work_dir();
    let wal = dir.path().join("wal");
    let Recovered { wal, segments } = Wal::open(Arc::new(RealDisk), &wal, 2_000_000).unwrap();
    let (log, mut sealed, _thread) = spawn_writer(wal, segments, writer_settings()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (started, cpu) = (Instant::now(), cpu_seconds(std::process::id()));
    let events = Arc::new(AtomicU64::new(0));
    let mut latencies = runtime.block_on(async {
        tokio::spawn(async move {
            while let Some(segment) = sealed.recv().await {
                std::fs::remove_file(segment.path).unwrap();
            }
        });
        let clients = (0..16).map(|_| {
            let (log, events) = (log.clone(), Arc::clone(&events));
            tokio::spawn(async move {
                let (mut maker, key) = (BatchMaker::new(500), key());
                let mut latencies = Vec::new();
                while started.elapsed() < Duration::from_secs(10) {
                    let body = maker.next();
                    let sent = Instant::now();
                    let done = log.submit(parse(&body, &key)).unwrap();
                    let committed = done.await.unwrap().unwrap();
                    latencies.push(sent.elapsed());
                    events.fetch_add(committed.accepted as u64, Ordering::Relaxed);
                }
                latencies
            })
        });
        let mut latencies = Vec::new();
        for client in clients.collect::<Vec<_>>() {
            latencies.extend(client.await.unwrap());
        }
        latencies
    });
    let used = cpu_seconds(std::process::id()) - cpu;
    report("log", &events, started.elapsed(), used, &mut latencies);
}

/// A collector in a process of its own.
struct Server {
    process: Child,
    url: String,
    dir: PathBuf,
}

impl Server {
    fn start(dir: &Path) -> Self {
        publish(&dir.join("store"));
        let process = Command::new(std::env::current_exe().unwrap())
            .args([SERVER.as_ref(), dir.as_os_str()])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let address = dir.join("address");
        while !address.exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let url = format!("http://{}/v1/events/batch", std::fs::read_to_string(address).unwrap());
        Self { process, url, dir: dir.to_owned() }
    }

    fn cpu_seconds(&self) -> f64 {
        cpu_seconds(self.process.id())
    }

    fn peak_memory_mib(&self) -> u64 {
        let status = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        std::fs::remove_dir_all(&self.dir).ok();
    }
}

/// What [`Server`] runs.
fn serve(dir: &Path) {
    let settings = Settings {
        store_url: format!("file://{}", dir.join("store").display()),
        wal_dir: dir.join("wal"),
        pseudonym_secret: Some(PseudonymSecret::new([7; 32])),
        compaction: Some(CompactionSettings::default()),
        ..Settings::default()
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::fs::write(dir.join("address.new"), address).unwrap();
        std::fs::rename(dir.join("address.new"), dir.join("address")).unwrap();
        collector::serve(listener, settings, CancellationToken::new()).await.unwrap();
    });
}

fn publish(store: &Path) {
    let source = ConfigSource {
        environment: ENVIRONMENT.to_owned(),
        project: "default".to_owned(),
        sdk_keys: vec![SdkKeySource { sha256: Sha256::digest(KEY).into(), kind: KeyKind::Server }],
        ..ConfigSource::default()
    };
    let blob = eval_core::blob::encode(&eval_core::compile(&source).unwrap(), 1, 0);
    let configs = store.join("configs").join(ENVIRONMENT);
    std::fs::create_dir_all(&configs).unwrap();
    std::fs::write(configs.join("1.bin"), blob).unwrap();
    let object = format!("configs/{ENVIRONMENT}/1.bin");
    let pointer = serde_json::json!({"generation": 1, "object": object});
    std::fs::write(configs.join("latest.json"), pointer.to_string()).unwrap();
}

async fn post(client: &reqwest::Client, url: &str, body: Vec<u8>) -> u64 {
    let response = client.post(url).bearer_auth(KEY).body(body).send().await.unwrap();
    let receipt: serde_json::Value = response.json().await.unwrap();
    receipt["accepted"].as_u64().unwrap_or_else(|| panic!("{receipt}"))
}

/// The whole service over loopback, as fast as it goes: durable answers, flushes included.
fn bench_http() {
    let dir = work_dir();
    let server = Server::start(dir.path());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let events = Arc::new(AtomicU64::new(0));
    let (started, cpu) = (Instant::now(), server.cpu_seconds());
    let mut latencies = runtime.block_on(async {
        let clients = (0..16).map(|_| {
            let (url, events) = (server.url.clone(), Arc::clone(&events));
            tokio::spawn(async move {
                let (client, mut maker) = (reqwest::Client::new(), BatchMaker::new(500));
                let mut latencies = Vec::new();
                while started.elapsed() < Duration::from_secs(15) {
                    let body = maker.next();
                    let sent = Instant::now();
                    events.fetch_add(post(&client, &url, body).await, Ordering::Relaxed);
                    latencies.push(sent.elapsed());
                }
                latencies
            })
        });
        let mut latencies = Vec::new();
        for client in clients.collect::<Vec<_>>() {
            latencies.extend(client.await.unwrap());
        }
        latencies
    });
    let used = server.cpu_seconds() - cpu;
    report("http", &events, started.elapsed(), used, &mut latencies);
    println!("http    {:>9} MiB of memory at most", server.peak_memory_mib());
}

/// A steady load, timed from when each request was due, so that a stall counts for all it delays.
fn bench_paced() {
    const CLIENTS: u32 = 20;
    const PERIOD: Duration = Duration::from_millis(100);
    let dir = work_dir();
    let server = Server::start(dir.path());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let events = Arc::new(AtomicU64::new(0));
    let (started, cpu) = (Instant::now(), server.cpu_seconds());
    let mut latencies = runtime.block_on(async {
        let clients = (0..CLIENTS).map(|index| {
            let (url, events) = (server.url.clone(), Arc::clone(&events));
            tokio::spawn(async move {
                let (client, mut maker) = (reqwest::Client::new(), BatchMaker::new(250));
                let mut latencies = Vec::new();
                let mut due = started + PERIOD * index / CLIENTS;
                while started.elapsed() < Duration::from_secs(15) {
                    tokio::time::sleep_until(due.into()).await;
                    events.fetch_add(post(&client, &url, maker.next()).await, Ordering::Relaxed);
                    latencies.push(due.elapsed());
                    due += PERIOD;
                }
                latencies
            })
        });
        let mut latencies = Vec::new();
        for client in clients.collect::<Vec<_>>() {
            latencies.extend(client.await.unwrap());
        }
        latencies
    });
    let used = server.cpu_seconds() - cpu;
    report("paced", &events, started.elapsed(), used, &mut latencies);
}

/// One full segment of the log into Parquet files in the lake.
fn bench_flush() {
    let dir = work_dir();
    let wal_dir = dir.path().join("wal");
    let Recovered { mut wal, .. } = Wal::open(Arc::new(RealDisk), &wal_dir, 2_000_000).unwrap();
    let (mut maker, key) = (BatchMaker::new(5000), key());
    while wal.open_bytes() < 64 * 1024 * 1024 {
        wal.commit(&[parse(&maker.next(), &key)]).unwrap();
    }
    let segment = wal.seal().unwrap();
    let store = DiskStore::new(Arc::new(RealDisk), dir.path().join("store"));
    let lake = Arc::new(Lake::new(Arc::new(store)));
    let flush = Flush {
        disk: Arc::new(RealDisk),
        dir: wal_dir,
        lake: Arc::clone(&lake),
        collector: wal.collector().simple().to_string(),
        recent_capacity: 2_000_000,
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (started, cpu) = (Instant::now(), cpu_seconds(std::process::id()));
    runtime.block_on(flush.flush(&segment)).unwrap();
    let used = cpu_seconds(std::process::id()) - cpu;
    let snapshot = runtime.block_on(lake.snapshot()).unwrap();
    let bytes: u64 = snapshot.all_files().map(|file| file.bytes).sum();
    println!(
        "flush   {:>9.0} events/s per core, {:.2} s for {} events ({:.1} bytes in the log, {:.1} in Parquet)",
        segment.events as f64 / used,
        started.elapsed().as_secs_f64(),
        segment.events,
        segment.valid_bytes as f64 / segment.events as f64,
        bytes as f64 / segment.events as f64
    );
}

fn report(
    name: &str,
    events: &AtomicU64,
    elapsed: Duration,
    cpu_seconds: f64,
    latencies: &mut [Duration],
) {
    latencies.sort_unstable();
    let events = events.load(Ordering::Relaxed) as f64;
    let quantile =
        |per_mille: usize| latencies[(latencies.len() - 1) * per_mille / 1000].as_secs_f64() * 1e3;
    println!(
        "{name:<7} {:>9.0} events/s, {:>9.0} events/s per core; acknowledged after {:.1} ms (p50), {:.1} ms (p99)",
        events / elapsed.as_secs_f64(),
        events / cpu_seconds,
        quantile(500),
        quantile(990)
    );
}

/// CPU time of a process so far.
fn cpu_seconds(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks = |index: usize| fields[index].parse::<f64>().unwrap();
    // Fields 14 and 15 of proc(5), in ticks of 10 ms.
    (ticks(11) + ticks(12)) / 100.0
}
