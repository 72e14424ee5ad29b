//! Limiting extreme values before a comparison (winsorisation).
//!
//! ```text
//! # Question          Did treatment change the mean, when a few units are so large that they decide
//!                     it?
//! # Input             one value for each unit of both variants
//! # Formula           cap: the type-7 quantile of both arms together; larger values count as the cap
//!                     (and smaller ones as the lower cap, if asked for); then Welch's test
//! # Assumes           that the capped mean is of interest: the effect is that on capped values. Not
//!                     for binary metrics. The caps are common to both arms, so that no effect makes
//!                     itself invisible in one
//! # Numerics          exact order statistics, by selection
//! # Reference         numpy `quantile` and `clip`, scipy `ttest_ind`; `tests/golden/winsorise.json`
//! ```

use super::quantile::type_7;

/// What values are limited to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Caps {
    /// Smaller values count as this; −∞ without a lower cap.
    pub lower: f64,
    /// Larger values count as this; +∞ without an upper cap.
    pub upper: f64,
}

impl Caps {
    /// The caps at quantiles of all values together. None without values.
    pub fn at_quantiles(
        control: &[f64],
        treatment: &[f64],
        lower: Option<f64>,
        upper: Option<f64>,
    ) -> Option<Self> {
        let mut all: Vec<f64> = control.iter().chain(treatment).copied().collect();
        if all.is_empty() {
            return None;
        }
        let mut at = |q: Option<f64>, open| q.map_or(open, |q| type_7(&mut all, q));
        Some(Self { lower: at(lower, f64::NEG_INFINITY), upper: at(upper, f64::INFINITY) })
    }

    /// The limited value.
    pub fn apply(self, value: f64) -> f64 {
        // Not `clamp`, which panics if the caps are in the wrong order.
        value.min(self.upper).max(self.lower)
    }

    /// The limited values.
    pub fn apply_all(self, values: &[f64]) -> Vec<f64> {
        values.iter().map(|value| self.apply(*value)).collect()
    }

    /// How many values are beyond a cap.
    pub fn beyond(self, values: &[f64]) -> usize {
        values.iter().filter(|value| **value > self.upper || **value < self.lower).count()
    }
}
