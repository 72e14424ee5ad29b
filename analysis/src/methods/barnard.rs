//! Barnard's exact unconditional test of two proportions.
//!
//! ```text
//! # Question          Do two variants have different shares, when the counts are small?
//! # Input             `Successes` of each variant, at most 20 000 units together
//! # Formula           T is the pooled z of the table. p is the largest probability, over the common
//!                     share π, of tables with |T| at least as large as the one seen:
//!                     `sup_π Σ_{(x, y): |T| ≥ |t|} Bin(x; n_c, π) Bin(y; n_t, π)`
//! # Assumes           independent units; no margin but the arms' sizes is fixed, which makes it more
//!                     powerful than Fisher's test
//! # Numerics          for each x the extreme y are the two ends of their range, so that a π costs
//!                     O(n) and not O(n²). π is searched on an arcsine grid, on which the sum varies
//!                     on the scale of 1/√n, and around its best points by golden section. Tables
//!                     within 1e-10 of t are ties
//! # Reference         Barnard (1945), Nature 156; Suissa & Shuster (1985); scipy
//!                     `barnard_exact(pooled=True)`; exact summation over all tables;
//!                     `tests/golden/exact_tests.json`
//! ```

use super::{Alternative, MethodError};
use crate::stats::Successes;

/// Units of both arms together up to which the test is done; above, the pooled z is as good.
pub const MOST_UNITS: u64 = 20_000;

/// Relative difference of squared statistics below which two tables are equally extreme.
const TIE: f64 = 1e-10;

/// Answer of the test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BarnardTest {
    /// The pooled z of the table; 0 when nobody or everybody succeeded.
    pub statistic: f64,
    /// The largest probability of tables at least as extreme.
    pub p_value: f64,
    /// The common share at which it is reached.
    pub nuisance: f64,
}

/// Compares two shares.
pub fn barnard(
    control: Successes,
    treatment: Successes,
    alternative: Alternative,
) -> Result<BarnardTest, MethodError> {
    if control.n == 0 || treatment.n == 0 {
        return Err(MethodError::TooFewUnits);
    }
    if control.n.saturating_add(treatment.n) > MOST_UNITS {
        return Err(MethodError::TooManyUnits);
    }
    let law = Tables { n_c: control.n as f64, n_t: treatment.n as f64 };
    let observed = law.signed_square(control.successes as f64, treatment.successes as f64);
    let region = Region::new(&law, observed, alternative);
    let (nuisance, p_value) = region.supremum();
    Ok(BarnardTest {
        statistic: observed.abs().sqrt().copysign(observed),
        p_value: p_value.min(1.0),
        nuisance,
    })
}

#[derive(Debug, Clone, Copy)]
struct Tables {
    n_c: f64,
    n_t: f64,
}

impl Tables {
    /// Square of the pooled z of x successes in control against y in treatment, with the sign of the effect.
    fn signed_square(self, x: f64, y: f64) -> f64 {
        let (n, all) = (self.n_c + self.n_t, x + y);
        if all == 0.0 || all >= n {
            return 0.0;
        }
        let gap = y * self.n_c - x * self.n_t;
        gap * gap.abs() * n / (self.n_c * self.n_t * all * (n - all))
    }
}

/// The extreme tables: for each x the y up to `low[x]` and from `high[x]` on.
struct Region {
    n_c: usize,
    n_t: usize,
    /// How many y, from 0 on, are extreme.
    low: Vec<usize>,
    /// The first y from which on all are extreme.
    high: Vec<usize>,
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of at most 20 000 units"
)]
impl Region {
    fn new(law: &Tables, observed: f64, alternative: Alternative) -> Self {
        let (n_c, n_t) = (law.n_c as usize, law.n_t as usize);
        let reach = observed.abs() * (1.0 - TIE);
        let upper = |value: f64| match alternative {
            Alternative::TwoSided => value >= reach,
            Alternative::Greater => value >= observed - TIE * observed.abs(),
            Alternative::Less => false,
        };
        let lower = |value: f64| match alternative {
            Alternative::TwoSided => value <= -reach,
            Alternative::Greater => false,
            Alternative::Less => value <= observed + TIE * observed.abs(),
        };
        // Both ends move up with x, because the statistic falls with x and rises with y.
        let (mut low, mut high) = (Vec::with_capacity(n_c + 1), Vec::with_capacity(n_c + 1));
        let (mut below, mut above) = (0, 0);
        for x in 0..=n_c {
            let value = |y: usize| law.signed_square(x as f64, y as f64);
            while below <= n_t && lower(value(below)) {
                below += 1;
            }
            while above <= n_t && !upper(value(above)) {
                above += 1;
            }
            low.push(below);
            high.push(above.max(below));
        }
        Self { n_c, n_t, low, high }
    }

    /// The share with the largest probability of the region, and that probability.
    fn supremum(&self) -> (f64, f64) {
        let steps = 64 + 8 * ((self.n_c + self.n_t) as f64).sqrt().ceil() as usize;
        let width = std::f64::consts::FRAC_PI_2 / steps as f64;
        let at = |angle: f64| self.probability(angle.sin().powi(2));
        let grid: Vec<f64> = (0..=steps).map(|i| at(i as f64 * width)).collect();
        let mut peaks: Vec<usize> = (0..=steps)
            .filter(|&i| {
                let left = i.checked_sub(1).map_or(0.0, |i| grid[i]);
                let right = grid.get(i + 1).copied().unwrap_or(0.0);
                grid[i] >= left && grid[i] >= right
            })
            .collect();
        peaks.sort_by(|a, b| grid[*b].total_cmp(&grid[*a]));
        let refined = peaks.iter().take(4).map(|&i| {
            let (lo, hi) = (i.saturating_sub(1) as f64 * width, (i + 1).min(steps) as f64 * width);
            let (angle, found) = golden(lo, hi, &at);
            if found > grid[i] { (angle, found) } else { (i as f64 * width, grid[i]) }
        });
        let (angle, p) = refined
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .unwrap_or((0.0, grid.first().copied().unwrap_or(1.0)));
        (angle.sin().powi(2), p)
    }

    fn probability(&self, share: f64) -> f64 {
        let (c, t) = (Points::new(self.n_c, share), Points::new(self.n_t, share));
        // P(Y < y) and P(Y ≥ y) from either end, so that neither is a complement.
        let mut below = vec![0.0; t.values.len() + 1];
        for (i, value) in t.values.iter().enumerate() {
            below[i + 1] = below[i] + value;
        }
        let mut above = vec![0.0; t.values.len() + 1];
        for (i, value) in t.values.iter().enumerate().rev() {
            above[i] = above[i + 1] + value;
        }
        let within = |y: usize| y.saturating_sub(t.first).min(t.values.len());
        c.values
            .iter()
            .enumerate()
            .map(|(i, value)| {
                let x = c.first + i;
                value * (below[within(self.low[x])] + above[within(self.high[x])])
            })
            .sum()
    }
}

/// The points of a binomial that matter, from `first` on.
struct Points {
    first: usize,
    values: Vec<f64>,
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of at most 20 000 units"
)]
impl Points {
    fn new(n: usize, share: f64) -> Self {
        let size = n as f64;
        let (p, q) = (share, 1.0 - share);
        let reach = 9.0 * (size * p * q).sqrt() + 40.0;
        let first = (size * p - reach).max(0.0) as usize;
        let last = (size * p + reach).min(size) as usize;
        let mode = ((size + 1.0) * p).min(size) as usize;
        if q == 0.0 {
            return Self { first: n, values: vec![1.0] };
        }
        let odds = p / q;
        let mut values = vec![1.0; last - first + 1];
        for k in mode..last {
            values[k + 1 - first] = values[k - first] * odds * (n - k) as f64 / (k + 1) as f64;
        }
        for k in (first..mode).rev() {
            values[k - first] = values[k + 1 - first] * (k + 1) as f64 / ((n - k) as f64 * odds);
        }
        // What lies outside is below 1e-17 of the whole.
        let total: f64 = values.iter().sum();
        for value in &mut values {
            *value /= total;
        }
        Self { first, values }
    }
}

/// The largest value of `f` between two points around a peak, by golden section.
fn golden(mut lo: f64, mut hi: f64, f: &impl Fn(f64) -> f64) -> (f64, f64) {
    const RATIO: f64 = 0.618_033_988_749_894_9;
    let (mut a, mut b) = (hi - RATIO * (hi - lo), lo + RATIO * (hi - lo));
    let (mut fa, mut fb) = (f(a), f(b));
    // The peak is flat: half the digits of its place give all of its height.
    for _ in 0..45 {
        if fa < fb {
            (lo, a, fa) = (a, b, fb);
            b = lo + RATIO * (hi - lo);
            fb = f(b);
        } else {
            (hi, b, fb) = (b, a, fa);
            a = hi - RATIO * (hi - lo);
            fa = f(a);
        }
        if hi - lo < 1e-9 {
            break;
        }
    }
    if fa > fb { (a, fa) } else { (b, fb) }
}
