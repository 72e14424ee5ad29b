//! The native shell over real sockets: loading, refreshing, sending exposures, stopping.

#[path = "../examples/edge-fixture/source.rs"]
mod source;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};
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
    std::fs::write(folder.join("latest.json"), pointer).expect("a scratch folder is writable");
}

/// A collector that keeps the lines it is sent.
async fn collector() -> (String, Arc<Mutex<Vec<String>>>) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let kept = lines.clone();
    let app = Router::new().route(
        "/v1/events/batch",
        post(move |headers: HeaderMap, body: String| async move {
            assert_eq!(headers["authorization"], format!("Bearer {}", source::CLIENT_KEY).as_str());
            kept.lock()
                .expect("no test panics while it holds the lines")
                .extend(body.lines().map(ToOwned::to_owned));
            (StatusCode::ACCEPTED, r#"{"accepted":1,"duplicate":0,"rejected":0,"errors":[]}"#)
        }),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, lines)
}

async fn evaluate(url: &str, body: &Value) -> Value {
    let sent = reqwest::Client::new()
        .post(format!("{url}/v1/evaluate"))
        .bearer_auth(source::CLIENT_KEY)
        .json(body)
        .send()
        .await;
    sent.expect("the edge answers").json().await.expect("in JSON")
}

#[tokio::test]
async fn the_native_edge_loads_refreshes_logs_exposures_and_stops_with_nothing_left() {
    let store = tempfile::tempdir().expect("a scratch folder");
    publish(store.path(), 1);
    let (collector_url, lines) = collector().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let settings = edge_worker::Settings {
        store: Some(format!("file://{}", store.path().display())),
        collector_url: Some(collector_url),
        refresh_interval: Duration::from_millis(100),
        ..edge_worker::Settings::default()
    };
    let shutdown = CancellationToken::new();
    let edge = tokio::spawn(edge_worker::serve(listener, settings, shutdown.clone()));

    let asked = json!({"units": {"anonymous_id": "a-1"}, "keys": ["visitors", "checkout"]});
    let answer = evaluate(&url, &asked).await;
    assert_eq!(
        (&answer["generation"], &answer["decisions"]["visitors"]["enrolled"]),
        (&json!(1), &json!(true))
    );

    publish(store.path(), 2);
    for attempt in 0.. {
        if evaluate(&url, &json!({"units": {}, "keys": []})).await["generation"] == 2 {
            break;
        }
        assert!(attempt < 400, "generation 2 never came");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let late = json!({"units": {"anonymous_id": "a-2"}, "keys": ["visitors"]});
    assert_eq!(evaluate(&url, &late).await["generation"], 2);
    shutdown.cancel();
    edge.await.expect("it does not panic").expect("it stops cleanly");
    let lines = lines.lock().expect("no test panics while it holds the lines");
    let events: Vec<Value> =
        lines.iter().map(|line| serde_json::from_str(line).expect("lines are JSON")).collect();
    let units: Vec<&Value> = events.iter().map(|event| &event["units"]["anonymous_id"]).collect();
    assert_eq!(units, ["a-1", "a-2"], "what was logged before the end was sent before the end");
}
