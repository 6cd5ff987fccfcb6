//! Calls on scheduled snapshot policies.

use ashlar_db::Account;
use ashlar_types::{AccountUin, AppId, SnapshotPolicyId, SnapshotPolicyState};
use ashlar_volume::ErrorKind;

use super::harness::{World, caller, new_disks};
use crate::*;

const OTHER: AccountUin = AccountUin(100_000_000_002);

fn nightly() -> CreateSnapshotPolicy {
    let rule = NewRule { hours: vec![2], weekdays: vec![0, 1, 2, 3, 4, 5, 6], ..NewRule::default() };
    CreateSnapshotPolicy { rules: vec![rule], ..CreateSnapshotPolicy::default() }
}

async fn policy(world: &World) -> SnapshotPolicyId {
    world.control.create_snapshot_policy(&caller(), nightly()).await.unwrap().id.unwrap()
}

async fn shown(world: &World, caller: &Caller) -> Vec<SnapshotPolicyView> {
    let wanted = DescribeSnapshotPolicies::default();
    world.control.describe_snapshot_policies(caller, wanted).await.unwrap().items
}

async fn with_other_account(world: &World) -> Caller {
    let mut tx = world.control.db.write().await.unwrap();
    let (name, created) = (String::new(), super::harness::BEGIN);
    let account = Account { uin: OTHER, app_id: AppId(2), name, enabled: true, created };
    tx.accounts().insert(&account).await.unwrap();
    tx.commit().await.unwrap();
    Caller { account: OTHER, ..caller() }
}

async fn isolate(world: &World, id: SnapshotPolicyId) {
    let mut tx = world.control.db.write().await.unwrap();
    let caller = caller();
    let found = tx.snapshot_policies().find(caller.account, &caller.region, id).await.unwrap().unwrap();
    let isolated = SnapshotPolicy { state: SnapshotPolicyState::Isolated, ..found };
    tx.snapshot_policies().save(&isolated).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_copy_belongs_to_the_other_account_and_follows_a_second_copy() {
    let world = World::new().await;
    let other = with_other_account(&world).await;
    let id = policy(&world).await;
    let target = OTHER.to_string();
    world.control.copy_snapshot_policies(&caller(), vec![id], &target).await.unwrap();
    let [origin] = <[_; 1]>::try_from(shown(&world, &caller()).await).unwrap();
    let [copy] = <[_; 1]>::try_from(shown(&world, &other).await).unwrap();
    assert_eq!(origin.copied_to, Some(OTHER));
    assert_eq!(copy.policy.copied_from, Some((FIRST_ACCOUNT, id)));
    assert_ne!(copy.policy.id, id);
    assert_eq!(copy.policy.rules, origin.policy.rules);

    let retention = RetentionWish { days: Some(30), ..RetentionWish::default() };
    let change = ModifySnapshotPolicy { policy: id, name: None, activated: None, rules: None, retention };
    world.control.modify_snapshot_policy(&caller(), change).await.unwrap();
    world.control.copy_snapshot_policies(&caller(), vec![id], &target).await.unwrap();
    let [again] = <[_; 1]>::try_from(shown(&world, &other).await).unwrap();
    assert_eq!(
        (again.policy.id, again.policy.retention),
        (copy.policy.id, ashlar_types::Retention::Days(30))
    );

    // What the other account deletes is no copy any more.
    world.control.delete_snapshot_policies(&other, vec![copy.policy.id]).await.unwrap();
    assert_eq!(shown(&world, &caller()).await[0].copied_to, None);
}

#[tokio::test]
async fn a_copy_needs_another_account_with_room() {
    let settings = Settings {
        limits: Limits { snapshot_policies_per_region: 1, ..Limits::default() },
        ..Settings::default()
    };
    let world = World::with(settings, None, 1).await;
    let other = with_other_account(&world).await;
    let id = policy(&world).await;
    for wrong in ["", "nobody", "100000000009", &FIRST_ACCOUNT.to_string()] {
        let refused = world.control.copy_snapshot_policies(&caller(), vec![id], wrong).await.unwrap_err();
        assert!(matches!(refused, ControlError::Parameter(ParameterError::Malformed { .. })), "{refused:?}");
    }
    world.control.create_snapshot_policy(&other, nightly()).await.unwrap();
    let target = OTHER.to_string();
    let refused = world.control.copy_snapshot_policies(&caller(), vec![id], &target).await.unwrap_err();
    assert!(matches!(refused, ControlError::Quota(QuotaError::SnapshotPolicies { at_most: 1 })));
    let refused = world.control.create_snapshot_policy(&caller(), nightly()).await.unwrap_err();
    assert!(matches!(refused, ControlError::Quota(QuotaError::SnapshotPolicies { at_most: 1 })));
}

#[tokio::test]
async fn another_account_sees_nothing_of_a_policy() {
    let world = World::new().await;
    let other = with_other_account(&world).await;
    let (id, disk) = (policy(&world).await, world.disk().await);
    assert_eq!(shown(&world, &other).await, vec![]);
    let bound = BoundBy { policy: id, disks: vec![disk], instances: vec![] };
    let refused = world.control.bind_snapshot_policy(&other, bound.clone()).await.unwrap_err();
    assert!(matches!(refused, ControlError::SnapshotPolicy(SnapshotPolicyError::NotFound(_))));
    world.control.bind_snapshot_policy(&caller(), bound).await.unwrap();
    let seen = world.control.snapshot_policies_of_disk(&other, disk).await.unwrap();
    assert_eq!(seen.total_count, 0);
    let refused = world.control.delete_snapshot_policies(&other, vec![id]).await.unwrap_err();
    assert!(matches!(refused, ControlError::SnapshotPolicy(SnapshotPolicyError::NotFound(_))));
}

#[tokio::test]
async fn an_isolated_policy_can_only_be_deleted() {
    let world = World::new().await;
    let (id, disk) = (policy(&world).await, world.disk().await);
    isolate(&world, id).await;
    assert_eq!(shown(&world, &caller()).await[0].next_trigger, None);
    let is_isolated = |error: ControlError| {
        assert!(matches!(error, ControlError::SnapshotPolicy(SnapshotPolicyError::Isolated(_))), "{error:?}");
    };
    let bound = BoundBy { policy: id, disks: vec![disk], instances: vec![] };
    is_isolated(world.control.bind_snapshot_policy(&caller(), bound.clone()).await.unwrap_err());
    is_isolated(world.control.unbind_snapshot_policy(&caller(), bound).await.unwrap_err());
    let change = ModifySnapshotPolicy {
        policy: id,
        name: None,
        activated: Some(false),
        rules: None,
        retention: RetentionWish::default(),
    };
    is_isolated(world.control.modify_snapshot_policy(&caller(), change).await.unwrap_err());
    let wanted = CreateDisks { policy: Some(id), ..new_disks() };
    is_isolated(world.control.create_disks(&caller(), wanted).await.unwrap_err());
    world.control.delete_snapshot_policies(&caller(), vec![id]).await.unwrap();
    assert_eq!(shown(&world, &caller()).await, vec![]);
}

#[tokio::test]
async fn a_disk_that_could_not_be_made_leaves_no_binding() {
    let world = World::new().await;
    let id = policy(&world).await;
    *world.stores.refusal.lock() = Some(ErrorKind::NoSpace);
    let wanted = CreateDisks { policy: Some(id), ..new_disks() };
    assert!(world.control.create_disks(&caller(), wanted).await.is_err());
    *world.stores.refusal.lock() = None;
    assert_eq!(shown(&world, &caller()).await[0].disks, vec![]);

    let wanted = CreateDisks { policy: Some(id), count: Some(2), ..new_disks() };
    let mut disks = world.control.create_disks(&caller(), wanted).await.unwrap();
    disks.sort_unstable();
    assert_eq!(shown(&world, &caller()).await[0].disks, disks);
    world.terminate(disks[0]).await.unwrap();
    assert_eq!(shown(&world, &caller()).await[0].disks, disks[1..]);
}

#[tokio::test]
async fn an_interval_is_counted_from_the_last_change_of_the_rules() {
    let world = World::new().await;
    // 2026-01-01T08:00 in the service's zone.
    let rule = |hour| NewRule { hours: vec![hour], interval_days: Some(10), ..NewRule::default() };
    let wanted = CreateSnapshotPolicy { rules: vec![rule(7)], ..CreateSnapshotPolicy::default() };
    let made = world.control.create_snapshot_policy(&caller(), wanted).await.unwrap();
    assert_eq!(made.next_trigger.map(wire_time).as_deref(), Some("2026-01-11 07:00:00"));
    world.clock.advance_ms(24 * 3_600_000);
    let change = |rules| ModifySnapshotPolicy {
        policy: made.id.unwrap(),
        name: None,
        activated: None,
        rules: Some(rules),
        retention: RetentionWish::default(),
    };
    for (hour, expected) in [(7, "2026-01-11 07:00:00"), (9, "2026-01-02 09:00:00")] {
        world.control.modify_snapshot_policy(&caller(), change(vec![rule(hour)])).await.unwrap();
        let next = shown(&world, &caller()).await[0].next_trigger;
        assert_eq!(next.map(wire_time).as_deref(), Some(expected));
    }
}
