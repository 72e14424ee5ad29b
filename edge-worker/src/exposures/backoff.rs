//! How long to leave a collector alone that did not take events.

/// Milliseconds of rest after the first failure; each further one doubles it.
const FIRST_MS: i64 = 500;
/// Milliseconds of rest at most. With the time that a post may take it bounds how long a collector that is back is left alone.
const MAX_MS: i64 = 4_000;

/// Failures in a row, and until when they make us rest.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Backoff {
    n_failures: u32,
    until_ms: i64,
}

impl Backoff {
    /// Another failure. `fraction`, from 0 to 1, spreads those who failed together over the second half of the rest.
    pub(super) fn fail(&mut self, now_ms: i64, fraction: f64) {
        self.n_failures = self.n_failures.saturating_add(1);
        let whole = (FIRST_MS << (self.n_failures - 1).min(6)).min(MAX_MS);
        #[expect(clippy::cast_possible_truncation, reason = "at most half of the longest rest")]
        let spread = (fraction.clamp(0.0, 1.0) * (whole / 2) as f64) as i64;
        self.until_ms = now_ms.saturating_add(whole / 2 + spread);
    }

    /// A success ends the rest.
    pub(super) fn end(&mut self) {
        *self = Self::default();
    }

    /// Milliseconds of rest that are left. A clock that was set back prolongs no rest.
    pub(super) fn rest_ms(&self, now_ms: i64) -> i64 {
        let left = self.until_ms.saturating_sub(now_ms);
        if self.n_failures > 0 && (1..=MAX_MS).contains(&left) { left } else { 0 }
    }

    pub(super) fn n_failures(&self) -> u32 {
        self.n_failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_double_up_to_a_limit_and_end_with_a_success() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.rest_ms(0), 0);
        let rests: Vec<i64> = (0..9)
            .map(|_| {
                backoff.fail(1000, 1.0);
                backoff.rest_ms(1000)
            })
            .collect();
        assert_eq!(rests, [500, 1000, 2000, 4000, 4000, 4000, 4000, 4000, 4000]);
        backoff.fail(1000, 0.0);
        assert_eq!(backoff.rest_ms(1000), 2000, "half of it is chance");
        assert_eq!(backoff.rest_ms(3000), 0);
        assert_eq!(backoff.rest_ms(-100_000), 0, "the clock was set back");
        backoff.end();
        assert_eq!((backoff.rest_ms(1000), backoff.n_failures()), (0, 0));
    }
}
