//! The mixture sequential probability ratio test.
//!
//! ```text
//! # Question          As the confidence sequence: is there an effect, whenever one looks? Here the
//!                     mixture's scale is an effect size, not a number of units
//! # Input             effect, standard error se, scale τ of the mixture N(0, τ²)
//! # Formula           `V = se²`: `ln Λ = ½ ln(V/(V + τ²)) + τ² d²/(2 V (V + τ²))`, p = min(1, 1/Λ),
//!                     interval `d ± √(V (V + τ²)/τ² (ln((V + τ²)/V) + 2 ln(1/α)))`. In one direction
//!                     the mixture is |N(0, τ²)|
//! # Assumes           a normal statistic; τ fixed before the data: the smallest effect worth
//!                     detecting, or a tenth of one unit's standard deviation
//! # Numerics          as `normal_mixture`, r = τ/se
//! # Reference         Johari, Koomen, Pekelis, Walsh (2022), Oper. Res. 70; `tests/golden/always_valid.json`
//! ```

use super::confidence_sequence::standardised;
use super::normal_mixture::{NormalMixture, p_value};
use super::{Alpha, Alternative, Interval, MethodError};

/// τ as a share of one unit's standard deviation, when no effect size is registered.
pub const TAU_PER_SD: f64 = 0.1;

/// Answer of the test at one look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Msprt {
    /// ln of the mixture's likelihood ratio against no effect.
    pub log_lambda: f64,
    /// min(1, 1/Λ) of this look.
    pub p_value: f64,
    /// Interval at this look.
    pub ci: Interval,
}

/// The test at one look; `tau` > 0.
pub fn msprt(
    effect: f64,
    se: f64,
    tau: f64,
    alpha: Alpha,
    alternative: Alternative,
) -> Result<Msprt, MethodError> {
    let z = standardised(effect, se)?;
    let mixture = NormalMixture::new(tau / se);
    let log_lambda = mixture.log_e_value(z, alternative);
    let half = se * mixture.boundary(alpha.get().ln(), alternative);
    if log_lambda.is_nan() || half.is_nan() {
        return Err(MethodError::NotFinite);
    }
    Ok(Msprt { log_lambda, p_value: p_value(log_lambda), ci: alternative.interval(effect, half) })
}

/// Running minimum of always-valid p-values: after each look, the least seen so far; 1 before any.
pub fn running_minimum(p_values: impl IntoIterator<Item = Option<f64>>) -> Vec<f64> {
    let mut least = 1.0_f64;
    p_values
        .into_iter()
        .map(|p| {
            least = p.map_or(least, |p| least.min(p));
            least
        })
        .collect()
}

/// Running intersection of always-valid intervals; an empty one is `None`, and stays so: then the
/// assumptions fail, or a rare event of probability α has happened.
pub fn running_intersection(intervals: &[Interval]) -> Vec<Option<Interval>> {
    let mut rest = Some(Interval { lo: f64::NEG_INFINITY, hi: f64::INFINITY });
    intervals
        .iter()
        .map(|next| {
            rest = rest
                .map(|rest| Interval { lo: rest.lo.max(next.lo), hi: rest.hi.min(next.hi) })
                .filter(|rest| rest.lo <= rest.hi);
            rest
        })
        .collect()
}
