//! A year of scheduled snapshots against a reference that is slow and obviously right: it walks through every hour
//! and asks each rule whether that hour is meant.

use std::collections::BTreeMap;

use ashlar_types::{
    AdvancedRetention, DiskId, RandomSource as _, SeededRandom, SnapshotPolicyId, UnixMillis,
};
use ashlar_volume::ErrorKind;
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::harness::*;
use crate::*;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const SNAPSHOTS_PER_DISK: usize = 9;

/// The date in UTC+8.
fn date(time: UnixMillis) -> Date {
    Timestamp::from_millisecond(time.0 + 8 * HOUR_MS).unwrap().to_zoned(jiff::tz::TimeZone::UTC).date()
}

fn monday(date: Date) -> Date {
    date - i64::from(date.weekday().to_monday_zero_offset()).days()
}

/// A snapshot as the reference knows it.
#[derive(Debug, Clone)]
struct Expected {
    trigger: UnixMillis,
    taken: UnixMillis,
    deadline: Option<UnixMillis>,
}

/// A policy, its disks and their snapshots as the reference knows them.
struct Reference {
    rule: NewRule,
    keep: RetentionWish,
    made: UnixMillis,
    handled: UnixMillis,
    disks: BTreeMap<DiskId, Vec<Expected>>,
}

impl Reference {
    /// Whether the rule means this hour.
    fn means(&self, time: UnixMillis) -> bool {
        let hour = (time.0 + 8 * HOUR_MS).rem_euclid(DAY_MS) / HOUR_MS;
        // Most hours are of no rule: no date is worked out for these.
        if !self.rule.hours.contains(&(hour as u64)) {
            return false;
        }
        let today = date(time);
        let weekday = u64::try_from(today.weekday().to_sunday_zero_offset()).unwrap();
        let month_day = u64::try_from(today.day()).unwrap();
        let since = i64::from((today - date(self.made)).get_days());
        let is_day = self.rule.weekdays.contains(&weekday)
            || self.rule.month_days.contains(&month_day)
            || self.rule.interval_days.is_some_and(|days| since >= 0 && since % days as i64 == 0);
        time > self.made && is_day
    }

    fn is_kept_by_others(&self) -> bool {
        self.keep.amount.is_some() || self.keep.advanced.is_some()
    }

    /// What of a disk's snapshots is promised now.
    fn promised(&self, taken: &[Expected], now: UnixMillis) -> Vec<Expected> {
        let count = taken.len();
        if let Some(amount) = self.keep.amount {
            return taken[count.saturating_sub(amount as usize)..].to_vec();
        }
        let Some(AdvancedRetention { days, weeks, months, years }) = self.keep.advanced else {
            return taken.to_vec();
        };
        let today = date(now);
        let dates: Vec<Date> = taken.iter().map(|snapshot| date(snapshot.taken)).collect();
        let newest = |is_in: &dyn Fn(Date) -> bool| dates.iter().rposition(|date| is_in(*date));
        let mut kept = vec![false; count];
        let mut keep = |found: Option<usize>| found.into_iter().for_each(|at| kept[at] = true);
        (0..days as i64).for_each(|back| keep(newest(&|date| date == today - back.days())));
        (0..weeks as i64)
            .for_each(|back| keep(newest(&|date| monday(date) == monday(today) - (7 * back).days())));
        (0..months as i64).for_each(|back| {
            keep(newest(&|date| date.first_of_month() == today.first_of_month() - back.months()));
        });
        (0..years as i64)
            .for_each(|back| keep(newest(&|date| i64::from(date.year()) == i64::from(today.year()) - back)));
        (0..count).filter(|at| kept[*at]).map(|at| taken[at].clone()).collect()
    }

    /// One look of the reconcilers at the clock.
    fn fire(&mut self, now: UnixMillis, works: bool) {
        if self.handled > now.plus_ms(DAY_MS) {
            self.handled = now;
        }
        let hours = (1..).map(|back| UnixMillis((now.0 / HOUR_MS + 1 - back) * HOUR_MS));
        let trigger = hours.take_while(|hour| *hour > self.handled).find(|hour| self.means(*hour));
        let Some(trigger) = trigger else { return };
        self.handled = trigger;
        for disk in self.disks.keys().copied().collect::<Vec<_>>() {
            let taken = &self.disks[&disk];
            if !works || taken.len() >= SNAPSHOTS_PER_DISK {
                continue;
            }
            let deadline = self.keep.days.map(|days| now.plus_ms(days as i64 * DAY_MS));
            let mut taken = taken.clone();
            taken.push(Expected { trigger, taken: now, deadline });
            let taken = self.promised(&taken, now);
            self.disks.insert(disk, taken);
        }
    }
}

/// The reference of everything, with the one thing that is not a policy's: the day on which promises were last looked
/// through.
struct Oracle {
    policies: BTreeMap<SnapshotPolicyId, Reference>,
    swept: Option<Date>,
}

impl Oracle {
    fn tick(&mut self, now: UnixMillis, works: bool) {
        self.policies.values_mut().for_each(|policy| policy.fire(now, works));
        if self.swept != Some(date(now)) {
            let mut is_done = true;
            for policy in self.policies.values_mut().filter(|policy| policy.is_kept_by_others()) {
                for disk in policy.disks.keys().copied().collect::<Vec<_>>() {
                    let kept = policy.promised(&policy.disks[&disk], now);
                    is_done &= works || kept.len() == policy.disks[&disk].len();
                    if works {
                        policy.disks.insert(disk, kept);
                    }
                }
            }
            self.swept = if is_done { Some(date(now)) } else { None };
        }
        if works {
            for taken in self.policies.values_mut().flat_map(|policy| policy.disks.values_mut()) {
                taken.retain(|snapshot| snapshot.deadline.is_none_or(|deadline| deadline > now));
            }
        }
    }

    fn names(&self) -> Vec<(DiskId, String)> {
        let names = |(id, policy): (&SnapshotPolicyId, &Reference)| {
            let id = *id;
            let of_disk = |(disk, taken): (&DiskId, &Vec<Expected>)| {
                let disk = *disk;
                let name = |one: &Expected| (disk, format!("{id} {}", wire_time(one.trigger)));
                taken.iter().map(name).collect::<Vec<_>>()
            };
            policy.disks.iter().flat_map(of_disk).collect::<Vec<_>>()
        };
        let mut names: Vec<_> = self.policies.iter().flat_map(names).collect();
        names.sort();
        names
    }
}

fn random_rule(random: &SeededRandom) -> NewRule {
    let hours = vec![random.below(24)];
    match random.below(6) {
        0 => NewRule { hours, weekdays: vec![random.below(7)], ..NewRule::default() },
        1 | 2 => NewRule { hours, month_days: vec![1 + random.below(31), 31], ..NewRule::default() },
        _ => NewRule { hours, interval_days: Some(9 + random.below(80)), ..NewRule::default() },
    }
}

fn random_retention(random: &SeededRandom) -> RetentionWish {
    let number = |most| random.below(most);
    match random.below(4) {
        0 => RetentionWish { days: Some(1 + number(60)), ..RetentionWish::default() },
        1 => RetentionWish { amount: Some(1 + number(6)), ..RetentionWish::default() },
        2 => {
            let (days, weeks, months) = (number(9), number(9), number(4));
            let advanced = Some(AdvancedRetention { days, weeks, months, years: 1 });
            RetentionWish { advanced, ..RetentionWish::default() }
        }
        _ => RetentionWish { permanent: Some(true), ..RetentionWish::default() },
    }
}

async fn prepared(random: &SeededRandom, disks: u64, policies: u64) -> (World, Oracle) {
    let mut settings = Settings::default();
    settings.limits = Limits {
        snapshots_per_disk: SNAPSHOTS_PER_DISK as u64,
        disks_per_instance: disks,
        disks_per_attach: disks,
        disks_per_create: disks,
        snapshot_policies_per_region: policies,
        ..settings.limits
    };
    // Each look takes what is due, and what is busy then is not taken: the reference knows no waiting.
    // Bills are another story.
    settings.billing.usage_interval_hours = 744;
    settings.schedule = ScheduleSettings { spread_ms_max: 0, busy_wait_ms: 0, ..settings.schedule };
    let world = World::with(settings, None, 1).await;
    let instance = world.instance("ap-guangzhou-3").await;
    let wanted = CreateDisks { count: Some(disks), ..new_disks() };
    let made = world.control.create_disks(&caller(), wanted).await.unwrap();
    let attach = AttachDisks { instance, disks: made.clone(), delete_with_instance: None, attach_mode: None };
    world.control.attach_disks(&caller(), attach).await.unwrap();

    let mut references = BTreeMap::new();
    for share in made.chunks(made.len().div_ceil(policies as usize)) {
        let (rule, keep) = (random_rule(random), random_retention(random));
        let wanted = CreateSnapshotPolicy {
            rules: vec![rule.clone()],
            retention: keep.clone(),
            ..CreateSnapshotPolicy::default()
        };
        let policy = world.control.create_snapshot_policy(&caller(), wanted).await.unwrap().id.unwrap();
        let bound = BoundBy { policy, disks: share.to_vec(), instances: Vec::new() };
        world.control.bind_snapshot_policy(&caller(), bound).await.unwrap();
        let disks = share.iter().map(|disk| (*disk, Vec::new())).collect();
        references.insert(policy, Reference { rule, keep, made: BEGIN, handled: BEGIN, disks });
    }
    (world, Oracle { policies: references, swept: Some(date(BEGIN)) })
}

async fn names(world: &World) -> Vec<(DiskId, String)> {
    let region = "ap-guangzhou".parse().unwrap();
    let snapshots = world.control.db.read().await.unwrap().snapshots().of_region(&region).await.unwrap();
    let mut names: Vec<_> =
        snapshots.into_iter().map(|snapshot| (snapshot.disk.unwrap(), snapshot.name)).collect();
    names.sort();
    names
}

/// Lets everything that was blocked come to its end.
async fn settle(world: &World) {
    for _ in 0..3 {
        world.control.reconcile().await.unwrap();
        world.control.runner.idle().await;
    }
}

async fn a_year(seed: u64, disks: u64, policies: u64) {
    let random = SeededRandom::new(seed);
    let (mut world, mut oracle) = prepared(&random, disks, policies).await;
    let mut broken_hours = 0;
    let (mut restarts, mut most) = (0, 0);
    let mut now = BEGIN;
    while now < BEGIN.plus_ms(365 * DAY_MS) {
        now = now.plus_ms(HOUR_MS);
        let event = random.below(300);
        match event {
            // The server is away for up to a week.
            0 => now = now.plus_ms(random.below(7 * 24) as i64 * HOUR_MS),
            // The clock is set: back by hours, ahead by days.
            1 => now = now.plus_ms(-(random.below(20) as i64) * HOUR_MS),
            2 => now = now.plus_ms(random.below(5) as i64 * DAY_MS),
            3 if broken_hours == 0 => {
                broken_hours = 1 + random.below(30);
                *world.stores.refusal.lock() = Some(ErrorKind::Io);
            }
            _ => {}
        }
        world.clock.set(now);
        if event == 0 && broken_hours == 0 {
            world = world.restarted().await;
            oracle.swept = None;
            restarts += 1;
        }
        // A store that refuses lets reconcilers fail; they go on at the next look.
        let _ = world.control.reconcile().await;
        oracle.tick(now, broken_hours == 0);
        if broken_hours > 0 {
            broken_hours -= 1;
            if broken_hours == 0 {
                *world.stores.refusal.lock() = None;
                settle(&world).await;
                oracle.tick(now, true);
            }
        }
        if broken_hours == 0 && (event == 0 || random.below(200) == 0) {
            let (is, should) = (names(&world).await, oracle.names());
            assert_eq!(is, should, "seed {seed} at {}", wire_time(now));
            most = most.max(is.len());
        }
    }
    *world.stores.refusal.lock() = None;
    settle(&world).await;
    oracle.tick(now, true);
    assert_eq!(names(&world).await, oracle.names(), "seed {seed} at the end");
    world.check_rest().await;
    assert!(restarts > 3 && most > 100, "a dull year: {restarts} restarts, {most} snapshots at most");
}

/// Keeps this thread, and those that it will start, on one processor. Rules and SQLite hand over to each other at every
/// statement and never work at once; between two processors each time costs more than the statement.
fn stay_on_one_processor() {
    let allowed = sched_getaffinity(None).unwrap();
    let mut one = CpuSet::new();
    one.set((0..CpuSet::MAX_CPU).rfind(|processor| allowed.is_set(*processor)).unwrap());
    sched_setaffinity(None, &one).unwrap();
}

#[tokio::test]
async fn a_year_of_500_disks_under_40_policies() {
    stay_on_one_processor();
    a_year(20_261_126, 500, 40).await;
}
