//! Events on their way to the collector, and tokens of deferred exposures.

use super::source::{CLIENT_KEY, ENVIRONMENT};
use super::{KEYS, NOW_MS, assert_problem, body, edge, post, text_of};
use edge_worker::base64url;
use edge_worker::events::{Forward, Forwarded};
use edge_worker::exposures::token::open;
use edge_worker::queue::{MAX_BODY_BYTES, Message};
use edge_worker::response::Answer;
use edge_worker::service::Outcome;
use serde_json::Value;
use serde_json::value::RawValue;

/// A body of each kind of event, and what a collector might answer.
pub(crate) fn events(input: &[u8]) {
    for path in ["/v1/events/batch", "/v1/exposures", "/v1/metrics"] {
        match edge().handle(&post(path, input)) {
            Outcome::Answer(answer) if answer.status == 202 => receipt(&answer),
            Outcome::Answer(answer) => assert_problem(&answer),
            Outcome::Forward(forward) => {
                assert_eq!(forward.key, CLIENT_KEY);
                answers(&forward, input);
            }
            other => panic!("neither an answer nor events, but {other:?}"),
        }
    }
    cut(input);
}

/// Whatever becomes of events at the collector, the client gets an answer.
fn answers(forward: &Forward, collector: &[u8]) {
    assert_eq!(forward.answer(Forwarded::Unreachable).status, 503);
    receipt(&forward.answer(Forwarded::Queued));
    for status in [202, 400, 503] {
        let body = collector.to_vec();
        let answer = forward.answer(Forwarded::answered(status, None, None, body));
        assert_eq!(answer.status, status);
    }
}

fn receipt(answer: &Answer) {
    let receipt = body(answer);
    assert_eq!(answer.status, 202);
    for count in ["accepted", "duplicate", "rejected"] {
        assert!(receipt[count].is_u64(), "{receipt}");
    }
    assert!(receipt["errors"].is_array());
}

/// A batch that is too large for a queue's message is cut between its events, and none is lost or changed.
fn cut(input: &[u8]) {
    let n_times = MAX_BODY_BYTES / (input.len() + 1) + 2;
    let message = |body| Message {
        key: CLIENT_KEY,
        content_type: "application/json",
        content_encoding: None,
        body,
    };
    let lines = [input, b"\n"].concat().repeat(n_times);
    if lines.trim_ascii().first() != Some(&b'[') {
        let pieces = message(&lines).pieces().expect("lines can always be cut");
        let found = pieces.iter().flat_map(|piece| lines_of(piece));
        assert!(found.eq(lines.trim_ascii().split(|b| *b == b'\n').filter(|l| !l.is_empty())));
    }
    if serde_json::from_slice::<&RawValue>(input).is_ok() {
        // A line feed within JSON stands between its tokens, where a space does as well.
        let event = input.trim_ascii().iter().map(|&b| if b == b'\n' { b' ' } else { b });
        let list = [b"[".to_vec(), vec![input; n_times].join(&b","[..]), b"]".to_vec()].concat();
        let pieces = message(&list).pieces().expect("a list can be cut");
        let mut n_found = 0;
        for line in pieces.iter().flat_map(|piece| lines_of(piece)) {
            assert!(line.iter().copied().eq(event.clone()));
            n_found += 1;
        }
        assert_eq!(n_found, n_times);
    }
}

fn lines_of(piece: &[u8]) -> impl Iterator<Item = &[u8]> {
    let message = Message::decode(piece).expect("a piece is a message");
    assert!(message.body.len() <= MAX_BODY_BYTES && message.key == CLIENT_KEY);
    message.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

/// A token as a client might send it, and the payload of one that is rightly signed.
pub(crate) fn token(input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input) {
        assert!(!posted(text), "nobody without the key writes a token");
    }
    let mut signed = input.to_vec();
    KEYS.exposure.seal(&mut signed);
    let text = base64url::encode(&signed);
    assert_eq!(posted(&text), open(&text, &KEYS.exposure, NOW_MS).is_ok());
}

/// Posts a token: whether it stands for an exposure.
fn posted(token: &str) -> bool {
    let tokens = serde_json::json!({ "tokens": [token] }).to_string();
    match edge().handle(&post("/v1/exposures", tokens.as_bytes())) {
        Outcome::Answer(answer) => {
            receipt(&answer);
            let receipt = body(&answer);
            assert_eq!(receipt["rejected"], 1, "{receipt}");
            let code = text_of(&receipt["errors"][0], "code");
            assert!(matches!(code, "invalid_token" | "expired_token"), "{code}");
            false
        }
        Outcome::Forward(forward) => {
            let (line, rest) = split_line(forward.body(b""));
            assert!(rest.is_empty(), "one token is one event");
            let event: Value = serde_json::from_slice(line).expect("an event is a line of JSON");
            assert_eq!(text_of(&event, "type"), "exposure");
            assert_eq!(text_of(&event, "event_id").len(), 36);
            assert!(event["units"].is_object() && event["generation"].is_u64());
            assert!(matches!(event["attributes"], Value::Object(_) | Value::Null));
            receipt(&forward.answer(Forwarded::Queued));
            open(token, &KEYS.exposure, NOW_MS)
                .expect("the service took it")
                .with_event(ENVIRONMENT, NOW_MS, |event| {
                    assert_eq!(event.environment, ENVIRONMENT);
                })
                .expect("what was opened can be read");
            true
        }
        other => panic!("neither an answer nor events, but {other:?}"),
    }
}

fn split_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').expect("events end in a line feed");
    let (line, rest) = bytes.split_at(end);
    (line, &rest[1..])
}
