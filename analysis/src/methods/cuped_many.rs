//! Difference of two means, adjusted by several covariates.
//!
//! ```text
//! # Question          As `cuped`, with several numbers known of each unit before the experiment.
//! # Input             `JointMoments` of (y, x₁, …, x_k) of each variant
//! # Formula           `θ = S_xx⁻¹ S_xy` over the units of both variants together; adjusted mean
//!                     `ȳ − θ·(x̄ − x̄_all)`, variance `v_y − 2 θ·s_xy + θ·S_xx θ` in each arm; then
//!                     Welch's test
//! # Assumes           all covariates were fixed before exposure
//! # Numerics          Cholesky on the correlation scale, with 1e-10 of the trace on the diagonal and
//!                     one refinement that takes its effect away again: covariates that repeat each
//!                     other share their coefficient. One that does not vary has θ = 0
//! # Reference         Deng, Xu, Kohavi, Walker (2013); numpy `linalg.lstsq`;
//!                     `tests/golden/cuped.json`
//! ```

use super::welch::welch_against;
use super::{Alpha, Alternative, Estimate, MethodError};
use crate::stats::{JointMoments, Moments};

/// Weight of the ridge, in units of the trace of the correlation matrix.
const RIDGE: f64 = 1e-10;

/// Answer of the test with several covariates.
#[derive(Debug, Clone, PartialEq)]
pub struct CupedMany {
    /// Coefficient of each covariate.
    pub thetas: Vec<f64>,
    /// n, adjusted mean and adjusted variance of control.
    pub control: Moments,
    /// The same of treatment.
    pub treatment: Moments,
    /// Welch's test of the adjusted means.
    pub estimate: Result<Estimate, MethodError>,
    /// 1 − adjusted over raw variance of the effect.
    pub variance_reduction: Option<f64>,
}

/// Compares the means of the first number, adjusted by the others.
pub fn cuped_many(
    control: &JointMoments,
    treatment: &JointMoments,
    alpha: Alpha,
    alternative: Alternative,
) -> Result<CupedMany, MethodError> {
    let k = control.k();
    if k == 0 || treatment.k() != k {
        return Err(MethodError::Degenerate);
    }
    if control.n() < 2 || treatment.n() < 2 {
        return Err(MethodError::TooFewUnits);
    }
    let all = control.clone().merge(treatment);
    let thetas = coefficients(&all);
    if thetas.iter().any(|theta| !theta.is_finite()) {
        return Err(MethodError::NotFinite);
    }
    // y − θ·x as a sum of all numbers.
    let gradient: Vec<f64> =
        std::iter::once(1.0).chain(thetas.iter().map(|theta| -theta)).collect();
    let adjust = |arm: &JointMoments| {
        let shift: f64 =
            thetas.iter().enumerate().map(|(i, t)| t * (arm.mean(i + 1) - all.mean(i + 1))).sum();
        Moments::from_summary(arm.n(), arm.mean(0) - shift, arm.variance_along(&gradient))
            .ok_or(MethodError::NotFinite)
    };
    let (c, t) = (adjust(control)?, adjust(treatment)?);
    let spread = |v_c: f64, v_t: f64| v_c / control.n() as f64 + v_t / treatment.n() as f64;
    let raw = spread(control.covariance(0, 0), treatment.covariance(0, 0));
    let adjusted = spread(c.variance().unwrap_or(0.0), t.variance().unwrap_or(0.0));
    Ok(CupedMany {
        estimate: welch_against(&c, &t, 0.0, alpha, alternative),
        thetas,
        control: c,
        treatment: t,
        variance_reduction: (raw > 0.0).then(|| 1.0 - adjusted / raw),
    })
}

/// `S_xx⁻¹ S_xy`.
fn coefficients(all: &JointMoments) -> Vec<f64> {
    let k = all.k() - 1;
    let sd: Vec<f64> = (1..=k).map(|i| all.comoment(i, i).sqrt()).collect();
    let correlation = |i: usize, j: usize| {
        if i == j {
            return 1.0;
        }
        let scale = sd[i] * sd[j];
        if scale > 0.0 { all.comoment(i + 1, j + 1) / scale } else { 0.0 }
    };
    let target: Vec<f64> =
        (0..k).map(|i| if sd[i] > 0.0 { all.comoment(i + 1, 0) / sd[i] } else { 0.0 }).collect();
    let mut lower = vec![vec![0.0; k]; k];
    for i in 0..k {
        for j in 0..=i {
            let ridge = if i == j { RIDGE * k as f64 } else { 0.0 };
            let done: f64 = (0..j).map(|l| lower[i][l] * lower[j][l]).sum();
            let rest = correlation(i, j) + ridge - done;
            // The ridge keeps the diagonal above zero but for rounding.
            lower[i][j] = if i == j { rest.max(f64::EPSILON).sqrt() } else { rest / lower[j][j] };
        }
    }
    let mut solution = solve(&lower, &target);
    let rest: Vec<f64> = (0..k)
        .map(|i| target[i] - (0..k).map(|j| correlation(i, j) * solution[j]).sum::<f64>())
        .collect();
    for (value, step) in solution.iter_mut().zip(solve(&lower, &rest)) {
        *value += step;
    }
    solution.iter().zip(&sd).map(|(value, sd)| if *sd > 0.0 { value / sd } else { 0.0 }).collect()
}

/// Solves `L Lᵀ x = b`.
fn solve(lower: &[Vec<f64>], b: &[f64]) -> Vec<f64> {
    let k = b.len();
    let mut x = b.to_vec();
    for i in 0..k {
        for j in 0..i {
            x[i] -= lower[i][j] * x[j];
        }
        x[i] /= lower[i][i];
    }
    for i in (0..k).rev() {
        for j in i + 1..k {
            x[i] -= lower[j][i] * x[j];
        }
        x[i] /= lower[i][i];
    }
    x
}
