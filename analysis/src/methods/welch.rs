//! Difference of two means with unequal variances (Welch's t-test).
//!
//! ```text
//! # Question          Did treatment change the mean of this metric, and by how much?
//! # Input             `Moments` of each variant; one number per randomization unit
//! # Formula           `effect = m_t − m_c`; `a = v_c/n_c`, `b = v_t/n_t`; `se = √(a + b)`;
//!                     `df = (a + b)²/(a²/(n_c − 1) + b²/(n_t − 1))`;
//!                     p = P(|T_df| > |effect/se|); interval `effect ± t_{1−α/2, df} se`
//! # Assumes           independent units; about 100 and more per variant, or near-normal values
//! # Numerics          the difference of means keeps what rounding took from each mean; df from the
//!                     ratio of the two parts, so that nothing overflows; no variance in either arm
//!                     is an error, not p = 1
//! # Reference         Welch (1947), Biometrika 34; scipy `ttest_ind(equal_var=False)`;
//!                     `tests/golden/welch.json`
//! ```

use super::{Alpha, Alternative, Estimate, MethodError};
use crate::stats::Moments;

/// Welch's two-sided t-test.
pub fn welch(
    control: &Moments,
    treatment: &Moments,
    alpha: Alpha,
) -> Result<Estimate, MethodError> {
    welch_against(control, treatment, 0.0, alpha, Alternative::TwoSided)
}

/// Welch's t-test of `m_t − m_c = null` against an alternative. The interval is that of the effect.
pub fn welch_against(
    control: &Moments,
    treatment: &Moments,
    null: f64,
    alpha: Alpha,
    alternative: Alternative,
) -> Result<Estimate, MethodError> {
    let (Some(a), Some(b)) = (control.variance_of_mean(), treatment.variance_of_mean()) else {
        return Err(MethodError::TooFewUnits);
    };
    let effect = control.mean_difference(treatment);
    let df = satterthwaite(a, control.n(), b, treatment.n());
    let mut estimate = Estimate::student(effect - null, (a + b).sqrt(), df, alpha, alternative)?;
    estimate.effect = effect;
    estimate.ci = alternative.interval(effect, estimate.critical * estimate.se);
    Ok(estimate)
}

/// Degrees of freedom of a sum of two estimated variances of means (Satterthwaite 1946).
pub(super) fn satterthwaite(a: f64, n_a: u64, b: f64, n_b: u64) -> f64 {
    // Shares instead of squares of variances: those would overflow at 1e154.
    let total = a + b;
    let (share_a, share_b) = (a / total, b / total);
    let (df_a, df_b) = (n_a as f64 - 1.0, n_b as f64 - 1.0);
    1.0 / (share_a * share_a / df_a + share_b * share_b / df_b)
}
