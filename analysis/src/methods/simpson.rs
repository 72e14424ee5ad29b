//! Simpson's paradox: does the pooled effect contradict every segment?
//!
//! ```text
//! # Question          Does the effect change its sign when segments are thrown together?
//! # Input             units and mean (or share) of each variant in each stratum
//! # Formula           pooled effect: difference of the means over all strata; reversal: it has the
//!                     opposite sign of every stratum's effect that is not zero, and there is one
//! # Assumes           nothing; a flag, not a test
//! # Numerics          the signs of differences of shares by integers, so that equal shares are equal
//! # Reference         Simpson (1951); Charig et al. (1986), kidney stones;
//!                     `tests/golden/segments.json`
//! ```

use super::MethodError;
use super::stratified::Stratum;
use crate::stats::{Moments, Successes};

/// The flag and what it is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Simpson {
    /// Difference of the pooled means.
    pub pooled_effect: f64,
    /// Difference in each stratum; none where an arm has no units.
    pub stratum_effects: Vec<Option<f64>>,
    /// Whether the pooled effect contradicts all others.
    pub reversal: bool,
}

/// The flag for means.
pub fn simpson(strata: &[Stratum]) -> Result<Simpson, MethodError> {
    let pooled =
        |arm: fn(&Stratum) -> Moments| strata.iter().map(arm).fold(Moments::EMPTY, Moments::merge);
    let (control, treatment) = (pooled(|s| s.control), pooled(|s| s.treatment));
    if control.n() == 0 || treatment.n() == 0 {
        return Err(MethodError::TooFewUnits);
    }
    let both = |s: &&Stratum| s.control.n() > 0 && s.treatment.n() > 0;
    let effect = |s: &Stratum| s.control.mean_difference(&s.treatment);
    let pooled_effect = control.mean_difference(&treatment);
    let signs = strata.iter().filter(both).map(|s| sign(effect(s)));
    Ok(Simpson {
        pooled_effect,
        stratum_effects: strata.iter().map(|s| Some(s).filter(both).map(effect)).collect(),
        reversal: reversed(sign(pooled_effect), signs),
    })
}

/// The flag for shares, control and treatment in each stratum.
pub fn simpson_of_shares(strata: &[(Successes, Successes)]) -> Result<Simpson, MethodError> {
    let pooled = strata.iter().fold(<(Successes, Successes)>::default(), |sum, stratum| {
        (sum.0.merge(stratum.0), sum.1.merge(stratum.1))
    });
    let effect = |(c, t): &(Successes, Successes)| Some(t.share()? - c.share()?);
    let signs = strata.iter().filter(|s| effect(s).is_some()).map(sign_of_shares);
    Ok(Simpson {
        pooled_effect: effect(&pooled).ok_or(MethodError::TooFewUnits)?,
        stratum_effects: strata.iter().map(effect).collect(),
        reversal: reversed(sign_of_shares(&pooled), signs),
    })
}

fn sign(effect: f64) -> i32 {
    i32::from(effect > 0.0) - i32::from(effect < 0.0)
}

fn sign_of_shares((c, t): &(Successes, Successes)) -> i32 {
    let product = |x: u64, n: u64| u128::from(x) * u128::from(n);
    let (treatment, control) = (product(t.successes, c.n), product(c.successes, t.n));
    i32::from(treatment > control) - i32::from(treatment < control)
}

fn reversed(pooled: i32, strata: impl Iterator<Item = i32>) -> bool {
    let mut nontrivial = strata.filter(|sign| *sign != 0).peekable();
    pooled != 0 && nontrivial.peek().is_some() && nontrivial.all(|sign| sign == -pooled)
}
