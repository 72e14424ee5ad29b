//! Answers to requests that cannot be served as a whole: RFC 9457.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::event::BodyError;
use crate::keys::KeyError;
use crate::wal::{Busy, WriteFailed};

/// How long a client should wait when the collector has too much to do.
const RETRY_AFTER_S: &str = "1";

/// Why a whole request was not accepted. Nothing of it was stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    #[error("send an SDK key as `Authorization: Bearer …` or `X-SDK-Key`")]
    MissingKey,
    #[error("the SDK key is not valid")]
    InvalidKey,
    #[error("a server key is a secret and must not stand in a URL")]
    SecretInUrl,
    #[error("the body has more than {0} bytes")]
    BodyTooLarge(usize),
    #[error("the decompressed body has more than {0} bytes")]
    DecodedTooLarge(usize),
    #[error("the content type {0:?} is none of application/json and application/x-ndjson")]
    ContentType(String),
    #[error("the content encoding {0:?} is none of identity, gzip and zstd")]
    ContentEncoding(String),
    #[error("the body is not valid {encoding}: {detail}")]
    Encoding { encoding: &'static str, detail: String },
    #[error("the body was cut off: {0}")]
    Incomplete(String),
    #[error("the body did not arrive in time")]
    TooSlow,
    #[error("{0}")]
    Body(#[from] BodyError),
    #[error("there is no event in the body: {0}")]
    NoEvents(String),
    #[error("exposure tokens are redeemed at the edge, not here")]
    Tokens,
    #[error("the header {header} is not an RFC 3339 time")]
    Header { header: &'static str },
    #[error("too many requests are under way")]
    Overloaded,
    #[error("{0}")]
    Busy(#[from] Busy),
    #[error("the environment's config cannot be read at the moment")]
    ConfigUnavailable,
    #[error("{0}")]
    Write(#[from] WriteFailed),
    #[error("there is nothing at this path")]
    NotFound,
    #[error("this path takes another method")]
    MethodNotAllowed,
    #[error("an internal error; nothing was stored")]
    Internal,
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Unknown => Self::InvalidKey,
            KeyError::Unavailable => Self::ConfigUnavailable,
        }
    }
}

impl Problem {
    /// The table: status, code and title of every problem.
    fn parts(&self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::MissingKey => (S::UNAUTHORIZED, "missing_key", "Missing SDK key"),
            Self::InvalidKey => (S::UNAUTHORIZED, "invalid_key", "Invalid SDK key"),
            Self::SecretInUrl => (S::UNAUTHORIZED, "secret_in_url", "Server key in the URL"),
            Self::BodyTooLarge(_) | Self::DecodedTooLarge(_) => {
                (S::PAYLOAD_TOO_LARGE, "body_too_large", "Body too large")
            }
            Self::TooSlow => (S::REQUEST_TIMEOUT, "too_slow", "Request too slow"),
            Self::ContentType(_) => {
                (S::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "Unsupported media type")
            }
            Self::ContentEncoding(_) => {
                (S::UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding", "Unsupported content encoding")
            }
            Self::Encoding { .. } => (S::BAD_REQUEST, "malformed_encoding", "Malformed encoding"),
            Self::Incomplete(_) => (S::BAD_REQUEST, "incomplete_body", "Incomplete body"),
            Self::Body(BodyError::Empty) => (S::BAD_REQUEST, "empty_body", "Empty body"),
            Self::Body(BodyError::Malformed(_)) | Self::NoEvents(_) => {
                (S::BAD_REQUEST, "malformed_json", "Malformed JSON")
            }
            Self::Tokens => (S::BAD_REQUEST, "tokens_at_edge", "Exposure tokens"),
            Self::Header { .. } => (S::BAD_REQUEST, "invalid_header", "Invalid header"),
            Self::Overloaded | Self::Busy(_) => {
                (S::SERVICE_UNAVAILABLE, "overloaded", "Overloaded")
            }
            Self::ConfigUnavailable => {
                (S::SERVICE_UNAVAILABLE, "config_unavailable", "Config unavailable")
            }
            Self::Write(_) => (S::SERVICE_UNAVAILABLE, "log_unavailable", "Log unavailable"),
            Self::NotFound => (S::NOT_FOUND, "not_found", "Not found"),
            Self::MethodNotAllowed => {
                (S::METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed")
            }
            Self::Internal => (S::INTERNAL_SERVER_ERROR, "internal", "Internal error"),
        }
    }

    /// The header that is wrong, if it is one: a body is judged event by event.
    fn header(&self) -> Option<&'static str> {
        match self {
            Self::MissingKey | Self::InvalidKey => Some("Authorization"),
            Self::ContentType(_) => Some("Content-Type"),
            Self::ContentEncoding(_) | Self::Encoding { .. } => Some("Content-Encoding"),
            Self::Header { header } => Some(header),
            _ => None,
        }
    }
}

#[derive(Serialize)]
struct Document<'p> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<&'p str>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, code, title) = self.parts();
        metrics::counter!("collector_requests_refused_total", "code" => code).increment(1);
        let document = Document {
            r#type: "about:blank",
            title,
            status: status.as_u16(),
            code,
            detail: self.to_string(),
            header: self.header(),
        };
        let mut response = (status, Json(document)).into_response();
        let headers = response.headers_mut();
        let content_type = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, content_type);
        match status {
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
            }
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                let encodings = HeaderValue::from_static("gzip, zstd");
                headers.insert(header::ACCEPT_ENCODING, encodings);
            }
            _ => {}
        }
        response
    }
}
