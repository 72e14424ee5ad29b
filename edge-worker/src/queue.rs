//! Messages of a queue between edge and collector: what was accepted stays, though the collector is down.
//!
//! A message is a batch of events with what is needed to hand it to the collector later: four lines (version, SDK key, content type,
//! content encoding or nothing), then the body. It fits into a message of a Cloudflare Queue; natively it is a file of the spool.

use crate::json::Raw;

/// Bytes of a body at most; a Cloudflare Queue takes messages of 128 KB.
pub const MAX_BODY_BYTES: usize = 120_000;
/// First line.
const VERSION: &str = "1";
/// Seconds after which a message that the collector did not take is tried again: first, and at most.
const RETRY_S: (u32, u32) = (10, 600);

/// A batch of events for the collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'m> {
    /// SDK key of the caller.
    pub key: &'m str,
    /// `Content-Type` to send.
    pub content_type: &'m str,
    /// `Content-Encoding` to send.
    pub content_encoding: Option<&'m str>,
    /// The events, as sent.
    pub body: &'m [u8],
}

impl<'m> Message<'m> {
    /// Reads a message; `None` for bytes that [`encode`](Self::encode) does not write.
    pub fn decode(bytes: &'m [u8]) -> Option<Self> {
        let mut lines = bytes.splitn(5, |byte| *byte == b'\n');
        let mut line = || std::str::from_utf8(lines.next()?).ok();
        let (version, key, content_type, encoding) = (line()?, line()?, line()?, line()?);
        let content_encoding = (!encoding.is_empty()).then_some(encoding);
        (version == VERSION).then_some(Self {
            key,
            content_type,
            content_encoding,
            body: lines.next()?,
        })
    }

    /// Writes the message. Header values hold no line feed.
    pub fn encode(&self) -> Vec<u8> {
        let encoding = self.content_encoding.unwrap_or_default();
        let mut bytes =
            format!("{VERSION}\n{}\n{}\n{encoding}\n", self.key, self.content_type).into_bytes();
        bytes.extend_from_slice(self.body);
        bytes
    }

    /// Cuts the batch into messages that a queue takes; `None` when it is compressed and too large, so that it cannot be cut.
    pub fn pieces(&self) -> Option<Vec<Vec<u8>>> {
        if self.body.len() <= MAX_BODY_BYTES {
            return Some(vec![self.encode()]);
        }
        if self.content_encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity"))
        {
            return None;
        }
        let body = self.body.trim_ascii();
        let mut pieces = Pieces { message: self, open: Vec::new(), closed: Vec::new() };
        if body.first() == Some(&b'[') {
            for event in Raw::read(body).ok()?.items()? {
                // A line feed within JSON stands between its tokens, where a space does as well.
                pieces.push(event.get().replace('\n', " ").as_bytes());
            }
        } else {
            for line in body.split(|byte| *byte == b'\n') {
                pieces.push(line);
            }
        }
        pieces.close();
        Some(pieces.closed)
    }
}

struct Pieces<'m> {
    message: &'m Message<'m>,
    open: Vec<u8>,
    closed: Vec<Vec<u8>>,
}

impl Pieces<'_> {
    /// Adds an event. One that fills a message alone is left out: the collector takes none above 64 KiB.
    fn push(&mut self, event: &[u8]) {
        if event.len() >= MAX_BODY_BYTES {
            return;
        }
        if self.open.len() + event.len() + 1 > MAX_BODY_BYTES {
            self.close();
        }
        self.open.extend_from_slice(event);
        self.open.push(b'\n');
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            let body = std::mem::take(&mut self.open);
            let content_type = "application/x-ndjson";
            let piece =
                Message { content_type, content_encoding: None, body: &body, ..*self.message };
            self.closed.push(piece.encode());
        }
    }
}

/// Seconds until a message that failed `n_attempts` times is tried again. `fraction`, from 0 to 1, spreads those that failed together.
pub fn retry_delay_s(n_attempts: u32, fraction: f64) -> u32 {
    let (first, max) = RETRY_S;
    let whole = (first << n_attempts.saturating_sub(1).min(8)).min(max);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 0 to half of the longest delay"
    )]
    let spread = (fraction.clamp(0.0, 1.0) * f64::from(whole / 2)) as u32;
    whole / 2 + spread
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &[u8]) -> Message<'_> {
        Message {
            key: "sk_client_e_s",
            content_type: "application/json",
            content_encoding: None,
            body,
        }
    }

    #[test]
    fn a_message_is_read_as_it_was_written() {
        for message in [
            message(b"{}\n{}\n"),
            message(b""),
            Message { content_encoding: Some("gzip"), ..message(&[0, 10, 255]) },
        ] {
            assert_eq!(Message::decode(&message.encode()), Some(message));
        }
        for bytes in [&b""[..], b"1\nk\nt\n", b"2\nk\nt\n\nbody", b"1\n\xff\nt\n\nbody"] {
            assert_eq!(Message::decode(bytes), None);
        }
    }

    #[test]
    fn a_large_batch_is_cut_between_its_events() {
        let events: Vec<String> =
            (0..5000).map(|n| format!(r#"{{"n":{n},"text":"{}"}}"#, "x".repeat(80))).collect();
        let lines = events.join("\n");
        let pretty = format!("[{}]", events.join(",\n").replace(",\"text\"", ",\n \"text\""));
        for body in [lines.as_bytes(), pretty.as_bytes()] {
            let pieces = message(body).pieces().unwrap();
            assert!(pieces.len() > 3);
            let mut found = Vec::new();
            for piece in &pieces {
                assert!(piece.len() <= 128_000);
                let piece = Message::decode(piece).unwrap();
                assert_eq!(
                    (piece.key, piece.content_type),
                    ("sk_client_e_s", "application/x-ndjson")
                );
                for line in piece.body.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
                    let event: serde_json::Value = serde_json::from_slice(line).unwrap();
                    found.push(event["n"].as_u64().unwrap());
                }
            }
            assert_eq!(found, (0..5000).collect::<Vec<_>>());
        }
        let zipped = Message { content_encoding: Some("gzip"), ..message(lines.as_bytes()) };
        assert_eq!(zipped.pieces(), None);
        assert_eq!(message(&vec![b'['; MAX_BODY_BYTES + 1]).pieces(), None, "no JSON");
    }

    #[test]
    fn delays_double_up_to_ten_minutes() {
        let delays: Vec<u32> = (0..10).map(|n| retry_delay_s(n, 1.0)).collect();
        assert_eq!(delays, [10, 10, 20, 40, 80, 160, 320, 600, 600, 600]);
        assert_eq!(retry_delay_s(1, 0.0), 5);
    }
}
