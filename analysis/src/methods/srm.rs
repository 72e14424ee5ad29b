//! Sample-ratio check: do the group sizes fit the planned split?
//!
//! ```text
//! # Question          Could chance alone have made groups of these sizes?
//! # Input             units by variant, and the planned weights (any positive scale)
//! # Formula           fixed horizon: `Σ (x − n w)²/(n w)` over variants with w > 0. Always valid:
//!                     the Bayes factor of a Dirichlet(k w) mixture against the plan,
//!                     `BF = B(k w + x)/B(k w) / Π w^x`, p = min(1, 1/BF), k = 100
//! # Assumes           counts of units, never of events
//! # Numerics          a unit where the plan has nobody is a mismatch at once, p = 0; the
//!                     Bayes factor by `count_mixture`
//! # Reference         Lindon & Malek (2022), `NeurIPS`, "Anytime-valid inference for multinomial
//!                     count data", eq. 6; savvi `Multinomial`; `tests/golden/srm.json`
//! ```

pub use super::count_mixture::CONCENTRATION;
use super::normal_mixture::p_value;
use super::{MethodError, chi_squared, count_mixture};

/// Level of the always-valid test that raises the alarm.
pub const ALERT: f64 = 0.01;

/// The fixed-horizon check.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SrmTest {
    /// Pearson's statistic; infinite when a unit is where nobody should be.
    pub statistic: f64,
    /// Variants with a positive weight, less one.
    pub df: u64,
    /// Upper tail area; 0 when a unit is where nobody should be.
    pub p_value: f64,
}

/// The always-valid check.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SequentialSrm {
    /// ln of the Bayes factor against the plan; infinite when a unit is where nobody should be.
    pub log_bayes_factor: f64,
    /// min(1, 1/BF): valid however often it is looked at.
    pub p_value: f64,
}

/// Counts and planned weights of the variants that the plan sends units to.
struct Split {
    counts: Vec<f64>,
    weights: Vec<f64>,
    n: f64,
    /// Whether a variant with weight zero has units.
    trespassed: bool,
}

impl Split {
    fn try_new(counts: &[u64], weights: &[f64]) -> Result<Self, MethodError> {
        if weights.iter().any(|w| !w.is_finite() || *w < 0.0) {
            return Err(MethodError::NotFinite);
        }
        let total: f64 = weights.iter().sum();
        let planned = || counts.iter().zip(weights).filter(|(_, weight)| **weight > 0.0);
        if counts.len() != weights.len() || planned().count() == 0 || !total.is_finite() {
            return Err(MethodError::Degenerate);
        }
        let trespassed = counts.iter().zip(weights).any(|(x, w)| *w <= 0.0 && *x > 0);
        let n = planned().map(|(x, _)| *x as f64).sum();
        Ok(Self {
            counts: planned().map(|(x, _)| *x as f64).collect(),
            weights: planned().map(|(_, w)| w / total).collect(),
            n,
            trespassed,
        })
    }

    /// Observed − expected, by variant.
    fn excess(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.counts.iter().zip(&self.weights).map(|(x, w)| (x - self.n * w, *w))
    }
}

/// Units expected by variant, given their total; zero where the plan has nobody.
pub fn expected(counts: &[u64], weights: &[f64]) -> Vec<f64> {
    let n: f64 = counts.iter().map(|&x| x as f64).sum();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|w| n * w / total).collect()
}

/// Pearson's test of the counts against the weights.
pub fn srm(counts: &[u64], weights: &[f64]) -> Result<SrmTest, MethodError> {
    let split = Split::try_new(counts, weights)?;
    let df = split.counts.len() as u64 - 1;
    if split.trespassed {
        return Ok(SrmTest { statistic: f64::INFINITY, df, p_value: 0.0 });
    }
    if split.n == 0.0 {
        return Err(MethodError::TooFewUnits);
    }
    let statistic = split.excess().map(|(e, w)| e * e / (split.n * w)).sum();
    // A single variant cannot be split wrongly.
    let p_value = if df == 0 { 1.0 } else { chi_squared::sf(statistic, df) };
    Ok(SrmTest { statistic, df, p_value })
}

/// The always-valid test of the counts against the weights with concentration `k` > 0.
pub fn srm_sequential(
    counts: &[u64],
    weights: &[f64],
    k: f64,
) -> Result<SequentialSrm, MethodError> {
    let split = Split::try_new(counts, weights)?;
    if !(k > 0.0 && k.is_finite()) {
        return Err(MethodError::NotFinite);
    }
    if split.trespassed {
        return Ok(SequentialSrm { log_bayes_factor: f64::INFINITY, p_value: 0.0 });
    }
    let log_bayes_factor = count_mixture::log_bayes_factor(&split.counts, &split.weights, k);
    if log_bayes_factor.is_nan() {
        return Err(MethodError::NotFinite);
    }
    Ok(SequentialSrm { log_bayes_factor, p_value: p_value(log_bayes_factor) })
}
