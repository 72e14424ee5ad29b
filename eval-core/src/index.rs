//! From a key to its entry: an open-addressing table of entry numbers, made once when a config is loaded.

use crate::strings::head;

/// Marks a free place.
const FREE: u32 = u32::MAX;

/// A table at most three quarters full. A place holds a position in its low bits and a part of the key's hash in the others,
/// so that a look-up hardly ever reads another key than the one it wants.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyIndex {
    places: Vec<u32>,
    /// The bits of a place that are a position.
    position_mask: u32,
}

impl KeyIndex {
    /// Indexes keys by their position.
    pub(crate) fn new<'k>(keys: impl ExactSizeIterator<Item = &'k [u8]>) -> Self {
        let n_keys = keys.len();
        let n_places = (n_keys.saturating_mul(4) / 3).saturating_add(1).next_power_of_two();
        // One position more than there are, so that no place looks free.
        let position_mask = u32::try_from(n_keys)
            .ok()
            .and_then(|n| n.saturating_add(1).checked_next_power_of_two())
            .map_or(u32::MAX, |n| n.wrapping_sub(1));
        let mut places = vec![FREE; n_places];
        for (position, key) in (0u32..).zip(keys) {
            let hash = hash(key);
            let mut place = start(hash, n_places);
            while let Some(taken) = places.get_mut(place) {
                if *taken == FREE {
                    *taken = tag(hash, position_mask) | position;
                    break;
                }
                place = next(place, n_places);
            }
        }
        Self { places, position_mask }
    }

    /// Begins to look for a key.
    #[inline(always)]
    pub(crate) fn search(&self, key: &[u8]) -> Search {
        let hash = hash(key);
        Search { tag: tag(hash, self.position_mask), place: start(hash, self.places.len()) }
    }

    /// The next position whose key may be the wanted one.
    #[inline(always)]
    pub(crate) fn candidate(&self, search: &mut Search) -> Option<u32> {
        loop {
            let found = *self.places.get(search.place)?;
            if found == FREE {
                return None;
            }
            search.place = next(search.place, self.places.len());
            if found & !self.position_mask == search.tag {
                return Some(found & self.position_mask);
            }
        }
    }
}

/// Where looking for a key has come to.
#[derive(Debug)]
pub(crate) struct Search {
    tag: u32,
    place: usize,
}

/// Mixes eight bytes at a time. Who chooses the keys of a config has no reason to make them collide.
#[inline(always)]
fn hash(key: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut h = key.len() as u64;
    let mut absorb = |block: u64| h = (h.rotate_left(23) ^ block).wrapping_mul(FACTOR);
    if let Some(last) = key.last_chunk::<8>() {
        // The last block may overlap the one before it: every byte counts, and no block is short.
        for block in key.as_chunks::<8>().0 {
            absorb(u64::from_le_bytes(*block));
        }
        absorb(u64::from_le_bytes(*last));
    } else {
        absorb(head(key));
    }
    h ^ (h >> 32)
}

#[inline]
fn start(hash: u64, n_places: usize) -> usize {
    (hash & 0xffff_ffff) as usize & n_places.wrapping_sub(1)
}

#[inline]
fn tag(hash: u64, position_mask: u32) -> u32 {
    (hash >> 32) as u32 & !position_mask
}

#[inline]
fn next(place: usize, n_places: usize) -> usize {
    place.wrapping_add(1) & n_places.wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_at_its_position_and_others_are_not() {
        let keys: Vec<String> = (0..5000).map(|i| format!("key-{i}")).collect();
        let index = KeyIndex::new(keys.iter().map(String::as_bytes));
        let find = |key: &str| {
            let mut search = index.search(key.as_bytes());
            std::iter::from_fn(|| index.candidate(&mut search)).find(|&at| keys[at as usize] == key)
        };
        for (i, key) in keys.iter().enumerate() {
            assert_eq!(find(key), u32::try_from(i).ok());
        }
        assert_eq!(find("key-5000"), None);
        for empty in [KeyIndex::new([].into_iter()), KeyIndex::default()] {
            assert_eq!(empty.candidate(&mut empty.search(b"a")), None);
        }
    }

    #[test]
    fn keys_spread_over_the_table() {
        let keys: Vec<String> = (0..10_000).map(|i| format!("checkout-{:05}", i * 7)).collect();
        let index = KeyIndex::new(keys.iter().map(String::as_bytes));
        let mut longest = 0;
        let mut run = 0;
        for place in &index.places {
            run = if *place == FREE { 0 } else { run + 1 };
            longest = longest.max(run);
        }
        assert!(longest < 200, "{longest}");
    }
}
