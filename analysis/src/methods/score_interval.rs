//! Score intervals for the difference and the ratio of two proportions.
//!
//! ```text
//! # Question          Which differences, or ratios, of two shares does the score test not reject?
//! # Input             successes and units of each arm, and the normal critical value q
//! # Formula           difference (Mee): all δ with `(p̂_t − p̂_c − δ)² ≤ q² (p̃_t q̃_t/n_t + p̃_c q̃_c/n_c)`,
//!                     p̃ the maximum-likelihood shares under p_t − p_c = δ. Ratio (Koopman): all φ
//!                     with `(p̂_t − φ p̂_c)² ≤ q² (p̃_t q̃_t/n_t + φ² p̃_c q̃_c/n_c)`, p̃ under p_t = φ p_c
//! # Assumes           independent units
//! # Numerics          at δ = 0 and φ = 1 the constrained shares are the pooled one, so that both
//!                     intervals exclude "no effect" exactly when the pooled test rejects. Bounds by
//!                     Brent's method, the ratio on a logarithmic scale; the cubic of the constrained
//!                     share is polished by Newton's method, because it loses digits at rare events.
//!                     With five outcomes of either kind in both arms, Newton's and the secant method
//!                     without a bracket come first.
//!                     Lower bounds are upper bounds with the arms swapped
//! # Reference         Mee (1984), Biometrics 40; Miettinen & Nurminen (1985), without N/(N − 1);
//!                     Koopman (1984), Biometrics 40; Gart & Nam (1988); statsmodels
//!                     `confint_proportions_2indep(method="score", correction=False)` and mpmath;
//!                     `tests/golden/proportions.json`
//! ```

use super::root::brent_near;
use super::{Interval, MethodError};
use crate::stats::Successes;

/// Mee's interval of `p_t − p_c` with the normal critical value `q`.
pub fn difference(
    control: Successes,
    treatment: Successes,
    q: f64,
) -> Result<Interval, MethodError> {
    let (c, t) = (Arm::try_new(control)?, Arm::try_new(treatment)?);
    Ok(Interval { lo: -upper_difference(t, c, q), hi: upper_difference(c, t, q) })
}

/// Koopman's interval of `p_t/p_c − 1` with the normal critical value `q`. It is open above when
/// control has no success, and an error when neither arm has one.
pub fn relative(control: Successes, treatment: Successes, q: f64) -> Result<Interval, MethodError> {
    let (c, t) = (Arm::try_new(control)?, Arm::try_new(treatment)?);
    if c.x == 0.0 && t.x == 0.0 {
        return Err(MethodError::ZeroDenominator);
    }
    Ok(Interval {
        lo: secant_ratio(t, c, q)
            .map_or_else(|| (-upper_log_ratio(t, c, q)).exp_m1(), |ratio| (1.0 - ratio) / ratio),
        hi: secant_ratio(c, t, q)
            .map_or_else(|| upper_log_ratio(c, t, q).exp_m1(), |ratio| ratio - 1.0),
    })
}

#[derive(Debug, Clone, Copy)]
struct Arm {
    x: f64,
    n: f64,
}

impl Arm {
    fn try_new(arm: Successes) -> Result<Self, MethodError> {
        if arm.n == 0 {
            return Err(MethodError::TooFewUnits);
        }
        Ok(Self { x: arm.successes as f64, n: arm.n as f64 })
    }

    fn share(self) -> f64 {
        self.x / self.n
    }

    /// Variance of the share if the true one were p.
    fn variance(self, p: f64) -> f64 {
        p * (1.0 - p) / self.n
    }
}

/// Largest difference `δ = p_t − p_c` that is not rejected.
fn upper_difference(c: Arm, t: Arm, q: f64) -> f64 {
    let effect = t.share() - c.share();
    if effect >= 1.0 {
        return 1.0;
    }
    // Negative while δ is inside. At the estimate itself the variance may vanish (0/n against 0/n),
    // just beside it it does not.
    let outside = |delta: f64| {
        let p = constrained_share(c, t, delta);
        (delta - effect) - q * (c.variance(p) + t.variance(p + delta)).max(0.0).sqrt()
    };
    let start = effect + 4.0 * f64::EPSILON;
    if outside(start) >= 0.0 {
        return effect;
    }
    let p = pooled_share(c, t);
    let guess = effect + q * (c.variance(p) + t.variance(p)).sqrt();
    newton_difference(c, t, q, guess).unwrap_or_else(|| brent_near(guess, start, 1.0, outside))
}

/// Whether both outcomes are common enough in both arms for steps without a bracket.
fn is_common(c: Arm, t: Arm) -> bool {
    [c.x, c.n - c.x, t.x, t.n - t.x].into_iter().all(|count| count >= 5.0)
}

/// The bound of [`upper_difference`] by Newton's method on δ and the constrained share at once: most
/// experiments have outcomes enough for it. None where it does not settle.
fn newton_difference(c: Arm, t: Arm, q: f64, guess: f64) -> Option<f64> {
    if !is_common(c, t) {
        return None;
    }
    let effect = t.share() - c.share();
    let mut delta = guess;
    // The weighted mean of what either arm says.
    let mut p = (c.x + t.x - t.n * delta) / (c.n + t.n);
    for _ in 0..12 {
        let (pt, qc, qt) = (p + delta, 1.0 - p, 1.0 - p - delta);
        if !(p > 0.0 && qc > 0.0 && pt > 0.0 && qt > 0.0) {
            return None;
        }
        let (r1, r0, s1, s0) = (1.0 / p, 1.0 / qc, 1.0 / pt, 1.0 / qt);
        let (c1, c0) = (c.x * r1, (c.n - c.x) * r0);
        let (t1, t0) = (t.x * s1, (t.n - t.x) * s0);
        let score = c1 - c0 + t1 - t0;
        let by_delta = t1 * s1 + t0 * s0;
        let by_p = c1 * r1 + c0 * r0 + by_delta;
        let step_p = score / by_p;
        // How the constrained share follows δ.
        let follows = -by_delta / by_p;
        let variance = p * qc / c.n + pt * qt / t.n;
        let (v_p, v_delta) =
            ((1.0 - 2.0 * p) / c.n + (1.0 - 2.0 * pt) / t.n, (1.0 - 2.0 * pt) / t.n);
        let sd = variance.sqrt();
        let off = delta - effect - q * (sd + 0.5 * v_p * step_p / sd);
        let slope = 1.0 - 0.5 * q * (v_p * follows + v_delta) / sd;
        let step = -off / slope;
        delta += step;
        p += step_p + follows * step;
        if step.abs() <= 1e-15 + 1e-13 * sd && step_p.abs() <= 1e-6 * sd {
            return (slope > 0.0 && delta > effect && delta < 1.0).then_some(delta);
        }
    }
    None
}

/// The share of both arms together.
fn pooled_share(c: Arm, t: Arm) -> f64 {
    (c.x + t.x) / (c.n + t.n)
}

/// The control's maximum-likelihood share when `p_t = p_c + δ`.
fn constrained_share(c: Arm, t: Arm, delta: f64) -> f64 {
    let (lo, hi) = ((-delta).max(0.0), (1.0 - delta).min(1.0));
    if lo >= hi {
        return lo.min(1.0);
    }
    // Miettinen & Nurminen (1985), appendix: the root of a cubic that lies in [lo, hi].
    let n = c.n + t.n;
    let x = c.x + t.x;
    let l2 = ((t.n + 2.0 * c.n) * delta - n - x) / (3.0 * n);
    let l1 = ((c.n * delta - n - 2.0 * c.x) * delta + x) / n;
    let l0 = c.x * delta * (1.0 - delta) / n;
    let k = l2 * l2 * l2 - l1 * l2 / 2.0 + l0 / 2.0;
    let u = (l2 * l2 - l1 / 3.0).max(0.0).sqrt().copysign(k);
    let angle = if u == 0.0 { 0.0 } else { (k / (u * u * u)).clamp(-1.0, 1.0).acos() };
    let p = 2.0 * u * ((std::f64::consts::PI + angle) / 3.0).cos() - l2;
    polish(c, t, delta, p.clamp(lo, hi), lo, hi)
}

/// Newton steps on the derivative of the log-likelihood, which falls from +∞ to −∞ between the ends
/// of the arms' support.
fn polish(c: Arm, t: Arm, delta: f64, start: f64, lo: f64, hi: f64) -> f64 {
    let part = |count: f64, share: f64| if count == 0.0 { 0.0 } else { count / share };
    let mut p = start;
    for _ in 0..3 {
        let (c1, c0) = (part(c.x, p), part(c.n - c.x, 1.0 - p));
        let (t1, t0) = (part(t.x, p + delta), part(t.n - t.x, 1.0 - p - delta));
        let score = c1 - c0 + t1 - t0;
        let bend =
            part(c1, p) + part(c0, 1.0 - p) + part(t1, p + delta) + part(t0, 1.0 - p - delta);
        let next = p + score / bend;
        // At an end of the support the likelihood may be largest without a flat point.
        if !(next > lo && next < hi) {
            return p;
        }
        if (next - p).abs() <= 1e-15 * p {
            return next;
        }
        p = next;
    }
    p
}

/// ln of the largest ratio `φ = p_t/p_c` that is not rejected; +∞ when control has no success.
fn upper_log_ratio(c: Arm, t: Arm, q: f64) -> f64 {
    if c.x == 0.0 {
        return f64::INFINITY;
    }
    let outside = |log_ratio: f64| beyond_ratio(c, t, q, log_ratio.exp());
    // The logarithm's delta-method error, with half an outcome more than was seen.
    let spread = |arm: Arm| (arm.n - arm.x) / (arm.x + 0.5) / arm.n;
    let error = q * (spread(c) + spread(t)).sqrt();
    // Without a success the estimate is −∞, and half a success is the scale to look at.
    let start = if t.x > 0.0 {
        let estimate = (t.share() / c.share()).ln();
        let beside = estimate + 4.0 * f64::EPSILON * estimate.abs().max(1.0);
        if outside(beside) >= 0.0 {
            return estimate;
        }
        beside
    } else {
        (0.5 / t.n / c.share()).ln() - 40.0
    };
    let guess = if t.x > 0.0 { start + error } else { start + 40.0 + error };
    let mut end = guess + 0.01;
    while outside(end) < 0.0 {
        end += end - start;
        if end > 700.0 {
            return f64::INFINITY;
        }
    }
    brent_near(guess, start, end, outside)
}

/// Negative while the ratio is not rejected.
fn beyond_ratio(c: Arm, t: Arm, q: f64, ratio: f64) -> f64 {
    // Koopman (1984), eq. 2.2; the discriminant b² − 4 φ N x as a sum of positive parts.
    let (b_t, b_c) = (ratio * (t.n + c.x), t.x + c.n);
    let b = b_t + b_c;
    let x = t.x + c.x;
    let root = ((b_t - b_c).powi(2) + 4.0 * ratio * (t.n - t.x) * (c.n - c.x)).sqrt();
    let p_c = 2.0 * x / (b + root);
    let p_t = ratio * p_c;
    let variance = t.variance(p_t) + ratio * ratio * c.variance(p_c);
    // In units of p_t, so that the function stays of moderate size over all of the scale.
    ((ratio * c.share() - t.share()) - q * variance.max(0.0).sqrt()) / p_t
}

/// The largest ratio that is not rejected, by the secant method from the delta method's bound: for
/// arms with outcomes enough. None where it does not settle.
fn secant_ratio(c: Arm, t: Arm, q: f64) -> Option<f64> {
    if !is_common(c, t) {
        return None;
    }
    let spread = |arm: Arm| (arm.n - arm.x) / arm.x / arm.n;
    let error = q * (spread(c) + spread(t)).sqrt();
    if error > 0.7 {
        return None;
    }
    let estimate = t.share() / c.share();
    let mut before = estimate * (1.0 + error * (1.0 + error * (0.5 + error / 6.0)));
    let mut ratio = before * (1.0 + 0.02 * error);
    let mut off_before = beyond_ratio(c, t, q, before);
    for _ in 0..12 {
        let off = beyond_ratio(c, t, q, ratio);
        let slope = (off - off_before) / (ratio - before);
        let step = off / slope;
        (before, off_before) = (ratio, off);
        ratio -= step;
        if step.abs() <= 1e-11 * error * ratio + 1e-15 * ratio {
            return (ratio > estimate && slope > 0.0).then_some(ratio);
        }
    }
    None
}
