//! Where things lie in the lake, relative to the root of the store.
//!
//! ```text
//! events/v1/tenant={project}/kind={kind}/dt=YYYY-MM-DD/hr=HH/*.parquet     fresh, by received hour
//! events/v1c/tenant={project}/kind={kind}/dt=YYYY-MM-DD/ub=NNN/*.parquet   compacted
//! events/v1/manifests/{n:020}.json                                         the log of files
//! events/v1/checkpoints/{n:020}.json                                       the log, summed up to n
//! ```

use object_store::path::Path;

use crate::schema::Kind;

/// Prefix of the numbered manifests.
pub const MANIFESTS: &str = "events/v1/manifests";

/// Prefix of the checkpoints.
pub const CHECKPOINTS: &str = "events/v1/checkpoints";

/// The received hour that a fresh file belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceivedHour(i64);

const MICROS_PER_HOUR: i64 = 3_600_000_000;

impl ReceivedHour {
    /// The hour of a time in microseconds since 1970.
    pub fn of_micros(ts_received_us: i64) -> Self {
        Self(ts_received_us.div_euclid(MICROS_PER_HOUR))
    }

    /// `YYYY-MM-DD`.
    pub fn date(self) -> String {
        let start = self.0.saturating_mul(MICROS_PER_HOUR);
        let start = jiff::Timestamp::from_microsecond(start).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        start.to_zoned(jiff::tz::TimeZone::UTC).date().to_string()
    }

    /// 0 to 23.
    pub fn hour(self) -> u8 {
        u8::try_from(self.0.rem_euclid(24)).unwrap_or(0)
    }
}

/// Path of the manifest of a number.
pub fn manifest_path(number: u64) -> Path {
    Path::from(format!("{MANIFESTS}/{number:020}.json"))
}

/// Path of the checkpoint of a number.
pub fn checkpoint_path(number: u64) -> Path {
    Path::from(format!("{CHECKPOINTS}/{number:020}.json"))
}

/// Path of a fresh file; `name` comes without `.parquet`.
pub fn fresh_path(tenant: &str, kind: Kind, hour: ReceivedHour, name: &str) -> Path {
    let (date, hour) = (hour.date(), hour.hour());
    Path::from(format!(
        "events/v1/tenant={tenant}/kind={kind}/dt={date}/hr={hour:02}/{name}.parquet"
    ))
}

/// Path of a compacted file; `name` comes without `.parquet`.
pub fn compacted_path(tenant: &str, kind: Kind, date: &str, bucket: u8, name: &str) -> Path {
    Path::from(format!(
        "events/v1c/tenant={tenant}/kind={kind}/dt={date}/ub={bucket:03}/{name}.parquet"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_files_lie_under_their_received_hour() {
        // 2026-11-20T13:59:59.999999Z
        let hour = ReceivedHour::of_micros(1_795_183_199_999_999);
        let path = fresh_path("default", Kind::Exposure, hour, "c-7");
        let expected = "events/v1/tenant=default/kind=exposure/dt=2026-11-20/hr=13/c-7.parquet";
        assert_eq!(path.as_ref(), expected);
    }

    #[test]
    fn numbers_have_twenty_digits() {
        assert_eq!(manifest_path(42).as_ref(), "events/v1/manifests/00000000000000000042.json");
    }
}
