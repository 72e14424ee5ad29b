//! Everything that a client can get wrong, and what it is told.

use std::collections::BTreeSet;
use std::io::Write;

use collector::lake::Lake;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::server::{BATCH, Collector, Home, counts, receipt};
use crate::support::{exposure, id_of, lake, lines, purchase};

/// A valid event with one field replaced; `null` removes it.
fn with(mut event: Value, field: &str, value: Value) -> Value {
    let fields = event.as_object_mut().unwrap();
    if value.is_null() {
        fields.remove(field);
    } else {
        fields.insert(field.to_owned(), value);
    }
    event
}

fn metric(field: &str, value: Value) -> Value {
    with(purchase("u-1", 1.0), field, value)
}

fn exposed(field: &str, value: Value) -> Value {
    with(exposure("u-1", "control"), field, value)
}

fn bad_events() -> Vec<(String, &'static str, &'static str)> {
    let long = "x".repeat(3000);
    let many: serde_json::Map<String, Value> =
        (0..65).map(|index| (format!("k{index}"), json!(1))).collect();
    let units: serde_json::Map<String, Value> =
        (0..9).map(|index| (format!("unit_{index}"), json!("u"))).collect();
    let nil = Uuid::nil().to_string();
    let mut table: Vec<(String, &str, &str)> = vec![
        ("{\"event_id\":".to_owned(), "malformed_json", ""),
        ("{'event_id':1}".to_owned(), "malformed_json", ""),
        ("7".to_owned(), "not_an_object", ""),
        ("\"text\"".to_owned(), "not_an_object", ""),
        ("nonsense".to_owned(), "malformed_json", ""),
        ("{\"name\":\"a\",\"name\":\"b\"}".to_owned(), "invalid_event", ""),
        ("{}".to_owned(), "missing_field", "/event_id"),
        (
            purchase("u-1", 1.0).to_string().replace("\"value\":1.0", "\"value\":1e999"),
            "invalid_value",
            "/value",
        ),
        (
            purchase("u-1", 1.0).to_string().replace("\"purchase\"", "\"\\ud800\""),
            "invalid_value",
            "/name",
        ),
        (metric("properties", json!({"a": "x".repeat(70_000)})).to_string(), "too_large", ""),
    ];
    let events = [
        (metric("event_id", json!(null)), "missing_field", "/event_id"),
        (metric("event_id", json!(7)), "invalid_type", "/event_id"),
        (metric("event_id", json!("not-a-uuid")), "invalid_value", "/event_id"),
        (metric("event_id", json!(nil)), "invalid_value", "/event_id"),
        (metric("type", json!(null)), "missing_field", "/type"),
        (metric("type", json!(["metric"])), "invalid_type", "/type"),
        (metric("type", json!("click")), "invalid_value", "/type"),
        (metric("units", json!(null)), "missing_field", "/units"),
        (metric("units", json!({})), "missing_field", "/units"),
        (metric("units", json!({"user_id": null})), "missing_field", "/units"),
        (metric("units", json!("u-1")), "invalid_type", "/units"),
        (metric("units", json!({"user_id": 7})), "invalid_type", "/units/user_id"),
        (metric("units", json!({"user_id": ""})), "invalid_value", "/units/user_id"),
        (metric("units", json!({"user_id": long})), "too_long", "/units/user_id"),
        (metric("units", json!({"a b": "u"})), "invalid_value", "/units/a b"),
        (metric("units", json!({"a/b~c": "u"})), "invalid_value", "/units/a~1b~0c"),
        (metric("units", json!(units)), "too_many", "/units"),
        (metric("unit_id", json!("u-2")), "invalid_value", "/unit_id"),
        (metric("unit_id", json!({})), "invalid_type", "/unit_id"),
        (metric("unit_type", json!("account_id")), "missing_field", "/units/account_id"),
        (metric("unit_type", json!("a b")), "invalid_value", "/unit_type"),
        (metric("timestamp", json!("yesterday")), "invalid_value", "/timestamp"),
        (metric("timestamp", json!("2026-11-20T10:30:00")), "invalid_value", "/timestamp"),
        (metric("timestamp", json!(1_700_000_000)), "invalid_type", "/timestamp"),
        (metric("sent_at", json!("later")), "invalid_value", "/sent_at"),
        (metric("name", json!(null)), "missing_field", "/name"),
        (metric("name", json!(7)), "invalid_type", "/name"),
        (metric("name", json!("")), "invalid_value", "/name"),
        (metric("name", json!("a\u{0}b")), "invalid_value", "/name"),
        (metric("name", json!(long)), "too_long", "/name"),
        (metric("value", json!("59.9")), "invalid_type", "/value"),
        (metric("value", json!([1])), "invalid_type", "/value"),
        (metric("properties", json!([1])), "invalid_type", "/properties"),
        (metric("properties", json!({"a": long})), "too_long", "/properties/a"),
        (metric("properties", json!({long.clone(): 1})), "too_long", "/properties"),
        (metric("properties", json!(many)), "too_many", "/properties"),
        (metric("attributes", json!("web")), "invalid_type", "/attributes"),
        (metric("sdk", json!(7)), "invalid_type", "/sdk"),
        (metric("producer_seq", json!(-1)), "invalid_value", "/producer_seq"),
        (metric("consent", json!("yes")), "invalid_type", "/consent"),
        (metric("consent", json!(false)), "no_consent", "/consent"),
        (exposed("experiment", json!(null)), "missing_field", "/experiment"),
        (exposed("experiment", json!({})), "invalid_type", "/experiment"),
        (exposed("variant", json!(null)), "missing_field", "/variant"),
        (exposed("variant", json!("")), "invalid_value", "/variant"),
        (exposed("generation", json!("42")), "invalid_type", "/generation"),
        (exposed("generation", json!(4.2)), "invalid_value", "/generation"),
        (exposed("bucket", json!(10_000)), "invalid_value", "/bucket"),
        (metric("type", json!("identify")), "missing_field", "/units"),
        (
            with(json!({"type": "diagnostic"}), "event_id", json!(Uuid::now_v7())),
            "missing_field",
            "/name",
        ),
    ];
    table.extend(events.map(|(event, code, pointer)| (event.to_string(), code, pointer)));
    table
}

#[tokio::test]
async fn every_bad_event_is_named_by_index_code_and_pointer_and_its_neighbours_are_kept() {
    let home = Home::new();
    let collector = home.start().await;
    let mut kept = BTreeSet::new();
    for (event, code, pointer) in bad_events() {
        let (before, after) = (purchase("u-1", 1.0), exposure("u-2", "control"));
        let receipt = collector.send(format!("{before}\n{event}\n{after}\n")).await;
        let shown = &event[..event.len().min(200)];
        assert_eq!(counts(&receipt), (2, 0, 1), "{shown}: {receipt}");
        let error = &receipt["errors"][0];
        assert_eq!(
            (&error["index"], &error["code"], &error["pointer"]),
            (&json!(1), &json!(code), &json!(pointer)),
            "{shown}: {receipt}"
        );
        assert!(!error["detail"].as_str().unwrap().is_empty());
        kept.extend([id_of(&before), id_of(&after)]);
    }
    collector.stop().await;
    let lake = Lake::open(&format!("file://{}", home.store().display())).unwrap();
    let stored: BTreeSet<Uuid> = lake::event_counts(&lake).await.into_keys().collect();
    assert_eq!(stored, kept);
}

#[tokio::test]
async fn a_batch_of_which_nothing_is_valid_is_answered_with_counts() {
    let home = Home::new();
    let collector = home.start().await;
    let receipt = collector.send(lines(&[metric("name", json!(null)), json!({})])).await;
    assert_eq!(counts(&receipt), (0, 0, 2));
    assert_eq!(receipt["errors"].as_array().unwrap().len(), 2);
    assert_eq!(counts(&collector.send("[]").await), (0, 0, 0));
    collector.stop().await;
}

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
const GZIP: &[(&str, &str)] = &[("content-encoding", "gzip")];
const ZSTD: &[(&str, &str)] = &[("content-encoding", "zstd")];

struct BadRequest {
    what: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: Vec<u8>,
    status: u16,
    code: &'static str,
}

fn bad_requests() -> Vec<BadRequest> {
    let valid = purchase("u-1", 1.0).to_string().into_bytes();
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        bomb.write_all(&vec![b'\n'; 1024 * 1024]).unwrap();
    }
    let zstd_bomb = zstd::encode_all(&vec![b' '; 64 * 1024 * 1024][..], 3).unwrap();
    let mut truncated = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    truncated.write_all(&valid).unwrap();
    let mut truncated = truncated.finish().unwrap();
    truncated.truncate(truncated.len() / 2);
    let request = |what, headers, body: &[u8], status, code| BadRequest {
        what,
        headers,
        body: body.to_vec(),
        status,
        code,
    };
    vec![
        request("nothing", &[], b"", 400, "empty_body"),
        request("white space", &[], b" \r\n ", 400, "empty_body"),
        request("no JSON", &[], b"hello", 400, "malformed_json"),
        request("no JSON that says so", JSON, b"{not json", 400, "malformed_json"),
        request("half an array", JSON, b"[{\"event_id\":1}, {", 400, "malformed_json"),
        request("an array of numbers", JSON, b"[1, 2]", 400, "malformed_json"),
        request("a number", JSON, b"7", 400, "malformed_json"),
        request("bytes", &[], &[0xff, 0xfe, 0x00], 400, "malformed_json"),
        request("no gzip", GZIP, b"hello", 400, "malformed_encoding"),
        request("half a gzip", GZIP, &truncated, 400, "malformed_encoding"),
        request("no zstd", ZSTD, b"hello", 400, "malformed_encoding"),
        request("a gzip bomb", GZIP, &bomb.finish().unwrap(), 413, "body_too_large"),
        request("a zstd bomb", ZSTD, &zstd_bomb, 413, "body_too_large"),
        request("too much", &[], &vec![b' '; 5 * 1024 * 1024 + 1], 413, "body_too_large"),
        request("brotli", &[("content-encoding", "br")], &valid, 415, "unsupported_encoding"),
        request("a form", &[("content-type", "text/html")], &valid, 415, "unsupported_media_type"),
        request("a bad time", &[("x-sent-at", "now")], &valid, 400, "invalid_header"),
    ]
}

#[tokio::test]
async fn a_bad_request_is_a_problem_document_and_stores_nothing() {
    let home = Home::new();
    let collector = home.start().await;
    for bad in bad_requests() {
        let mut request = collector.request(BATCH).body(bad.body);
        for (name, value) in bad.headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), bad.status, "{}", bad.what);
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{}", bad.what);
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["code"], bad.code, "{}", bad.what);
        assert_eq!(problem["status"], bad.status, "{}", bad.what);
        assert!(!problem["detail"].as_str().unwrap().is_empty());
    }
    check_paths(&collector).await;
    // It still works.
    assert_eq!(counts(&collector.send(lines(&[purchase("u-1", 1.0)])).await), (1, 0, 0));
    collector.stop().await;
    let lake = Lake::open(&format!("file://{}", home.store().display())).unwrap();
    assert_eq!(lake::rows(&lake).await.len(), 1);
}

async fn check_paths(collector: &Collector) {
    let url = |path: &str| format!("{}{path}", collector.base);
    for (request, status, code) in [
        (collector.client.get(url(BATCH)), 405, "method_not_allowed"),
        (collector.client.post(url("/v1/nothing")), 404, "not_found"),
    ] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["code"], code);
    }
    let tokens = collector.request("/v1/exposures").body("{\"tokens\": [\"abc\"]}");
    let problem: Value = tokens.send().await.unwrap().json().await.unwrap();
    assert_eq!((&problem["status"], &problem["code"]), (&json!(400), &json!("tokens_at_edge")));
}

#[tokio::test]
async fn a_body_without_a_length_is_bounded_too() {
    let home = Home::new();
    let collector = home.start().await;
    let chunks = (0..100).map(|_| Ok::<_, std::io::Error>(vec![b' '; 100 * 1024]));
    let body = reqwest::Body::wrap_stream(futures::stream::iter(chunks));
    let response = collector.request(BATCH).body(body).send().await;
    // The server may close before everything is sent; then the client sees no answer.
    if let Ok(response) = response {
        assert_eq!(response.status().as_u16(), 413);
    }
    let chunks = [Ok::<_, std::io::Error>(lines(&[purchase("u-1", 1.0)]))];
    let body = reqwest::Body::wrap_stream(futures::stream::iter(chunks));
    let response = collector.request(BATCH).body(body).send().await.unwrap();
    assert_eq!(counts(&receipt(response).await), (1, 0, 0));
    collector.stop().await;
}

#[tokio::test]
async fn answers_stay_small_however_much_is_wrong() {
    let home = Home::new();
    let collector = home.start().await;
    let receipt = collector.send("{}\n".repeat(5000)).await;
    assert_eq!(counts(&receipt), (0, 0, 5000));
    assert_eq!(receipt["errors"].as_array().unwrap().len(), 1000);
    collector.stop().await;
}
