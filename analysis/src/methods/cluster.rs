//! Difference of two means when whole clusters of units were assigned together.
//!
//! ```text
//! # Question          Did treatment change the mean over units, when teams, shops or regions were
//!                     randomised?
//! # Input             `CoMoments` over the clusters of each variant, of (sum, number of units)
//! # Formula           m = Σ sum/Σ units in each arm. Delta: the ratio of cluster totals as in `ratio`,
//!                     Welch's test over clusters. CR1: regression of the values on treatment,
//!                     `se² = (Σ_c s²/N_c² + Σ_t s²/N_t²) G/(G − 1) (N − 1)/(N − 2)` with
//!                     `s = sum − m units` of a cluster; t with G − 1 degrees of freedom
//! # Assumes           independent clusters, each with units of one arm only; below 20 clusters both
//!                     are too optimistic, which is flagged
//! # Numerics          s sums to zero in each arm, so that Σ s² follows from the co-moments without
//!                     forming squares around zero
//! # Reference         Deng, Knoblich, Lu (2018), KDD; Liang & Zeger (1986); statsmodels `OLS` with
//!                     `cov_type="cluster"`; tea-tasting `RatioOfMeans`; `tests/golden/cluster.json`
//! ```

use super::ratio::{linearise, ratio_delta};
use super::{Alpha, Alternative, Estimate, MethodError};
use crate::stats::CoMoments;

/// Clusters of both arms together below which the tests are too optimistic.
pub const FEW_CLUSTERS: u64 = 20;

/// What rounding leaves of a residual sum of squares that is zero, relative to its parts.
const ROUNDING: f64 = 1e-13;

/// Ratio of cluster totals, compared by the delta method: Welch's test over clusters.
pub fn cluster_delta(
    control: &CoMoments,
    treatment: &CoMoments,
    alpha: Alpha,
    alternative: Alternative,
) -> Result<Estimate, MethodError> {
    ratio_delta(control, treatment, alpha, alternative)
}

/// Regression on treatment with cluster-robust standard errors (CR1).
pub fn cluster_robust(
    control: &CoMoments,
    treatment: &CoMoments,
    alpha: Alpha,
    alternative: Alternative,
) -> Result<Estimate, MethodError> {
    let clusters = (control.n() + treatment.n()) as f64;
    if control.n() == 0 || treatment.n() == 0 || clusters < 3.0 {
        return Err(MethodError::TooFewUnits);
    }
    let units = |arm: &CoMoments| arm.x().mean() * arm.n() as f64;
    let (n_c, n_t) = (units(control), units(treatment));
    if n_c <= 0.0 || n_t <= 0.0 {
        return Err(MethodError::TooFewUnits);
    }
    let n = n_c + n_t;
    if n <= 2.0 {
        return Err(MethodError::TooFewUnits);
    }
    let mean = |arm: &CoMoments| arm.y().mean() / arm.x().mean();
    let part = |arm: &CoMoments, units: f64| {
        let m = mean(arm);
        let cross = arm.covariance().unwrap_or(0.0) * (arm.n() as f64 - 1.0);
        let whole = arm.y().m2() + m * m * arm.x().m2();
        let squares = whole - 2.0 * m * cross;
        if squares <= ROUNDING * whole { 0.0 } else { squares / units / units }
    };
    let correction = clusters / (clusters - 1.0) * ((n - 1.0) / (n - 2.0));
    let variance = (part(control, n_c) + part(treatment, n_t)) * correction;
    let effect = mean(treatment) - mean(control);
    Estimate::student(effect, variance.sqrt(), clusters - 1.0, alpha, alternative)
}

/// Mean over units of an arm; none without units.
pub fn mean_of_units(arm: &CoMoments) -> Option<f64> {
    linearise(arm).ok().map(|ratio| ratio.moments.mean()).or_else(|| {
        let units = arm.x().mean();
        (arm.n() > 0 && units > 0.0).then(|| arm.y().mean() / units)
    })
}
