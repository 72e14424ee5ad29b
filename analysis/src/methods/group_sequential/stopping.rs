//! What to report at a look: the repeated interval, and the p-value of a stopped test.
//!
//! ```text
//! # Question          Between which bounds is the effect at this look? How unlikely is a result at
//!                     least as extreme, when a test could have stopped earlier?
//! # Input             effect and standard error, boundaries of the looks so far
//! # Formula           repeated interval `effect ± b_k se`; stagewise ordering:
//!                     `p = Σ_{j<k} P(cross at j) + P(Z_k ≥ z, not stopped before)` under no effect,
//!                     doubled for two sides
//! # Assumes           as `bounds`
//! # Numerics          as `density`
//! # Reference         Jennison & Turnbull (1989), JRSS B 51; Tsiatis, Rosner, Mehta (1984)
//! ```

use super::super::{Interval, MethodError};
use super::power::crossing_probabilities;
use super::{Sides, are_rates};

/// The interval at a look with boundary `bound`; for one side it is open above.
pub fn repeated_interval(effect: f64, se: f64, bound: f64, sides: Sides) -> Interval {
    let half = if se == 0.0 { 0.0 } else { bound * se };
    Interval {
        lo: effect - half,
        hi: if sides == Sides::Two { effect + half } else { f64::INFINITY },
    }
}

/// p-value of a statistic at the last of these looks, by stagewise ordering. `bounds` are those of the
/// looks; that of the last does not matter.
pub fn stagewise_p(
    rates: &[f64],
    bounds: &[f64],
    statistic: f64,
    sides: Sides,
) -> Result<f64, MethodError> {
    if !are_rates(rates) || bounds.len() != rates.len() {
        return Err(MethodError::Degenerate);
    }
    if statistic.is_nan() || bounds.iter().any(|b| b.is_nan()) {
        return Err(MethodError::NotFinite);
    }
    let mut reached = bounds.to_vec();
    if let Some(last) = reached.last_mut() {
        *last = if sides == Sides::Two { statistic.abs() } else { statistic };
    }
    let looks = crossing_probabilities(rates, &reached, 0.0, sides);
    let upper: f64 = looks.iter().map(|look| look.upper).sum();
    Ok((sides.count() * upper).min(1.0))
}
