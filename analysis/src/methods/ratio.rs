//! Difference of two ratios of sums over units, such as clicks per view.
//!
//! ```text
//! # Question          Did treatment change the ratio of two totals?
//! # Input             `CoMoments` of (numerator, denominator) of each variant, one pair per unit
//! # Formula           `R = ȳ/d̄`; variance per unit by linearisation
//!                     `v = (v_y − 2 R cov + R² v_d)/d̄²`; then Welch's test of (n, R, v)
//! # Assumes           the unit of analysis is the unit of randomization; a denominator several
//!                     standard errors from zero
//! # Numerics          as Welch's; a denominator of zero is an error, and a variance that is only
//!                     rounding is zero
//! # Reference         Deng, Knoblich, Lu (2018), KDD, eq. 3; tea-tasting `RatioOfMeans`;
//!                     `tests/golden/ratio.json`
//! ```

use super::welch::welch_against;
use super::{Alpha, Alternative, Estimate, MethodError};
use crate::stats::{CoMoments, Moments};

/// Denominators nearer to zero than this many standard errors make the linearisation unsafe.
pub const MIN_DENOMINATOR_Z: f64 = 5.0;

/// What rounding leaves of a variance that is zero, relative to its parts: a numerator proportional
/// to the denominator must not look like a very precise ratio.
const ROUNDING: f64 = 1e-13;

/// The linearised ratio of one variant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinearRatio {
    /// n, ratio and variance per unit, as Welch's test takes them.
    pub moments: Moments,
    /// Mean of the denominator over its standard error.
    pub denominator_z: f64,
}

/// Linearises the ratio of one variant.
pub fn linearise(arm: &CoMoments) -> Result<LinearRatio, MethodError> {
    let (y, d) = (arm.y(), arm.x());
    let (Some(v_y), Some(v_d), Some(c)) = (y.variance(), d.variance(), arm.covariance()) else {
        return Err(MethodError::TooFewUnits);
    };
    if d.mean() == 0.0 {
        return Err(MethodError::ZeroDenominator);
    }
    let ratio = y.mean() / d.mean();
    let (above, below) = (v_y, ratio * ratio * v_d);
    let rest = above - 2.0 * ratio * c + below;
    let rest = if rest <= ROUNDING * (above + below) { 0.0 } else { rest };
    let spread = rest / d.mean() / d.mean();
    let moments = Moments::from_summary(arm.n(), ratio, spread).ok_or(MethodError::NotFinite)?;
    // Exact when what is above the line, less R times what is below, does not depend on the latter; it
    // serves to judge whether there are units enough.
    let third = (y.m3() - ratio.powi(3) * d.m3()) / d.mean().powi(3);
    let moments = moments.with_m3(third);
    let denominator_z = d.mean().abs() / (v_d / arm.n() as f64).sqrt();
    Ok(LinearRatio { moments, denominator_z })
}

/// Compares two ratios by the delta method.
pub fn ratio_delta(
    control: &CoMoments,
    treatment: &CoMoments,
    alpha: Alpha,
    alternative: Alternative,
) -> Result<Estimate, MethodError> {
    let (control, treatment) = (linearise(control)?, linearise(treatment)?);
    welch_against(&control.moments, &treatment.moments, 0.0, alpha, alternative)
}
