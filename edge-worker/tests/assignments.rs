//! Look-ups of a unit's assignments, now and as of archived generations.

#[path = "../examples/edge-fixture/source.rs"]
mod source;

use edge_worker::archive::{Loaded, Wanted};
use edge_worker::environments::Next;
use edge_worker::request::{Headers, Request};
use edge_worker::response::Answer;
use edge_worker::service::{Outcome, Service, ServiceConfig};
use edge_worker::trust::PublicKeys;
use serde_json::{Value, json};
use source::{CLIENT_KEY, ENVIRONMENT, LIST_SECRET, SERVER_KEY, STARTS_AT_MS};

const NOW_MS: i64 = 1_795_170_600_000;

/// The blob of a generation, created at a given time.
fn blob(generation: u64, created_at_ms: i64) -> Vec<u8> {
    source::encode(&source::source(generation), generation, created_at_ms)
        .expect("the fixture compiles")
}

fn service() -> Service {
    let service =
        Service::new(ServiceConfig { list_secret: Some(LIST_SECRET), ..ServiceConfig::default() });
    let environment = service.environments().get(ENVIRONMENT, NOW_MS);
    let (pointer, _) = source::pointer(9);
    let Next::Fetch(pointer) =
        environment.receive_pointer(Some(pointer.as_bytes()), &PublicKeys::EVERYONE, NOW_MS)
    else {
        panic!("the first pointer is always followed")
    };
    assert!(environment.offer(&pointer, blob(9, NOW_MS), true, NOW_MS));
    service
}

fn get<'r>(path: &'r str, query: &'r str, key: &'r str) -> Request<'r> {
    let headers = Headers { x_sdk_key: Some(key), ..Headers::default() };
    Request { method: "GET", path, query, headers, now_ms: NOW_MS, ..Request::default() }
}

fn answer(service: &Service, request: Request<'_>) -> Answer {
    match service.handle(&request) {
        Outcome::Answer(answer) => answer,
        other => panic!("no answer but {other:?}"),
    }
}

fn parsed(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).expect("answers are JSON")
}

fn of<'a>(found: &'a Value, experiment: &str) -> &'a Value {
    let rows = found["assignments"].as_array().expect("a list of assignments");
    rows.iter().find(|row| row["experiment"] == experiment).expect("the experiment is listed")
}

#[test]
fn every_experiment_of_a_unit_is_listed_with_its_variant() {
    let service = service();
    let found = parsed(&answer(
        &service,
        get("/v1/units/a%2F1/assignments", "unit_type=anonymous_id", SERVER_KEY),
    ));
    assert_eq!(
        (&found["generation"], &found["unit_type"], &found["unit_id"], &found["at_ms"]),
        (&json!(9), &json!("anonymous_id"), &json!("a/1"), &json!(NOW_MS))
    );
    assert_eq!(found["assignments"].as_array().unwrap().len(), 6);
    assert_eq!(of(&found, "visitors")["enrolled"], true);
    assert_eq!(of(&found, "checkout")["reason"], "no_unit");
    assert_eq!(of(&found, "in_browser")["reason"], "targeting");
}

#[test]
fn attributes_travel_in_the_query_or_in_a_body() {
    let service = service();
    let path = "/v1/units/u-override/assignments";
    let found = parsed(&answer(&service, get(path, "", SERVER_KEY)));
    assert_eq!(of(&found, "checkout")["variant"], "treatment_b");
    let path = "/v1/units/a-1/assignments";
    let attributes = "%7B%22country%22%3A%22DE%22,%22app_version%22:%222.1.0%22%7D";
    let query = format!("unit_type=anonymous_id&attributes={attributes}");
    let by_query = answer(&service, get(path, &query, SERVER_KEY));
    assert_eq!(of(&parsed(&by_query), "in_browser")["reason"], "split");
    let body = br#"{"attributes":{"country":"DE","app_version":"2.1.0"},"units":{"anonymous_id":"other"}}"#;
    let request =
        Request { method: "POST", body, ..get(path, "unit_type=anonymous_id", SERVER_KEY) };
    assert_eq!(answer(&service, request).body, by_query.body, "the id of the path wins");
}

#[test]
fn a_look_up_may_name_the_time() {
    let service = service();
    let path = "/v1/units/u-1/assignments";
    let at = |query: &str| {
        of(&parsed(&answer(&service, get(path, query, SERVER_KEY))), "scheduled")["reason"].clone()
    };
    assert_eq!(at(""), "inactive");
    assert_eq!(at(&format!("at={STARTS_AT_MS}")), "split");
    assert_eq!(at("at=2030-01-01T00:00:00Z"), "split");
}

#[test]
fn an_archived_generation_is_loaded_checked_and_never_swapped_in() {
    let service = service();
    let path = "/v1/units/u-override/assignments";
    let request = get(path, "generation=4", SERVER_KEY);
    let Outcome::LoadArchived(wanted) = service.handle(&request) else { panic!("not here yet") };
    let manifest = format!("configs/{ENVIRONMENT}/manifests/00000000000000000004.json");
    assert_eq!(wanted.manifest_key(), manifest);
    let (pointer, object) = source::pointer(4);
    let candidate = wanted.object(pointer.as_bytes(), &PublicKeys::EVERYONE).unwrap();
    assert_eq!(candidate.pointer.object, object);
    let loaded = Loaded::from_object(&wanted, &candidate, Some(blob(4, 1)), true);
    service.archive().put(&wanted, loaded, NOW_MS);
    let found = parsed(&answer(&service, request));
    assert_eq!(found["generation"], 4);
    assert_eq!(of(&found, "checkout")["value"]["published"], 4);
    assert_eq!(parsed(&answer(&service, get(path, "", SERVER_KEY)))["generation"], 9);
    let other = Wanted { generation: 5, ..wanted };
    assert!(service.archive().get(&other, NOW_MS).is_none(), "one is kept");
    assert!(
        other.object(source::pointer(4).0.as_bytes(), &PublicKeys::EVERYONE).is_err(),
        "another's manifest"
    );
}

#[test]
fn a_generation_that_is_missing_or_damaged_is_told_from_one_that_is_there() {
    let service = service();
    let request = get("/v1/units/u/assignments", "generation=4", SERVER_KEY);
    let Outcome::LoadArchived(wanted) = service.handle(&request) else { panic!("not here yet") };
    service.archive().put(&wanted, Loaded::Missing, NOW_MS);
    let missing = answer(&service, request);
    assert_eq!((missing.status, &parsed(&missing)["code"]), (404, &json!("unknown_generation")));
    assert_eq!(missing.header("content-type"), Some("application/problem+json"));
    let later = Request { now_ms: NOW_MS + 5000, ..request };
    assert!(matches!(service.handle(&later), Outcome::LoadArchived(_)), "it is looked for again");
    let candidate = wanted.object(source::pointer(4).0.as_bytes(), &PublicKeys::EVERYONE).unwrap();
    let mut flipped = blob(4, 1);
    *flipped.last_mut().unwrap() ^= 1;
    for bytes in [None, Some(flipped), Some(blob(5, 1)), Some(Vec::new())] {
        let loaded = Loaded::from_object(&wanted, &candidate, bytes, true);
        service.archive().put(&wanted, loaded, NOW_MS);
        let refused = answer(&service, request);
        let code = &parsed(&refused)["code"];
        assert_eq!((refused.status, code), (503, &json!("archive_unreadable")));
    }
}

#[test]
fn what_is_wrong_with_a_look_up_is_said() {
    let service = service();
    let long = format!("/v1/units/{}/assignments", "x".repeat(257));
    let cases = [
        ("/v1/units/u/assignments", "", CLIENT_KEY, 403, "server_key_needed"),
        ("/v1/units/%ff/assignments", "", SERVER_KEY, 400, "invalid_unit"),
        ("/v1/units//assignments", "", SERVER_KEY, 400, "invalid_unit"),
        (&long, "", SERVER_KEY, 400, "invalid_unit"),
        ("/v1/units/u/assignments", "generation=x", SERVER_KEY, 400, "invalid_query"),
        ("/v1/units/u/assignments", "generation=-1", SERVER_KEY, 400, "invalid_query"),
        ("/v1/units/u/assignments", "at=noon", SERVER_KEY, 400, "invalid_query"),
        ("/v1/units/u/assignments", "unit_type=", SERVER_KEY, 400, "invalid_query"),
        ("/v1/units/u/assignments", "attributes=%7B", SERVER_KEY, 400, "invalid_query"),
        ("/v1/units/u/assignments", "attributes=[]", SERVER_KEY, 400, "invalid_body"),
        ("/v1/units/u", "", SERVER_KEY, 404, "unknown_path"),
    ];
    for (path, query, key, status, code) in cases {
        let refused = answer(&service, get(path, query, key));
        assert_eq!(
            (refused.status, parsed(&refused)["code"].as_str()),
            (status, Some(code)),
            "{path}?{query}"
        );
    }
    let put = Request { method: "PUT", ..get("/v1/units/u/assignments", "", SERVER_KEY) };
    assert_eq!(answer(&service, put).status, 405);
}
