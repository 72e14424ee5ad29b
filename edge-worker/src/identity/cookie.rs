//! The text of the identity cookie: what it holds, and how it is signed.
//!
//! ```text
//! base64url( 1 byte    version, 1
//!            2 bytes   day of issue since the Unix epoch, little endian
//!            1 byte    length of the anonymous id, then the id in UTF-8; 0 when there is none
//!            6 bytes   for each kept assignment, oldest first:
//!                        4 bytes  keyed hash of experiment, unit type and unit id, little endian
//!                        1 byte   place of the variant in the experiment
//!                        1 byte   hash of the variant's name
//!            16 bytes  tag over all of the above )
//! ```

use xxhash_rust::xxh3::Xxh3;

use crate::base64url;
use crate::signing::{SigningKey, TAG_BYTES};

/// First byte of the payload.
const VERSION: u8 = 1;
/// Bytes before the anonymous id: version, day, length.
const HEAD_BYTES: usize = 4;
/// Bytes of one kept assignment.
const ENTRY_BYTES: usize = 6;

/// What a cookie says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieContents {
    /// Day of issue, since the Unix epoch.
    pub issued_day: u16,
    /// The anonymous id, of at most 255 bytes; empty when there is none.
    pub anonymous_id: String,
    /// Kept assignments, oldest first.
    pub kept: Vec<Kept>,
}

/// One assignment that must stick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Keyed hash of experiment, unit type and unit id: it serves no other unit, and names none.
    pub unit: u32,
    /// Place of the variant in the experiment.
    pub index: u8,
    /// Hash of the variant's name, so that a list that was reordered is noticed.
    pub check: u8,
}

impl Kept {
    /// The assignment of a unit to a variant.
    pub(super) fn new(unit: u32, index: u8, variant: &str) -> Self {
        Self { unit, index, check: check(variant) }
    }

    /// Place of the variant in the experiment as it is now; `None` when it is not there any more.
    pub(super) fn place<'v>(self, variants: impl Iterator<Item = &'v str>) -> Option<usize> {
        let (mut found, mut n_found) = (None, 0);
        for (place, variant) in variants.enumerate() {
            if check(variant) != self.check {
                continue;
            }
            if place == usize::from(self.index) {
                return Some(place);
            }
            found = Some(place);
            n_found += 1;
        }
        // Moved: by its name, if only one variant can be meant.
        found.filter(|_| n_found == 1)
    }
}

fn check(variant: &str) -> u8 {
    let [byte, ..] = xxhash_rust::xxh3::xxh3_64(variant.as_bytes()).to_le_bytes();
    byte
}

/// The hash under which an assignment of a unit is kept.
pub(super) fn unit_hash(key: &SigningKey, experiment: &str, unit_type: &str, unit_id: &str) -> u32 {
    let mut hasher = Xxh3::with_seed(key.hash_seed());
    for part in [experiment, unit_type, unit_id] {
        hasher.update(part.as_bytes());
        hasher.update(&[0xff]); // no UTF-8 text holds this byte
    }
    let [a, b, c, d, ..] = hasher.digest().to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// Reads the value of a cookie; `None` for anything that this edge has not signed.
pub fn parse(value: &str, key: &SigningKey) -> Option<CookieContents> {
    // Checked first, so that nothing is decoded of a text that no cookie of ours can be.
    if value.len() > super::MAX_COOKIE_BYTES {
        return None;
    }
    let signed = base64url::decode(value)?;
    let (&[VERSION, day_lo, day_hi, id_len], rest) = key.open(&signed)?.split_first_chunk()? else {
        return None;
    };
    let (id, kept) = rest.split_at_checked(usize::from(id_len))?;
    let (kept, []) = kept.as_chunks::<ENTRY_BYTES>() else { return None };
    Some(CookieContents {
        issued_day: u16::from_le_bytes([day_lo, day_hi]),
        anonymous_id: String::from_utf8(id.to_vec()).ok()?,
        kept: kept
            .iter()
            .map(|&[a, b, c, d, index, check]| Kept {
                unit: u32::from_le_bytes([a, b, c, d]),
                index,
                check,
            })
            .collect(),
    })
}

/// Writes the value of a cookie. The anonymous id must have at most 255 bytes; a longer one is left out.
pub fn write(contents: &CookieContents, key: &SigningKey) -> String {
    let (id, id_len) = match u8::try_from(contents.anonymous_id.len()) {
        Ok(len) => (contents.anonymous_id.as_str(), len),
        Err(_) => ("", 0),
    };
    let [day_lo, day_hi] = contents.issued_day.to_le_bytes();
    let mut payload = vec![VERSION, day_lo, day_hi, id_len];
    payload.extend_from_slice(id.as_bytes());
    for kept in &contents.kept {
        payload.extend_from_slice(&kept.unit.to_le_bytes());
        payload.extend_from_slice(&[kept.index, kept.check]);
    }
    key.seal(&mut payload);
    base64url::encode(&payload)
}

/// Assignments that fit into a value of `max_chars` characters beside an id of `id_len` bytes.
pub(super) fn capacity(max_chars: usize, id_len: usize) -> usize {
    (max_chars * 3 / 4).saturating_sub(HEAD_BYTES + id_len + TAG_BYTES) / ENTRY_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::SigningKeys;

    fn key() -> SigningKey {
        SigningKeys::derive(&[9; 32], "production-k3v9x2mq").cookie
    }

    #[test]
    fn a_variant_is_found_where_it_was_or_by_its_name() {
        let kept = Kept::new(1, 1, "b");
        assert_eq!(kept.place(["a", "b", "c"].into_iter()), Some(1));
        assert_eq!(kept.place(["b", "a", "c"].into_iter()), Some(0), "it has moved");
        assert_eq!(kept.place(["a", "c"].into_iter()), None, "it is gone");
    }

    #[test]
    fn capacity_is_what_really_fits() {
        for max_chars in [200, 700, 943] {
            let n = capacity(max_chars, 26);
            let of = |n: usize| CookieContents {
                issued_day: 1,
                anonymous_id: "a".repeat(26),
                kept: vec![Kept::new(0, 0, "a"); n],
            };
            assert!(write(&of(n), &key()).len() <= max_chars);
            assert!(write(&of(n + 1), &key()).len() > max_chars);
        }
    }

    proptest::proptest! {
        #[test]
        fn what_was_written_is_read(
            issued_day: u16,
            anonymous_id in "\\PC{0,60}",
            kept in proptest::collection::vec((proptest::num::u32::ANY, 0_u8..9, 0_u8..255), 0..90),
        ) {
            let kept = kept.into_iter().map(|(unit, index, check)| Kept { unit, index, check }).collect();
            let contents = CookieContents { issued_day, anonymous_id, kept };
            proptest::prop_assert_eq!(parse(&write(&contents, &key()), &key()), Some(contents));
        }

        #[test]
        fn no_text_makes_the_parser_panic(value in "[A-Za-z0-9_=-]{0,80}|\\PC{0,40}", bytes: Vec<u8>) {
            proptest::prop_assert_eq!(parse(&value, &key()), None);
            // Well signed, and nonsense: what a later version might write.
            let mut payload = bytes;
            key().seal(&mut payload);
            parse(&base64url::encode(&payload), &key());
        }
    }
}
