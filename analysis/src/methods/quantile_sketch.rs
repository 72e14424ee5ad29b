//! Quantile of values that were reduced to a sketch.
//!
//! ```text
//! # Question          What is this quantile, and between which values does the true one lie, when
//!                     only a mergeable histogram of the values is left?
//! # Input             a `QuantileSketch`; how much more a share varies than among independent values
//!                     (1 for one value a unit, v_cluster/(q (1 − q)/n) for events)
//! # Formula           ranks l and u as for the values themselves (`quantile_ranks`); the interval
//!                     runs from the lower edge of l's bucket to the upper edge of u's, so that the
//!                     sketch's error only widens it. `se = (U − L)/(2 z)` of the 95 % interval
//! # Assumes           independent units; a density for the standard error
//! # Numerics          counts are integers, so that a sketch and what is read from it are the same
//!                     for any order and any split of the values; the rank error is the share of the
//!                     values that lie in the estimate's bucket. The sketch is exact up to its number
//!                     of buckets
//! # Reference         Masson, Rim, Lee (2019), `DDSketch`; numpy `quantile` of the values;
//!                     `tests/sketch.rs`
//! ```

use super::quantile::{QuantileEstimate, least_events};
use super::quantile_ranks::{Ranks, rank_interval};
use super::{Alpha, MethodError, normal};
use crate::stats::QuantileSketch;

/// A quantile read from a sketch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SketchedQuantile {
    /// The estimate, inside of its bucket, with its standard error.
    pub estimate: QuantileEstimate,
    /// Bounds of the estimate's bucket: the sample's own quantile lies between them, or in the next
    /// bucket.
    pub bucket: (f64, f64),
    /// Share of the values in that bucket: by so much the rank of the estimate may be off.
    pub rank_error: f64,
    /// The interval, widened by the sketch; a side that the sample does not bound is none.
    pub ci: (Option<f64>, Option<f64>),
}

/// Reads the quantile `q` in (0, 1). None without values.
pub fn estimate(
    sketch: &QuantileSketch,
    q: f64,
    inflation: f64,
    alpha: Alpha,
) -> Option<SketchedQuantile> {
    let n = sketch.n();
    if !(q > 0.0 && q < 1.0 && inflation > 0.0) {
        return None;
    }
    let value = sketch.quantile(q)?;
    let located = sketch.at_rank(near_rank(n, q))?;
    let se = if n as f64 <= least_events(q) || n as f64 / inflation <= least_events(q) {
        Err(MethodError::TooFewUnits)
    } else {
        let (lo, hi) = bounds(sketch, q, inflation, Alpha::DEFAULT);
        lo.zip(hi)
            .map(|(lo, hi)| (hi - lo) / (2.0 * super::quantile::Z))
            .ok_or(MethodError::TooFewUnits)
    };
    Some(SketchedQuantile {
        estimate: QuantileEstimate { value, se },
        bucket: (located.lo, located.hi),
        rank_error: (located.count - 1) as f64 / n as f64,
        ci: bounds(sketch, q, inflation, alpha),
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank of at least 1 and at most n"
)]
fn near_rank(n: u64, q: f64) -> u64 {
    ((n as f64 - 1.0) * q).floor() as u64 + 1
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative, and at most 2^53"
)]
fn bounds(
    sketch: &QuantileSketch,
    q: f64,
    inflation: f64,
    alpha: Alpha,
) -> (Option<f64>, Option<f64>) {
    let n = sketch.n();
    let (low, high) = if (inflation - 1.0).abs() < f64::EPSILON {
        rank_interval(n, q, alpha, Ranks::Exact)
    } else {
        let middle = n as f64 * q;
        let half = normal::isf(alpha.get() / 2.0) * (middle * (1.0 - q) * inflation).sqrt();
        (Some((middle - half).max(0.0) as u64), Some((middle + half).ceil() as u64))
    };
    (
        low.and_then(|rank| sketch.at_rank(rank)).map(|located| located.lo),
        high.and_then(|rank| sketch.at_rank(rank)).map(|located| located.hi),
    )
}
