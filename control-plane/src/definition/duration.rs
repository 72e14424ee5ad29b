//! ISO 8601 durations, kept as written.

use jiff::{Span, SpanRelativeTo};
use serde::{Deserialize, Deserializer, Serialize, de};

/// An ISO 8601 duration of weeks, days, hours, minutes and seconds; a day has 24 hours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct IsoDuration {
    text: String,
    #[serde(skip)]
    millis: i64,
}

impl IsoDuration {
    /// Reads `PT1H`, `P7D`, …; `None` when it is not positive, names months or years, or exceeds ten years.
    pub fn parse(text: &str) -> Option<Self> {
        const TEN_YEARS_MS: i128 = 10 * 366 * 24 * 3_600_000;
        if !text.starts_with('P') {
            return None;
        }
        let span: Span = text.parse().ok()?;
        if span.get_years() != 0 || span.get_months() != 0 {
            return None;
        }
        let millis = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?.as_millis();
        (0 < millis && millis <= TEN_YEARS_MS)
            .then_some(())
            .and_then(|()| i64::try_from(millis).ok())
            .map(|millis| Self { text: text.to_owned(), millis })
    }

    /// Length in milliseconds.
    pub fn millis(&self) -> i64 {
        self.millis
    }

    /// The duration as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl<'de> Deserialize<'de> for IsoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom("must be an ISO 8601 duration such as PT1H or P7D, up to ten years")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::IsoDuration;

    #[test]
    fn durations_are_read_in_milliseconds() {
        for (text, millis) in
            [("PT1H", 3_600_000), ("P7D", 604_800_000), ("P1W", 604_800_000), ("PT0.5S", 500)]
        {
            assert_eq!(IsoDuration::parse(text).map(|d| d.millis()), Some(millis), "{text}");
        }
    }

    #[test]
    fn what_has_no_fixed_positive_length_is_refused() {
        for text in ["", "P", "P1M", "P1Y", "-PT1H", "PT0S", "1h", "P99999999D", "hour"] {
            assert_eq!(IsoDuration::parse(text), None, "{text}");
        }
    }
}
