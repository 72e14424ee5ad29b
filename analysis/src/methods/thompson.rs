//! Thompson sampling: shares of traffic by the probability to be the best arm.
//!
//! ```text
//! # Question          How probable is each arm to be the best? What share of units should it get?
//! # Input             Beta posteriors of shares, or normal posteriors of means
//! # Formula           `P(i best) = ∫ f_i Π_{j≠i} F_j`; weights `f + (1 − n f) P`, f the least share
//! # Assumes           independent arms; at least 100 units in each before weights move; effects of such
//!                     data by phase or by AIPW (`adaptive_effect`), never by pooled means
//! # Numerics          one quadrature for all arms (`law_grid`), never simulation
//! # Reference         Thompson (1933), Biometrika 25; Scott (2010); gbstats bandits (the floor);
//!                     `tests/golden/bandits.json`
//! ```

use super::MethodError;
use super::beta_binomial::BetaParameters;
use super::law_grid::{Law, probabilities_of_best};

/// Least share of an arm when none is registered.
pub const FLOOR: f64 = 0.01;

/// Units that every arm must have before weights move.
pub const LEAST_UNITS: u64 = 100;

/// Most arms that are compared.
pub const MOST_ARMS: usize = 100;

/// Probability of each share to be the largest; parameters between 0.001 and 1e15.
pub fn best_share(arms: &[BetaParameters]) -> Result<Vec<f64>, MethodError> {
    let sound = |x: f64| (1e-3..=1e15).contains(&x);
    check_arms(arms.len())?;
    if !arms.iter().all(|arm| sound(arm.alpha) && sound(arm.beta)) {
        return Err(MethodError::Degenerate);
    }
    let origin = arms[0];
    let laws: Vec<Law> = arms
        .iter()
        .map(|arm| {
            // ln of the ratio of odds, near 0 from the difference of the products.
            let (across, along) = (arm.alpha * origin.beta, arm.beta * origin.alpha);
            let gap = (across - along) / along;
            let centre = if gap.abs() < 0.5 { gap.ln_1p() } else { (across / along).ln() };
            Law::beta(arm.alpha, arm.beta, centre)
        })
        .collect();
    Ok(normalised(probabilities_of_best(&laws)))
}

/// A normal posterior of an arm's mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormalArm {
    /// Mean.
    pub mean: f64,
    /// Standard deviation, above 0.
    pub sd: f64,
}

/// Probability of each mean to be the largest.
pub fn best_mean(arms: &[NormalArm]) -> Result<Vec<f64>, MethodError> {
    check_arms(arms.len())?;
    // In units of the widest law, from the largest mean: neither overflows.
    let unit = arms.iter().map(|arm| arm.sd).fold(0.0, f64::max);
    let top = arms.iter().map(|arm| arm.mean).fold(f64::NEG_INFINITY, f64::max);
    let laws: Vec<Law> = arms
        .iter()
        .map(|arm| Law::Normal { mean: ((arm.mean - top) / unit).max(-1e4), sd: arm.sd / unit })
        .collect();
    let sound = |law: &Law| law.sd() > 1e-12 && law.centre().is_finite();
    if !laws.iter().all(sound) {
        return Err(MethodError::NotFinite);
    }
    Ok(normalised(probabilities_of_best(&laws)))
}

fn check_arms(n: usize) -> Result<(), MethodError> {
    match n {
        0 => Err(MethodError::TooFewUnits),
        n if n > MOST_ARMS => Err(MethodError::TooManyUnits),
        _ => Ok(()),
    }
}

/// What quadrature leaves open in the last digits is shared out.
fn normalised(mut best: Vec<f64>) -> Vec<f64> {
    let total: f64 = best.iter().sum();
    for p in &mut best {
        *p /= total;
    }
    best
}

/// Shares of traffic with at least `floor` each, which times the number of arms must not exceed 1.
pub fn weights(prob_best: &[f64], floor: f64) -> Result<Vec<f64>, MethodError> {
    let left = 1.0 - floor * prob_best.len() as f64;
    if floor.is_nan() || floor < 0.0 || left < -1e-12 {
        return Err(MethodError::Degenerate);
    }
    Ok(prob_best.iter().map(|p| floor + left.max(0.0) * p).collect())
}
