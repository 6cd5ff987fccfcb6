//! When a policy fires: pure functions of its rules, a time zone and a point in time.
//!
//! An hour of a rule is a time on the wall of the zone. Where the clocks are put back and a time comes twice, its
//! first coming counts. Where they are put forward and a time does not come, the rule fires at the moment at which
//! they are put forward; on a date that a zone leaves out altogether it does not fire.

use ashlar_types::{PolicyDays, PolicyRule, UnixMillis};
use jiff::civil::{Date, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Span, Timestamp};

/// The longest that a rule over weeks or months waits: the 31st is missing from two months in a row at most, and
/// a zone leaves out a date at most. Four years would do for any calendar; a loop needs some end.
const DAYS_SEARCHED: usize = 4 * 366;

/// How many dates of an interval are tried: the first may lie behind, and a zone may leave one out.
const INTERVALS_SEARCHED: usize = 8;

/// The first point in time after `after` at which one of the rules fires. None when there is no such time before
/// the end of the calendar, in the year 9999.
///
/// `anchor` is when the rules were made: its date is the first of every interval.
#[must_use]
pub fn next_trigger(
    rules: &[PolicyRule],
    zone: &TimeZone,
    anchor: UnixMillis,
    after: UnixMillis,
) -> Option<UnixMillis> {
    rules.iter().filter_map(|rule| next_of_rule(rule, zone, anchor, after)).min()
}

fn next_of_rule(
    rule: &PolicyRule,
    zone: &TimeZone,
    anchor: UnixMillis,
    after: UnixMillis,
) -> Option<UnixMillis> {
    // A time that did not come fires at the end of the gap, which may lie on the next date.
    let first = date_of(zone, after)?.checked_sub(Span::new().days(1)).ok()?;
    match rule.days {
        PolicyDays::Week(days) => {
            let fits = |date: &Date| days.contains(number_of(date.weekday()));
            let dates = dates_from(first, 1).take(DAYS_SEARCHED).filter(fits);
            first_after(rule, zone, dates, after)
        }
        PolicyDays::Month(days) => {
            let fits = |date: &Date| u8::try_from(date.day()).is_ok_and(|day| days.contains(day));
            let dates = dates_from(first, 1).take(DAYS_SEARCHED).filter(fits);
            first_after(rule, zone, dates, after)
        }
        PolicyDays::Interval(days) => {
            let step = i64::from(days.max(1));
            let begin = date_of(zone, anchor)?;
            let behind = begin.until(first).ok()?.get_days();
            let intervals = i64::from(behind).max(0).div_euclid(step);
            let date = begin.checked_add(Span::new().try_days(intervals * step).ok()?).ok()?;
            first_after(rule, zone, dates_from(date, step).take(INTERVALS_SEARCHED), after)
        }
    }
}

fn first_after(
    rule: &PolicyRule,
    zone: &TimeZone,
    dates: impl Iterator<Item = Date>,
    after: UnixMillis,
) -> Option<UnixMillis> {
    let times =
        |date: Date| rule.hours.iter().filter_map(move |hour| moment(zone, date, hour)).min_after(after);
    dates.filter_map(times).next()
}

/// The least of some times after a given one.
trait MinAfter {
    fn min_after(self, after: UnixMillis) -> Option<UnixMillis>;
}

impl<I: Iterator<Item = UnixMillis>> MinAfter for I {
    fn min_after(self, after: UnixMillis) -> Option<UnixMillis> {
        self.filter(|time| *time > after).min()
    }
}

/// Every `step`-th date from `first` on.
fn dates_from(first: Date, step: i64) -> impl Iterator<Item = Date> {
    std::iter::successors(Some(first), move |date| date.checked_add(Span::new().try_days(step).ok()?).ok())
}

/// The date on the walls of a zone.
fn date_of(zone: &TimeZone, time: UnixMillis) -> Option<Date> {
    Some(zone.to_datetime(Timestamp::from_millisecond(time.0).ok()?).date())
}

/// When it is this hour of this date, by the rule at the head of this file.
fn moment(zone: &TimeZone, date: Date, hour: u8) -> Option<UnixMillis> {
    let wall = date.at(i8::try_from(hour).ok()?, 0, 0, 0);
    let times = zone.to_ambiguous_timestamp(wall);
    let time = match times.offset() {
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => times.earlier().ok()?,
        AmbiguousOffset::Gap { .. } => {
            let instant = Span::new().nanoseconds(1);
            let behind = times.later().ok()?;
            let put_forward = zone.preceding(behind.checked_add(instant).ok()?).next()?.timestamp();
            let before = put_forward.checked_sub(instant).ok()?;
            let exists = [before, put_forward].iter().any(|time| zone.to_datetime(*time).date() == date);
            exists.then_some(put_forward)?
        }
    };
    Some(UnixMillis(time.as_millisecond()))
}

/// The API's number of a weekday: 0 is Sunday.
const fn number_of(weekday: Weekday) -> u8 {
    match weekday {
        Weekday::Sunday => 0,
        Weekday::Monday => 1,
        Weekday::Tuesday => 2,
        Weekday::Wednesday => 3,
        Weekday::Thursday => 4,
        Weekday::Friday => 5,
        Weekday::Saturday => 6,
    }
}

#[cfg(test)]
mod tests;
