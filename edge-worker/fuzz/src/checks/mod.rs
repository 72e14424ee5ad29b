//! What must hold of every answer, whatever a client sends. Fuzzing looks for an input for which it does not; a test repeats
//! the inputs that are kept in `corpus/`.
//!
//! Every input meets a service of its own, whose random numbers begin anew, so that an input that breaks something breaks it
//! again.

mod answers;
mod events;
mod site;
#[path = "../../../examples/edge-fixture/source.rs"]
mod source;
mod visitors;

pub(crate) use answers::{evaluate, ofrep};
pub(crate) use events::{events, token};
pub(crate) use site::qa;
pub(crate) use visitors::cookie;

use edge_worker::environments::Next;
use edge_worker::request::{Headers, Request};
use edge_worker::response::Answer;
use edge_worker::routing::{Hosts, RoutingConfig};
use edge_worker::service::{Outcome, Service, ServiceConfig};
use edge_worker::signing::SigningKeys;
use edge_worker::trust::PublicKeys;
use eval_core::source::ConfigSource;
use serde_json::Value;
use source::{CLIENT_KEY, ENVIRONMENT, LIST_SECRET};
use std::sync::LazyLock;

/// The time of all requests: 2026-11-20T10:30:00Z.
const NOW_MS: i64 = 1_795_170_600_000;

/// Routes of the site that the edge stands in front of: decided by an experiment, told to the page and to the origin.
const ROUTES: &str = r#"[
    {"key": "site", "base": {"origin": "https://origin.example.com"}},
    {"key": "page", "paths": ["/"], "experiment": "visitors", "inject": true, "tell_origin": true},
    {"key": "new", "paths": ["/new/**"], "experiment": "visitors", "variants": [
        {"variant": "treatment", "actions": {"path": "/next/**", "response_headers": [["x-served-by", "next"]]}}]},
    {"key": "offer", "paths": ["/offer"], "experiment": "checkout", "variants": [
        {"variant": "treatment_a", "actions": {"redirect": {"status": 302, "location": "/prices"}}}]}
]"#;

static BLOB: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let routes = serde_json::from_str(ROUTES).expect("the routes are sound");
    let source = ConfigSource { routes, ..source::source(1) };
    source::encode(&source, 1, NOW_MS).expect("the fixture compiles")
});

static HOSTS: LazyLock<Hosts> = LazyLock::new(|| {
    Hosts::parse(&format!("shop.example={ENVIRONMENT}")).expect("the host is sound")
});

static KEYS: LazyLock<SigningKeys> =
    LazyLock::new(|| SigningKeys::derive(&LIST_SECRET, ENVIRONMENT));

fn settings() -> ServiceConfig {
    ServiceConfig {
        default_environment: Some(ENVIRONMENT.to_owned()),
        list_secret: Some(LIST_SECRET),
        has_collector: true,
        seed: [3; 32],
        routing: RoutingConfig { hosts: HOSTS.clone(), ..RoutingConfig::default() },
        ..ServiceConfig::default()
    }
}

/// A service that holds the fixture.
fn edge() -> Service {
    let service = Service::new(settings());
    let environment = service.environments().get(ENVIRONMENT, NOW_MS);
    let (pointer, _) = source::pointer(1);
    let Next::Fetch(pointer) =
        environment.receive_pointer(Some(pointer.as_bytes()), &PublicKeys::EVERYONE, NOW_MS)
    else {
        panic!("the first pointer is always followed")
    };
    assert!(environment.offer(&pointer, BLOB.clone(), true, NOW_MS));
    service
}

/// A service that has nothing to read a config from.
fn edge_without_config() -> Service {
    Service::new(ServiceConfig { has_store: false, ..settings() })
}

/// A request with the client key.
fn post<'r>(path: &'r str, body: &'r [u8]) -> Request<'r> {
    let headers = Headers { x_sdk_key: Some(CLIENT_KEY), ..Headers::default() };
    Request { method: "POST", path, headers, body, now_ms: NOW_MS, ..Request::default() }
}

/// The answer to a request that needs nothing else.
fn ask(service: &Service, request: &Request<'_>) -> Answer {
    match service.handle(request) {
        Outcome::Answer(answer) => answer,
        other => panic!("no answer but {other:?}"),
    }
}

/// The body of an answer, which is JSON whatever was asked.
fn body(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).expect("answers are JSON")
}

/// A member that is a text.
fn text_of<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member].as_str().unwrap_or_else(|| panic!("{member} is a text in {value}"))
}

/// Header values are one line of what HTTP allows.
fn is_header_value(value: &str) -> bool {
    value.bytes().all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
}

/// A refusal names the field and the rule.
fn assert_problem(answer: &Answer) {
    let problem = body(answer);
    assert_eq!(problem["status"], answer.status, "{problem}");
    assert!(!text_of(&problem, "code").is_empty());
    for error in problem["errors"].as_array().expect("the offending fields are named") {
        let pointer = text_of(error, "pointer");
        assert!(pointer.is_empty() || pointer.starts_with('/'), "{pointer}");
        assert!(!text_of(error, "code").is_empty() && !text_of(error, "detail").is_empty());
    }
}
