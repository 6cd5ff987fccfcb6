//! Whatever makes something due asks for a look: no timer runs in these tests.

use std::time::Duration;

use ashlar_types::{DiskChargeType, DiskState, Money, SnapshotPolicyId, SnapshotPolicyState};

use super::harness::*;
use crate::*;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Whether somebody has asked for a look since the last time.
pub(crate) async fn rung(world: &World) -> bool {
    tokio::time::timeout(Duration::ZERO, world.control.due.notified()).await.is_ok()
}

/// Forgets what was asked for before.
pub(crate) async fn quiet(world: &World) {
    rung(world).await;
    assert!(!rung(world).await);
}

/// A look that nobody has to wait for, and those that it asks for itself.
async fn look(world: &World, why: &str) {
    assert!(rung(world).await, "{why} asks for a look");
    for _ in 0..3 {
        world.control.reconcile().await.unwrap();
        if !rung(world).await {
            return;
        }
    }
    panic!("looks ask for looks without end");
}

async fn policy(world: &World) -> SnapshotPolicyId {
    let rule = NewRule { hours: vec![3], interval_days: Some(1), ..NewRule::default() };
    let wanted = CreateSnapshotPolicy { rules: vec![rule], ..CreateSnapshotPolicy::default() };
    world.control.create_snapshot_policy(&caller(), wanted).await.unwrap().id.unwrap()
}

async fn schedule(world: &World, policy: SnapshotPolicyId) -> ScheduleState {
    let states = world.control.schedules().await.unwrap();
    states.into_iter().find(|state| state.policy == policy).unwrap()
}

/// An account that owes money, and its policy, which rests because of it.
async fn debtor(world: &World) -> SnapshotPolicyId {
    let asp = policy(world).await;
    look(world, "a new policy").await;
    world.control.set_balance(FIRST_ACCOUNT, Some(Money(-1))).await.unwrap();
    look(world, "a new balance").await;
    assert_eq!(schedule(world, asp).await.state, SnapshotPolicyState::Isolated);
    asp
}

#[tokio::test]
async fn policies_that_are_made_changed_and_copied() {
    let world = World::new().await;
    quiet(&world).await;
    let asp = policy(&world).await;
    look(&world, "a new policy").await;
    assert!(schedule(&world, asp).await.next_trigger.is_some());

    for (activated, fires) in [(false, false), (true, true)] {
        let change = ModifySnapshotPolicy {
            policy: asp,
            name: None,
            activated: Some(activated),
            rules: None,
            retention: RetentionWish::default(),
        };
        world.control.modify_snapshot_policy(&caller(), change).await.unwrap();
        look(&world, "a changed policy").await;
        assert_eq!(schedule(&world, asp).await.next_trigger.is_some(), fires);
    }

    let other = world.control.add_account("other").await.unwrap().uin;
    world.control.copy_snapshot_policies(&caller(), vec![asp], &other.to_string()).await.unwrap();
    look(&world, "a copied policy").await;
    assert!(world.control.schedules().await.unwrap().iter().all(|state| state.next_trigger.is_some()));
}

#[tokio::test]
async fn money_that_comes_and_goes() {
    let world = World::new().await;
    let asp = debtor(&world).await;
    world.control.add_balance(FIRST_ACCOUNT, Money(1)).await.unwrap();
    look(&world, "money").await;
    let state = schedule(&world, asp).await;
    assert_eq!((state.state, state.next_trigger.is_some()), (SnapshotPolicyState::Normal, true));
}

#[tokio::test]
async fn refunds_that_end_a_debt() {
    for to_postpaid in [false, true] {
        let world = World::new().await;
        let disk = world.prepaid_disk(None).await;
        let asp = debtor(&world).await;
        if to_postpaid {
            let wanted = ModifyDisksChargeType { disks: vec![disk], prepaid: None, postpaid: Some(true) };
            world.control.modify_disks_charge_type(&caller(), wanted).await.unwrap();
        } else {
            world.terminate(disk).await.unwrap();
        }
        look(&world, "a refund").await;
        assert_eq!(schedule(&world, asp).await.state, SnapshotPolicyState::Normal);
    }
}

#[tokio::test]
async fn the_rest_of_an_hour_that_makes_a_debt() {
    for to_prepaid in [false, true] {
        let world = World::new().await;
        let disk = world.disk().await;
        let asp = policy(&world).await;
        world.control.set_balance(FIRST_ACCOUNT, Some(Money(0))).await.unwrap();
        look(&world, "a new policy").await;
        world.clock.advance_ms(HOUR_MS / 2);
        if to_prepaid {
            // It has to be paid, and what is left does not reach for the half hour.
            let prepaid =
                DiskChargePrepaid { period_months: 1, renew_flag: None, cur_instance_deadline: None };
            let wanted = ModifyDisksChargeType { disks: vec![disk], prepaid: Some(prepaid), postpaid: None };
            assert!(world.control.modify_disks_charge_type(&caller(), wanted).await.is_err());
            assert!(!rung(&world).await, "a refused call changes nothing");
            continue;
        }
        world.terminate(disk).await.unwrap();
        look(&world, "the last use of a disk").await;
        assert_eq!(schedule(&world, asp).await.state, SnapshotPolicyState::Isolated);
    }
}

#[tokio::test]
async fn the_end_of_a_job_that_an_expired_disk_had_to_wait_for() {
    let world = World::new().await;
    let instance = world.instance("ap-guangzhou-3").await;
    let disk = world.prepaid_disk(None).await;
    world.attach(disk, instance).await.unwrap();
    world.clock.advance_ms(40 * DAY_MS);
    quiet(&world).await;
    // The first look takes it out of its machine; that it is out asks for the second, which isolates it.
    world.control.reconcile().await.unwrap();
    assert_eq!(world.view(disk).await.disk.state, DiskState::Unattached);
    look(&world, "the detaching of an expired disk").await;
    assert_eq!(world.view(disk).await.disk.state, DiskState::ToRecycle);
    assert_eq!(world.view(disk).await.disk.charge_type, DiskChargeType::Prepaid);
}

#[tokio::test]
async fn a_snapshot_that_comes_back_after_its_promise() {
    let mut settings = Settings::default();
    settings.snapshots.recycle_days = 30;
    let world = World::with(settings, None, 1).await;
    let instance = world.instance("ap-guangzhou-3").await;
    let disk = world.attached_disk(instance).await;
    let retention = RetentionWish { amount: Some(1), ..RetentionWish::default() };
    let rule = NewRule { hours: vec![3], interval_days: Some(1), ..NewRule::default() };
    let wanted = CreateSnapshotPolicy { rules: vec![rule], retention, ..CreateSnapshotPolicy::default() };
    let asp = world.control.create_snapshot_policy(&caller(), wanted).await.unwrap().id.unwrap();
    let bound = BoundBy { policy: asp, disks: vec![disk], instances: Vec::new() };
    world.control.bind_snapshot_policy(&caller(), bound).await.unwrap();
    for day in 0..2 {
        world.clock.set(BEGIN.plus_ms((19 + 24 * day) * HOUR_MS));
        world.control.reconcile().await.unwrap();
    }
    let first = world.control.recycled_snapshots().await.unwrap().remove(0).snapshot.id;
    quiet(&world).await;
    world.control.restore_snapshot(first).await.unwrap();
    assert_eq!(world.snapshots().await.total_count, 2);
    look(&world, "a restored snapshot").await;
    assert_eq!(world.snapshots().await.total_count, 1, "its policy has a newer one and promised one");
}

#[tokio::test]
async fn policies_that_the_operator_stops() {
    let world = World::new().await;
    let (asp, other) = (policy(&world).await, policy(&world).await);
    look(&world, "a new policy").await;
    let one = |isolated| IsolateSnapshotPolicies { policies: vec![asp], account: None, isolated };
    let states = world.control.isolate_snapshot_policies(one(true)).await.unwrap();
    assert_eq!(states.iter().map(|state| state.policy).collect::<Vec<_>>(), [asp]);
    assert_eq!(states[0].state, SnapshotPolicyState::Isolated);
    look(&world, "a stopped policy").await;
    assert_eq!(schedule(&world, asp).await.next_trigger, None);
    assert_eq!(schedule(&world, other).await.state, SnapshotPolicyState::Normal);

    // Its owner can pay and ask: it stays stopped. Deleting it is the owner's right.
    world.control.add_balance(FIRST_ACCOUNT, Money(1)).await.unwrap();
    look(&world, "money").await;
    let change = ModifySnapshotPolicy {
        policy: asp,
        name: None,
        activated: Some(true),
        rules: None,
        retention: RetentionWish::default(),
    };
    let refused = world.control.modify_snapshot_policy(&caller(), change).await.unwrap_err();
    assert!(matches!(refused, ControlError::SnapshotPolicy(SnapshotPolicyError::Isolated(_))), "{refused:?}");

    // What went by while it was stopped does not fire afterwards.
    world.clock.advance_ms(20 * HOUR_MS);
    world.control.isolate_snapshot_policies(one(false)).await.unwrap();
    look(&world, "a policy that goes on").await;
    let state = schedule(&world, asp).await;
    assert_eq!(
        (state.state, state.next_trigger),
        (SnapshotPolicyState::Normal, Some(BEGIN.plus_ms(43 * HOUR_MS)))
    );

    // All of an account; a debt outlasts the operator's release.
    let all =
        |isolated| IsolateSnapshotPolicies { account: Some(FIRST_ACCOUNT), isolated, ..Default::default() };
    assert_eq!(world.control.isolate_snapshot_policies(all(true)).await.unwrap().len(), 2);
    world.control.set_balance(FIRST_ACCOUNT, Some(Money(-1))).await.unwrap();
    let states = world.control.isolate_snapshot_policies(all(false)).await.unwrap();
    assert!(states.iter().all(|one| one.state == SnapshotPolicyState::Isolated && !one.isolated_by_operator));
    let unknown = IsolateSnapshotPolicies {
        policies: vec![asp, "asp-zzzzzzzz".parse().unwrap()],
        account: None,
        isolated: true,
    };
    let refused = world.control.isolate_snapshot_policies(unknown).await.unwrap_err();
    assert!(matches!(refused, ControlError::SnapshotPolicy(SnapshotPolicyError::NotFound(_))), "{refused:?}");
    assert!(!schedule(&world, asp).await.isolated_by_operator, "all of them, or none");
}
