//! An effect with a normal prior.
//!
//! ```text
//! # Question          How probable is it that the treatment is better, given what effects usually are?
//! # Input             effect and its standard error (absolute, or relative by the delta method), prior
//!                     N(μ₀, τ₀²) of the effect, or none
//! # Formula           precision `1/se² + 1/τ₀²`, mean weighted by precision; `P(better) = Φ(m/s)`;
//!                     losses `s (φ(z) − z Φ(−z))` at z = ± m/s; interval m ± z_{1−α/2} s
//! # Assumes           a normal estimate; a prior chosen before the data
//! # Numerics          the loss by repeated integrals of erfc, which do not cancel far out; the mean from
//!                     the prior's by the share of its weight, so that neither precision overflows
//! # Reference         gbstats `EffectBayesianABTest`; Raiffa & Schlaifer (1961) for the unit normal
//!                     loss; `tests/golden/bayes.json`
//! ```

use super::confidence_sequence::standardised;
use super::{Alpha, Interval, MethodError, normal};

/// A normal prior of an effect.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormalPrior {
    /// Its mean.
    pub mean: f64,
    /// Its variance, above 0.
    pub variance: f64,
}

impl NormalPrior {
    /// Relative effects are mostly within ± 30 %.
    pub const LIFT: Self = Self { mean: 0.0, variance: 0.3 * 0.3 };
}

/// Posterior of an effect.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormalPosterior {
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub sd: f64,
    /// P(effect > 0).
    pub prob_treatment_better: f64,
    /// E[(−effect)⁺]: what choosing the treatment costs.
    pub expected_loss_treatment: f64,
    /// E[effect⁺]: what keeping control costs.
    pub expected_loss_control: f64,
    /// Equal-tailed interval with probability 1 − α.
    pub credible_interval: Interval,
}

/// The posterior of an effect; without a prior all effects were equally probable.
pub fn normal_normal(
    effect: f64,
    se: f64,
    prior: Option<NormalPrior>,
    alpha: Alpha,
) -> Result<NormalPosterior, MethodError> {
    standardised(effect, se)?;
    let (mean, sd) = match prior {
        None => (effect, se),
        Some(prior) => {
            let tau = prior.variance.sqrt();
            // se²/(se² + τ²), also where the squares overflow.
            let ratio = se / tau;
            let weight = if ratio > 1.0 {
                1.0 / (1.0 + (1.0 / ratio) * (1.0 / ratio))
            } else {
                ratio * ratio / (1.0 + ratio * ratio)
            };
            let sd = if ratio > 1.0 {
                tau / 1.0_f64.hypot(1.0 / ratio)
            } else {
                se / 1.0_f64.hypot(ratio)
            };
            (weight * prior.mean + (1.0 - weight) * effect, sd)
        }
    };
    let z = mean / sd;
    if !(mean.is_finite() && sd > 0.0 && z.is_finite()) {
        return Err(MethodError::NotFinite);
    }
    let half = normal::isf(alpha.get() / 2.0) * sd;
    Ok(NormalPosterior {
        mean,
        sd,
        prob_treatment_better: normal::cdf(z),
        expected_loss_treatment: sd * normal::loss(z),
        expected_loss_control: sd * normal::loss(-z),
        credible_interval: Interval { lo: mean - half, hi: mean + half },
    })
}
