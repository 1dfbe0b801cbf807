//! What time it is, and where.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// The time as it was told last, and the zone that the person lives in.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    pub(crate) now: Timestamp,
    pub(crate) zone: TimeZone,
}

impl Clock {
    pub(crate) fn today(&self) -> Date {
        self.now.to_zoned(self.zone.clone()).date()
    }

    /// A time of an object, for people.
    pub(crate) fn date_time(&self, rfc3339: &str) -> String {
        local(rfc3339, &self.zone)
            .strftime("%-d %B %Y, %H:%M:%S")
            .to_string()
    }
}

/// A time of an object, as a clock on the wall shows it.
pub(crate) fn local(rfc3339: &str, zone: &TimeZone) -> DateTime {
    let at: Timestamp = rfc3339.parse().unwrap_or_default();
    at.to_zoned(zone.clone()).datetime()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_persons_zone() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(
            local("2026-11-27T22:30:00.000Z", &zone).to_string(),
            "2026-11-28T00:30:00"
        );
        assert_eq!(
            local("nonsense", &TimeZone::UTC).to_string(),
            "1970-01-01T00:00:00"
        );
    }
}
