//! Interned strings: one text, borrowed from the blob, and where each string ends.

use std::borrow::Cow;

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
    /// End of each string in `text`; it starts where the one before ends.
    pub(crate) ends: Vec<u32>,
}

impl StringTable<'_> {
    /// The string, or the empty one for an index or a boundary that does not exist.
    #[inline]
    pub(crate) fn get(&self, id: StringId) -> &str {
        let index = id.0 as usize;
        let Some(&end) = self.ends.get(index) else { return "" };
        let start = match index.checked_sub(1) {
            None => 0,
            Some(before) => self.ends.get(before).copied().unwrap_or(0),
        };
        self.text.get(start as usize..end as usize).unwrap_or("")
    }

    /// Whether the string exists and lies on character boundaries.
    pub(crate) fn holds(&self, id: StringId) -> bool {
        let index = id.0 as usize;
        let Some(&end) = self.ends.get(index) else { return false };
        let start = index.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied());
        start.is_some_and(|start| self.text.get(start as usize..end as usize).is_some())
    }
}
