//! Units needed by designs that are looked at while data accumulate.
//!
//! ```text
//! # Question          How many units must each arm have, if one may look at every cycle, or at a few
//!                     planned times?
//! # Input             variances, effect, two-sided alpha, power, allocation; the number of units for
//!                     which the sequence is tuned, or the inflation of a group-sequential design
//! # Formula           always valid: power at the planned end `Φ(d − q) + Φ(−d − q)`, `d = |effect|/se(n)`,
//!                     q(n) the boundary of the confidence sequence in standard errors; solved for n.
//!                     Tuned to the plan means `n_tune = n (1 + ratio)` of the answer itself.
//!                     Group-sequential: the sample of a single look times the inflation factor
//! # Assumes           as the methods; stopping earlier than at the planned end only adds power
//! # Numerics          Brent's method on ln n; power rises with n because q falls or rises more slowly
//!                     than d
//! # Reference         substitution into `confidence_sequence`; `tests/sequential_plans.rs`
//! ```

use crate::methods::normal_mixture::{NormalMixture, tuned_rho2};
use crate::methods::{Alternative, brent, normal};
use crate::power::{Design, required_per_arm_mean};

/// Chance that a confidence sequence excludes no effect at its look with `n_control` units of control
/// and `ratio` times as many of treatment; `n_tune` of both arms.
pub fn power_always_valid(
    effect: f64,
    variances: [f64; 2],
    design: Design,
    n_control: f64,
    n_tune: f64,
) -> Option<f64> {
    let se = (variances[0] / n_control + variances[1] / (n_control * design.ratio)).sqrt();
    let drift = (effect / se).abs();
    let n = n_control * (1.0 + design.ratio);
    let sound = drift.is_finite() && n > 0.0 && n_tune > 0.0;
    if !(sound && design.alpha > 0.0 && design.alpha < 1.0) {
        return None;
    }
    let rho2 = tuned_rho2(design.alpha, n_tune, Alternative::TwoSided);
    let q =
        NormalMixture::new((n * rho2).sqrt()).boundary(design.alpha.ln(), Alternative::TwoSided);
    Some(normal::cdf(drift - q) + normal::cdf(-drift - q))
}

/// Units of control that a confidence sequence needs, not rounded; tuned to `n_tune` units of both
/// arms, or to the planned sample itself. `None` when there is no answer.
pub fn required_always_valid(
    effect: f64,
    variances: [f64; 2],
    design: Design,
    n_tune: Option<f64>,
) -> Option<f64> {
    let fixed = required_per_arm_mean(variances[0], variances[1], effect, design)?;
    let lacking = |log_n: f64| {
        let n = log_n.exp();
        let tuned = n_tune.unwrap_or(n * (1.0 + design.ratio));
        power_always_valid(effect, variances, design, n, tuned).unwrap_or(f64::NAN) - design.power
    };
    let least = fixed.ln();
    let mut most = least + 1.0;
    while lacking(most) < 0.0 {
        most += 2.0;
        if most > 600.0 {
            return None;
        }
    }
    let found = brent(least, most, lacking).exp();
    (found.is_finite() && found > 0.0).then_some(found)
}

/// Largest sample of a group-sequential design: that of a single look times its inflation factor.
pub fn required_group_sequential(single_look: f64, inflation_factor: f64) -> f64 {
    single_look * inflation_factor
}
