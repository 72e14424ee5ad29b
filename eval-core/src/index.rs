//! From a key to its entry: an open-addressing table of entry numbers, made once when a config is loaded.

use crate::bucket::murmur3_32;

/// Marks a free place.
const FREE: u32 = u32::MAX;

/// A table at most half full, so that a look-up reads one or two places.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyIndex {
    places: Vec<u32>,
}

impl KeyIndex {
    /// Indexes keys by their position.
    pub(crate) fn new<'k>(keys: impl ExactSizeIterator<Item = &'k str>) -> Self {
        let n_places = keys.len().saturating_mul(2).next_power_of_two().max(2);
        let mut places = vec![FREE; n_places];
        for (position, key) in keys.enumerate() {
            let mut place = start(key, n_places);
            while let Some(taken) = places.get_mut(place) {
                if *taken == FREE {
                    *taken = u32::try_from(position).unwrap_or(FREE);
                    break;
                }
                place = next(place, n_places);
            }
        }
        Self { places }
    }

    /// Position of the key for which `is_key` says yes, among those with its hash.
    #[inline]
    pub(crate) fn find(&self, key: &str, mut is_key: impl FnMut(u32) -> bool) -> Option<u32> {
        let n_places = self.places.len();
        if n_places == 0 {
            return None;
        }
        let mut place = start(key, n_places);
        loop {
            let position = *self.places.get(place)?;
            if position == FREE {
                return None;
            }
            if is_key(position) {
                return Some(position);
            }
            place = next(place, n_places);
        }
    }
}

#[inline]
fn start(key: &str, n_places: usize) -> usize {
    murmur3_32(key.as_bytes(), 0) as usize & n_places.wrapping_sub(1)
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
        let index = KeyIndex::new(keys.iter().map(String::as_str));
        let find = |key: &str| index.find(key, |at| keys[at as usize] == key);
        for (i, key) in keys.iter().enumerate() {
            assert_eq!(find(key), u32::try_from(i).ok());
        }
        assert_eq!(find("key-5000"), None);
        assert_eq!(KeyIndex::new([].into_iter()).find("a", |_| true), None);
        assert_eq!(KeyIndex::default().find("a", |_| true), None);
    }
}
