//! Effects of arms whose weights were changed by what was seen: AIPW over phases.
//!
//! ```text
//! # Question          What is the difference of two arms' means, when a bandit sent more units to
//!                     whichever looked better?
//! # Input             phases with constant weights: units of all arms, and for both arms the moments
//!                     and the share e with which units were sent there
//! # Formula           score of a unit for arm w: `m̂_w + 1{sent to w} (y − m̂_w)/e_w`, m̂_w the mean of
//!                     the phases before; the effect is the mean of the differences of scores, its
//!                     variance their mean square about it over the number of units
//! # Assumes           weights fixed within a phase and known; units of different phases comparable
//! # Numerics          from each phase's moments, without rows; sums about the current estimate
//! # Reference         Hadad, Hirshberg, Zhan, Wager, Athey (2021), PNAS 118; Robins, Rotnitzky, Zhao
//!                     (1994); `tests/golden/bandits.json`
//! ```

use super::contrast::Contrast;
use super::{Alpha, Alternative, MethodError};
use crate::stats::Moments;

/// One arm in one phase.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ArmPhase {
    /// Units that were sent here.
    pub moments: Moments,
    /// Share of all units that were to be sent here, in (0, 1].
    pub share: f64,
}

/// A time with constant weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdaptivePhase {
    /// Units of all arms.
    pub n_units: u64,
    /// The control.
    pub control: ArmPhase,
    /// The treatment.
    pub treatment: ArmPhase,
}

/// Difference of means by augmented inverse-probability weighting, with its normal test.
pub fn adaptive_effect(
    phases: &[AdaptivePhase],
    alpha: Alpha,
    alternative: Alternative,
) -> Result<Contrast, MethodError> {
    let n: f64 = phases.iter().map(|phase| phase.n_units as f64).sum();
    let sound = |arm: &ArmPhase| arm.share > 0.0 && arm.share <= 1.0;
    if n < 2.0 {
        return Err(MethodError::TooFewUnits);
    }
    if !phases.iter().all(|phase| sound(&phase.control) && sound(&phase.treatment)) {
        return Err(MethodError::Degenerate);
    }
    let scores = scores(phases);
    let effect = scores.iter().map(|score| score.n * score.mean).sum::<f64>() / n;
    let squares: f64 = scores
        .iter()
        .map(|score| score.m2 + score.n * (score.mean - effect) * (score.mean - effect))
        .sum();
    Contrast::normal(effect, (squares / n / n).sqrt(), alpha, alternative)
}

/// Units with the same kind of score: their number, mean and sum of squares about it.
struct Scores {
    n: f64,
    mean: f64,
    m2: f64,
}

fn scores(phases: &[AdaptivePhase]) -> Vec<Scores> {
    let (mut c_before, mut t_before) = (Moments::EMPTY, Moments::EMPTY);
    let mut scores = Vec::with_capacity(3 * phases.len());
    for phase in phases {
        let (c, t) = (&phase.control, &phase.treatment);
        let base = t_before.mean() - c_before.mean();
        let (n_c, n_t) = (c.moments.n() as f64, t.moments.n() as f64);
        let mut sent = |arm: &ArmPhase, before: &Moments, sign: f64| {
            let factor = sign / arm.share;
            scores.push(Scores {
                n: arm.moments.n() as f64,
                mean: base + factor * before.mean_difference(&arm.moments),
                m2: factor * factor * arm.moments.m2(),
            });
        };
        sent(c, &c_before, -1.0);
        sent(t, &t_before, 1.0);
        scores.push(Scores { n: (phase.n_units as f64 - n_c - n_t).max(0.0), mean: base, m2: 0.0 });
        c_before = c_before.merge(c.moments);
        t_before = t_before.merge(t.moments);
    }
    scores
}
