//! When a delivery that failed is tried again.

use jiff::{SignedDuration, Timestamp};

/// How long a delivery is tried.
pub(crate) const PERIOD_MS: i64 = 24 * 3_600_000;

/// Seconds between one try and the next; the last one repeats.
const DELAYS_S: [i64; 9] = [5, 30, 120, 600, 1800, 3600, 7200, 10_800, 14_400];

/// Part of a delay that is added at random at most, so that receivers that were away are not asked by all at once.
const JITTER: f64 = 0.2;

/// When to try again after `n_tries` failed ones; `None` when the time is over at `until`, at which a last try is made.
/// `jitter` is a random number of [0, 1); `wish_s` is what the receiver asked for in `Retry-After`.
pub(super) fn next_try(
    n_tries: i64,
    now: Timestamp,
    until: Timestamp,
    wish_s: Option<i64>,
    jitter: f64,
) -> Option<Timestamp> {
    if now >= until {
        return None;
    }
    let place = usize::try_from(n_tries - 1).unwrap_or(0).min(DELAYS_S.len() - 1);
    let delay_s = DELAYS_S[place].max(wish_s.unwrap_or(0)) as f64 * (1.0 + JITTER * jitter);
    let next =
        now.checked_add(SignedDuration::from_secs_f64(delay_s.min(PERIOD_MS as f64))).ok()?;
    Some(next.min(until))
}

#[cfg(test)]
mod tests {
    use super::{PERIOD_MS, next_try};
    use jiff::{SignedDuration, Timestamp};

    #[test]
    fn tries_go_on_for_a_day_with_growing_pauses_and_end_with_one_at_its_end() {
        for jitter in [0.0, 0.5, 0.999] {
            let until = Timestamp::UNIX_EPOCH + SignedDuration::from_millis(PERIOD_MS);
            let mut tries = vec![Timestamp::UNIX_EPOCH];
            for made in 1.. {
                let Some(next) = next_try(made, tries[tries.len() - 1], until, None, jitter) else {
                    break;
                };
                tries.push(next);
            }
            let pauses: Vec<i64> =
                tries.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_secs()).collect();
            assert!((12..=14).contains(&tries.len()), "{pauses:?}");
            assert_eq!(tries[tries.len() - 1], until);
            let (_, growing) = pauses.split_last().unwrap();
            assert!(growing.windows(2).all(|pair| pair[0] <= pair[1]), "{pauses:?}");
        }
    }

    #[test]
    fn a_receiver_may_ask_for_a_longer_pause() {
        let until = Timestamp::UNIX_EPOCH + SignedDuration::from_millis(PERIOD_MS);
        let next = |wish| next_try(1, Timestamp::UNIX_EPOCH, until, wish, 0.0).unwrap().as_second();
        assert_eq!((next(None), next(Some(1)), next(Some(60))), (5, 5, 60));
        assert_eq!(next(Some(i64::MAX)), 86_400);
    }
}
