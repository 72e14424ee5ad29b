//! The identity cookie: whatever a browser sends, and whatever an edge might have signed.

use super::{KEYS, ask, body, edge, is_header_value, post};
use edge_worker::base64url;
use edge_worker::identity::{COOKIE_NAME, MAX_COOKIE_BYTES, parse, write};
use edge_worker::request::{Headers, Request};
use edge_worker::response::Answer;

/// A `Cookie` header, and the payload of a cookie that is rightly signed.
pub(crate) fn cookie(input: &[u8]) {
    if let Ok(header) = std::str::from_utf8(input)
        && is_header_value(header)
    {
        with_cookie(header);
    }
    let mut signed = input.to_vec();
    KEYS.cookie.seal(&mut signed);
    let value = base64url::encode(&signed);
    if let Some(contents) = parse(&value, &KEYS.cookie) {
        assert_eq!(write(&contents, &KEYS.cookie), value, "a cookie has one form");
    }
    with_cookie(&format!("{COOKIE_NAME}={value}"));
}

fn with_cookie(header: &str) {
    for asked in [
        r#"{"units":{"user_id":"u-1"},"attributes":{"country":"US","returning":true}}"#,
        r#"{"units":{"user_id":"u-1"},"cookie":true,"keys":["visitors","checkout"],"exposure":"none"}"#,
    ] {
        let first = evaluated(header, asked);
        let Some(set) = first.header("set-cookie") else { continue };
        assert!(set.len() <= MAX_COOKIE_BYTES && is_header_value(set), "{set}");
        let (pair, _) = set.split_once(';').expect("a cookie has attributes");
        let second = evaluated(pair, asked);
        assert_eq!(second.header("set-cookie"), None, "{pair} is taken as it was given");
        let (first, second) = (body(&first), body(&second));
        assert_eq!(first["anonymous_id"], second["anonymous_id"]);
        for (key, decision) in first["decisions"].as_object().expect("an object of decisions") {
            assert_eq!(decision["variant"], second["decisions"][key]["variant"], "{key} flips");
        }
    }
}

fn evaluated(header: &str, asked: &str) -> Answer {
    let request = post("/v1/evaluate", asked.as_bytes());
    let headers = Headers { cookie: Some(header), ..request.headers };
    let answer = ask(&edge(), &Request { headers, ..request });
    assert_eq!(answer.status, 200, "no cookie makes a request fail");
    answer
}
