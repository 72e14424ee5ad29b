//! Integer counts of successes among units: exact, whatever the order.

use serde::{Deserialize, Serialize};

/// Successes among units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Successes {
    /// Units.
    pub n: u64,
    /// Units with the outcome; at most `n`.
    pub successes: u64,
}

impl Successes {
    /// Counts; `None` when there are more successes than units.
    pub fn try_new(n: u64, successes: u64) -> Option<Self> {
        (successes <= n).then_some(Self { n, successes })
    }

    /// Adds one unit.
    pub fn add(&mut self, success: bool) {
        self.n += 1;
        self.successes += u64::from(success);
    }

    /// Adds the units of another partition.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self { n: self.n + other.n, successes: self.successes + other.successes }
    }

    /// Share of successes; `None` without units.
    pub fn share(self) -> Option<f64> {
        (self.n > 0).then(|| self.successes as f64 / self.n as f64)
    }

    /// Units without the outcome.
    pub fn failures(self) -> u64 {
        self.n - self.successes
    }

    /// Sample variance (n − 1) of the 0/1 outcome; `None` below two units.
    pub fn variance(self) -> Option<f64> {
        let n = self.n as f64;
        let share = self.share()?;
        (self.n > 1).then(|| share * (self.failures() as f64 / n) * (n / (n - 1.0)))
    }
}
