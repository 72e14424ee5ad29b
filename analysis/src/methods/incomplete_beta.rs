//! The beta distribution, and through it the binomial.
//!
//! ```text
//! # Question          Tail areas and quantiles of Beta(a, b) and of Binomial(n, p).
//! # Input             a, b > 0 up to 1e12 and beyond; a point, or a tail area
//! # Formula           lower tail `I_x(a, b)`; `P(X ≥ k) = I_p(k, n − k + 1)` for a binomial X
//! # Assumes           nothing
//! # Numerics          statrs' `beta_reg` stops after 140 steps, which is too few from a ≈ 1e6 on, and
//!                     its prefactor subtracts log-gammas. Here the tail away from the mean is
//!                     computed and the other is its complement. The prefactor `x^a y^b/B(a, b)` is
//!                     Loader's saddle-point form, which keeps its digits at any a and b. For a ≥ 30
//!                     `I_x = prefactor · ∫ exp(−a u − (a + b) ln(1 + x (e^{−u} − 1))) du` over u ≥ 0
//!                     (u is the distance in log-odds) by Gauss–Legendre panels, with the exponent
//!                     written as `b u − (a + b) ln(1 + y (e^u − 1))` where x > ½, which does not
//!                     cancel there; for smaller a the continued fraction of A&S 26.5.8. Quantiles
//!                     are bracketed Newton steps on the logarithms of both axes
//! # Reference         Abramowitz & Stegun 26.5; Loader (2000), "Fast and accurate computation of
//!                     binomial probabilities"; `tests/golden/incomplete_beta.json` (mpmath)
//! ```

use std::f64::consts::PI;

use super::quadrature::panels;

/// From this size of a on, the lower tail is integrated: the continued fraction slows down, and near
/// x = 1 its first steps cancel.
const INTEGRAL_FROM: f64 = 30.0;

/// Lower and upper tail area of Beta(a, b) at x, where `y = 1 − x` is given to all its digits. NaN
/// unless a, b > 0 and x, y lie in [0, 1].
pub fn tails(a: f64, b: f64, x: f64, y: f64) -> (f64, f64) {
    let share = |p: f64| (0.0..=1.0).contains(&p);
    if !(a > 0.0 && b > 0.0 && a.is_finite() && b.is_finite() && share(x) && share(y)) {
        return (f64::NAN, f64::NAN);
    }
    if x == 0.0 {
        return (0.0, 1.0);
    }
    if y == 0.0 {
        return (1.0, 0.0);
    }
    if x <= a / (a + b) {
        let lower = smaller_tail(a, b, x, y);
        (lower, 1.0 - lower)
    } else {
        let upper = smaller_tail(b, a, y, x);
        (1.0 - upper, upper)
    }
}

/// The point with lower tail area `p`; NaN outside [0, 1].
pub fn lower_quantile(p: f64, a: f64, b: f64) -> f64 {
    if !((0.0..=1.0).contains(&p) && a > 0.0 && b > 0.0) {
        return f64::NAN;
    }
    if p == 0.0 || p >= 1.0 {
        return p;
    }
    if p > 0.5 {
        // 1 − p is exact here, and the small tail is the one that is known to all its digits.
        return upper_quantile(1.0 - p, a, b);
    }
    if a <= b {
        smaller_root(p, a, b, |x| tails(a, b, x, 1.0 - x).0, true)
    } else {
        // On the side of the smaller number: y, whose upper tail is the lower one of x.
        1.0 - smaller_root(p, b, a, |y| tails(a, b, 1.0 - y, y).0, false)
    }
}

/// The point with upper tail area `p`; NaN outside [0, 1].
pub fn upper_quantile(p: f64, a: f64, b: f64) -> f64 {
    if p > 0.5 {
        return lower_quantile(1.0 - p, a, b);
    }
    if p == 0.0 {
        return 1.0;
    }
    if !(p > 0.0 && a > 0.0 && b > 0.0) {
        return f64::NAN;
    }
    if b <= a {
        1.0 - smaller_root(p, b, a, |y| tails(a, b, 1.0 - y, y).1, true)
    } else {
        smaller_root(p, a, b, |x| tails(a, b, x, 1.0 - x).1, false)
    }
}

/// P(X ≤ k) and P(X > k) of a binomial X among `n` with probability `p`.
pub fn binomial_tails(k: u64, n: u64, p: f64) -> (f64, f64) {
    if k >= n {
        return (1.0, 0.0);
    }
    let (upper, lower) = tails(k as f64 + 1.0, (n - k) as f64, p, 1.0 - p);
    (lower, upper)
}

/// The smallest k with `P(X ≤ k) ≥ p`.
pub fn binomial_quantile(p: f64, n: u64, share: f64) -> u64 {
    smallest(n, |k| binomial_tails(k, n, share).0 >= p)
}

/// The smallest k with `P(X > k) ≤ p`.
pub fn binomial_upper_quantile(p: f64, n: u64, share: f64) -> u64 {
    smallest(n, |k| binomial_tails(k, n, share).1 <= p)
}

/// The smallest k in 0..=n from which on a condition holds; n if none below does.
fn smallest(n: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut lo, mut hi) = (0, n);
    while lo < hi {
        let middle = lo + (hi - lo) / 2;
        if holds(middle) {
            hi = middle;
        } else {
            lo = middle + 1;
        }
    }
    lo
}

/// `x^a y^b/B(a, b)`: the density times x y.
pub(super) fn kernel(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let n = a + b;
    let scale = (a * (b / n) / (2.0 * PI)).sqrt();
    let errors = stirling_error(n) - stirling_error(a) - stirling_error(b);
    scale * (errors - deviance(a, n, x) - deviance(b, n, y)).exp()
}

/// `u ln(u/(n p)) + n p − u`.
pub(super) fn deviance(u: f64, n: f64, p: f64) -> f64 {
    let expected = n * p;
    let ratio = n.mul_add(p, -u) / u;
    if ratio.abs() < 0.3 {
        // r − ln(1 + r) with s = r/(2 + r): r s − 2 s³ (1/3 + s²/5 + s⁴/7 + …)
        let s = ratio / (2.0 + ratio);
        let s2 = s * s;
        let mut series = 0.0;
        for k in (1..=10).rev() {
            series = series * s2 + 1.0 / f64::from(2 * k + 1);
        }
        u * (ratio * s - 2.0 * s * s2 * series)
    } else {
        u * (ratio - (expected / u).ln())
    }
}

/// ln Γ(x + 1) − ((x + ½) ln x − x + ½ ln 2π), for x > 0.
pub(super) fn stirling_error(x: f64) -> f64 {
    let (mut large, mut shift) = (x, 0.0);
    while large < 12.0 {
        // δ(x) = δ(x + 1) + (x + ½) ln(1 + 1/x) − 1
        shift += (large + 0.5) * (1.0 / large).ln_1p() - 1.0;
        large += 1.0;
    }
    let r = 1.0 / (large * large);
    let series = 1.0 / 12.0
        - r * (1.0 / 360.0
            - r * (1.0 / 1260.0
                - r * (1.0 / 1680.0 - r * (1.0 / 1188.0 - r * (691.0 / 360_360.0 - r / 156.0)))));
    shift + series / large
}

/// The lower tail at an x that is at most the mean.
fn smaller_tail(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let front = kernel(a, b, x, y);
    if front == 0.0 {
        return 0.0;
    }
    let area = if a >= INTEGRAL_FROM {
        front * tail_integral(a, b, x, y)
    } else {
        front * fraction(a, b, x) / a
    };
    area.min(1.0)
}

/// `∫₀^∞ exp(−a u − (a + b) ln(1 + x (e^{−u} − 1))) du` at x ≤ a/(a + b).
fn tail_integral(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let n = a + b;
    let fall = if x > 0.5 { n.mul_add(y, -b) } else { -n.mul_add(x, -a) };
    let bend = (n * x * y).sqrt();
    // The odds change by a factor of e over 1, whatever the size of a and b.
    let width = (3.0 / fall.max(bend)).min(1.0);
    if x > 0.5 {
        panels(width, |u| (b * u - n * (y * u.exp_m1()).ln_1p()).exp())
    } else {
        panels(width, |u| (-a * u - n * (x * (-u).exp_m1()).ln_1p()).exp())
    }
}

/// Continued fraction of the incomplete beta function (A&S 26.5.8), by Lentz's method.
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let guard = |v: f64| if v.abs() < TINY { TINY } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / guard(1.0 - (a + b) * x / (a + 1.0));
    let mut value = d;
    for m in 1..10_000 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / guard(1.0 + even * d);
        c = guard(1.0 + even / c);
        value *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / guard(1.0 + odd * d);
        c = guard(1.0 + odd / c);
        let factor = d * c;
        value *= factor;
        if (factor - 1.0).abs() < 1e-16 {
            break;
        }
    }
    value
}

/// Where a tail of Beta(a, b), as a function of the point w, is `p` ≤ ½: Newton's method on the
/// logarithms of both, between bounds that every step tightens.
fn smaller_root(p: f64, a: f64, b: f64, tail: impl Fn(f64) -> f64, rising: bool) -> f64 {
    let z = super::normal::isf(p);
    let mean = a / (a + b);
    // The normal law of the log-odds; where a is small the power law of the lower tail instead.
    let spread = (1.0 / a + 1.0 / b).sqrt();
    let odds = if rising { (a / b).ln() - z * spread } else { (a / b).ln() + z * spread };
    let mut w = 1.0 / (1.0 + (-odds).exp());
    if rising && a < 5.0 {
        // p = w^a/(a B(a, b)) near 0.
        let log = (p.ln() - kernel(a, b, mean, 1.0 - mean).ln() + a.ln()) / a;
        let power = (log + mean.ln() + b / a * (-mean).ln_1p()).exp();
        w = power.min(mean);
    }
    let (mut lo, mut hi) = (0.0_f64, 1.0_f64);
    w = w.clamp(1e-300, 1.0 - 1e-16);
    for _ in 0..100 {
        let area = tail(w);
        if (area < p) == rising {
            lo = lo.max(w);
        } else {
            hi = hi.min(w);
        }
        // d ln tail/d ln w = ± w f(w)/tail, f the density
        let slope = kernel(a, b, w, 1.0 - w) / (1.0 - w) / area;
        let step = (p.ln() - area.ln()) / if rising { slope } else { -slope };
        let mut next = w * step.clamp(-30.0, 30.0).exp();
        if !(next > lo && next < hi) {
            next = if lo == 0.0 { hi * 0.125 } else { 0.5 * (lo + hi) };
        }
        if (next - w).abs() <= 2e-16 * w || hi - lo <= 2e-16 * lo {
            return next;
        }
        w = next;
    }
    w
}
