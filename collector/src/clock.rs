//! Times of events, and the correction of clients' clocks.

use jiff::Timestamp;

/// Microseconds since 1970.
pub type Micros = i64;

const MICROS_PER_MINUTE: i64 = 60_000_000;

/// An event cannot be older than this when it arrives: 30 days.
pub const MAX_AGE_US: i64 = 30 * 24 * 60 * MICROS_PER_MINUTE;

/// An event cannot be further ahead of its arrival than this: 5 minutes.
pub const MAX_AHEAD_US: i64 = 5 * MICROS_PER_MINUTE;

/// The collector's time of now.
pub fn now() -> Micros {
    Timestamp::now().as_microsecond()
}

/// Reads an RFC 3339 time with its offset from UTC.
pub fn parse(text: &str) -> Option<Micros> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_microsecond)
}

/// The times of an event once the client's clock is accounted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corrected {
    /// When the event happened, on the collector's clock.
    pub ts: Micros,
    /// How far the client's clock is ahead, in milliseconds (transport time makes it look behind).
    pub skew_ms: Option<i64>,
}

/// Brings the client's time of an event onto the collector's clock.
///
/// The age of an event, `sent - client`, is measured on one clock and therefore right however
/// wrong that clock is; what remains is the time of transport. Without a time of sending, the
/// client's clock is taken at its word. Both are clamped to what is possible.
pub fn correct(received: Micros, client: Option<Micros>, sent: Option<Micros>) -> Corrected {
    let ts = match (client, sent) {
        (Some(client), Some(sent)) => received.saturating_sub(sent.saturating_sub(client)),
        (Some(client), None) => client,
        (None, _) => received,
    };
    let earliest = received.saturating_sub(MAX_AGE_US);
    let latest = received.saturating_add(MAX_AHEAD_US);
    Corrected {
        ts: ts.clamp(earliest, latest),
        skew_ms: sent.map(|sent| sent.saturating_sub(received) / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 60 * MICROS_PER_MINUTE;

    #[test]
    fn a_wrong_client_clock_is_corrected_by_the_age_of_the_event() {
        let received = 1_000 * HOUR;
        // The client's clock is two hours ahead; the event is one hour old.
        let corrected = correct(received, Some(1_001 * HOUR), Some(1_002 * HOUR));
        assert_eq!(corrected, Corrected { ts: 999 * HOUR, skew_ms: Some(7_200_000) });
    }

    #[test]
    fn without_a_time_of_sending_the_client_is_taken_at_its_word() {
        let corrected = correct(1_000 * HOUR, Some(998 * HOUR), None);
        assert_eq!(corrected, Corrected { ts: 998 * HOUR, skew_ms: None });
        assert_eq!(correct(1_000 * HOUR, None, None).ts, 1_000 * HOUR);
    }

    #[test]
    fn impossible_times_are_clamped() {
        let received = 10_000 * HOUR;
        assert_eq!(correct(received, Some(0), None).ts, received - MAX_AGE_US);
        assert_eq!(correct(received, Some(i64::MAX), None).ts, received + MAX_AHEAD_US);
        assert_eq!(correct(received, Some(i64::MIN), Some(i64::MAX)).ts, received - MAX_AGE_US);
    }

    #[test]
    fn times_need_an_offset() {
        assert_eq!(parse("1970-01-01T00:00:00.000001Z"), Some(1));
        assert_eq!(parse("1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(parse("2026-11-20T10:30:00"), None);
        assert_eq!(parse("yesterday"), None);
    }
}
