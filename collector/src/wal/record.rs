//! The bytes of the write-ahead log.
//!
//! ```text
//! segment  = header record*
//! header   = magic[8] collector[16] number:u64 checksum:u64
//! record   = length:u32 checksum:u64 payload[length]          one accepted batch
//! payload  = version:u8 received:i64 tenant:text env:text (length:u32 event)*
//! text     = length:u16 UTF-8
//! ```
//!
//! Numbers are little endian; checksums are XXH3-64; an event is postcard's encoding of
//! [`Event`]. A reader stops at the first record that is short or whose checksum is wrong: what
//! follows was never acknowledged.

use std::sync::Arc;

use uuid::Uuid;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::clock::Micros;
use crate::event::{Event, Id};

const MAGIC: &[u8; 8] = b"SRTNWAL1";
const RECORD_VERSION: u8 = 1;
/// Bytes before the first record of a segment.
pub const HEADER_BYTES: usize = 8 + 16 + 8 + 8;
/// Bytes before the payload of a record.
const FRAME_BYTES: usize = 4 + 8;

/// The events of one request, validated and encoded, on their way into the log.
#[derive(Debug, Clone)]
pub struct Batch {
    tenant: Arc<str>,
    env: Arc<str>,
    received: Micros,
    bytes: Vec<u8>,
    events: Vec<Span>,
    salt: u128,
}

/// Where one event of a batch lies, and the key by which duplicates are known.
#[derive(Debug, Clone, Copy)]
struct Span {
    key: u128,
    start: usize,
    end: usize,
}

impl Batch {
    /// An empty batch of one environment.
    pub fn new(tenant: Arc<str>, env: Arc<str>, received: Micros) -> Self {
        let salt = dedup_salt(&env);
        Self { tenant, env, received, bytes: Vec::new(), events: Vec::new(), salt }
    }

    /// Adds an event.
    pub fn push(&mut self, event: &Event<'_>) -> Result<(), postcard::Error> {
        let start = self.bytes.len();
        self.bytes = postcard::to_extend(event, std::mem::take(&mut self.bytes))?;
        let key = dedup_key(self.salt, &event.event_id);
        self.events.push(Span { key, start, end: self.bytes.len() });
        Ok(())
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// About the bytes that it needs in the log.
    pub fn size_bytes(&self) -> usize {
        FRAME_BYTES + 32 + self.tenant.len() + self.env.len() + self.bytes.len() + 4 * self.len()
    }

    /// Appends the record of those events whose key `keep` accepts; returns how many there were.
    /// Without any, nothing is appended.
    pub(super) fn append_record(
        &self,
        buffer: &mut Vec<u8>,
        mut keep: impl FnMut(u128) -> bool,
    ) -> usize {
        let start = buffer.len();
        buffer.extend_from_slice(&[0; FRAME_BYTES]);
        buffer.push(RECORD_VERSION);
        buffer.extend_from_slice(&self.received.to_le_bytes());
        append_text(buffer, &self.tenant);
        append_text(buffer, &self.env);
        let mut kept = 0;
        for span in &self.events {
            if keep(span.key) {
                let event = &self.bytes[span.start..span.end];
                buffer.extend_from_slice(&length(event.len()));
                buffer.extend_from_slice(event);
                kept += 1;
            }
        }
        if kept == 0 {
            buffer.truncate(start);
            return 0;
        }
        let payload = start + FRAME_BYTES;
        let checksum = xxh3_64(&buffer[payload..]);
        let payload_length = length(buffer.len() - payload);
        buffer[start..start + 4].copy_from_slice(&payload_length);
        buffer[start + 4..payload].copy_from_slice(&checksum.to_le_bytes());
        kept
    }
}

/// A whole record is far below 4 GiB: bodies are bounded before they get here.
fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes()
}

fn append_text(buffer: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    buffer.extend_from_slice(&length.to_le_bytes());
    buffer.extend_from_slice(&text.as_bytes()[..usize::from(length)]);
}

/// Event ids are unique within an environment only: nobody can suppress another's events.
fn dedup_salt(env: &str) -> u128 {
    xxh3_128(env.as_bytes())
}

fn dedup_key(salt: u128, event_id: &Id) -> u128 {
    u128::from_le_bytes(*event_id) ^ salt
}

/// The header of a segment.
pub(super) fn header(collector: Uuid, number: u64) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(MAGIC);
    header[8..24].copy_from_slice(collector.as_bytes());
    header[24..32].copy_from_slice(&number.to_le_bytes());
    let checksum = xxh3_64(&header[..32]);
    header[32..].copy_from_slice(&checksum.to_le_bytes());
    header
}

/// What a segment's bytes hold.
#[derive(Debug)]
pub struct Contents<'a> {
    /// The collector and number of the header; none when the header is torn.
    pub header: Option<(Uuid, u64)>,
    /// The batches up to the first torn record.
    pub batches: Vec<StoredBatch<'a>>,
    /// Bytes up to the first torn record.
    pub valid_bytes: usize,
}

/// One batch in the log.
#[derive(Debug, Clone)]
pub struct StoredBatch<'a> {
    /// The project.
    pub tenant: &'a str,
    /// The environment id.
    pub env: &'a str,
    /// When the request arrived.
    pub received: Micros,
    /// The encoded events.
    pub events: Vec<&'a [u8]>,
}

impl StoredBatch<'_> {
    /// The keys by which duplicates of its events are known.
    pub(crate) fn dedup_keys(&self) -> impl Iterator<Item = u128> + '_ {
        let salt = dedup_salt(self.env);
        self.events.iter().map(move |event| {
            // The id is the first field of the encoding.
            dedup_key(salt, event.first_chunk::<16>().unwrap_or(&[0; 16]))
        })
    }
}

/// Reads a segment, up to the first record that is torn.
pub fn read(bytes: &[u8]) -> Contents<'_> {
    let header = read_header(bytes);
    let mut contents = Contents { header, batches: Vec::new(), valid_bytes: 0 };
    if header.is_none() {
        return contents;
    }
    contents.valid_bytes = HEADER_BYTES;
    let mut rest = Reader(&bytes[HEADER_BYTES..]);
    while let Some((batch, record_bytes)) = read_record(&mut rest) {
        contents.batches.push(batch);
        contents.valid_bytes += record_bytes;
    }
    contents
}

fn read_header(bytes: &[u8]) -> Option<(Uuid, u64)> {
    let mut reader = Reader(bytes.get(..HEADER_BYTES)?);
    let magic = reader.take(8)?;
    let collector = Uuid::from_slice(reader.take(16)?).ok()?;
    let number = u64::from_le_bytes(reader.array()?);
    let checksum = u64::from_le_bytes(reader.array()?);
    (magic == MAGIC && checksum == xxh3_64(&bytes[..32])).then_some((collector, number))
}

fn read_record<'a>(reader: &mut Reader<'a>) -> Option<(StoredBatch<'a>, usize)> {
    let length = usize::try_from(u32::from_le_bytes(reader.array()?)).ok()?;
    let checksum = u64::from_le_bytes(reader.array()?);
    let payload = reader.take(length)?;
    if xxh3_64(payload) != checksum {
        return None;
    }
    let mut reader = Reader(payload);
    let [version] = reader.array()?;
    if version != RECORD_VERSION {
        return None;
    }
    let received = i64::from_le_bytes(reader.array()?);
    let (tenant, env) = (reader.text()?, reader.text()?);
    let mut events = Vec::new();
    while !reader.0.is_empty() {
        let length = usize::try_from(u32::from_le_bytes(reader.array()?)).ok()?;
        events.push(reader.take(length)?);
    }
    Some((StoredBatch { tenant, env, received, events }, FRAME_BYTES + length))
}

/// Takes bytes from the front, none when there are too few.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = u16::from_le_bytes(self.array()?);
        std::str::from_utf8(self.take(usize::from(length))?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Detail, Measure};

    fn event(id: u8) -> Event<'static> {
        Event {
            event_id: [id; 16],
            ts: i64::from(id),
            ts_client: None,
            ts_sent: None,
            skew_ms: None,
            units: Vec::new(),
            context: vec![("platform".into(), "web".into())],
            producer_id: None,
            producer_seq: None,
            sdk: None,
            consent: None,
            detail: Detail::Diagnostic(Measure {
                name: "sdk_error".into(),
                value: Some(1.5),
                properties: Vec::new(),
            }),
        }
    }

    fn segment() -> Vec<u8> {
        let mut bytes = header(Uuid::nil(), 7).to_vec();
        for ids in [[1, 2], [3, 4]] {
            let mut batch = Batch::new("t".into(), "production-1".into(), 99);
            for id in ids {
                batch.push(&event(id)).unwrap();
            }
            assert_eq!(batch.append_record(&mut bytes, |_| true), 2);
        }
        bytes
    }

    fn ids(contents: &Contents<'_>) -> Vec<u8> {
        let events = contents.batches.iter().flat_map(|batch| &batch.events);
        events.map(|bytes| postcard::from_bytes::<Event<'_>>(bytes).unwrap().event_id[0]).collect()
    }

    #[test]
    fn what_was_written_is_read() {
        let bytes = segment();
        let contents = read(&bytes);
        assert_eq!(contents.header, Some((Uuid::nil(), 7)));
        assert_eq!(contents.valid_bytes, bytes.len());
        assert_eq!((contents.batches[0].tenant, contents.batches[0].received), ("t", 99));
        assert_eq!(ids(&contents), [1, 2, 3, 4]);
        let first = postcard::from_bytes::<Event<'_>>(contents.batches[0].events[0]).unwrap();
        assert_eq!(first, event(1));
    }

    #[test]
    fn every_torn_tail_leaves_the_whole_records_before_it() {
        let bytes = segment();
        let second_record = {
            let contents = read(&bytes);
            let half = (contents.valid_bytes - HEADER_BYTES) / 2;
            HEADER_BYTES + half
        };
        for cut in 0..bytes.len() {
            let contents = read(&bytes[..cut]);
            let expected = usize::from(cut >= second_record);
            assert_eq!(contents.batches.len(), expected, "cut at {cut}");
            assert!(contents.valid_bytes <= cut);
        }
    }

    #[test]
    fn a_flipped_bit_ends_the_log_before_it() {
        let bytes = segment();
        for position in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[position] ^= 0x10;
            assert!(read(&damaged).batches.len() < 2, "flipped at {position}");
        }
    }

    #[test]
    fn the_same_id_in_another_environment_is_another_event() {
        let mut keys = Vec::new();
        for env in ["production-1", "staging-2"] {
            let mut batch = Batch::new("t".into(), env.into(), 0);
            batch.push(&event(1)).unwrap();
            keys.extend(batch.events.iter().map(|span| span.key));
        }
        assert_ne!(keys[0], keys[1]);
    }
}
