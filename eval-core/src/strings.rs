//! Interned strings: one text, borrowed from the blob, and where each string starts; and words, which are told apart without
//! reading that text.

use std::borrow::Cow;

/// Follows every string in the text. A string may hold it: the starts say where strings are, not the separators.
pub(crate) const SEPARATOR: char = '\0';

/// Index of a string in its [`StringTable`].
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
pub(crate) struct StringId(pub(crate) u32);

/// All strings of a config, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StringTable<'b> {
    pub(crate) text: Cow<'b, str>,
    /// Start of each string in `text`, and one more: where a further string would start.
    pub(crate) starts: Vec<u32>,
}

impl StringTable<'_> {
    /// The string, or the empty one for an index that does not exist.
    #[inline]
    pub(crate) fn get(&self, id: StringId) -> &str {
        let (start, end) = self.bounds(id);
        self.text.get(start..end).unwrap_or("")
    }

    /// The string's bytes. Unlike [`StringTable::get`] this does not read the text, which a request with thousands of keys
    /// would find in no cache.
    #[inline]
    pub(crate) fn bytes(&self, id: StringId) -> &[u8] {
        let (start, end) = self.bounds(id);
        self.text.as_bytes().get(start..end).unwrap_or_default()
    }

    #[inline(always)]
    fn bounds(&self, id: StringId) -> (usize, usize) {
        let at = id.0 as usize;
        match (self.starts.get(at.wrapping_add(1)), self.starts.get(at)) {
            (Some(&next), Some(&start)) => (start as usize, (next as usize).saturating_sub(1)),
            _ => (0, 0),
        }
    }

    /// Number of strings.
    pub(crate) fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Whether the string exists.
    pub(crate) fn holds(&self, id: StringId) -> bool {
        (id.0 as usize) < self.len()
    }
}

/// A string of the config that requests are compared with, by its length and first bytes before anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    head: u64,
    len: u32,
    pub(crate) id: StringId,
}

impl Word {
    pub(crate) fn new(strings: &StringTable<'_>, id: StringId) -> Self {
        let bytes = strings.bytes(id);
        Self { head: head(bytes), len: u32::try_from(bytes.len()).unwrap_or(u32::MAX), id }
    }

    /// Whether the word is this text.
    #[inline(always)]
    pub(crate) fn is(&self, text: &str, strings: &StringTable<'_>) -> bool {
        self.len as usize == text.len() && self.is_headed(head(text.as_bytes()), text, strings)
    }

    /// The same for a text whose [`head`] is known, which many words are compared with.
    #[inline(always)]
    pub(crate) fn is_headed(&self, head: u64, text: &str, strings: &StringTable<'_>) -> bool {
        self.head == head
            && self.len as usize == text.len()
            && (self.len <= 8 || self.is_longer(text, strings))
    }

    /// A call of its own: what it takes would be prepared before every short comparison, too.
    #[inline(never)]
    fn is_longer(&self, text: &str, strings: &StringTable<'_>) -> bool {
        same(strings.bytes(self.id), text.as_bytes())
    }
}

/// Whether two short texts are the same: without the call that comparing slices makes.
#[inline(always)]
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let (Some(last_a), Some(last_b)) = (a.last_chunk::<8>(), b.last_chunk::<8>()) else {
        return head(a) == head(b);
    };
    let mut difference = u64::from_le_bytes(*last_a) ^ u64::from_le_bytes(*last_b);
    for (a, b) in a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0) {
        difference |= u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
    }
    difference == 0
}

/// A number in which every one of the first eight bytes shows: texts of one length and at most eight bytes are the same when their
/// heads are.
#[inline(always)]
pub(crate) fn head(bytes: &[u8]) -> u64 {
    if let Some(first) = bytes.first_chunk::<8>() {
        return u64::from_le_bytes(*first);
    }
    // Two reads that may overlap cover four to seven bytes, or two to three.
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        return u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32;
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk::<2>(), bytes.last_chunk::<2>()) {
        return u64::from(u16::from_le_bytes(*first)) | u64::from(u16::from_le_bytes(*last)) << 16;
    }
    bytes.first().copied().map_or(0, u64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_shows_each_of_the_first_eight_bytes_and_no_other() {
        let text = b"abcdefghij";
        for len in 0..=text.len() {
            for at in 0..len {
                let mut other = text[..len].to_vec();
                other[at] ^= 1;
                assert_eq!(head(&text[..len]) != head(&other), at < 8, "byte {at} of {len}");
            }
        }
    }

    #[test]
    fn words_are_told_apart_by_every_byte_and_by_length() {
        let words =
            ["", "\0", "a", "ab", "a\0", "abcdefgh", "abcdefgh\0", "abcdefghi", "abcdefghj"];
        let mut table = StringTable { starts: vec![0], ..StringTable::default() };
        for word in words {
            table.text.to_mut().push_str(word);
            table.text.to_mut().push(SEPARATOR);
            table.starts.push(u32::try_from(table.text.len()).unwrap());
        }
        for (at, word) in (0..).zip(words) {
            assert_eq!(table.get(StringId(at)), word);
            for other in words {
                assert_eq!(Word::new(&table, StringId(at)).is(other, &table), word == other);
            }
        }
        assert_eq!(table.len(), words.len());
        assert_eq!(table.get(StringId(99)), "");
        assert!(!table.holds(StringId(9)));
    }
}
