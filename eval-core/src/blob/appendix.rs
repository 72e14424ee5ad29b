//! What came after the first release of the body: a second, optional piece behind it.
//!
//! Written only when there is something in it, so a config that uses none of this has the bytes that it always had.

use crate::blob::columns::Bytes;
use crate::client::NameHash;
use crate::config::CompiledConfig;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

#[derive(Serialize, Deserialize)]
struct Wire<'b> {
    server_only: Vec<u32>,
    #[serde(borrow)]
    at_edge: Option<Bytes<'b>>,
}

/// The appendix of a blob that was read.
#[derive(Default)]
pub(super) struct Appendix {
    pub(super) server_only: Vec<u32>,
    pub(super) at_edge: Option<Vec<NameHash>>,
}

pub(super) fn write(config: &CompiledConfig<'_>, bytes: &mut Vec<u8>) {
    if config.server_only.is_empty() && config.at_edge.is_none() {
        return;
    }
    let wire = Wire {
        server_only: config.server_only.iter().map(|id| id.0).collect(),
        at_edge: config.at_edge.as_ref().map(|hashes| Bytes(Cow::Owned(hashes.concat()))),
    };
    // Writing numbers to memory cannot fail.
    bytes.extend(postcard::to_allocvec(&wire).unwrap_or_default());
}

pub(super) fn read(bytes: &[u8]) -> Result<Appendix, String> {
    if bytes.is_empty() {
        return Ok(Appendix::default());
    }
    let (wire, rest) =
        postcard::take_from_bytes::<Wire<'_>>(bytes).map_err(|error| error.to_string())?;
    if !rest.is_empty() {
        return Err("bytes follow the last table".into());
    }
    let at_edge = wire.at_edge.map(|hashes| hashes.0.as_chunks().0.to_vec());
    Ok(Appendix { server_only: wire.server_only, at_edge })
}
