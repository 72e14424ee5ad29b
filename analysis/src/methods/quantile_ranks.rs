//! Quantile of independent values and its distribution-free interval.
//!
//! ```text
//! # Question          What is this quantile, and between which values does the true one lie?
//! # Input             one value for each unit, or what a summary holds: n, the estimate and its
//!                     95 % interval, for events with the sums of their clusters
//! # Formula           estimate: type 7. The number of values at or below the true quantile is
//!                     Binomial(n, q): the interval runs from the value of rank
//!                     `min{k: P(X ≤ k) ≥ α/2}` to that of rank `1 + min{k: P(X > k) ≤ α/2}`, or by
//!                     the normal law from ⌊n q − z √(n q (1 − q))⌋ to ⌈n q + z √…⌉. Standard error
//!                     `(U − L)/(2 z)` of the 95 % interval; with events clustered by unit times
//!                     `√(v_cluster/(q (1 − q)/n))`
//! # Assumes           independent values (or units, with the sums); a density for the standard error
//! # Numerics          binomial tails by the incomplete beta function. A rank outside the sample is no
//!                     bound: at a level that n does not allow that side is undefined. The variance
//!                     of clusters from raw sums is formed around the ratio, not around zero
//! # Reference         Thompson (1936); David & Nagaraja (2003), section 7.1; Deng, Knoblich, Lu (2018),
//!                     section 4.2; scipy `quantile_test`; gbstats `QuantileClusteredStatistic`;
//!                     `tests/golden/quantile_ranks.json`
//! ```

use super::incomplete_beta::{binomial_quantile, binomial_upper_quantile};
use super::quantile::{QuantileEstimate, Z, least_events};
use super::{Alpha, Interval, MethodError, normal};

/// How ranks are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ranks {
    /// By the binomial law itself.
    Exact,
    /// By its normal approximation.
    Normal,
}

/// Ranks, from 1 on, of the values that bound the quantile `q`; none where no value does.
pub fn rank_interval(n: u64, q: f64, alpha: Alpha, ranks: Ranks) -> (Option<u64>, Option<u64>) {
    let tail = alpha.get() / 2.0;
    let (low, high) = match ranks {
        Ranks::Exact => {
            (binomial_quantile(tail, n, q), binomial_upper_quantile(tail, n, q).saturating_add(1))
        }
        Ranks::Normal => {
            let (middle, half) = (n as f64 * q, normal::isf(tail));
            let half = half * (n as f64 * q * (1.0 - q)).sqrt();
            (whole(middle - half), whole((middle + half).ceil()))
        }
    };
    ((low >= 1 && n > 0).then_some(low), (high <= n).then_some(high))
}

/// A rank as a whole number; 0 below 1.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative, and at most 2^53"
)]
fn whole(rank: f64) -> u64 {
    rank.max(0.0) as u64
}

/// Interval of the quantile of values in ascending order. A side without a bound is none.
pub fn interval(sorted: &[f64], q: f64, alpha: Alpha, ranks: Ranks) -> (Option<f64>, Option<f64>) {
    let value = |rank: Option<u64>| {
        let index = usize::try_from(rank?).ok()?.checked_sub(1)?;
        sorted.get(index).copied()
    };
    let (low, high) = rank_interval(sorted.len() as u64, q, alpha, ranks);
    (value(low), value(high))
}

/// Sums over units of their events at or below the quantile, b, and of all their events, e.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClusterSums {
    /// Units.
    pub n_clusters: u64,
    /// Σ b.
    pub below: f64,
    /// Σ b².
    pub below_squared: f64,
    /// Σ e.
    pub events: f64,
    /// Σ e².
    pub events_squared: f64,
    /// Σ b e.
    pub cross: f64,
}

impl ClusterSums {
    /// Variance of the share of events at or below the quantile, by the delta method over units.
    pub fn variance_of_share(&self) -> Result<f64, MethodError> {
        if self.n_clusters < 2 {
            return Err(MethodError::TooFewUnits);
        }
        if self.events <= 0.0 {
            return Err(MethodError::ZeroDenominator);
        }
        let clusters = self.n_clusters as f64;
        let share = self.below / self.events;
        // Σ (b − share e)²: the residuals sum to zero, so that there is no mean to take away.
        let squares =
            self.below_squared - 2.0 * share * self.cross + share * share * self.events_squared;
        let variance = squares.max(0.0) * (clusters / (clusters - 1.0)) / self.events.powi(2);
        if variance.is_finite() { Ok(variance) } else { Err(MethodError::NotFinite) }
    }
}

/// A quantile from its estimate and its 95 % interval among `n` independent values.
pub fn from_interval(n: u64, q: f64, value: f64, ci95: Interval) -> QuantileEstimate {
    let se = if n as f64 <= least_events(q) {
        Err(MethodError::TooFewUnits)
    } else {
        Ok((ci95.hi - ci95.lo) / (2.0 * Z))
    };
    QuantileEstimate { value, se }
}

/// Standard error of the quantile of `n` events that are clustered by unit.
pub fn clustered_se(
    n: u64,
    q: f64,
    ci95: Interval,
    clusters: &ClusterSums,
) -> Result<f64, MethodError> {
    let independent = from_interval(n, q, 0.0, ci95).se?;
    let inflation = clusters.variance_of_share()? / (q * (1.0 - q) / n as f64);
    if n as f64 / inflation <= least_events(q) {
        return Err(MethodError::TooFewUnits);
    }
    Ok(independent * inflation.sqrt())
}
