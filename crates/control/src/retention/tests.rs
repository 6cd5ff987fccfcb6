//! Retention against an oracle that fills the calendar instead of judging snapshots.

use std::collections::BTreeSet;

use ashlar_types::{RandomSource as _, SeededRandom};
use jiff::ToSpan as _;
use jiff::tz::Offset;

use super::*;

const HOUR_MS: i64 = 3_600_000;
/// 2026-01-01T00:00:00Z.
const BEGIN_MS: i64 = 1_767_225_600_000;

fn zone() -> TimeZone {
    TimeZone::fixed(Offset::constant(8))
}

/// The newest snapshot in each of the wanted periods, looked up period by period.
fn promised(taken: &[Date], today: Date, calendar: AdvancedRetention) -> BTreeSet<usize> {
    let newest = |is_in: &dyn Fn(Date) -> bool| taken.iter().rposition(|date| is_in(*date));
    let monday = |date: Date| date - i64::from(date.weekday().to_monday_zero_offset()).days();
    let mut kept = BTreeSet::new();
    for back in 0..calendar.days as i64 {
        kept.extend(newest(&|date| date == today - back.days()));
    }
    for back in 0..calendar.weeks as i64 {
        kept.extend(newest(&|date| monday(date) == monday(today) - (7 * back).days()));
    }
    for back in 0..calendar.months as i64 {
        let wanted = today.first_of_month() - back.months();
        kept.extend(newest(&|date| date.first_of_month() == wanted));
    }
    for back in 0..calendar.years as i64 {
        let wanted = i64::from(today.year()) - back;
        kept.extend(newest(&|date| i64::from(date.year()) == wanted));
    }
    kept
}

#[test]
fn the_calendar_keeps_the_last_of_each_period() {
    let random = SeededRandom::new(5);
    for _ in 0..2_000 {
        let count = 1 + random.below(40);
        let span_hours = [48, 24 * 60, 24 * 900][random.below(3) as usize];
        let mut times: Vec<i64> =
            (0..count).map(|_| BEGIN_MS + random.below(span_hours) as i64 * HOUR_MS).collect();
        times.sort_unstable();
        let now = UnixMillis(times[times.len() - 1] + random.below(24 * 40) as i64 * HOUR_MS);
        let number = || random.below(6);
        let calendar =
            AdvancedRetention { days: number(), weeks: number(), months: number(), years: number() };
        let promise = Some(SnapshotPromise::Calendar(calendar));
        let kept: Vec<_> = times
            .iter()
            .enumerate()
            .map(|(id, taken)| Kept { id, taken: UnixMillis(*taken), promise })
            .collect();

        let gone: BTreeSet<usize> = outlived(&kept, now, &zone()).into_iter().collect();

        let dates: Vec<Date> = kept.iter().map(|snapshot| date(snapshot.taken, &zone())).collect();
        let expected = promised(&dates, date(now, &zone()), calendar);
        let all: BTreeSet<usize> = (0..kept.len()).collect();
        assert_eq!(gone, &all - &expected, "{calendar:?} {dates:?} today {}", date(now, &zone()));
    }
}

#[test]
fn the_newest_few_are_kept_and_each_by_its_own_promise() {
    let kept = |promises: &[Option<SnapshotPromise>]| -> Vec<Kept<usize>> {
        let snapshot = |(id, promise): (usize, &Option<SnapshotPromise>)| Kept {
            id,
            taken: UnixMillis(BEGIN_MS + id as i64 * HOUR_MS),
            promise: *promise,
        };
        promises.iter().enumerate().map(snapshot).collect()
    };
    let now = UnixMillis(BEGIN_MS + 100 * HOUR_MS);
    let newest = |count| Some(SnapshotPromise::Newest(count));
    assert_eq!(outlived(&kept(&[newest(2); 5]), now, &zone()), [0, 1, 2]);
    // The policy said 4, later 1: those that were promised 4 stay until four newer ones are there.
    assert_eq!(outlived(&kept(&[newest(4), newest(4), newest(1), newest(1)]), now, &zone()), [2]);
    assert_eq!(
        outlived(&kept(&[newest(4), newest(4), newest(1), newest(1), newest(1)]), now, &zone()),
        [0, 2, 3]
    );
    // What is kept for ever or by a deadline counts, and stays.
    assert_eq!(outlived(&kept(&[None, newest(1), None]), now, &zone()), [1]);
    assert_eq!(outlived(&kept(&[]), now, &zone()), Vec::<usize>::new());
}
