//! Every way in which a request can fail, as one table from cause to status.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// One thing that is wrong with a request body or parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// RFC 6901 pointer into the body; the parameter's name for a query or header parameter.
    pub pointer: String,
    /// Stable word for the broken rule, such as `required` or `too_long`.
    pub code: String,
    /// The rule in words.
    pub detail: String,
}

/// All that is wrong with one request, collected before any of it is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Notes that the value at `pointer` breaks a rule.
    pub fn push(&mut self, pointer: impl Into<String>, code: &str, detail: impl Into<String>) {
        let problem =
            Problem { pointer: pointer.into(), code: code.to_owned(), detail: detail.into() };
        if !self.0.contains(&problem) {
            self.0.push(problem);
        }
    }

    /// Adds the problems of another check.
    pub fn extend(&mut self, other: Self) {
        for problem in other.0 {
            if !self.0.contains(&problem) {
                self.0.push(problem);
            }
        }
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The problems in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// `Ok` when nothing is wrong.
    pub fn into_result(self) -> Result<(), ApiError> {
        if self.is_empty() { Ok(()) } else { Err(ApiError::Invalid(self)) }
    }
}

/// A warning that must be acknowledged before something is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Warning {
    /// At a start `underpowered`, `no_baseline`, `short_duration`, `metric_not_flowing` or `overlapping_audience`; when
    /// enrolment is frozen `no_prior_assignments`; when it is decided to ship `no_results`, `horizon_not_reached` or
    /// `srm_failed`.
    pub code: String,
    /// What is doubtful, with numbers.
    pub detail: String,
}

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The body is not JSON.
    #[error("{0}")]
    MalformedJson(String),
    /// A query parameter or header that cannot be understood.
    #[error("{detail}")]
    InvalidParameter {
        /// Name of the parameter.
        parameter: String,
        /// What is wrong with it.
        detail: String,
    },
    /// No token, or one that is unknown or revoked.
    #[error("{0}")]
    Unauthorized(&'static str),
    /// The token's role or project does not allow it.
    #[error("{0}")]
    Forbidden(String),
    /// The role may write drafts alone, and this would change what edges serve.
    #[error("this changes what edges serve, which takes role publisher or admin")]
    NeedsPublisher,
    /// More requests than the caller may make.
    #[error("{detail}")]
    TooManyRequests {
        /// What was exceeded.
        detail: String,
        /// After how many seconds another try makes sense.
        retry_after_s: u64,
    },
    /// A dry run: not carried out because nothing was to be; answered 200 with what it would have done.
    #[error("a dry run changes nothing")]
    Previewed(Box<Value>),
    /// No such resource within the token's reach.
    #[error("there is no {kind} `{key}`")]
    NotFound {
        /// Kind of resource.
        kind: &'static str,
        /// The id or key that was asked for.
        key: String,
    },
    /// No such path.
    #[error("no route has this path")]
    UnknownRoute,
    /// The path exists, but not for this method.
    #[error("this path does not take this method")]
    MethodNotAllowed,
    /// The present state of things forbids it.
    #[error("{detail}")]
    Conflict {
        /// Stable word for the kind of conflict.
        code: &'static str,
        /// What stands against it.
        detail: String,
        /// Members added to the answer.
        extra: Map<String, Value>,
    },
    /// `If-Match` names another version than the current one.
    #[error("the resource is at version {current_version} now")]
    Stale {
        /// Current version.
        current_version: i64,
        /// The resource as it is now.
        current: Value,
    },
    /// The body exceeds the limit.
    #[error("the body may hold at most {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// The body did not arrive in time.
    #[error("the body did not arrive in time")]
    Timeout,
    /// The body's media type is not JSON.
    #[error("{0}")]
    UnsupportedMediaType(String),
    /// The body is JSON, but not acceptable.
    #[error("the request breaks {} rule(s)", .0.0.len())]
    Invalid(Problems),
    /// Warnings that were not acknowledged.
    #[error("there are warnings; send their codes in `acknowledge` to go on")]
    Unacknowledged(Vec<Warning>),
    /// `Idempotency-Key` was used for another request.
    #[error("this Idempotency-Key came with another request before")]
    IdempotencyMismatch,
    /// `If-Match` is missing where it is required.
    #[error("send the resource's ETag in If-Match")]
    PreconditionRequired,
    /// A part that the request needs does not answer now.
    #[error("{0}")]
    Unavailable(String),
    /// A bug or a broken database. The cause is logged, never shown.
    #[error("internal error")]
    Internal(#[source] anyhow::Error),
}

impl ApiError {
    /// A conflict with nothing to add.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::Conflict { code, detail: detail.into(), extra: Map::new() }
    }

    /// One problem of the body.
    pub fn invalid(pointer: impl Into<String>, code: &str, detail: impl Into<String>) -> Self {
        let mut problems = Problems::default();
        problems.push(pointer, code, detail);
        Self::Invalid(problems)
    }

    /// A missing resource.
    pub fn not_found(kind: &'static str, key: impl Into<String>) -> Self {
        Self::NotFound { kind, key: key.into() }
    }

    /// The status table: status, code and title of each cause.
    pub fn status(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::MalformedJson(_) => (StatusCode::BAD_REQUEST, "malformed_json", "Malformed JSON"),
            Self::InvalidParameter { .. } => {
                (StatusCode::BAD_REQUEST, "invalid_parameter", "Invalid parameter")
            }
            Self::Unauthorized(_) => (StatusCode::UNAUTHORIZED, "unauthorized", "Unauthorized"),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden", "Forbidden"),
            Self::NeedsPublisher => (StatusCode::FORBIDDEN, "needs_publisher", "Needs a publisher"),
            Self::TooManyRequests { .. } => {
                (StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "Too many requests")
            }
            Self::Previewed(_) => (StatusCode::OK, "previewed", "Preview"),
            Self::NotFound { .. } => (StatusCode::NOT_FOUND, "not_found", "Not found"),
            Self::UnknownRoute => (StatusCode::NOT_FOUND, "unknown_route", "Unknown route"),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed")
            }
            Self::Conflict { code, .. } => (StatusCode::CONFLICT, code, "Conflict"),
            Self::Stale { .. } => {
                (StatusCode::PRECONDITION_FAILED, "stale_version", "Stale version")
            }
            Self::Timeout => (StatusCode::REQUEST_TIMEOUT, "timeout", "Timeout"),
            Self::TooLarge { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "Body too large")
            }
            Self::UnsupportedMediaType(_) => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "Unsupported media type",
            ),
            Self::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid", "Invalid request"),
            Self::Unacknowledged(_) => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "unacknowledged_warnings",
                "Unacknowledged warnings",
            ),
            Self::IdempotencyMismatch => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency_key_reused",
                "Idempotency key reused",
            ),
            Self::PreconditionRequired => {
                (StatusCode::PRECONDITION_REQUIRED, "if_match_required", "If-Match required")
            }
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Unavailable"),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error"),
        }
    }

    /// The RFC 9457 document.
    pub fn document(&self) -> Value {
        let (status, code, title) = self.status();
        let errors = match self {
            Self::Invalid(problems) => json!(problems.0),
            Self::InvalidParameter { parameter, detail } => {
                json!([{ "pointer": parameter, "code": "invalid_parameter", "detail": detail }])
            }
            _ => json!([]),
        };
        let mut document = json!({
            "type": format!("urn:sortition:problem:{code}"),
            "title": title,
            "status": status.as_u16(),
            "detail": self.to_string(),
            "code": code,
            "errors": errors,
        });
        match self {
            Self::Conflict { extra, .. } => {
                for (name, value) in extra {
                    document[name] = value.clone();
                }
            }
            Self::Stale { current_version, current } => {
                document["current_version"] = json!(current_version);
                document["current"] = current.clone();
            }
            Self::Unacknowledged(warnings) => document["warnings"] = json!(warnings),
            _ => {}
        }
        document
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, _, _) = self.status();
        if let Self::Previewed(preview) = self {
            return (status, Json(*preview)).into_response();
        }
        if let Self::Internal(cause) = &self {
            tracing::error!(error = format!("{cause:#}"), "request failed");
        }
        let mut response = (status, Json(self.document())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match &self {
            Self::Unauthorized(_) => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::TooManyRequests { retry_after_s, .. } => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(*retry_after_s));
            }
            Self::Unavailable(_) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        response
    }
}

impl From<anyhow::Error> for ApiError {
    fn from(error: anyhow::Error) -> Self {
        Self::Internal(error)
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        Self::Internal(error.into())
    }
}

/// The shape of every error answer (schema only).
#[derive(ToSchema)]
#[expect(dead_code, reason = "exists as a schema")]
pub(crate) struct ProblemDocument {
    /// Identifies the kind of problem.
    #[schema(rename = "type", example = "urn:sortition:problem:invalid")]
    pub type_uri: String,
    /// The kind of problem in words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What happened this time.
    pub detail: String,
    /// Stable word for the kind of problem.
    pub code: String,
    /// The offending fields.
    #[schema(inline)]
    pub errors: Vec<Problem>,
}
