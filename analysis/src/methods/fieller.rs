//! Fieller's interval of a ratio whose parts are correlated.
//!
//! ```text
//! # Question          Which ratios λ of two means do the data not reject?
//! # Input             both estimates, their variances and covariance, and the critical value q
//! # Formula           all λ with `(d − λ m)² ≤ q² (v_d − 2 λ c + λ² v_m)`
//! # Assumes           as the test whose critical value is given
//! # Numerics          in units of |m|; the product of the two roots is `(d² − q² v_d)/(m² − q² v_m)`,
//!                     so that the interval excludes 0 exactly when `|d| > q √v_d`
//! # Reference         Fieller (1954), JRSS B 16; substitution; `tests/golden/cuped.json`
//! ```

use super::{Interval, MethodError};

/// A numerator d and a denominator m, both estimated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Parts {
    /// The numerator.
    pub(crate) numerator: f64,
    /// Its variance.
    pub(crate) numerator_variance: f64,
    /// The denominator.
    pub(crate) denominator: f64,
    /// Its variance.
    pub(crate) denominator_variance: f64,
    /// Covariance of the two estimates.
    pub(crate) covariance: f64,
}

/// Interval of numerator/|denominator|.
pub(crate) fn ratio_interval(parts: Parts, q: f64) -> Result<Interval, MethodError> {
    let unit = parts.denominator.abs();
    if unit == 0.0 {
        return Err(MethodError::Unbounded);
    }
    let d = parts.numerator / unit;
    let scaled = |variance: f64| q * q * (variance / unit / unit);
    let a = scaled(parts.denominator_variance);
    let b = scaled(parts.numerator_variance);
    // The ratio to |m| is that to m with the sign of m: its covariance changes sign, too.
    let c = scaled(parts.covariance) * parts.denominator.signum();
    if !(d.is_finite() && a.is_finite() && b.is_finite() && c.is_finite()) {
        return Err(MethodError::NotFinite);
    }
    let lead = 1.0 - a;
    if lead <= 0.0 {
        return Err(MethodError::Unbounded);
    }
    // lead λ² − 2 (d − c) λ + (d² − b) ≤ 0
    let middle = d - c;
    let half = b.sqrt();
    let product = (d - half) * (d + half);
    let large = middle + (middle * middle - lead * product).max(0.0).sqrt().copysign(middle);
    let (first, second) = if large == 0.0 { (0.0, 0.0) } else { (large / lead, product / large) };
    Ok(Interval { lo: first.min(second), hi: first.max(second) })
}
