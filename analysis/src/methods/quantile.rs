//! Difference of two quantiles of events, clustered by unit, such as the 99th percentile of page
//! loads.
//!
//! ```text
//! # Question          Did treatment change this quantile of the events' values?
//! # Input             all event values of each variant, grouped by unit
//! # Formula           type-7 estimate Q; order-statistic interval at ranks
//!                     `n q ∓ z √(n q (1 − q))`, z = 1.96; `se_iid = (U − L)/(2 z)`. Events of one unit
//!                     are alike, so se² is multiplied by `v_cluster/(q (1 − q)/n)`, `v_cluster` the
//!                     delta-method variance of Σ below/Σ events over units. Normal test of the
//!                     difference
//! # Assumes           independent units; a density at Q; enough events on either side of it
//! # Numerics          exact order statistics of all values, by selection. With
//!                     `n ≤ z² max(q, 1 − q)/min(q, 1 − q)` events, of the clustered equivalent too,
//!                     the interval would leave the sample: too few units
//! # Reference         Hyndman & Fan (1996), type 7; Deng, Knoblich, Lu (2018), KDD, section 4.2;
//!                     numpy `quantile`; gbstats `QuantileClusteredStatistic`;
//!                     `tests/golden/quantile.json`
//! ```

use super::lift::fieller_of;
use super::{Alpha, Interval, MethodError, normal};

/// Normal quantile of the interval that the standard error comes from.
pub(super) const Z: f64 = 1.959_963_984_540_054;

/// A quantile and its uncertainty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantileEstimate {
    /// The type-7 estimate.
    pub value: f64,
    /// Its standard error, with units as clusters.
    pub se: Result<f64, MethodError>,
}

/// Two quantiles compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantileComparison {
    /// Treatment − control.
    pub effect: f64,
    /// Standard error of the effect.
    pub se: f64,
    /// Effect over its standard error.
    pub statistic: f64,
    /// Two-sided p-value.
    pub p_value: f64,
    /// Interval of the effect.
    pub ci: Interval,
    /// Fieller's interval of the lift.
    pub lift_ci: Result<Interval, MethodError>,
}

/// The quantile `q` in (0, 1) of values of which unit i owns those before `ends[i]`. None without
/// values.
pub fn quantile(values: &[f64], ends: &[u32], q: f64) -> Option<QuantileEstimate> {
    if values.is_empty() || !(q > 0.0 && q < 1.0) {
        return None;
    }
    let mut sorted = values.to_vec();
    let n = sorted.len() as f64;
    let value = type_7(&mut sorted, q);
    Some(QuantileEstimate { value, se: clustered_se(values, ends, &mut sorted, value, n, q) })
}

fn clustered_se(
    values: &[f64],
    ends: &[u32],
    scratch: &mut [f64],
    value: f64,
    n: f64,
    q: f64,
) -> Result<f64, MethodError> {
    let least = least_events(q);
    if n <= least {
        return Err(MethodError::TooFewUnits);
    }
    let inflation = cluster_inflation(values, ends, value, q)?;
    if n / inflation <= least {
        return Err(MethodError::TooFewUnits);
    }
    let half = Z * (n * q * (1.0 - q)).sqrt();
    let lower = order_statistic(scratch, (n * q - half).floor());
    let upper = order_statistic(scratch, (n * q + half).ceil());
    Ok((upper - lower) / (2.0 * Z) * inflation.sqrt())
}

/// Independent events that a quantile needs at more than: with fewer the ranks of its interval leave
/// the sample.
pub fn least_events(q: f64) -> f64 {
    Z * Z * q.max(1.0 - q) / q.min(1.0 - q)
}

/// Variance of the share of events at or below `value` over units, relative to independent events.
pub(crate) fn cluster_inflation(
    values: &[f64],
    ends: &[u32],
    value: f64,
    q: f64,
) -> Result<f64, MethodError> {
    let units = ends.len() as f64;
    if ends.len() < 2 {
        return Err(MethodError::TooFewUnits);
    }
    let n = values.len() as f64;
    let share = values.iter().filter(|y| **y <= value).count() as f64 / n;
    let mut start = 0;
    let mut squares = 0.0;
    for &end in ends {
        let unit = &values[start..end as usize];
        start = end as usize;
        let below = unit.iter().filter(|y| **y <= value).count() as f64;
        // Residual of the ratio Σ below/Σ events; the residuals sum to 0.
        squares += (below - share * unit.len() as f64).powi(2);
    }
    let variance = squares * (units / (units - 1.0)) / (n * n);
    Ok(variance / (q * (1.0 - q) / n))
}

/// Compares two quantiles, two-sided.
pub fn compare(
    control: &QuantileEstimate,
    treatment: &QuantileEstimate,
    alpha: Alpha,
) -> Result<QuantileComparison, MethodError> {
    let (a, b) = (control.se?.powi(2), treatment.se?.powi(2));
    let effect = treatment.value - control.value;
    let se = (a + b).sqrt();
    if se == 0.0 {
        return Err(MethodError::ZeroVariance);
    }
    let statistic = effect / se;
    if !statistic.is_finite() {
        return Err(MethodError::NotFinite);
    }
    let z = normal::isf(alpha.get() / 2.0);
    Ok(QuantileComparison {
        effect,
        se,
        statistic,
        p_value: normal::two_sided(statistic),
        ci: Interval { lo: effect - z * se, hi: effect + z * se },
        lift_ci: fieller_of(control.value, a, effect, b, z),
    })
}

/// Hyndman and Fan's type 7: linear between the order statistics around rank 1 + (n − 1) q. Reorders
/// the values, of which there must be one at least.
pub fn type_7(values: &mut [f64], q: f64) -> f64 {
    let position = (values.len() as f64 - 1.0) * q;
    let below = order_statistic(values, position.floor() + 1.0);
    let above = order_statistic(values, position.ceil() + 1.0);
    below + (above - below) * position.fract()
}

/// The value of a rank, 1 the smallest; ranks outside are the ends. Reorders the values.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the indices of the slice, which are far below 2^53"
)]
fn order_statistic(values: &mut [f64], rank: f64) -> f64 {
    let last = values.len() - 1;
    let index = (rank - 1.0).clamp(0.0, last as f64) as usize;
    *values.select_nth_unstable_by(index, f64::total_cmp).1
}
