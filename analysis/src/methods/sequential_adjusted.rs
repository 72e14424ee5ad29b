//! Confidence sequences of ratios, of means adjusted by covariates, and of quantiles.
//!
//! ```text
//! # Question          As `confidence_sequence`, for metrics that are not plain means
//! # Input             `CoMoments` of both arms (numerator and denominator, or metric and covariate), or
//!                     two quantiles with standard errors
//! # Formula           ratios: linearised moments of each arm, and of both together for the pooled
//!                     error. CUPED: adjusted moments; the lift by Fieller's interval of the adjusted
//!                     effect and the control's unadjusted mean, with the critical value half/se.
//!                     Quantiles: their own standard errors, which have no pooled form
//! # Assumes           as `confidence_sequence`
//! # Numerics          as the methods that they are made of
//! # Reference         Waudby-Smith et al. (2024); Deng et al. (2013); Fieller (1954)
//! ```

use super::confidence_sequence::{
    Sequential, SequentialComparison, compare_means, confidence_sequence,
};
use super::cuped::{adjust, theta};
use super::fieller::{Parts, ratio_interval};
use super::lift::fieller_of;
use super::quantile::QuantileEstimate;
use super::ratio::linearise;
use super::{Alpha, Alternative, Interval, MethodError};
use crate::stats::CoMoments;

/// Compares two ratios of means at any look; `n_tune` as in [`compare_means`].
pub fn compare_ratios(
    control: &CoMoments,
    treatment: &CoMoments,
    n_tune: f64,
    alpha: Alpha,
    alternative: Alternative,
) -> Result<SequentialComparison, MethodError> {
    let all = linearise(&control.merge(*treatment))?;
    let (c, t) = (linearise(control)?, linearise(treatment)?);
    compare_means(&c.moments, &t.moments, &all.moments, n_tune, alpha, alternative)
}

/// Compares two means adjusted by a covariate at any look; `n_tune` as in [`compare_means`].
pub fn compare_adjusted(
    control: &CoMoments,
    treatment: &CoMoments,
    n_tune: f64,
    alpha: Alpha,
    alternative: Alternative,
) -> Result<SequentialComparison, MethodError> {
    let both = control.merge(*treatment);
    let theta = theta(&both);
    if !theta.is_finite() {
        return Err(MethodError::NotFinite);
    }
    let (c, t) = (adjust(control, theta, both.x())?, adjust(treatment, theta, both.x())?);
    let all = adjust(&both, theta, both.x())?;
    let found = compare_means(&c, &t, &all, n_tune, alpha, alternative)?;
    let base = control.y().mean();
    let lift_ci = control
        .covariance()
        .zip(control.y().variance_of_mean())
        .ok_or(MethodError::TooFewUnits)
        .and_then(|(own, raw)| {
            let parts = Parts {
                numerator: found.effect,
                numerator_variance: found.se_welch * found.se_welch,
                denominator: base,
                denominator_variance: raw,
                // The adjusted control mean enters the effect with a minus.
                covariance: theta * own / control.n() as f64 - raw,
            };
            ratio_interval(parts, found.sequential.half_width / found.se_welch)
        })
        .map(|ci| open(ci, alternative));
    let lift =
        if base == 0.0 { Err(MethodError::ZeroDenominator) } else { Ok(found.effect / base.abs()) };
    Ok(SequentialComparison { lift, lift_ci, ..found })
}

/// Always-valid comparison of two quantiles.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SequentialQuantiles {
    /// Treatment − control.
    pub effect: f64,
    /// Its standard error.
    pub se: f64,
    /// Interval and p-value.
    pub sequential: Sequential,
    /// Interval of the lift, which excludes 0 exactly when the absolute one does.
    pub lift_ci: Result<Interval, MethodError>,
}

/// Compares two quantiles of `n` units in all at any look.
pub fn compare_quantiles(
    control: &QuantileEstimate,
    treatment: &QuantileEstimate,
    n: f64,
    n_tune: f64,
    alpha: Alpha,
    alternative: Alternative,
) -> Result<SequentialQuantiles, MethodError> {
    let (a, b) = (control.se?.powi(2), treatment.se?.powi(2));
    let (effect, se) = (treatment.value - control.value, (a + b).sqrt());
    let sequential = confidence_sequence(effect, se, n, n_tune, alpha, alternative)?;
    let lift_ci = fieller_of(control.value, a, effect, b, sequential.half_width / se)
        .map(|ci| open(ci, alternative));
    Ok(SequentialQuantiles { effect, se, sequential, lift_ci })
}

/// The interval, open on the side that the test does not look at.
fn open(ci: Interval, alternative: Alternative) -> Interval {
    match alternative {
        Alternative::TwoSided => ci,
        Alternative::Greater => Interval { hi: f64::INFINITY, ..ci },
        Alternative::Less => Interval { lo: f64::NEG_INFINITY, ..ci },
    }
}
