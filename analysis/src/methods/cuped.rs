//! Difference of two means, adjusted by what was known of each unit before (CUPED).
//!
//! ```text
//! # Question          Did treatment change the mean, when most of the spread between units was there
//!                     before the experiment?
//! # Input             `CoMoments` of the metric y and the covariate x of each variant
//! # Formula           `θ = Cov(y, x)/Var(x)` over the units of both variants together; mean of
//!                     `y − θ (x − x̄)` with x̄ over both; variance `v_y + θ² v_x − 2 θ cov` in each arm;
//!                     then Welch's test. Variance reduction: 1 − se²/(se² without adjustment). Lift:
//!                     the adjusted difference over the control's unadjusted mean, with Fieller's
//!                     interval of the two correlated estimates
//! # Assumes           x was fixed before exposure: otherwise the effect is adjusted away
//! # Numerics          θ from merged co-moments; a covariate that does not vary has θ = 0; a residual
//!                     variance within rounding of zero is zero
//! # Reference         Deng, Xu, Kohavi, Walker (2013), WSDM; tea-tasting `Mean(covariate=…)`, gbstats
//!                     `RegressionAdjustedStatistic`; `tests/golden/cuped.json`
//! ```

use super::fieller::{Parts, ratio_interval};
use super::welch::{welch, welch_against};
use super::{Alpha, Alternative, Estimate, Interval, MethodError};
use crate::stats::{CoMoments, Moments};

/// What rounding leaves of a residual variance that is zero, relative to its parts.
const ROUNDING: f64 = 1e-13;

/// p-value of the covariate's own difference below which the arms were not alike to begin with.
pub const IMBALANCE: f64 = 0.001;

/// Answer of the adjusted test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cuped {
    /// Coefficient of the covariate.
    pub theta: f64,
    /// n, adjusted mean and adjusted variance of control.
    pub control: Moments,
    /// The same of treatment.
    pub treatment: Moments,
    /// Welch's test of the adjusted means.
    pub estimate: Result<Estimate, MethodError>,
    /// 1 − adjusted over raw variance of the effect.
    pub variance_reduction: Option<f64>,
    /// Adjusted effect over the control's unadjusted mean.
    pub lift: Option<f64>,
    /// Its interval; excludes 0 exactly when the two-sided test rejects.
    pub lift_ci: Result<Interval, MethodError>,
    /// p-value of Welch's test of the covariate itself.
    pub covariate_p_value: Option<f64>,
}

/// Coefficient of the covariate over all units; 0 when it does not vary.
pub fn theta(all: &CoMoments) -> f64 {
    match (all.covariance(), all.x().variance()) {
        (Some(covariance), Some(variance)) if variance > 0.0 => covariance / variance,
        _ => 0.0,
    }
}

/// One arm with `y − θ (x − centre)` in place of y.
pub fn adjust(arm: &CoMoments, theta: f64, centre: &Moments) -> Result<Moments, MethodError> {
    let (Some(v_y), Some(v_x), Some(c)) =
        (arm.y().variance(), arm.x().variance(), arm.covariance())
    else {
        return Err(MethodError::TooFewUnits);
    };
    let shift = theta * centre.mean_difference(arm.x());
    let parts = v_y + theta * theta * v_x;
    let rest = parts - 2.0 * theta * c;
    let variance = if rest <= ROUNDING * parts { 0.0 } else { rest };
    let adjusted = Moments::from_summary(arm.n(), arm.y().mean() - shift, variance);
    // Exact when the rest does not depend on x; it serves to judge whether there are units enough.
    let third = arm.y().m3() - theta.powi(3) * arm.x().m3();
    adjusted.map(|adjusted| adjusted.with_m3(third)).ok_or(MethodError::NotFinite)
}

/// Compares two means, adjusted by the covariate.
pub fn cuped(
    control: &CoMoments,
    treatment: &CoMoments,
    alpha: Alpha,
    alternative: Alternative,
) -> Result<Cuped, MethodError> {
    let all = control.merge(*treatment);
    let theta = theta(&all);
    if !theta.is_finite() {
        return Err(MethodError::NotFinite);
    }
    let (c, t) = (adjust(control, theta, all.x())?, adjust(treatment, theta, all.x())?);
    // The difference from the differences of both, not from the two adjusted means: these may be
    // large against it.
    let effect = control.y().mean_difference(treatment.y())
        - theta * control.x().mean_difference(treatment.x());
    let estimate = welch_against(&c, &t, 0.0, alpha, alternative).map(|estimate| Estimate {
        effect,
        statistic: effect / estimate.se,
        p_value: alternative.p_student(effect / estimate.se, estimate.df),
        ci: alternative.interval(effect, estimate.critical * estimate.se),
        ..estimate
    });
    let variance = |c: &Moments, t: &Moments| Some(c.variance_of_mean()? + t.variance_of_mean()?);
    let (adjusted, raw) = (variance(&c, &t), variance(control.y(), treatment.y()));
    let variance_reduction =
        adjusted.zip(raw).and_then(|(adjusted, raw)| (raw > 0.0).then(|| 1.0 - adjusted / raw));
    let base = control.y().mean();
    let two_sided = welch(&c, &t, alpha);
    Ok(Cuped {
        theta,
        estimate,
        variance_reduction,
        lift: (base != 0.0).then(|| effect / base.abs()).filter(|lift| lift.is_finite()),
        lift_ci: two_sided.and_then(|two_sided| {
            let n = control.n() as f64;
            let own = control.covariance().ok_or(MethodError::TooFewUnits)?;
            let raw = control.y().variance_of_mean().ok_or(MethodError::TooFewUnits)?;
            let parts = Parts {
                numerator: effect,
                numerator_variance: two_sided.se * two_sided.se,
                denominator: base,
                denominator_variance: raw,
                // The adjusted control mean enters the effect with a minus.
                covariance: theta * own / n - raw,
            };
            ratio_interval(parts, two_sided.critical)
        }),
        covariate_p_value: welch(control.x(), treatment.x(), alpha).ok().map(|test| test.p_value),
        control: c,
        treatment: t,
    })
}
