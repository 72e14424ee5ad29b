//! A slot table: who owns each of the 10 000 buckets of a space.
//!
//! Ownership is kept as runs of equal owners, so a table costs a few bytes however many experiments share the space,
//! and one look-up finds the owner among all of them. Two owners can never hold the same bucket: the form cannot say it.

use crate::bucket::BUCKET_COUNT;
use crate::source::BucketRange;

/// Owner of a run that nobody owns.
pub(crate) const NOBODY: u16 = u16::MAX;

/// Index of a slot table in its config.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SlotsId(pub(crate) u32);

/// Buckets up to `end` (exclusive), from the end of the run before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Run {
    pub(crate) end: u16,
    pub(crate) owner: u16,
}

/// Two owners claim the same bucket, or a range leaves the space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SlotsError {
    Overlap { bucket: u16, owners: (u16, u16) },
    OutOfSpace { owner: u16 },
}

/// Runs from ranges. Adjacent runs of one owner are joined, so that equal ownership has one form.
pub(crate) fn runs_of(claims: &[(u16, BucketRange)]) -> Result<Vec<Run>, SlotsError> {
    let mut sorted: Vec<(u16, BucketRange)> = Vec::with_capacity(claims.len());
    for &(owner, range) in claims {
        if range.lo > range.hi || range.hi > BUCKET_COUNT {
            return Err(SlotsError::OutOfSpace { owner });
        }
        if range.lo < range.hi {
            sorted.push((owner, range));
        }
    }
    sorted.sort_by_key(|(owner, range)| (range.lo, *owner));
    let mut runs: Vec<Run> = Vec::new();
    let mut end = 0;
    let mut last_owner = NOBODY;
    for (owner, range) in sorted {
        if range.lo < end {
            return Err(SlotsError::Overlap { bucket: range.lo, owners: (last_owner, owner) });
        }
        if range.lo > end {
            push(&mut runs, Run { end: range.lo, owner: NOBODY });
        }
        push(&mut runs, Run { end: range.hi, owner });
        end = range.hi;
        last_owner = owner;
    }
    if end < BUCKET_COUNT {
        push(&mut runs, Run { end: BUCKET_COUNT, owner: NOBODY });
    }
    Ok(runs)
}

fn push(runs: &mut Vec<Run>, run: Run) {
    match runs.last_mut() {
        Some(last) if last.owner == run.owner => last.end = run.end,
        _ => runs.push(run),
    }
}

/// The owner of a bucket, if it has one.
#[inline(always)]
pub(crate) fn owner_of(runs: &[Run], bucket: u16) -> Option<u16> {
    // Most tables have a handful of runs. Which one it is cannot be predicted, so counting beats looking for it.
    let at = if runs.len() <= 8 {
        runs.iter().map(|run| usize::from(run.end <= bucket)).fold(0, usize::wrapping_add)
    } else {
        runs.partition_point(|run| run.end <= bucket)
    };
    runs.get(at).map(|run| run.owner).filter(|&owner| owner != NOBODY)
}

/// The ranges that an owner holds, in order.
pub(crate) fn ranges_of(runs: &[Run], owner: u16) -> impl Iterator<Item = BucketRange> {
    let starts = std::iter::once(0).chain(runs.iter().map(|run| run.end));
    starts
        .zip(runs)
        .filter(move |(_, run)| run.owner == owner)
        .map(|(lo, run)| BucketRange { lo, hi: run.end })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn overlaps_and_ranges_outside_the_space_are_refused() {
        let range = |lo, hi| BucketRange { lo, hi };
        assert_eq!(
            runs_of(&[(0, range(0, 100)), (1, range(99, 200))]),
            Err(SlotsError::Overlap { bucket: 99, owners: (0, 1) })
        );
        assert_eq!(runs_of(&[(3, range(0, 10_001))]), Err(SlotsError::OutOfSpace { owner: 3 }));
        assert_eq!(runs_of(&[(3, range(9, 8))]), Err(SlotsError::OutOfSpace { owner: 3 }));
    }

    proptest! {
        #[test]
        fn the_owner_is_the_one_whose_range_holds_the_bucket(cuts in prop::collection::btree_set(0u16..10_000, 2..40), bucket in 0u16..10_000) {
            let cuts: Vec<u16> = cuts.into_iter().collect();
            // Every second stretch is owned, by alternating owners.
            let claims: Vec<(u16, BucketRange)> = cuts
                .windows(2)
                .enumerate()
                .filter(|(i, _)| i % 2 == 0)
                .map(|(i, pair)| (u16::try_from(i % 3).unwrap(), BucketRange { lo: pair[0], hi: pair[1] }))
                .collect();
            let runs = runs_of(&claims).unwrap();
            let expected = claims.iter().find(|(_, range)| range.contains(bucket)).map(|(owner, _)| *owner);
            prop_assert_eq!(owner_of(&runs, bucket), expected);
            for owner in 0..3 {
                let held: Vec<BucketRange> = ranges_of(&runs, owner).collect();
                let n_claimed: u32 = claims.iter().filter(|(o, _)| *o == owner).map(|(_, r)| u32::from(r.hi - r.lo)).sum();
                let n_held: u32 = held.iter().map(|r| u32::from(r.hi - r.lo)).sum();
                prop_assert_eq!(n_claimed, n_held);
            }
        }
    }
}
