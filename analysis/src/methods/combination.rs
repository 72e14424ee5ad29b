//! One p-value from those of several replications.
//!
//! ```text
//! # Question          What do several independent tests of the same hypothesis say together?
//! # Input             p-values, one-sided in the same direction for Stouffer; weights if wanted
//! # Formula           Fisher: `−2 Σ ln p`, chi-squared with 2 k degrees of freedom. Stouffer:
//!                     `Σ w z/√Σ w²`, `z = Φ⁻¹(1 − p)`, normal
//! # Assumes           independent tests
//! # Numerics          Fisher's tail in closed form, `e^{−h} Σ_{i<k} h^i/i!` with h half of the
//!                     statistic, by logarithms: right to the smallest number. A p of 0 and one of 1
//!                     together leave Stouffer's undefined
//! # Reference         Fisher (1932); Stouffer et al. (1949); scipy `combine_pvalues`;
//!                     `tests/golden/combination.json`
//! ```

use super::{MethodError, normal};

/// A combined statistic and its p-value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Combined {
    /// Chi-squared for Fisher, standard normal for Stouffer.
    pub statistic: f64,
    /// Its upper tail area.
    pub p_value: f64,
}

/// Fisher's combination.
pub fn fisher_combined(p_values: &[f64]) -> Result<Combined, MethodError> {
    if p_values.is_empty() {
        return Err(MethodError::TooFewUnits);
    }
    // 0 − ln p and not −ln p, which would be −0 at p = 1.
    let half: f64 = p_values.iter().map(|p| 0.0 - p.ln()).sum();
    Ok(Combined { statistic: 2.0 * half, p_value: poisson_below(p_values.len(), half) })
}

/// P(Poisson(h) < k), which is the upper tail of chi-squared with 2 k degrees of freedom at 2 h.
fn poisson_below(k: usize, h: f64) -> f64 {
    if h == 0.0 {
        return 1.0;
    }
    if h.is_infinite() {
        return 0.0;
    }
    let mut log_term = -h;
    let (mut largest, mut sum) = (log_term, 1.0);
    for i in 1..k {
        log_term += (h / i as f64).ln();
        if log_term > largest {
            sum = sum * (largest - log_term).exp() + 1.0;
            largest = log_term;
        } else {
            sum += (log_term - largest).exp();
        }
    }
    (largest.exp() * sum).min(1.0)
}

/// Stouffer's combination; weights are all 1 without any.
pub fn stouffer_combined(p_values: &[f64], weights: &[f64]) -> Result<Combined, MethodError> {
    if p_values.is_empty() {
        return Err(MethodError::TooFewUnits);
    }
    let weight = |i: usize| weights.get(i).copied().unwrap_or(1.0);
    let sum: f64 = p_values.iter().enumerate().map(|(i, p)| weighted(weight(i), *p)).sum();
    let scale = (0..p_values.len()).map(|i| weight(i).powi(2)).sum::<f64>().sqrt();
    if scale == 0.0 {
        return Err(MethodError::ZeroDenominator);
    }
    let statistic = sum / scale;
    if statistic.is_nan() {
        return Err(MethodError::NotFinite);
    }
    Ok(Combined { statistic, p_value: normal::sf(statistic) })
}

/// A weight of zero takes its p-value out, even if that is 0 or 1.
fn weighted(weight: f64, p: f64) -> f64 {
    if weight == 0.0 { 0.0 } else { weight * normal::isf(p) }
}
