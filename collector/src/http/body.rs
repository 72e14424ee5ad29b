//! Reading a body within bounds: of the bytes that are sent, of the bytes that they decompress to,
//! and of the memory that all requests may use together.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Limits, Problem};

/// Steps in which decompression proceeds and memory is claimed.
const STEP_BYTES: usize = 64 * 1024;

/// Largest window of a zstd frame, as a power of two: 8 MiB. The format allows 3.75 TiB.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Time for a body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_mins(1);

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

impl Encoding {
    /// The encoding of a request.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let Some(value) = headers.get(header::CONTENT_ENCODING) else { return Ok(Self::Identity) };
        let name = value.to_str().unwrap_or_default().trim().to_ascii_lowercase();
        match name.as_str() {
            "" | "identity" => Ok(Self::Identity),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "zstd" => Ok(Self::Zstd),
            _ => Err(Problem::ContentEncoding(name)),
        }
    }
}

/// What the content type says about a body: whether it calls itself JSON (as opposed to lines of
/// JSON, or to nothing).
pub(crate) fn is_json(headers: &HeaderMap) -> Result<bool, Problem> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(false) };
    let value = value.to_str().unwrap_or_default();
    let media_type = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media_type.as_str() {
        "application/json" => Ok(true),
        // `text/plain` is what browsers send as a beacon, without asking for permission first.
        "" | "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "text/plain" => {
            Ok(false)
        }
        _ => Err(Problem::ContentType(value.to_owned())),
    }
}

/// A claim on the memory of requests under way, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Memory {
    pool: Arc<Semaphore>,
    claimed: Vec<OwnedSemaphorePermit>,
}

impl Memory {
    /// A claim of nothing yet.
    pub(crate) fn new(pool: Arc<Semaphore>) -> Self {
        Self { pool, claimed: Vec::new() }
    }

    fn claim(&mut self, bytes: usize) -> Result<(), Problem> {
        let kib = u32::try_from(bytes.div_ceil(1024)).map_err(|_| Problem::Overloaded)?;
        let permit = Arc::clone(&self.pool).try_acquire_many_owned(kib);
        let permit = permit.map_err(|_| Problem::Overloaded)?;
        match self.claimed.first_mut() {
            Some(first) => first.merge(permit),
            None => self.claimed.push(permit),
        }
        Ok(())
    }
}

/// Reads a body as it was sent.
pub(crate) async fn receive(
    headers: &HeaderMap,
    body: Body,
    limits: Limits,
    memory: &mut Memory,
) -> Result<Bytes, Problem> {
    let receiving = receive_chunks(headers, body, limits, memory);
    tokio::time::timeout(BODY_TIMEOUT, receiving).await.map_err(|_elapsed| Problem::TooSlow)?
}

async fn receive_chunks(
    headers: &HeaderMap,
    body: Body,
    limits: Limits,
    memory: &mut Memory,
) -> Result<Bytes, Problem> {
    let too_large = Problem::BodyTooLarge(limits.body);
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let announced = announced.and_then(|length| length.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limits.body) {
        return Err(too_large);
    }
    let mut received = Vec::with_capacity(announced.unwrap_or(0));
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| Problem::Incomplete(error.to_string()))?;
        if received.len() + chunk.len() > limits.body {
            return Err(too_large);
        }
        memory.claim(chunk.len())?;
        received.extend_from_slice(&chunk);
    }
    Ok(received.into())
}

/// Decompresses a body.
pub(crate) fn decompress(
    body: &Bytes,
    encoding: Encoding,
    limits: Limits,
    memory: &mut Memory,
) -> Result<Bytes, Problem> {
    let name = match encoding {
        Encoding::Identity => return Ok(body.clone()),
        Encoding::Gzip => "gzip",
        Encoding::Zstd => "zstd",
    };
    let malformed =
        |error: io::Error| Problem::Encoding { encoding: name, detail: error.to_string() };
    let mut reader: Box<dyn Read + '_> = match encoding {
        Encoding::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(&body[..]).map_err(malformed)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(malformed)?;
            Box::new(decoder)
        }
        // Concatenated members are one body (RFC 1952, 2.2).
        Encoding::Gzip | Encoding::Identity => {
            Box::new(flate2::read::MultiGzDecoder::new(&body[..]))
        }
    };
    let mut decoded = Vec::new();
    let mut step = vec![0; STEP_BYTES];
    loop {
        let read = reader.read(&mut step).map_err(malformed)?;
        if read == 0 {
            return Ok(decoded.into());
        }
        if decoded.len() + read > limits.decoded {
            return Err(Problem::DecodedTooLarge(limits.decoded));
        }
        memory.claim(read)?;
        decoded.extend_from_slice(&step[..read]);
    }
}
