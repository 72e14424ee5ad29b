//! Buckets of a layer: giving them out and taking them back without moving anybody.
//!
//! An experiment's ranges are kept in the order in which it was given them. More traffic appends buckets that
//! nobody holds; less traffic takes from the end. So whoever stays in keeps his bucket.

use eval_core::bucket::BUCKET_COUNT;
use eval_core::source::BucketRange;

/// Number of buckets in some disjoint ranges.
pub(crate) fn size(ranges: &[BucketRange]) -> u16 {
    ranges.iter().map(|range| range.hi - range.lo).sum()
}

/// The ranges sorted, with neighbours joined.
pub(crate) fn normalised(ranges: &[BucketRange]) -> Vec<BucketRange> {
    let mut sorted: Vec<BucketRange> = ranges.iter().copied().filter(|r| r.lo < r.hi).collect();
    sorted.sort_unstable();
    let mut joined: Vec<BucketRange> = Vec::with_capacity(sorted.len());
    for range in sorted {
        match joined.last_mut() {
            Some(last) if range.lo <= last.hi => last.hi = last.hi.max(range.hi),
            _ => joined.push(range),
        }
    }
    joined
}

/// The buckets in none of the ranges.
pub(crate) fn free(taken: &[BucketRange]) -> Vec<BucketRange> {
    let mut free = Vec::new();
    let mut next = 0;
    for range in normalised(taken) {
        if next < range.lo {
            free.push(BucketRange { lo: next, hi: range.lo });
        }
        next = range.hi;
    }
    if next < BUCKET_COUNT {
        free.push(BucketRange { lo: next, hi: BUCKET_COUNT });
    }
    free
}

/// Too few buckets are free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shortage {
    /// Buckets wanted in addition.
    pub(crate) wanted: u16,
    /// Buckets that are free.
    pub(crate) free: u16,
}

/// Changes `owned` to `target` buckets. `others` are the buckets of everyone else in the layer.
pub(crate) fn resize(
    owned: &mut Vec<BucketRange>,
    target: u16,
    others: &[BucketRange],
) -> Result<(), Shortage> {
    let current = size(owned);
    if target < current {
        take_back(owned, current - target);
        return Ok(());
    }
    let wanted = target - current;
    if wanted == 0 {
        return Ok(());
    }
    let taken: Vec<BucketRange> = others.iter().chain(owned.iter()).copied().collect();
    let gaps = free(&taken);
    if size(&gaps) < wanted {
        return Err(Shortage { wanted, free: size(&gaps) });
    }
    // Behind the last range first, then the first gap that holds all, then piece by piece: few ranges
    // keep the config small.
    let end = owned.last().map(|range| range.hi);
    let follows = gaps.iter().position(|gap| Some(gap.lo) == end);
    let fits = gaps.iter().position(|gap| gap.hi - gap.lo >= wanted);
    let first = follows.filter(|&i| gaps[i].hi - gaps[i].lo >= wanted).or(fits).or(follows);
    let order = first.into_iter().chain((0..gaps.len()).filter(|i| Some(*i) != first));
    let mut missing = wanted;
    for index in order {
        let gap = gaps[index];
        let n_buckets = missing.min(gap.hi - gap.lo);
        give(owned, BucketRange { lo: gap.lo, hi: gap.lo + n_buckets });
        missing -= n_buckets;
        if missing == 0 {
            break;
        }
    }
    Ok(())
}

fn give(owned: &mut Vec<BucketRange>, range: BucketRange) {
    match owned.last_mut() {
        Some(last) if last.hi == range.lo => last.hi = range.hi,
        _ => owned.push(range),
    }
}

fn take_back(owned: &mut Vec<BucketRange>, n_buckets: u16) {
    let mut surplus = n_buckets;
    while surplus > 0 {
        let Some(last) = owned.last_mut() else { return };
        let n_taken = surplus.min(last.hi - last.lo);
        last.hi -= n_taken;
        surplus -= n_taken;
        if last.lo == last.hi {
            owned.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(lo: u16, hi: u16) -> BucketRange {
        BucketRange { lo, hi }
    }

    #[test]
    fn the_first_gap_that_holds_everything_is_taken() {
        let mut owned = Vec::new();
        resize(&mut owned, 3000, &[range(1000, 2000), range(6000, 7000)]).unwrap();
        assert_eq!(owned, [range(2000, 5000)]);
    }

    #[test]
    fn scattered_buckets_are_used_when_no_gap_holds_everything() {
        let mut owned = Vec::new();
        resize(&mut owned, 6000, &[range(2000, 4000), range(8000, 9000)]).unwrap();
        assert_eq!(size(&owned), 6000);
        assert_eq!(normalised(&owned), [range(0, 2000), range(4000, 8000)]);
    }

    #[test]
    fn a_full_layer_says_how_much_is_free() {
        let shortage = resize(&mut Vec::new(), 5000, &[range(0, 6000)]).unwrap_err();
        assert_eq!(shortage, Shortage { wanted: 5000, free: 4000 });
    }

    proptest! {
        #[test]
        fn buckets_are_added_to_and_taken_from_the_end_alone(
            targets in prop::collection::vec(0u16..=10_000, 1..12),
            cuts in prop::collection::btree_set(0u16..=10_000, 0..6),
        ) {
            let cuts: Vec<u16> = cuts.into_iter().collect();
            let others: Vec<BucketRange> =
                cuts.chunks_exact(2).map(|pair| range(pair[0], pair[1])).collect();
            let mut owned = Vec::new();
            for target in targets {
                let before: Vec<u16> = owned.iter().flat_map(|r: &BucketRange| r.lo..r.hi).collect();
                if let Err(shortage) = resize(&mut owned, target, &others) {
                    prop_assert!(shortage.free < shortage.wanted);
                    prop_assert_eq!(size(&owned), u16::try_from(before.len()).unwrap());
                    continue;
                }
                let after: Vec<u16> = owned.iter().flat_map(|r| r.lo..r.hi).collect();
                let kept = before.len().min(after.len());
                prop_assert_eq!(&before[..kept], &after[..kept]);
                prop_assert_eq!(size(&owned), target);
                let mut all = owned.clone();
                all.extend(&others);
                let disjoint = target + size(&others);
                prop_assert_eq!(size(&normalised(&all)), disjoint);
            }
        }
    }
}
