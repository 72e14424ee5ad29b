//! Difference of two means over time buckets that switch between the arms.
//!
//! ```text
//! # Question          Did treatment change the metric, when everyone had the same arm at a time?
//! # Input             the metric's mean in each time bucket, in order, and which arm it had
//! # Formula           the first buckets after each switch may be dropped. Welch's test over buckets
//!                     by default. HAC: regression on treatment with Bartlett's weights,
//!                     `Var = Σ_l w_l Σ_t (u_t u_{t−l} + …)`, `w_l = 1 − l/(L + 1)`, `u_t` the bucket's
//!                     residual times its weight in the effect; L = ⌊1.3 √T⌋ unless given; normal
//!                     test, no small-sample factor
//! # Assumes           effects that end within the dropped buckets; for Welch independent buckets
//! # Numerics          the effect's weights are +1/T_t and −1/T_c, so that no matrix is inverted
//! # Reference         Newey & West (1987); Bojinov, Simchi-Levi, Zhao (2023); statsmodels `OLS` with
//!                     `cov_type="HAC"`; `tests/golden/switchback.json`
//! ```

use super::welch::welch_against;
use super::{Alpha, Alternative, Estimate, Interval, MethodError, normal};
use crate::stats::Moments;

/// A time bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Mean of the metric.
    pub value: f64,
    /// Whether it had the treatment.
    pub treated: bool,
}

/// Leaves out the first `burn_in` buckets of every run of the same arm, the first run's included.
pub fn after_burn_in(buckets: &[Bucket], burn_in: usize) -> Vec<Bucket> {
    let mut kept = Vec::with_capacity(buckets.len());
    let mut run = 0;
    let mut arm = None;
    for bucket in buckets {
        run = if arm == Some(bucket.treated) { run + 1 } else { 0 };
        arm = Some(bucket.treated);
        if run >= burn_in {
            kept.push(*bucket);
        }
    }
    kept
}

/// The buckets of one arm.
pub fn arm(buckets: &[Bucket], treated: bool) -> Moments {
    buckets.iter().filter(|bucket| bucket.treated == treated).map(|bucket| bucket.value).collect()
}

/// Welch's test over buckets.
pub fn switchback_welch(
    buckets: &[Bucket],
    alpha: Alpha,
    alternative: Alternative,
) -> Result<Estimate, MethodError> {
    welch_against(&arm(buckets, false), &arm(buckets, true), 0.0, alpha, alternative)
}

/// Answer of the robust test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HacTest {
    /// Treatment − control.
    pub effect: f64,
    /// Its standard error.
    pub se: f64,
    /// Effect over its standard error.
    pub statistic: f64,
    /// p-value of the normal law.
    pub p_value: f64,
    /// Interval of the effect.
    pub ci: Interval,
    /// Lags that were taken into account.
    pub max_lags: usize,
}

/// Lags by default: ⌊1.3 √T⌋.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative, and far below 2^53"
)]
pub fn default_lags(n_buckets: usize) -> usize {
    (1.3 * (n_buckets as f64).sqrt()).floor() as usize
}

/// Regression on treatment with standard errors that allow for neighbours that are alike.
pub fn switchback_hac(
    buckets: &[Bucket],
    max_lags: Option<usize>,
    alpha: Alpha,
    alternative: Alternative,
) -> Result<HacTest, MethodError> {
    let (control, treatment) = (arm(buckets, false), arm(buckets, true));
    if control.n() == 0 || treatment.n() == 0 || buckets.len() < 3 {
        return Err(MethodError::TooFewUnits);
    }
    let max_lags = max_lags.unwrap_or_else(|| default_lags(buckets.len())).min(buckets.len() - 1);
    let effect = control.mean_difference(&treatment);
    let scores: Vec<f64> = buckets
        .iter()
        .map(|bucket| {
            if bucket.treated {
                (bucket.value - treatment.mean()) / treatment.n() as f64
            } else {
                (control.mean() - bucket.value) / control.n() as f64
            }
        })
        .collect();
    let at_lag = |lag: usize| -> f64 {
        scores[lag..].iter().zip(&scores).map(|(now, then)| now * then).sum()
    };
    let own = at_lag(0);
    let around: f64 = (1..=max_lags)
        .map(|lag| 2.0 * (1.0 - lag as f64 / (max_lags as f64 + 1.0)) * at_lag(lag))
        .sum();
    // Bartlett's weights keep the sum from being negative but for rounding.
    let variance = own + around;
    if variance <= 1e-14 * own || own == 0.0 {
        return Err(MethodError::ZeroVariance);
    }
    let se = variance.sqrt();
    let statistic = effect / se;
    if !statistic.is_finite() {
        return Err(MethodError::NotFinite);
    }
    let half = normal::isf(alternative.tail(alpha)) * se;
    Ok(HacTest {
        effect,
        se,
        statistic,
        p_value: alternative.p_normal(statistic),
        ci: alternative.interval(effect, half),
        max_lags,
    })
}
