//! `POST /v1/events/batch`, `/v1/exposures`, `/v1/metrics`: a client's events, handed to the collector under the client's own key.
//!
//! The edge answers what the collector answered, so that "accepted" means durable. It queues nothing in memory: a client that gets 503
//! keeps its events and tries again, while an isolate may end at any time.

use crate::auth::Access;
use crate::request::Request;
use crate::response::{Answer, Problem};
use crate::routes;
use crate::service::{Outcome, Service};

/// Path at the collector, which takes all kinds of events in one place.
pub const COLLECTOR_PATH: &str = "/v1/events/batch";

/// Under which path the events came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intake {
    Batch,
    Exposures,
    Metrics,
}

/// A batch for the collector. The body is the request's own, unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// SDK key, for `Authorization: Bearer`.
    pub key: String,
    /// `Content-Type` to send.
    pub content_type: String,
    /// `Content-Encoding` to send.
    pub content_encoding: Option<String>,
    origin: Option<String>,
}

/// What came back from the collector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forwarded {
    /// It answered.
    Answered {
        /// Its status.
        status: u16,
        /// Its `Content-Type`.
        content_type: Option<String>,
        /// Its `Retry-After`.
        retry_after: Option<String>,
        /// Its body.
        body: Vec<u8>,
    },
    /// It could not be reached.
    Unreachable,
}

/// Decides whether a batch goes to the collector.
pub(crate) fn post_events(
    service: &Service,
    access: &Access<'_>,
    request: &Request<'_>,
    intake: Intake,
) -> Outcome {
    if request.body.is_empty() {
        let problem = Problem::field(
            "",
            "missing_body",
            "the body must hold events, as a JSON array or newline-delimited JSON",
        );
        return Outcome::Answer(problem.into());
    }
    if intake == Intake::Exposures && names_tokens(request.body) {
        let problem = Problem::field(
            "/tokens",
            "unknown_token",
            "this edge issues no deferred exposures, so no token is valid",
        );
        return Outcome::Answer(problem.into());
    }
    if !service.config().has_collector {
        return Outcome::Answer(unavailable("this edge has no collector"));
    }
    Outcome::Forward(Forward {
        key: access.key.to_owned(),
        content_type: request.headers.content_type.unwrap_or("application/x-ndjson").to_owned(),
        content_encoding: request.headers.content_encoding.map(ToOwned::to_owned),
        origin: request.headers.origin.map(ToOwned::to_owned),
    })
}

impl Forward {
    /// What to answer to the client.
    pub fn answer(&self, forwarded: Forwarded) -> Answer {
        let answer = match forwarded {
            Forwarded::Unreachable => unavailable("the collector cannot be reached"),
            Forwarded::Answered { status, content_type, retry_after, body } => {
                let mut answer = Answer { status, headers: Vec::new(), body }.with(
                    "content-type",
                    content_type.unwrap_or_else(|| "application/json".to_owned()),
                );
                if let Some(retry_after) = retry_after {
                    answer = answer.with("retry-after", retry_after);
                }
                answer
            }
        };
        routes::with_cors(answer, self.origin.as_deref())
    }
}

fn unavailable(detail: &str) -> Answer {
    Problem::new(
        503,
        "collector_unavailable",
        format!("{detail}; keep the events and send them again"),
    )
    .into()
}

/// Whether an uncompressed body is the `{"tokens": […]}` form.
fn names_tokens(body: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Tokens {
        #[serde(rename = "tokens")]
        _tokens: serde::de::IgnoredAny,
    }
    body.first() == Some(&b'{') && serde_json::from_slice::<Tokens>(body).is_ok()
}
