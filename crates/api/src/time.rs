//! Times as the wire writes them. Inside, a time is [`UnixMillis`]; the region's zone enters here only.

use std::fmt;

use ashlar_types::UnixMillis;
use jiff::civil;
use jiff::tz::Offset;

use crate::decode::{Decode, Location, bad_value, choice_text};
use crate::encode::{Encode, write_quoted};
use crate::error::ApiError;
use crate::schema::{Rules, Shape, TextFormat};
use crate::value::Value;

/// The distance of a region's clocks from UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UtcOffset(Offset);

impl UtcOffset {
    /// UTC+8, the zone that the service's answers are in.
    pub const BEIJING: Self = Self(Offset::constant(8));

    /// UTC.
    pub const UTC: Self = Self(Offset::UTC);

    /// A distance of up to 25 hours, in minutes east of Greenwich.
    #[must_use]
    pub fn from_minutes(minutes: i32) -> Option<Self> {
        Offset::from_seconds(minutes.checked_mul(60)?).ok().map(Self)
    }
}

/// The wire has whole seconds, and years of -9999 to 9999; beyond, the nearest is taken.
fn instant(time: UnixMillis) -> jiff::Timestamp {
    let nearest = if time.0 < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    jiff::Timestamp::from_second(time.seconds()).unwrap_or(nearest)
}

/// `YYYY-MM-DD HH:MM:SS` in the region's zone, which the text does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DateTime(civil::DateTime);

impl DateTime {
    /// The text's point in time for a region whose clocks stand at `offset`.
    #[must_use]
    pub fn from_unix(time: UnixMillis, offset: UtcOffset) -> Self {
        Self(offset.0.to_datetime(instant(time)))
    }

    /// The point in time, where the text was written in a region whose clocks stand at `offset`.
    #[must_use]
    pub fn to_unix(self, offset: UtcOffset) -> UnixMillis {
        let distance_ms = i64::from(offset.0.seconds()) * 1000;
        let utc = Offset::UTC.to_timestamp(self.0).map_or(i64::MAX, jiff::Timestamp::as_millisecond);
        UnixMillis(utc.saturating_sub(distance_ms))
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.strftime("%Y-%m-%d %H:%M:%S"))
    }
}

impl Decode for DateTime {
    const SHAPE: Shape = Shape::Text(TextFormat::DateTime);

    fn decode(value: Value, at: &Location<'_>, _: &Rules) -> Result<Self, ApiError> {
        let text = choice_text(value, at)?;
        civil::DateTime::strptime("%Y-%m-%d %H:%M:%S", &text)
            .map(Self)
            .map_err(|_| bad_value(at, text, "a time such as 2018-03-30 20:15:03"))
    }
}

impl Encode for DateTime {
    const SHAPE: Shape = Shape::Text(TextFormat::DateTime);

    fn encode(&self, out: &mut String) {
        write_quoted(out, self);
    }
}

/// ISO 8601 with an offset: `2022-01-08T09:47:55+00:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IsoDateTime {
    /// The point in time.
    pub time: UnixMillis,
    /// The offset it is written with. It says nothing about the time itself.
    pub offset: UtcOffset,
}

impl fmt::Display for IsoDateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let civil = self.offset.0.to_datetime(instant(self.time));
        let minutes = self.offset.0.seconds() / 60;
        let sign = if minutes < 0 { '-' } else { '+' };
        let (hours, minutes) = (minutes.abs() / 60, minutes.abs() % 60);
        write!(f, "{}{sign}{hours:02}:{minutes:02}", civil.strftime("%Y-%m-%dT%H:%M:%S"))
    }
}

impl Decode for IsoDateTime {
    const SHAPE: Shape = Shape::Text(TextFormat::IsoDateTime);

    fn decode(value: Value, at: &Location<'_>, _: &Rules) -> Result<Self, ApiError> {
        let text = choice_text(value, at)?;
        let parsed = jiff::Timestamp::strptime("%Y-%m-%dT%H:%M:%S%:z", &text)
            .or_else(|_| text.parse::<jiff::Timestamp>())
            .map_err(|_| {
                bad_value(at, &text, "an ISO 8601 time with an offset, such as 2022-01-08T09:47:55+00:00")
            })?;
        Ok(Self { time: UnixMillis(parsed.as_millisecond()), offset: UtcOffset::UTC })
    }
}

impl Encode for IsoDateTime {
    const SHAPE: Shape = Shape::Text(TextFormat::IsoDateTime);

    fn encode(&self, out: &mut String) {
        write_quoted(out, self);
    }
}

/// `YYYY-MM-DD` in the region's zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date(civil::Date);

impl Date {
    /// The day of `time` in a region whose clocks stand at `offset`.
    #[must_use]
    pub fn from_unix(time: UnixMillis, offset: UtcOffset) -> Self {
        Self(offset.0.to_datetime(instant(time)).date())
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Encode for Date {
    const SHAPE: Shape = Shape::Text(TextFormat::Date);

    fn encode(&self, out: &mut String) {
        write_quoted(out, self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<IsoDateTime, ApiError> {
        IsoDateTime::decode(Value::Text(text.to_owned()), &Location::REQUEST, &Rules::NONE)
    }

    #[test]
    fn times_are_written_in_the_zone_of_the_region() {
        let time = UnixMillis(1_551_113_065_999);
        assert_eq!(DateTime::from_unix(time, UtcOffset::BEIJING).to_string(), "2019-02-26 00:44:25");
        assert_eq!(Date::from_unix(time, UtcOffset::UTC).to_string(), "2019-02-25");
        let iso = IsoDateTime { time, offset: UtcOffset::BEIJING };
        assert_eq!(iso.to_string(), "2019-02-26T00:44:25+08:00");
        assert_eq!(
            DateTime::from_unix(time, UtcOffset::BEIJING).to_unix(UtcOffset::BEIJING).0,
            1_551_113_065_000
        );
    }

    #[test]
    fn iso_times_are_points_in_time_whatever_their_offset() {
        let expected = UnixMillis(1_641_635_275_000);
        for text in ["2022-01-08T09:47:55+00:00", "2022-01-08T17:47:55+08:00", "2022-01-08T09:47:55Z"] {
            assert_eq!(parse(text).unwrap().time, expected, "{text}");
        }
        for text in ["", "2022-01-08", "2022-01-08T09:47:55", "2022-13-08T09:47:55+00:00", "yesterday"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn offsets_east_and_west() {
        let time = UnixMillis(0);
        for (minutes, text) in [(-210, "1969-12-31T20:30:00-03:30"), (345, "1970-01-01T05:45:00+05:45")] {
            let offset = UtcOffset::from_minutes(minutes).unwrap();
            assert_eq!(IsoDateTime { time, offset }.to_string(), text);
        }
        assert_eq!(UtcOffset::from_minutes(2_000_000), None);
    }
}
