//! Differential privacy of released effects (Laplace mechanism).
//!
//! ```text
//! # Question          What noise hides any single unit in a released mean, and what does it cost?
//! # Input             how far one unit can move the mean (for values clipped to [L, U]: (U − L)/n),
//!                     the privacy budget ε of the query, and the standard error without noise
//! # Formula           noise of Laplace's law with scale `b = sensitivity/ε`, variance 2 b²;
//!                     `se_total = √(se² + 2 b²)`; its quantile at u is
//!                     `−b sign(u − ½) ln(1 − 2 |u − ½|)`
//! # Assumes           values clipped before the mean was formed; budgets of several queries add up
//! # Numerics          `hypot`, so that nothing overflows
//! # Reference         Dwork, McSherry, Nissim, Smith (2006); `tests/golden/segments.json`
//! ```

/// The noise of one query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Laplace {
    /// Scale b of the noise; its standard deviation is √2 b.
    pub scale: f64,
}

impl Laplace {
    /// For a mean that one unit can move by `sensitivity` ≥ 0, at the budget `epsilon` > 0. None for
    /// other numbers.
    pub fn for_mean(sensitivity: f64, epsilon: f64) -> Option<Self> {
        let scale = sensitivity / epsilon;
        (sensitivity >= 0.0 && epsilon > 0.0 && scale.is_finite()).then_some(Self { scale })
    }

    /// How far one unit clipped to [lower, upper] can move the mean of `n`. None without units.
    pub fn sensitivity(lower: f64, upper: f64, n: u64) -> Option<f64> {
        (n > 0 && upper >= lower).then(|| (upper - lower) / n as f64)
    }

    /// Standard error with the noise of this query, and with each other noise given.
    pub fn se_total(self, se: f64) -> f64 {
        se.hypot(std::f64::consts::SQRT_2 * self.scale)
    }

    /// The noise for a number drawn uniformly from (0, 1).
    pub fn at(self, uniform: f64) -> f64 {
        let side = uniform - 0.5;
        -self.scale * side.signum() * (-2.0 * side.abs()).ln_1p()
    }
}
