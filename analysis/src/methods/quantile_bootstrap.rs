//! Difference of two quantiles by the bootstrap, without resampling.
//!
//! ```text
//! # Question          Did treatment change this quantile, without assuming a density?
//! # Input             one value for each unit of both variants, in ascending order
//! # Formula           the rank of the bootstrap's quantile is Binomial(n + 1, q), so that its law is
//!                     known: weights w_i on the order statistics. The difference has the law
//!                     `F(d) = Σ_j w_j(t) Σ_{i: y_i(c) ≥ y_j(t) − d} w_i(c)`; the interval runs between
//!                     its α/2 and 1 − α/2 points
//! # Assumes           independent units
//! # Numerics          deterministic: both laws are enumerated over the ranks that matter (12 standard
//!                     deviations), and F inverted by bisection over the differences of values
//! # Reference         Schultzberg & Ankargren (2022), "Resampling-free bootstrap inference for
//!                     quantiles"; enumeration with numpy; `tests/golden/quantile_ranks.json`
//! ```

use super::incomplete_beta::binomial_tails;
use super::{Alpha, Interval, MethodError};

/// Interval of the difference of the quantiles `q`, treatment − control.
pub fn difference(
    control: &[f64],
    treatment: &[f64],
    q: f64,
    alpha: Alpha,
) -> Result<Interval, MethodError> {
    let (c, t) = (Law::new(control, q)?, Law::new(treatment, q)?);
    let tail = alpha.get() / 2.0;
    Ok(Interval {
        lo: smallest(&c, &t, |below| below >= tail),
        hi: smallest(&c, &t, |below| below >= 1.0 - tail),
    })
}

/// The bootstrap law of one arm's quantile: values in ascending order and their weights.
struct Law<'v> {
    values: &'v [f64],
    weights: Vec<f64>,
}

impl<'v> Law<'v> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "ranks of values in memory"
    )]
    fn new(sorted: &'v [f64], q: f64) -> Result<Self, MethodError> {
        let n = sorted.len();
        if n < 2 {
            return Err(MethodError::TooFewUnits);
        }
        let draws = n as u64 + 1;
        let (mean, sd) = (draws as f64 * q, (draws as f64 * q * (1.0 - q)).sqrt());
        let first = (mean - 12.0 * sd - 12.0).max(1.0) as usize;
        let last = (mean + 12.0 * sd + 12.0).min(n as f64) as usize;
        let below = |rank: usize| binomial_tails(rank as u64, draws, q).0;
        // Ranks 0 and n + 1 are not in the sample: the ends stand for them.
        let mut before = 0.0;
        let mut weights = Vec::with_capacity(last - first + 1);
        for rank in first..=last {
            let up_to = if rank == n { 1.0 } else { below(rank) };
            weights.push(up_to - before);
            before = up_to;
        }
        Ok(Self { values: &sorted[first - 1..last], weights })
    }
}

/// P(difference ≤ d).
fn below(c: &Law<'_>, t: &Law<'_>, d: f64) -> f64 {
    // As y_t rises, fewer y_c are at least y_t − d.
    let mut at_least: f64 = c.weights.iter().sum();
    let mut next = 0;
    let mut sum = 0.0;
    for (y_t, w_t) in t.values.iter().zip(&t.weights) {
        while next < c.values.len() && y_t - c.values[next] > d {
            at_least -= c.weights[next];
            next += 1;
        }
        sum += w_t * at_least;
    }
    sum
}

/// The smallest difference of two values at which a condition on P(difference ≤ d) holds.
fn smallest(c: &Law<'_>, t: &Law<'_>, holds: impl Fn(f64) -> bool) -> f64 {
    let ends = |law: &Law<'_>| (law.values[0], law.values[law.values.len() - 1]);
    let ((c_lo, c_hi), (t_lo, t_hi)) = (ends(c), ends(t));
    let (mut lo, mut hi) = (t_lo - c_hi, t_hi - c_lo);
    if holds(below(c, t, lo)) {
        return lo;
    }
    // Bisection down to neighbouring numbers: the law has steps, and the answer is one of them.
    loop {
        let middle = lo + 0.5 * (hi - lo);
        if !(middle > lo && middle < hi) {
            return hi;
        }
        if holds(below(c, t, middle)) {
            hi = middle;
        } else {
            lo = middle;
        }
    }
}
