//! Adjusted p-values for several comparisons.
//!
//! ```text
//! # Question          Which of these comparisons stand, given that there are several?
//! # Input             p-values; a missing one stays missing and is not counted
//! # Formula           with m tests and p₍₁₎ ≤ … ≤ p₍ₘ₎: Bonferroni m p; Šidák 1 − (1 − p)^m;
//!                     Holm max over j ≤ i of (m − j + 1) p₍ⱼ₎; Hochberg min over j ≥ i of the same;
//!                     Benjamini–Hochberg min over j ≥ i of (m/j) p₍ⱼ₎; Benjamini–Yekutieli the
//!                     same times Σ 1/k
//! # Assumes           Hochberg and Benjamini–Hochberg: independence or positive dependence
//! # Numerics          Šidák by `ln_1p` and `exp_m1`; all are monotone and capped at 1
//! # Reference         statsmodels `multipletests`; Benjamini & Hochberg (1995), table 1;
//!                     `tests/golden/multiplicity.json`
//! ```

/// How p-values are adjusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Correction {
    /// Family-wise, by the union bound.
    Bonferroni,
    /// Family-wise, for independent tests.
    Sidak,
    /// Family-wise, step-down; never worse than Bonferroni.
    Holm,
    /// Family-wise, step-up; needs positive dependence.
    Hochberg,
    /// False discovery rate; needs positive dependence.
    BenjaminiHochberg,
    /// False discovery rate under any dependence.
    BenjaminiYekutieli,
}

/// Adjusted p-values, in the order given.
pub fn adjust(p_values: &[Option<f64>], correction: Correction) -> Vec<Option<f64>> {
    let mut order: Vec<(usize, f64)> =
        p_values.iter().enumerate().filter_map(|(i, p)| p.map(|p| (i, p))).collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1));
    let m = order.len() as f64;
    let harmonic: f64 = (1..=order.len()).map(|k| 1.0 / k as f64).sum();
    let scaled = |rank: usize, p: f64| match correction {
        Correction::Bonferroni => m * p,
        Correction::Sidak => -(m * (-p).ln_1p()).exp_m1(),
        Correction::Holm | Correction::Hochberg => (m - rank as f64) * p,
        Correction::BenjaminiHochberg => p * m / (rank as f64 + 1.0),
        Correction::BenjaminiYekutieli => p * m * harmonic / (rank as f64 + 1.0),
    };
    let mut adjusted: Vec<f64> =
        order.iter().enumerate().map(|(rank, (_, p))| scaled(rank, *p).min(1.0)).collect();
    match correction {
        Correction::Bonferroni | Correction::Sidak => {}
        Correction::Holm => {
            for i in 1..adjusted.len() {
                adjusted[i] = adjusted[i].max(adjusted[i - 1]);
            }
        }
        Correction::Hochberg | Correction::BenjaminiHochberg | Correction::BenjaminiYekutieli => {
            for i in (1..adjusted.len()).rev() {
                adjusted[i - 1] = adjusted[i - 1].min(adjusted[i]);
            }
        }
    }
    let mut result = vec![None; p_values.len()];
    for ((i, _), p) in order.iter().zip(adjusted) {
        result[*i] = Some(p);
    }
    result
}
