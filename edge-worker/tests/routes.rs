//! Every endpoint of the portable service, over a config that was really compiled, encoded and decoded.

#[path = "../examples/edge-fixture/source.rs"]
mod source;

use edge_worker::config::Pointer;
use edge_worker::environments::{Candidate, Next};
use edge_worker::request::{Headers, Patience, Request};
use edge_worker::response::Answer;
use edge_worker::service::{Outcome, Service, ServiceConfig};
use edge_worker::trust::PublicKeys;
use proptest::strategy::Strategy as _;
use serde_json::{Value, json};
use source::{CLIENT_KEY, ENVIRONMENT, LIST_SECRET, SERVER_KEY, STARTS_AT_MS};

const NOW_MS: i64 = 1_795_170_600_000;

/// The blob of a generation, created at a given time.
fn blob(generation: u64, created_at_ms: i64) -> Vec<u8> {
    source::encode(&source::source(generation), generation, created_at_ms)
        .expect("the fixture compiles")
}

/// A service that holds a generation of the fixture.
fn service_with(generation: u64) -> Service {
    let service = empty_service();
    let environment = service.environments().get(ENVIRONMENT, NOW_MS);
    let (pointer, _) = source::pointer(generation);
    let Next::Fetch(pointer) =
        environment.receive_pointer(Some(pointer.as_bytes()), &PublicKeys::EVERYONE, NOW_MS)
    else {
        panic!("the first pointer is always followed")
    };
    assert!(environment.offer(&pointer, blob(generation, NOW_MS - 5000), true, NOW_MS));
    service
}

fn empty_service() -> Service {
    Service::new(ServiceConfig {
        default_environment: Some(ENVIRONMENT.to_owned()),
        list_secret: Some(LIST_SECRET),
        has_collector: true,
        ..ServiceConfig::default()
    })
}

fn ask(service: &Service, request: Request<'_>) -> Answer {
    match service.handle(&Request { now_ms: NOW_MS, ..request }) {
        Outcome::Answer(answer) => answer,
        other => panic!("no answer but {other:?}"),
    }
}

fn post<'r>(path: &'r str, key: &'r str, body: &'r [u8]) -> Request<'r> {
    let headers = Headers { x_sdk_key: Some(key), ..Headers::default() };
    Request { method: "POST", path, headers, body, ..Request::default() }
}

fn get<'r>(path: &'r str, key: &'r str) -> Request<'r> {
    Request { method: "GET", ..post(path, key, b"") }
}

fn evaluate(service: &Service, body: &Value) -> Value {
    let body = body.to_string();
    let answer = ask(service, post("/v1/evaluate", CLIENT_KEY, body.as_bytes()));
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    parsed(&answer)
}

fn parsed(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).expect("answers are JSON")
}

/// A user of the fixture who gets into the checkout experiment with this variant.
fn user_in(service: &Service, variant: &str) -> String {
    (0..1000)
        .map(|n| format!("u-{n}"))
        .find(|user| {
            let answer = evaluate(service, &asked(user));
            let decision = &answer["decisions"]["checkout"];
            decision["enrolled"] == true && decision["variant"] == variant
        })
        .expect("a thousand users fill every variant")
}

fn asked(user: &str) -> Value {
    json!({"units": {"user_id": user}, "attributes": {"country": "US", "returning": true}, "keys": ["checkout"], "exposure": "none"})
}

#[test]
fn a_decision_has_variant_value_enrolment_and_reason() {
    let service = service_with(42);
    let user = user_in(&service, "treatment_a");
    assert_eq!(
        evaluate(&service, &asked(&user)),
        json!({"generation": 42, "decisions": {"checkout": {"variant": "treatment_a",
            "value": {"checkout_version": "v2", "published": 42}, "enrolled": true, "reason": "split"}}})
    );
}

#[test]
fn reasons_come_through_and_unknown_keys_are_not_found() {
    let service = service_with(1);
    let decide = |user: &str, attributes: Value, key: &str| {
        let body = json!({"unit_id": user, "attributes": attributes, "keys": [key]});
        evaluate(&service, &body)["decisions"][key].clone()
    };
    assert_eq!(decide("u-1", json!({}), "checkout")["reason"], "targeting");
    assert_eq!(decide("u-override", json!({}), "checkout")["reason"], "override");
    assert_eq!(decide("u-override", json!({}), "checkout")["variant"], "treatment_b");
    assert_eq!(decide("u-1", json!({}), "visitors")["reason"], "no_unit");
    assert_eq!(decide("u-1", json!({}), "scheduled")["reason"], "inactive");
    assert_eq!(decide("u-1", json!({}), "killed")["reason"], "disabled");
    assert_eq!(decide("u-target", json!({}), "new_nav")["reason"], "target");
    assert_eq!(
        decide("u-1", json!({}), "no such"),
        json!({"variant": null, "value": null, "enrolled": false, "reason": "not_found"})
    );
}

#[test]
fn everything_is_answered_when_no_keys_are_named_and_nothing_is_logged() {
    let service = service_with(1);
    let answer = evaluate(&service, &json!({"units": {"user_id": "u-1", "anonymous_id": "a-1"}}));
    let decisions = answer["decisions"].as_object().unwrap();
    assert_eq!(decisions.len(), 11);
    assert_eq!(decisions["visitors"]["enrolled"], true);
    assert_eq!(service.exposures().n_pending(), 0);
}

#[test]
fn only_enrolled_units_are_logged_and_each_once() {
    let service = service_with(1);
    let ask_for = |keys: Value, exposure: &str| {
        evaluate(
            &service,
            &json!({"units": {"user_id": "u-1", "anonymous_id": "a-1"}, "attributes": {"country": "DE", "email": "x@example.com"},
            "keys": keys, "exposure": exposure}),
        )
    };
    ask_for(json!(["visitors"]), "none");
    assert_eq!(service.exposures().n_pending(), 0);
    ask_for(
        json!(["checkout", "visitors", "by_experiment", "new_nav", "none such", "visitors"]),
        "log",
    );
    ask_for(json!(["visitors"]), "log");
    let batch = service.exposures().lease(NOW_MS).expect("one batch waits");
    assert_eq!((batch.key.as_str(), service.exposures().lease(NOW_MS)), (CLIENT_KEY, None));
    let lines: Vec<Value> = batch
        .body
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 1, "one experiment, however many flags lead to it: {lines:?}");
    assert_eq!(lines[0]["experiment"], "visitors");
    assert_eq!(lines[0]["unit_type"], "anonymous_id");
    assert_eq!(lines[0]["units"], json!({"anonymous_id": "a-1", "user_id": "u-1"}));
    assert_eq!(
        lines[0]["attributes"],
        json!({"country": "DE"}),
        "an address stays out of the event store"
    );
    assert_eq!(lines[0]["generation"], 1);
}

#[test]
fn explanations_are_for_server_keys() {
    let service = service_with(1);
    let body = asked("u-1").to_string();
    let explain = |key| {
        ask(
            &service,
            Request { query: "explain=true", ..post("/v1/evaluate", key, body.as_bytes()) },
        )
    };
    assert_eq!(explain(CLIENT_KEY).status, 403);
    let answer = parsed(&explain(SERVER_KEY));
    assert!(
        answer["decisions"]["checkout"]["steps"].as_array().is_some_and(|steps| steps.len() > 3),
        "{answer}"
    );
    let body = r#"{"unit_id":"u-1","keys":["checkout","scheduled","no such"]}"#;
    let request = post("/v1/evaluate", SERVER_KEY, body.as_bytes());
    let answer = parsed(&ask(&service, Request { query: "explain=true", ..request }));
    let changes = |key: &str| answer["decisions"][key]["changes"].clone();
    let needs = &changes("checkout")[0]["needs"]["all"];
    assert_eq!(needs.as_array().unwrap().len(), 2, "{answer}");
    assert_eq!(
        changes("scheduled")[0],
        json!({"change": "status", "experiment": "scheduled", "status": "scheduled",
            "opens_at_ms": STARTS_AT_MS, "closed_at_ms": null})
    );
    assert_eq!(changes("no such"), json!([]));
}

#[test]
fn malformed_requests_are_refused_with_the_field() {
    let service = service_with(1);
    let long = format!(r#"{{"units":{{"user_id":"{}"}}}}"#, "x".repeat(300));
    let keys = format!(r#"{{"units":{{}},"keys":["{}"]}}"#, "x".repeat(300));
    let many = format!(r#"{{"units":{{}},"keys":[{}"a"]}}"#, "\"a\",".repeat(1000));
    let cases = [
        ("", "", "malformed_json"),
        ("{", "", "malformed_json"),
        ("\u{feff}{}", "", "malformed_json"),
        ("[]", "", "wrong_type"),
        ("7", "", "wrong_type"),
        (r#"{"units":{},"units":{}}"#, "", "wrong_type"),
        ("{}", "/units", "missing_field"),
        (r#"{"units":[]}"#, "/units", "wrong_type"),
        (r#"{"units":{"user_id":7}}"#, "/units/user_id", "wrong_type"),
        (r#"{"unit_id":7}"#, "/unit_id", "wrong_type"),
        (long.as_str(), "/units/user_id", "too_long"),
        (r#"{"units":{},"attributes":[]}"#, "/attributes", "wrong_type"),
        (r#"{"units":{},"keys":"a"}"#, "/keys", "wrong_type"),
        (r#"{"units":{},"keys":["a",1]}"#, "/keys/1", "wrong_type"),
        (r#"{"units":{},"keys":["a",null]}"#, "/keys/1", "wrong_type"),
        (r#"{"units":{},"keys":[""]}"#, "/keys/0", "too_short"),
        (keys.as_str(), "/keys/0", "too_long"),
        (many.as_str(), "/keys", "too_many"),
        (r#"{"units":{},"exposure":"maybe"}"#, "/exposure", "unknown_value"),
        (r#"{"units":{},"cookie":1}"#, "/cookie", "wrong_type"),
        (r#"{"units":{},"prior":[]}"#, "/prior", "wrong_type"),
        (r#"{"units":{},"prior":{"a":1}}"#, "/prior/a", "wrong_type"),
    ];
    for (body, pointer, code) in cases {
        let answer = ask(&service, post("/v1/evaluate", CLIENT_KEY, body.as_bytes()));
        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        let problem = parsed(&answer);
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}");
        assert_eq!(problem["errors"][0]["code"], code, "{body}");
    }
    assert_eq!(ask(&service, post("/v1/evaluate", CLIENT_KEY, b"\xff\xfe")).status, 400);
}

#[test]
fn absurd_attributes_count_as_missing() {
    let service = service_with(1);
    let user = user_in(&service, "control");
    let deep = format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000));
    for absurd in [deep.as_str(), "1e999", r#""\ud800""#, "null", r#"{"a":{"b":1}}"#] {
        let body = format!(
            r#"{{"units":{{"user_id":"{user}"}},"keys":["checkout"],"exposure":"none","attributes":{{"odd":{absurd},"country":"US","returning":true}}}}"#
        );
        let answer = ask(&service, post("/v1/evaluate", CLIENT_KEY, body.as_bytes()));
        assert_eq!(answer.status, 200);
        assert_eq!(
            parsed(&answer)["decisions"]["checkout"]["reason"],
            "split",
            "{}",
            &absurd[..absurd.len().min(20)]
        );
        let body = body.replace("\"country\":\"US\"", &format!("\"country\":{absurd}"));
        let answer = ask(&service, post("/v1/evaluate", CLIENT_KEY, body.as_bytes()));
        assert_eq!(parsed(&answer)["decisions"]["checkout"]["reason"], "targeting");
    }
}

#[test]
fn keys_are_checked_against_the_config_and_paths_and_methods_against_the_table() {
    let service = service_with(1);
    let body: &[u8] = br#"{"units":{}}"#;
    let unknown = "sk_server_production-k3v9x2mq_cccccccccccccccccccccccccccccccc";
    for key in [unknown, "nonsense", "sk_client_k3v9x2mq"] {
        let answer = ask(&service, post("/v1/evaluate", key, body));
        assert_eq!(
            (answer.status, parsed(&answer)["code"].as_str()),
            (401, Some("unauthorized")),
            "{key}"
        );
        assert_eq!(ask(&service, post("/ofrep/v1/evaluate/flags", key, body)).status, 401);
    }
    assert_eq!(ask(&service, post("/v1/evaluate", "", body)).status, 401);
    assert_eq!(
        ask(&service, Request { query: "key=x", ..post("/v1/evaluate", "", body) }).status,
        401
    );
    assert_eq!(ask(&service, get("/v1/evaluate", CLIENT_KEY)).status, 405);
    assert_eq!(ask(&service, get("/v1/evaluate", CLIENT_KEY)).header("allow"), Some("POST"));
    assert_eq!(ask(&service, get("/nowhere", CLIENT_KEY)).status, 404);
    assert_eq!(ask(&service, get("/healthz", "")).status, 200);
}

#[test]
fn a_client_key_may_travel_in_the_url_and_a_server_key_may_not() {
    let service = service_with(1);
    let with = |query: &str| {
        ask(&service, Request { query, ..post("/v1/evaluate", "", br#"{"units":{}}"#) }).status
    };
    assert_eq!(with(&format!("key={CLIENT_KEY}")), 200);
    assert_eq!(with(&format!("key={SERVER_KEY}")), 401);
}

#[test]
fn bodies_over_the_limit_are_refused() {
    let service = service_with(1);
    let large = vec![b' '; 1024 * 1024 + 1];
    let answer = ask(&service, post("/v1/evaluate", CLIENT_KEY, &large));
    assert_eq!((answer.status, parsed(&answer)["code"].as_str()), (413, Some("body_too_large")));
    let answer = ask(&service, post("/ofrep/v1/evaluate/flags", CLIENT_KEY, &large));
    assert_eq!((answer.status, parsed(&answer)["errorCode"].as_str()), (400, Some("PARSE_ERROR")));
    assert!(matches!(
        service.handle(&post("/v1/events/batch", CLIENT_KEY, &large)),
        Outcome::Forward(_)
    ));
    let too_large = Request { body_too_large: true, ..post("/v1/events/batch", CLIENT_KEY, b"") };
    assert_eq!(ask(&service, too_large).status, 413);
}

#[test]
fn without_a_config_every_key_is_accepted_and_nothing_is_found() {
    let service = Service::new(ServiceConfig { has_store: false, ..ServiceConfig::default() });
    for key in [CLIENT_KEY, "whatever"] {
        let answer =
            ask(&service, post("/v1/evaluate", key, br#"{"units":{"user_id":"u"},"keys":["a"]}"#));
        assert_eq!(
            parsed(&answer),
            json!({"generation": null, "decisions": {"a": {"variant": null, "value": null, "enrolled": false, "reason": "not_found"}}})
        );
        let answer = ask(&service, post("/v1/evaluate", key, br#"{"units":{"user_id":"u"}}"#));
        assert_eq!(parsed(&answer), json!({"generation": null, "decisions": {}}));
        let answer = ask(&service, post("/ofrep/v1/evaluate/flags/a", key, b"{}"));
        assert_eq!(
            (answer.status, parsed(&answer)["errorCode"].as_str()),
            (404, Some("FLAG_NOT_FOUND"))
        );
        let answer = ask(&service, post("/ofrep/v1/evaluate/flags", key, b"{}"));
        assert_eq!((answer.status, parsed(&answer)["flags"].clone()), (200, json!([])));
    }
    assert_eq!(ask(&service, get("/readyz", "")).status, 200, "nothing to wait for");
}

#[test]
fn an_environment_that_was_never_tried_is_loaded_first_and_a_store_that_is_down_fails_open() {
    let service = empty_service();
    let request = post("/v1/evaluate", CLIENT_KEY, br#"{"units":{},"keys":["checkout"]}"#);
    let Outcome::Load(environment) = service.handle(&request) else {
        panic!("nothing was tried yet")
    };
    environment.fail("the store is down", NOW_MS);
    let answer = ask(&service, request);
    assert_eq!((answer.status, parsed(&answer)["generation"].clone()), (200, Value::Null));
    let ready = ask(&service, get("/readyz", ""));
    assert_eq!(ready.status, 503);
    assert_eq!(parsed(&ready)["environments"][0]["last_error"], "the store is down");
}

#[test]
fn a_request_that_nothing_is_loaded_for_any_more_is_answered_as_without_a_config() {
    let service = empty_service();
    let body = br#"{"units":{"user_id":"u"},"keys":["a"]}"#;
    let asked = |request| ask(&service, Request { patience: Patience::None, ..request });
    let evaluated = parsed(&asked(post("/v1/evaluate", CLIENT_KEY, body)));
    assert_eq!(evaluated["decisions"]["a"]["reason"], "not_found");
    let flag = asked(post("/ofrep/v1/evaluate/flags/a", CLIENT_KEY, b"{}"));
    let bulk = asked(post("/ofrep/v1/evaluate/flags", CLIENT_KEY, b"{}"));
    assert_eq!((flag.status, parsed(&flag)["errorCode"].as_str()), (404, Some("FLAG_NOT_FOUND")));
    assert_eq!((bulk.status, parsed(&bulk)["flags"].clone()), (200, json!([])));
    for answer in [&flag, &bulk] {
        assert_eq!(answer.header("x-sortition-config"), Some("none"));
    }
    let malformed = asked(post("/ofrep/v1/evaluate/flags/a", CLIENT_KEY, b"{"));
    assert_eq!(malformed.status, 400, "what is wrong with a request is wrong without a config");
    assert_eq!(asked(post("/ofrep/v1/evaluate/flags", "", b"{}")).status, 401, "no key at all");
    assert_eq!(asked(get("/readyz", "")).status, 503);
    assert_eq!(asked(get("/v1/config-bundle", SERVER_KEY)).status, 404);
}

#[test]
fn a_key_of_an_environment_that_does_not_exist_is_refused_where_there_is_a_default_environment() {
    let service = service_with(1);
    let request = post("/v1/evaluate", "sk_client_nowhere-aaaaaaaa_secret", br#"{"units":{}}"#);
    let Outcome::Load(environment) = service.handle(&request) else {
        panic!("nothing was tried yet")
    };
    assert_eq!(environment.receive_pointer(None, &PublicKeys::EVERYONE, NOW_MS), Next::Done);
    assert_eq!(ask(&service, request).status, 401);
}

#[test]
fn damaged_blobs_are_refused_and_the_old_one_stays() {
    let service = service_with(7);
    let environment = service.environments().get(ENVIRONMENT, NOW_MS);
    let good = blob(8, NOW_MS);
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let mut newer = good.clone();
    newer[4] = 0xff;
    let cases: [(&str, Vec<u8>); 5] = [
        ("truncated", good[..good.len() - 1].to_vec()),
        ("flipped", flipped),
        ("newer format", newer),
        ("empty", Vec::new()),
        ("other generation", blob(9, NOW_MS)),
    ];
    let object = source::pointer(8).1;
    let pointer = Pointer { generation: 8, object: object.clone(), ..Pointer::default() };
    let candidate = Candidate { pointer, check: None };
    for (what, bytes) in cases {
        assert!(!environment.offer(&candidate, bytes, true, NOW_MS), "{what}");
        assert_eq!(environment.held().unwrap().generation(), 7, "{what}");
        let ready = ask(&service, get("/readyz", ""));
        assert_eq!((ready.status, parsed(&ready)["generation"].clone()), (200, json!(7)));
        let refused = &parsed(&ready)["environments"][0]["last_refused"];
        assert_eq!(
            (&refused["generation"], &refused["object"]),
            (&json!(8), &json!(object)),
            "{what}: {refused}"
        );
        assert!(!refused["reason"].as_str().unwrap().is_empty());
    }
    for (what, pointer) in [
        ("no JSON", "oops".to_owned()),
        ("older", source::pointer(6).0),
        (
            "elsewhere",
            format!(r#"{{"generation":8,"object":"configs/{ENVIRONMENT}/../other/8.bin"}}"#),
        ),
    ] {
        assert_eq!(
            environment.receive_pointer(Some(pointer.as_bytes()), &PublicKeys::EVERYONE, NOW_MS),
            Next::Done,
            "{what}"
        );
        assert_eq!(environment.held().unwrap().generation(), 7, "{what}");
    }
    assert!(environment.offer(&candidate, good, true, NOW_MS));
    assert_eq!(environment.held().unwrap().generation(), 8);
}

#[test]
fn a_refresh_is_taken_on_by_one_and_taken_over_when_it_dies() {
    let service = service_with(1);
    let environment = service.environments().get(ENVIRONMENT, NOW_MS);
    assert!(!environment.begin_refresh(NOW_MS + 4999, 5000));
    assert!(environment.begin_refresh(NOW_MS + 5000, 5000));
    assert!(!environment.begin_refresh(NOW_MS + 5001, 5000), "one is at it");
    assert!(environment.begin_refresh(NOW_MS + 40_000, 5000), "it must have died");
}

#[test]
fn readiness_tells_generation_age_and_a_missing_list_secret() {
    let service = service_with(3);
    let ready = parsed(&ask(&service, get("/readyz", "")));
    assert_eq!(
        (&ready["status"], &ready["generation"], &ready["age_ms"]),
        (&json!("ready"), &json!(3), &json!(5000))
    );
    assert_eq!(ready["environments"][0]["missing_list_key"], false);
    let other = ask(&service, Request { query: "environment=a/b", ..get("/readyz", "") });
    assert_eq!(other.status, 400);
}

#[test]
fn the_bundle_is_the_blob_for_server_keys_only() {
    let service = service_with(5);
    let answer = ask(&service, get("/v1/config-bundle", SERVER_KEY));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, blob(5, NOW_MS - 5000));
    let etag = answer.header("etag").unwrap();
    let mut again = get("/v1/config-bundle", SERVER_KEY);
    again.headers.if_none_match = Some(etag);
    let again = ask(&service, again);
    assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, Some(etag)));
}

#[test]
fn ofrep_answers_have_all_that_clients_need() {
    let service = service_with(2);
    let one = |key: &str, body: &str| {
        let path = format!("/ofrep/v1/evaluate/flags/{key}");
        let mut request = post(&path, "", body.as_bytes());
        request.headers.x_api_key = Some(CLIENT_KEY);
        ask(&service, request)
    };
    let body = r#"{"context":{"targetingKey":"u-1"}}"#;
    let text = |answer: &Answer| String::from_utf8(answer.body.clone()).unwrap();
    assert_eq!(
        text(&one("ratio", body)),
        r#"{"key":"ratio","reason":"STATIC","variant":"whole","value":1.0,"metadata":{"reason":"static","enrolled":false,"generation":2}}"#
    );
    assert_eq!(parsed(&one("nothing", body)).get("value"), None, "null would be a type mismatch");
    assert_eq!(parsed(&one("killed", body))["reason"], "DISABLED");
    let visitor =
        parsed(&one("visitors", r#"{"context":{"targetingKey":"u-1","anonymous_id":"a-1"}}"#));
    assert_eq!(
        (&visitor["reason"], &visitor["metadata"]["experiment"]),
        (&json!("SPLIT"), &json!("visitors"))
    );
    assert_eq!(service.exposures().n_pending(), 1, "a single evaluation is logged");
    assert_eq!(parsed(&one("new%5Fnav", body))["key"], "new_nav");
    for (key, body, status, code) in [
        ("missing", body, 404, "FLAG_NOT_FOUND"),
        ("ratio", "{", 400, "PARSE_ERROR"),
        ("ratio", "[]", 400, "PARSE_ERROR"),
        ("ratio", r#"{"context":5}"#, 400, "INVALID_CONTEXT"),
        ("ratio", r#"{"context":{"targetingKey":5}}"#, 400, "INVALID_CONTEXT"),
    ] {
        let answer = one(key, body);
        let error = parsed(&answer);
        assert_eq!(
            (answer.status, &error["errorCode"], &error["key"]),
            (status, &json!(code), &json!(key))
        );
        assert!(error["errorDetails"].is_string());
    }
    assert_eq!(one("ratio", "{}").status, 200, "a client without a context");
}

#[test]
fn the_bulk_tag_covers_what_changes_answers_and_nothing_else() {
    let service = service_with(2);
    let bulk_at = |service: &Service, context: &str, tag: Option<&str>, now_ms| {
        let body = format!(r#"{{"context":{context}}}"#);
        let mut request = post("/ofrep/v1/evaluate/flags", CLIENT_KEY, body.as_bytes());
        request.headers.if_none_match = tag;
        match service.handle(&Request { now_ms, ..request }) {
            Outcome::Answer(answer) => answer,
            other => panic!("no answer but {other:?}"),
        }
    };
    let bulk = |context: &str, tag: Option<&str>| bulk_at(&service, context, tag, NOW_MS);
    let first = bulk(r#"{"targetingKey":"u-1","country":"US","page":"/a","at":1}"#, None);
    assert_eq!(parsed(&first)["flags"].as_array().unwrap().len(), 11);
    assert_eq!(service.exposures().n_pending(), 0);
    let tag = first.header("etag").unwrap();
    let same = bulk(r#"{"at":2,"page":"/b","country":"US","targetingKey":"u-1"}"#, Some(tag));
    assert_eq!((same.status, same.body.len(), same.header("etag")), (304, 0, Some(tag)));
    for context in [
        r#"{"targetingKey":"u-2","country":"US"}"#,
        r#"{"targetingKey":"u-1","country":"CA"}"#,
        r#"{"targetingKey":"u-1"}"#,
        r#"{"targetingKey":"u-1","country":"US","anonymous_id":"a"}"#,
    ] {
        assert_eq!(bulk(context, Some(tag)).status, 200, "{context}");
    }
    let context = r#"{"targetingKey":"u-1","country":"US"}"#;
    assert_eq!(bulk_at(&service, context, Some(tag), STARTS_AT_MS).status, 200, "a schedule began");
    assert_eq!(
        bulk_at(&service_with(3), context, Some(tag), NOW_MS).status,
        200,
        "a new generation"
    );
}

#[test]
fn browsers_may_read_every_answer() {
    let service = service_with(1);
    let mut preflight = post("/ofrep/v1/evaluate/flags", "", b"");
    preflight.method = "OPTIONS";
    preflight.headers.origin = Some("https://shop.example");
    let answer = ask(&service, preflight);
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://shop.example"));
    assert_eq!(answer.header("vary"), Some("Origin"));
    let allowed = answer.header("access-control-allow-headers").unwrap();
    for header in ["content-type", "authorization", "x-api-key", "if-none-match"] {
        assert!(allowed.contains(header), "{header}");
    }
    let mut refused = post("/v1/evaluate", "nonsense", b"{}");
    refused.headers.origin = Some("https://shop.example");
    let answer = ask(&service, refused);
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://shop.example"));
    assert_eq!(answer.header("access-control-expose-headers"), Some("ETag, Retry-After"));
}

#[test]
fn events_go_to_the_collector_under_the_callers_key() {
    let service = service_with(1);
    for path in ["/v1/events/batch", "/v1/exposures", "/v1/metrics"] {
        let Outcome::Forward(forward) = service.handle(&post(path, CLIENT_KEY, b"[]")) else {
            panic!("{path} forwards")
        };
        assert_eq!(forward.key, CLIENT_KEY);
        let answer = forward.answer(edge_worker::events::Forwarded::Unreachable);
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
        assert_eq!(ask(&service, post(path, CLIENT_KEY, b"")).status, 400);
        assert_eq!(ask(&service, post(path, "nonsense", b"[]")).status, 401);
    }
}

proptest::proptest! {
    /// Whatever is sent to whatever path, with whatever headers: an answer, never of the server's fault.
    #[test]
    fn no_input_is_answered_with_a_server_error(
        path in "(/v1/evaluate|/v1/exposures|/v1/units/[ -~]{0,12}/assignments|/v1/config-bundle|/readyz|/ofrep/v1/evaluate/flags|/ofrep/v1/evaluate/flags/[ -~]{0,12}|[ -~]{0,20})",
        query in "(explain=true|attributes=[ -~]{0,20}|key=[ -~]{0,10}|[ -~]{0,20})",
        header in "[ -~]{0,30}",
        body in proptest::prop_oneof![
            proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
            "\\{\"(units|context|attributes|keys|prior|unit_id|exposure|cookie|tokens)\":[\\[\\]{}\":,a-z0-9.eE-]{0,60}\\}".prop_map(String::into_bytes),
        ],
    ) {
        let service = service_with(1);
        for method in ["POST", "GET"] {
            let mut request = Request { method, query: &query, ..post(&path, SERVER_KEY, &body) };
            request.headers.if_none_match = Some(&header);
            request.headers.x_api_key = Some(&header);
            request.headers.cookie = Some(&header);
            if let Outcome::Answer(answer) = service.handle(&request) {
                proptest::prop_assert!(answer.status < 500 || path == "/readyz", "{}", answer.status);
            }
        }
    }
}
