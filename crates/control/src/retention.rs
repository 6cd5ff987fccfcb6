//! Which snapshots of a scheduled policy have had their time.
//!
//! A snapshot carries the promise under which it was taken: changing a policy changes the promise of later snapshots
//! only, so no change deletes what an owner counted on. Promises in days and months are deadlines and need nothing of
//! this; here are the two that depend on the other snapshots of the same disk and policy.

mod sweep;
#[cfg(test)]
mod tests;

use ashlar_types::{AdvancedRetention, SnapshotPromise, UnixMillis};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

pub(crate) use sweep::{Outlived, Sweeps};

/// A snapshot as retention sees it. All of one call are of one disk and one policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept<Id> {
    pub(crate) id: Id,
    pub(crate) taken: UnixMillis,
    /// None where the promise is a deadline or for ever: it counts for others, and does not go here.
    pub(crate) promise: Option<SnapshotPromise>,
}

/// The snapshots that no promise holds any more. `kept` begins with the oldest.
pub(crate) fn outlived<Id: Copy>(kept: &[Kept<Id>], now: UnixMillis, zone: &TimeZone) -> Vec<Id> {
    let today = date(now, zone);
    let dates: Vec<Date> = kept.iter().map(|snapshot| date(snapshot.taken, zone)).collect();
    let is_outlived = |at: &usize| match kept[*at].promise {
        None => false,
        Some(SnapshotPromise::Newest(count)) => (kept.len() - at) as u64 > count,
        Some(SnapshotPromise::Calendar(calendar)) => {
            !holds(calendar, dates[*at], dates.get(at + 1).copied(), today)
        }
    };
    (0..kept.len()).filter(is_outlived).map(|at| kept[at].id).collect()
}

/// Whether a snapshot of `day`, with the next one taken on `next`, is still promised on `today`.
fn holds(promised: AdvancedRetention, day: Date, next: Option<Date>, today: Date) -> bool {
    let is_kept = |count: u64, period: fn(Date) -> i64| {
        let is_last = next.is_none_or(|next| period(next) != period(day));
        // A clock that was set back lets a snapshot lie ahead: it is younger than any period.
        is_last && u64::try_from(period(today) - period(day)).map_or(count > 0, |age| age < count)
    };
    is_kept(promised.days, day_number)
        || is_kept(promised.weeks, |day| (day_number(day) + 3).div_euclid(7))
        || is_kept(promised.months, |day| i64::from(day.year()) * 12 + i64::from(day.month()))
        || is_kept(promised.years, |day| i64::from(day.year()))
}

/// Days since 1970-01-01, which was a Thursday: weeks that begin on Monday begin three days before it.
fn day_number(day: Date) -> i64 {
    i64::from((day - Date::constant(1970, 1, 1)).get_days())
}

/// The day that a time falls on.
pub(crate) fn date(time: UnixMillis, zone: &TimeZone) -> Date {
    zone.to_datetime(Timestamp::from_millisecond(time.0).unwrap_or(Timestamp::MAX)).date()
}
