//! The identity cookie through the service: who gets one, what it keeps, who may read the answer.

use crate::common::{NOW_MS, ask, edge, parsed, post, sent_back, service, settings};
use crate::source;
use edge_worker::request::Request;
use edge_worker::response::Answer;
use edge_worker::service::{Service, ServiceConfig};
use eval_core::source::{BucketRange, ConfigSource};
use serde_json::{Value, json};

fn visit(service: &Service, cookie: Option<&str>, body: &Value) -> Answer {
    let body = body.to_string();
    let mut request = post("/v1/evaluate", body.as_bytes());
    request.headers.cookie = cookie;
    request.headers.origin = Some("https://shop.example");
    ask(service, &request)
}

fn asking() -> Value {
    json!({"units": {}, "keys": ["visitors"], "cookie": true})
}

#[test]
fn a_visitor_gets_one_id_and_keeps_it() {
    let service = edge();
    let first = visit(&service, None, &asking());
    let id = parsed(&first)["anonymous_id"].clone();
    assert_eq!(id.as_str().unwrap().len(), 26);
    assert_eq!(parsed(&first)["decisions"]["visitors"]["enrolled"], true);
    let cookie = sent_back(first.header("set-cookie").unwrap());
    let again = visit(&service, Some(&cookie), &asking());
    assert_eq!(parsed(&again)["anonymous_id"], id);
    assert_eq!(parsed(&again)["decisions"]["visitors"]["reason"], "prior");
    assert_eq!(again.header("set-cookie"), None, "nothing changed");
    assert_ne!(parsed(&visit(&service, None, &asking()))["anonymous_id"], id);

    let logged = service.exposures().lease(NOW_MS).unwrap();
    assert!(String::from_utf8_lossy(&logged.body).contains(&format!(r#""anonymous_id":{id}"#)));
}

#[test]
fn a_cookie_that_was_sent_is_used_unless_the_request_refuses_it() {
    let service = edge();
    let cookie = sent_back(visit(&service, None, &asking()).header("set-cookie").unwrap());
    let unasked = json!({"units": {}, "keys": ["visitors"]});
    let refused = json!({"units": {}, "keys": ["visitors"], "cookie": false});
    assert!(parsed(&visit(&service, Some(&cookie), &unasked))["anonymous_id"].is_string());
    for (cookie, body) in [
        (None, &unasked),
        (Some("sortition_id=forged"), &unasked),
        (Some(cookie.as_str()), &refused),
    ] {
        let answer = visit(&service, cookie, body);
        assert_eq!(parsed(&answer).get("anonymous_id"), None);
        assert_eq!(parsed(&answer)["decisions"]["visitors"]["reason"], "no_unit");
        assert_eq!(answer.header("set-cookie"), None);
    }
    let ofrep = br#"{"context":{}}"#;
    let mut request = post("/ofrep/v1/evaluate/flags/visitors", ofrep);
    request.headers.cookie = Some(&cookie);
    assert_eq!(parsed(&ask(&service, &request))["metadata"]["reason"], "prior");
    let mut bulk = post("/ofrep/v1/evaluate/flags", ofrep);
    let without = ask(&service, &bulk).header("etag").unwrap().to_owned();
    bulk.headers.cookie = Some(&cookie);
    assert_ne!(ask(&service, &bulk).header("etag"), Some(without.as_str()));
}

#[test]
fn an_id_that_the_caller_names_counts_and_is_kept() {
    let service = edge();
    let named = json!({"units": {"anonymous_id": "a-9"}, "keys": ["visitors"], "cookie": true});
    let answer = visit(&service, None, &named);
    assert_eq!(parsed(&answer)["anonymous_id"], "a-9");
    let cookie = sent_back(answer.header("set-cookie").unwrap());
    assert_eq!(parsed(&visit(&service, Some(&cookie), &asking()))["anonymous_id"], "a-9");
    let other = json!({"units": {"anonymous_id": "a-10"}, "keys": ["visitors"]});
    let answer = visit(&service, Some(&cookie), &other);
    assert_eq!(parsed(&answer)["anonymous_id"], "a-10");
    assert_eq!(
        parsed(&answer)["decisions"]["visitors"]["reason"],
        "split",
        "priors are the unit's own"
    );
}

/// The fixture with everybody in one variant of the sticky experiment.
fn all_in(variant: usize) -> ConfigSource {
    let mut source = source::source(1);
    for experiment in source.experiments.iter_mut().filter(|e| e.key == "visitors") {
        for (at, known) in experiment.variants.iter_mut().enumerate() {
            known.ranges = if at == variant { vec![BucketRange::ALL] } else { Vec::new() };
        }
    }
    source
}

#[test]
fn weights_that_change_move_nobody_who_was_enrolled_through_this_browser() {
    let (before, after) = (service(settings(), &all_in(0), 1), service(settings(), &all_in(1), 2));
    let answer = visit(&before, None, &asking());
    assert_eq!(parsed(&answer)["decisions"]["visitors"]["variant"], "control");
    let cookie = sent_back(answer.header("set-cookie").unwrap());
    let decision = |cookie, body: &Value| {
        parsed(&visit(&after, cookie, body))["decisions"]["visitors"].clone()
    };
    assert_eq!(decision(Some(&cookie), &asking())["variant"], "control");
    assert_eq!(decision(Some(&cookie), &asking())["reason"], "prior");
    assert_eq!(decision(None, &asking())["variant"], "treatment", "who comes new");
    let given = json!({"units": {}, "keys": ["visitors"], "cookie": true, "prior": {"visitors": "treatment"}});
    assert_eq!(
        decision(Some(&cookie), &given)["variant"],
        "treatment",
        "what the caller says counts more"
    );
}

#[test]
fn pages_may_read_answers_with_a_cookie_only_when_they_asked_for_it() {
    let service = edge();
    let credentials =
        |answer: &Answer| answer.header("access-control-allow-credentials").map(ToOwned::to_owned);
    let asked = visit(&service, None, &asking());
    assert_eq!(credentials(&asked).as_deref(), Some("true"));
    assert_eq!(asked.header("access-control-allow-origin"), Some("https://shop.example"));
    assert_eq!(asked.header("cache-control"), Some("no-store"));
    let cookie = sent_back(asked.header("set-cookie").unwrap());
    let unasked = visit(&service, Some(&cookie), &json!({"units": {}, "keys": []}));
    assert_eq!(credentials(&unasked), None);
    let opaque = asking().to_string();
    let mut opaque = post("/v1/evaluate", opaque.as_bytes());
    opaque.headers.origin = Some("null");
    assert_eq!(credentials(&ask(&service, &opaque)), None, "a sandboxed frame");
    for (path, expected) in [("/v1/evaluate", Some("true")), ("/v1/exposures", None)] {
        let mut preflight = Request { method: "OPTIONS", ..post(path, b"") };
        preflight.headers.origin = Some("https://shop.example");
        assert_eq!(credentials(&ask(&service, &preflight)).as_deref(), expected, "{path}");
    }
}

#[test]
fn the_cookie_can_be_shared_by_the_subdomains_of_a_domain() {
    let settings = ServiceConfig { cookie_domain: Some("shop.example".to_owned()), ..settings() };
    let answer = visit(&service(settings, &source::source(1), 1), None, &asking());
    assert!(answer.header("set-cookie").unwrap().ends_with("SameSite=Lax; Domain=shop.example"));
    let wrong = visit(&edge(), None, &json!({"units": {}, "cookie": "yes"}));
    assert_eq!((wrong.status, &parsed(&wrong)["errors"][0]["pointer"]), (400, &json!("/cookie")));
}
