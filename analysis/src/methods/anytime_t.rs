//! The anytime-valid t-test.
//!
//! ```text
//! # Question          Is there an effect, whenever one looks, when the variance is estimated, too?
//! # Input             t statistic, its standard error, residual degrees of freedom ν, the effective
//!                     number of units `n_e = (s/se)²` (for two arms n_c n_t/(n_c + n_t)), precision φ
//!                     of the mixture
//! # Formula           `r = φ/(φ + n_e)`:
//!                     `ln BF = ½ ln r + ½ (ν + 1) ln((1 + t²/ν)/(1 + r t²/ν))`, p = min(1, 1/BF);
//!                     half width `se √(ν (1 − x)/(x − r))`, `x = (r α²)^{1/(ν + 1)}`, infinite where
//!                     x ≤ r
//! # Assumes           exact for normal values; else that there are many units
//! # Numerics          on logarithms; t² that overflows leaves the limit −½ ν ln r
//! # Reference         Lindon, Ham, Tingley, Bojinov (2022), arXiv 2210.08589; savvi
//!                     `linear_regression`; `tests/golden/always_valid.json`
//! ```

use super::normal_mixture::p_value;
use super::{Alpha, MethodError};

/// Answer of the test at one look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnytimeT {
    /// ln of the Bayes factor against no effect.
    pub log_bayes_factor: f64,
    /// min(1, 1/BF) of this look.
    pub p_value: f64,
    /// Half width of the interval; infinite while there are too few units.
    pub half_width: f64,
}

/// The test at one look; `df`, `n_effective` and `phi` above 0.
pub fn anytime_t(
    statistic: f64,
    se: f64,
    df: f64,
    n_effective: f64,
    phi: f64,
    alpha: Alpha,
) -> Result<AnytimeT, MethodError> {
    let rest = n_effective / phi;
    // ln r = −ln(1 + n_e/φ), 1 − r = (n_e/φ) r
    let log_r = -rest.ln_1p();
    let r = log_r.exp();
    let one_less_r = -log_r.exp_m1();
    if !(statistic.is_finite() && rest.is_finite() && df.is_finite()) {
        return Err(MethodError::NotFinite);
    }
    let y = statistic.abs() / df.sqrt();
    // ln((1 + y²)/(1 + r y²)) = ln(1 + (1 − r)/(1/y² + r))
    let gain = if y == 0.0 { 0.0 } else { (one_less_r / ((1.0 / y) * (1.0 / y) + r)).ln_1p() };
    let log_bayes_factor = 0.5 * (log_r + (df + 1.0) * gain);
    let log_x = (log_r + 2.0 * alpha.get().ln()) / (df + 1.0);
    let room = log_x.exp_m1() + one_less_r;
    let half_width =
        if room > 0.0 { se * (df * -log_x.exp_m1() / room).sqrt() } else { f64::INFINITY };
    if log_bayes_factor.is_nan() || half_width.is_nan() {
        return Err(MethodError::NotFinite);
    }
    Ok(AnytimeT { log_bayes_factor, p_value: p_value(log_bayes_factor), half_width })
}
