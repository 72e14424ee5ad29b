//! Strings, slot tables and lists, each kept once.

use crate::bucket::{BUCKET_COUNT, MAX_SALT_BYTES, SaltState};
use crate::compile::CompileError;
use crate::config::Span;
use crate::fingerprint::Fingerprint;
use crate::slots::{Run, SlotsError, SlotsId, runs_of};
use crate::source::BucketRange;
use crate::strings::{SEPARATOR, StringId, StringTable};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A length or index as the format stores it. Tables of 2³² entries do not occur: the blob would not fit in memory.
pub(crate) fn index(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Makes a [`StringTable`].
pub(crate) struct Strings {
    ids: BTreeMap<String, StringId>,
    text: String,
    starts: Vec<u32>,
}

impl Strings {
    pub(crate) fn new() -> Self {
        Self { ids: BTreeMap::new(), text: String::new(), starts: vec![0] }
    }

    pub(crate) fn intern(&mut self, text: &str) -> StringId {
        if let Some(&id) = self.ids.get(text) {
            return id;
        }
        let id = StringId(index(self.starts.len()).saturating_sub(1));
        self.text.push_str(text);
        self.text.push(SEPARATOR);
        self.starts.push(index(self.text.len()));
        self.ids.insert(text.to_owned(), id);
        id
    }

    pub(crate) fn finish(self) -> StringTable<'static> {
        StringTable { text: Cow::Owned(self.text), starts: self.starts }
    }
}

/// Names and values of variants. Equal lists are kept once.
#[derive(Default)]
pub(crate) struct VariantLists {
    name_lists: BTreeMap<Vec<StringId>, u32>,
    pub(crate) names: Vec<StringId>,
    value_lists: BTreeMap<Vec<StringId>, u32>,
    pub(crate) values: Vec<StringId>,
}

impl VariantLists {
    /// Start of a list of names.
    pub(crate) fn names(&mut self, list: Vec<StringId>) -> u32 {
        start_of(list, &mut self.name_lists, &mut self.names)
    }

    /// Start of a list of values.
    pub(crate) fn values(&mut self, list: Vec<StringId>) -> u32 {
        start_of(list, &mut self.value_lists, &mut self.values)
    }
}

fn start_of(
    list: Vec<StringId>,
    known: &mut BTreeMap<Vec<StringId>, u32>,
    table: &mut Vec<StringId>,
) -> u32 {
    if let Some(&start) = known.get(&list) {
        return start;
    }
    let start = index(table.len());
    table.extend_from_slice(&list);
    known.insert(list, start);
    start
}

/// Slot tables; equal ones are kept once.
#[derive(Default)]
pub(super) struct SlotTables {
    ids: BTreeMap<Vec<Run>, SlotsId>,
    pub(super) runs: Vec<Run>,
    pub(super) slots: Vec<Span>,
}

impl SlotTables {
    /// The table of some claims. `space` and `name` are for the error.
    pub(super) fn intern(
        &mut self,
        claims: &[(u16, BucketRange)],
        space: impl Fn() -> String,
        name: impl Fn(u16) -> String,
    ) -> Result<SlotsId, CompileError> {
        let runs = runs_of(claims).map_err(|error| match error {
            SlotsError::Overlap { bucket, owners: (first, second) } => CompileError::Overlap {
                space: space(),
                bucket,
                first: name(first),
                second: name(second),
            },
            SlotsError::OutOfSpace { owner } => CompileError::Ranges {
                entry: space(),
                problem: format!("a range of `{}` is not within 0..{BUCKET_COUNT}", name(owner)),
            },
        })?;
        if let Some(&id) = self.ids.get(&runs) {
            return Ok(id);
        }
        let id = SlotsId(index(self.slots.len()));
        self.slots.push(Span { start: index(self.runs.len()), len: index(runs.len()) });
        self.runs.extend_from_slice(&runs);
        self.ids.insert(runs, id);
        Ok(id)
    }
}

/// Salts, and who uses which: two spaces with one state would deal identical buckets.
#[derive(Default)]
pub(super) struct Salts {
    used: BTreeMap<SaltState, String>,
}

impl Salts {
    pub(super) fn absorb(
        &mut self,
        salt: &str,
        entry: impl Fn() -> String,
    ) -> Result<SaltState, CompileError> {
        if salt.is_empty() || salt.len() > MAX_SALT_BYTES || salt.contains(':') {
            return Err(CompileError::Salt { entry: entry() });
        }
        let state = SaltState::new(salt);
        if let Some(first) = self.used.insert(state, entry()) {
            return Err(CompileError::SaltCollision { first, second: entry() });
        }
        Ok(state)
    }
}

/// Lists of unit ids, as fingerprints.
#[derive(Default)]
pub(super) struct Lists {
    pub(super) fingerprints: Vec<u8>,
    pub(super) listed_variants: Vec<u16>,
    len: u32,
}

impl Lists {
    /// A sorted list of fingerprints.
    pub(super) fn push(&mut self, mut list: Vec<Fingerprint>) -> Span {
        list.sort_unstable();
        list.dedup();
        if list.is_empty() {
            return Span::default();
        }
        let span = Span { start: self.len, len: index(list.len()) };
        for fingerprint in &list {
            self.fingerprints.extend_from_slice(fingerprint);
        }
        self.len = self.len.saturating_add(span.len);
        span
    }

    /// A sorted list of fingerprints, and where the variants beside it start.
    pub(super) fn push_with_variants(&mut self, mut list: Vec<(Fingerprint, u16)>) -> (Span, u32) {
        list.sort_unstable();
        list.dedup_by_key(|(fingerprint, _)| *fingerprint);
        let start = index(self.listed_variants.len());
        self.listed_variants.extend(list.iter().map(|(_, variant)| *variant));
        (self.push(list.into_iter().map(|(fingerprint, _)| fingerprint).collect()), start)
    }
}
