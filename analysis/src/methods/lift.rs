//! Relative lift of a mean.
//!
//! ```text
//! # Question          By what fraction of the control's value did treatment change the metric?
//! # Input             `Moments` of each variant, and the critical value of the absolute interval
//! # Formula           `lift = (m_t − m_c)/|m_c|`. Fieller: all ratios ρ with
//!                     `(m_t − ρ m_c)² ≤ q² (b + ρ² a)`, `a = v_c/n_c`, `b = v_t/n_t`. For λ = ρ − 1:
//!                     `A λ² − 2 (m_c d + q² a) λ + (d² − q² se²) ≤ 0`, `A = m_c² − q² a`,
//!                     `d = m_t − m_c`. Delta: `se² = b/m_c² + m_t² a/m_c⁴`; on the logarithm:
//!                     `se² = b/m_t² + a/m_c²`
//! # Assumes           as the absolute test; the delta method also a control well away from zero
//! # Numerics          the product of the two roots is that of the absolute interval's bounds over A,
//!                     so that the lift's interval excludes 0 exactly when the absolute one does;
//!                     A ≤ 0 (the control is not distinguishable from 0) is "unbounded"
//! # Reference         Fieller (1954), JRSS B 16; delta as in gbstats, log as in tea-tasting; `tests/golden/lift.json`
//! ```

use super::welch::satterthwaite;
use super::{Interval, MethodError};
use crate::stats::Moments;

/// (treatment − control)/|control|; an error when the control's mean is zero.
pub fn lift(control: &Moments, treatment: &Moments) -> Result<f64, MethodError> {
    ratio_to(control.mean(), control.mean_difference(treatment))
}

fn ratio_to(control: f64, difference: f64) -> Result<f64, MethodError> {
    if control == 0.0 {
        return Err(MethodError::ZeroDenominator);
    }
    let lift = difference / control.abs();
    if lift.is_finite() { Ok(lift) } else { Err(MethodError::NotFinite) }
}

/// Fieller's interval of the lift with the critical value `q` of the absolute interval.
pub fn fieller(control: &Moments, treatment: &Moments, q: f64) -> Result<Interval, MethodError> {
    let (Some(a), Some(b)) = (control.variance_of_mean(), treatment.variance_of_mean()) else {
        return Err(MethodError::TooFewUnits);
    };
    fieller_of(control.mean(), a, control.mean_difference(treatment), b, q)
}

/// Fieller's interval from the control's mean and its variance, the difference, and the variance of
/// the treatment's mean (arms independent).
pub(super) fn fieller_of(
    control: f64,
    variance_control: f64,
    difference: f64,
    variance_treatment: f64,
    q: f64,
) -> Result<Interval, MethodError> {
    if control == 0.0 {
        return Err(MethodError::Unbounded);
    }
    // In units of |m_c|, which also mirrors a negative control: ρ and its interval are scale-free.
    let unit = control.abs();
    let d = difference / unit;
    let a = q * q * (variance_control / unit / unit);
    let b = q * q * (variance_treatment / unit / unit);
    if !(d.is_finite() && a.is_finite() && b.is_finite()) {
        return Err(MethodError::NotFinite);
    }
    let lead = 1.0 - a;
    if lead <= 0.0 {
        return Err(MethodError::Unbounded);
    }
    // With a negative control ρ − 1 = −(m_t − m_c)/|m_c|: solve for ρ − 1, then mirror.
    let towards = d * control.signum();
    let rho = 1.0 + towards;
    let middle = towards + a;
    let discriminant = b + rho * rho * a - a * b;
    let half = (a + b).sqrt();
    let product = (towards - half) * (towards + half);
    let large = middle + discriminant.max(0.0).sqrt().copysign(middle);
    let (first, second) = if large == 0.0 { (0.0, 0.0) } else { (large / lead, product / large) };
    let (lo, hi) = (first.min(second), first.max(second));
    Ok(if control > 0.0 { Interval { lo, hi } } else { Interval { lo: -hi, hi: -lo } })
}

/// The ratio of means on a logarithmic scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogRatio {
    /// ln(treatment/control).
    pub log: f64,
    /// Standard error of its logarithm.
    pub se: f64,
    /// Welch–Satterthwaite degrees of freedom on that scale.
    pub df: f64,
}

/// The delta method on the logarithm of the ratio; the means must have the same sign.
pub fn log_delta(control: &Moments, treatment: &Moments) -> Result<LogRatio, MethodError> {
    let (Some(a), Some(b)) = (control.variance_of_mean(), treatment.variance_of_mean()) else {
        return Err(MethodError::TooFewUnits);
    };
    let (m_c, m_t) = (control.mean(), treatment.mean());
    let ratio = m_t / m_c;
    if m_c == 0.0 || ratio.is_nan() || ratio <= 0.0 {
        return Err(MethodError::ZeroDenominator);
    }
    let (a, b) = (a / m_c / m_c, b / m_t / m_t);
    if a + b == 0.0 {
        return Err(MethodError::ZeroVariance);
    }
    let df = satterthwaite(a, control.n(), b, treatment.n());
    // Near 1 the logarithm of a rounded ratio would lose the difference.
    let change = control.mean_difference(treatment) / m_c;
    let log = if change.abs() < 0.5 { change.ln_1p() } else { ratio.ln() };
    Ok(LogRatio { log, se: (a + b).sqrt(), df })
}

/// Standard error of the lift by the delta method.
pub fn delta_se(control: &Moments, treatment: &Moments) -> Result<f64, MethodError> {
    let (Some(a), Some(b)) = (control.variance_of_mean(), treatment.variance_of_mean()) else {
        return Err(MethodError::TooFewUnits);
    };
    let (m_c, m_t) = (control.mean(), treatment.mean());
    if m_c == 0.0 {
        return Err(MethodError::ZeroDenominator);
    }
    let ratio = m_t / m_c;
    Ok((b / m_c / m_c + ratio * ratio * (a / m_c / m_c)).sqrt())
}
