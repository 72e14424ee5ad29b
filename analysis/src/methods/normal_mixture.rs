//! The normal mixture: the e-value and the boundary behind every always-valid interval of means.
//!
//! ```text
//! # Question          How much evidence against "no effect" holds however often one looks?
//! # Input             the effect in standard errors z, and the mixture's standard deviation r in
//!                     standard errors
//! # Formula           two-sided, effects N(0, r²): `ln e = ½ (z² r²/(1 + r²) − ln(1 + r²))`, boundary
//!                     `√((1 + 1/r²)(ln(1 + r²) + 2 ln(1/α)))`. One direction, effects |N(0, r²)|:
//!                     `ln e = ln 2 + ½ (w² − ln(1 + r²)) + ln Φ(w)`, `w = z r/√(1 + r²)`
//! # Assumes           a normal statistic, r chosen before the data
//! # Numerics          in r and not r², which overflows; the one-sided boundary by Newton's method on
//!                     the logarithm, which is convex and rises everywhere
//! # Reference         Robbins (1970), Ann. Math. Statist. 41; Howard, Ramdas, McAuliffe, Sekhon (2021),
//!                     Ann. Statist. 49, eqs. 14 and 15; confseq `normal_mixture_bound`;
//!                     `tests/golden/always_valid.json`
//! ```

use std::f64::consts::LN_2;

use super::{Alternative, normal};

/// A mixture of effects around none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormalMixture {
    /// ln(1 + r²).
    growth: f64,
    /// r/√(1 + r²).
    shrink: f64,
}

impl NormalMixture {
    /// A mixture whose standard deviation is `ratio` > 0 standard errors.
    pub fn new(ratio: f64) -> Self {
        let growth = if ratio < 1e100 { (ratio * ratio).ln_1p() } else { 2.0 * ratio.ln() };
        Self { growth, shrink: 1.0 / 1.0_f64.hypot(1.0 / ratio) }
    }

    /// ln of the e-value at `z` standard errors.
    pub fn log_e_value(self, z: f64, alternative: Alternative) -> f64 {
        let w = z * self.shrink;
        match alternative {
            Alternative::TwoSided => 0.5 * (w * w - self.growth),
            Alternative::Greater => LN_2 - 0.5 * self.growth + normal::log_scaled_cdf(w),
            Alternative::Less => LN_2 - 0.5 * self.growth + normal::log_scaled_cdf(-w),
        }
    }

    /// Standard errors at which the e-value is 1/α, so that the always-valid p-value is α; `log_alpha`
    /// is ln α.
    pub fn boundary(self, log_alpha: f64, alternative: Alternative) -> f64 {
        self.shrunken_boundary(log_alpha, alternative) / self.shrink
    }

    /// The boundary times r/√(1 + r²), which is finite without any time.
    fn shrunken_boundary(self, log_alpha: f64, alternative: Alternative) -> f64 {
        let level = self.growth - 2.0 * log_alpha;
        if alternative == Alternative::TwoSided {
            return level.sqrt();
        }
        // ½ w² + ln Φ(w) = ½ level − ln 2
        let target = 0.5 * level - LN_2;
        let mut w = (2.0 * target.max(0.0)).sqrt();
        for _ in 0..60 {
            let reached = normal::log_scaled_cdf(w);
            // d/dw (½ w² + ln Φ) = w + φ/Φ
            let slope = w + normal::pdf(0.0) * (-reached).exp();
            let step = (reached - target) / slope;
            w -= step;
            if step.abs() <= 1e-14 * w.abs().max(1e-3) {
                break;
            }
        }
        w
    }
}

/// min(1, 1/e) from ln e.
pub fn p_value(log_e_value: f64) -> f64 {
    if log_e_value > 0.0 { (-log_e_value).exp() } else { 1.0 }
}

/// The variance-ratio ρ² (per unit of intrinsic time) at which the boundary at time `time` is
/// tightest: `(2 ln(1/α) + ln(1 + 2 ln(1/α)))/time`. For one direction the level is doubled.
pub fn tuned_rho2(alpha: f64, time: f64, alternative: Alternative) -> f64 {
    let level = match alternative {
        Alternative::TwoSided => alpha,
        // Beyond ½ there is nothing left to tune.
        Alternative::Greater | Alternative::Less => (2.0 * alpha).min(0.9),
    };
    let twice = -2.0 * level.ln();
    (twice + twice.ln_1p()) / time
}

/// Boundary of a sum with intrinsic time `v`, tightest at `v_opt` for the level `alpha_opt`: what
/// confseq calls `normal_mixture_bound`.
pub fn sum_boundary(
    v: f64,
    alpha: f64,
    v_opt: f64,
    alpha_opt: f64,
    alternative: Alternative,
) -> f64 {
    // A sum with variance v whose drift per unit of time is N(0, ρ²) has r² = v ρ².
    let rho2 = tuned_rho2(alpha_opt, v_opt, alternative);
    let mixture = NormalMixture::new((v * rho2).sqrt());
    (v + 1.0 / rho2).sqrt() * mixture.shrunken_boundary(alpha.ln(), alternative)
}
