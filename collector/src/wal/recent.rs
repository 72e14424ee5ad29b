//! The bounded memory of event ids: what makes a client's retry a duplicate.

use std::collections::HashSet;

use xxhash_rust::xxh3::xxh3_64;

/// The keys of the last events, in two generations: when the younger one is full the older one is
/// forgotten, so that at least `capacity` and at most twice as many are known.
#[derive(Debug)]
pub struct RecentIds {
    capacity: usize,
    young: HashSet<u128>,
    old: HashSet<u128>,
}

impl RecentIds {
    /// Remembers at least this many ids.
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), young: HashSet::new(), old: HashSet::new() }
    }

    /// Remembers a key; false if it was known.
    pub fn insert(&mut self, key: u128) -> bool {
        if self.old.contains(&key) || !self.young.insert(key) {
            return false;
        }
        if self.young.len() >= self.capacity {
            self.old = std::mem::take(&mut self.young);
        }
        true
    }

    /// Forgets a key whose event was not stored after all.
    pub fn remove(&mut self, key: u128) {
        if !self.young.remove(&key) {
            self.old.remove(&key);
        }
    }

    /// How many keys are known.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The content of an id file: what remains of a segment that is in the lake.
pub(super) fn encode_ids(keys: &[u128]) -> Vec<u8> {
    let mut bytes = vec![0; 8];
    for key in keys {
        bytes.extend_from_slice(&key.to_le_bytes());
    }
    let checksum = xxh3_64(&bytes[8..]).to_le_bytes();
    bytes[..8].copy_from_slice(&checksum);
    bytes
}

/// Reads an id file; none when it is damaged.
pub(super) fn decode_ids(bytes: &[u8]) -> Option<impl Iterator<Item = u128> + '_> {
    let (checksum, keys) = bytes.split_first_chunk::<8>()?;
    if u64::from_le_bytes(*checksum) != xxh3_64(keys) {
        return None;
    }
    Some(keys.as_chunks::<16>().0.iter().map(|key| u128::from_le_bytes(*key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_least_the_capacity_is_remembered_and_at_most_twice_as_much() {
        let mut recent = RecentIds::new(100);
        for key in 0..1_000 {
            assert!(recent.insert(key));
            assert!(recent.len() <= 200);
            assert!((key.saturating_sub(99)..=key).all(|known| !recent.insert(known)));
        }
    }

    #[test]
    fn a_forgotten_key_is_new_again() {
        let mut recent = RecentIds::new(2);
        for key in [1, 2, 3] {
            recent.insert(key);
        }
        recent.remove(1);
        recent.remove(3);
        assert!(recent.insert(1));
        assert!(!recent.insert(2));
        assert!(recent.insert(3));
    }

    #[test]
    fn id_files_are_read_back_and_damage_is_seen() {
        let mut bytes = encode_ids(&[1, u128::MAX]);
        assert_eq!(decode_ids(&bytes).unwrap().collect::<Vec<_>>(), [1, u128::MAX]);
        bytes[9] ^= 1;
        assert!(decode_ids(&bytes).is_none());
        assert!(decode_ids(&bytes[..3]).is_none());
    }
}
