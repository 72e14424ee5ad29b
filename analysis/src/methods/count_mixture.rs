//! Exact always-valid test of counts: conversions, errors, group sizes.
//!
//! ```text
//! # Question          Do events divide among the arms as the units were planned to?
//! # Input             events by arm (converters, or Poisson events of settled units), planned weights
//! # Formula           Bayes factor of a Dirichlet(k w) mixture against w:
//!                     `BF = B(k w + x)/B(k w) / Π w^x`, p = min(1, 1/BF); k = 100, or a tenth of
//!                     the events that are planned, at least 20. In one direction the mixture is cut at the null:
//!                     `BF₊ = BF · P(θ > w | x)/P(θ > w)`, which stays valid for every share on the
//!                     other side of w. A margin m on the ratio of rates moves the null to
//!                     `w (1 + m)/(w (1 + m) + 1 − w)`
//! # Assumes           counts of units, or of events that are Poisson: not of events that come in bursts
//!                     within a unit; constant planned weights
//! # Numerics          `ln BF` by Stirling differences around the expected counts: subtracting
//!                     log-gammas of 1e9 events would leave nothing of it
//! # Reference         Lindon & Malek (2022), `NeurIPS`, "Anytime-valid inference for multinomial
//!                     count data", eq. 6; savvi `Multinomial`; `tests/golden/srm.json`,
//!                     `tests/golden/always_valid.json`
//! ```

use super::normal_mixture::p_value;
use super::{Alternative, MethodError, incomplete_beta};

/// Concentration of the mixture around the plan.
pub const CONCENTRATION: f64 = 100.0;

/// Concentration where few events are expected.
pub const FEW_EVENTS_CONCENTRATION: f64 = 20.0;

/// `ln B(k w + x) − ln B(k w) − Σ x ln w` for weights that sum to 1.
pub(super) fn log_bayes_factor(counts: &[f64], weights: &[f64], k: f64) -> f64 {
    surprise(counts, weights, k, true) - surprise(counts, weights, k, false)
}

/// `ln B(k w + x) − Σ x ln w`, less `(m − 1)/2 ln 2π`, at the counts or at none.
fn surprise(counts: &[f64], weights: &[f64], k: f64, at_counts: bool) -> f64 {
    let n = if at_counts { counts.iter().sum() } else { 0.0 };
    let total = k + n;
    let others = counts.len() as f64 - 1.0;
    let mut sum = -0.5 * others * total.ln() - stirling_rest(total);
    for (x, w) in counts.iter().zip(weights) {
        let excess = if at_counts { x - n * w } else { 0.0 };
        let mean = total * w;
        let y = if at_counts { k * w + x } else { mean };
        let r = excess / mean;
        // Σ y ln(y/mean) = Σ mean ((1 + r) ln(1 + r) − r), because the excesses sum to 0.
        if r < 1e9 {
            sum += mean * deviance(r) - 0.5 * r.ln_1p();
        } else {
            // A weight so small that the quotient would overflow.
            sum += (y - 0.5) * (y.ln() - mean.ln()) - excess;
        }
        sum += (k * w - 0.5) * w.ln() + stirling_rest(y);
    }
    sum
}

/// (1 + r) ln(1 + r) − r for r > −1, without cancellation near 0.
fn deviance(r: f64) -> f64 {
    if r.abs() > 0.05 {
        // At r = −1 nothing is left of the first part.
        return if r <= -1.0 { 1.0 } else { (1.0 + r) * r.ln_1p() - r };
    }
    // Σ_{j≥2} (−1)^j r^j / (j (j − 1))
    let mut power = r * r;
    let mut sum = 0.0;
    for j in 2..16_u8 {
        let j = f64::from(j);
        sum += power / (j * (j - 1.0));
        power *= -r;
    }
    sum
}

/// `lnΓ(y) − ((y − ½) ln y − y + ½ ln 2π)`: what Stirling's formula leaves.
fn stirling_rest(y: f64) -> f64 {
    if y < 10.0 {
        let main = (y - 0.5) * y.ln() - y + 0.5 * (2.0 * std::f64::consts::PI).ln();
        return libm::lgamma(y) - main;
    }
    let r = 1.0 / (y * y);
    let tail = r * (1.0 / 1188.0 - r * (691.0 / 360_360.0 - r / 156.0));
    (1.0 / 12.0 - r * (1.0 / 360.0 - r * (1.0 / 1260.0 - r * (1.0 / 1680.0 - tail)))) / y
}

/// The concentration at which a number of events in all arms, known before the data, is decided on
/// best: for every tenth of them one. The bound `(ln(1/α) + ½ ln(1 + n/k)) (1 + k/n)` on the squared
/// statistic is least near k = n/10 for levels around 1 %.
pub fn tuned_concentration(planned_events: f64) -> f64 {
    (planned_events / 10.0).clamp(FEW_EVENTS_CONCENTRATION, 1e9)
}

/// Always-valid answer about counts in one direction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DirectedCounts {
    /// ln of the Bayes factor against "no more than the margin"; −∞ where the counts point so far the
    /// other way that the part of the mixture on this side is below the smallest number.
    pub log_bayes_factor: f64,
    /// min(1, 1/BF) of this look.
    pub p_value: f64,
}

/// Whether the rate of the treatment's events is above (`Greater`) or below (`Less`) the control's by
/// more than the relative `margin`, a lift > −1; 0 for any difference. `allocation` is the
/// treatment's planned share of units. Exact for Bernoulli outcomes that are rare and for Poisson
/// ones.
pub fn directed_counts(
    control: u64,
    treatment: u64,
    allocation: f64,
    margin: f64,
    k: f64,
    alternative: Alternative,
) -> Result<DirectedCounts, MethodError> {
    let sound = allocation > 0.0 && allocation < 1.0 && margin > -1.0 && k > 0.0;
    if !(sound && margin.is_finite() && k.is_finite()) {
        return Err(MethodError::NotFinite);
    }
    let scaled = allocation * (1.0 + margin);
    let whole = scaled + (1.0 - allocation);
    let (w, rest) = (scaled / whole, (1.0 - allocation) / whole);
    let (x_c, x_t) = (control as f64, treatment as f64);
    let two_sided = log_bayes_factor(&[x_c, x_t], &[rest, w], k);
    let side = |a: f64, b: f64| {
        let (below, above) = incomplete_beta::tails(a, b, w, rest);
        match alternative {
            Alternative::TwoSided => 1.0,
            Alternative::Greater => above,
            Alternative::Less => below,
        }
    };
    let share = side(k * w + x_t, k * rest + x_c) / side(k * w, k * rest);
    let log_bayes_factor = two_sided + share.ln();
    if log_bayes_factor.is_nan() {
        return Err(MethodError::NotFinite);
    }
    Ok(DirectedCounts { log_bayes_factor, p_value: p_value(log_bayes_factor) })
}
