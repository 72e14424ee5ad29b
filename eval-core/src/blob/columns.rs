//! Tables as columns of small numbers.
//!
//! A table of experiments stored row by row mixes numbers that hardly ever change with names that always do. Stored
//! column by column, most columns are runs of one value, which compress to nothing.

use crate::bucket::SaltState;
use crate::config::Span;
use crate::strings::StringId;
use serde::{Deserialize, Serialize};

/// Ids that mostly count up by one: each as its distance from one more than the id before.
#[derive(Serialize, Deserialize, Default)]
pub(super) struct Ascending(Vec<i32>);

impl Ascending {
    pub(super) fn of(ids: impl Iterator<Item = u32>) -> Self {
        let mut expected = 0u32;
        Self(
            ids.map(|id| {
                let distance = id.wrapping_sub(expected).cast_signed();
                expected = id.wrapping_add(1);
                distance
            })
            .collect(),
        )
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        let mut expected = 0u32;
        self.0.iter().map(move |&distance| {
            let id = expected.wrapping_add(distance.cast_unsigned());
            expected = id.wrapping_add(1);
            id
        })
    }
}

pub(super) fn strings(ids: impl Iterator<Item = StringId>) -> Ascending {
    Ascending::of(ids.map(|id| id.0))
}

/// Stretches that mostly follow each other: the start as its distance from the end before.
#[derive(Serialize, Deserialize, Default)]
pub(super) struct Spans {
    gaps: Vec<i32>,
    lens: Vec<u32>,
}

impl Spans {
    pub(super) fn of(spans: impl Iterator<Item = Span>) -> Self {
        let mut this = Self::default();
        let mut end = 0u32;
        for span in spans {
            this.gaps.push(span.start.wrapping_sub(end).cast_signed());
            this.lens.push(span.len);
            end = span.start.wrapping_add(span.len);
        }
        this
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Span> {
        let mut end = 0u32;
        self.gaps.iter().zip(&self.lens).map(move |(&gap, &len)| {
            let start = end.wrapping_add(gap.cast_unsigned());
            end = start.wrapping_add(len);
            Span { start, len }
        })
    }
}

/// States of salts. Those of 15 bytes fill their blocks, so nothing but the state itself is random.
#[derive(Serialize, Deserialize, Default)]
pub(super) struct SaltStates<'b> {
    lens: Vec<u8>,
    /// Four bytes each, little endian: random numbers are longer as varints.
    #[serde(borrow)]
    states: Bytes<'b>,
    /// For salts that do not fill their blocks only.
    carries: Vec<u32>,
}

/// Bytes that are borrowed when read.
#[derive(Default)]
pub(super) struct Bytes<'b>(pub(super) std::borrow::Cow<'b, [u8]>);

impl Serialize for Bytes<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de: 'b, 'b> Deserialize<'de> for Bytes<'b> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(std::borrow::Cow::Borrowed(<&'de [u8]>::deserialize(deserializer)?)))
    }
}

impl SaltStates<'_> {
    pub(super) fn of(salts: impl Iterator<Item = SaltState>) -> Self {
        let mut lens = Vec::new();
        let mut states = Vec::new();
        let mut carries = Vec::new();
        for salt in salts {
            lens.push(salt.len);
            states.extend_from_slice(&salt.h.to_le_bytes());
            if !salt.is_aligned() {
                carries.push(salt.carry);
            }
        }
        Self { lens, states: Bytes(states.into()), carries }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = SaltState> {
        let (states, _) = self.states.0.as_chunks::<4>();
        let mut carries = self.carries.iter();
        self.lens.iter().zip(states).map(move |(&len, state)| {
            let aligned = len.is_multiple_of(4);
            let carry = if aligned { 0 } else { carries.next().copied().unwrap_or(0) };
            SaltState { h: u32::from_le_bytes(*state), carry, len }
        })
    }
}

/// Indices into a table, or none: 0 is none, all others are one more than the index.
#[derive(Serialize, Deserialize, Default)]
pub(super) struct Optional(Vec<u32>);

impl Optional {
    pub(super) fn of(ids: impl Iterator<Item = Option<u32>>) -> Self {
        Self(ids.map(|id| id.map_or(0, |id| id.wrapping_add(1))).collect())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Option<u32>> {
        self.0.iter().map(|id| id.checked_sub(1))
    }
}
