//! Checks with their bands.

use crate::methods::incomplete_beta::{binomial_quantile, binomial_upper_quantile};

/// What a check may measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Band {
    /// Between both, which belong to it.
    Within(f64, f64),
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
    /// Anything: the figure stands there for comparison.
    Shown,
}

impl Band {
    /// Whether a figure lies in the band.
    pub fn holds(self, measured: f64) -> bool {
        match self {
            Self::Within(lo, hi) => (lo..=hi).contains(&measured),
            Self::AtMost(most) => measured <= most,
            Self::AtLeast(least) => measured >= least,
            Self::Shown => true,
        }
    }

    /// Counts among `runs` that a binomial count with this share leaves once in a thousand, half of
    /// that on each side.
    pub fn around(share: f64, runs: u64) -> Self {
        let lo = binomial_quantile(LEVEL / 2.0, runs, share);
        let hi = binomial_upper_quantile(LEVEL / 2.0, runs, share);
        Self::Within(lo as f64, hi as f64)
    }

    /// Counts among `runs` that a binomial count with this share, or a smaller one, exceeds once in a
    /// thousand.
    pub fn up_to(share: f64, runs: u64) -> Self {
        Self::AtMost(binomial_upper_quantile(LEVEL, runs, share) as f64)
    }

    /// Counts among `runs` that a binomial count with this share, or a larger one, undercuts once in a
    /// thousand.
    pub fn from(share: f64, runs: u64) -> Self {
        Self::AtLeast(binomial_quantile(LEVEL, runs, share) as f64)
    }
}

/// How often a correct build fails a check.
pub const LEVEL: f64 = 0.001;

/// One check.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// What was measured.
    pub what: String,
    /// Simulated runs; 0 where the figure was computed.
    pub runs: u64,
    /// What is allowed.
    pub band: Band,
    /// What was found: a count of runs, or another number.
    pub measured: f64,
    /// Digits after the point; 0 for counts.
    pub digits: usize,
}

impl Check {
    /// A count of runs.
    pub fn count(what: impl Into<String>, runs: u64, band: Band, count: usize) -> Self {
        Self { what: what.into(), runs, band, measured: count as f64, digits: 0 }
    }

    /// Any other number.
    pub fn number(
        what: impl Into<String>,
        runs: u64,
        band: Band,
        measured: f64,
        digits: usize,
    ) -> Self {
        Self { what: what.into(), runs, band, measured, digits }
    }

    /// Whether it holds.
    pub fn holds(&self) -> bool {
        self.band.holds(self.measured)
    }
}

/// Checks of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// Title.
    pub title: &'static str,
    /// What is done, and what the counts are of.
    pub text: &'static str,
    /// The checks.
    pub checks: Vec<Check>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_those_of_the_binomial_law() {
        assert_eq!(Band::around(0.05, 10_000), Band::Within(430.0, 573.0));
        assert_eq!(Band::around(0.01, 10_000), Band::Within(69.0, 134.0));
        assert_eq!(Band::around(0.05, 100_000), Band::Within(4775.0, 5228.0));
        assert_eq!(Band::around(0.95, 10_000), Band::Within(9427.0, 9570.0));
        assert_eq!(Band::around(0.8, 10_000), Band::Within(7867.0, 8131.0));
        assert_eq!(Band::up_to(0.05, 10_000), Band::AtMost(569.0));
        assert_eq!(Band::up_to(0.01, 10_000), Band::AtMost(132.0));
        assert_eq!(Band::up_to(0.05, 1000), Band::AtMost(73.0));
        assert_eq!(Band::up_to(0.01, 1000), Band::AtMost(21.0));
    }
}
