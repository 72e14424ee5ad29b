//! Difference of two ratios of means, adjusted by the same ratio before the experiment.
//!
//! ```text
//! # Question          Did treatment change a ratio such as orders per session, when the ratio of each
//!                     unit's time before is known?
//! # Input             `JointMoments` of (y, d, x, w) of each variant: numerator and denominator now
//!                     and before
//! # Formula           `R = y/d`, `S = x/w`; linearised `L = (Y − R D)/d`, `M = (X − S W)/w`;
//!                     `θ = Cov(L, M)/Var(M)` over both variants together; adjusted
//!                     `R − θ (S − S_all)`, variance `g' Λ g`, `g = (1/d, −y/d², −θ/w, θ x/w²)`, in
//!                     each arm; then Welch's test
//! # Assumes           independent units; both denominators well away from zero; (x, w) fixed before
//!                     exposure
//! # Numerics          a variance within rounding of zero is zero; without spread before, θ = 0
//! # Reference         Deng, Knoblich, Lu (2018), KDD; tea-tasting `RatioOfMeans` with covariates;
//!                     `tests/golden/cuped.json`
//! ```

use super::welch::welch_against;
use super::{Alpha, Alternative, Estimate, MethodError};
use crate::stats::{JointMoments, Moments};

/// Answer of the adjusted test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RatioCuped {
    /// Coefficient of the ratio before.
    pub theta: f64,
    /// n, adjusted ratio and adjusted variance per unit of control.
    pub control: Moments,
    /// The same of treatment.
    pub treatment: Moments,
    /// Welch's test of the adjusted ratios.
    pub estimate: Result<Estimate, MethodError>,
    /// 1 − adjusted over raw variance of the effect.
    pub variance_reduction: Option<f64>,
}

/// A ratio of two of the numbers, with its gradient in all four means.
struct Linear {
    ratio: f64,
    gradient: [f64; 4],
}

fn linearise(arm: &JointMoments, above: usize, below: usize) -> Result<Linear, MethodError> {
    let denominator = arm.mean(below);
    if denominator == 0.0 {
        return Err(MethodError::ZeroDenominator);
    }
    let ratio = arm.mean(above) / denominator;
    let mut gradient = [0.0; 4];
    gradient[above] = 1.0 / denominator;
    gradient[below] = -ratio / denominator;
    if ratio.is_finite() && gradient.iter().all(|g| g.is_finite()) {
        Ok(Linear { ratio, gradient })
    } else {
        Err(MethodError::NotFinite)
    }
}

/// Compares two ratios, adjusted; both moments are of (y, d, x, w).
pub fn ratio_cuped(
    control: &JointMoments,
    treatment: &JointMoments,
    alpha: Alpha,
    alternative: Alternative,
) -> Result<RatioCuped, MethodError> {
    if control.k() != 4 || treatment.k() != 4 {
        return Err(MethodError::Degenerate);
    }
    if control.n() < 2 || treatment.n() < 2 {
        return Err(MethodError::TooFewUnits);
    }
    let all = control.clone().merge(treatment);
    let (now, before) = (linearise(&all, 0, 1)?, linearise(&all, 2, 3)?);
    let spread = all.variance_along(&before.gradient);
    let theta = if spread > 0.0 {
        all.covariance_along(&now.gradient, &before.gradient) / spread
    } else {
        0.0
    };
    let adjust = |arm: &JointMoments| {
        let (own, own_before) = (linearise(arm, 0, 1)?, linearise(arm, 2, 3)?);
        let mut gradient = own.gradient;
        for (g, h) in gradient.iter_mut().zip(own_before.gradient) {
            *g -= theta * h;
        }
        let ratio = own.ratio - theta * (own_before.ratio - before.ratio);
        let adjusted = Moments::from_summary(arm.n(), ratio, arm.variance_along(&gradient));
        let raw = arm.variance_along(&own.gradient) / arm.n() as f64;
        Ok((adjusted.ok_or(MethodError::NotFinite)?, raw))
    };
    let ((c, raw_c), (t, raw_t)) = (adjust(control)?, adjust(treatment)?);
    let adjusted = c.variance_of_mean().zip(t.variance_of_mean()).map(|(c, t)| c + t);
    let raw = raw_c + raw_t;
    Ok(RatioCuped {
        theta,
        estimate: welch_against(&c, &t, 0.0, alpha, alternative),
        control: c,
        treatment: t,
        variance_reduction: adjusted.filter(|_| raw > 0.0).map(|adjusted| 1.0 - adjusted / raw),
    })
}
