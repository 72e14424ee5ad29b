//! Answers: status, headers and body bytes, and the two error forms (problem+json, and OFREP's own in [`crate::ofrep`]).

use std::borrow::Cow;

use serde::Serialize;

/// A finished answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Header names are lower-case.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// Body; empty for 204 and 304.
    pub body: Vec<u8>,
}

impl Answer {
    /// An answer without a body.
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// A JSON body, already serialized.
    pub fn json(status: u16, body: Vec<u8>) -> Self {
        Self { status, headers: vec![("content-type", Cow::Borrowed("application/json"))], body }
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(candidate, _)| *candidate == name)
            .map(|(_, value)| value.as_ref())
    }
}

/// One offending field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// JSON pointer into the body; empty for the body as a whole.
    pub pointer: String,
    /// Stable machine-readable code.
    pub code: &'static str,
    /// A sentence for people.
    pub detail: String,
}

/// An error answer in the form of RFC 9457.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// HTTP status.
    pub status: u16,
    /// Stable machine-readable code.
    pub code: &'static str,
    /// A sentence for people.
    pub detail: String,
    /// The offending fields, where the body is at fault.
    pub errors: Vec<FieldError>,
}

#[derive(Serialize)]
struct ProblemBody<'p> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: &'p str,
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    errors: &'p [FieldError],
}

impl Problem {
    /// A problem with the request as a whole.
    pub fn new(status: u16, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), errors: Vec::new() }
    }

    /// 400 for one field of the body.
    pub fn field(
        pointer: impl Into<String>,
        code: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        let (pointer, detail) = (pointer.into(), detail.into());
        let whole =
            if pointer.is_empty() { detail.clone() } else { format!("{pointer}: {detail}") };
        Self {
            status: 400,
            code: "invalid_body",
            detail: whole,
            errors: vec![FieldError { pointer, code, detail }],
        }
    }
}

impl From<Problem> for Answer {
    fn from(problem: Problem) -> Self {
        let body = to_json(&ProblemBody {
            r#type: "about:blank",
            title: title(problem.status),
            status: problem.status,
            code: problem.code,
            detail: &problem.detail,
            errors: &problem.errors,
        });
        let answer = Self {
            status: problem.status,
            headers: vec![("content-type", Cow::Borrowed("application/problem+json"))],
            body,
        };
        match problem.status {
            401 => answer.with("www-authenticate", "Bearer"),
            503 => answer.with("retry-after", "5"),
            _ => answer,
        }
    }
}

fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        508 => "Loop Detected",
        _ => "Error",
    }
}

/// Serializes one of our own structs.
pub(crate) fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("our structs hold string keys and no failing serializers")
}

/// Appends a JSON string literal.
pub(crate) fn push_json_string(body: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(body, text).expect("writing a string to memory cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_names_the_field() {
        let answer =
            Answer::from(Problem::field("/units/user_id", "wrong_type", "must be a string"));
        assert_eq!(answer.status, 400);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(
            String::from_utf8(answer.body).unwrap(),
            r#"{"type":"about:blank","title":"Bad Request","status":400,"code":"invalid_body","detail":"/units/user_id: must be a string","errors":[{"pointer":"/units/user_id","code":"wrong_type","detail":"must be a string"}]}"#
        );
    }
}
