//! Deferred exposures: a token for what may be shown, an exposure for what was.

use crate::common::{NOW_MS, ask, edge, parsed, post, service, settings};
use crate::source;
use edge_worker::events::{Forward, Forwarded};
use edge_worker::request::Request;
use edge_worker::service::{Outcome, Service, ServiceConfig};
use serde_json::{Value, json};

fn evaluate(service: &Service, body: &Value) -> Value {
    parsed(&ask(service, &post("/v1/evaluate", body.to_string().as_bytes())))
}

fn token(service: &Service, anonymous_id: &str) -> Value {
    let body = json!({"units": {"anonymous_id": anonymous_id}, "keys": ["visitors"], "exposure": "deferred"});
    evaluate(service, &body)["decisions"]["visitors"]["exposure_token"].clone()
}

/// What goes to the collector for these tokens.
fn forwarded(service: &Service, tokens: &Value, now_ms: i64) -> (Forward, Vec<Value>) {
    let body = json!({"tokens": tokens}).to_string();
    let request = Request { now_ms, ..post("/v1/exposures", body.as_bytes()) };
    let Outcome::Forward(forward) = service.handle(&request) else {
        panic!("good tokens go to the collector")
    };
    let lines = forward
        .body(body.as_bytes())
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).expect("lines are JSON"))
        .collect();
    (forward, lines)
}

fn answered(body: &Value) -> Forwarded {
    Forwarded::Answered {
        status: 202,
        content_type: Some("application/json".to_owned()),
        retry_after: None,
        body: body.to_string().into_bytes(),
    }
}

#[test]
fn enrolled_units_get_tokens_and_nothing_is_logged_until_they_are_posted() {
    let service = edge();
    let answer = evaluate(
        &service,
        &json!({"units": {"anonymous_id": "a-1", "user_id": "u-1"}, "attributes": {"country": "DE", "email": "x@example.com"},
            "keys": ["visitors", "checkout", "new_nav", "by_experiment", "none such"], "exposure": "deferred"}),
    );
    let decisions = answer["decisions"].as_object().unwrap();
    for (key, decision) in decisions {
        assert_eq!(decision["enrolled"] == true, decision["exposure_token"].is_string(), "{key}");
    }
    assert_eq!(service.exposures().n_pending(), 0);

    let tokens = json!([decisions["by_experiment"]["exposure_token"]]);
    let (_, events) = forwarded(&service, &tokens, NOW_MS + 60_000);
    let event = &events[0];
    assert_eq!(
        (&event["experiment"], &event["flag"]),
        (&json!("visitors"), &json!("by_experiment"))
    );
    assert_eq!(event["variant"], decisions["visitors"]["variant"]);
    assert_eq!(event["units"], json!({"anonymous_id": "a-1", "user_id": "u-1"}));
    assert_eq!(event["attributes"], json!({"country": "DE"}));
    assert_eq!(event["timestamp"], "2026-11-20T10:31:00.000Z", "when it was shown");
    assert_eq!(event.get("producer_seq"), None, "the client itself repeats what is lost");
}

#[test]
fn a_token_posted_twice_and_an_exposure_logged_besides_have_one_event_id() {
    let service = edge();
    let tokens = json!([token(&service, "a-1"), token(&service, "a-1"), token(&service, "a-2")]);
    let ids = |now_ms| -> Vec<Value> {
        forwarded(&service, &tokens, now_ms).1.into_iter().map(|e| e["event_id"].clone()).collect()
    };
    let first = ids(NOW_MS);
    assert_eq!(first[0], first[1]);
    assert_ne!(first[0], first[2]);
    assert_eq!(ids(NOW_MS + 86_400_000), first, "a day later");
    evaluate(&service, &json!({"units": {"anonymous_id": "a-1"}, "keys": ["visitors"]}));
    let logged = service.exposures().lease(NOW_MS).unwrap();
    let logged: Value = serde_json::from_slice(&logged.body).unwrap();
    assert_eq!(logged["event_id"], first[0]);
}

#[test]
fn a_bad_token_is_reported_by_its_place_and_its_neighbours_are_kept() {
    let service = edge();
    let good = token(&service, "a-1");
    let mut forged = good.as_str().unwrap().to_owned();
    forged.replace_range(20..21, if &forged[20..21] == "A" { "B" } else { "A" });
    let tokens =
        json!([forged, good, 7, token(&service, "a-2"), "nonsense", token(&service, "a-3")]);
    let (forward, events) = forwarded(&service, &tokens, NOW_MS);
    assert_eq!(events.len(), 3);
    assert_eq!(forward.content_type, "application/x-ndjson");
    let collector = json!({"accepted": 1, "duplicate": 1, "rejected": 1,
        "errors": [{"index": 1, "code": "invalid_value", "pointer": "/variant", "detail": "wrong"}]});
    let answer = forward.answer(answered(&collector));
    let receipt = parsed(&answer);
    assert_eq!(
        (answer.status, &receipt["accepted"], &receipt["duplicate"]),
        (202, &json!(1), &json!(1))
    );
    assert_eq!(receipt["rejected"], 4);
    let errors: Vec<(u64, &str, &str)> = receipt["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| {
            (
                e["index"].as_u64().unwrap(),
                e["code"].as_str().unwrap(),
                e["pointer"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        errors,
        [
            (0, "invalid_token", "/tokens/0"),
            (2, "wrong_type", "/tokens/2"),
            (3, "invalid_value", "/tokens/3"),
            (4, "invalid_token", "/tokens/4"),
        ]
    );
}

#[test]
fn tokens_are_answered_as_the_collector_answers_or_as_a_queue_takes_them() {
    let service = edge();
    let (forward, _) = forwarded(&service, &json!([token(&service, "a-1"), "bad"]), NOW_MS);
    assert_eq!(forward.answer(Forwarded::Unreachable).status, 503);
    let queued = forward.answer(Forwarded::Queued);
    assert_eq!((queued.status, parsed(&queued)["queued"].clone()), (202, json!(true)));
    assert_eq!(parsed(&queued)["errors"][0]["index"], 1);
    let busy = Forwarded::Answered {
        status: 503,
        content_type: None,
        retry_after: Some("7".to_owned()),
        body: b"{}".to_vec(),
    };
    let busy = forward.answer(busy);
    assert_eq!((busy.status, busy.header("retry-after")), (503, Some("7")));
    let messages = forward.messages(b"the request's own body").unwrap();
    let text = String::from_utf8(messages[0].clone()).unwrap();
    assert!(text.contains(r#""experiment":"visitors""#) && !text.contains("own body"), "{text}");
}

#[test]
fn old_tokens_foreign_tokens_and_bad_lists_are_refused() {
    let service = edge();
    let old = token(&service, "a-1");
    let post_tokens = |service: &Service, tokens: &Value, now_ms| {
        let body = json!({"tokens": tokens}).to_string();
        ask(service, &Request { now_ms, ..post("/v1/exposures", body.as_bytes()) })
    };
    let answer = post_tokens(&service, &json!([old]), NOW_MS + 49 * 3_600_000);
    assert_eq!(
        (answer.status, &parsed(&answer)["errors"][0]["code"]),
        (202, &json!("expired_token"))
    );
    let other = ServiceConfig { list_secret: Some([5; 32]), ..settings() };
    let other = self::service(other, &source::source(1), 1);
    let answer = post_tokens(&other, &json!([old]), NOW_MS);
    assert_eq!((answer.status, parsed(&answer)["rejected"].clone()), (202, json!(1)));
    for (tokens, code) in [(json!("x"), "wrong_type"), (json!(vec!["x"; 1001]), "too_many")] {
        let answer = post_tokens(&service, &tokens, NOW_MS);
        assert_eq!((answer.status, &parsed(&answer)["errors"][0]["code"]), (400, &json!(code)));
    }
    let empty = Service::new(settings());
    empty.environments().get(source::ENVIRONMENT, NOW_MS).fail("down", NOW_MS);
    let answer = post_tokens(&empty, &json!([old]), NOW_MS);
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("5")),
        "they are kept by the client"
    );
}

#[test]
fn without_a_secret_the_setting_is_named() {
    let service = service(ServiceConfig { list_secret: None, ..settings() }, &source::source(1), 1);
    for (path, body) in [
        ("/v1/evaluate", json!({"units": {}, "keys": [], "exposure": "deferred"})),
        ("/v1/evaluate", json!({"units": {}, "keys": [], "cookie": true})),
        ("/v1/exposures", json!({"tokens": ["x"]})),
    ] {
        let answer = ask(&service, &post(path, body.to_string().as_bytes()));
        assert_eq!(answer.status, 400);
        let detail = parsed(&answer)["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("SORTITION_LIST_SECRET"), "{detail}");
    }
    let everything = evaluate(&service, &json!({"units": {"anonymous_id": "a-1"}}));
    assert_eq!(everything["decisions"]["visitors"].get("exposure_token"), None);
}

#[test]
fn bulk_answers_carry_tokens_and_log_nothing() {
    let service = edge();
    let all = evaluate(&service, &json!({"units": {"anonymous_id": "a-1"}}));
    let token = &all["decisions"]["visitors"]["exposure_token"];
    let body = br#"{"context":{"anonymous_id":"a-1"}}"#;
    let bulk = parsed(&ask(&service, &post("/ofrep/v1/evaluate/flags", body)));
    for flag in bulk["flags"].as_array().unwrap() {
        let metadata = &flag["metadata"];
        assert_eq!(metadata["enrolled"] == true, metadata["exposure_token"].is_string(), "{flag}");
        if flag["key"] == "visitors" {
            assert_eq!(&metadata["exposure_token"], token);
        }
    }
    assert_eq!(service.exposures().n_pending(), 0);
    let none = evaluate(&service, &json!({"units": {"anonymous_id": "a-1"}, "exposure": "none"}));
    assert_eq!(none["decisions"]["visitors"].get("exposure_token"), None);
}
