//! Do effects differ between segments, and what is their common value?
//!
//! ```text
//! # Question          Is the treatment's effect the same in all segments (or replications)?
//! # Input             an effect and its standard error for each
//! # Formula           `w = 1/se²`, `d̄ = Σ w d/Σ w`, Cochran's `Q = Σ w (d − d̄)²` with k − 1 degrees
//!                     of freedom, `I² = max(0, (Q − df)/Q)`; DerSimonian–Laird
//!                     `τ² = max(0, (Q − df)/(Σ w − Σ w²/Σ w))`; random effects with
//!                     `1/(se² + τ²)` as weights
//! # Assumes           independent estimates, normal, with known standard errors
//! # Numerics          weights in units of the largest, so that nothing overflows; p by the survival
//!                     function
//! # Reference         Cochran (1954); DerSimonian & Laird (1986); Higgins & Thompson (2002);
//!                     statsmodels `combine_effects`; `tests/golden/segments.json`
//! ```

use super::{MethodError, chi_squared};

/// An effect estimated by itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effect {
    /// Treatment − control.
    pub effect: f64,
    /// Its standard error, above zero.
    pub se: f64,
}

/// Answer of the test, with both pooled effects.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heterogeneity {
    /// Cochran's Q.
    pub q: f64,
    /// Segments less one.
    pub df: u64,
    /// Upper tail area of Q; none with a single segment.
    pub p_value: Option<f64>,
    /// Share of the variation between effects that chance does not explain.
    pub i2: f64,
    /// Variance of the true effects between segments.
    pub tau2: f64,
    /// Pooled under one common effect.
    pub fixed: Effect,
    /// Pooled under effects that vary.
    pub random: Effect,
}

/// Tests and pools.
pub fn heterogeneity(segments: &[Effect]) -> Result<Heterogeneity, MethodError> {
    if segments.is_empty() {
        return Err(MethodError::TooFewUnits);
    }
    if segments.iter().any(|s| !(s.effect.is_finite() && s.se.is_finite())) {
        return Err(MethodError::NotFinite);
    }
    let least = segments.iter().map(|s| s.se).fold(f64::INFINITY, f64::min);
    if least <= 0.0 {
        return Err(MethodError::ZeroVariance);
    }
    let fixed = pool(segments, 0.0, least);
    let df = segments.len() as u64 - 1;
    let q: f64 = segments.iter().map(|s| ((s.effect - fixed.effect) / s.se).powi(2)).sum();
    // In units of 1/least².
    let weight = |s: &Effect| (least / s.se).powi(2);
    let total: f64 = segments.iter().map(weight).sum();
    let squares: f64 = segments.iter().map(|s| weight(s).powi(2)).sum();
    let excess = (q - df as f64).max(0.0);
    let room = total - squares / total;
    let tau2 = if df == 0 || excess == 0.0 { 0.0 } else { excess / room * least * least };
    if !(q.is_finite() && tau2.is_finite()) {
        return Err(MethodError::NotFinite);
    }
    Ok(Heterogeneity {
        q,
        df,
        p_value: (df > 0).then(|| chi_squared::sf(q, df)),
        i2: if q > 0.0 { excess / q } else { 0.0 },
        tau2,
        fixed,
        random: pool(segments, tau2, least),
    })
}

fn pool(segments: &[Effect], tau2: f64, unit: f64) -> Effect {
    let weight = |s: &Effect| {
        let spread = (s.se / unit).powi(2) + tau2 / unit / unit;
        1.0 / spread
    };
    let total: f64 = segments.iter().map(weight).sum();
    // Around the first effect, so that a large common part costs no digits.
    let first = segments[0].effect;
    let mean: f64 = segments.iter().map(|s| weight(s) * (s.effect - first)).sum::<f64>() / total;
    Effect { effect: first + mean, se: unit / total.sqrt() }
}
