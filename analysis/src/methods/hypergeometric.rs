//! The hypergeometric distribution: one cell of a two-by-two table with fixed margins.
//!
//! ```text
//! # Question          Point probabilities and tails of the first cell, given the margins.
//! # Input             units of the first row r, of the second s, and of the first column m
//! # Formula           `P(j) = C(r, j) C(s, m − j)/C(r + s, m)`
//! # Assumes           nothing
//! # Numerics          the probability at a point as a quotient of binomials in Loader's saddle-point
//!                     form; tails by the ratio of neighbours, away from the mean, so that they keep
//!                     their relative accuracy. Where the standard deviation exceeds 300 the sum is
//!                     its Euler–Maclaurin series, by which a tail of 1e12 units costs no more than
//!                     one of 1e4
//! # Reference         Loader (2000); `tests/golden/exact_tests.json` (exact rational arithmetic,
//!                     mpmath)
//! ```

use std::f64::consts::PI;

use super::incomplete_beta::{deviance, stirling_error};
use super::quadrature::panels;

/// Standard deviation from which on sums are integrals with corrections.
const SMOOTH: f64 = 300.0;

/// The law of the first cell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hypergeometric {
    rows: [f64; 2],
    column: f64,
    /// Share of all units in the first column, and its complement.
    shares: [f64; 2],
    sd: f64,
}

impl Hypergeometric {
    /// From the two row sums and the sum of the first column, which is at most their total.
    pub(super) fn new(first_row: u64, second_row: u64, column: u64) -> Self {
        let rows = [first_row as f64, second_row as f64];
        let (n, column) = (rows[0] + rows[1], column as f64);
        let shares = [column / n, (n - column) / n];
        let variance = column * shares[1] * (rows[0] / n) * (rows[1] / (n - 1.0).max(1.0));
        Self { rows, column, shares, sd: variance.sqrt() }
    }

    /// Smallest and largest value of the cell.
    pub(super) fn support(&self) -> (f64, f64) {
        ((self.column - self.rows[1]).max(0.0), self.column.min(self.rows[0]))
    }

    pub(super) fn mean(&self) -> f64 {
        self.rows[0] * self.shares[0]
    }

    /// The most probable value; the larger of two.
    pub(super) fn mode(&self) -> f64 {
        let n = self.rows[0] + self.rows[1];
        let (least, most) = self.support();
        ((self.column + 1.0) * ((self.rows[0] + 1.0) / (n + 2.0))).floor().clamp(least, most)
    }

    /// ln P(j), also between the whole numbers.
    pub(super) fn log_point(&self, j: f64) -> f64 {
        let n = self.rows[0] + self.rows[1];
        self.log_binomial(j, self.rows[0]) + self.log_binomial(self.column - j, self.rows[1])
            - self.log_binomial(self.column, n)
    }

    fn log_binomial(&self, x: f64, n: f64) -> f64 {
        let [p, q] = self.shares;
        let rest = n - x;
        if x <= 0.0 {
            return if n == 0.0 { 0.0 } else { n * (-p).ln_1p() };
        }
        if rest <= 0.0 {
            return n * p.ln();
        }
        stirling_error(n)
            - stirling_error(x)
            - stirling_error(rest)
            - deviance(x, n, p)
            - deviance(rest, n, q)
            - 0.5 * (2.0 * PI * x * (rest / n)).ln()
    }

    /// P(j + 1)/P(j).
    fn step(&self, j: f64) -> f64 {
        (self.rows[0] - j) * (self.column - j)
            / ((j + 1.0) * (self.rows[1] - self.column + j + 1.0))
    }

    /// P(X ≥ k).
    pub(super) fn upper(&self, k: f64) -> f64 {
        let (least, most) = self.support();
        if k <= least {
            return 1.0;
        }
        if k > most {
            return 0.0;
        }
        if k > self.mean() { self.outward(k, 1.0) } else { 1.0 - self.outward(k - 1.0, -1.0) }
    }

    /// P(X ≤ k).
    pub(super) fn lower(&self, k: f64) -> f64 {
        let (least, most) = self.support();
        if k >= most {
            return 1.0;
        }
        if k < least {
            return 0.0;
        }
        if k < self.mean() { self.outward(k, -1.0) } else { 1.0 - self.outward(k + 1.0, 1.0) }
    }

    /// The sum of all points from k on, away from the mean.
    fn outward(&self, k: f64, direction: f64) -> f64 {
        let first = self.log_point(k).exp();
        if first == 0.0 {
            return 0.0;
        }
        let ratio = |j: f64| if direction > 0.0 { self.step(j) } else { 1.0 / self.step(j - 1.0) };
        if self.sd > SMOOTH {
            return (first * self.smooth_sum(k, direction)).min(1.0);
        }
        let (least, most) = self.support();
        let (mut sum, mut term, mut j) = (1.0, 1.0, k);
        while j > least && direction < 0.0 || j < most && direction > 0.0 {
            term *= ratio(j);
            sum += term;
            j += direction;
            if term < 1e-17 * sum {
                break;
            }
        }
        (first * sum).min(1.0)
    }

    /// Σ P(j)/P(k) over j = k, k + 1, … (or downwards) by Euler and Maclaurin.
    fn smooth_sum(&self, k: f64, direction: f64) -> f64 {
        let here = self.log_point(k);
        // First and second derivative of −ln P in the direction of the sum.
        let (back, on) = (self.step(k - 1.0).ln(), self.step(k).ln());
        let fall = -0.5 * (back + on) * direction;
        let bend = back - on;
        let width = 3.0 / fall.max(1.0 / self.sd);
        let integral = panels(width, |u| (self.log_point(k + direction * u) - here).exp());
        let third = fall * (fall * fall - 3.0 * bend);
        let fifth = fall * (fall.powi(4) - 10.0 * fall * fall * bend + 15.0 * bend * bend);
        integral + 0.5 + fall / 12.0 - third / 720.0 + fifth / 30_240.0
    }
}
