//! What a group-sequential design finds, and how many units it needs.
//!
//! ```text
//! # Question          With which probability does the test stop at each look, given an effect? By how
//!                     much do its looks enlarge the sample?
//! # Input             information rates, boundaries, drift δ = E[Z] at information 1
//! # Formula           crossing probabilities by the recursion; power is their sum; expected
//!                     information `Σ t_k P(stop at k)`. The drift of a design is the δ with the wanted
//!                     power; inflation `δ²/(z_{1−a} + z_power)²`, a the alpha of one side: by so much
//!                     the largest sample exceeds that of a single look
//! # Assumes           as `bounds`
//! # Numerics          as `density`; the drift by Brent's method
//! # Reference         Jennison & Turnbull (2000), chapter 2; rpact `getDesignCharacteristics`;
//!                     `tests/golden/group_sequential.json`
//! ```

use super::super::{Alpha, MethodError, brent, normal, secant};
use super::density::{Density, Region};
use super::{SAME_LOOK, Sides, are_rates};

/// Probabilities to stop at one look.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Crossing {
    /// At the upper boundary.
    pub upper: f64,
    /// At the lower boundary; 0 of a one-sided test.
    pub lower: f64,
}

/// Probabilities to stop first at each look. Looks less than 1e-6 apart are one: the later has
/// probability 0. Boundaries may be infinite.
pub fn crossing_probabilities(
    rates: &[f64],
    bounds: &[f64],
    drift: f64,
    sides: Sides,
) -> Vec<Crossing> {
    let mut law: Option<Density> = None;
    let mut before = 0.0;
    let mut found = Vec::with_capacity(rates.len());
    for (k, (&rate, &bound)) in rates.iter().zip(bounds).enumerate() {
        if k > 0 && rate - before < SAME_LOOK {
            found.push(Crossing::default());
            continue;
        }
        before = rate;
        let mean = drift * rate.sqrt();
        let two = sides == Sides::Two;
        found.push(match &law {
            None => Crossing {
                upper: normal::sf(bound - mean),
                lower: if two { normal::cdf(-bound - mean) } else { 0.0 },
            },
            Some(law) => Crossing {
                upper: law.upper(bound, rate).0,
                lower: if two { law.lower(-bound, rate) } else { 0.0 },
            },
        });
        let ahead = rates[k + 1..].iter().copied().find(|next| next - rate >= SAME_LOOK);
        if let Some(next) = ahead {
            // Farther out there is less than 1e-33 on either side of the mean, or of no drift.
            let reach = 12.0;
            let hi = bound.min(mean.max(0.0) + reach);
            let lo = mean.min(0.0) - reach;
            let lo = if two { lo.max(-bound) } else { lo };
            let region = Region { lo, hi, next };
            law = Some(match &law {
                None => Density::first(rate, drift, region),
                Some(law) => law.next(rate, region),
            });
        }
    }
    found
}

/// What a design does under a drift.
#[derive(Debug, Clone, PartialEq)]
pub struct DesignPower {
    /// Probabilities to stop first at each look.
    pub looks: Vec<Crossing>,
    /// Probability to reject.
    pub power: f64,
    /// Expected information at the stop, in units of the rates.
    pub expected_information: f64,
}

/// Power and expected information of a design.
pub fn design_power(
    rates: &[f64],
    bounds: &[f64],
    drift: f64,
    sides: Sides,
) -> Result<DesignPower, MethodError> {
    if !are_rates(rates) || bounds.len() != rates.len() {
        return Err(MethodError::Degenerate);
    }
    let sound = drift.is_finite() && bounds.iter().all(|b| !b.is_nan());
    if !sound || (sides == Sides::Two && bounds.iter().any(|b| *b < 0.0)) {
        return Err(MethodError::NotFinite);
    }
    let looks = crossing_probabilities(rates, bounds, drift, sides);
    let stop = |look: &Crossing| look.upper + look.lower;
    let power: f64 = looks.iter().map(stop).sum();
    let last = rates[rates.len() - 1];
    let early: f64 = looks.iter().zip(rates).map(|(look, t)| stop(look) * (last - t)).sum();
    Ok(DesignPower { looks, power: power.min(1.0), expected_information: last - early })
}

/// The drift at which a design has the wanted power.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Inflation {
    /// `E[Z]` at information 1.
    pub drift: f64,
    /// Largest sample of the design over the sample of a single look.
    pub inflation_factor: f64,
}

/// Drift and inflation of a design at the wanted power, which must exceed alpha.
pub fn inflation(
    rates: &[f64],
    bounds: &[f64],
    alpha: Alpha,
    sides: Sides,
    power: f64,
) -> Result<Inflation, MethodError> {
    if !are_rates(rates) || bounds.len() != rates.len() || !(power > 0.0 && power < 1.0) {
        return Err(MethodError::Degenerate);
    }
    let lacking = |drift: f64| {
        let looks = crossing_probabilities(rates, bounds, drift, sides);
        looks.iter().map(|look| look.upper + look.lower).sum::<f64>() - power
    };
    let single = normal::isf(sides.alpha(alpha)) + normal::isf(1.0 - power);
    let last = rates[rates.len() - 1].sqrt();
    let near = single / last;
    let drift = match secant(near * 1.02, near * 1.01, (0.5 * near, 3.0 * near), lacking) {
        Some(drift) => drift,
        None => bracketed_drift(near, lacking)?,
    };
    Ok(Inflation { drift, inflation_factor: (drift / single) * (drift / single) })
}

/// The drift between bounds that are widened until they hold it.
fn bracketed_drift(near: f64, lacking: impl Fn(f64) -> f64) -> Result<f64, MethodError> {
    let mut most = 1.5 * near.max(1.0);
    while lacking(most) < 0.0 {
        most *= 2.0;
        if most > 1e6 {
            return Err(MethodError::Unbounded);
        }
    }
    if lacking(0.0) >= 0.0 {
        return Err(MethodError::Degenerate);
    }
    Ok(brent(0.0, most, lacking))
}
