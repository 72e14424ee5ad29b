//! What a client makes its defaults of when a request could not be answered because the edge itself has a bug: a panic, natively, or a trap
//! in Wasm, where `shim/index.js` gives the same answers without Wasm.

use crate::request::percent_decode;
use crate::response::{Answer, Problem, push_json_string};
use crate::routes::with_cors;
use crate::standing::{HEADER, Standing};

/// Path of OFREP's bulk evaluation; single flags lie below it.
const FLAGS: &str = "/ofrep/v1/evaluate/flags";

/// The answer to a request of which nothing is known but path and origin: for an evaluation 200 without a value, which makes every client
/// take its default; for everything else 503, which asks it to try again.
pub fn answer(path: &str, origin: Option<&str>) -> Answer {
    let answer = match path {
        "/v1/evaluate" => Answer::json(200, br#"{"generation":null,"decisions":{}}"#.to_vec()),
        FLAGS => {
            let body = br#"{"flags":[],"metadata":{"reason":"internal_error"}}"#;
            Answer::json(200, body.to_vec())
        }
        _ => {
            if let Some(key) = path.strip_prefix(FLAGS).and_then(|rest| rest.strip_prefix('/')) {
                flag(&percent_decode(key).unwrap_or_else(|| key.into()))
            } else {
                let detail = "the edge could not answer this request; send it again";
                Problem::new(503, "internal_error", detail).into()
            }
        }
    };
    with_cors(answer.with(HEADER, Standing::Nothing.as_str()), origin)
}

fn flag(key: &str) -> Answer {
    let mut body = br#"{"key":"#.to_vec();
    push_json_string(&mut body, key);
    body.extend_from_slice(
        br#","reason":"UNKNOWN","variant":"","metadata":{"reason":"internal_error","enrolled":false}}"#,
    );
    Answer::json(200, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evaluations_are_answered_without_values_and_others_are_asked_to_come_back() {
        let body = |path| String::from_utf8(answer(path, None).body).unwrap();
        assert_eq!(body("/v1/evaluate"), r#"{"generation":null,"decisions":{}}"#);
        assert!(body("/ofrep/v1/evaluate/flags/a%20b").starts_with(r#"{"key":"a b","#));
        assert_eq!(answer("/ofrep/v1/evaluate/flags", None).status, 200);
        let other = answer("/v1/events/batch", Some("https://shop.example"));
        assert_eq!((other.status, other.header("retry-after")), (503, Some("5")));
        assert_eq!(other.header("access-control-allow-origin"), Some("https://shop.example"));
    }
}
