//! The standard normal distribution.
//!
//! ```text
//! # Question          Tail areas and critical values of the standard normal.
//! # Input             A point, or a tail area in (0, 1).
//! # Formula           sf(z) = erfc(z/√2)/2; two-sided p = erfc(|z|/√2); isf by its own inverse
//! # Assumes           nothing
//! # Numerics          erfc keeps its relative accuracy down to the smallest normal number
//!                     (z ≈ 37.5), where statrs' `Normal::sf` errs by 7e-11
//! # Reference         `libm::erfc` (FreeBSD msun); Wichura (1988), AS 241, by
//!                     `statrs::distribution::Normal::inverse_cdf`; `tests/golden/normal.json`
//! ```

use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2};

use statrs::distribution::{ContinuousCDF, Normal};

/// Upper tail area P(Z > z).
pub fn sf(z: f64) -> f64 {
    0.5 * libm::erfc(z * FRAC_1_SQRT_2)
}

/// Lower tail area P(Z ≤ z).
pub fn cdf(z: f64) -> f64 {
    sf(-z)
}

/// Density at z.
pub fn pdf(z: f64) -> f64 {
    (-0.5 * z * z).exp() / (SQRT_2 * std::f64::consts::PI.sqrt())
}

/// Two-sided p-value of a standard normal statistic.
pub fn two_sided(z: f64) -> f64 {
    libm::erfc(z.abs() * FRAC_1_SQRT_2)
}

/// The point with upper tail area `p`; infinite at 0 and 1, NaN outside [0, 1].
pub fn isf(p: f64) -> f64 {
    if !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    if p > 0.5 {
        // 1 − p is exact here (Sterbenz), so symmetry costs nothing.
        return -isf(1.0 - p);
    }
    if p == 0.0 {
        return f64::INFINITY;
    }
    -Normal::standard().inverse_cdf(p)
}
