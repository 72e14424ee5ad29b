//! Deferred exposures: a signed text that a client posts when it really shows the variant.
//!
//! The token says all that the exposure says, so that any isolate of the environment can take it, whatever config it holds, and
//! nothing is stored until the client comes back:
//!
//! ```text
//! base64url( 1 byte    version, 1
//!            4 bytes   when the edge decided: the time window of the event id, little endian
//!            8 bytes   generation, little endian
//!            2 bytes   bucket, little endian
//!            1 byte    reason: 0 split, 1 prior
//!            1 byte    number of units
//!            texts     unit type and unit id of each unit, the experiment's own first; experiment; variant;
//!                      flag, empty when it is named like the experiment; layer; attributes as a JSON object
//!            16 bytes  tag over all of the above )
//! ```
//!
//! A text is its length, little endian in two bytes, and its bytes in UTF-8. The environment is not in it: its key signs. Within an hour
//! every edge writes the same token for the same decision.

use super::{ExposureEvent, MAX_UNITS, WINDOW_MS};
use crate::base64url;
use crate::json::Raw;
use crate::signing::SigningKey;

/// Time windows after its own in which a token can be posted: at least 48 hours.
pub const MAX_AGE_WINDOWS: i64 = 48;
/// Milliseconds after which an answer that a client keeps is made anew, so that its tokens are good for as long again.
pub const RENEWAL_MS: i64 = MAX_AGE_WINDOWS / 2 * WINDOW_MS;
/// Characters of a token at most: eight units of full length and five attributes stay below.
pub const MAX_CHARS: usize = 24 * 1024;
/// Time windows by which the clock of the edge that decided may be ahead.
const MAX_AHEAD_WINDOWS: i64 = 1;
/// First byte of the payload.
const VERSION: u8 = 1;
/// Reasons, by their byte.
const REASONS: [&str; 2] = ["split", "prior"];

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// This edge has not signed it for this environment.
    #[error("is not a token of this environment")]
    Invalid,
    /// Its time is over, or has not come.
    #[error("was issued more than 48 hours ago, or lies in the future")]
    Expired,
}

impl TokenError {
    /// Stable machine-readable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Invalid => "invalid_token",
            Self::Expired => "expired_token",
        }
    }
}

/// Writes the token of an exposure.
pub fn seal(event: &ExposureEvent<'_>, key: &SigningKey) -> String {
    let window = u32::try_from(event.decided_at_ms.div_euclid(WINDOW_MS)).unwrap_or(0);
    let reason = REASONS.iter().position(|reason| *reason == event.reason).unwrap_or(0);
    let mut payload = Vec::with_capacity(256);
    payload.push(VERSION);
    payload.extend_from_slice(&window.to_le_bytes());
    payload.extend_from_slice(&event.generation.to_le_bytes());
    payload.extend_from_slice(&event.bucket.to_le_bytes());
    payload.push(u8::try_from(reason).unwrap_or(0));
    let n_units = 1 + event.other_units().count();
    payload.push(u8::try_from(n_units).unwrap_or(1));
    for (unit_type, unit_id) in
        [&(event.unit_type, event.unit_id)].into_iter().chain(event.other_units())
    {
        push_text(&mut payload, unit_type);
        push_text(&mut payload, unit_id);
    }
    let flag = if event.flag == event.experiment { "" } else { event.flag };
    for text in [event.experiment, event.variant, flag, event.layer, event.attributes_json] {
        push_text(&mut payload, text);
    }
    key.seal(&mut payload);
    base64url::encode(&payload)
}

/// Names and ids are bounded far below the 64 KiB that a length can say; a longer text would be left empty.
fn push_text(payload: &mut Vec<u8>, text: &str) {
    let (len, text) = u16::try_from(text.len()).map_or((0, ""), |len| (len, text));
    payload.extend_from_slice(&len.to_le_bytes());
    payload.extend_from_slice(text.as_bytes());
}

/// A token that was opened: the bytes that it said.
#[derive(Debug)]
pub struct Opened {
    signed: Vec<u8>,
    payload_len: usize,
}

/// Checks signature and time of a token.
pub fn open(token: &str, key: &SigningKey, now_ms: i64) -> Result<Opened, TokenError> {
    // Checked first, so that nothing is decoded of a text that no token can be.
    let signed = if token.len() <= MAX_CHARS { base64url::decode(token) } else { None };
    let signed = signed.ok_or(TokenError::Invalid)?;
    let payload_len = key.open(&signed).ok_or(TokenError::Invalid)?.len();
    let opened = Opened { signed, payload_len };
    let (decided_at_ms, is_whole) = read(opened.payload(), "", now_ms, &mut Vec::new(), |event| {
        (event.decided_at_ms, event.attributes_json.is_empty() || is_object(event.attributes_json))
    })
    .ok_or(TokenError::Invalid)?;
    if !is_whole {
        return Err(TokenError::Invalid);
    }
    let age = now_ms.div_euclid(WINDOW_MS).saturating_sub(decided_at_ms.div_euclid(WINDOW_MS));
    if (-MAX_AHEAD_WINDOWS..=MAX_AGE_WINDOWS).contains(&age) {
        Ok(opened)
    } else {
        Err(TokenError::Expired)
    }
}

/// Whether a text is a JSON object in one line, as it is written into an event.
fn is_object(json: &str) -> bool {
    json.starts_with('{') && !json.contains('\n') && Raw::read(json.as_bytes()).is_ok()
}

impl Opened {
    fn payload(&self) -> &[u8] {
        self.signed.get(..self.payload_len).unwrap_or_default()
    }

    /// Hands on the exposure as of now.
    pub fn with_event<T>(
        &self,
        environment: &str,
        now_ms: i64,
        take: impl FnOnce(&ExposureEvent<'_>) -> T,
    ) -> Option<T> {
        read(self.payload(), environment, now_ms, &mut Vec::new(), take)
    }
}

fn read<'p, T>(
    payload: &'p [u8],
    environment: &'p str,
    now_ms: i64,
    units: &mut Vec<(&'p str, &'p str)>,
    take: impl FnOnce(&ExposureEvent<'_>) -> T,
) -> Option<T> {
    let mut rest = Reader(payload);
    let [version] = rest.array()?;
    if version != VERSION {
        return None;
    }
    let decided_at_ms = i64::from(u32::from_le_bytes(rest.array()?)) * WINDOW_MS;
    let generation = u64::from_le_bytes(rest.array()?);
    let bucket = u16::from_le_bytes(rest.array()?);
    let [reason, n_units] = rest.array()?;
    if n_units == 0 || usize::from(n_units) > MAX_UNITS {
        return None;
    }
    for _ in 0..n_units {
        units.push((rest.text()?, rest.text()?));
    }
    let &(unit_type, unit_id) = units.first()?;
    let (experiment, variant, flag) = (rest.text()?, rest.text()?, rest.text()?);
    let (layer, attributes_json) = (rest.text()?, rest.text()?);
    if !rest.0.is_empty() {
        return None;
    }
    Some(take(&ExposureEvent {
        environment,
        units,
        flag: if flag.is_empty() { experiment } else { flag },
        experiment,
        variant,
        unit_type,
        unit_id,
        layer,
        bucket,
        reason: REASONS.get(usize::from(reason))?,
        generation,
        decided_at_ms,
        shown_at_ms: now_ms,
        attributes_json,
    }))
}

/// What is left of a payload.
struct Reader<'p>(&'p [u8]);

impl<'p> Reader<'p> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    fn text(&mut self) -> Option<&'p str> {
        let len = u16::from_le_bytes(self.array()?);
        let (text, rest) = self.0.split_at_checked(usize::from(len))?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::event;
    use super::*;
    use crate::signing::SigningKeys;

    const NOW_MS: i64 = 1_795_170_600_000;

    fn key() -> SigningKey {
        SigningKeys::derive(&[9; 32], "production-k3v9x2mq").exposure
    }

    #[test]
    fn a_token_says_all_that_the_exposure_says() {
        let units = [("user_id", "u-1"), ("anonymous_id", "a-9")];
        for sealed in [
            ExposureEvent { units: &units, ..event("u-1") },
            ExposureEvent {
                units: &units,
                flag: "by_flag",
                layer: "",
                attributes_json: "",
                reason: "prior",
                ..event("u-1")
            },
        ] {
            let token = seal(&sealed, &key());
            let opened = open(&token, &key(), NOW_MS + 5000).unwrap();
            let decided_at_ms = NOW_MS - NOW_MS % WINDOW_MS;
            let expected = ExposureEvent { decided_at_ms, shown_at_ms: NOW_MS + 5000, ..sealed };
            let is_same =
                opened.with_event("production-k3v9x2mq", NOW_MS + 5000, |event| *event == expected);
            assert_eq!(is_same, Some(true));
            let id =
                opened.with_event("production-k3v9x2mq", NOW_MS + 5000, super::super::event_id);
            assert_eq!(
                id,
                Some(super::super::event_id(&sealed)),
                "logged or deferred, it counts once"
            );
            assert!(token.len() < 260, "{} characters", token.len());
        }
    }

    #[test]
    fn a_token_is_taken_for_two_days_and_under_its_own_key() {
        let token = seal(&event("u-1"), &key());
        let at = |now_ms| open(&token, &key(), now_ms).err();
        assert_eq!(at(NOW_MS + 48 * WINDOW_MS), None);
        assert_eq!(at(NOW_MS + 49 * WINDOW_MS), Some(TokenError::Expired));
        assert_eq!(at(NOW_MS - WINDOW_MS), None);
        assert_eq!(at(NOW_MS - 2 * WINDOW_MS), Some(TokenError::Expired));
        let keys = SigningKeys::derive(&[9; 32], "staging-k3v9x2mq");
        assert_eq!(open(&token, &keys.exposure, NOW_MS).err(), Some(TokenError::Invalid));
        for cut in 0..token.len() {
            assert_eq!(open(&token[..cut], &key(), NOW_MS).err(), Some(TokenError::Invalid));
        }
        assert_eq!(
            open(&"A".repeat(MAX_CHARS + 4), &key(), NOW_MS).err(),
            Some(TokenError::Invalid)
        );
    }

    #[test]
    fn attributes_that_would_break_the_event_are_refused() {
        for attributes_json in ["[1]", "{\"a\":1", "{\"a\":1}x", "{\"a\":\n1}", "x"] {
            let token = seal(&ExposureEvent { attributes_json, ..event("u-1") }, &key());
            let opened = open(&token, &key(), NOW_MS);
            assert_eq!(opened.err(), Some(TokenError::Invalid), "{attributes_json}");
        }
    }

    #[test]
    fn the_largest_exposure_fits_into_a_token() {
        let long = "x".repeat(256);
        let attributes = format!(r#"{{"a":"{}"}}"#, "y".repeat(5 * 256 * 6));
        let units: Vec<(&str, &str)> = vec![(&long, &long); 20];
        let largest = ExposureEvent {
            units: &units,
            flag: &long,
            experiment: &long,
            variant: &long,
            unit_type: "user_id",
            layer: &long,
            attributes_json: &attributes,
            ..event(&long)
        };
        let token = seal(&largest, &key());
        assert!(open(&token, &key(), NOW_MS).is_ok(), "{} characters", token.len());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(token in "[A-Za-z0-9_=-]{0,80}|\\PC{0,40}", bytes: Vec<u8>) {
            proptest::prop_assert!(open(&token, &key(), NOW_MS).is_err());
            // Well signed, and nonsense: what a later version might write.
            let mut payload = vec![VERSION];
            payload.extend_from_slice(&bytes);
            key().seal(&mut payload);
            proptest::prop_assert!(open(&base64url::encode(&payload), &key(), NOW_MS).is_err());
        }
    }
}
