//! Confidence sequences: intervals and p-values that hold at every look at once.
//!
//! ```text
//! # Question          What can be said now, if one looks at every cycle and stops when one likes?
//! # Input             an effect with its standard error and n units; or the `Moments` of both arms
//!                     (for ratios and CUPED those of the linearised or adjusted values)
//! # Formula           normal mixture with `r² = n ρ²`, ρ² tuned to `n_tune` units in all:
//!                     `half = se √((1 + 1/(n ρ²)) (ln(1 + n ρ²) + 2 ln(1/α)))`,
//!                     `ln e = ½ (z² n ρ²/(1 + n ρ²) − ln(1 + n ρ²))`, p = min(1, 1/e). From moments
//!                     `se = max(se_welch, se_pooled)`, `se_pooled² = v_all (1/n_c + 1/n_t)`. Lift:
//!                     Fieller's interval with the critical value half/se_welch, so that it excludes 0
//!                     exactly when the absolute one does
//! # Assumes           outcomes that are settled (their window has closed); enough units for the
//!                     normal law: 100 in each arm and 25 skew² in the smaller one, else
//!                     [`Gate::AsymptoticsNotReached`], and then nothing may be decided
//! # Numerics          e-values as logarithms; the p-value and the interval come from one mixture, so
//!                     that they never disagree
//! # Reference         Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas (2024), Ann. Statist. 52; gbstats
//!                     `SequentialTwoSidedTTest`; Howard et al. (2021) for one direction;
//!                     `tests/golden/always_valid.json`
//! ```

use super::normal_mixture::{NormalMixture, p_value, tuned_rho2};
use super::{Alpha, Alternative, Interval, MethodError, lift};
use crate::stats::Moments;

/// Units in all at which intervals are tightest, when no sample is planned.
pub const N_TUNE: f64 = 10_000.0;

/// Fewest units of an arm to trust the normal law.
pub const LEAST_UNITS: u64 = 100;

/// Units per squared skewness that the smaller arm must have.
pub const UNITS_PER_SKEW2: f64 = 25.0;

/// Always-valid answer about one effect.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sequential {
    /// Variance of the mixture in units of one unit's variance.
    pub rho2: f64,
    /// Half width of the two-sided interval, distance of the bound of a one-sided one.
    pub half_width: f64,
    /// Interval of the effect at this look.
    pub ci: Interval,
    /// ln of the e-value of this look.
    pub log_e_value: f64,
    /// min(1, 1/e) of this look. Over looks, the running minimum is valid.
    pub p_value: f64,
}

/// The sequence's interval and p-value for an effect with standard error `se` of `n` units in all,
/// tuned to `n_tune` units.
pub fn confidence_sequence(
    effect: f64,
    se: f64,
    n: f64,
    n_tune: f64,
    alpha: Alpha,
    alternative: Alternative,
) -> Result<Sequential, MethodError> {
    let z = standardised(effect, se)?;
    let rho2 = tuned_rho2(alpha.get(), n_tune, alternative);
    let mixture = NormalMixture::new((n * rho2).sqrt());
    let half_width = se * mixture.boundary(alpha.get().ln(), alternative);
    let log_e_value = mixture.log_e_value(z, alternative);
    if log_e_value.is_nan() || half_width.is_nan() {
        return Err(MethodError::NotFinite);
    }
    Ok(Sequential {
        rho2,
        half_width,
        ci: alternative.interval(effect, half_width),
        log_e_value,
        p_value: p_value(log_e_value),
    })
}

/// effect/se, when that is a number.
pub(super) fn standardised(effect: f64, se: f64) -> Result<f64, MethodError> {
    if se == 0.0 {
        return Err(MethodError::ZeroVariance);
    }
    let z = effect / se;
    if z.is_finite() && se.is_finite() { Ok(z) } else { Err(MethodError::NotFinite) }
}

/// The word for too few units in reports.
pub const ASYMPTOTICS_NOT_REACHED: &str = "asymptotics_not_reached";

/// Whether the arms have units enough for the normal law.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Gate {
    /// They have.
    Reached,
    /// They have not: numbers may be shown, and nothing may be decided.
    AsymptoticsNotReached {
        /// Units that the smaller arm needs.
        needed: f64,
        /// Units that it has.
        n_units: u64,
    },
}

impl Gate {
    /// Checks both arms, with the skewness of control.
    pub fn of(control: &Moments, treatment: &Moments) -> Self {
        let skew = control.skewness().unwrap_or(0.0);
        let needed = (UNITS_PER_SKEW2 * skew * skew).max(LEAST_UNITS as f64);
        let n_units = control.n().min(treatment.n());
        if n_units as f64 >= needed {
            Self::Reached
        } else {
            Self::AsymptoticsNotReached { needed, n_units }
        }
    }

    /// Whether a decision may be based on the numbers.
    pub fn is_reached(self) -> bool {
        self == Self::Reached
    }

    /// The word for it in reports; none when reached.
    pub const fn code(self) -> Option<&'static str> {
        match self {
            Self::Reached => None,
            Self::AsymptoticsNotReached { .. } => Some(ASYMPTOTICS_NOT_REACHED),
        }
    }
}

/// Always-valid comparison of two means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SequentialComparison {
    /// Treatment − control.
    pub effect: f64,
    /// The larger of both standard errors, which the sequence uses.
    pub se: f64,
    /// Standard error with each arm's own variance.
    pub se_welch: f64,
    /// Interval and p-value.
    pub sequential: Sequential,
    /// Effect over the control's absolute mean.
    pub lift: Result<f64, MethodError>,
    /// Its interval, which excludes 0 exactly when the absolute one does.
    pub lift_ci: Result<Interval, MethodError>,
    /// Whether a decision may be based on it.
    pub gate: Gate,
}

/// Compares two means at any look. `n_tune` is the planned number of units in both arms, or
/// [`N_TUNE`]. For a ratio give the linearised moments of each arm and, as `all`, those of both arms
/// together; for a mean `all` is the merged moments.
pub fn compare_means(
    control: &Moments,
    treatment: &Moments,
    all: &Moments,
    n_tune: f64,
    alpha: Alpha,
    alternative: Alternative,
) -> Result<SequentialComparison, MethodError> {
    let (Some(a), Some(b), Some(v)) =
        (control.variance_of_mean(), treatment.variance_of_mean(), all.variance())
    else {
        return Err(MethodError::TooFewUnits);
    };
    let (n_c, n_t) = (control.n() as f64, treatment.n() as f64);
    let effect = control.mean_difference(treatment);
    let se_welch = (a + b).sqrt();
    let se = se_welch.max((v / n_c + v / n_t).sqrt());
    if se_welch == 0.0 {
        return Err(MethodError::ZeroVariance);
    }
    let sequential = confidence_sequence(effect, se, n_c + n_t, n_tune, alpha, alternative)?;
    let lift_ci = lift::fieller(control, treatment, sequential.half_width / se_welch);
    Ok(SequentialComparison {
        effect,
        se,
        se_welch,
        sequential,
        lift: lift::lift(control, treatment),
        lift_ci: match alternative {
            Alternative::TwoSided => lift_ci,
            Alternative::Greater => lift_ci.map(|ci| Interval { hi: f64::INFINITY, ..ci }),
            Alternative::Less => lift_ci.map(|ci| Interval { lo: f64::NEG_INFINITY, ..ci }),
        },
        gate: Gate::of(control, treatment),
    })
}
