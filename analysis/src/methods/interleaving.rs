//! Interleaving: which of two rankings do people prefer, when each sees both at once?
//!
//! ```text
//! # Question          Do more units prefer the treatment's results than the control's?
//! # Input             units by the sign of their own preference: wins (treatment), losses, ties
//! # Formula           `Δ = (W + T/2)/(W + L + T) − ½`; win rate W/(W + L) with Wilson's interval; exact
//!                     sign test of W among W + L at ½; for monitoring the Dirichlet mixture of
//!                     (W, L) against (½, ½)
//! # Assumes           independent units: a unit with many sessions counts once, by the sign of their
//!                     sum
//! # Numerics          binomial tails by the incomplete beta function; ties are dropped from the test
//! # Reference         Chapelle, Joachims, Radlinski, Yue (2012), ACM TOIS 30; scipy `binomtest`;
//!                     `tests/golden/interleaving.json`
//! ```

use super::count_mixture::{CONCENTRATION, log_bayes_factor};
use super::normal_mixture::p_value;
use super::proportions::wilson;
use super::{Alpha, Alternative, Interval, MethodError, incomplete_beta, normal};
use crate::stats::Successes;

/// Units by the sign of their preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preferences {
    /// Units that prefer the treatment.
    pub wins: u64,
    /// Units that prefer the control.
    pub losses: u64,
    /// Units that prefer neither.
    pub ties: u64,
}

impl Preferences {
    /// Counts signs of preference sums, one a unit.
    pub fn of(sums: impl IntoIterator<Item = f64>) -> Self {
        let mut counts = Self { wins: 0, losses: 0, ties: 0 };
        for sum in sums {
            if sum > 0.0 {
                counts.wins += 1;
            } else if sum < 0.0 {
                counts.losses += 1;
            } else {
                counts.ties += 1;
            }
        }
        counts
    }
}

/// Answer of the comparison.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interleaving {
    /// Δ: above 0 when the treatment is preferred.
    pub preference: f64,
    /// Sign test; an error when every unit is tied.
    pub decided: Result<Decided, MethodError>,
}

/// What the units that are not tied say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decided {
    /// Share of wins among them.
    pub win_rate: f64,
    /// Wilson's interval of it.
    pub win_rate_ci: Interval,
    /// Exact sign test.
    pub p_value: f64,
    /// Always-valid two-sided p-value of this look.
    pub p_value_sequential: f64,
}

/// Compares two rankings.
pub fn interleaving(
    units: Preferences,
    alpha: Alpha,
    alternative: Alternative,
) -> Result<Interleaving, MethodError> {
    let Preferences { wins, losses, ties } = units;
    let (w, l, t) = (wins as f64, losses as f64, ties as f64);
    let n = w + l + t;
    if n == 0.0 {
        return Err(MethodError::TooFewUnits);
    }
    // (W + T/2)/n − ½ without its cancellation.
    Ok(Interleaving {
        preference: (w - l) / (2.0 * n),
        decided: sign_test(wins, losses, alpha, alternative),
    })
}

fn sign_test(
    wins: u64,
    losses: u64,
    alpha: Alpha,
    alternative: Alternative,
) -> Result<Decided, MethodError> {
    let n = wins.checked_add(losses).filter(|n| *n > 0).ok_or(MethodError::TooFewUnits)?;
    let units = Successes { n, successes: wins };
    // P(at most so many of n).
    let at_most = |k: u64| incomplete_beta::binomial_tails(k, n, 0.5).0;
    let p = match alternative {
        Alternative::TwoSided => 2.0 * at_most(wins.min(losses)),
        Alternative::Greater => at_most(losses),
        Alternative::Less => at_most(wins),
    };
    let log = log_bayes_factor(&[wins as f64, losses as f64], &[0.5, 0.5], CONCENTRATION);
    Ok(Decided {
        win_rate: wins as f64 / n as f64,
        win_rate_ci: wilson(units, normal::isf(alpha.get() / 2.0))?,
        p_value: p.min(1.0),
        p_value_sequential: p_value(log),
    })
}
