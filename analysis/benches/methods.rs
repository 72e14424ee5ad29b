//! One test from sufficient statistics: what a cycle of 500 000 tests is made of.

use analysis::methods::beta_binomial::{BetaParameters, beta_binomial};
use analysis::methods::confidence_sequence::compare_means;
use analysis::methods::group_sequential::{Sides, Spending, bounds, cached_bounds};
use analysis::methods::{Alpha, Alternative, cuped, proportions, ratio, srm, student_t, welch};
use analysis::stats::{CoMoments, Moments, Successes};
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

fn arms(n: u64) -> (Moments, Moments) {
    let arm = |mean, variance| Moments::from_summary(n, mean, variance).expect("sound");
    (arm(10.0, 4.0), arm(10.02, 4.4))
}

#[divan::bench(args = [30, 1_000, 100_000, 10_000_000])]
fn welch_t(bencher: Bencher<'_, '_>, n: u64) {
    let (control, treatment) = arms(n);
    bencher
        .bench_local(|| welch::welch(black_box(&control), black_box(&treatment), Alpha::DEFAULT));
}

#[divan::bench(args = [1_000, 10_000_000])]
fn two_proportions_with_score_intervals(bencher: Bencher<'_, '_>, n: u64) {
    let (control, treatment) = shares(n);
    bencher.bench_local(|| {
        proportions::compare(black_box(control), black_box(treatment), Alpha::DEFAULT)
    });
}

#[divan::bench(args = [1_000, 10_000_000])]
fn two_proportions_p_value(bencher: Bencher<'_, '_>, n: u64) {
    let (control, treatment) = shares(n);
    let alternative = analysis::methods::Alternative::TwoSided;
    bencher.bench_local(|| {
        proportions::pooled_z(black_box(control), black_box(treatment), alternative)
    });
}

fn shares(n: u64) -> (Successes, Successes) {
    let arm = |successes| Successes::try_new(n, successes).expect("sound");
    (arm(n / 10), arm(n / 10 + n / 100))
}

#[divan::bench(args = [5.5, 500.0, 1e7])]
fn student_t_quantile(bencher: Bencher<'_, '_>, df: f64) {
    bencher.bench_local(|| student_t::isf(black_box(0.025), black_box(df)));
}

#[divan::bench]
fn sequential_sample_ratio(bencher: Bencher<'_, '_>) {
    let counts = [1_000_200, 500_100, 499_800];
    bencher.bench_local(|| {
        srm::srm_sequential(black_box(&counts), &[50.0, 25.0, 25.0], srm::CONCENTRATION)
    });
}

#[divan::bench]
fn moments_of_1000_values(bencher: Bencher<'_, '_>) {
    let values: Vec<f64> = (0_u32..1000).map(|i| f64::from(i % 97) * 1.25).collect();
    bencher.bench_local(|| Moments::of(black_box(&values)));
}

fn joint(n: u64) -> (CoMoments, CoMoments) {
    let arm = |mean: f64| {
        let y = Moments::from_summary(n, mean, 4.0).expect("sound");
        let x = Moments::from_summary(n, 9.0, 3.0).expect("sound");
        CoMoments::from_summary(y, x, 2.0).expect("sound")
    };
    (arm(10.0), arm(10.05))
}

#[divan::bench]
fn cuped_of_100_000_units(bencher: Bencher<'_, '_>) {
    let (control, treatment) = joint(100_000);
    bencher.bench_local(|| {
        cuped::cuped(
            black_box(&control),
            black_box(&treatment),
            Alpha::DEFAULT,
            Alternative::TwoSided,
        )
    });
}

#[divan::bench]
fn ratio_of_100_000_units(bencher: Bencher<'_, '_>) {
    let (control, treatment) = joint(100_000);
    bencher.bench_local(|| {
        ratio::ratio_delta(
            black_box(&control),
            black_box(&treatment),
            Alpha::DEFAULT,
            Alternative::TwoSided,
        )
    });
}

#[divan::bench]
fn confidence_sequence_of_means(bencher: Bencher<'_, '_>) {
    let (control, treatment) = arms(100_000);
    let all = control.merge(treatment);
    bencher.bench_local(|| {
        compare_means(
            black_box(&control),
            black_box(&treatment),
            &all,
            1e4,
            Alpha::DEFAULT,
            Alternative::TwoSided,
        )
    });
}

#[divan::bench(args = [30, 1_000, 10_000_000])]
fn beta_binomial_with_interval(bencher: Bencher<'_, '_>, n: u64) {
    let (control, treatment) = shares(n);
    bencher.bench_local(|| {
        beta_binomial(
            black_box(control),
            black_box(treatment),
            BetaParameters::UNIFORM,
            Alpha::DEFAULT,
        )
    });
}

#[divan::bench(args = [5, 30])]
fn group_sequential_bounds(bencher: Bencher<'_, '_>, looks: u32) {
    let rates: Vec<f64> = (1..=looks).map(|k| f64::from(k) / f64::from(looks)).collect();
    bencher.bench_local(|| {
        bounds(black_box(&rates), Alpha::DEFAULT, Sides::Two, Spending::OBrienFleming)
    });
}

#[divan::bench]
fn group_sequential_bounds_seen_before(bencher: Bencher<'_, '_>) {
    let rates: Vec<f64> = (1..=30).map(|k| f64::from(k) / 30.0).collect();
    bencher.bench_local(|| {
        cached_bounds(black_box(&rates), Alpha::DEFAULT, Sides::Two, Spending::OBrienFleming)
    });
}
