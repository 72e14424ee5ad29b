//! Events on their way to the collector.

use crate::harness::{Database, Server, on_both_databases, send};
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use reqwest::Method;
use serde_json::json;
use tokio::net::TcpListener;

#[tokio::test]
async fn the_collector_answers_for_itself() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let collector = format!("http://{}", listener.local_addr().unwrap());
    let service = Router::new().route(
        "/v1/events/batch",
        post(async |headers: HeaderMap, body: String| {
            let seen = json!({ "key": headers["authorization"].to_str().unwrap(), "type": headers["content-type"].to_str().unwrap(), "body": body });
            (StatusCode::ACCEPTED, axum::Json(seen))
        }),
    );
    tokio::spawn(async { axum::serve(listener, service).await.unwrap() });
    let server =
        Server::start_with(Database::Sqlite, |settings| settings.collector_url = collector)
            .await
            .unwrap();
    let request = server.anonymous(Method::POST, "events/batch").bearer_auth("sk_server_x");
    let answer =
        send(request.header("Content-Type", "application/x-ndjson").body("{}\n{}\n")).await;
    assert_eq!(answer.status, 202);
    assert_eq!(
        answer.body,
        json!({ "key": "Bearer sk_server_x", "type": "application/x-ndjson", "body": "{}\n{}\n" })
    );
    server.stop().await;
}

on_both_databases! {
    async fn a_collector_that_is_away_is_said_to_be(server) {
        let request = server.anonymous(Method::POST, "events/batch").bearer_auth("sk_server_x").body("[]");
        let answer = send(request).await;
        answer.problem(503, "unavailable");
        assert!(answer.headers.contains_key("retry-after"));
        let large = server.anonymous(Method::POST, "events/batch").body(vec![b' '; 5 * 1024 * 1024 + 1]);
        send(large).await.problem(413, "body_too_large");
    }
}
