//! Rank test of two samples (Wilcoxon, Mann and Whitney).
//!
//! ```text
//! # Question          Do the units of one variant tend to have larger values than those of the other?
//! # Input             one value for each unit of both variants
//! # Formula           `U = #{(c, t): t > c} + ½ #{t = c}`; U/(n_c n_t) is the probability that a
//!                     treated unit is ahead. Without ties and up to 400 pairs the exact law of U;
//!                     else normal with the variance corrected for ties and ½ taken off the distance
//! # Assumes           independent units; under the null the same distribution in both arms
//! # Numerics          ranks by sorting; the exact law by counting, in floating point from 1 down
//! # Reference         Mann & Whitney (1947); scipy `mannwhitneyu`; `tests/golden/ranks.json`
//! ```

use super::{Alternative, MethodError};

/// Pairs of units up to which the law of U is enumerated.
const EXACT_PAIRS: usize = 400;

/// Answer of the test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MannWhitney {
    /// Pairs in which the treated unit is ahead; ties count half.
    pub statistic: f64,
    /// Share of such pairs.
    pub probability: f64,
    /// Its p-value.
    pub p_value: f64,
    /// Whether p is from the exact law.
    pub exact: bool,
}

/// Compares the order of the values of two arms.
pub fn mann_whitney(
    control: &[f64],
    treatment: &[f64],
    alternative: Alternative,
) -> Result<MannWhitney, MethodError> {
    let (n_c, n_t) = (control.len(), treatment.len());
    if n_c == 0 || n_t == 0 {
        return Err(MethodError::TooFewUnits);
    }
    let mut all: Vec<(f64, bool)> = control
        .iter()
        .map(|y| (y + 0.0, false))
        .chain(treatment.iter().map(|y| (y + 0.0, true)))
        .collect();
    if all.iter().any(|(y, _)| y.is_nan()) {
        return Err(MethodError::NotFinite);
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut u, mut controls_before, mut ties) = (0.0, 0.0, 0.0);
    for group in all.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let size = group.len() as f64;
        let treated = group.iter().filter(|(_, treated)| *treated).count() as f64;
        u += treated * (controls_before + 0.5 * (size - treated));
        controls_before += size - treated;
        ties += size * (size * size - 1.0);
    }
    let (c, t) = (n_c as f64, n_t as f64);
    let (n, pairs) = (c + t, c * t);
    let statistic = u;
    let answer =
        |p_value, exact| MannWhitney { statistic, probability: statistic / pairs, p_value, exact };
    if ties == 0.0 && n_c.saturating_mul(n_t) <= EXACT_PAIRS {
        return Ok(answer(exact_p(n_c, n_t, u, alternative), true));
    }
    let spread = (pairs / 12.0 * (n + 1.0 - ties / (n * (n - 1.0)))).sqrt();
    if spread.is_nan() || spread <= 0.0 {
        return Err(MethodError::ZeroVariance);
    }
    let gap = u - 0.5 * pairs;
    let z = match alternative {
        Alternative::TwoSided => (gap.abs() - 0.5).max(0.0) / spread,
        Alternative::Greater => (gap - 0.5) / spread,
        Alternative::Less => (gap + 0.5) / spread,
    };
    Ok(answer(alternative.p_normal(z), false))
}

/// Tail of the exact law of U.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "without ties U is a whole number of pairs"
)]
fn exact_p(n_c: usize, n_t: usize, u: f64, alternative: Alternative) -> f64 {
    let pairs = n_c * n_t;
    // Shares of the arrangements with each U, arm by arm: with i controls and j treated the last
    // unit is treated with probability j/(i + j), and is then ahead of i controls.
    let mut table = vec![vec![Vec::new(); n_t + 1]; n_c + 1];
    for i in 0..=n_c {
        for j in 0..=n_t {
            let mut law = vec![0.0; i * j + 1];
            if i == 0 || j == 0 {
                law[0] = 1.0;
            } else {
                let share = j as f64 / (i + j) as f64;
                let (with, without): (&Vec<f64>, &Vec<f64>) = (&table[i][j - 1], &table[i - 1][j]);
                for (k, p) in with.iter().enumerate() {
                    law[k + i] += share * p;
                }
                for (k, p) in without.iter().enumerate() {
                    law[k] += (1.0 - share) * p;
                }
            }
            table[i][j] = law;
        }
    }
    let law = &table[n_c][n_t];
    let u = u as usize;
    let upper = |u: usize| law[u..].iter().sum::<f64>().min(1.0);
    match alternative {
        Alternative::Greater => upper(u),
        // The law is symmetric.
        Alternative::Less => upper(pairs - u),
        Alternative::TwoSided => (2.0 * upper(u.max(pairs - u))).min(1.0),
    }
}
