//! Percentages with at most two decimals, kept as whole buckets.

use eval_core::bucket::BUCKET_COUNT;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A share of all units in 1/10 000: a percentage with at most two decimals on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(u16);

impl Share {
    /// Everyone.
    pub const ALL: Self = Self(BUCKET_COUNT);

    /// A share of `buckets` out of 10 000; `None` above that.
    pub fn from_buckets(buckets: u16) -> Option<Self> {
        (buckets <= BUCKET_COUNT).then_some(Self(buckets))
    }

    /// The share of a percentage; `None` outside 0 to 100 or with more than two decimals.
    pub fn from_percent(percent: f64) -> Option<Self> {
        if !(0.0..=100.0).contains(&percent) {
            return None;
        }
        let buckets = percent * 100.0;
        // 33.33 is not a binary fraction: a rounding error of the product is not a third decimal.
        if (buckets - buckets.round()).abs() > 1e-6 {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 10 000")]
        let buckets = buckets.round() as u16;
        Some(Self(buckets))
    }

    /// Number of buckets, 0 to 10 000.
    pub fn buckets(self) -> u16 {
        self.0
    }

    /// The percentage.
    pub fn percent(self) -> f64 {
        f64::from(self.0) / 100.0
    }

    pub(crate) fn all() -> Self {
        Self::ALL
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(100) {
            serializer.serialize_u16(self.0 / 100)
        } else {
            serializer.serialize_f64(self.percent())
        }
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let percent = f64::deserialize(deserializer)?;
        Self::from_percent(percent)
            .ok_or_else(|| de::Error::custom("must be a percentage with at most two decimals"))
    }
}

#[cfg(test)]
mod tests {
    use super::Share;

    #[test]
    fn every_share_survives_its_percentage() {
        for buckets in 0..=10_000 {
            let share = Share::from_buckets(buckets).unwrap();
            let json = serde_json::to_string(&share).unwrap();
            assert_eq!(serde_json::from_str::<Share>(&json).unwrap(), share, "{json}");
        }
    }

    #[test]
    fn a_third_decimal_is_refused() {
        for percent in ["33.333", "-1", "100.01", "1e9", "0.001"] {
            assert!(serde_json::from_str::<Share>(percent).is_err(), "{percent}");
        }
    }
}
