//! Webhooks: what is sent, how it is signed, where it may go, and that a killed replica loses nothing.

use crate::harness::{Answer, Database, Replica, Server, on_both_databases};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use control_plane::webhooks::sign::signatures;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

/// A message as it arrived.
#[derive(Clone, Debug)]
struct Message {
    path: String,
    headers: HeaderMap,
    body: String,
}

impl Message {
    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    fn event(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap();
        body["type"].as_str().unwrap().to_owned()
    }
}

/// A receiver: `/ok` answers 204, `/flaky` 500 to every first try, `/moved` leads to `/ok`, `/gone` answers 410.
#[derive(Clone, Default)]
struct Receiver {
    seen: Arc<Mutex<Vec<Message>>>,
}

impl Receiver {
    async fn start() -> (Self, String) {
        let receiver = Self::default();
        let app = Router::new().route("/{path}", post(receive)).with_state(receiver.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
        (receiver, base)
    }

    fn seen(&self, path: &str) -> Vec<Message> {
        self.seen.lock().unwrap().iter().filter(|message| message.path == path).cloned().collect()
    }

    /// Waits for what must happen, not for how long it takes.
    async fn until(&self, path: &str, reached: impl Fn(&[Message]) -> bool) -> Vec<Message> {
        for _ in 0..1200 {
            let seen = self.seen(path);
            if reached(&seen) {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the messages never came: {:?}", self.seen(path));
    }
}

async fn receive(
    State(receiver): State<Receiver>,
    Path(path): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let message =
        Message { path: path.clone(), headers, body: String::from_utf8(body.to_vec()).unwrap() };
    let id = message.header("webhook-id").to_owned();
    let before = {
        let mut seen = receiver.seen.lock().unwrap();
        let before = seen.iter().filter(|m| m.path == path && m.header("webhook-id") == id).count();
        seen.push(message);
        before
    };
    match path.as_str() {
        "flaky" if before == 0 => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        "moved" => (StatusCode::FOUND, [("location", "/ok")]).into_response(),
        "gone" => StatusCode::GONE.into_response(),
        "slow" => {
            tokio::time::sleep(Duration::from_millis(200)).await;
            StatusCode::NO_CONTENT.into_response()
        }
        _ => StatusCode::NO_CONTENT.into_response(),
    }
}

async fn webhook(server: &Server, name: &str, url: String, events: Value) -> Value {
    server.made("webhooks", json!({ "name": name, "url": url, "events": events })).await
}

async fn deliveries(server: &Server, name: &str, reached: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    for _ in 0..1200 {
        let page = server.get(&format!("webhooks/{name}/deliveries?limit=500")).await;
        let all = page.body["data"].as_array().unwrap().clone();
        if reached(&all) {
            return all;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never reached: {:?}", server.get(&format!("webhooks/{name}/deliveries")).await);
}

async fn layer(server: &Server, name: &str) {
    server.made("layers", json!({ "name": name })).await;
}

on_both_databases! {
    async fn what_happens_is_told_with_a_signature(server) {
        layer(server, "before").await;
        let (receiver, base) = Receiver::start().await;
        let made = webhook(server, "w", format!("{base}/ok"), json!(["layer.*", "webhook.secret_rotated"])).await;
        let secret = made["secret"].as_str().unwrap().to_owned();
        assert!(secret.starts_with("whsec_"), "{made}");
        layer(server, "l").await;
        let seen = receiver.until("ok", |seen| !seen.is_empty()).await;
        let message = &seen[0];
        let body: Value = serde_json::from_str(&message.body).unwrap();
        assert_eq!((&body["type"], &body["data"]["name"], &body["data"]["actor"]), (&json!("layer.created"), &json!("l"), &json!("bootstrap-admin")));
        assert!(body["timestamp"].is_string() && body["data"]["audit_seq"].is_i64(), "{body}");
        assert_eq!(message.header("content-type"), "application/json");
        let id = message.header("webhook-id").to_owned();
        let time = message.header("webhook-timestamp").parse().unwrap();
        assert_eq!(message.header("webhook-signature"), signatures(std::slice::from_ref(&secret), &id, time, &message.body));

        let rotated = server.post("webhooks/w/rotate-secret", json!({})).await;
        let newer = rotated.body["secret"].as_str().unwrap().to_owned();
        assert_ne!(newer, secret);
        let seen = receiver.until("ok", |seen| seen.len() >= 2).await;
        let message = &seen[1];
        assert_eq!(message.event(), "webhook.secret_rotated");
        let (id, time) = (message.header("webhook-id"), message.header("webhook-timestamp").parse().unwrap());
        assert_eq!(message.header("webhook-signature"), signatures(&[newer.clone(), secret.clone()], id, time, &message.body), "both for a day");

        let log = deliveries(server, "w", |all| all.len() == 2 && all.iter().all(|d| d["status"] == "delivered")).await;
        assert_eq!((&log[1]["event"], &log[1]["attempts"][0]["status"]), (&json!("layer.created"), &json!(204)));
        assert_eq!(receiver.seen("ok").len(), 2, "nothing that was not wanted, or happened before");
        for path in ["webhooks/w", "webhooks", "webhooks/w/history", "audit", "webhooks/w/deliveries"] {
            let text = server.get(path).await.body.to_string();
            assert!(!text.contains(&secret) && !text.contains(&newer), "{path} shows the secret");
        }
        let replayed = server.post(&format!("webhooks/w/deliveries/{}/replay", log[1]["id"].as_str().unwrap()), json!({})).await;
        assert_eq!((replayed.status.as_u16(), &replayed.body["status"]), (202, &json!("pending")), "{replayed:?}");
        let seen = receiver.until("ok", |seen| seen.len() >= 3).await;
        assert_eq!(seen[2].header("webhook-id"), log[1]["id"], "the same message again");
        server.post("webhooks/w/deliveries/msg_x/replay", json!({})).await.problem(404, "not_found");
        server.made("webhooks/w/test", json!({})).await;
        receiver.until("ok", |seen| seen.iter().any(|message| message.event() == "webhook.test")).await;
    }

    async fn a_receiver_that_fails_is_asked_again_and_one_that_is_gone_is_not(server) {
        let (receiver, base) = Receiver::start().await;
        webhook(server, "flaky", format!("{base}/flaky"), json!(["layer.created"])).await;
        webhook(server, "moved", format!("{base}/moved"), json!(["layer.created"])).await;
        webhook(server, "gone", format!("{base}/gone"), json!(["layer.created"])).await;
        webhook(server, "closed", "http://127.0.0.1:1/x".to_owned(), json!(["layer.created"])).await;
        layer(server, "l").await;
        let flaky = deliveries(server, "flaky", |all| all.iter().any(|d| d["status"] == "delivered")).await;
        let statuses: Vec<&Value> = flaky[0]["attempts"].as_array().unwrap().iter().map(|a| &a["status"]).collect();
        assert_eq!(statuses, [500, 204]);
        assert_eq!(flaky[0]["next_attempt_at"], json!(null));
        let moved = deliveries(server, "moved", |all| all.iter().any(|d| d["attempts"][0]["status"].is_i64())).await;
        assert_eq!((&moved[0]["attempts"][0]["status"], &moved[0]["status"]), (&json!(302), &json!("pending")));
        assert!(receiver.seen("ok").is_empty(), "a redirect is not followed");
        let closed = deliveries(server, "closed", |all| all.iter().any(|d| d["attempts"][0]["error"].is_string())).await;
        assert_eq!(closed[0]["attempts"][0]["status"], json!(null));
        deliveries(server, "gone", |all| all.iter().any(|d| d["status"] == "failed")).await;
        for _ in 0..600 {
            if server.get("webhooks/gone").await.body["enabled"] == false {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let history = server.get("webhooks/gone/history").await.body;
        assert_eq!((&history["data"][0]["action"], &history["data"][0]["author"]), (&json!("disabled"), &json!("webhooks")));
        // Messages wait while a webhook is not enabled, and go once it is.
        assert_eq!(server.patch("webhooks/flaky", json!({ "enabled": false })).await.body["enabled"], false);
        assert_eq!(server.get("webhooks?status=disabled").await.body["data"].as_array().unwrap().len(), 2);
        assert_eq!(server.delete("webhooks/moved").await.status, 204);
        server.get("webhooks/moved/deliveries").await.problem(404, "not_found");
    }

    async fn what_cannot_be_meant_is_refused(server) {
        for (change, pointer) in [
            (json!({ "url": "hooks" }), "/url"),
            (json!({ "url": "ftp://x.org" }), "/url"),
            (json!({ "url": "https://10.0.0.1/" }), "/url"),
            (json!({ "url": "https://a:b@x.org/" }), "/url"),
            (json!({ "events": [] }), "/events"),
            (json!({ "events": ["experiment"] }), "/events/0"),
            (json!({ "events": ["Experiment.*"] }), "/events/0"),
            (json!({ "secret": "whsec_x" }), "/secret"),
            (json!({ "name": "has space" }), "/name"),
        ] {
            let mut body = json!({ "name": "w", "url": "https://hooks.example.org/x" });
            body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            assert_eq!(server.post("webhooks", body.clone()).await.problem(422, "invalid"), [pointer], "{body}");
        }
        let twice = || json!({ "name": "w", "url": "https://hooks.example.org/x" });
        server.made("webhooks", twice()).await;
        server.post("webhooks", twice()).await.problem(409, "already_exists");
        assert_eq!(server.patch("webhooks/w", json!({ "url": "https://127.1/" })).await.status, 200, "allowed in tests");
        assert_eq!(server.patch("webhooks/w", json!({ "url": "https://[fe80::1]/" })).await.problem(422, "invalid"), ["/url"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_inside_unless_it_is_allowed() {
    let (receiver, base) = Receiver::start().await;
    let server =
        Server::start_with(Database::Sqlite, |s| s.webhook_networks.clear()).await.unwrap();
    let create = async |name: &str, url: String| -> Answer {
        server.post("webhooks", json!({ "name": name, "url": url })).await
    };
    let port = base.rsplit_once(':').unwrap().1;
    for url in [
        format!("{base}/ok"),
        format!("https://127.0.0.1:{port}/ok"),
        format!("https://[::ffff:127.0.0.1]:{port}/ok"),
    ] {
        assert_eq!(create("w", url).await.problem(422, "invalid")[0], "/url");
    }
    // A name may lead anywhere: it is looked up, and refused, when a message is to be sent.
    assert_eq!(create("named", format!("https://localhost:{port}/ok")).await.status, 201);
    server.made("webhooks/named/test", json!({})).await;
    let log = deliveries(&server, "named", |all| {
        all.iter().any(|d| d["event"] == "webhook.test" && d["attempts"][0]["error"].is_string())
    })
    .await;
    let tried = log.iter().find(|d| d["event"] == "webhook.test").unwrap();
    let error = tried["attempts"][0]["error"].as_str().unwrap();
    assert!(error.contains("not an address that messages may be sent to"), "{error}");
    assert!(receiver.seen.lock().unwrap().is_empty());
    server.stop().await;
}

/// Two replicas send; one is killed in the middle of it.
async fn a_killed_replica_loses_no_message(database: Database) {
    let Some(server) = Server::start_with(database, |s| s.webhook_interval_s = 0).await else {
        return;
    };
    let (receiver, base) = Receiver::start().await;
    webhook(&server, "w", format!("{base}/slow"), json!(["layer.created"])).await;
    let first = Replica::start(&server.settings);
    let second = Replica::start(&server.settings);
    for index in 0..40 {
        layer(&server, &format!("l{index}")).await;
    }
    receiver.until("slow", |seen| seen.len() >= 5).await;
    first.kill();
    let log = deliveries(&server, "w", |all| {
        all.len() == 40 && all.iter().all(|d| d["status"] == "delivered")
    })
    .await;
    drop(second);
    let mut arrived: BTreeMap<String, usize> = BTreeMap::new();
    for message in receiver.seen("slow") {
        *arrived.entry(message.header("webhook-id").to_owned()).or_default() += 1;
    }
    assert_eq!(arrived.len(), 40, "every message came");
    for delivery in &log {
        let tries = delivery["attempts"].as_array().unwrap().len();
        let came = arrived[delivery["id"].as_str().unwrap()];
        // What the killed replica had sent and not noted comes once more; nothing else comes twice.
        assert!(tries == 1 && came <= 2, "{delivery}: {came}");
    }
    let twice = arrived.values().filter(|n| **n > 1).count();
    assert!(twice <= 16, "no more than one replica sends at a time: {twice}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_replica_loses_no_message_on_sqlite() {
    a_killed_replica_loses_no_message(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_replica_loses_no_message_on_postgres() {
    a_killed_replica_loses_no_message(Database::Postgres).await;
}
