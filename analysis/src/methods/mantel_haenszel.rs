//! Association of treatment and outcome over strata (Cochran–Mantel–Haenszel).
//!
//! ```text
//! # Question          Do two variants have different shares, given the stratum?
//! # Input             a 2 × 2 table [[a, b], [c, d]] of counts for each stratum, rows the variants
//! # Formula           `χ² = (Σ (a − E a))²/Σ Var a`, one degree of freedom, a hypergeometric given the
//!                     margins; common odds ratio `Σ (a d/n)/Σ (b c/n)`; standard error of its
//!                     logarithm by Robins, Breslow, Greenland; ½ taken off |Σ| with the correction
//! # Assumes           independent units; one odds ratio in all strata for the estimate
//! # Numerics          strata with fewer than two units say nothing and are left out; p by the
//!                     survival function, where statsmodels has 1 − cdf
//! # Reference         Mantel & Haenszel (1959); Robins, Breslow, Greenland (1986), Biometrics 42;
//!                     statsmodels `StratifiedTable`; `tests/golden/segments.json`
//! ```

use super::{Alpha, Interval, MethodError, normal};

/// Answer of the test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MantelHaenszel {
    /// Common odds ratio; infinite when only Σ b c/n is zero, none when both sums are.
    pub odds_ratio: Option<f64>,
    /// Standard error of its logarithm; none unless the ratio is positive and finite.
    pub log_or_se: Option<f64>,
    /// Interval of the odds ratio.
    pub odds_ratio_ci: Option<Interval>,
    /// Statistic and p-value.
    pub test: Result<(f64, f64), MethodError>,
}

/// Tests and pools the tables.
pub fn mantel_haenszel(tables: &[[[u64; 2]; 2]], correction: bool, alpha: Alpha) -> MantelHaenszel {
    let (mut gap, mut variance) = (0.0, 0.0);
    let (mut r_sum, mut s_sum) = (0.0, 0.0);
    let (mut pr, mut mixed, mut qs) = (0.0, 0.0, 0.0);
    for [[a, b], [c, d]] in tables {
        let [a, b, c, d] = [*a, *b, *c, *d].map(|count| count as f64);
        let n = a + b + c + d;
        if n < 2.0 {
            continue;
        }
        let (row, column) = (a + b, a + c);
        // a − E a = (a d − b c)/n, which does not cancel.
        gap += a * (d / n) - b * (c / n);
        variance += (row / n) * (column / n) * (c + d) * ((b + d) / (n - 1.0));
        let (r, s) = (a * (d / n), b * (c / n));
        let (p, q) = ((a + d) / n, (b + c) / n);
        r_sum += r;
        s_sum += s;
        pr += p * r;
        mixed += p * s + q * r;
        qs += q * s;
    }
    let odds_ratio =
        if s_sum > 0.0 { Some(r_sum / s_sum) } else { (r_sum > 0.0).then_some(f64::INFINITY) };
    let log_or_se = (r_sum > 0.0 && s_sum > 0.0).then(|| {
        let parts = pr / (r_sum * r_sum) + mixed / (r_sum * s_sum) + qs / (s_sum * s_sum);
        (0.5 * parts).sqrt()
    });
    let z = normal::isf(alpha.get() / 2.0);
    let odds_ratio_ci = odds_ratio
        .zip(log_or_se)
        .map(|(ratio, se)| Interval { lo: ratio * (-z * se).exp(), hi: ratio * (z * se).exp() });
    let distance = if correction { (gap.abs() - 0.5).max(0.0) } else { gap.abs() };
    let test = if variance > 0.0 {
        let root = distance / variance.sqrt();
        Ok((root * root, normal::two_sided(root)))
    } else {
        Err(MethodError::ZeroVariance)
    };
    MantelHaenszel { odds_ratio, log_or_se, odds_ratio_ci, test }
}
