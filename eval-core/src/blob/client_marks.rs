//! The sections about clients: which attributes only servers know, and what a client form leaves to the edge.

use crate::blob::columns::Bytes;
use crate::client::NameHash;
use crate::strings::StringId;
use serde::Serialize;
use std::borrow::Cow;

/// Strings that name attributes which only servers know; no bytes where there are none.
pub(super) fn write_server_only(names: &[StringId]) -> Vec<u8> {
    if names.is_empty() { Vec::new() } else { written(&names) }
}

pub(super) fn read_server_only(section: &[u8]) -> Result<Vec<StringId>, String> {
    postcard::from_bytes(section).map_err(|error| format!("server-only attributes: {error}"))
}

/// Hashes of the keys that only the edge decides. Marks a client form, also where there are none.
pub(super) fn write_at_edge(hashes: Option<&[NameHash]>) -> Vec<u8> {
    hashes.map_or_else(Vec::new, |hashes| written(&Bytes(Cow::Owned(hashes.concat()))))
}

pub(super) fn read_at_edge(section: &[u8]) -> Result<Vec<NameHash>, String> {
    let hashes: Bytes<'_> = postcard::from_bytes(section)
        .map_err(|error| format!("keys that the edge decides: {error}"))?;
    Ok(hashes.0.as_chunks().0.to_vec())
}

fn written(value: &impl Serialize) -> Vec<u8> {
    // Writing numbers and bytes to memory cannot fail.
    postcard::to_allocvec(value).unwrap_or_default()
}
