//! What the tests of the portable service share: a service that holds a config, and requests to it.

use edge_worker::environments::Next;
use edge_worker::request::{Headers, Request};
use edge_worker::response::Answer;
use edge_worker::service::{Outcome, Service, ServiceConfig};
use edge_worker::trust::PublicKeys;
use eval_core::source::ConfigSource;
use serde_json::Value;

use crate::source::{self, CLIENT_KEY, ENVIRONMENT, LIST_SECRET};

/// The time of all requests, unless a test says another: 2026-11-20T10:30:00Z.
pub(crate) const NOW_MS: i64 = 1_795_170_600_000;

/// The settings of the tests: with the secret and a collector.
pub(crate) fn settings() -> ServiceConfig {
    ServiceConfig {
        default_environment: Some(ENVIRONMENT.to_owned()),
        list_secret: Some(LIST_SECRET),
        has_collector: true,
        seed: [3; 32],
        ..ServiceConfig::default()
    }
}

/// A service that holds the fixture.
pub(crate) fn edge() -> Service {
    holding(
        settings(),
        source::encode(&source::source(1), 1, NOW_MS).expect("the fixture compiles"),
        1,
    )
}

/// A service that holds this config.
pub(crate) fn service(settings: ServiceConfig, source: &ConfigSource, generation: u64) -> Service {
    let config = eval_core::compile(source).expect("the config compiles");
    holding(settings, eval_core::blob::encode(&config, generation, NOW_MS), generation)
}

fn holding(settings: ServiceConfig, blob: Vec<u8>, generation: u64) -> Service {
    let service = Service::new(settings);
    let environment = service.environments().get(ENVIRONMENT, NOW_MS);
    let (pointer, _) = source::pointer(generation);
    let Next::Fetch(pointer) =
        environment.receive_pointer(Some(pointer.as_bytes()), &PublicKeys::EVERYONE, NOW_MS)
    else {
        panic!("the first pointer is always followed")
    };
    assert!(environment.offer(&pointer, blob, true, NOW_MS));
    service
}

/// A request with the client key.
pub(crate) fn post<'r>(path: &'r str, body: &'r [u8]) -> Request<'r> {
    let headers = Headers { x_sdk_key: Some(CLIENT_KEY), ..Headers::default() };
    Request { method: "POST", path, headers, body, now_ms: NOW_MS, ..Request::default() }
}

/// The answer to a request that needs nothing else.
pub(crate) fn ask(service: &Service, request: &Request<'_>) -> Answer {
    match service.handle(request) {
        Outcome::Answer(answer) => answer,
        other => panic!("no answer but {other:?}"),
    }
}

pub(crate) fn parsed(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).expect("answers are JSON")
}

/// What a browser sends back of a `Set-Cookie` header.
pub(crate) fn sent_back(set_cookie: &str) -> String {
    set_cookie.split(';').next().unwrap_or_default().to_owned()
}
