//! What to conclude about comparisons that were selected among many: e-BH and FCR intervals.
//!
//! ```text
//! # Question          Which of many e-values stand, however they depend on each other and whenever
//!                     they were looked at? How wide must the intervals of the selected be?
//! # Input             e-values; or p-values and the level q of the false-coverage rate
//! # Formula           e-BH rejects the k largest, k the largest number with `e₍ₖ₎ ≥ m/(α k)`. FCR:
//!                     with R of m selected by Benjamini–Hochberg, their intervals have the level
//!                     `1 − R q/m`
//! # Assumes           e-BH nothing but that each e-value is one; FCR independence or positive
//!                     dependence
//! # Numerics          missing values are not counted; equal e-values stand or fall together
//! # Reference         Wang & Ramdas (2022), JRSS B 84; Benjamini & Yekutieli (2005), JASA 100;
//!                     `tests/golden/combination.json`
//! ```

use super::Alpha;
use super::multiplicity::{Correction, adjust};

/// Which e-values stand at `alpha`, in the order given.
pub fn e_bh(e_values: &[Option<f64>], alpha: Alpha) -> Vec<Option<bool>> {
    let mut sorted: Vec<f64> = e_values.iter().flatten().copied().collect();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let m = sorted.len() as f64;
    // e k ≥ m/α without a quotient, which would round a bound that is reached exactly.
    let reached = |k: usize| sorted[k] * alpha.get() * (k as f64 + 1.0) >= m * (1.0 - 1e-15);
    let limit = (0..sorted.len()).rev().find(|k| reached(*k)).map(|k| sorted[k]);
    e_values.iter().map(|e| e.map(|e| limit.is_some_and(|limit| e >= limit))).collect()
}

/// How many comparisons were selected, and the level of their intervals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FcrLevel {
    /// Comparisons that Benjamini and Hochberg's procedure selects.
    pub selected: usize,
    /// Confidence level of each selected interval; none without a comparison.
    pub marginal_level: Option<f64>,
}

/// The level of intervals of comparisons selected by Benjamini–Hochberg at `alpha`.
pub fn fcr_level(p_values: &[Option<f64>], alpha: Alpha) -> FcrLevel {
    let adjusted = adjust(p_values, Correction::BenjaminiHochberg);
    let selected = adjusted.iter().flatten().filter(|p| **p <= alpha.get()).count();
    let m = adjusted.iter().flatten().count();
    let marginal_level = (m > 0).then(|| 1.0 - selected as f64 * alpha.get() / m as f64);
    FcrLevel { selected, marginal_level }
}
