//! Fisher's exact test of a two-by-two table.
//!
//! ```text
//! # Question          Do two variants have different shares, when the counts are too small for a
//!                     normal approximation?
//! # Input             a 2 × 2 table of counts
//! # Formula           given its margins the first cell is hypergeometric. One-sided: P(X ≥ x) or
//!                     P(X ≤ x). Two-sided: the sum of all points no more probable than x
//! # Assumes           independent units; the margins as given, which makes it conservative
//! # Numerics          points within 1e-10 of the observed one's probability count as ties. With an
//!                     empty row or column only one table is possible: p is 1 and the odds ratio
//!                     undefined
//! # Reference         Fisher (1935); scipy `fisher_exact`; exact rational arithmetic;
//!                     `tests/golden/exact_tests.json`
//! ```

use std::cmp::Ordering;

use super::Alternative;
use super::hypergeometric::Hypergeometric;

/// Relative difference of probabilities below which two tables are equally probable.
const TIE: f64 = 1e-10;

/// Answer of the test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FisherTest {
    /// `a d/(b c)`; infinite when only b c is zero, none when a margin is.
    pub odds_ratio: Option<f64>,
    /// Probability of tables at least as extreme.
    pub p_value: f64,
}

/// Tests `[[a, b], [c, d]]`; `Greater` looks for an a above its expectation.
pub fn fisher([[a, b], [c, d]]: [[u64; 2]; 2], alternative: Alternative) -> FisherTest {
    let sum = u64::saturating_add;
    let (rows, columns) = ([sum(a, b), sum(c, d)], [sum(a, c), sum(b, d)]);
    if rows.contains(&0) || columns.contains(&0) {
        return FisherTest { odds_ratio: None, p_value: 1.0 };
    }
    let (cross, other) = (a as f64 * d as f64, b as f64 * c as f64);
    let odds_ratio = Some(if other == 0.0 { f64::INFINITY } else { cross / other });
    let law = Hypergeometric::new(rows[0], rows[1], columns[0]);
    let x = a as f64;
    let p_value = match alternative {
        Alternative::Greater => law.upper(x),
        Alternative::Less => law.lower(x),
        Alternative::TwoSided => two_sided(&law, x),
    };
    FisherTest { odds_ratio, p_value }
}

fn two_sided(law: &Hypergeometric, x: f64) -> f64 {
    let (least, most) = law.support();
    let limit = law.log_point(x) + TIE;
    let rare = |j: f64| law.log_point(j) <= limit;
    // The points no more probable than x are those up to `low` and those from `high` on; x is one
    // of the two.
    let mode = law.mode();
    let (low, high) = match x.total_cmp(&mode) {
        Ordering::Less => (x, first(mode, most, &rare)),
        Ordering::Greater => (-first(-mode, -least, &|j| rare(-j)), x),
        Ordering::Equal => return 1.0,
    };
    if low >= high - 1.0 {
        return 1.0;
    }
    (law.lower(low) + law.upper(high)).min(1.0)
}

/// The smallest whole number of `from..=to` from which on a condition holds; `to + 1` if none.
fn first(from: f64, to: f64, holds: &impl Fn(f64) -> bool) -> f64 {
    let (mut lo, mut hi) = (from, to + 1.0);
    while lo < hi {
        let middle = lo + ((hi - lo) / 2.0).floor();
        if holds(middle) {
            hi = middle;
        } else {
            lo = middle + 1.0;
        }
    }
    lo
}
