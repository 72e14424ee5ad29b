//! What client keys get of a config: the client form that was published with it, fetched when it is asked for.

#[path = "../examples/edge-fixture/client_form.rs"]
mod client_form;
#[path = "../examples/edge-fixture/source.rs"]
mod source;

use std::sync::Arc;

use edge_worker::environments::{Candidate, Environment, Next};
use edge_worker::request::{Headers, Patience, Request};
use edge_worker::response::Answer;
use edge_worker::service::{Outcome, Service, ServiceConfig};
use edge_worker::trust::PublicKeys;
use source::{CLIENT_KEY, ENVIRONMENT, SERVER_KEY};

const NOW_MS: i64 = 1_795_170_600_000;

fn blob(generation: u64) -> Vec<u8> {
    source::encode(&source::source(generation), generation, NOW_MS).expect("the fixture compiles")
}

fn form(generation: u64) -> Vec<u8> {
    client_form::encode(&source::source(generation), generation, NOW_MS)
        .expect("the fixture compiles")
}

fn environment(service: &Service) -> Arc<Environment> {
    service.environments().get(ENVIRONMENT, NOW_MS)
}

/// What a newer pointer leads to.
fn follow(environment: &Environment, pointer: &str) -> Candidate {
    let keys = &PublicKeys::EVERYONE;
    match environment.receive_pointer(Some(pointer.as_bytes()), keys, NOW_MS) {
        Next::Fetch(candidate) => candidate,
        Next::Done => panic!("a newer pointer is always followed"),
    }
}

/// Publishes a generation to the service. Answers whether it was taken.
fn take(service: &Service, pointer: &str, generation: u64) -> bool {
    let environment = environment(service);
    let candidate = follow(&environment, pointer);
    environment.offer(&candidate, blob(generation), true, NOW_MS)
}

fn service_with(generation: u64) -> Service {
    let service = Service::new(ServiceConfig::default());
    assert!(take(&service, &source::pointer(generation).0, generation));
    service
}

fn bundle(service: &Service, key: &str, tag: Option<&str>, now_ms: i64) -> Outcome {
    let headers = Headers { x_sdk_key: Some(key), if_none_match: tag, ..Headers::default() };
    let path = "/v1/config-bundle";
    service.handle(&Request { method: "GET", path, headers, now_ms, ..Request::default() })
}

fn answer(outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Answer(answer) => answer,
        other => panic!("no answer but {other:?}"),
    }
}

fn offer(service: &Service, bytes: Vec<u8>) -> Result<(), String> {
    offer_signed(service, bytes, &PublicKeys::EVERYONE, true)
}

fn offer_signed(
    service: &Service,
    bytes: Vec<u8>,
    keys: &PublicKeys,
    is_authentic: bool,
) -> Result<(), String> {
    let environment = environment(service);
    let (held, candidate) = environment.client_form_candidate(keys).expect("a form is named");
    let candidate = candidate.map_err(|refusal| refusal.to_string())?;
    environment
        .offer_client_form(&held, &candidate, bytes, is_authentic, NOW_MS)
        .map_err(|refusal| refusal.to_string())
}

/// A service that was asked for a generation's form and has it.
fn service_with_form(generation: u64) -> Service {
    let service = service_with(generation);
    assert!(matches!(bundle(&service, CLIENT_KEY, None, NOW_MS), Outcome::LoadClientForm(_)));
    offer(&service, form(generation)).expect("the published form is taken");
    service
}

#[test]
fn a_client_key_gets_the_published_client_form_and_its_tag() {
    let service = service_with_form(5);
    let first = answer(bundle(&service, CLIENT_KEY, None, NOW_MS));
    assert_eq!((first.status, &first.body), (200, &form(5)));
    let etag = first.header("etag").expect("it has a tag");
    let again = answer(bundle(&service, CLIENT_KEY, Some(etag), NOW_MS));
    assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, Some(etag)));
    let whole = answer(bundle(&service, SERVER_KEY, None, NOW_MS));
    assert_eq!(whole.body, blob(5));
    assert_ne!(whole.header("etag"), Some(etag));
    let names = ["checkout", "global_2026", "returning", "in_browser", "plan", "gold", "user_id"];
    for name in names {
        let found = first.body.windows(name.len()).any(|bytes| bytes == name.as_bytes());
        assert!(!found, "{name}");
    }
}

#[test]
fn a_form_that_nobody_asked_for_is_never_fetched() {
    let service = service_with(1);
    assert!(service.begin_client_forms(NOW_MS).is_empty());
    assert!(take(&service, &source::pointer(2).0, 2));
    assert!(service.begin_client_forms(NOW_MS).is_empty());
}

#[test]
fn the_previous_form_is_answered_until_the_newer_one_is_here() {
    let service = service_with_form(1);
    assert!(service.begin_client_forms(NOW_MS).is_empty(), "it is the newest");
    assert!(take(&service, &source::pointer(2).0, 2));
    assert!(service.has_background_work(NOW_MS));
    assert_eq!(answer(bundle(&service, CLIENT_KEY, None, NOW_MS)).body, form(1));
    assert_eq!(service.begin_client_forms(NOW_MS).len(), 1);
    assert!(service.begin_client_forms(NOW_MS).is_empty(), "by one at a time");
    offer(&service, form(2)).expect("the newer form is taken");
    assert_eq!(answer(bundle(&service, CLIENT_KEY, None, NOW_MS)).body, form(2));
    let environment = environment(&service);
    assert_eq!(environment.held().map(|held| held.generation()), Some(2));
}

#[test]
fn who_has_heard_of_a_newer_config_is_not_answered_before_the_edge_has_looked() {
    let service = service_with_form(1);
    let etag = answer(bundle(&service, CLIENT_KEY, None, NOW_MS)).header("etag").map(str::to_owned);
    let asked = |key, query, patience| {
        let headers =
            Headers { x_sdk_key: Some(key), if_none_match: etag.as_deref(), ..Headers::default() };
        let path = "/v1/config-bundle";
        let request = Request {
            method: "GET",
            path,
            query,
            headers,
            now_ms: NOW_MS,
            patience,
            ..Request::default()
        };
        service.handle(&request)
    };
    for key in [CLIENT_KEY, SERVER_KEY] {
        let outcome = asked(key, "flagConfigEtag=2.0", Patience::Full);
        let Outcome::Freshen(wanted) = outcome else { panic!("no look but {outcome:?}") };
        assert_eq!((wanted.environment.id(), wanted.held), (ENVIRONMENT, 1));
        let known = asked(key, "flagConfigEtag=1.7", Patience::Full);
        assert!(matches!(known, Outcome::Answer(_)), "it is held");
    }
    assert_eq!(answer(asked(CLIENT_KEY, "flagConfigEtag=2.0", Patience::Loads)).status, 304);
    assert!(take(&service, &source::pointer(2).0, 2));
    offer(&service, form(2)).expect("the newer form is taken");
    let newer = answer(asked(CLIENT_KEY, "flagConfigEtag=2.0", Patience::Full));
    assert_eq!((newer.status, newer.body), (200, form(2)));
}

#[test]
fn without_a_form_the_answer_is_503_and_the_store_is_asked_again_after_a_while() {
    let service = service_with(1);
    assert!(matches!(bundle(&service, CLIENT_KEY, None, NOW_MS), Outcome::LoadClientForm(_)));
    environment(&service).fail_client_form(NOW_MS);
    let unavailable = answer(bundle(&service, CLIENT_KEY, None, NOW_MS + 1));
    assert_eq!((unavailable.status, unavailable.header("retry-after")), (503, Some("5")));
    assert!(String::from_utf8_lossy(&unavailable.body).contains("no_client_form"));
    let later = bundle(&service, CLIENT_KEY, None, NOW_MS + 5000);
    assert!(matches!(later, Outcome::LoadClientForm(_)));

    let unpublished = Service::new(ServiceConfig::default());
    let pointer = format!(r#"{{"generation":1,"object":"configs/{ENVIRONMENT}/1-0.bin"}}"#);
    assert!(take(&unpublished, &pointer, 1));
    assert_eq!(answer(bundle(&unpublished, CLIENT_KEY, None, NOW_MS)).status, 503);
}

#[test]
fn what_is_not_the_client_form_of_the_config_in_use_is_refused_and_the_previous_one_stays() {
    let service = service_with_form(1);
    assert!(take(&service, &source::pointer(2).0, 2));
    let mut damaged = form(2);
    damaged[200] ^= 1;
    for (bytes, reason) in [
        (blob(2), "no client form"),
        (form(1), "generation 1"),
        (form(3), "generation 3"),
        (damaged, "checksum"),
        (Vec::new(), "truncated"),
    ] {
        let refusal = offer(&service, bytes).expect_err(reason);
        assert!(refusal.contains(reason), "{refusal}");
        assert_eq!(answer(bundle(&service, CLIENT_KEY, None, NOW_MS)).body, form(1), "{reason}");
    }
}

#[test]
fn a_client_form_is_no_config_and_a_foreign_one_no_client_form() {
    let service = service_with(1);
    let environment = environment(&service);
    let candidate = follow(&environment, &source::pointer(2).0);
    assert!(!environment.offer(&candidate, form(2), true, NOW_MS), "an edge takes no client form");
    for object in ["configs/other/2-0.client.bin", "configs/../secrets", "plans/2"] {
        let pointer = format!(
            r#"{{"generation":2,"object":"configs/{ENVIRONMENT}/2-0.bin","client_form":{{"object":"{object}"}}}}"#
        );
        let candidate = follow(&environment, &pointer);
        assert_eq!(candidate.pointer.client_form(), None, "{object}");
    }
}

#[test]
fn an_edge_with_a_public_key_takes_only_forms_that_are_signed_under_it() {
    let keys = PublicKeys::parse(&"00".repeat(32)).expect("64 digits are a key");
    let id = keys.ids().next().expect("there is one").to_owned();
    let service = service_with(1);
    let refusal = offer_signed(&service, form(1), &keys, true).expect_err("it is not signed");
    assert!(refusal.contains("signed"), "{refusal}");
    let signature = format!("{}==", "A".repeat(86));
    let pointer = format!(
        r#"{{"generation":2,"object":"configs/{ENVIRONMENT}/2-0.bin","key_id":"{id}","client_form":{{"object":"configs/{ENVIRONMENT}/2-0.client.bin","signature":"{signature}"}}}}"#
    );
    assert!(take(&service, &pointer, 2));
    assert!(offer_signed(&service, form(2), &keys, false).is_err(), "the shell found it wrong");
    offer_signed(&service, form(2), &keys, true).expect("the shell found it right");
}
