//! What a quantile sketch promises: the same for any order and split, and bounds that hold.

use analysis::methods::quantile::type_7;
use analysis::methods::quantile_ranks::{Ranks, interval};
use analysis::methods::{Alpha, quantile_sketch};
use analysis::stats::QuantileSketch;
use proptest::prelude::*;

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (-6.0..6.0_f64).prop_map(f64::exp),
        2 => (-20_i32..20).prop_map(f64::from),
        1 => -1e3..1e3_f64,
        1 => prop_oneof![Just(0.0), Just(-0.0), Just(1e300), Just(-1e300), Just(5e-324), Just(f64::MAX)],
    ]
}

fn values() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(value(), 1..400)
}

proptest! {
    #[test]
    fn a_sketch_does_not_depend_on_order_or_split(
        values in values(), cuts in prop::collection::vec(0_usize..400, 0..5), most in 16_usize..200,
    ) {
        let whole = QuantileSketch::of(&values, most);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % values.len()).collect();
        cuts.extend([0, values.len()]);
        cuts.sort_unstable();
        let parts = || cuts.windows(2).map(|cut| QuantileSketch::of(&values[cut[0]..cut[1]], most));
        let forwards = parts().fold(QuantileSketch::new(most), QuantileSketch::merge);
        let backwards =
            parts().rev().fold(QuantileSketch::new(most), |sum, part| part.merge(sum));
        let one_by_one = values
            .iter()
            .rev()
            .map(|value| QuantileSketch::of(&[*value], most))
            .fold(QuantileSketch::new(most), QuantileSketch::merge);
        prop_assert_eq!(&whole, &forwards);
        prop_assert_eq!(&whole, &backwards);
        prop_assert_eq!(&whole, &one_by_one);
        prop_assert!(whole.n_buckets() <= most);
        prop_assert_eq!(whole.n(), values.len() as u64);
    }

    #[test]
    fn every_rank_lies_in_its_bucket(values in values(), most in 16_usize..100) {
        let sketch = QuantileSketch::of(&values, most);
        let mut sorted: Vec<f64> = values.iter().map(|value| value + 0.0).collect();
        sorted.sort_by(f64::total_cmp);
        for (i, value) in sorted.iter().enumerate() {
            let rank = i as u64 + 1;
            let located = sketch.at_rank(rank).expect("a rank of the sample");
            prop_assert!(located.lo <= *value && *value <= located.hi, "{} {:?}", value, located);
            prop_assert!(located.before < rank && rank <= located.before + located.count);
            prop_assert!(located.lo >= sorted[0] && located.hi <= sorted[sorted.len() - 1]);
        }
        prop_assert!(sketch.at_rank(0).is_none());
        prop_assert!(sketch.at_rank(values.len() as u64 + 1).is_none());
    }

    #[test]
    fn a_sketch_with_enough_buckets_is_exact(values in values(), q in 0.01..0.99_f64) {
        let sketch = QuantileSketch::of(&values, 1000);
        prop_assert!(sketch.is_exact());
        let found = quantile_sketch::estimate(&sketch, q, 1.0, Alpha::DEFAULT).expect("values");
        let mut sorted: Vec<f64> = values.iter().map(|value| value + 0.0).collect();
        sorted.sort_by(f64::total_cmp);
        prop_assert_eq!(found.ci, interval(&sorted, q, Alpha::DEFAULT, Ranks::Exact));
        let exact = type_7(&mut sorted, q);
        // Both may overflow between −1e300 and the largest number.
        prop_assert!(exact.to_bits() == found.estimate.value.to_bits() || exact.is_nan());
    }

    #[test]
    fn a_coarse_interval_contains_the_exact_one(values in values(), q in 0.01..0.99_f64, most in 16_usize..60) {
        let sketch = QuantileSketch::of(&values, most);
        let found = quantile_sketch::estimate(&sketch, q, 1.0, Alpha::DEFAULT).expect("values");
        let mut sorted: Vec<f64> = values.iter().map(|value| value + 0.0).collect();
        sorted.sort_by(f64::total_cmp);
        let (lo, hi) = interval(&sorted, q, Alpha::DEFAULT, Ranks::Exact);
        prop_assert_eq!(found.ci.0.is_some(), lo.is_some());
        prop_assert_eq!(found.ci.1.is_some(), hi.is_some());
        prop_assert!(found.ci.0.zip(lo).is_none_or(|(wide, exact)| wide <= exact));
        prop_assert!(found.ci.1.zip(hi).is_none_or(|(wide, exact)| wide >= exact));
        prop_assert!((0.0..1.0).contains(&found.rank_error));
    }
}

#[test]
fn a_million_values_are_read_to_a_fraction_of_a_percent() {
    // Lognormal by the inverse of its distribution at evenly spaced shares.
    let values: Vec<f64> = (0_u32..1_000_000)
        .map(|i| analysis::methods::normal::isf((f64::from(i) + 0.5) / 1e6).exp())
        .collect();
    let sketch = QuantileSketch::of(&values, analysis::stats::MOST_BUCKETS);
    assert!(sketch.n_buckets() <= analysis::stats::MOST_BUCKETS);
    for q in [0.01, 0.5, 0.9, 0.99, 0.999] {
        let found = quantile_sketch::estimate(&sketch, q, 1.0, Alpha::DEFAULT).expect("values");
        let exact = type_7(&mut values.clone(), q);
        assert!((found.estimate.value / exact - 1.0).abs() < 2e-4, "{q} {found:?} {exact}");
        assert!(found.bucket.1 / found.bucket.0 < 1.005, "{q} {found:?}");
        assert!(found.rank_error < 0.001, "{q} {found:?}");
    }
}

#[test]
fn an_empty_sketch_is_the_identity() {
    let sketch = QuantileSketch::of(&[3.0, 1.0, 2.0, f64::NAN], 64);
    assert_eq!(sketch.n(), 3);
    assert_eq!(sketch.clone().merge(QuantileSketch::new(64)), sketch);
    assert_eq!(QuantileSketch::new(64).merge(sketch.clone()), sketch);
    assert_eq!(sketch.quantile(0.5), Some(2.0));
    assert_eq!(QuantileSketch::new(64).quantile(0.5), None);
}
