//! Group-sequential tests: a few planned looks that share alpha.
//!
//! [`spending`] says how much may be spent by a look, [`bounds()`] turns that into boundaries by the
//! recursion of [`density`], [`classic`] has the boundaries of O'Brien–Fleming and Pocock, [`power`]
//! what a design finds and how many units it needs, [`futility`] when to give up, and [`stopping`] what
//! to report at a look.

pub mod spending;
mod density;
pub mod bounds;
pub mod classic;
pub mod power;
pub mod futility;
pub mod stopping;

pub use bounds::{Bounds, bounds, cached_bounds};
pub use spending::Spending;

use super::Alpha;

/// Whether a test looks at one side or at both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sides {
    /// Only an increase stops it.
    One,
    /// Either direction stops it, with half of alpha each.
    Two,
}

impl Sides {
    /// Alpha of one side.
    pub fn alpha(self, alpha: Alpha) -> f64 {
        match self {
            Self::One => alpha.get(),
            Self::Two => alpha.get() / 2.0,
        }
    }

    /// Number of sides.
    pub fn count(self) -> f64 {
        match self {
            Self::One => 1.0,
            Self::Two => 2.0,
        }
    }
}

/// Information rates that differ by less are one look.
pub const SAME_LOOK: f64 = 1e-6;

/// Most looks of a design.
pub const MOST_LOOKS: usize = 1000;

/// Whether these are information rates: positive, finite, not falling, and not too many.
pub fn are_rates(rates: &[f64]) -> bool {
    !rates.is_empty()
        && rates.len() <= MOST_LOOKS
        && rates.iter().all(|t| *t > 0.0 && *t <= 1e6)
        && rates.windows(2).all(|pair| pair[0] <= pair[1])
}
