//! A/A experiments at a fixed horizon: how often the tests reject, and on which side.

use super::Calibration;
use super::check::{Band, Check, Section};
use super::draw::{Sizes, binomial, count, kolmogorov, moments, pairs, successes, uniformity};
use crate::methods::{Alpha, Alternative, cluster, cuped, proportions, ratio, welch};
use crate::simulate::{Law, Rng, standard_normal};
use crate::stats::{CoMoments, Successes};

/// p-value and effect of one experiment without an effect; none where the test has no answer.
type Answer = Option<(f64, f64)>;

/// Draws one experiment and tests it.
type Draw = fn(&mut Rng) -> Answer;

const ALPHA: Alpha = Alpha::DEFAULT;
const TWO: Alternative = Alternative::TwoSided;

pub(super) fn section(calibration: &Calibration<'_>) -> Section {
    let runs = calibration.runs(10_000);
    let mut checks = Vec::new();
    for (what, answer) in cells() {
        let found = calibration.runner.collect(&format!("A/A {what}"), runs, answer);
        sizes(&mut checks, what, runs, &found, [0.05, 0.01]);
        let p_values: Vec<f64> = found.iter().flatten().map(|(p, _)| *p).collect();
        let what = format!("{what}: p-values uniform, Kolmogorov–Smirnov p");
        checks.push(Check::number(what, runs, Band::AtLeast(1e-4), uniformity(&p_values), 4));
    }
    let many = calibration.runs(100_000);
    let law = Law::Normal { mean: 10.0, std_dev: 5.0 };
    let found = calibration.runner.collect("A/A normal, many", many, |rng| mean(&law, rng, 100));
    let rejected = count(&found, |answer| answer.is_some_and(|(p, _)| p < 0.05));
    let what = "Welch, normal, 100 + 100: p < 0.05";
    checks.push(Check::count(what, many, Band::around(0.05, many), rejected));
    for (p, n) in
        [(0.1, Sizes::of(1000, 1000)), (0.01, Sizes::of(1000, 1000)), (0.02, Sizes::of(9000, 1000))]
    {
        shares(&mut checks, calibration, runs, p, n);
    }
    Section {
        title: "A/A experiments at a fixed horizon",
        text: "Both arms alike: rejections at 5 % and at 1 %, of so many runs. Labels are symmetric when as many \
               of them are up as down. Shares are discrete, so that their test has a size of its own: it was \
               computed by enumerating all outcomes, and the band is around that.",
        checks,
    }
}

fn sizes(checks: &mut Vec<Check>, what: &str, runs: u64, found: &[Answer], exact: [f64; 2]) {
    for (alpha, exact) in [0.05, 0.01].into_iter().zip(exact) {
        let rejected = count(found, |answer| answer.is_some_and(|(p, _)| p < alpha));
        checks.push(Check::count(
            format!("{what}: p < {alpha}"),
            runs,
            Band::around(exact, runs),
            rejected,
        ));
    }
    let of = |up: bool| {
        count(found, |answer| answer.is_some_and(|(p, effect)| p < 0.05 && (effect > 0.0) == up))
    };
    let (up, down) = (of(true), of(false));
    let what = format!("{what}: of these up (p < 0.05)");
    let n = (up + down) as u64;
    checks.push(Check::count(what, n, Band::around(0.5, n), up));
}

fn cells() -> Vec<(&'static str, Draw)> {
    vec![
        ("Welch, normal, 1000 + 1000", |rng| {
            mean(&Law::Normal { mean: 10.0, std_dev: 5.0 }, rng, 1000)
        }),
        ("Welch, lognormal(1), 5000 + 5000", |rng| {
            mean(&Law::Lognormal { mean: 10.0, sigma: 1.0 }, rng, 5000)
        }),
        ("ratio, 1000 + 1000 units of 5 views", |rng| {
            let law = Law::Ratio { rate: 0.1, views: 5.0 };
            let (c, t) = (pairs(&law, rng, 1000, 0.0), pairs(&law, rng, 1000, 0.0));
            let found = ratio::ratio_delta(&c, &t, ALPHA, TWO).ok()?;
            Some((found.p_value, found.effect))
        }),
        ("CUPED, correlation 0.7, 1000 + 1000", |rng| {
            let (c, t) = (with_history(rng, 1000, 0.7, 0.0), with_history(rng, 1000, 0.7, 0.0));
            let found = cuped::cuped(&c, &t, ALPHA, TWO).ok()?.estimate.ok()?;
            Some((found.p_value, found.effect))
        }),
        ("clusters by the delta method, 200 + 200 of 10", |rng| {
            let (c, t) = clusters(rng);
            let found = cluster::cluster_delta(&c, &t, ALPHA, TWO).ok()?;
            Some((found.p_value, found.effect))
        }),
        ("clusters by CR1, 200 + 200 of 10", |rng| {
            let (c, t) = clusters(rng);
            let found = cluster::cluster_robust(&c, &t, ALPHA, TWO).ok()?;
            Some((found.p_value, found.effect))
        }),
    ]
}

fn mean(law: &Law, rng: &mut Rng, n: u64) -> Answer {
    let (c, t) = (moments(law, rng, n, 0.0), moments(law, rng, n, 0.0));
    let found = welch::welch(&c, &t, ALPHA).ok()?;
    Some((found.p_value, found.effect))
}

fn clusters(rng: &mut Rng) -> (CoMoments, CoMoments) {
    let law = Law::Clustered { mean: 5.0, std_dev: 2.0, members: 10.0, correlation: 0.2 };
    (pairs(&law, rng, 200, 0.0), pairs(&law, rng, 200, 0.0))
}

/// Units with mean 1 and variance 1, and their histories.
pub(super) fn with_history(rng: &mut Rng, n: u64, correlation: f64, lift: f64) -> CoMoments {
    let rest = (1.0 - correlation * correlation).sqrt();
    let (y, x): (Vec<f64>, Vec<f64>) = (0..n)
        .map(|_| {
            let x = standard_normal(rng);
            (1.0 + lift + correlation * x + rest * standard_normal(rng), x)
        })
        .unzip();
    CoMoments::of(&y, &x)
}

/// The pooled test of shares, around its exact size.
fn shares(checks: &mut Vec<Check>, calibration: &Calibration<'_>, runs: u64, p: f64, n: Sizes) {
    let what = format!("two shares of {p}, {} + {}", n.control, n.treatment);
    let law = Law::Bernoulli { rate: p };
    let exact = ExactSize::of(n, p);
    let found = calibration.runner.collect(&format!("A/A {what}"), runs, |rng| {
        let (c, t) = (successes(&law, rng, n.control, 0.0), successes(&law, rng, n.treatment, 0.0));
        let found = proportions::pooled_z(c, t, TWO).ok()?;
        Some((found.p_value, found.statistic))
    });
    // The size itself, to the five digits that are known of it from an enumeration elsewhere.
    let known = [(0.1, 1000, 0.0499), (0.01, 1000, 0.05079), (0.02, 9000, 0.04948)];
    for (share, control, size) in known {
        if (share - p).abs() < 1e-12 && control == n.control {
            let what = format!("{what}: exact size at 5 %");
            let band = Band::Within(size - 1e-5, size + 1e-5);
            checks.push(Check::number(what, 0, band, exact.at(0.05), 5));
        }
    }
    let levels = [exact.at(0.05), exact.at(0.01)];
    if n.control == n.treatment {
        sizes(checks, &what, runs, &found, levels);
    } else {
        // With unequal arms the discrete sides differ by themselves.
        let rejected = count(&found, |answer| answer.is_some_and(|(p, _)| p < 0.05));
        let what = format!("{what}: p < 0.05");
        checks.push(Check::count(what, runs, Band::around(levels[0], runs), rejected));
    }
    let p_values: Vec<f64> = found.iter().flatten().map(|(p, _)| *p).collect();
    let what = format!("{what}: p-values follow their exact law, Kolmogorov–Smirnov p");
    checks.push(Check::number(what, runs, Band::AtLeast(1e-4), exact.fit(&p_values), 4));
}

/// The law of the pooled test's p-value without an effect, by enumeration.
struct ExactSize {
    /// p-values, rising, each with the probability of it or a smaller one.
    law: Vec<(f64, f64)>,
}

impl ExactSize {
    fn of(n: Sizes, p: f64) -> Self {
        let ((c_first, c), (t_first, t)) = (binomial(n.control, p), binomial(n.treatment, p));
        let mut law = Vec::with_capacity(c.len() * t.len());
        for (x, p_c) in (c_first..).zip(&c) {
            for (y, p_t) in (t_first..).zip(&t) {
                let arm = |n, successes| Successes { n, successes };
                let test = proportions::pooled_z(arm(n.control, x), arm(n.treatment, y), TWO);
                if let Ok(test) = test {
                    law.push((test.p_value, p_c * p_t));
                }
            }
        }
        law.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut sum = 0.0;
        for (_, probability) in &mut law {
            sum += *probability;
            *probability = sum;
        }
        Self { law }
    }

    /// Probability of a p-value below alpha.
    fn at(&self, alpha: f64) -> f64 {
        let below = self.law.partition_point(|(p, _)| *p < alpha);
        below.checked_sub(1).map_or(0.0, |last| self.law[last].1)
    }

    /// p-value of the hypothesis that these p-values follow the law. At equal p-values only the last
    /// one's probability is that of the step.
    fn fit(&self, p_values: &[f64]) -> f64 {
        let mut sorted = p_values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len() as f64;
        // Rounding splits equal p-values; what is closer than this is one step.
        let step = 1e-9;
        let mut distance = 0.0_f64;
        let mut at = 0;
        for pair in self.law.windows(2) {
            if pair[1].0 - pair[0].0 > step * pair[0].0 {
                while at < sorted.len() && sorted[at] <= pair[0].0 * (1.0 + step) {
                    at += 1;
                }
                distance = distance.max((at as f64 / n - pair[0].1).abs());
            }
        }
        kolmogorov(distance, sorted.len())
    }
}
