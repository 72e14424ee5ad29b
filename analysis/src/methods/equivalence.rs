//! Are two means equivalent within margins (two one-sided tests)?
//!
//! ```text
//! # Question          Is the effect small enough, either way, not to matter?
//! # Input             `Moments` of each variant; margins low < high
//! # Formula           Welch's tests of effect ≤ low and of effect ≥ high; p is the larger of the two.
//!                     Equivalent exactly when the interval at level 1 − 2α lies between the margins
//! # Assumes           as Welch's test; margins fixed before the data
//! # Numerics          as Welch's test
//! # Reference         Schuirmann (1987); statsmodels `CompareMeans.ttost_ind(usevar="unequal")`;
//!                     `tests/golden/ranks.json`
//! ```

use super::welch::welch_against;
use super::{Alpha, Alternative, Interval, MethodError};
use crate::stats::Moments;

/// Answer of both tests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Equivalence {
    /// Treatment − control.
    pub effect: f64,
    /// Its standard error.
    pub se: f64,
    /// Degrees of freedom.
    pub df: f64,
    /// p-value against effect ≤ low.
    pub p_low: f64,
    /// p-value against effect ≥ high.
    pub p_high: f64,
    /// Interval at level 1 − 2α.
    pub ci: Interval,
}

impl Equivalence {
    /// The larger of the two p-values.
    pub fn p_value(&self) -> f64 {
        self.p_low.max(self.p_high)
    }
}

/// Tests whether the effect lies between the margins.
pub fn equivalence(
    control: &Moments,
    treatment: &Moments,
    margins: Interval,
    alpha: Alpha,
) -> Result<Equivalence, MethodError> {
    let low = welch_against(control, treatment, margins.lo, alpha, Alternative::Greater)?;
    let high = welch_against(control, treatment, margins.hi, alpha, Alternative::Less)?;
    Ok(Equivalence {
        effect: low.effect,
        se: low.se,
        df: low.df,
        p_low: low.p_value,
        p_high: high.p_value,
        ci: Interval { lo: low.ci.lo, hi: high.ci.hi },
    })
}
