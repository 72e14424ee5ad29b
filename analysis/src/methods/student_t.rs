//! Student's t distribution.
//!
//! ```text
//! # Question          Tail areas and critical values of t with any positive degrees of freedom.
//! # Input             a point or a tail area, and df > 0 (whole or not, up to 1e12 and beyond)
//! # Formula           `P(|T| > t) = I_x(df/2, 1/2)` with x = df/(df + t²)
//! # Assumes           nothing
//! # Numerics          statrs is not used: its quantile errs by 7 % at df = 1e7 and does not return
//!                     beyond 1.6e7, and its `sf` loses digits as df grows. Here, for df ≥ 100 and
//!                     not too far out, `w² = (df − ½) ln(1 + t²/df)` turns the density into
//!                     `φ(w) √(z/sinh z)`, `z = w²/(2df − 1)`, whose power series is integrated
//!                     term by term: all of the tail keeps its relative accuracy, and the limit
//!                     df → ∞ is the normal itself. Elsewhere the continued fraction of I_x, its
//!                     prefactor by `ln_1p` and a ratio of gammas that subtracts no logarithms.
//!                     Quantiles are Newton steps on these tails from the expansion of A&S 26.7.5.
//! # Reference         Wallace (1959), Ann. Math. Statist. 30; Abramowitz & Stegun 26.5.8, 26.7.5;
//!                     `tests/golden/student_t.json` (mpmath, 60 digits)
//! ```

use std::f64::consts::PI;

use super::normal;

/// Degrees of freedom from which the normal series is used.
const SERIES_DF: f64 = 100.0;
/// Largest `ln(1 + t²/df)` for the series; its terms shrink by (this / 2π)² each.
const SERIES_REACH: f64 = 1.2;

/// Coefficients of `√(z/sinh z) = Σ c_k (z²)^k` at z = u/2, so of `u^{2k}`.
const SINH: [f64; 13] = sinh_coefficients();

/// Upper tail area P(T > t); NaN unless df > 0.
pub fn sf(t: f64, df: f64) -> f64 {
    let half = 0.5 * two_sided(t, df);
    if t < 0.0 { 1.0 - half } else { half }
}

/// Two-sided p-value P(|T| > |t|); NaN unless df > 0.
pub fn two_sided(t: f64, df: f64) -> f64 {
    tails(t, df, || gamma_ratio(0.5 * df))
}

/// [`two_sided`], with Γ(df/2 + ½)/Γ(df/2) from the caller, who may need it more than once.
fn tails(t: f64, df: f64, ratio: impl FnOnce() -> f64) -> f64 {
    if t.is_nan() || df.is_nan() || df <= 0.0 {
        return f64::NAN;
    }
    let t = t.abs();
    if t == 0.0 {
        return 1.0;
    }
    if t.is_infinite() {
        return 0.0;
    }
    if df.is_infinite() {
        return normal::two_sided(t);
    }
    let reach = log_growth(t, df);
    if df >= SERIES_DF && reach < SERIES_REACH {
        return near_normal(reach, df);
    }
    // x^{df/2} of the incomplete beta, without its underflow for small df.
    let a = 0.5 * df;
    let log_x = -reach;
    let y = -(log_x.exp_m1()); // 1 − x = t²/(df + t²)
    let x = log_x.exp();
    let front = (a * log_x).exp() * y.sqrt() * ratio() / PI.sqrt();
    if x < (a + 1.0) / (a + 2.5) {
        (front / a * beta_fraction(a, 0.5, x)).min(1.0)
    } else {
        (1.0 - front * 2.0 * beta_fraction(0.5, a, y)).clamp(0.0, 1.0)
    }
}

/// The point with upper tail area `p` in (0, 1): infinite at its ends, NaN elsewhere.
pub fn isf(p: f64, df: f64) -> f64 {
    if !(0.0..=1.0).contains(&p) || df.is_nan() || df <= 0.0 {
        return f64::NAN;
    }
    if p > 0.5 {
        return -isf(1.0 - p, df);
    }
    if p == 0.0 {
        return f64::INFINITY;
    }
    if (p - 0.5).abs() < f64::EPSILON {
        return 0.0;
    }
    let z = normal::isf(p);
    let start = expansion(z, df);
    if df >= 1e4 && z < 8.0 {
        // The first term left out is below 1e-17 of the answer.
        return start;
    }
    refine(start, p, df)
}

/// Density at t.
pub fn pdf(t: f64, df: f64) -> f64 {
    density(t, df, gamma_ratio(0.5 * df))
}

fn density(t: f64, df: f64, ratio: f64) -> f64 {
    ratio / (df * PI).sqrt() * (-0.5 * (df + 1.0) * log_growth(t.abs(), df)).exp()
}

/// ln(1 + t²/df), also where t² overflows.
fn log_growth(t: f64, df: f64) -> f64 {
    let ratio = t / df.sqrt();
    if ratio < 1e100 { (ratio * ratio).ln_1p() } else { 2.0 * ratio.ln() }
}

/// Two-sided tail by the series around the normal; `reach` = ln(1 + t²/df).
fn near_normal(reach: f64, df: f64) -> f64 {
    let nu = df - 0.5;
    let w = (nu * reach).sqrt();
    let density = normal::pdf(w);
    // J_n = ∫_w^∞ s^n φ(s) ds; J_{n+2} = w^{n+1} φ(w) + (n + 1) J_n, all terms positive.
    let mut integral = normal::sf(w);
    let mut power = w;
    let mut sum = integral;
    let mut scale = 1.0;
    for (k, coefficient) in SINH.iter().enumerate().skip(1) {
        for n in [4 * k - 3, 4 * k - 1] {
            integral = power * density + n as f64 * integral;
            power *= w * w;
        }
        scale /= nu * nu;
        let term = coefficient * scale * integral;
        sum += term;
        if term.abs() < 1e-17 * sum {
            break;
        }
    }
    (2.0 * sum * series_norm(nu)).min(1.0)
}

/// Γ(a + ½)/(Γ(a) √(a − ¼)) at ν = 2a − ½ ≥ 40: the reciprocal of the series integrated over all.
fn series_norm(nu: f64) -> f64 {
    let mut whole = 1.0;
    let mut moment = 1.0;
    for (k, coefficient) in SINH.iter().enumerate().skip(1).take(6) {
        let n = (4 * k) as f64;
        moment *= (n - 1.0) * (n - 3.0) / (nu * nu);
        whole += coefficient * moment;
    }
    1.0 / whole
}

/// Γ(a + ½)/Γ(a).
fn gamma_ratio(a: f64) -> f64 {
    let mut shift = 1.0;
    let mut large = a;
    while large < 25.0 {
        // Γ(a + ½)/Γ(a) = (a/(a + ½)) Γ(a + 3/2)/Γ(a + 1)
        shift *= large / (large + 0.5);
        large += 1.0;
    }
    shift * (large - 0.25).sqrt() * series_norm(2.0 * large - 0.5)
}

/// Continued fraction of the incomplete beta function (A&S 26.5.8), by Lentz's method.
fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let guard = |v: f64| if v.abs() < TINY { TINY } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / guard(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    // Convergence takes O(√max(a, b)) steps; beyond this many the last digits no longer matter.
    for m in 1..10_000 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / guard(1.0 + even * d);
        c = guard(1.0 + even / c);
        fraction *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / guard(1.0 + odd * d);
        c = guard(1.0 + odd / c);
        let factor = d * c;
        fraction *= factor;
        if (factor - 1.0).abs() < 1e-16 {
            break;
        }
    }
    fraction
}

/// A&S 26.7.5: t by the normal quantile in powers of 1/df.
fn expansion(z: f64, df: f64) -> f64 {
    let z2 = z * z;
    let g1 = z * (z2 + 1.0) / 4.0;
    let g2 = z * ((5.0 * z2 + 16.0) * z2 + 3.0) / 96.0;
    let g3 = z * (((3.0 * z2 + 19.0) * z2 + 17.0) * z2 - 15.0) / 384.0;
    let g4 = z * ((((79.0 * z2 + 776.0) * z2 + 1482.0) * z2 - 1920.0) * z2 - 945.0) / 92_160.0;
    let r = 1.0 / df;
    z + r * (g1 + r * (g2 + r * (g3 + r * g4)))
}

/// Newton's method for sf(t) = p on logarithms of both, where the tail is nearly a straight line,
/// between bounds that every step tightens.
fn refine(start: f64, p: f64, df: f64) -> f64 {
    let ratio = gamma_ratio(0.5 * df);
    let mut t = start;
    if df < 3.0 || !start.is_finite() {
        // The power law t^{-df} that the tail tends to from below: where it reaches p, for it is
        // all that is right about a heavy tail, and never too near.
        let far = (p * df * PI.sqrt() / ratio).ln() / -df + 0.5 * df.ln();
        t = far.exp();
    }
    let (mut lo, mut hi) = (0.0_f64, f64::INFINITY);
    for _ in 0..200 {
        if t.is_infinite() {
            return t;
        }
        let tail = 0.5 * tails(t, df, || ratio);
        if tail > p {
            lo = lo.max(t);
        } else {
            hi = hi.min(t);
        }
        // d ln sf / d ln t = −t·pdf/sf
        let slope = -t * density(t, df, ratio) / tail;
        let step = (p.ln() - tail.ln()) / slope;
        let mut next = t * step.exp();
        // With the bend of the curve a step trebles the digits: after one of 1e-5 there are no more.
        if step.abs() <= 1e-5 {
            let bend = slope * (1.0 - (df + 1.0) * t * t / (df + t * t)) - slope * slope;
            return t * (step - 0.5 * bend / slope * step * step).exp();
        }
        if !(next > lo && next < hi && next.is_finite()) {
            next = if hi.is_finite() { 0.5 * (lo + hi) } else { 2.0 * t };
        }
        t = next;
    }
    t
}

/// Power series of √(z/sinh z) in z², rescaled from z = u/2 to u.
const fn sinh_coefficients() -> [f64; 13] {
    // f = sinh(z)/z = Σ z^{2k}/(2k + 1)!, g = f^{-1/2}: from g' f = −½ g f',
    // k g_k = −Σ_{j=1..k} (k − j + j/2) f_j g_{k−j}.
    let mut f = [1.0_f64; 13];
    let mut g = [1.0_f64; 13];
    let mut result = [1.0_f64; 13];
    let mut quarter = 1.0;
    let mut k = 1;
    while k < 13 {
        let two_k = 2.0 * k as f64;
        f[k] = f[k - 1] / (two_k * (two_k + 1.0));
        let mut sum = 0.0;
        let mut j = 1;
        while j <= k {
            sum += ((k - j) as f64 + 0.5 * j as f64) * f[j] * g[k - j];
            j += 1;
        }
        g[k] = -sum / k as f64;
        quarter *= 0.25;
        result[k] = g[k] * quarter;
        k += 1;
    }
    result
}
