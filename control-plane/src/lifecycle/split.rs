//! Which variant owns which buckets, and how few of them move when weights change.

use super::allocation::{normalised, size};
use eval_core::source::BucketRange;
use std::collections::BTreeMap;

/// Buckets by variant.
pub(crate) type Split = BTreeMap<String, Vec<BucketRange>>;

/// Contiguous ranges in declared order.
pub(crate) fn contiguous<'a>(weights: impl IntoIterator<Item = (&'a str, u16)>) -> Split {
    let mut next = 0;
    weights
        .into_iter()
        .map(|(variant, buckets)| {
            let range = BucketRange { lo: next, hi: next + buckets };
            next = range.hi;
            (variant.to_owned(), if buckets == 0 { Vec::new() } else { vec![range] })
        })
        .collect()
}

/// The split after a change of weights: variants that lose give up the buckets at their end, variants that
/// gain take those in declared order, and no other bucket moves. Weights sum to the same total as before.
pub(crate) fn rebalanced(current: &Split, weights: &[(&str, u16)]) -> Split {
    let mut pool = Vec::new();
    let mut next: Split = Split::new();
    for (variant, ranges) in current {
        let target = weights.iter().find(|(name, _)| name == variant).map_or(0, |(_, w)| *w);
        let mut kept = normalised(ranges);
        let surplus = size(&kept).saturating_sub(target);
        cut_from_end(&mut kept, surplus, &mut pool);
        next.insert(variant.clone(), kept);
    }
    let mut pool = normalised(&pool);
    for (variant, target) in weights {
        let ranges = next.entry((*variant).to_owned()).or_default();
        let missing = target.saturating_sub(size(ranges));
        cut_from_start(&mut pool, missing, ranges);
        *ranges = normalised(ranges);
    }
    next.retain(|variant, _| weights.iter().any(|(name, _)| name == variant));
    next
}

fn cut_from_end(from: &mut Vec<BucketRange>, n_buckets: u16, into: &mut Vec<BucketRange>) {
    let mut left = n_buckets;
    while left > 0 {
        let Some(last) = from.last_mut() else { return };
        let n_cut = left.min(last.hi - last.lo);
        into.push(BucketRange { lo: last.hi - n_cut, hi: last.hi });
        last.hi -= n_cut;
        left -= n_cut;
        if last.lo == last.hi {
            from.pop();
        }
    }
}

fn cut_from_start(from: &mut Vec<BucketRange>, n_buckets: u16, into: &mut Vec<BucketRange>) {
    let mut left = n_buckets;
    while left > 0 {
        let Some(first) = from.first_mut() else { return };
        let n_cut = left.min(first.hi - first.lo);
        into.push(BucketRange { lo: first.lo, hi: first.lo + n_cut });
        first.lo += n_cut;
        left -= n_cut;
        if first.lo == first.hi {
            from.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_split_begins_contiguous_in_declared_order() {
        let split = contiguous([("b", 5000), ("a", 2500), ("c", 2500)]);
        assert_eq!(split["b"], [BucketRange { lo: 0, hi: 5000 }]);
        assert_eq!(split["a"], [BucketRange { lo: 5000, hi: 7500 }]);
        assert_eq!(split["c"], [BucketRange { lo: 7500, hi: 10_000 }]);
    }

    fn weights() -> impl Strategy<Value = [u16; 3]> {
        (0u16..=10_000, 0u16..=10_000)
            .prop_map(|(x, y)| [x.min(y), x.abs_diff(y), 10_000 - x.max(y)])
    }

    fn owner(split: &Split, bucket: u16) -> Option<&str> {
        split
            .iter()
            .find(|(_, ranges)| ranges.iter().any(|range| range.contains(bucket)))
            .map(|(variant, _)| variant.as_str())
    }

    proptest! {
        #[test]
        fn exactly_as_many_buckets_move_as_the_weights_require(
            start in weights(),
            changes in prop::collection::vec(weights(), 1..6),
        ) {
            let names = ["control", "a", "b"];
            let mut before = start;
            let mut split = contiguous(names.into_iter().zip(start));
            for after in changes {
                let next = rebalanced(&split, &names.into_iter().zip(after).collect::<Vec<_>>());
                let required: u16 =
                    before.iter().zip(after).map(|(b, a)| a.saturating_sub(*b)).sum();
                let moved =
                    (0..10_000).filter(|b| owner(&split, *b) != owner(&next, *b)).count();
                prop_assert_eq!(moved, usize::from(required));
                for (name, weight) in names.iter().zip(after) {
                    prop_assert_eq!(size(&next[*name]), weight);
                }
                before = after;
                split = next;
            }
        }
    }
}
