//! Policies that fire.

use ashlar_types::{AdvancedRetention, DiskId, InstanceId, SnapshotPolicyId};

use super::harness::*;
use crate::*;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Every day at 3 in UTC+8, five hours before the clock of these tests begins: first 19 hours after it.
fn daily() -> CreateSnapshotPolicy {
    let rule = NewRule { hours: vec![3], interval_days: Some(1), ..NewRule::default() };
    CreateSnapshotPolicy { rules: vec![rule], ..CreateSnapshotPolicy::default() }
}

async fn policy(world: &World, wanted: CreateSnapshotPolicy) -> SnapshotPolicyId {
    world.control.create_snapshot_policy(&caller(), wanted).await.unwrap().id.unwrap()
}

async fn bind(world: &World, policy: SnapshotPolicyId, disks: &[DiskId], instances: &[InstanceId]) {
    let wanted = BoundBy { policy, disks: disks.to_vec(), instances: instances.to_vec() };
    world.control.bind_snapshot_policy(&caller(), wanted).await.unwrap();
}

/// Goes to a time after the beginning and lets the reconcilers run there.
async fn at(world: &World, since_begin_ms: i64) {
    world.clock.set(BEGIN.plus_ms(since_begin_ms));
    world.control.reconcile().await.unwrap();
}

/// The snapshots of a disk: policy, hours since the beginning, oldest first.
async fn taken(world: &World, disk: DiskId) -> Vec<i64> {
    let mut taken: Vec<i64> = world
        .snapshots()
        .await
        .items
        .iter()
        .filter(|view| view.snapshot.disk == Some(disk))
        .map(|view| (view.snapshot.created.0 - BEGIN.0) / HOUR_MS)
        .collect();
    taken.sort_unstable();
    taken
}

async fn schedule(world: &World, policy: SnapshotPolicyId) -> ScheduleState {
    let states = world.control.schedules().await.unwrap();
    states.into_iter().find(|state| state.policy == policy).unwrap()
}

#[tokio::test]
async fn disks_in_use_are_snapshotted_when_the_hour_comes() {
    let world = World::new().await;
    let instance = world.instance("ap-guangzhou-3").await;
    let (used, idle) = (world.attached_disk(instance).await, world.disk().await);
    world.write(used, 7);
    let asp = policy(&world, daily()).await;
    bind(&world, asp, &[used, idle], &[]).await;

    at(&world, 19 * HOUR_MS - 1).await;
    assert_eq!(taken(&world, used).await, [0; 0]);
    at(&world, 19 * HOUR_MS).await;
    at(&world, 19 * HOUR_MS + 5000).await;
    assert_eq!((taken(&world, used).await, taken(&world, idle).await), (vec![19], vec![]));

    let snapshot = world.snapshots().await.items.remove(0).snapshot;
    assert_eq!(snapshot.policy, Some(asp));
    assert_eq!(snapshot.deadline, Some(snapshot.created.plus_ms(7 * DAY_MS)));
    assert_eq!(snapshot.name, format!("{asp} 2026-01-02 03:00:00"));
    // The next day, while the server is away: made up for once.
    at(&world, (19 + 3 * 24 + 5) * HOUR_MS).await;
    assert_eq!(taken(&world, used).await, [19, 19 + 3 * 24 + 5]);
    // A week later both deadlines have passed, and each day has brought one.
    at(&world, (19 + 10 * 24 + 6) * HOUR_MS).await;
    assert_eq!(taken(&world, used).await, [19 + 10 * 24 + 6]);
}

#[tokio::test]
async fn an_instance_brings_its_disks_and_a_policy_that_rests_nothing() {
    let world = World::new().await;
    let instance = world.instance("ap-guangzhou-3").await;
    let first = world.attached_disk(instance).await;
    let asp = policy(&world, daily()).await;
    bind(&world, asp, &[], &[instance]).await;
    // Attached after the binding, and bound twice over: one snapshot.
    let second = world.attached_disk(instance).await;
    bind(&world, asp, &[second], &[]).await;
    at(&world, 19 * HOUR_MS).await;
    // Those of one moment are spread.
    at(&world, 19 * HOUR_MS + 1000).await;
    assert_eq!((taken(&world, first).await, taken(&world, second).await), (vec![19], vec![19]));

    let modify = |activated| ModifySnapshotPolicy {
        policy: asp,
        name: None,
        activated: Some(activated),
        rules: None,
        retention: RetentionWish::default(),
    };
    world.control.modify_snapshot_policy(&caller(), modify(false)).await.unwrap();
    at(&world, 43 * HOUR_MS).await;
    assert_eq!(schedule(&world, asp).await.next_trigger, None);
    // What went by while it rested does not fire afterwards.
    at(&world, 44 * HOUR_MS).await;
    world.control.modify_snapshot_policy(&caller(), modify(true)).await.unwrap();
    at(&world, 45 * HOUR_MS).await;
    assert_eq!(taken(&world, first).await, [19]);
    at(&world, 67 * HOUR_MS).await;
    at(&world, 67 * HOUR_MS + 1000).await;
    assert_eq!(taken(&world, first).await, [19, 67]);
    assert_eq!(schedule(&world, asp).await.next_trigger, Some(BEGIN.plus_ms(91 * HOUR_MS)));
}

#[tokio::test]
async fn a_failure_is_seen_at_the_policy_and_holds_up_nobody() {
    let mut settings = Settings::default();
    settings.limits.snapshots_per_disk = 1;
    let world = World::with(settings, None, 1).await;
    let instance = world.instance("ap-guangzhou-3").await;
    let (full, free) = (world.attached_disk(instance).await, world.attached_disk(instance).await);
    world.snapshot(full).await;
    let asp = policy(&world, daily()).await;
    bind(&world, asp, &[full, free], &[]).await;
    at(&world, 19 * HOUR_MS).await;
    at(&world, 19 * HOUR_MS + 60_000).await;
    assert_eq!((taken(&world, full).await, taken(&world, free).await), (vec![0], vec![19]));
    let state = schedule(&world, asp).await;
    let (time, why) = state.failure.unwrap();
    assert!(why.contains(&full.to_string()), "{why}");
    assert!(time >= BEGIN.plus_ms(19 * HOUR_MS));
    assert_eq!(state.pending, 0);
    let latest = world.view(full).await.latest_operation.unwrap();
    assert_eq!((latest.operation.as_str(), latest.state), ("CreateSnapshot", OperationState::Failed));
}

#[tokio::test]
async fn snapshots_keep_the_promise_they_were_taken_under() {
    let world = World::new().await;
    let instance = world.instance("ap-guangzhou-3").await;
    let disk = world.attached_disk(instance).await;
    let keep = |amount| RetentionWish { amount: Some(amount), ..RetentionWish::default() };
    let asp = policy(&world, CreateSnapshotPolicy { retention: keep(3), ..daily() }).await;
    bind(&world, asp, &[disk], &[]).await;
    let by_hand = world.snapshot(disk).await;
    for day in 0..5 {
        at(&world, (19 + day * 24) * HOUR_MS).await;
    }
    assert_eq!(taken(&world, disk).await, [0, 67, 91, 115], "the one by hand does not count");

    // From now on one is enough, which deletes nothing by itself.
    let retention = keep(1);
    let change = ModifySnapshotPolicy { policy: asp, name: None, activated: None, rules: None, retention };
    world.control.modify_snapshot_policy(&caller(), change).await.unwrap();
    at(&world, 116 * HOUR_MS).await;
    assert_eq!(taken(&world, disk).await, [0, 67, 91, 115]);
    at(&world, (19 + 5 * 24) * HOUR_MS).await;
    assert_eq!(taken(&world, disk).await, [0, 91, 115, 139]);
    at(&world, (19 + 6 * 24) * HOUR_MS).await;
    assert_eq!(taken(&world, disk).await, [0, 115, 163], "139 was promised to be the newest one only");

    // What its owner keeps for ever stays.
    let kept = world.snapshots().await.items[0].snapshot.id;
    let modify =
        ModifySnapshotAttribute { snapshot: kept, name: None, is_permanent: Some(true), deadline: None };
    assert!(!world.snapshot_view(kept).await.snapshot.is_permanent());
    world.control.modify_snapshot_attribute(&caller(), modify).await.unwrap();
    for day in 7..10 {
        at(&world, (19 + day * 24) * HOUR_MS).await;
    }
    assert_eq!(taken(&world, disk).await, [0, 163, 235]);
    assert!(world.snapshot_view(by_hand).await.snapshot.is_permanent());
}

#[tokio::test]
async fn the_calendar_thins_out_while_nothing_is_taken() {
    let world = World::new().await;
    let instance = world.instance("ap-guangzhou-3").await;
    let disk = world.attached_disk(instance).await;
    let advanced = Some(AdvancedRetention { days: 2, weeks: 0, months: 0, years: 1 });
    let retention = RetentionWish { advanced, ..RetentionWish::default() };
    let asp = policy(&world, CreateSnapshotPolicy { retention, ..daily() }).await;
    bind(&world, asp, &[disk], &[]).await;
    for day in 0..3 {
        at(&world, (19 + day * 24) * HOUR_MS).await;
    }
    assert_eq!(taken(&world, disk).await, [43, 67]);
    world.detach(disk).await.unwrap();
    // Days later only the last of the year is promised.
    at(&world, (19 + 6 * 24) * HOUR_MS).await;
    assert_eq!(taken(&world, disk).await, [67]);
    at(&world, 366 * DAY_MS).await;
    assert_eq!(taken(&world, disk).await, [0; 0]);
}

#[tokio::test]
async fn what_was_ordered_is_void_when_the_policy_lets_go_of_the_disk_or_rests() {
    let world = World::new().await;
    let instance = world.instance("ap-guangzhou-3").await;
    let disks = [world.attached_disk(instance).await, world.attached_disk(instance).await];
    // Spread over some time: between the moment and the last order there is time to change one's mind.
    let first = [policy(&world, daily()).await, policy(&world, daily()).await, policy(&world, daily()).await];
    for asp in first {
        bind(&world, asp, &disks, &[]).await;
    }
    let [unbound, rests, stopped] = first;
    world.clock.set(BEGIN.plus_ms(19 * HOUR_MS));
    let leader = world.control.lead().await.unwrap().unwrap();
    world.control.run_reconciler(Reconciler::SnapshotPolicies, leader).await.unwrap();
    assert_eq!(schedule(&world, unbound).await.pending, 2);
    let bound = BoundBy { policy: unbound, disks: vec![disks[0]], instances: Vec::new() };
    world.control.unbind_snapshot_policy(&caller(), bound).await.unwrap();
    let change = ModifySnapshotPolicy {
        policy: rests,
        name: None,
        activated: Some(false),
        rules: None,
        retention: RetentionWish::default(),
    };
    world.control.modify_snapshot_policy(&caller(), change).await.unwrap();
    let stop = IsolateSnapshotPolicies { policies: vec![stopped], account: None, isolated: true };
    world.control.isolate_snapshot_policies(stop).await.unwrap();
    at(&world, 19 * HOUR_MS + 60_000).await;
    let by = |view: &SnapshotView| (view.snapshot.policy.unwrap(), view.snapshot.disk.unwrap());
    assert_eq!(world.snapshots().await.items.iter().map(by).collect::<Vec<_>>(), [(unbound, disks[1])]);
    for asp in first {
        let state = schedule(&world, asp).await;
        assert_eq!((state.pending, state.failure), (0, None), "nothing waits, and nothing has failed");
    }
}

#[tokio::test]
async fn a_clock_that_was_wrong_does_not_silence_a_policy() {
    let world = World::new().await;
    let instance = world.instance("ap-guangzhou-3").await;
    let disk = world.attached_disk(instance).await;
    let retention = RetentionWish { permanent: Some(true), ..RetentionWish::default() };
    let asp = policy(&world, CreateSnapshotPolicy { retention, ..daily() }).await;
    bind(&world, asp, &[disk], &[]).await;
    at(&world, 19 * HOUR_MS).await;
    at(&world, 18 * HOUR_MS).await;
    at(&world, 19 * HOUR_MS).await;
    assert_eq!(taken(&world, disk).await, [19], "an hour that comes again fires once");
    at(&world, 1000 * DAY_MS).await;
    at(&world, 20 * HOUR_MS).await;
    at(&world, 43 * HOUR_MS).await;
    assert_eq!(taken(&world, disk).await, [19, 43, 1000 * 24]);
}
