//! What time and publishing make of a config: the part of an answer's tag that no context changes.

use std::fmt;

use eval_core::CompiledConfig;
use xxhash_rust::xxh3::Xxh3;

use crate::config::HeldConfig;
use crate::exposures::token;
use crate::request::percent_decode;

/// A generation as it answers at one time.
///
/// Answers to one context are the same for as long as the edition is: it changes with every generation, with every window that opens
/// or closes, with every switchback slice, and once a day, so that the exposure tokens of those who are told "not modified" stay
/// good. Written as `{generation}.{time in hex}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edition {
    /// Generation of the config.
    pub generation: u64,
    /// What time makes of it: equal or not, and no order.
    time: u32,
}

impl Edition {
    /// The edition of one who holds nothing.
    pub const NONE: Self = Self { generation: 0, time: 0 };

    /// The edition of a held config at a time.
    pub fn of(held: &HeldConfig, now_ms: i64) -> Self {
        Self { generation: held.generation(), time: time(held.config(), now_ms) }
    }

    /// Reads an edition, or an entity tag that begins with one: quoted or not, marked as weak or not.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix("W/").unwrap_or(text).trim_matches('"');
        let mut parts = text.split('.');
        let generation = parts.next()?.parse().ok()?;
        let time = match parts.next() {
            Some(time) => u32::from_str_radix(time, 16).ok()?,
            None => 0,
        };
        Some(Self { generation, time })
    }

    /// Reads an edition out of a query parameter.
    pub fn parse_encoded(text: &str) -> Option<Self> {
        Self::parse(&percent_decode(text)?)
    }

    /// Whether one who was told `told` has to be told this one. A generation never goes back: an edge that is behind says nothing.
    pub fn is_news_after(self, told: Self) -> bool {
        self.generation > told.generation
            || (self.generation == told.generation && self.time != told.time)
    }
}

impl fmt::Display for Edition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{:x}", self.generation, self.time)
    }
}

fn time(config: &CompiledConfig<'_>, now_ms: i64) -> u32 {
    let mut hasher = Xxh3::new();
    hasher.update(&now_ms.div_euclid(token::RENEWAL_MS).to_le_bytes());
    hasher.update(&(config.schedule_window(now_ms) as u64).to_le_bytes());
    for (_, slice) in config.switchbacks(now_ms) {
        hasher.update(&slice.to_le_bytes());
    }
    // The upper half is as good as any: 32 bits tell two times of one generation apart well enough.
    u32::try_from(hasher.digest() >> 32).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editions_are_read_as_written_quoted_or_not_and_out_of_tags() {
        let edition = Edition { generation: 42, time: 0x1f };
        assert_eq!(edition.to_string(), "42.1f");
        for text in ["42.1f", "\"42.1f\"", "W/\"42.1f\"", "\"42.1f.00aa\"", "42.1f.00aa"] {
            assert_eq!(Edition::parse(text), Some(edition), "{text}");
        }
        assert_eq!(Edition::parse_encoded("%2242.1f%22"), Some(edition));
        assert_eq!(Edition::parse("42"), Some(Edition { generation: 42, time: 0 }));
        for text in ["", "x", "-1.0", "42.zz", "42.fffffffff", "99999999999999999999.0"] {
            assert_eq!(Edition::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_higher_generation_and_another_time_of_the_same_are_news() {
        let edition = |generation, time| Edition { generation, time };
        let cases = [
            (edition(2, 7), edition(1, 7), true),
            (edition(2, 7), edition(2, 8), true),
            (edition(2, 7), edition(2, 7), false),
            (edition(2, 7), edition(3, 1), false),
            (edition(2, 7), Edition::NONE, true),
        ];
        for (new, told, expected) in cases {
            assert_eq!(new.is_news_after(told), expected, "{new} after {told}");
        }
    }
}
