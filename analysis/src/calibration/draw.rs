//! Arms of simulated units, and helpers of all checks.

use crate::methods::normal;
use crate::simulate::{Law, Rng};
use crate::stats::{CoMoments, Moments, Successes};

/// Units in each arm.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) control: u64,
    pub(super) treatment: u64,
}

impl Sizes {
    pub(super) const fn of(control: u64, treatment: u64) -> Self {
        Self { control, treatment }
    }
}

/// Numbers of units, one column above and one below the line.
pub(super) fn columns(law: &Law, rng: &mut Rng, n: u64, lift: f64) -> (Vec<f64>, Vec<f64>) {
    (0..n).map(|_| law.draw_alone(rng, lift)).unzip()
}

pub(super) fn moments(law: &Law, rng: &mut Rng, n: u64, lift: f64) -> Moments {
    let values: Vec<f64> = (0..n).map(|_| law.draw_alone(rng, lift).0).collect();
    Moments::of(&values)
}

pub(super) fn pairs(law: &Law, rng: &mut Rng, n: u64, lift: f64) -> CoMoments {
    let (above, below) = columns(law, rng, n, lift);
    CoMoments::of(&above, &below)
}

pub(super) fn successes(law: &Law, rng: &mut Rng, n: u64, lift: f64) -> Successes {
    let mut arm = Successes::default();
    for _ in 0..n {
        arm.add(law.draw_alone(rng, lift).0 > 0.0);
    }
    arm
}

/// How many of some answers are true.
pub(super) fn count<T>(found: &[T], is: impl Fn(&T) -> bool) -> usize {
    found.iter().filter(|answer| is(answer)).count()
}

/// p-value of the largest distance between an empirical distribution of `n` and the true one
/// (Kolmogorov's limit, with Stephens's correction); too large where the true one has steps.
pub(super) fn kolmogorov(distance: f64, n: usize) -> f64 {
    let root = (n as f64).sqrt();
    let lambda = (root + 0.12 + 0.11 / root) * distance;
    // Below this the series needs many terms for what is 1 anyway.
    if lambda < 0.3 {
        return 1.0;
    }
    let term = |k: i32| {
        let k = f64::from(k);
        (-2.0 * k * k * lambda * lambda).exp()
    };
    let sum: f64 = (1..100).map(|k| if k % 2 == 1 { term(k) } else { -term(k) }).sum();
    (2.0 * sum).clamp(0.0, 1.0)
}

/// p-value of the hypothesis that these are uniform.
pub(super) fn uniformity(p_values: &[f64]) -> f64 {
    let mut sorted = p_values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let distance = sorted
        .iter()
        .enumerate()
        .fold(0.0_f64, |most, (i, p)| most.max(p - i as f64 / n).max((i as f64 + 1.0) / n - p));
    kolmogorov(distance, sorted.len())
}

/// Binomial probabilities of the counts within nine standard deviations, with the first count.
pub(super) fn binomial(n: u64, p: f64) -> (u64, Vec<f64>) {
    let (mean, n_f) = (n as f64 * p, n as f64);
    let reach = 9.0 * (mean * (1.0 - p)).sqrt() + 9.0;
    let log = |x: f64| {
        libm::lgamma(n_f + 1.0) - libm::lgamma(x + 1.0) - libm::lgamma(n_f - x + 1.0)
            + x * p.ln()
            + (n_f - x) * (-p).ln_1p()
    };
    let first = (0..=n).find(|x| *x as f64 >= mean - reach).unwrap_or(0);
    let counts = (first..=n).take_while(|x| *x as f64 <= mean + reach);
    (first, counts.map(|x| log(x as f64).exp()).collect())
}

/// The value below which a standard normal number is with probability q.
pub(super) fn quantile(q: f64) -> f64 {
    normal::isf(1.0 - q)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uniform_numbers_pass_and_squares_do_not() {
        let even: Vec<f64> = (0..1000).map(|i| (f64::from(i) + 0.5) / 1000.0).collect();
        assert!(uniformity(&even) > 0.99);
        let squares: Vec<f64> = even.iter().map(|p| p * p).collect();
        assert!(uniformity(&squares) < 1e-20);
        // scipy.stats.kstwobign.sf(1.36) = 0.0495…
        assert!((kolmogorov(1.36 / 1000.12, 1_000_000) - 0.049_5).abs() < 2e-3);
    }

    #[test]
    fn binomial_probabilities_add_up() {
        let (first, probabilities) = binomial(1000, 0.1);
        assert!(first > 0);
        assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-10);
    }
}
