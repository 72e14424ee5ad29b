//! Units needed per arm to detect an effect.
//!
//! ```text
//! # Question          How many units must each arm have, to find an effect of this size?
//! # Input             baseline, effect, two-sided alpha, power, allocation (treatment / control)
//! # Formula           mean: `n_c = x² (v_c + v_t / r) / d²` where `x = d/se` solves
//!                     `Φ(x − z_{1−α/2}) + Φ(−x − z_{1−α/2}) = power`, so `x ≈ z_{1−α/2} + z_power`;
//!                     proportions (pooled under the null, Fleiss):
//!                     `n_c = (z_{1−α/2} √((r+1) p̄q̄) + z_power √(r p_c q_c + p_t q_t))² / (r d²)`,
//!                     `p̄ = (p_c + r p_t)/(r + 1)`
//!                     t: the same with the power of Student's test at n_c (1 + r) − 2 degrees of
//!                     freedom, solved for n_c
//! # Assumes           normal statistics; the arms' variances as given
//! # Numerics          answers are real numbers, for the caller to round up; inputs that allow no
//!                     answer give `None`
//! # Reference         Fleiss, Levin, Paik (2003), Statistical Methods for Rates and Proportions,
//!                     eq. 4.14; statsmodels `NormalIndPower`, `TTestIndPower`; `tests/golden/power.json`
//! ```

use crate::methods::{brent, noncentral_t, normal, student_t};

/// What a sample size must satisfy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Design {
    /// Two-sided significance level, in (0, 1).
    pub alpha: f64,
    /// Chance to detect the effect, in (0, 1).
    pub power: f64,
    /// Units of the treatment for each unit of the control.
    pub ratio: f64,
}

impl Default for Design {
    /// Two-sided 5 %, power 80 %, equal arms.
    fn default() -> Self {
        Self { alpha: 0.05, power: 0.8, ratio: 1.0 }
    }
}

impl Design {
    /// Critical value of the test and of the power, if the design is one.
    fn quantiles(self) -> Option<(f64, f64)> {
        let inside = |p: f64| p > 0.0 && p < 1.0;
        // A test rejects with probability alpha when there is no effect, so no less can be asked for.
        let sensible = inside(self.alpha) && inside(self.power) && self.power > self.alpha;
        (sensible && self.ratio > 0.0 && self.ratio.is_finite())
            .then(|| (normal::isf(self.alpha / 2.0), normal::isf(1.0 - self.power)))
    }

    /// Units of the treatment, given those of the control (both before rounding up).
    pub fn treatment_units(self, control_units: f64) -> f64 {
        control_units * self.ratio
    }
}

/// Units of the control arm needed to find the absolute difference `effect` of two means with the
/// given variances of one unit; not rounded. `None` when there is no answer (no effect, no variance
/// known, a level outside (0, 1)).
pub fn required_per_arm_mean(
    variance_control: f64,
    variance_treatment: f64,
    effect: f64,
    design: Design,
) -> Option<f64> {
    let (z_alpha, z_power) = design.quantiles()?;
    if !(variance_control >= 0.0 && variance_treatment >= 0.0) {
        return None;
    }
    let variance = variance_control + variance_treatment / design.ratio;
    let drift = drift_of(z_alpha, z_alpha + z_power, design.power);
    answer(drift.powi(2) * variance / (effect * effect))
}

/// As [`required_per_arm_mean`] for a one-sided test at `alpha`.
pub fn required_per_arm_mean_one_sided(
    variance_control: f64,
    variance_treatment: f64,
    effect: f64,
    design: Design,
) -> Option<f64> {
    let (_, z_power) = design.quantiles()?;
    let drift = normal::isf(design.alpha) + z_power;
    let variance = variance_control + variance_treatment / design.ratio;
    answer(drift * drift * variance / (effect * effect))
}

/// As [`required_per_arm_mean`] by the power of Student's t-test itself, for units with one variance
/// in both arms: some more than by the normal law. `two_sided` is false for a test at `alpha` in the
/// direction of the effect.
pub fn required_per_arm_mean_t(
    variance: f64,
    effect: f64,
    design: Design,
    two_sided: bool,
) -> Option<f64> {
    let one_sided = required_per_arm_mean_one_sided(variance, variance, effect, design);
    let normal = if two_sided {
        required_per_arm_mean(variance, variance, effect, design)
    } else {
        one_sided
    }?;
    let size = (effect * effect / variance).sqrt();
    let lacking = |units: f64| power_t(size, units, design, two_sided) - design.power;
    // Below this there are no degrees of freedom.
    let least = 2.05 / (1.0 + design.ratio);
    let mut most = normal.max(least) + 2.0;
    while lacking(most) < 0.0 {
        most *= 1.5;
        if most > 1e18 {
            return None;
        }
    }
    answer(brent(least, most, lacking))
}

/// Power of Student's t-test with so many units of control; `size` in standard deviations.
fn power_t(size: f64, units: f64, design: Design, two_sided: bool) -> f64 {
    let df = units * (1.0 + design.ratio) - 2.0;
    let drift = size * (units * design.ratio / (1.0 + design.ratio)).sqrt();
    let critical = student_t::isf(if two_sided { design.alpha / 2.0 } else { design.alpha }, df);
    let far = if two_sided { noncentral_t::cdf(-critical, df, drift) } else { 0.0 };
    noncentral_t::sf(critical, df, drift) + far
}

/// Chance that a two-sided test at `alpha` finds an effect that is estimated with standard error
/// `se`; `None` when that is zero or no number.
pub fn power_mean(effect: f64, se: f64, alpha: f64) -> Option<f64> {
    let drift = effect / se;
    if !(drift.is_finite() && alpha > 0.0 && alpha < 1.0) {
        return None;
    }
    let z = normal::isf(alpha / 2.0);
    Some(normal::cdf(drift - z) + normal::cdf(-drift - z))
}

/// Units of the control arm needed to tell the shares `control` and `treatment` apart by the pooled
/// test; not rounded. `None` when there is no answer (equal shares, a share outside [0, 1]).
pub fn required_per_arm_proportion(control: f64, treatment: f64, design: Design) -> Option<f64> {
    let (z_alpha, z_power) = design.quantiles()?;
    let share = |p: f64| (0.0..=1.0).contains(&p);
    if !share(control) || !share(treatment) {
        return None;
    }
    let r = design.ratio;
    let pooled = (control + r * treatment) / (r + 1.0);
    let under_null = ((r + 1.0) * pooled * (1.0 - pooled)).sqrt();
    let under_effect = (r * control * (1.0 - control) + treatment * (1.0 - treatment)).sqrt();
    let effect = treatment - control;
    answer((z_alpha * under_null + z_power * under_effect).powi(2) / (r * effect * effect))
}

/// As [`required_per_arm_proportion`], with each arm's own variance under the null too: for
/// comparison with calculators that do so.
pub fn required_per_arm_proportion_unpooled(
    control: f64,
    treatment: f64,
    design: Design,
) -> Option<f64> {
    let (z_alpha, z_power) = design.quantiles()?;
    let variance = control * (1.0 - control) + treatment * (1.0 - treatment) / design.ratio;
    let effect = treatment - control;
    answer((z_alpha + z_power).powi(2) * variance / (effect * effect))
}

/// Units per arm by the formula of Evan Miller's calculator, which takes the control's variance
/// under the null: for comparison.
pub fn required_per_arm_evan_miller(control: f64, effect: f64, design: Design) -> Option<f64> {
    let (z_alpha, z_power) = design.quantiles()?;
    let treatment = control + effect;
    let under_null = (2.0 * control * (1.0 - control)).sqrt();
    let under_effect = (control * (1.0 - control) + treatment * (1.0 - treatment)).sqrt();
    answer((z_alpha * under_null + z_power * under_effect).powi(2) / (effect * effect))
}

/// The effect in standard errors at which a two-sided test at `z_alpha` has this power, by Newton
/// from the one-sided answer; the opposite tail matters from the sixth digit on.
fn drift_of(z_alpha: f64, one_sided: f64, power: f64) -> f64 {
    let mut drift = one_sided.max(f64::MIN_POSITIVE);
    for _ in 0..50 {
        let reached = normal::cdf(drift - z_alpha) + normal::cdf(-drift - z_alpha);
        let slope = normal::pdf(drift - z_alpha) - normal::pdf(drift + z_alpha);
        // Halving keeps the search on the side where more drift means more power.
        let next = (drift - (reached - power) / slope).max(drift / 2.0);
        if (next - drift).abs() <= 1e-15 * drift {
            return next;
        }
        drift = next;
    }
    drift
}

fn answer(units: f64) -> Option<f64> {
    (units.is_finite() && units > 0.0).then_some(units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_to_twelve_percent_needs_about_3840_units_per_arm() {
        let units = required_per_arm_proportion(0.10, 0.12, Design::default()).unwrap();
        assert!((units - 3_840.85).abs() < 0.01, "{units}");
        let units = required_per_arm_proportion(0.10, 0.102, Design::default()).unwrap();
        assert!((units - 356_300.0).abs() < 100.0, "{units}");
    }

    #[test]
    fn an_unequal_allocation_needs_more_units_in_all() {
        let equal = required_per_arm_mean(1.0, 1.0, 0.1, Design::default()).unwrap();
        let design = Design { ratio: 1.0 / 9.0, ..Design::default() };
        let ramp = required_per_arm_mean(1.0, 1.0, 0.1, design).unwrap();
        assert!((equal - 1_569.772_102).abs() < 1e-6, "{equal}");
        assert!(ramp + design.treatment_units(ramp) > 2.0 * equal);
    }

    #[test]
    fn no_effect_has_no_sample_size() {
        assert_eq!(required_per_arm_proportion(0.1, 0.1, Design::default()), None);
        assert_eq!(required_per_arm_mean(1.0, 1.0, 0.0, Design::default()), None);
        assert_eq!(required_per_arm_mean(f64::NAN, 1.0, 0.1, Design::default()), None);
        let impossible = Design { power: 1.0, ..Design::default() };
        assert_eq!(required_per_arm_mean(1.0, 1.0, 0.1, impossible), None);
    }
}
