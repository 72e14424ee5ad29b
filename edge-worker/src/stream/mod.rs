//! `GET /v1/stream`: Server-Sent Events that say when a client should look again.
//!
//! One stream serves two kinds of clients, told apart by the name of the event:
//!
//! ```text
//! retry: 2381                                 milliseconds until a client whose stream ends connects again; each client has its own
//!
//! event: config                               for SDKs that hold a config: a generation was published
//! id: 42.5f3759df
//! data: {"generation":42,"created_at_ms":1795170600000}
//!
//! event: message                              for OFREP clients: answers may have changed, by publishing or by time
//! id: 42.5f3759df
//! data: {"type":"refetchEvaluation","etag":"42.5f3759df","lastModified":1795170600}
//!
//! :                                           nothing happened for a while, the connection stands
//! ```
//!
//! Ids are [editions](Edition). A client that comes back says by `Last-Event-ID` what it knows, one that comes from a bulk answer by
//! `?since=`, and is told at once if there is something newer. No event is replayed: only the newest state counts. A client that says
//! nothing is told the generation in use, as a `config` event.
//!
//! What happens when is decided here ([`Feed`], without I/O); the shells wait and write.

mod edition;
mod feed;
mod slots;

use std::fmt::Write as _;

use eval_core::source::KeyKind;

use crate::auth::Access;
use crate::request::Request;
use crate::response::{Answer, Problem};
use crate::service::{Outcome, Service};

pub use edition::Edition;
pub use feed::{Beat, Feed};
pub(crate) use slots::Slots;

/// The path, as OFREP's bulk answers name it.
pub(crate) const PATH: &str = "/v1/stream";
/// Seconds after which an OFREP client that nobody looks at closes its stream.
const INACTIVITY_S: u32 = 120;

/// A stream that a client may have: what it is answered first, and what comes after.
#[derive(Debug)]
pub struct Opened {
    /// Status and headers.
    pub head: Answer,
    /// The events.
    pub feed: Feed,
}

/// Opens a stream.
pub(crate) fn open(service: &Service, access: &Access<'_>, request: &Request<'_>) -> Outcome {
    let head = Answer::empty(200)
        .with("content-type", "text/event-stream")
        // Nothing on the way may keep events back: no cache, no compression, no buffer (nginx reads the last one).
        .with("cache-control", "no-store, no-transform")
        .with("x-accel-buffering", "no");
    if request.method == "HEAD" {
        return Outcome::Answer(head);
    }
    let Some(environment) = access.environment_id(service) else {
        let detail = "this key names no environment to watch";
        return Outcome::Answer(Problem::new(503, "no_environment", detail).into());
    };
    let Some(feed) = Feed::open(service, environment, access, request) else {
        let detail = "this edge serves as many streams as it may; ask again, or poll";
        return Outcome::Answer(Problem::new(503, "too_many_streams", detail).into());
    };
    Outcome::Stream(Box::new(Opened { head, feed }))
}

/// The member `eventStreams` of a bulk answer, with the comma before it; nothing where a client of this key cannot have a stream.
///
/// `EventSource` sends no headers, so the key stands in the URL, where only a client key may stand. The URL names the edition of the
/// answer, so that nothing is missed between the answer and the stream.
pub(crate) fn push_event_streams(
    body: &mut Vec<u8>,
    service: &Service,
    access: &Access<'_>,
    edition: Edition,
) {
    let has_stream = access.kind == KeyKind::Client
        && service.config().max_streams > 0
        && access.environment_id(service).is_some();
    if !has_stream {
        return;
    }
    let mut key = String::with_capacity(access.key.len());
    for byte in access.key.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            key.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(key, "%{byte:02X}");
        }
    }
    body.extend_from_slice(
        format!(
            r#","eventStreams":[{{"type":"sse","endpoint":{{"requestUri":"{PATH}?key={key}&since={edition}"}},"inactivityDelaySec":{INACTIVITY_S}}}]"#
        )
        .as_bytes(),
    );
}
