//! Few entries, kept sorted as they come: a fraction of the code of a tree or of a sort, which the Worker would carry once for each type.

use std::borrow::Borrow;

/// Entries in the order of their keys.
#[derive(Debug)]
pub(crate) struct SortedMap<K, V>(Vec<(K, V)>);

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord, V> SortedMap<K, V> {
    fn place<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        self.0.binary_search_by(|(candidate, _)| candidate.borrow().cmp(key))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let at = self.place(key).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    pub(crate) fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let at = self.place(key).ok()?;
        self.0.get_mut(at).map(|(_, value)| value)
    }

    /// Puts a value under a key that has none, or in the place of the one that it has.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        match self.place(&key) {
            Ok(at) => {
                if let Some((_, held)) = self.0.get_mut(at) {
                    *held = value;
                }
            }
            Err(at) => self.0.insert(at, (key, value)),
        }
    }

    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let at = self.place(key).ok()?;
        Some(self.0.remove(at).1)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, value))
    }
}

/// Puts an item into its place among sorted ones, unless it is there already. Whether it was not.
pub(crate) fn insert_once<T: Ord>(items: &mut Vec<T>, item: T) -> bool {
    let place = items.binary_search(&item);
    if let Err(at) = place {
        items.insert(at, item);
    }
    place.is_err()
}

/// Items in their order, each once.
pub(crate) fn sorted_once<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut sorted = Vec::new();
    for item in items {
        insert_once(&mut sorted, item);
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_by_their_keys_and_stand_in_order() {
        let mut map = SortedMap::<String, u32>::default();
        for (key, value) in [("b", 1), ("c", 2), ("a", 3), ("b", 4)] {
            map.insert(key.to_owned(), value);
        }
        assert_eq!(
            map.iter().map(|(key, value)| (key.as_str(), *value)).collect::<Vec<_>>(),
            [("a", 3), ("b", 4), ("c", 2)]
        );
        if let Some(value) = map.get_mut("c") {
            *value = 5;
        }
        assert_eq!((map.get("c"), map.get("d")), (Some(&5), None));
        assert_eq!((map.remove("a"), map.remove("a"), map.len()), (Some(3), None, 2));
        map.clear();
        assert_eq!(map.len(), 0);
    }

    #[test]
    fn items_are_sorted_and_kept_once() {
        assert_eq!(sorted_once([3, 1, 2, 3, 1].into_iter()), [1, 2, 3]);
    }
}
