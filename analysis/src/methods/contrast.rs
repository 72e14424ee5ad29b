//! Contrasts of independent estimates: novelty and primacy, interaction of two experiments, dilution.
//!
//! ```text
//! # Question          Does the effect change with time since exposure? Does one experiment change the
//!                     other's effect? What is the effect over everyone, when only some were exposed?
//! # Input             effects with standard errors; for the same units in both periods the joint
//!                     moments of (late, early) values
//! # Formula           novelty: late − early, `se² = se_l² + se_e²` of separate units, normal; Welch's
//!                     test between arms of each unit's own late − early when units are the same.
//!                     Interaction: `(tt − tc) − (ct − cc)`, the four variances of means added,
//!                     normal. Dilution: rate r of triggered units times effect,
//!                     `se² = r² se² + effect² r (1 − r)/n`
//! # Assumes           independent units; early is the first 20 % of the window
//! # Numerics          differences of means keep what rounding took from each
//! # Reference         Kohavi, Tang, Xu (2020), chapters 20 and 23; `tests/golden/segments.json`
//! ```

use super::heterogeneity::Effect;
use super::welch::welch_against;
use super::{Alpha, Alternative, Estimate, Interval, MethodError, normal};
use crate::stats::{CoMoments, Moments, Successes};

/// A difference with its normal test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contrast {
    /// The difference.
    pub effect: f64,
    /// Its standard error.
    pub se: f64,
    /// Difference over its standard error.
    pub statistic: f64,
    /// p-value of the normal law.
    pub p_value: f64,
    /// Interval of the difference.
    pub ci: Interval,
}

impl Contrast {
    /// The normal test of an effect with a known standard error.
    pub fn normal(
        effect: f64,
        se: f64,
        alpha: Alpha,
        alternative: Alternative,
    ) -> Result<Self, MethodError> {
        if se == 0.0 {
            return Err(MethodError::ZeroVariance);
        }
        let statistic = effect / se;
        if !(statistic.is_finite() && se.is_finite()) {
            return Err(MethodError::NotFinite);
        }
        let half = normal::isf(alternative.tail(alpha)) * se;
        Ok(Self {
            effect,
            se,
            statistic,
            p_value: alternative.p_normal(statistic),
            ci: alternative.interval(effect, half),
        })
    }
}

/// Change of the effect between two periods with different units.
pub fn novelty(
    early: Effect,
    late: Effect,
    alpha: Alpha,
    alternative: Alternative,
) -> Result<Contrast, MethodError> {
    Contrast::normal(late.effect - early.effect, late.se.hypot(early.se), alpha, alternative)
}

/// Change of the effect between two periods with the same units: the joint moments of (late, early)
/// of each arm.
pub fn novelty_paired(
    control: &CoMoments,
    treatment: &CoMoments,
    alpha: Alpha,
    alternative: Alternative,
) -> Result<Estimate, MethodError> {
    let (control, treatment) = (change(control)?, change(treatment)?);
    welch_against(&control, &treatment, 0.0, alpha, alternative)
}

/// Moments of each unit's own y − x.
fn change(arm: &CoMoments) -> Result<Moments, MethodError> {
    let (Some(late), Some(early), Some(c)) =
        (arm.y().variance(), arm.x().variance(), arm.covariance())
    else {
        return Err(MethodError::TooFewUnits);
    };
    let rest = late + early - 2.0 * c;
    let variance = if rest <= 1e-13 * (late + early) { 0.0 } else { rest };
    let mean = arm.x().mean_difference(arm.y());
    Moments::from_summary(arm.n(), mean, variance).ok_or(MethodError::NotFinite)
}

/// The four cells of two experiments at once; the first letter is the arm of the first experiment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cells {
    /// Control in both.
    pub cc: Moments,
    /// Control in the first, treatment in the second.
    pub ct: Moments,
    /// Treatment in the first, control in the second.
    pub tc: Moments,
    /// Treatment in both.
    pub tt: Moments,
}

/// Difference of the second experiment's effect between the arms of the first.
pub fn interaction(
    cells: &Cells,
    alpha: Alpha,
    alternative: Alternative,
) -> Result<Contrast, MethodError> {
    let variances: Option<f64> = [&cells.cc, &cells.ct, &cells.tc, &cells.tt]
        .into_iter()
        .map(Moments::variance_of_mean)
        .sum();
    let se = variances.ok_or(MethodError::TooFewUnits)?.sqrt();
    let effect = cells.tc.mean_difference(&cells.tt) - cells.cc.mean_difference(&cells.ct);
    Contrast::normal(effect, se, alpha, alternative)
}

/// The effect over all units, given that over the triggered ones and how many these are.
pub fn dilute(
    triggered: Effect,
    units: Successes,
    alpha: Alpha,
    alternative: Alternative,
) -> Result<Contrast, MethodError> {
    let rate = units.share().ok_or(MethodError::TooFewUnits)?;
    let rate_variance = rate * (units.failures() as f64 / units.n as f64) / units.n as f64;
    let se = (rate * triggered.se).hypot(triggered.effect * rate_variance.sqrt());
    Contrast::normal(rate * triggered.effect, se, alpha, alternative)
}
