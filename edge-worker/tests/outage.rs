//! The native edge while its collector is down, slow or refuses: nothing is later for it, and what is lost is counted.

#[path = "../examples/edge-fixture/source.rs"]
mod source;

use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A status that makes the collector hang instead of answering.
const HANGS: u16 = 0;

/// A collector that answers with the status that it is told to, and keeps what it acknowledges.
struct Collector {
    url: String,
    status: Arc<AtomicU16>,
    n_asked: Arc<AtomicU16>,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Collector {
    async fn start(status: u16) -> Self {
        let (status, lines) = (Arc::new(AtomicU16::new(status)), Arc::new(Mutex::new(Vec::new())));
        let n_asked = Arc::new(AtomicU16::new(0));
        let (told, asked, kept) = (status.clone(), n_asked.clone(), lines.clone());
        let answer = move |body: String| async move {
            asked.fetch_add(1, Ordering::Relaxed);
            let status = told.load(Ordering::Relaxed);
            if status == HANGS {
                std::future::pending::<()>().await;
            }
            if status == 202 {
                kept.lock().expect("no panic").extend(body.lines().map(ToOwned::to_owned));
            }
            let receipt = json!({"accepted": body.lines().count(), "duplicate": 0, "rejected": 0, "errors": []});
            (StatusCode::from_u16(status).expect("a status"), receipt.to_string())
        };
        let app = Router::new().route("/v1/events/batch", post(answer));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, status, n_asked, lines }
    }

    fn events(&self) -> Vec<Value> {
        let lines = self.lines.lock().expect("no panic");
        lines.iter().map(|line| serde_json::from_str(line).expect("lines are JSON")).collect()
    }

    fn tell(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }
}

struct Edge {
    url: String,
    shutdown: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
    client: reqwest::Client,
}

impl Edge {
    async fn start(store: &Path, collector: &str, spool: Option<&Path>) -> Self {
        let (pointer, object) = source::pointer(1);
        let object = store.join(object);
        let folder = object.parent().expect("objects lie in folders");
        std::fs::create_dir_all(folder).expect("a scratch folder is writable");
        std::fs::write(
            &object,
            source::encode(&source::source(1), 1, 0).expect("the fixture compiles"),
        )
        .expect("a scratch folder is writable");
        std::fs::write(folder.join("latest.json"), pointer).expect("a scratch folder is writable");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let settings = edge_worker::Settings {
            store: Some(format!("file://{}", store.display())),
            collector_url: Some(collector.to_owned()),
            environment: Some(source::ENVIRONMENT.to_owned()),
            list_secret: Some(source::LIST_SECRET),
            spool: spool.map(Path::to_owned),
            ..edge_worker::Settings::default()
        };
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(edge_worker::serve(listener, settings, shutdown.clone()));
        Self { url, shutdown, running, client: reqwest::Client::new() }
    }

    async fn post(&self, path: &str, body: String) -> (u16, Value) {
        let sent = self.client.post(format!("{}{path}", self.url)).bearer_auth(source::CLIENT_KEY);
        let answer = sent.body(body).send().await.expect("the edge answers");
        (answer.status().as_u16(), answer.json().await.expect("in JSON"))
    }

    async fn visit(&self, id: &str) {
        let body = json!({"units": {"anonymous_id": id}, "keys": ["visitors"]});
        let (status, answer) = self.post("/v1/evaluate", body.to_string()).await;
        assert_eq!((status, &answer["decisions"]["visitors"]["enrolled"]), (200, &json!(true)));
    }

    async fn exposures(&self) -> Value {
        let answer = self.client.get(format!("{}/readyz", self.url)).send().await;
        let readiness: Value = answer.expect("the edge answers").json().await.expect("in JSON");
        readiness["exposures"].clone()
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.running.await.expect("it does not panic").expect("it stops cleanly");
    }
}

/// Waits until `holds` does.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waited in vain: {what}");
}

fn numbers(events: &[Value]) -> Vec<u64> {
    let mut numbers: Vec<u64> =
        events.iter().filter_map(|event| event["producer_seq"].as_u64()).collect();
    numbers.sort_unstable();
    numbers
}

#[tokio::test]
async fn exposures_wait_in_memory_for_a_collector_that_answers_5xx() {
    let store = tempfile::tempdir().expect("a scratch folder");
    let collector = Collector::start(503).await;
    let edge = Edge::start(store.path(), &collector.url, None).await;
    for n in 0..100 {
        edge.visit(&format!("a-{n}")).await;
    }
    eventually("the failure is seen", async || {
        edge.exposures().await["collector_failures"].as_u64() > Some(0)
    })
    .await;
    assert_eq!(edge.exposures().await["pending"], 100);
    let (status, answer) = edge.post("/v1/events/batch", "{}".to_owned()).await;
    assert_eq!((status, &answer["accepted"]), (503, &json!(1)), "as the collector answers");
    collector.tell(202);
    eventually("all are there", async || collector.events().len() == 100).await;
    assert_eq!(numbers(&collector.events()), (1..=100).collect::<Vec<_>>());
    eventually("and settled", async || edge.exposures().await["sent"] == 100).await;
    assert_eq!(edge.exposures().await["dropped"], 0);
    edge.stop().await;
}

#[tokio::test]
async fn a_collector_that_hangs_delays_no_answer_and_refused_exposures_are_counted() {
    let store = tempfile::tempdir().expect("a scratch folder");
    let collector = Collector::start(HANGS).await;
    let edge = Edge::start(store.path(), &collector.url, None).await;
    edge.visit("a").await;
    eventually("the collector hangs", async || collector.n_asked.load(Ordering::Relaxed) == 1)
        .await;
    for n in 0..20 {
        edge.visit(&format!("a-{n}")).await;
    }
    assert_eq!(edge.exposures().await["pending"], 21);
    collector.tell(401);
    eventually("the loss is counted", async || edge.exposures().await["dropped"] == 21).await;
    edge.stop().await;
}

#[tokio::test]
async fn a_spool_keeps_everything_until_the_collector_is_back_also_over_a_restart() {
    let store = tempfile::tempdir().expect("a scratch folder");
    let spool = tempfile::tempdir().expect("a scratch folder");
    let collector = Collector::start(202).await;
    // A port where nobody listens: the collector cannot be reached.
    let nowhere = "http://127.0.0.1:1";
    let edge = Edge::start(store.path(), nowhere, Some(spool.path())).await;
    for n in 0..30 {
        edge.visit(&format!("a-{n}")).await;
    }
    let metric = json!({"event_id": "018f0000-0000-7000-8000-000000000001", "type": "metric"});
    let (status, answer) = edge.post("/v1/events/batch", metric.to_string()).await;
    assert_eq!((status, &answer["queued"]), (202, &json!(true)));
    edge.stop().await;
    assert!(collector.events().is_empty());

    let edge = Edge::start(store.path(), &collector.url, Some(spool.path())).await;
    eventually("all are there", async || collector.events().len() == 31).await;
    assert_eq!(numbers(&collector.events()), (1..=30).collect::<Vec<_>>());
    eventually("the spool is empty", async || {
        std::fs::read_dir(spool.path()).expect("the folder is there").count() == 0
    })
    .await;
    edge.stop().await;
}
