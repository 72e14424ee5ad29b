//! Which bucket a unit falls into.
//!
//! 1. **Hash.** `MurmurHash3_x86_32` with seed 0.
//! 2. **Input.** The UTF-8 bytes of `salt + ":" + unit`, nothing else: no trimming, no case folding, no Unicode
//!    normalisation, no terminator. A salt holds no `:`, so the first colon is the separator; a unit id may
//!    hold any number of them.
//! 3. **Reduction.** The hash as an unsigned 32-bit number, modulo [`BUCKET_COUNT`]. 2³² is not a multiple of
//!    10 000: the first 7 296 buckets are likelier than the others by one part in 429 496 (2.4·10⁻⁶ relative), which no
//!    experiment can notice.
//! 4. **Unit.** One bucket is 0.01 % of the units.
//! 5. **Stability.** Nothing above may change once a config was published: every running experiment would
//!    deal its variants anew.
//! 6. **Absent unit.** No unit, no bucket: callers hold an `Option`, never bucket 0.
//! 7. **Check.** `tests/vectors/bucketing.json`, and `scripts/reference/bucketing.py` writes the same numbers with an
//!    independent implementation.
//!
//! The salt comes first, so the state of the hash after `salt + ":"` does not depend on the unit: compiling
//! stores that state ([`SaltState`]) and evaluation goes on from there. When `salt + ":"` is a whole number of 4-byte
//! blocks (the control plane's own salts are 15 bytes), the unit's blocks start on a block boundary
//! whatever the salt is, so their first mixing step can be shared by all experiments of a request
//! ([`PreparedUnit`]). Both are ways to compute the formula above, bit for bit.

/// Number of buckets in every randomisation space. One bucket is 0.01 % of units.
pub const BUCKET_COUNT: u16 = 10_000;

/// Longest salt, in bytes of UTF-8.
pub const MAX_SALT_BYTES: usize = 64;

/// Longest unit id, in bytes of UTF-8.
pub const MAX_UNIT_BYTES: usize = 256;

const BUCKETS: u32 = BUCKET_COUNT as u32;
const C1: u32 = 0xcc9e_2d51;
const C2: u32 = 0x1b87_3593;

/// The bucket of `unit` within `salt`: `murmur3_x86_32(salt + ":" + unit) mod 10 000`.
pub fn bucket(salt: &str, unit: &str) -> u16 {
    SaltState::new(salt).bucket(unit)
}

/// `MurmurHash3_x86_32` of some bytes, as Austin Appleby's reference implementation defines it.
pub fn murmur3_32(bytes: &[u8], seed: u32) -> u32 {
    absorb_all(seed, bytes, bytes.len())
}

/// The state of the hash after `salt + ":"`.
///
/// `h` has absorbed the whole blocks; up to three bytes that do not fill a block wait beside the length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SaltState {
    /// Hash state after the whole blocks of `salt + ":"`.
    h: u32,
    /// The low byte is the length of `salt + ":"`; the bytes above it are those after the last whole block.
    rest: u32,
}

impl SaltState {
    /// Absorbs `salt + ":"`. A salt longer than [`MAX_SALT_BYTES`] is hashed as it is, but its length is
    /// remembered modulo 256; compiling refuses such salts.
    pub fn new(salt: &str) -> Self {
        let mut h = 0;
        let mut word = 0u32;
        let mut filled = 0u32;
        let mut len = 0u8;
        for byte in salt.bytes().chain(std::iter::once(b':')) {
            word |= u32::from(byte) << filled.wrapping_mul(8);
            filled = filled.wrapping_add(1);
            len = len.wrapping_add(1);
            if filled == 4 {
                h = absorb(h, mix(word));
                word = 0;
                filled = 0;
            }
        }
        Self::from_parts(h, word, len)
    }

    /// A state from what [`SaltState::hash_state`], [`SaltState::carry`] and [`SaltState::len`] say of it.
    pub(crate) const fn from_parts(h: u32, carry: u32, len: u8) -> Self {
        Self { h, rest: carry << 8 | len as u32 }
    }

    /// The hash after the whole blocks.
    pub(crate) fn hash_state(self) -> u32 {
        self.h
    }

    /// The bytes after the last whole block, little endian.
    pub(crate) fn carry(self) -> u32 {
        self.rest >> 8
    }

    /// Length of `salt + ":"` in bytes.
    #[inline]
    pub(crate) fn len(self) -> u8 {
        (self.rest & 0xff) as u8
    }

    /// Whether a unit hashed after this salt starts on a block boundary.
    #[inline]
    pub fn is_aligned(self) -> bool {
        self.len().is_multiple_of(4)
    }

    /// The full 32-bit hash of `salt + ":" + unit`.
    #[inline(always)]
    pub fn hash(self, unit: &str) -> u32 {
        #[cfg(test)]
        hashed::note(self);
        let unit = unit.as_bytes();
        if self.is_aligned() {
            return absorb_all(self.h, unit, usize::from(self.len()).wrapping_add(unit.len()));
        }
        self.hash_shifted(unit)
    }

    /// The carry shifts every block of the unit by one to three bytes.
    #[cold]
    fn hash_shifted(self, unit: &[u8]) -> u32 {
        let mut h = self.h;
        let mut word = self.carry();
        let mut filled = u32::from(self.len() % 4);
        for &byte in unit {
            word |= u32::from(byte) << filled.wrapping_mul(8);
            filled = filled.wrapping_add(1);
            if filled == 4 {
                h = absorb(h, mix(word));
                word = 0;
                filled = 0;
            }
        }
        finish(h, word, usize::from(self.len()).wrapping_add(unit.len()))
    }

    /// The bucket of `unit` after this salt.
    #[inline(always)]
    pub fn bucket(self, unit: &str) -> u16 {
        reduce(self.hash(unit))
    }

    /// The bucket of a unit whose blocks were mixed before; the same number as [`SaltState::bucket`].
    #[inline(always)]
    pub fn bucket_prepared(self, unit: &PreparedUnit<'_>) -> u16 {
        if !self.is_aligned() {
            return self.bucket(unit.text);
        }
        #[cfg(test)]
        hashed::note(self);
        let mut h = self.h;
        for &k in unit.blocks() {
            h = absorb(h, k);
        }
        h ^= unit.mixed_tail;
        h ^= u32::from(self.len()).wrapping_add(unit.len);
        reduce(avalanche(h))
    }
}

/// A unit id whose 4-byte blocks went through the part of the hash that does not depend on the salt.
#[derive(Clone, Debug)]
pub struct PreparedUnit<'r> {
    text: &'r str,
    mixed: [u32; MAX_UNIT_BYTES / 4],
    n_blocks: usize,
    mixed_tail: u32,
    len: u32,
}

impl<'r> PreparedUnit<'r> {
    /// Mixes the blocks of `unit`; `None` for an id that is empty or longer than [`MAX_UNIT_BYTES`], which no bucket is defined for.
    pub fn new(unit: &'r str) -> Option<Self> {
        let bytes = unit.as_bytes();
        if bytes.is_empty() || bytes.len() > MAX_UNIT_BYTES {
            return None;
        }
        let mut mixed = [0; MAX_UNIT_BYTES / 4];
        let (blocks, tail) = bytes.as_chunks::<4>();
        for (slot, block) in mixed.iter_mut().zip(blocks) {
            *slot = mix(u32::from_le_bytes(*block));
        }
        Some(Self {
            text: unit,
            mixed,
            n_blocks: blocks.len(),
            mixed_tail: mix(tail_word(tail)),
            len: u32::try_from(bytes.len()).unwrap_or(0),
        })
    }

    /// The id itself.
    pub fn text(&self) -> &'r str {
        self.text
    }

    #[inline]
    fn blocks(&self) -> &[u32] {
        self.mixed.get(..self.n_blocks).unwrap_or_default()
    }
}

/// What was hashed, for tests that hold an evaluation to a number of hashes.
#[cfg(test)]
pub(crate) mod hashed {
    use super::SaltState;
    use std::cell::RefCell;

    thread_local!(static SALTS: RefCell<Vec<SaltState>> = const { RefCell::new(Vec::new()) });

    pub(super) fn note(salt: SaltState) {
        SALTS.with_borrow_mut(|salts| salts.push(salt));
    }

    /// The salts under which this thread has hashed units since it was last asked, in order.
    pub(crate) fn take() -> Vec<SaltState> {
        SALTS.take()
    }
}

/// Hash to bucket.
#[inline]
fn reduce(hash: u32) -> u16 {
    // The remainder is below 10 000, so nothing is lost; the divisor is a constant, so nothing is divided either.
    u16::try_from(hash.wrapping_rem(BUCKETS)).unwrap_or(0)
}

/// Hash of some bytes from a state that lies on a block boundary; `total` counts the bytes before them, too.
#[inline(always)]
fn absorb_all(mut h: u32, bytes: &[u8], total: usize) -> u32 {
    let (blocks, tail) = bytes.as_chunks::<4>();
    for block in blocks {
        h = absorb(h, mix(u32::from_le_bytes(*block)));
    }
    finish(h, tail_word(tail), total)
}

/// The up to three bytes after the last block as a little-endian word, missing ones zero.
#[inline]
fn tail_word(tail: &[u8]) -> u32 {
    tail.iter().rev().fold(0, |word, &byte| (word << 8) | u32::from(byte))
}

/// The part of a block's mixing that does not depend on the state.
#[inline]
fn mix(block: u32) -> u32 {
    block.wrapping_mul(C1).rotate_left(15).wrapping_mul(C2)
}

#[inline]
fn absorb(h: u32, mixed: u32) -> u32 {
    (h ^ mixed).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
}

#[inline]
fn finish(h: u32, tail: u32, len: usize) -> u32 {
    // An empty tail mixes to 0. The reference algorithm takes the length modulo 2^32.
    let len = u32::try_from(len as u64 & 0xffff_ffff).unwrap_or(u32::MAX);
    avalanche(h ^ mix(tail) ^ len)
}

#[inline]
fn avalanche(mut h: u32) -> u32 {
    h ^= h >> 16;
    h = h.wrapping_mul(0x85eb_ca6b);
    h ^= h >> 13;
    h = h.wrapping_mul(0xc2b2_ae35);
    h ^ (h >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(serde::Deserialize)]
    struct Vectors {
        cases: Vec<Case>,
    }

    #[derive(serde::Deserialize)]
    struct Case {
        salt: String,
        unit: String,
        murmur3_x86_32: u32,
        bucket: u16,
    }

    #[test]
    fn vectors_of_the_specification_agree() {
        let vectors: Vectors =
            serde_json::from_str(include_str!("../../tests/vectors/bucketing.json")).unwrap();
        assert!(vectors.cases.len() >= 30);
        for case in vectors.cases {
            assert_eq!(
                SaltState::new(&case.salt).hash(&case.unit),
                case.murmur3_x86_32,
                "{}",
                case.unit
            );
            assert_eq!(bucket(&case.salt, &case.unit), case.bucket);
        }
    }

    proptest! {
        #[test]
        fn every_way_to_hash_agrees_with_the_murmur3_crate(salt in "[a-zé-ü0-9_-]{1,32}", unit in "\\PC{1,64}") {
            let text = format!("{salt}:{unit}");
            let expected = murmur3::murmur3_32(&mut text.as_bytes(), 0).unwrap();
            prop_assert_eq!(murmur3_32(text.as_bytes(), 0), expected);
            let state = SaltState::new(&salt);
            prop_assert_eq!(state.hash(&unit), expected);
            let prepared = PreparedUnit::new(&unit).unwrap();
            prop_assert_eq!(u32::from(state.bucket_prepared(&prepared)), expected % 10_000);
        }
    }

    #[test]
    fn units_without_a_bucket_are_not_prepared() {
        for (len, has_bucket) in [(0, false), (1, true), (256, true), (257, false)] {
            assert_eq!(PreparedUnit::new(&"x".repeat(len)).is_some(), has_bucket, "{len}");
        }
    }
}
