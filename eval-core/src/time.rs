//! RFC 3339 times as epoch milliseconds, without a clock and without a calendar library.

/// Milliseconds since 1970-01-01T00:00:00Z of an RFC 3339 date-time such as `2026-11-20T10:30:00.250+01:00`.
///
/// Fractions beyond milliseconds are cut off. A leap second counts as the second after it. `None` for anything else.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let year = digits(bytes, 0, 4)?;
    expect(bytes, 4, b"-")?;
    let month = digits(bytes, 5, 2)?;
    expect(bytes, 7, b"-")?;
    let day = digits(bytes, 8, 2)?;
    expect(bytes, 10, b"Tt ")?;
    let hour = digits(bytes, 11, 2)?;
    expect(bytes, 13, b":")?;
    let minute = digits(bytes, 14, 2)?;
    expect(bytes, 16, b":")?;
    let second = digits(bytes, 17, 2)?;
    if !(1..=12).contains(&month)
        || day < 1
        || day > days_in_month(year, month)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let mut at = 19usize;
    let mut millis = 0;
    if bytes.get(at) == Some(&b'.') {
        at = at.wrapping_add(1);
        let mut scale = 100;
        let mut n_digits = 0u32;
        while let Some(digit) = bytes.get(at).filter(|byte| byte.is_ascii_digit()) {
            millis =
                i64::wrapping_add(millis, i64::from(digit.wrapping_sub(b'0')).wrapping_mul(scale));
            scale /= 10;
            at = at.wrapping_add(1);
            n_digits = n_digits.saturating_add(1);
        }
        if n_digits == 0 {
            return None;
        }
    }
    let offset_minutes = match bytes.get(at)? {
        b'Z' | b'z' => {
            at = at.wrapping_add(1);
            0
        }
        sign @ (b'+' | b'-') => {
            let hours = digits(bytes, at.wrapping_add(1), 2)?;
            expect(bytes, at.wrapping_add(3), b":")?;
            let minutes = digits(bytes, at.wrapping_add(4), 2)?;
            if hours > 23 || minutes > 59 {
                return None;
            }
            at = at.wrapping_add(6);
            let total = hours.wrapping_mul(60).wrapping_add(minutes);
            if *sign == b'-' { total.wrapping_neg() } else { total }
        }
        _ => return None,
    };
    if at != bytes.len() {
        return None;
    }
    // All factors are bounded by the checks above (years 0 to 9999), far from overflow.
    let seconds = days_from_civil(year, month, day)
        .wrapping_mul(86_400)
        .wrapping_add(hour.wrapping_mul(3600))
        .wrapping_add(minute.wrapping_sub(offset_minutes).wrapping_mul(60))
        .wrapping_add(second);
    Some(seconds.wrapping_mul(1000).wrapping_add(millis))
}

fn digits(bytes: &[u8], start: usize, n: usize) -> Option<i64> {
    let mut value = 0i64;
    for byte in bytes.get(start..start.wrapping_add(n))? {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value.wrapping_mul(10).wrapping_add(i64::from(byte.wrapping_sub(b'0')));
    }
    Some(value)
}

fn expect(bytes: &[u8], at: usize, any_of: &[u8]) -> Option<()> {
    any_of.contains(bytes.get(at)?).then_some(())
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar: years are counted from March, so that the leap day is
/// the last of its year, and 400-year eras of 146 097 days are exact.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year.wrapping_sub(1) } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = month.wrapping_add(9) % 12;
    let day_of_year = month_from_march.wrapping_mul(153).wrapping_add(2) / 5;
    let day_of_year = day_of_year.wrapping_add(day).wrapping_sub(1);
    let day_of_era = year_of_era
        .wrapping_mul(365)
        .wrapping_add(year_of_era / 4)
        .wrapping_sub(year_of_era / 100)
        .wrapping_add(day_of_year);
    era.wrapping_mul(146_097).wrapping_add(day_of_era).wrapping_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn times_agree_with_a_calendar_library(ms in -62_135_596_800_000i64..253_402_300_799_999) {
            let timestamp = jiff::Timestamp::from_millisecond(ms).unwrap();
            prop_assert_eq!(parse_rfc3339(&timestamp.to_string()), Some(ms));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = parse_rfc3339(&text);
        }
    }

    #[test]
    fn offsets_and_fractions_count() {
        let cases = [
            ("2026-11-20T10:30:00Z", Some(1_795_170_600_000)),
            ("2026-11-20T11:30:00+01:00", Some(1_795_170_600_000)),
            ("2026-11-20T10:30:00.2509Z", Some(1_795_170_600_250)),
            ("2026-11-20t10:30:00z", Some(1_795_170_600_000)),
            ("2026-02-29T00:00:00Z", None),
            ("2026-11-20", None),
            ("2026-11-20T10:30:00", None),
            ("2026-11-20T10:30:00.Z", None),
            ("2026-11-20T10:30:00Zx", None),
            ("2026-13-20T10:30:00Z", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_rfc3339(text), expected, "{text}");
        }
    }
}
