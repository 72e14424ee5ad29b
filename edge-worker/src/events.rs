//! `POST /v1/events/batch`, `/v1/exposures`, `/v1/metrics`: a client's events, handed to the collector under the client's own key.
//!
//! The edge answers what the collector answered, so that "accepted" means durable. When the collector cannot be reached, a queue takes
//! the events where there is one; else the client gets 503, keeps them and tries again, because an isolate's memory is no place for
//! what was acknowledged.

use crate::auth::Access;
use crate::deferred::{self, Checked};
use crate::queue::Message;
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

/// A batch for the collector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// SDK key, for `Authorization: Bearer`.
    pub key: String,
    /// `Content-Type` to send.
    pub content_type: String,
    /// `Content-Encoding` to send.
    pub content_encoding: Option<String>,
    origin: Option<String>,
    /// The exposures that the client's tokens stand for, in place of the body.
    checked: Option<Checked>,
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
    /// It could not be reached, and a queue has accepted the events.
    Queued,
    /// It could not be reached.
    Unreachable,
}

impl Forwarded {
    /// What the collector or a gateway before it answered.
    pub fn answered(
        status: u16,
        content_type: Option<String>,
        retry_after: Option<String>,
        body: Vec<u8>,
    ) -> Self {
        // A gateway that cannot reach the collector; 520 to 530 are Cloudflare's.
        if matches!(status, 502 | 504 | 520..=530) {
            Self::Unreachable
        } else {
            Self::Answered { status, content_type, retry_after, body }
        }
    }
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
    let tokens = if intake == Intake::Exposures { deferred::tokens(request.body) } else { None };
    let checked =
        match tokens.map(|tokens| deferred::check(service, access, tokens, request.now_ms)) {
            None => None,
            Some(Err(problem)) => return Outcome::Answer(problem.into()),
            Some(Ok(checked)) if checked.events.is_empty() => {
                return Outcome::Answer(checked.receipt(None));
            }
            Some(Ok(checked)) => Some(checked),
        };
    if !service.config().takes_events() {
        return Outcome::Answer(unavailable("this edge has no collector"));
    }
    let (content_type, content_encoding) = if checked.is_some() {
        (None, None)
    } else {
        (request.headers.content_type, request.headers.content_encoding)
    };
    Outcome::Forward(Forward {
        key: access.key.to_owned(),
        content_type: content_type.unwrap_or("application/x-ndjson").to_owned(),
        content_encoding: content_encoding.map(ToOwned::to_owned),
        origin: request.headers.origin.map(ToOwned::to_owned),
        checked,
    })
}

impl Forward {
    /// The body to send, given that of the request.
    pub fn body<'b>(&'b self, request: &'b [u8]) -> &'b [u8] {
        self.checked.as_ref().map_or(request, |checked| &checked.events)
    }

    /// The messages for a queue, given the body of the request; `None` when it cannot be cut to a queue's measure.
    pub fn messages(&self, request: &[u8]) -> Option<Vec<Vec<u8>>> {
        Message {
            key: &self.key,
            content_type: &self.content_type,
            content_encoding: self.content_encoding.as_deref(),
            body: self.body(request),
        }
        .pieces()
    }

    /// What to answer to the client.
    pub fn answer(&self, forwarded: Forwarded) -> Answer {
        let answer = match forwarded {
            Forwarded::Unreachable => unavailable("the collector cannot be reached"),
            Forwarded::Queued => match &self.checked {
                Some(checked) => checked.receipt(None),
                None => Answer::json(202, QUEUED.to_vec()),
            },
            Forwarded::Answered { status, content_type, retry_after, body } => {
                let answer = match &self.checked {
                    Some(checked) if (200..300).contains(&status) => checked.receipt(Some(&body)),
                    _ => Answer { status, headers: Vec::new(), body }.with(
                        "content-type",
                        content_type.unwrap_or_else(|| "application/json".to_owned()),
                    ),
                };
                match retry_after {
                    Some(retry_after) => answer.with("retry-after", retry_after),
                    None => answer,
                }
            }
        };
        routes::with_cors(answer, self.origin.as_deref())
    }
}

/// The answer when a queue has the events: they count when the collector has looked at them.
const QUEUED: &[u8] = br#"{"queued":true,"accepted":0,"duplicate":0,"rejected":0,"errors":[]}"#;

fn unavailable(detail: &str) -> Answer {
    Problem::new(
        503,
        "collector_unavailable",
        format!("{detail}; keep the events and send them again"),
    )
    .into()
}
