//! Futility boundaries by beta spending: when to advise giving up.
//!
//! ```text
//! # Question          Below which statistic is an effect of the planned size no longer to be expected?
//! # Input             information rates, efficacy boundaries of one side, spending function, 1 − power
//! # Formula           under the drift of the planned power, look k spends `f(t_k; β) − f(t_{k−1}; β)` on
//!                     falling to a_k or below, not having stopped before; the drift is such that the
//!                     last a_K is the efficacy boundary b_K
//! # Assumes           non-binding: efficacy boundaries ignore it, so that nobody has to follow it;
//!                     crossing advises, never forces
//! # Numerics          the recursion of `density` between a_k and b_k; the drift by Brent's method
//! # Reference         Pampallona, Tsiatis, Kim (2001); gsDesign `test.type = 4`;
//!                     `tests/golden/group_sequential.json`
//! ```

use super::super::{MethodError, brent, normal};
use super::density::{Density, Region};
use super::{SAME_LOOK, Spending, are_rates};

/// A design with futility boundaries.
#[derive(Debug, Clone, PartialEq)]
pub struct Futility {
    /// `E[Z]` at information 1 that the design finds with the planned power.
    pub drift: f64,
    /// Futility boundary at each look; −∞ where nothing may be spent. The last is that of efficacy.
    pub bounds: Vec<f64>,
}

/// Futility boundaries beside the efficacy boundaries `upper`; the rates end at 1 or above.
pub fn futility(
    rates: &[f64],
    upper: &[f64],
    spending: Spending,
    beta: f64,
) -> Result<Futility, MethodError> {
    let distinct = rates.windows(2).all(|pair| pair[1] - pair[0] >= SAME_LOOK);
    let sound = are_rates(rates)
        && distinct
        && upper.len() == rates.len()
        && upper.iter().all(|b| *b > 0.0);
    let Some(&last) = upper.last() else { return Err(MethodError::Degenerate) };
    if !(sound && beta > 0.0 && beta < 0.5 && last.is_finite()) {
        return Err(MethodError::Degenerate);
    }
    let end = rates[rates.len() - 1].sqrt();
    let gap = |drift: f64| {
        let bounds = lower_bounds(rates, upper, drift, spending, beta);
        bounds[bounds.len() - 1] - last
    };
    // A larger drift moves the last boundary up.
    let (least, mut most) = (0.0, 2.0 * (last + normal::isf(beta)) / end);
    while gap(most) < 0.0 {
        most *= 2.0;
        if most > 1e6 {
            return Err(MethodError::Unbounded);
        }
    }
    let drift = brent(least, most, gap);
    let mut bounds = lower_bounds(rates, upper, drift, spending, beta);
    if let Some(end) = bounds.last_mut() {
        *end = last;
    }
    Ok(Futility { drift, bounds })
}

/// Boundaries that spend beta under a drift, each at most that of efficacy but for the last.
fn lower_bounds(
    rates: &[f64],
    upper: &[f64],
    drift: f64,
    spending: Spending,
    beta: f64,
) -> Vec<f64> {
    let mut law: Option<Density> = None;
    let mut bounds = Vec::with_capacity(rates.len());
    let mut spent = 0.0;
    let last = rates.len() - 1;
    for (k, &rate) in rates.iter().enumerate() {
        // The last look spends what is left, whatever the rates end at.
        let total = if k == last { beta } else { spending.spent(rate, beta) };
        let left = (total - spent).max(0.0);
        spent = total;
        let mean = drift * rate.sqrt();
        let bound = if left <= 0.0 {
            f64::NEG_INFINITY
        } else {
            match &law {
                None => mean - normal::isf(left),
                Some(law) => {
                    let room = law.lower(40.0 + mean, rate);
                    if left >= room {
                        f64::INFINITY
                    } else {
                        let far = 40.0 + mean.abs();
                        brent(-far, far, |a| law.lower(a, rate) - left)
                    }
                }
            }
        };
        let bound = if k == last { bound } else { bound.min(upper[k]) };
        bounds.push(bound);
        if k < last {
            let region = Region {
                lo: bound.max(mean - 10.0),
                hi: upper[k].min(mean + 10.0),
                next: rates[k + 1],
            };
            law = Some(match &law {
                None => Density::first(rate, drift, region),
                Some(law) => law.next(rate, region),
            });
        }
    }
    bounds
}
