//! Boundaries of O'Brien–Fleming and of Pocock for evenly spaced looks.
//!
//! ```text
//! # Question          How large must the statistic be at each of K evenly spaced looks?
//! # Input             K, alpha, sides, which of the two shapes
//! # Formula           O'Brien–Fleming: `b_k = C √(K/k)`; Pocock: `b_k = C`; C such that the whole test
//!                     rejects a true null with probability alpha
//! # Assumes           as `bounds`; the number of looks is kept
//! # Numerics          the probability by the same recursion, C by the secant method on logarithms
//! # Reference         O'Brien & Fleming (1979), Pocock (1977); Jennison & Turnbull (2000), tables 2.1 and
//!                     2.3; rpact `typeOfDesign` OF and P; `tests/golden/group_sequential.json`
//! ```

use super::super::{Alpha, MethodError, brent, normal, secant};
use super::power::crossing_probabilities;
use super::{MOST_LOOKS, Sides};

/// Shape of the boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Falls with √k.
    OBrienFleming,
    /// The same at each look.
    Pocock,
}

/// Boundaries of one shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Classic {
    /// The constant C: the boundary of the last look.
    pub constant: f64,
    /// Boundary of the statistic at each look.
    pub bounds: Vec<f64>,
}

/// The boundaries of `looks` evenly spaced looks.
pub fn classic(
    looks: usize,
    alpha: Alpha,
    sides: Sides,
    shape: Shape,
) -> Result<Classic, MethodError> {
    if looks == 0 || looks > MOST_LOOKS {
        return Err(MethodError::Degenerate);
    }
    let rates: Vec<f64> = (1..=looks).map(|k| k as f64 / looks as f64).collect();
    let scaled = |constant: f64| -> Vec<f64> {
        match shape {
            Shape::OBrienFleming => rates.iter().map(|t| constant / t.sqrt()).collect(),
            Shape::Pocock => vec![constant; looks],
        }
    };
    let a = sides.alpha(alpha);
    let excess = |constant: f64| {
        let crossed = crossing_probabilities(&rates, &scaled(constant), 0.0, sides);
        let total: f64 = crossed.iter().map(|look| look.upper).sum();
        total.ln() - a.ln()
    };
    // One look needs z; K looks no more than the union bound asks for.
    let (single, union) = (normal::isf(a), normal::isf(a / looks as f64));
    let near = match shape {
        Shape::OBrienFleming => single * 1.04,
        Shape::Pocock => single + 0.6 * (union - single),
    };
    let constant = if looks == 1 {
        single
    } else {
        secant(near, near * 1.001, (single, union), excess)
            .unwrap_or_else(|| brent(single, union, excess))
    };
    if !constant.is_finite() {
        return Err(MethodError::NotFinite);
    }
    Ok(Classic { constant, bounds: scaled(constant) })
}
