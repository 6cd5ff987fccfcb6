//! Times as the API writes and reads them.

use ashlar_types::UnixMillis;
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

/// Eight hours east of Greenwich: the zone of the service's plain times (reference `clients`, section 6).
pub(crate) const fn zone() -> TimeZone {
    TimeZone::fixed(Offset::constant(8))
}

fn timestamp(time: UnixMillis) -> Timestamp {
    // A clock beyond the year 9999 is broken; its times are shown as the last one that can be written.
    Timestamp::from_millisecond(time.0).unwrap_or(Timestamp::MAX)
}

/// `YYYY-MM-DD HH:MM:SS` in UTC+8.
#[must_use]
pub fn wire_time(time: UnixMillis) -> String {
    timestamp(time).to_zoned(zone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// `YYYY-MM-DDTHH:MM:SS+00:00`: the ISO 8601 form of the API.
#[must_use]
pub fn wire_time_iso(time: UnixMillis) -> String {
    timestamp(time).to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}

/// Reads an ISO 8601 time with an offset, `2022-01-08T09:47:55+00:00` or `...Z`.
#[must_use]
pub fn parse_iso(text: &str) -> Option<UnixMillis> {
    text.parse::<Timestamp>().ok().map(|timestamp| UnixMillis(timestamp.as_millisecond()))
}

/// Reads `YYYY-MM-DD HH:MM:SS` in UTC+8.
pub(crate) fn parse_plain(text: &str) -> Option<UnixMillis> {
    let time = jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M:%S", text).ok()?;
    Some(UnixMillis(time.to_zoned(zone()).ok()?.timestamp().as_millisecond()))
}

/// The same day and hour some months later; the last day of the month where that one has no such day.
pub(crate) fn plus_months(time: UnixMillis, months: u64) -> UnixMillis {
    let months = i32::try_from(months).unwrap_or(i32::MAX);
    let later = timestamp(time)
        .to_zoned(zone())
        .checked_add(jiff::Span::new().try_months(months).unwrap_or_default());
    later.map_or(time, |later| UnixMillis(later.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_times_are_those_of_the_services_zone() {
        // 2023-03-09T02:45:11Z, shown in the reference as 2023-03-09 10:45:11.
        assert_eq!(wire_time(UnixMillis(1_678_329_911_999)), "2023-03-09 10:45:11");
        assert_eq!(wire_time_iso(UnixMillis(1_678_329_911_999)), "2023-03-09T02:45:11+00:00");
    }

    #[test]
    fn iso_times_need_an_offset() {
        assert_eq!(parse_iso("2022-01-08T09:47:55+00:00"), Some(UnixMillis(1_641_635_275_000)));
        assert_eq!(parse_iso("2022-01-08T17:47:55+08:00"), Some(UnixMillis(1_641_635_275_000)));
        for text in ["2022-01-08T09:47:55", "2022-01-08", "soon", ""] {
            assert_eq!(parse_iso(text), None, "{text}");
        }
    }

    #[test]
    fn months_keep_the_day_where_they_can() {
        let january_31 = parse_iso("2023-01-31T10:00:00+08:00").unwrap();
        assert_eq!(wire_time(plus_months(january_31, 1)), "2023-02-28 10:00:00");
        assert_eq!(wire_time(plus_months(january_31, 12)), "2024-01-31 10:00:00");
    }
}
