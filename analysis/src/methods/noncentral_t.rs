//! Power of Student's t-test: tails of the noncentral t distribution.
//!
//! ```text
//! # Question          How often does a t-test reject when the effect is δ standard errors?
//! # Input             critical value t ≥ 0, df > 0, noncentrality δ
//! # Formula           `P(T > t) = ∫ Φ(δ − t s) f(s) ds` with s² = χ²_df/df
//! # Assumes           normal values, one variance
//! # Numerics          on v = ln s the density is `exp(df (v − (e^{2v} − 1)/2))`, entire and quickly
//!                     falling both ways: the trapezoidal rule has all digits. Its own sum is the
//!                     norm, so that no gamma function is needed
//! # Reference         Johnson, Kotz, Balakrishnan (1995), chapter 31; scipy `nct`, mpmath;
//!                     `tests/golden/power_t.json`
//! ```

use super::normal;

/// P(T > t) for noncentral T; NaN unless df > 0.
pub fn sf(t: f64, df: f64, noncentrality: f64) -> f64 {
    average(df, t.abs() + noncentrality.abs(), |s| normal::sf(t * s - noncentrality))
}

/// P(T < t) for noncentral T; NaN unless df > 0.
pub fn cdf(t: f64, df: f64, noncentrality: f64) -> f64 {
    average(df, t.abs() + noncentrality.abs(), |s| normal::sf(noncentrality - t * s))
}

/// Mean of `f(√(χ²_df/df))`, of a function that varies on the scale of 1/steepness.
fn average(df: f64, steepness: f64, f: impl Fn(f64) -> f64) -> f64 {
    if df.is_nan() || df <= 0.0 || steepness.is_nan() {
        return f64::NAN;
    }
    if df.is_infinite() || steepness.is_infinite() {
        return f(1.0);
    }
    let weight = |v: f64| (df * (v - 0.5 * (2.0 * v).exp_m1())).exp();
    let sd = (0.5 / df).sqrt();
    let step = (0.4 * sd).min(0.4 / (1.0 + steepness));
    let (mut norm, mut sum) = (weight(0.0), weight(0.0) * f(1.0));
    for direction in [-1.0, 1.0] {
        for k in 1..1_000_000 {
            let v = direction * step * f64::from(k);
            let weight = weight(v);
            norm += weight;
            sum += weight * f(v.exp());
            if weight < 1e-18 * norm {
                break;
            }
        }
    }
    sum / norm
}
