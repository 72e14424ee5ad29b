//! How an outcome crosses from Wasm to JavaScript: one byte string, so that one call and one copy are enough.
//! Both shells can write it: so it is also by frames that the two are compared (`examples/edge-differential`).
//!
//! ```text
//! byte 0      0 answer, 1 load an environment first, 2 forward to the collector, 3 look for news first, 4 a stream
//! byte 1      1 when background work waits
//! bytes 2..4  status, little endian
//! bytes 4..8  length of the header text, little endian
//! then        header text: lines of `name: value`; of kind 1, what to load: `id`, `id/client` or `id@generation`; of kind 3, `id@generation`
//!             with the generation that is held
//! then        body
//! ```

use crate::response::Answer;
use crate::service::{Outcome, Service};

/// What follows the environment id where its client form is to be loaded.
pub const CLIENT_FORM: &str = "/client";

/// What the service made of a request.
pub fn outcome(service: &Service, outcome: &Outcome, now_ms: i64) -> Vec<u8> {
    match outcome {
        Outcome::Answer(finished) => answer(finished, service.has_background_work(now_ms)),
        Outcome::Load(environment) => load(environment.id()),
        Outcome::LoadClientForm(environment) => load(&format!("{}{CLIENT_FORM}", environment.id())),
        Outcome::LoadArchived(wanted) => {
            load(&format!("{}@{}", wanted.environment.id(), wanted.generation))
        }
        Outcome::Freshen(wanted) => {
            freshen(&format!("{}@{}", wanted.environment.id(), wanted.held))
        }
        Outcome::Stream(_) => stream(),
        Outcome::Forward(_) => forward(),
    }
}

/// An answer.
pub fn answer(answer: &Answer, has_background_work: bool) -> Vec<u8> {
    let len: usize = answer.headers.iter().map(|(name, value)| name.len() + value.len() + 3).sum();
    let mut bytes = Vec::with_capacity(8 + len + answer.body.len());
    bytes.extend_from_slice(&[0, u8::from(has_background_work)]);
    bytes.extend_from_slice(&answer.status.to_le_bytes());
    bytes.extend_from_slice(&u32::try_from(len).unwrap_or(0).to_le_bytes());
    for (name, value) in &answer.headers {
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(b'\n');
    }
    bytes.extend_from_slice(&answer.body);
    bytes
}

/// What is to be loaded first.
pub fn load(wanted: &str) -> Vec<u8> {
    with_text(1, wanted)
}

/// What is to be looked at for news first.
pub fn freshen(wanted: &str) -> Vec<u8> {
    with_text(3, wanted)
}

fn with_text(kind: u8, environment: &str) -> Vec<u8> {
    let mut bytes = vec![kind, 0, 0, 0];
    bytes.extend_from_slice(&u32::try_from(environment.len()).unwrap_or(0).to_le_bytes());
    bytes.extend_from_slice(environment.as_bytes());
    bytes
}

/// A batch for the collector.
pub fn forward() -> Vec<u8> {
    vec![2, 0, 0, 0, 0, 0, 0, 0]
}

/// A stream of events.
pub fn stream() -> Vec<u8> {
    vec![4, 0, 0, 0, 0, 0, 0, 0]
}
