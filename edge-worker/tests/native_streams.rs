//! Streams of the native edge over real sockets: news arrive, clients come back, and the process ends without waiting for anybody.

#[path = "../examples/edge-fixture/source.rs"]
mod source;

use std::path::Path;
use std::time::Duration;

use futures::StreamExt as _;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

fn publish(store: &Path, generation: u64) {
    let (pointer, object) = source::pointer(generation);
    let object = store.join(object);
    let folder = object.parent().expect("objects lie in folders");
    std::fs::create_dir_all(folder).expect("a scratch folder is writable");
    let blob = source::encode(&source::source(generation), generation, 0);
    std::fs::write(&object, blob.expect("the fixture compiles"))
        .expect("a scratch folder is writable");
    std::fs::write(folder.join("latest.json.new"), pointer).expect("a scratch folder is writable");
    std::fs::rename(folder.join("latest.json.new"), folder.join("latest.json"))
        .expect("a scratch folder is writable");
}

struct Running {
    url: String,
    shutdown: CancellationToken,
    edge: tokio::task::JoinHandle<anyhow::Result<()>>,
}

/// An edge that looks for news once an hour, unless somebody reads a stream.
async fn start(store: &Path) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let settings = edge_worker::Settings {
        store: Some(format!("file://{}", store.display())),
        refresh_interval: Duration::from_hours(1),
        stream_refresh_interval: Duration::from_millis(100),
        max_streams: 3,
        ..edge_worker::Settings::default()
    };
    let shutdown = CancellationToken::new();
    let edge = tokio::spawn(edge_worker::serve(listener, settings, shutdown.clone()));
    Running { url, shutdown, edge }
}

/// Text that arrives until it holds `end`; `None` when the stream ended before.
async fn read_until<S, B>(chunks: &mut S, end: &str) -> Option<String>
where
    S: futures::Stream<Item = reqwest::Result<B>> + Unpin,
    B: AsRef<[u8]>,
{
    let reading = async {
        let mut text = String::new();
        while !text.contains(end) {
            let chunk = chunks.next().await?.expect("the connection stands");
            text.push_str(std::str::from_utf8(chunk.as_ref()).expect("events are text"));
        }
        Some(text)
    };
    tokio::time::timeout(Duration::from_secs(30), reading).await.expect("news within 30 s")
}

async fn open(url: &str, since: &str) -> reqwest::Response {
    let client = reqwest::Client::new();
    let stream = client.get(format!("{url}/v1/stream?key={}", source::CLIENT_KEY));
    stream.header("last-event-id", since).send().await.expect("the edge answers")
}

#[tokio::test]
async fn news_reach_a_stream_and_the_end_of_the_process_ends_it() {
    let store = tempfile::tempdir().expect("a scratch folder");
    publish(store.path(), 1);
    let Running { url, shutdown, edge } = start(store.path()).await;
    let response = open(&url, "").await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut chunks = response.bytes_stream();
    let first = read_until(&mut chunks, r#"{"generation":1,"#).await.expect("it goes on");
    assert!(first.contains("\nevent: config\n"), "{first}");

    publish(store.path(), 2);
    let news = read_until(&mut chunks, "refetchEvaluation").await.expect("it goes on");
    assert!(news.contains(r#"{"generation":2,"#), "{news}");
    let id = news.lines().find_map(|line| line.strip_prefix("id: ")).expect("events have ids");
    drop(chunks);

    // A client that was away in between hears of the newest only, and at once.
    publish(store.path(), 3);
    publish(store.path(), 4);
    let mut chunks = open(&url, id).await.bytes_stream();
    let news = read_until(&mut chunks, r#"{"generation":4,"#).await.expect("it goes on");
    assert!(news.contains("event: config"), "{news}");
    assert!(!news.contains(r#"{"generation":2,"#), "{news}");

    shutdown.cancel();
    assert_eq!(read_until(&mut chunks, "never said").await, None, "the stream ends");
    edge.await.expect("it does not panic").expect("it stops cleanly");
}

#[tokio::test]
async fn places_of_streams_that_clients_leave_are_taken_by_others() {
    let store = tempfile::tempdir().expect("a scratch folder");
    publish(store.path(), 1);
    let Running { url, shutdown, edge } = start(store.path()).await;
    for _ in 0..4 {
        let mut open_ones = Vec::new();
        for _ in 0..3 {
            let mut attempt = open(&url, "").await;
            for _ in 0..400 {
                if attempt.status() == 200 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(25)).await;
                attempt = open(&url, "").await;
            }
            assert_eq!(attempt.status(), 200, "a place is free");
            open_ones.push(attempt);
        }
        let refused = open(&url, "").await;
        assert_eq!(
            (refused.status().as_u16(), &refused.headers()["retry-after"]),
            (503, &"5".parse().expect("a value"))
        );
    }
    shutdown.cancel();
    edge.await.expect("it does not panic").expect("it stops cleanly");
}

#[tokio::test]
async fn a_client_that_knows_of_news_waits_for_them_once() {
    let store = tempfile::tempdir().expect("a scratch folder");
    publish(store.path(), 1);
    let Running { url, shutdown, edge } = start(store.path()).await;
    let client = reqwest::Client::new();
    let ask = async |query: &str| {
        let sent = client
            .post(format!("{url}/ofrep/v1/evaluate/flags{query}"))
            .bearer_auth(source::CLIENT_KEY)
            .body("{}")
            .send()
            .await;
        let answer: Value = sent.expect("the edge answers").json().await.expect("in JSON");
        answer["metadata"]["generation"].clone()
    };
    assert_eq!(ask("").await, 1);
    publish(store.path(), 2);
    // The edge has just looked, so it waits a little before it looks again.
    assert_eq!(ask("?flagConfigEtag=%222.1f%22").await, 2);
    assert_eq!(
        ask("?flagConfigEtag=9.0").await,
        2,
        "what nobody has is answered with what is held"
    );
    shutdown.cancel();
    edge.await.expect("it does not panic").expect("it stops cleanly");
}
