//! Confidence sequence of one share, exact for 0/1 outcomes.
//!
//! ```text
//! # Question          Between which bounds does a share lie, whenever one looks?
//! # Input             successes among n units; the number of units `t_opt` for which to be tightest
//! # Formula           all p with `ln BF(p) ≤ ln(1/α)`, BF the Beta(κ p, κ (1 − p)) mixture against p;
//!                     `κ = max(t_opt/c − 1, 0.001)`, `c = 2 ln(1/α_opt) + ln(1 + 2 ln(1/α_opt))`
//! # Assumes           independent units with one share
//! # Numerics          the mixture of `count_mixture` with weights (p, 1 − p); bounds by Brent's method
//!                     on the log-odds of p. With a single success the mixture of a tiny p never
//!                     rejects it: then the lower bound is 0
//! # Reference         Howard, Ramdas, McAuliffe, Sekhon (2021), Ann. Statist. 49, prop. 7; confseq
//!                     `bernoulli_confidence_interval`; `tests/golden/always_valid.json`
//! ```

use super::count_mixture::log_bayes_factor;
use super::normal_mixture::tuned_rho2;
use super::{Alpha, Alternative, Interval, MethodError, brent};
use crate::stats::Successes;

/// Smallest log-odds that is searched: p = 1e-300.
const FAR: f64 = 690.0;

/// The interval at this look, tightest at `t_opt` units for the level `alpha_opt`.
pub fn bernoulli_sequence(
    units: Successes,
    t_opt: f64,
    alpha: Alpha,
    alpha_opt: Alpha,
) -> Result<Interval, MethodError> {
    if units.n == 0 {
        return Err(MethodError::TooFewUnits);
    }
    let kappa =
        (t_opt * tuned_rho2(alpha_opt.get(), 1.0, Alternative::TwoSided).recip() - 1.0).max(1e-3);
    if !kappa.is_finite() {
        return Err(MethodError::NotFinite);
    }
    let (x, rest) = (units.successes as f64, units.failures() as f64);
    let lo = lower(x, rest, kappa, alpha);
    // The same from the other end: successes are failures of the opposite.
    let hi = 1.0 - lower(rest, x, kappa, alpha);
    Ok(Interval { lo, hi })
}

/// The smallest share of the first count that is not rejected.
fn lower(x: f64, rest: f64, kappa: f64, alpha: Alpha) -> f64 {
    if x == 0.0 {
        return 0.0;
    }
    let excess = |odds: f64| {
        let (p, q) = (share(odds), share(-odds));
        log_bayes_factor(&[x, rest], &[p, q], kappa) + alpha.get().ln()
    };
    // At the observed share the point beats every mixture.
    let observed = if rest == 0.0 { 40.0 } else { (x / rest).ln() };
    if excess(-FAR) <= 0.0 {
        return 0.0;
    }
    if rest == 0.0 && excess(observed) > 0.0 {
        return 1.0;
    }
    share(brent(-FAR, observed, excess))
}

/// The share with these log-odds.
fn share(odds: f64) -> f64 {
    1.0 / (1.0 + (-odds).exp())
}
