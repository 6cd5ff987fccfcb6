//! The next trigger against known dates, and against a search that looks at every quarter of an hour.

use ashlar_types::{Hours, MonthDays, RandomSource, SeededRandom, Weekdays};
use jiff::civil::DateTime;

use super::*;

fn week(hours: &[u64], days: &[u64]) -> PolicyRule {
    let days = PolicyDays::Week(Weekdays::new(days.iter().copied()).unwrap());
    PolicyRule { hours: Hours::new(hours.iter().copied()).unwrap(), days }
}

fn month(hours: &[u64], days: &[u64]) -> PolicyRule {
    let days = PolicyDays::Month(MonthDays::new(days.iter().copied()).unwrap());
    PolicyRule { hours: Hours::new(hours.iter().copied()).unwrap(), days }
}

fn interval(hours: &[u64], days: u16) -> PolicyRule {
    PolicyRule { hours: Hours::new(hours.iter().copied()).unwrap(), days: PolicyDays::Interval(days) }
}

fn at(text: &str, zone: &TimeZone) -> UnixMillis {
    let wall: DateTime = text.parse().unwrap();
    UnixMillis(zone.to_ambiguous_timestamp(wall).compatible().unwrap().as_millisecond())
}

fn shown(time: Option<UnixMillis>, zone: &TimeZone) -> String {
    time.map_or_else(String::new, |time| {
        let timestamp = Timestamp::from_millisecond(time.0).unwrap();
        timestamp.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M %:z").to_string()
    })
}

fn named(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

#[test]
fn the_documented_rules() {
    let zone = TimeZone::fixed(jiff::tz::Offset::constant(8));
    // 2023-02-24 is a Friday.
    for (rule, after, expected) in [
        (week(&[0], &[4]), "2018-08-08T12:00:00", "2018-08-09 00:00 +08:00"),
        (week(&[7], &[6, 5]), "2023-02-24T06:59:59", "2023-02-24 07:00 +08:00"),
        (week(&[7], &[6, 5]), "2023-02-24T07:00:00", "2023-02-25 07:00 +08:00"),
        (week(&[7], &[6, 5]), "2023-02-25T07:00:00", "2023-03-03 07:00 +08:00"),
        (week(&[0, 23], &[0]), "2023-02-26T00:00:00", "2023-02-26 23:00 +08:00"),
        // Months that lack a date are left out.
        (month(&[1], &[31]), "2023-01-31T01:00:00", "2023-03-31 01:00 +08:00"),
        (month(&[1], &[29]), "2023-01-30T00:00:00", "2023-03-29 01:00 +08:00"),
        (month(&[1], &[29]), "2024-01-30T00:00:00", "2024-02-29 01:00 +08:00"),
        (month(&[22], &[1, 15]), "2023-12-15T22:00:00", "2024-01-01 22:00 +08:00"),
        // The first date of an interval is the day on which the policy is made; a later hour waits for the second.
        (interval(&[5], 5), "2023-02-24T04:00:00", "2023-02-24 05:00 +08:00"),
        (interval(&[3], 5), "2023-02-24T04:00:00", "2023-03-01 03:00 +08:00"),
        (interval(&[3, 5], 1), "2023-02-24T04:00:00", "2023-02-24 05:00 +08:00"),
        (interval(&[3], 365), "2023-02-24T04:00:00", "2024-02-24 03:00 +08:00"),
    ] {
        let after = at(after, &zone);
        assert_eq!(shown(next_trigger(&[rule], &zone, after, after), &zone), expected, "{rule:?}");
    }
}

#[test]
fn intervals_are_counted_from_their_anchor() {
    let zone = TimeZone::UTC;
    let anchor = at("2023-02-24T04:00:00", &zone);
    let rules = [interval(&[3], 5)];
    for (after, expected) in [
        ("2020-01-01T00:00:00", "2023-02-24 03:00 +00:00"),
        ("2023-03-01T03:00:00", "2023-03-06 03:00 +00:00"),
        ("2033-02-28T00:00:00", "2033-03-03 03:00 +00:00"),
    ] {
        assert_eq!(shown(next_trigger(&rules, &zone, anchor, at(after, &zone)), &zone), expected);
    }
}

#[test]
fn the_earliest_of_several_rules_wins() {
    let zone = TimeZone::UTC;
    let after = at("2023-02-24T04:00:00", &zone);
    let rules = [month(&[1], &[26]), week(&[5], &[6]), interval(&[9], 3)];
    assert_eq!(shown(next_trigger(&rules, &zone, after, after), &zone), "2023-02-24 09:00 +00:00");
    assert_eq!(next_trigger(&[], &zone, after, after), None);
    assert_eq!(next_trigger(&[week(&[], &[1])], &zone, after, after), None);
}

#[test]
fn clocks_that_are_put_forward_and_back() {
    let every_day = [0, 1, 2, 3, 4, 5, 6];
    for (zone, hour, after, expected) in [
        ("America/New_York", 2, "2026-03-07T12:00:00", "2026-03-08 03:00 -04:00"),
        ("America/New_York", 1, "2026-10-31T12:00:00", "2026-11-01 01:00 -04:00"),
        ("America/New_York", 1, "2026-11-01T01:00:00", "2026-11-02 01:00 -05:00"),
        ("Australia/Lord_Howe", 2, "2026-10-03T12:00:00", "2026-10-04 02:30 +11:00"),
        // Samoa left out 2011-12-30.
        ("Pacific/Apia", 5, "2011-12-29T12:00:00", "2011-12-31 05:00 +14:00"),
        // The day begins at one o'clock.
        ("America/Sao_Paulo", 0, "2018-11-03T12:00:00", "2018-11-04 01:00 -02:00"),
    ] {
        let tz = named(zone);
        let after = at(after, &tz);
        let next = next_trigger(&[week(&[hour], &every_day)], &tz, after, after);
        assert_eq!(shown(next, &tz), expected, "{zone}");
    }
}

/// The slow, plain definition: walk through time in quarters of an hour and ask of each whether a rule fires.
fn searched(
    rules: &[PolicyRule],
    zone: &TimeZone,
    anchor: UnixMillis,
    after: UnixMillis,
    quarters: i64,
) -> Option<UnixMillis> {
    const QUARTER_MS: i64 = 15 * 60 * 1000;
    let wall = |time: i64| zone.to_datetime(Timestamp::from_millisecond(time).unwrap());
    let anchor_day = days_since_epoch(wall(anchor.0));
    let first = after.0.div_euclid(QUARTER_MS) + 1;
    (first..first + quarters).map(|number| number * QUARTER_MS).find_map(|time| {
        let (before, here) = (wall(time - QUARTER_MS), wall(time));
        let expected = before.checked_add(Span::new().minutes(15)).unwrap();
        // Every wall time that this quarter brings: its own, and those that were jumped over to it.
        let mut brought = if expected <= here { expected } else { here };
        while brought <= here {
            let seen_before = (1..=16).any(|ago| wall(time - ago * QUARTER_MS) == brought);
            let exists = brought.date() == before.date() || brought.date() == here.date();
            let on_the_hour = brought.minute() == 0;
            if on_the_hour
                && exists
                && !seen_before
                && rules.iter().any(|rule| fires(rule, brought, anchor_day))
            {
                return Some(UnixMillis(time));
            }
            brought = brought.checked_add(Span::new().minutes(15)).unwrap();
        }
        None
    })
}

fn days_since_epoch(wall: DateTime) -> i64 {
    TimeZone::UTC.to_timestamp(wall).unwrap().as_second().div_euclid(86_400)
}

fn fires(rule: &PolicyRule, wall: DateTime, anchor_day: i64) -> bool {
    let day = days_since_epoch(wall);
    // 1970-01-01 was a Thursday.
    let weekday = u8::try_from((day + 4).rem_euclid(7)).unwrap();
    rule.hours.contains(u8::try_from(wall.hour()).unwrap())
        && match rule.days {
            PolicyDays::Week(days) => days.contains(weekday),
            PolicyDays::Month(days) => days.contains(u8::try_from(wall.day()).unwrap()),
            PolicyDays::Interval(days) => day >= anchor_day && (day - anchor_day) % i64::from(days) == 0,
        }
}

fn some(random: &SeededRandom, from: u64, to: u64) -> Vec<u64> {
    let count = 1 + random.below(4);
    (0..count).map(|_| from + random.below(to - from + 1)).collect()
}

fn any_rule(random: &SeededRandom) -> PolicyRule {
    let hours = some(random, 0, 23);
    match random.below(3) {
        0 => week(&hours, &some(random, 0, 6)),
        1 => month(&hours, &some(random, 1, 31)),
        _ => interval(&hours, 1 + u16::try_from(random.below(40)).unwrap()),
    }
}

#[test]
fn every_zone_agrees_with_the_search() {
    let random = SeededRandom::new(20_261_126);
    let names: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
    assert!(names.len() > 500, "the whole database of zones");
    // From 2012 on, every offset and every change of clocks lies on a quarter of an hour.
    let begin = at("2012-02-01T00:00:00", &TimeZone::UTC).0;
    for name in &names {
        let zone = named(name);
        for _ in 0..3 {
            let rules: Vec<PolicyRule> = (0..=random.below(3)).map(|_| any_rule(&random)).collect();
            let after = near_a_change(&zone, &random, begin + random.below(1 << 39) as i64);
            let anchor = UnixMillis(after.0 - random.below(1 << 33) as i64 + (1 << 31));
            let found = next_trigger(&rules, &zone, anchor, after);
            let expected = searched(&rules, &zone, anchor, after, 110 * 96);
            assert!(expected.is_some(), "{name} {rules:?}");
            assert_eq!(
                shown(found, &zone),
                shown(expected, &zone),
                "{name} {rules:?} anchor {anchor:?} after {after:?}"
            );
        }
    }
}

/// Half of the times lie within a day and a half before a change of the zone's clocks: that is where mistakes hide.
fn near_a_change(zone: &TimeZone, random: &SeededRandom, time: i64) -> UnixMillis {
    let change = zone.following(Timestamp::from_millisecond(time).unwrap()).next();
    match change {
        Some(change) if random.below(2) == 0 && change.timestamp().as_millisecond() < time + (1 << 36) => {
            UnixMillis(change.timestamp().as_millisecond() - random.below(36 * 3_600_000) as i64)
        }
        _ => UnixMillis(time),
    }
}
