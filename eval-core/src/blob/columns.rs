//! Tables as columns of small numbers.
//!
//! A table of experiments stored row by row mixes numbers that hardly ever change with names that always do. Stored
//! column by column, most columns are runs of one value, which compress to nothing. A column is borrowed from the blob and
//! read number by number: loading a config needs no memory besides the config.

use crate::bucket::SaltState;
use crate::config::Span;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Bytes that are borrowed when read.
#[derive(Default)]
pub(super) struct Bytes<'b>(pub(super) Cow<'b, [u8]>);

impl Serialize for Bytes<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de: 'b, 'b> Deserialize<'de> for Bytes<'b> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Cow::Borrowed(<&'de [u8]>::deserialize(deserializer)?)))
    }
}

/// Numbers, seven bits a byte, the lowest first; the highest bit says that more follow.
#[derive(Serialize, Deserialize, Default)]
pub(super) struct Numbers<'b>(#[serde(borrow)] Bytes<'b>);

impl Numbers<'_> {
    pub(super) fn of(numbers: impl Iterator<Item = u32>) -> Self {
        let mut bytes = Vec::new();
        for mut number in numbers {
            while number > 0x7f {
                bytes.push((number & 0x7f) as u8 | 0x80);
                number >>= 7;
            }
            bytes.push((number & 0x7f) as u8);
        }
        Self(Bytes(bytes.into()))
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.0.iter().filter(|&&byte| byte < 0x80).count()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        let mut bytes = self.0.0.iter();
        // A number that the bytes end in the middle of is none; bits beyond the thirty-second are lost.
        std::iter::from_fn(move || {
            let first = *bytes.next()?;
            let mut number = u32::from(first & 0x7f);
            let mut byte = first;
            let mut shift = 7u32;
            while byte > 0x7f {
                byte = *bytes.next()?;
                number |= u32::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
                shift = shift.saturating_add(7);
            }
            Some(number)
        })
    }
}

/// Numbers of which most follow from the one before, each as its distance from what is expected: 0, -1, 1, -2, …
#[derive(Serialize, Deserialize, Default)]
pub(super) struct Expected<'b>(#[serde(borrow)] Numbers<'b>);

impl Expected<'_> {
    /// Pairs of what is expected and what is.
    pub(super) fn of(pairs: impl Iterator<Item = (u32, u32)>) -> Self {
        Self(Numbers::of(pairs.map(|(expected, number)| {
            let distance = number.wrapping_sub(expected).cast_signed();
            (distance.wrapping_shl(1) ^ distance.wrapping_shr(31)).cast_unsigned()
        })))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The distances, to be added to what is expected.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().map(|coded| (coded >> 1) ^ (coded & 1).wrapping_neg())
    }
}

/// Numbers that mostly count up by one.
#[derive(Serialize, Deserialize, Default)]
pub(super) struct Ascending<'b>(#[serde(borrow)] Expected<'b>);

impl Ascending<'_> {
    pub(super) fn of(numbers: impl Iterator<Item = u32>) -> Self {
        let mut next = 0u32;
        Self(Expected::of(numbers.map(|number| {
            let expected = std::mem::replace(&mut next, number.wrapping_add(1));
            (expected, number)
        })))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        let mut next = 0u32;
        self.0.iter().map(move |distance| {
            let number = next.wrapping_add(distance);
            next = number.wrapping_add(1);
            number
        })
    }
}

/// Ids that are mostly new, one more than the highest before them: those are written 0, all others as one more than themselves.
#[derive(Serialize, Deserialize, Default)]
pub(super) struct Fresh<'b>(#[serde(borrow)] Numbers<'b>);

impl Fresh<'_> {
    /// Ids from `limit` on are never new.
    pub(super) fn of(ids: impl Iterator<Item = u32>, limit: u32) -> Self {
        let mut next = 0u32;
        Self(Numbers::of(ids.map(|id| encode_fresh(&mut next, id, limit))))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self, limit: u32) -> impl Iterator<Item = u32> {
        let mut next = 0u32;
        self.0.iter().map(move |code| decode_fresh(&mut next, code, limit))
    }
}

fn encode_fresh(next: &mut u32, id: u32, limit: u32) -> u32 {
    let code = if id == *next { 0 } else { id.wrapping_add(1) };
    if id < limit {
        *next = id.wrapping_add(1).max(*next);
    }
    code
}

fn decode_fresh(next: &mut u32, code: u32, limit: u32) -> u32 {
    let id = code.checked_sub(1).unwrap_or(*next);
    if id < limit {
        *next = id.wrapping_add(1).max(*next);
    }
    id
}

/// The same with gaps: 0 is none, and all codes are one higher.
#[derive(Serialize, Deserialize, Default)]
pub(super) struct Optional<'b>(#[serde(borrow)] Numbers<'b>);

impl Optional<'_> {
    /// `first` is the first id that is new.
    pub(super) fn of(ids: impl Iterator<Item = Option<u32>>, first: u32) -> Self {
        let mut next = first;
        Self(Numbers::of(
            ids.map(|id| id.map_or(0, |id| encode_fresh(&mut next, id, u32::MAX).wrapping_add(1))),
        ))
    }

    pub(super) fn iter(&self, first: u32) -> impl Iterator<Item = Option<u32>> {
        let mut next = first;
        self.0.iter().map(move |code| Some(decode_fresh(&mut next, code.checked_sub(1)?, u32::MAX)))
    }
}

/// Stretches of a table that mostly follow each other: the start as its distance from the furthest end before. An empty stretch
/// starts nowhere.
#[derive(Serialize, Deserialize, Default)]
pub(super) struct Spans<'b> {
    #[serde(borrow)]
    starts: Expected<'b>,
    lens: Numbers<'b>,
}

impl Spans<'_> {
    pub(super) fn of(spans: impl Iterator<Item = Span> + Clone) -> Self {
        let mut end = 0u32;
        let starts = Expected::of(spans.clone().map(|span| {
            let expected = end;
            let start = if span.is_empty() { expected } else { span.start };
            end = start.wrapping_add(span.len).max(end);
            (expected, start)
        }));
        Self { starts, lens: Numbers::of(spans.map(|span| span.len)) }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Span> {
        let mut end = 0u32;
        self.starts.iter().zip(self.lens.iter()).map(move |(distance, len)| {
            let start = end.wrapping_add(distance);
            end = start.wrapping_add(len).max(end);
            if len == 0 { Span::default() } else { Span { start, len } }
        })
    }
}

/// States of salts. Those of 15 bytes fill their blocks, so nothing but the state itself is random.
#[derive(Serialize, Deserialize, Default)]
pub(super) struct SaltStates<'b> {
    #[serde(borrow)]
    lens: Bytes<'b>,
    /// Four bytes each, little endian: random numbers are longer in any other form.
    states: Bytes<'b>,
    /// For salts that do not fill their blocks only.
    carries: Numbers<'b>,
}

impl SaltStates<'_> {
    pub(super) fn of(salts: impl Iterator<Item = SaltState> + Clone) -> Self {
        let unaligned = salts.clone().filter(|salt| !salt.is_aligned());
        Self {
            lens: Bytes(salts.clone().map(SaltState::len).collect()),
            carries: Numbers::of(unaligned.map(SaltState::carry)),
            states: Bytes(salts.flat_map(|salt| salt.hash_state().to_le_bytes()).collect()),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = SaltState> {
        let (states, _) = self.states.0.as_chunks::<4>();
        let mut carries = self.carries.iter();
        self.lens.0.iter().zip(states).map(move |(&len, state)| {
            let aligned = len.is_multiple_of(4);
            let carry = if aligned { 0 } else { carries.next().unwrap_or(0) };
            SaltState::from_parts(u32::from_le_bytes(*state), carry, len)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn columns_hold_what_was_put_in(numbers in prop::collection::vec(prop_oneof![any::<u32>(), 0u32..300], 0..50)) {
            let all = || numbers.iter().copied();
            let bytes = postcard::to_allocvec(&Numbers::of(all())).unwrap();
            let column: Numbers<'_> = postcard::from_bytes(&bytes).unwrap();
            prop_assert_eq!(column.len(), numbers.len());
            prop_assert_eq!(column.iter().collect::<Vec<_>>(), numbers.clone());
            prop_assert_eq!(Ascending::of(all()).iter().collect::<Vec<_>>(), numbers.clone());
            let spans = || all().map(|n| if n % 4 == 0 { Span::default() } else { Span { start: n >> 3, len: n % 4 } });
            prop_assert_eq!(Spans::of(spans()).iter().collect::<Vec<_>>(), spans().collect::<Vec<_>>());
            // Ids stay below the highest number: there are never as many rows.
            let ids = || all().map(|number| number >> 2);
            prop_assert_eq!(Fresh::of(ids(), 100).iter(100).collect::<Vec<_>>(), ids().collect::<Vec<_>>());
            let gaps = || ids().map(|id| (id % 3 != 0).then_some(id));
            prop_assert_eq!(Optional::of(gaps(), 7).iter(7).collect::<Vec<_>>(), gaps().collect::<Vec<_>>());
        }

        #[test]
        fn columns_of_nonsense_end(bytes in prop::collection::vec(any::<u8>(), 0..50)) {
            let column = Numbers(Bytes(bytes.into()));
            prop_assert!(column.iter().count() <= column.len());
        }
    }
}
