//! How scheduled snapshots are taken.

use std::collections::BTreeMap;

use ashlar_types::{Region, UnixMillis};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::SettingsError;
use crate::retention::date;
use crate::wire_time;

/// How scheduled snapshots are taken.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleSettings {
    /// The time zones of regions, by their names in the tz database (`"eu-frankfurt" = "Europe/Berlin"`). A region that
    /// is not named has UTC+8, as in the service.
    pub time_zones: BTreeMap<String, String>,
    /// Whether a policy whose moment went by while no server ran fires once when one runs again. Once, however many
    /// moments there were.
    pub catch_up: bool,
    /// How late a moment may be noticed and still counts as met, where there is no catching up, in milliseconds.
    pub on_time_ms: u64,
    /// The longest time over which the snapshots of one moment are spread, in milliseconds.
    pub spread_ms_max: u64,
    /// How long a scheduled snapshot waits for a disk that is busy, in milliseconds.
    pub busy_wait_ms: u64,
}

impl Default for ScheduleSettings {
    fn default() -> Self {
        Self {
            time_zones: BTreeMap::new(),
            catch_up: true,
            on_time_ms: 15 * 60_000,
            spread_ms_max: 10 * 60_000,
            busy_wait_ms: 3_600_000,
        }
    }
}

impl ScheduleSettings {
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        for (region, name) in &self.time_zones {
            let refuse = |expected: &str| {
                let key = format!("schedule.time_zones.{region}");
                Err(SettingsError { key, value: name.clone(), expected: expected.to_owned() })
            };
            if region.parse::<Region>().is_err() {
                return refuse("a key that is a region, such as ap-guangzhou");
            }
            if TimeZone::get(name).is_err() {
                return refuse("a name of the tz database, such as Europe/Berlin");
            }
        }
        Ok(())
    }

    /// The time zone of a region.
    pub(crate) fn zone_of(&self, region: &Region) -> TimeZone {
        let named = self.time_zones.get(region.as_str()).and_then(|name| TimeZone::get(name).ok());
        named.unwrap_or_else(wire_time::zone)
    }

    /// The date in each time zone that a region may have.
    pub(crate) fn dates(&self, now: UnixMillis) -> Vec<Date> {
        let named = self.time_zones.values().filter_map(|name| TimeZone::get(name).ok());
        named.chain([wire_time::zone()]).map(|zone| date(now, &zone)).collect()
    }

    /// Whether a moment that is noticed now still fires.
    pub(crate) fn fires(&self, moment: UnixMillis, now: UnixMillis) -> bool {
        let tolerance_ms = i64::try_from(self.on_time_ms).unwrap_or(i64::MAX);
        self.catch_up || now <= moment.plus_ms(tolerance_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_have_the_zones_that_they_are_given() {
        let settings = |region: &str, zone: &str| ScheduleSettings {
            time_zones: [(region.to_owned(), zone.to_owned())].into(),
            ..ScheduleSettings::default()
        };
        let berlin = settings("eu-frankfurt", "Europe/Berlin");
        assert_eq!(berlin.check(), Ok(()));
        assert_eq!(berlin.zone_of(&"eu-frankfurt".parse().unwrap()).iana_name(), Some("Europe/Berlin"));
        assert_eq!(berlin.zone_of(&"ap-guangzhou".parse().unwrap()), wire_time::zone());
        let error = settings("eu-frankfurt", "Mars/Base").check().unwrap_err().to_string();
        assert!(error.contains("schedule.time_zones.eu-frankfurt") && error.contains("Mars/Base"), "{error}");
        assert!(settings("nowhere!", "Europe/Berlin").check().is_err());
    }

    #[test]
    fn a_late_moment_fires_once_or_not_at_all() {
        let (moment, late) = (UnixMillis(0), UnixMillis(24 * 3_600_000));
        let strict = ScheduleSettings { catch_up: false, ..ScheduleSettings::default() };
        assert!(ScheduleSettings::default().fires(moment, late));
        assert!(strict.fires(moment, UnixMillis(900_000)) && !strict.fires(moment, UnixMillis(900_001)));
    }
}
