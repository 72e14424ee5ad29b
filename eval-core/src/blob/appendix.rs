//! What came after the first release of the body: sections behind it, each with its number and its length.
//!
//! A section is a byte that numbers it, the length of what follows (four bytes, little endian), and a postcard value. Only
//! sections with something in them are written, in the order of their numbers, so a config that uses none of this has the
//! bytes that it always had. A reader refuses a section that it does not know: it would decide otherwise than was meant.

use crate::blob::columns::Bytes;
use crate::client::NameHash;
use crate::config::CompiledConfig;
use serde::Serialize;
use std::borrow::Cow;

/// Strings that name attributes which only servers know.
const SERVER_ONLY: u8 = 1;
/// Marks a client form: hashes of the keys that only the edge decides.
const AT_EDGE: u8 = 2;

/// The sections of a blob that was read.
#[derive(Default)]
pub(super) struct Appendix {
    pub(super) server_only: Vec<u32>,
    pub(super) at_edge: Option<Vec<NameHash>>,
}

pub(super) fn write(config: &CompiledConfig<'_>, bytes: &mut Vec<u8>) {
    if !config.server_only.is_empty() {
        let ids: Vec<u32> = config.server_only.iter().map(|id| id.0).collect();
        push(SERVER_ONLY, &ids, bytes);
    }
    if let Some(hashes) = &config.at_edge {
        push(AT_EDGE, &Bytes(Cow::Owned(hashes.concat())), bytes);
    }
}

fn push(number: u8, value: &impl Serialize, bytes: &mut Vec<u8>) {
    // Writing numbers and bytes to memory cannot fail.
    let section = postcard::to_allocvec(value).unwrap_or_default();
    bytes.push(number);
    bytes.extend_from_slice(&u32::try_from(section.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend(section);
}

pub(super) fn read(mut bytes: &[u8]) -> Result<Appendix, String> {
    let mut appendix = Appendix::default();
    while let Some((&number, rest)) = bytes.split_first() {
        let (section, rest) = rest
            .split_first_chunk()
            .and_then(|(len, rest)| rest.split_at_checked(u32::from_le_bytes(*len) as usize))
            .ok_or_else(|| format!("section {number} is cut off"))?;
        bytes = rest;
        let wrong = |error: postcard::Error| format!("section {number}: {error}");
        match number {
            SERVER_ONLY => appendix.server_only = postcard::from_bytes(section).map_err(wrong)?,
            AT_EDGE => {
                let hashes: Bytes<'_> = postcard::from_bytes(section).map_err(wrong)?;
                appendix.at_edge = Some(hashes.0.as_chunks().0.to_vec());
            }
            _ => return Err(format!("section {number} is not known")),
        }
    }
    Ok(appendix)
}
