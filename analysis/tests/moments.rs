//! The laws of the sufficient statistics, against exact integer arithmetic.

use analysis::stats::{CoMoments, Moments};
use proptest::prelude::*;

/// Values are whole multiples of 2⁻²⁰, so that their sums are exact in 128 bits.
const UNIT: i64 = 1 << 20;
const SCALE: f64 = UNIT as f64;

/// Mean and sample variance from exact sums; only the last divisions round.
fn exact(units: &[i64]) -> (f64, f64) {
    let n = units.len() as i128;
    // Around the first value: the same result, and the squares fit.
    let first = i128::from(units[0]);
    let sum: i128 = units.iter().map(|&y| i128::from(y) - first).sum();
    let squares: i128 = units.iter().map(|&y| (i128::from(y) - first).pow(2)).sum();
    let mean = (first as f64 + sum as f64 / n as f64) / SCALE;
    let m2 = (n * squares - sum * sum) as f64 / n as f64 / SCALE / SCALE;
    (mean, m2 / (n - 1) as f64)
}

fn values(units: &[i64]) -> Vec<f64> {
    units.iter().map(|&y| y as f64 / SCALE).collect()
}

fn close(got: f64, expected: f64, tolerance: f64) -> bool {
    (got - expected).abs() <= tolerance * expected.abs().max(f64::MIN_POSITIVE)
}

/// A sample of spread about 1 around an offset.
fn sample(offset: i64) -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec((-UNIT..UNIT).prop_map(move |y| y + offset * UNIT), 2..400)
        .prop_filter("all equal", |units| units.iter().any(|y| *y != units[0]))
}

fn agrees_at(units: &[i64], cuts: &[usize], tolerance: f64) {
    let (mean, variance) = exact(units);
    let values = values(units);
    let mut merged = Moments::EMPTY;
    let mut one_by_one = Moments::EMPTY;
    let mut from = 0;
    for cut in cuts.iter().map(|cut| cut % values.len()).chain([values.len()]) {
        if cut > from {
            merged = merged.merge(Moments::of(&values[from..cut]));
            from = cut;
        }
    }
    for &y in &values {
        one_by_one.add(y);
    }
    for moments in [Moments::of(&values), merged, one_by_one] {
        assert_eq!(moments.n(), values.len() as u64);
        // The values spread over ±1 around their offset; a mean may lie anywhere near zero.
        assert!((moments.mean() - mean).abs() <= 1e-15 * (1.0 + mean.abs()), "{moments:?} {mean}");
        let got = moments.variance().expect("at least two values");
        assert!(close(got, variance, tolerance), "{got} {variance}");
    }
}

proptest! {
    #[test]
    fn moments_agree_with_exact_arithmetic_at_any_offset(
        near in sample(0), far in sample(1_000_000), farther in sample(1_000_000_000),
        cuts in prop::collection::vec(0_usize..400, 0..12).prop_map(|mut cuts| { cuts.sort_unstable(); cuts }),
    ) {
        agrees_at(&near, &cuts, 1e-12);
        agrees_at(&far, &cuts, 1e-12);
        agrees_at(&farther, &cuts, 1e-11);
    }

    #[test]
    fn merging_is_commutative_and_associative(a in sample(7), b in sample(-3), c in sample(1_000)) {
        let (a, b, c) = (Moments::of(&values(&a)), Moments::of(&values(&b)), Moments::of(&values(&c)));
        for (left, right) in [
            (a.merge(b), b.merge(a)),
            (a.merge(b).merge(c), a.merge(b.merge(c))),
        ] {
            prop_assert_eq!(left.n(), right.n());
            prop_assert!((left.mean() - right.mean()).abs() <= 1e-12);
            prop_assert!(close(left.m2(), right.m2(), 1e-13));
            prop_assert!((left.m3() - right.m3()).abs() <= 1e-12 * left.m2().powf(1.5));
            prop_assert_eq!(left.min().to_bits(), right.min().to_bits());
            prop_assert_eq!(left.max().to_bits(), right.max().to_bits());
        }
        prop_assert_eq!(a.merge(Moments::EMPTY), a);
        prop_assert_eq!(Moments::EMPTY.merge(a), a);
    }

    #[test]
    fn joint_moments_are_those_of_the_sum_and_the_parts(pairs in prop::collection::vec((-9i32..9, -9i32..9), 2..300)) {
        let (mut y, mut x) = (Vec::new(), Vec::new());
        for &(a, b) in &pairs {
            y.push(f64::from(a));
            x.push(f64::from(b));
        }
        // var(x + y) = var x + var y + 2 cov: checks the covariance without a second formula for it.
        let sum: Moments = y.iter().zip(&x).map(|(a, b)| a + b).collect();
        let half = pairs.len() / 2;
        let merged = CoMoments::of(&y[..half], &x[..half]).merge(CoMoments::of(&y[half..], &x[half..]));
        for joint in [CoMoments::of(&y, &x), merged] {
            let by_parts = joint.y().variance().expect("at least two") + joint.x().variance().expect("at least two")
                + 2.0 * joint.covariance().expect("at least two");
            prop_assert!((by_parts - sum.variance().expect("at least two")).abs() < 1e-9);
        }
    }
}

#[test]
fn zeros_need_not_be_listed() {
    let all: Vec<f64> =
        (0_u32..1000).map(|i| if i % 3 == 0 { f64::from(i) } else { 0.0 }).collect();
    let others: Vec<f64> = all.iter().copied().filter(|y| *y != 0.0).collect();
    let expected = Moments::of(&all);
    let got = Moments::of(&others).merge(Moments::of_zeros(1000 - others.len() as u64));
    assert_eq!((got.n(), got.n_nonzero()), (1000, expected.n_nonzero()));
    assert!(close(got.mean(), expected.mean(), 1e-14));
    assert!(close(got.m2(), expected.m2(), 1e-13));
    assert!(close(got.m3(), expected.m3(), 1e-12));
    assert_eq!((got.min().to_bits(), got.max().to_bits()), (0, 999.0_f64.to_bits()));
}

#[test]
fn nothing_panics_on_absurd_values() {
    for values in [
        vec![],
        vec![0.0],
        vec![1e300, -1e300, 1e300],
        vec![f64::MAX, f64::MIN, f64::MAX],
        vec![f64::MIN_POSITIVE / 4.0, 0.0],
        vec![f64::INFINITY, 1.0],
        vec![f64::NAN, 1.0],
    ] {
        let moments = Moments::of(&values);
        assert_eq!(moments.n(), values.len() as u64);
        assert_eq!(moments.variance().is_some(), values.len() > 1);
    }
}
