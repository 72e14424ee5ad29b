//! Difference of two means by regression on treatment and a covariate (ANCOVA).
//!
//! ```text
//! # Question          As `cuped`, by ordinary least squares of `y ~ 1 + treatment + x`.
//! # Input             `CoMoments` of (y, x) of each variant; for HC2 the values themselves
//! # Formula           θ = S_xy/S_xx within the arms; effect `ȳ_t − ȳ_c − θ (x̄_t − x̄_c)`;
//!                     `se² = σ² (1/n_c + 1/n_t + (x̄_t − x̄_c)²/S_xx)`, `σ² = (S_yy − θ S_xy)/(n − 3)`;
//!                     t with n − 3 degrees of freedom. HC2: `se² = Σ c_i² e_i²/(1 − h_i)`, c the
//!                     weights of the effect and h the leverages
//! # Assumes           x fixed before exposure; one variance for all units, but for HC2
//! # Numerics          all around the means of the arms. Without spread of x within the arms the
//!                     covariate is left out (n − 2 degrees of freedom) if the arms share its value,
//!                     and stands for the treatment itself if not: degenerate
//! # Reference         statsmodels `OLS`, and its `cov_type="HC2"` with `use_t=True`; MacKinnon &
//!                     White (1985); `tests/golden/cuped.json`
//! ```

use super::{Alpha, Alternative, Estimate, MethodError};
use crate::stats::CoMoments;

/// What rounding leaves of a residual sum of squares that is zero, relative to the whole.
const ROUNDING: f64 = 1e-13;

/// Answer of the regression.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ancova {
    /// Coefficient of the covariate.
    pub theta: f64,
    /// The treatment's coefficient and its t-test.
    pub estimate: Result<Estimate, MethodError>,
}

/// The parts of the regression that both variances need.
struct Fit {
    theta: f64,
    effect: f64,
    df: f64,
    /// Difference of the covariate's means, treatment − control.
    gap: f64,
    /// Squared deviations of the covariate from its mean in each arm.
    s_xx: f64,
    /// Sum of squared residuals.
    rest: f64,
}

fn fit(control: &CoMoments, treatment: &CoMoments) -> Result<Fit, MethodError> {
    if control.n() == 0 || treatment.n() == 0 {
        return Err(MethodError::TooFewUnits);
    }
    let s_xx = control.x().m2() + treatment.x().m2();
    let s_yy = control.y().m2() + treatment.y().m2();
    let own = |arm: &CoMoments| arm.covariance().unwrap_or(0.0) * (arm.n() as f64 - 1.0);
    let s_xy = own(control) + own(treatment);
    let gap = control.x().mean_difference(treatment.x());
    let varies = s_xx > 0.0;
    if !varies && gap != 0.0 {
        return Err(MethodError::Degenerate);
    }
    let theta = if varies { s_xy / s_xx } else { 0.0 };
    let n = (control.n() + treatment.n()) as f64;
    let df = n - if varies { 3.0 } else { 2.0 };
    if df < 1.0 {
        return Err(MethodError::TooFewUnits);
    }
    let effect = control.y().mean_difference(treatment.y()) - theta * gap;
    let rest = s_yy - theta * s_xy;
    let rest = if rest <= ROUNDING * s_yy { 0.0 } else { rest };
    if !(theta.is_finite() && effect.is_finite() && rest.is_finite()) {
        return Err(MethodError::NotFinite);
    }
    Ok(Fit { theta, effect, df, gap, s_xx, rest })
}

/// The regression with one variance for all units.
pub fn ancova(
    control: &CoMoments,
    treatment: &CoMoments,
    alpha: Alpha,
    alternative: Alternative,
) -> Result<Ancova, MethodError> {
    let Fit { theta, effect, df, gap, s_xx, rest } = fit(control, treatment)?;
    let lever = if s_xx > 0.0 { gap * (gap / s_xx) } else { 0.0 };
    let scale = 1.0 / control.n() as f64 + 1.0 / treatment.n() as f64 + lever;
    let se = (rest / df * scale).sqrt();
    Ok(Ancova { theta, estimate: Estimate::student(effect, se, df, alpha, alternative) })
}

/// Values and covariates of one arm, unit by unit.
#[derive(Debug, Clone, Copy)]
pub struct Units<'v> {
    /// The metric.
    pub values: &'v [f64],
    /// The covariate.
    pub covariate: &'v [f64],
}

/// The regression with each unit's own variance (HC2).
pub fn ancova_hc2(
    control: Units<'_>,
    treatment: Units<'_>,
    alpha: Alpha,
    alternative: Alternative,
) -> Result<Ancova, MethodError> {
    let of = |arm: Units<'_>| CoMoments::of(arm.values, arm.covariate);
    let (c, t) = (of(control), of(treatment));
    let Fit { theta, effect, df, gap, s_xx, .. } = fit(&c, &t)?;
    if c.n() < 2 || t.n() < 2 {
        return Err(MethodError::TooFewUnits);
    }
    let mut variance = 0.0;
    for (arm, moments, sign) in [(control, &c, -1.0), (treatment, &t, 1.0)] {
        let (y_mean, x_mean, n) = (moments.y().mean(), moments.x().mean(), moments.n() as f64);
        for (y, x) in arm.values.iter().zip(arm.covariate) {
            let x = x - x_mean;
            let residual = y - y_mean - theta * x;
            let (lever, weight) = if s_xx > 0.0 {
                (1.0 / n + x * (x / s_xx), sign / n - gap * (x / s_xx))
            } else {
                (1.0 / n, sign / n)
            };
            let room = 1.0 - lever;
            if room <= 1e-12 {
                // The unit determines a coefficient by itself: its residual says nothing.
                return Err(MethodError::Degenerate);
            }
            variance += weight * weight * residual * residual / room;
        }
    }
    Ok(Ancova {
        theta,
        estimate: Estimate::student(effect, variance.sqrt(), df, alpha, alternative),
    })
}
