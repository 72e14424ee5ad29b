//! Random numbers of one process or isolate, from a seed that the shell takes out of the platform's cryptographic source.
//!
//! Isolates start from the same snapshot, so without a seed of their own they would all mint the same ids. Output `n` is
//! SHA-256(seed ‖ n): unpredictable without the seed, and the seed alone makes a test repeatable.

use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// A source of random numbers that many threads may share.
#[derive(Default)]
pub struct Random {
    seed: [u8; 32],
    drawn: AtomicU64,
}

impl std::fmt::Debug for Random {
    /// The seed stays out of logs: it predicts every id that will be minted.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Random")
    }
}

impl Random {
    /// Random numbers of a seed.
    pub fn new(seed: [u8; 32]) -> Self {
        Self { seed, drawn: AtomicU64::new(0) }
    }

    /// The next 32 bytes.
    pub fn block(&self) -> [u8; 32] {
        let n = self.drawn.fetch_add(1, Ordering::Relaxed);
        Sha256::new().chain_update(self.seed).chain_update(n.to_le_bytes()).finalize().into()
    }

    /// An id of 26 lower-case base32 characters: 130 random bits.
    pub fn id(&self) -> String {
        let block = self.block();
        let symbol = |byte: &u8| BASE32.get(usize::from(byte & 31)).map_or('a', |&b| char::from(b));
        block.iter().take(26).map(symbol).collect()
    }

    /// A number from 0 (inclusive) to 1 (exclusive).
    pub fn fraction(&self) -> f64 {
        let [a, b, c, d, ..] = self.block();
        f64::from(u32::from_le_bytes([a, b, c, d])) / (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_sequence_and_ids_differ() {
        let (one, same, other) = (Random::new([1; 32]), Random::new([1; 32]), Random::new([2; 32]));
        let ids: Vec<String> = (0..100).map(|_| one.id()).collect();
        assert_eq!(ids, (0..100).map(|_| same.id()).collect::<Vec<_>>());
        assert_ne!(ids.first(), Some(&other.id()));
        assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), 100);
        assert!(ids.iter().all(|id| id.len() == 26 && id.bytes().all(|b| BASE32.contains(&b))));
        assert!((0..100).map(|_| one.fraction()).all(|f| (0.0..1.0).contains(&f)));
    }
}
