//! The wire format: what travels from the control plane to every edge.
//!
//! A blob is a fixed header of [`HEADER_BYTES`] and a postcard body.
//!
//! | bytes | header field |
//! | --- | --- |
//! | 0..4 | magic, `SRTN` |
//! | 4..6 | format version, little endian, 1 to [`FORMAT_VERSION`] |
//! | 6..7 | length of the environment id |
//! | 7..8 | reserved, 0 |
//! | 8..72 | environment id, padded with zeros |
//! | 72..80 | generation, little endian |
//! | 80..88 | created at, epoch milliseconds, little endian |
//! | 88..96 | length of the body in bytes, little endian |
//! | 96..104 | XXH3-64 of bytes 0..96 and the body, little endian |
//!
//! The checksum finds accidents, not attackers: who must not trust the path verifies the publisher's signature over the
//! whole blob. The body knows neither the time nor the generation, so equal definitions give equal body bytes.

mod client_marks;
mod body;
mod columns;
mod conditions;
mod routes;
mod rows;
mod sections;

use crate::config::CompiledConfig;
use xxhash_rust::xxh3::Xxh3;

/// First bytes of every blob.
pub const MAGIC: [u8; 4] = *b"SRTN";

/// Version of the format that this build writes. It reads all before it, too.
pub const FORMAT_VERSION: u16 = 2;

/// Length of the header in bytes.
pub const HEADER_BYTES: usize = 104;

/// Longest environment id in bytes.
pub const MAX_ENVIRONMENT_BYTES: usize = 64;

/// Why a blob is refused. Whoever holds an older one keeps it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Fewer bytes than the header, or than it announces.
    #[error("truncated: {have} bytes of {want}")]
    Truncated {
        /// Bytes that are there.
        have: usize,
        /// Bytes that should be.
        want: usize,
    },
    /// More bytes than the header announces.
    #[error("{surplus} bytes follow the end of the body")]
    Trailing {
        /// How many.
        surplus: usize,
    },
    /// Something else than a blob.
    #[error("not a config blob: the magic bytes are missing")]
    Magic,
    /// A format that this build does not read.
    #[error("format version {found} is not known; this build reads 1 to {FORMAT_VERSION}")]
    UnknownFormat {
        /// The version.
        found: u16,
    },
    /// Bytes changed on the way.
    #[error("the checksum does not match")]
    Checksum,
    /// The header or body does not hold what the format says.
    #[error("malformed: {0}")]
    Malformed(String),
}

/// What a blob says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Format version.
    pub format_version: u16,
    /// Environment id.
    pub environment: String,
    /// Number of the publication; only grows.
    pub generation: u64,
    /// When it was published, epoch milliseconds.
    pub created_at_ms: i64,
    /// Length of the body in bytes.
    pub body_len: usize,
    checksum: u64,
}

impl Header {
    /// Reads a header without looking at the body.
    pub fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        let truncated = || DecodeError::Truncated { have: bytes.len(), want: HEADER_BYTES };
        if !bytes.starts_with(&MAGIC) {
            let start_of_magic = bytes.len() < MAGIC.len() && MAGIC.starts_with(bytes);
            return Err(if start_of_magic { truncated() } else { DecodeError::Magic });
        }
        let format_version = u16::from_le_bytes(array(bytes, 4).ok_or_else(truncated)?);
        if !(1..=FORMAT_VERSION).contains(&format_version) {
            return Err(DecodeError::UnknownFormat { found: format_version });
        }
        if bytes.len() < HEADER_BYTES {
            return Err(truncated());
        }
        let len = bytes.get(6).copied().map_or(0, usize::from);
        let name =
            bytes.get(8..8usize.saturating_add(len)).filter(|_| len <= MAX_ENVIRONMENT_BYTES);
        let environment = name
            .and_then(|name| std::str::from_utf8(name).ok())
            .ok_or_else(|| DecodeError::Malformed("environment id".into()))?
            .to_owned();
        let body_len = u64::from_le_bytes(array(bytes, 88).ok_or_else(truncated)?);
        Ok(Self {
            format_version,
            environment,
            generation: u64::from_le_bytes(array(bytes, 72).ok_or_else(truncated)?),
            created_at_ms: i64::from_le_bytes(array(bytes, 80).ok_or_else(truncated)?),
            body_len: usize::try_from(body_len)
                .map_err(|_| DecodeError::Malformed("body length".into()))?,
            checksum: u64::from_le_bytes(array(bytes, 96).ok_or_else(truncated)?),
        })
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn checksum(header: &[u8], body: &[u8]) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(header);
    hasher.update(body);
    hasher.digest()
}

/// Encodes a config. Equal configs give equal bodies.
pub fn encode(config: &CompiledConfig<'_>, generation: u64, created_at_ms: i64) -> Vec<u8> {
    let body = body::write(config);
    frame(FORMAT_VERSION, config.environment(), generation, created_at_ms, &body)
}

/// Puts a header before a body: publishing an archived body again under a new generation, in the format that it has.
pub fn frame(
    format_version: u16,
    environment: &str,
    generation: u64,
    created_at_ms: i64,
    body: &[u8],
) -> Vec<u8> {
    let name = environment.as_bytes();
    let name = name.get(..name.len().min(MAX_ENVIRONMENT_BYTES)).unwrap_or_default();
    let mut bytes = Vec::with_capacity(HEADER_BYTES.saturating_add(body.len()));
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&format_version.to_le_bytes());
    bytes.push(u8::try_from(name.len()).unwrap_or(0));
    bytes.push(0);
    bytes.extend_from_slice(name);
    bytes.resize(72, 0);
    bytes.extend_from_slice(&generation.to_le_bytes());
    bytes.extend_from_slice(&created_at_ms.to_le_bytes());
    bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
    let sum = checksum(&bytes, body);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// Header and body of a blob whose length and checksum are right.
pub fn verify(bytes: &[u8]) -> Result<(Header, &[u8]), DecodeError> {
    let header = Header::read(bytes)?;
    let want = HEADER_BYTES.saturating_add(header.body_len);
    if bytes.len() < want {
        return Err(DecodeError::Truncated { have: bytes.len(), want });
    }
    if bytes.len() > want {
        return Err(DecodeError::Trailing { surplus: bytes.len().saturating_sub(want) });
    }
    let body = bytes.get(HEADER_BYTES..).unwrap_or_default();
    if checksum(bytes.get(..96).unwrap_or_default(), body) != header.checksum {
        return Err(DecodeError::Checksum);
    }
    Ok((header, body))
}

/// Decodes a blob. Strings stay in `bytes`. Entries that refer to what does not exist are inactive and reported by
/// [`CompiledConfig::faults`]; all others work.
pub fn decode(bytes: &[u8]) -> Result<(Header, CompiledConfig<'_>), DecodeError> {
    let (header, body) = verify(bytes)?;
    let config = body::read(body, header.format_version).map_err(DecodeError::Malformed)?;
    if config.environment() != header.environment {
        return Err(DecodeError::Malformed("header and body name different environments".into()));
    }
    Ok((header, config))
}
