//! How an outcome crosses from Wasm to JavaScript: one byte string, so that one call and one copy are enough.
//!
//! ```text
//! byte 0      0 answer, 1 load an environment first, 2 forward to the collector, 3 look for news first, 4 a stream
//! byte 1      1 when background work waits
//! bytes 2..4  status, little endian
//! bytes 4..8  length of the header text, little endian
//! then        header text: lines of `name: value`; of kinds 1 and 3, the environment id, perhaps
//!             with `@` and a generation
//! then        body
//! ```

use crate::response::Answer;

pub(super) fn answer(answer: &Answer, has_background_work: bool) -> Vec<u8> {
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

pub(super) fn load(environment: &str) -> Vec<u8> {
    with_text(1, environment)
}

pub(super) fn freshen(wanted: &str) -> Vec<u8> {
    with_text(3, wanted)
}

fn with_text(kind: u8, environment: &str) -> Vec<u8> {
    let mut bytes = vec![kind, 0, 0, 0];
    bytes.extend_from_slice(&u32::try_from(environment.len()).unwrap_or(0).to_le_bytes());
    bytes.extend_from_slice(environment.as_bytes());
    bytes
}

pub(super) fn forward() -> Vec<u8> {
    vec![2, 0, 0, 0, 0, 0, 0, 0]
}

pub(super) fn stream() -> Vec<u8> {
    vec![4, 0, 0, 0, 0, 0, 0, 0]
}
