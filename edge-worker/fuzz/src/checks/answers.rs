//! Bodies of evaluations: every one is answered or refused by its field, and all ways to ask for a flag agree.

use super::source::SERVER_KEY;
use super::{ask, assert_problem, body, edge, edge_without_config, post, text_of};
use edge_worker::request::{Headers, Request};
use serde_json::Value;

const REASONS: [&str; 5] = ["STATIC", "DEFAULT", "TARGETING_MATCH", "SPLIT", "DISABLED"];

/// A body for the OpenFeature Remote Evaluation Protocol.
pub(crate) fn ofrep(input: &[u8]) {
    let service = edge();
    let all = ask(&service, &post("/ofrep/v1/evaluate/flags", input));
    let one = |key: &str| ask(&service, &post(&format!("/ofrep/v1/evaluate/flags/{key}"), input));
    if all.status == 400 {
        let (error, single) = (body(&all), one("checkout"));
        assert!(matches!(text_of(&error, "errorCode"), "PARSE_ERROR" | "INVALID_CONTEXT"));
        assert!(!text_of(&error, "errorDetails").is_empty());
        assert_eq!(single.status, 400);
        assert_eq!(body(&single)["errorCode"], error["errorCode"]);
        return;
    }
    assert_eq!(all.status, 200);
    for flag in body(&all)["flags"].as_array().expect("a list of flags") {
        let key = text_of(flag, "key");
        let reason = text_of(flag, "reason");
        assert!(REASONS.contains(&reason) || reason == "UNKNOWN", "{reason}");
        let metadata = &flag["metadata"];
        let is_enrolled = metadata["enrolled"] == true;
        assert_eq!(is_enrolled, metadata["exposure_token"].is_string(), "{flag}");
        let single = one(key);
        assert_eq!(single.status, 200, "{key}");
        let single = body(&single);
        for member in ["key", "reason", "variant", "value"] {
            assert_eq!(single[member], flag[member], "{member} of {key}");
        }
        assert_eq!(single["metadata"]["enrolled"], metadata["enrolled"], "{key}");
    }
    assert_eq!(one("nothing-has-this-key").status, 404);
    let etag = all.header("etag").expect("a bulk answer has a tag");
    let request = post("/ofrep/v1/evaluate/flags", input);
    let headers = Headers { if_none_match: Some(etag), ..request.headers };
    let again = ask(&service, &Request { headers, ..request });
    assert_eq!((again.status, again.header("etag")), (304, Some(etag)));
}

/// A body for `/v1/evaluate`.
pub(crate) fn evaluate(input: &[u8]) {
    let answer = ask(&edge(), &post("/v1/evaluate", input));
    let without_config = ask(&edge_without_config(), &post("/v1/evaluate", input));
    assert_eq!(without_config.status, answer.status, "with or without a config");
    if answer.status != 200 {
        assert_eq!(answer.status, 400);
        assert_problem(&answer);
        return;
    }
    let headers = Headers { x_sdk_key: Some(SERVER_KEY), ..Headers::default() };
    let request = Request { headers, query: "explain=true", ..post("/v1/evaluate", input) };
    let explained = ask(&edge(), &request);
    assert_eq!(explained.status, 200);
    let (answer, explained) = (body(&answer), body(&explained));
    let decisions = answer["decisions"].as_object().expect("an object of decisions");
    let explained = explained["decisions"].as_object().expect("an object of decisions");
    assert!(decisions.keys().eq(explained.keys()), "the same keys are answered");
    for (key, decision) in decisions {
        let is_enrolled = decision["enrolled"] == true;
        assert!(!is_enrolled || decision["variant"].is_string(), "{key}");
        assert!(matches!(decision["variant"], Value::String(_) | Value::Null));
        for member in ["variant", "value", "enrolled", "reason"] {
            assert_eq!(decision[member], explained[key][member], "{member} of {key}");
        }
        assert!(explained[key]["steps"].is_array() && explained[key]["changes"].is_array());
    }
}
