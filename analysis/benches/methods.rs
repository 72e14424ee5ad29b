//! One test from sufficient statistics: what a cycle of 500 000 tests is made of.

use analysis::methods::{Alpha, proportions, srm, student_t, welch};
use analysis::stats::{Moments, Successes};
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
