//! Boundaries of a group-sequential test by alpha spending.
//!
//! ```text
//! # Question          How large must the statistic be at this look, so that all looks together reject
//!                     a true null with probability alpha?
//! # Input             information rates t_k of the looks so far, alpha, sides, spending function
//! # Formula           each side spends f(t_k) − f(t_{k−1}) at look k: b_k solves
//!                     `P(cross first at k) = f(t_k) − f(t_{k−1})`; the first is
//!                     `b₁ = −Φ⁻¹(f(t₁))`
//! # Assumes           independent increments; the rates do not depend on the effect seen
//! # Numerics          Newton's method on ln P, which is concave. Where nothing may be spent the
//!                     boundary is infinite. A rate above 1 spends what is left; looks less than 1e-6
//!                     apart share their boundary
//! # Reference         Lan & DeMets (1983), Biometrika 70; gsDesign `gsBound`, rpact
//!                     `getDesignGroupSequential`; `tests/golden/group_sequential.json`
//! ```

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use super::super::{Alpha, MethodError, normal};
use super::density::{Density, Region};
use super::{SAME_LOOK, Sides, Spending, are_rates};

/// Boundaries and what they spend.
#[derive(Debug, Clone, PartialEq)]
pub struct Bounds {
    /// Boundary of the statistic at each look; infinite where nothing may be spent.
    pub bounds: Vec<f64>,
    /// Alpha of all sides spent by each look.
    pub cumulative_alpha: Vec<f64>,
    /// p-value at which a look by itself rejects.
    pub nominal_p: Vec<f64>,
}

/// Boundaries at the given information rates, which rise and may end before 1.
pub fn bounds(
    rates: &[f64],
    alpha: Alpha,
    sides: Sides,
    spending: Spending,
) -> Result<Bounds, MethodError> {
    if !are_rates(rates) {
        return Err(MethodError::Degenerate);
    }
    let a = sides.alpha(alpha);
    let last = rates.len() - 1;
    // The last look of an overrun spends all that is left; so does any at 1 or above.
    let spent: Vec<f64> = rates.iter().map(|t| spending.spent(*t, a)).collect();
    let mut walk = Walk::new(sides);
    let mut found = Vec::with_capacity(rates.len());
    for (k, &rate) in rates.iter().enumerate() {
        let (from, left) =
            if k == 0 { (0.0, spent[0]) } else { (rates[k - 1], spent[k] - spent[k - 1]) };
        if k > 0 && rate - from < SAME_LOOK {
            let twin = found[k - 1];
            found.push(twin);
            continue;
        }
        // What comes next decides how fine this look's law must be, and how far out.
        let ahead = (k + 1..=last).find(|j| rates[*j] - rate >= SAME_LOOK);
        let next = ahead.map(|j| (rates[j], spent[j] - spent[k]));
        found.push(walk.look(rate, left, next));
    }
    if found.iter().any(|b: &f64| b.is_nan()) {
        return Err(MethodError::NotFinite);
    }
    Ok(Bounds {
        cumulative_alpha: spent.iter().map(|s| s * sides.count()).collect(),
        nominal_p: found.iter().map(|b| sides.count() * normal::sf(*b)).collect(),
        bounds: found,
    })
}

/// The recursion, look by look.
struct Walk {
    sides: Sides,
    law: Option<Density>,
}

impl Walk {
    fn new(sides: Sides) -> Self {
        Self { sides, law: None }
    }

    /// The boundary that spends `left` at this look; `next` is the rate and the alpha of the next.
    fn look(&mut self, rate: f64, left: f64, next: Option<(f64, f64)>) -> f64 {
        let bound = match &self.law {
            None => normal::isf(left.max(0.0)),
            Some(law) => crossing(law, rate, left),
        };
        if let Some((next, next_left)) = next {
            // Beyond this, nothing matters to the next look's boundary.
            let reach = normal::isf((next_left * 1e-12).max(1e-300)).max(8.0);
            let hi = bound.min(reach);
            let lo = match self.sides {
                Sides::Two => -hi,
                Sides::One => -reach.min(9.0),
            };
            let region = Region { lo, hi, next };
            self.law = Some(match &self.law {
                None => Density::first(rate, 0.0, region),
                Some(law) => law.next(rate, region),
            });
        }
        bound
    }
}

/// Where the probability to be above is `left`.
pub(super) fn crossing(law: &Density, rate: f64, left: f64) -> f64 {
    if left.is_nan() || left <= 0.0 {
        return f64::INFINITY;
    }
    if left >= law.mass() {
        return f64::NEG_INFINITY;
    }
    // Without earlier looks the boundary would be this; it is not far.
    let mut bound = normal::isf(left.min(0.5));
    let (mut lo, mut hi) = (-40.0_f64, 60.0_f64);
    for _ in 0..100 {
        let (area, height) = law.upper(bound, rate);
        if area > left {
            lo = lo.max(bound);
        } else {
            hi = hi.min(bound);
        }
        // ln P(b) is concave: Newton steps from the left do not overshoot.
        let step = (area / left).ln() * area / height;
        let next = bound + step;
        if step.abs() <= 1e-13 * bound.abs().max(1.0) {
            return next;
        }
        bound = if next > lo && next < hi { next } else { 0.5 * (lo + hi) };
    }
    bound
}

type Key = (Vec<u64>, u64, Sides, (u8, u64));

/// Designs seen before; a cycle asks for the same few again and again.
static CACHE: LazyLock<Mutex<HashMap<Key, Arc<Bounds>>>> = LazyLock::new(Mutex::default);

/// Designs kept at most.
const MOST_CACHED: usize = 512;

/// As [`bounds`], remembered by rates, alpha, sides and spending function.
pub fn cached_bounds(
    rates: &[f64],
    alpha: Alpha,
    sides: Sides,
    spending: Spending,
) -> Result<Arc<Bounds>, MethodError> {
    let bits = rates.iter().map(|t| t.to_bits()).collect();
    let key = (bits, alpha.get().to_bits(), sides, spending.key());
    let cache = || CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = cache().get(&key) {
        return Ok(Arc::clone(found));
    }
    let found = Arc::new(bounds(rates, alpha, sides, spending)?);
    let mut cache = cache();
    if cache.len() >= MOST_CACHED {
        cache.clear();
    }
    cache.insert(key, Arc::clone(&found));
    Ok(found)
}
