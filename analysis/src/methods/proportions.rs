//! Difference of two proportions.
//!
//! ```text
//! # Question          Did treatment change the share of units with the outcome, and by how much?
//! # Input             `Successes` of each variant
//! # Formula           `z = (p_t − p_c)/√(p̄ q̄ (1/n_c + 1/n_t))` with the pooled share p̄;
//!                     p = P(|Z| > |z|), the same as Pearson's chi-squared. Intervals: Mee's of the
//!                     difference, Koopman's of the lift (see `score_interval`). Wald, Newcombe,
//!                     Agresti–Caffo on request
//! # Assumes           independent units; below five expected outcomes the p-value is approximate
//! # Numerics          counts stay integers; 0 of n against k of n is ordinary data; when nobody or
//!                     everybody has the outcome p is undefined and the intervals still stand
//! # Reference         Newcombe (1998), Statist. Med. 17; Agresti & Caffo (2000); statsmodels
//!                     `proportions_ztest`, `confint_proportions_2indep`;
//!                     `tests/golden/proportions.json`
//! ```

use super::incomplete_beta::{lower_quantile, upper_quantile};
use super::{Alpha, Alternative, Interval, MethodError, normal, score_interval};
use crate::stats::Successes;

/// Expected outcomes in each cell below which the normal approximation deserves a warning.
pub const MIN_EXPECTED: f64 = 5.0;

/// Two shares compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProportionComparison {
    /// Treatment − control.
    pub effect: f64,
    /// Standard error under the null of one common share: that of the test.
    pub se_pooled: f64,
    /// Standard error with each arm's own share.
    pub se_unpooled: f64,
    /// Statistic and p-value of the pooled test.
    pub test: Result<ZTest, MethodError>,
    /// Mee's score interval of the effect.
    pub ci: Interval,
    /// The effect over the control's share.
    pub lift: Result<f64, MethodError>,
    /// Koopman's score interval of the lift; open above when control has no success.
    pub lift_ci: Result<Interval, MethodError>,
    /// Smallest expected count of the two-by-two table.
    pub min_expected: f64,
}

/// A standard normal statistic and its p-value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ZTest {
    /// Effect over its standard error under the null.
    pub statistic: f64,
    /// Its p-value.
    pub p_value: f64,
}

/// Compares two shares, two-sided.
pub fn compare(
    control: Successes,
    treatment: Successes,
    alpha: Alpha,
) -> Result<ProportionComparison, MethodError> {
    let (Some(p_c), Some(p_t)) = (control.share(), treatment.share()) else {
        return Err(MethodError::TooFewUnits);
    };
    let q = normal::isf(alpha.get() / 2.0);
    let (n_c, n_t) = (control.n as f64, treatment.n as f64);
    let both = control.merge(treatment);
    let rarer = both.successes.min(both.failures()) as f64;
    Ok(ProportionComparison {
        effect: p_t - p_c,
        se_pooled: se_pooled(control, treatment),
        se_unpooled: se_unpooled(control, treatment),
        test: pooled_z(control, treatment, Alternative::TwoSided),
        ci: score_interval::difference(control, treatment, q)?,
        lift: if control.successes == 0 {
            Err(MethodError::ZeroDenominator)
        } else {
            Ok((p_t - p_c) / p_c)
        },
        lift_ci: score_interval::relative(control, treatment, q),
        min_expected: rarer * (n_c.min(n_t) / (n_c + n_t)),
    })
}

/// The pooled two-proportion test.
pub fn pooled_z(
    control: Successes,
    treatment: Successes,
    alternative: Alternative,
) -> Result<ZTest, MethodError> {
    let (Some(p_c), Some(p_t)) = (control.share(), treatment.share()) else {
        return Err(MethodError::TooFewUnits);
    };
    let se = se_pooled(control, treatment);
    if se == 0.0 {
        return Err(MethodError::ZeroVariance);
    }
    let statistic = (p_t - p_c) / se;
    Ok(ZTest { statistic, p_value: alternative.p_normal(statistic) })
}

/// Standard error of the difference under one common share.
pub fn se_pooled(control: Successes, treatment: Successes) -> f64 {
    let both = control.merge(treatment);
    let n = both.n as f64;
    let spread = (both.successes as f64 / n) * (both.failures() as f64 / n);
    (spread * (1.0 / control.n as f64 + 1.0 / treatment.n as f64)).sqrt()
}

/// Standard error of the difference with each arm's own share.
pub fn se_unpooled(control: Successes, treatment: Successes) -> f64 {
    let part = |arm: Successes| {
        let n = arm.n as f64;
        (arm.successes as f64 / n) * (arm.failures() as f64 / n) / n
    };
    (part(control) + part(treatment)).sqrt()
}

/// Wald's interval of the difference: for interoperation only, it covers too little at rare events.
pub fn wald(control: Successes, treatment: Successes, q: f64) -> Result<Interval, MethodError> {
    let (Some(p_c), Some(p_t)) = (control.share(), treatment.share()) else {
        return Err(MethodError::TooFewUnits);
    };
    let half = q * se_unpooled(control, treatment);
    Ok(Interval { lo: p_t - p_c - half, hi: p_t - p_c + half })
}

/// Newcombe's hybrid score interval of the difference (Newcombe 1998, method 10).
pub fn newcombe(control: Successes, treatment: Successes, q: f64) -> Result<Interval, MethodError> {
    let (Some(p_c), Some(p_t)) = (control.share(), treatment.share()) else {
        return Err(MethodError::TooFewUnits);
    };
    let (c, t) = (wilson(control, q)?, wilson(treatment, q)?);
    let effect = p_t - p_c;
    Ok(Interval {
        lo: effect - (p_t - t.lo).hypot(c.hi - p_c),
        hi: effect + (t.hi - p_t).hypot(p_c - c.lo),
    })
}

/// Agresti and Caffo's interval of the difference: Wald's with one success and one failure added to
/// each arm.
pub fn agresti_caffo(
    control: Successes,
    treatment: Successes,
    q: f64,
) -> Result<Interval, MethodError> {
    if control.n == 0 || treatment.n == 0 {
        return Err(MethodError::TooFewUnits);
    }
    let more = |arm: Successes| Successes { n: arm.n + 2, successes: arm.successes + 1 };
    wald(more(control), more(treatment), q)
}

/// Wilson's score interval of one share.
pub fn wilson(arm: Successes, q: f64) -> Result<Interval, MethodError> {
    let Some(p) = arm.share() else { return Err(MethodError::TooFewUnits) };
    let n = arm.n as f64;
    let (x, q2) = (arm.successes as f64, q * q);
    let half = q * (p * arm.failures() as f64 + q2 / 4.0).sqrt();
    let (centre, total) = (x + q2 / 2.0, n + q2);
    // The bounds are the roots of a quadratic; the one that would cancel comes from their product.
    let lo = if arm.successes == 0 { 0.0 } else { x * p / (centre + half) };
    let hi = if arm.failures() == 0 { 1.0 } else { (centre + half) / total };
    Ok(Interval { lo, hi })
}

/// Agresti and Coull's interval of one share: Wald's around Wilson's centre, cut at 0 and 1.
pub fn agresti_coull(arm: Successes, q: f64) -> Result<Interval, MethodError> {
    if arm.n == 0 {
        return Err(MethodError::TooFewUnits);
    }
    let total = arm.n as f64 + q * q;
    let centre = (arm.successes as f64 + q * q / 2.0) / total;
    let half = q * (centre * (1.0 - centre) / total).sqrt();
    Ok(Interval { lo: (centre - half).max(0.0), hi: (centre + half).min(1.0) })
}

/// Clopper and Pearson's interval of one share: the shares whose binomial tails are both above α/2.
pub fn clopper_pearson(arm: Successes, alpha: Alpha) -> Result<Interval, MethodError> {
    if arm.n == 0 {
        return Err(MethodError::TooFewUnits);
    }
    let (x, rest, tail) = (arm.successes as f64, arm.failures() as f64, alpha.get() / 2.0);
    Ok(Interval {
        lo: if arm.successes == 0 { 0.0 } else { lower_quantile(tail, x, rest + 1.0) },
        hi: if arm.failures() == 0 { 1.0 } else { upper_quantile(tail, x + 1.0, rest) },
    })
}

/// Jeffreys' interval of one share: equal tails of the posterior under a Beta(½, ½) prior.
pub fn jeffreys(arm: Successes, alpha: Alpha) -> Result<Interval, MethodError> {
    if arm.n == 0 {
        return Err(MethodError::TooFewUnits);
    }
    let (a, b) = (arm.successes as f64 + 0.5, arm.failures() as f64 + 0.5);
    let tail = alpha.get() / 2.0;
    Ok(Interval { lo: lower_quantile(tail, a, b), hi: upper_quantile(tail, a, b) })
}
