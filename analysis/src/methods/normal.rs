//! The standard normal distribution.
//!
//! ```text
//! # Question          Tail areas and critical values of the standard normal.
//! # Input             A point, or a tail area in (0, 1).
//! # Formula           sf(z) = erfc(z/√2)/2; two-sided p = erfc(|z|/√2); isf by its own inverse;
//!                     scaled tail `erfcx(x) = e^{x²} erfc(x)`; unit loss `φ(z) − z sf(z)`
//! # Assumes           nothing
//! # Numerics          scaled tail and loss far out by the continued fraction of the repeated
//!                     integrals of erfc (A&S 7.2.5), all of whose terms are positive; erfc
//!                     keeps its relative accuracy down to the smallest normal number (z ≈ 37.5),
//!                     where statrs' `Normal::sf` errs by 7e-11
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

/// `e^{x²} erfc(x)`, which does not underflow; overflows below −26.
pub fn erfcx(x: f64) -> f64 {
    if x < 3.0 {
        return (x * x).exp() * libm::erfc(x);
    }
    let scale = 2.0 / std::f64::consts::PI.sqrt();
    scale * repeated_ratio(x, 0)
}

/// ln P(Z ≤ z) + z²/2: how the lower tail differs from the square, without underflow on either side.
pub fn log_scaled_cdf(z: f64) -> f64 {
    if z > 0.0 { 0.5 * z * z + (-sf(z)).ln_1p() } else { (0.5 * erfcx(-z * FRAC_1_SQRT_2)).ln() }
}

/// Unit normal loss E[(Z − z)⁺] = φ(z) − z P(Z > z).
pub fn loss(z: f64) -> f64 {
    if z < 1.5 {
        return pdf(z) - z * sf(z);
    }
    let x = z * FRAC_1_SQRT_2;
    // i¹erfc(x)/√2, as its ratio to erfc.
    repeated_ratio(x, 1) * libm::erfc(x) * FRAC_1_SQRT_2
}

/// `iⁿerfc(x)/iⁿ⁻¹erfc(x)` for x ≥ 1, from `iⁿ⁻²erfc = 2 x iⁿ⁻¹erfc + 2 n iⁿerfc`, downwards.
fn repeated_ratio(x: f64, n: u32) -> f64 {
    let mut ratio = 0.0;
    let steps = if x < 3.0 { 120 } else { 60 };
    for k in (n + 1..=n + steps).rev() {
        ratio = 0.5 / (x + f64::from(k) * ratio);
    }
    ratio
}
