//! What time does to prepaid disks, and what use costs.

use ashlar_types::{DiskChargeType, DiskState, Money, RenewFlag, UnixMillis};

use super::harness::*;
use crate::*;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Goes to a time after the beginning and lets the reconcilers run there until nothing moves.
async fn at(world: &World, since_begin_ms: i64) {
    world.clock.set(BEGIN.plus_ms(since_begin_ms));
    for _ in 0..4 {
        world.control.reconcile().await.unwrap();
        world.control.runner.idle().await;
    }
}

/// The kinds and amounts of the ledger in a time after the beginning.
async fn bill(world: &World, from_ms: i64, until_ms: i64) -> Vec<(LedgerKind, Money)> {
    let (from, until) = (BEGIN.plus_ms(from_ms), BEGIN.plus_ms(until_ms));
    let lines = world.control.bill(from, until, Some(FIRST_ACCOUNT), &BillBy::Account).await.unwrap();
    lines.into_iter().map(|line| (line.kind, line.amount)).collect()
}

#[tokio::test]
async fn a_prepaid_disk_in_a_machine_is_taken_out_isolated_and_deleted() {
    let world = World::new().await;
    let instance = world.instance("ap-guangzhou-3").await;
    let disk = world.prepaid_disk(None).await;
    world.attach(disk, instance).await.unwrap();
    world.write(disk, 9);
    let deadline = world.view(disk).await.disk.deadline.unwrap();
    let end_ms = deadline.0 - BEGIN.0;

    at(&world, end_ms - 1).await;
    assert_eq!(world.view(disk).await.disk.state, DiskState::Attached);
    at(&world, end_ms).await;
    let isolated = world.view(disk).await.disk;
    assert_eq!((isolated.state, isolated.instance()), (DiskState::ToRecycle, None));
    assert!(world.attach(disk, instance).await.is_err());

    // Its bytes are kept, and a renewal brings it back.
    at(&world, end_ms + 6 * DAY_MS).await;
    let prepaid = DiskChargePrepaid { period_months: 1, renew_flag: None, cur_instance_deadline: None };
    world.control.renew_disk(&caller(), disk, prepaid).await.unwrap();
    world.attach(disk, instance).await.unwrap();
    assert_eq!(world.read(disk), 9);

    // Isolated once more and left alone, it goes after the recycle period and no sooner.
    let end_ms = world.view(disk).await.disk.deadline.unwrap().0 - BEGIN.0;
    at(&world, end_ms + HOUR_MS).await;
    at(&world, end_ms + HOUR_MS + 7 * DAY_MS - 1).await;
    assert_eq!(world.view(disk).await.disk.state, DiskState::ToRecycle);
    at(&world, end_ms + HOUR_MS + 7 * DAY_MS).await;
    assert_eq!(world.disks().await.total_count, 0);
    assert_eq!(world.snapshots().await.total_count, 0);
    world.check_rest().await;
}

#[tokio::test]
async fn a_last_snapshot_outlives_the_disk() {
    let mut settings = Settings::default();
    settings.billing.final_snapshot = true;
    let world = World::with(settings, None, 1).await;
    let disk = world.prepaid_disk(None).await;
    assert!(world.view(disk).await.backup_disk);
    world.terminate(disk).await.unwrap();
    at(&world, 7 * DAY_MS).await;
    assert_eq!(world.disks().await.total_count, 0);
    let kept = world.snapshots().await.items.remove(0).snapshot;
    assert!(kept.is_permanent() && kept.disk == Some(disk));
    assert_eq!(kept.name, format!("{disk} at its end"));
}

#[tokio::test]
async fn a_disk_renews_itself_while_its_account_can_pay() {
    let world = World::new().await;
    let disk = world.prepaid_disk(Some(RenewFlag::NotifyAndAutoRenew)).await;
    let price = world.control.balance(FIRST_ACCOUNT).await.unwrap();
    assert_eq!(price, None, "no limit at first");
    at(&world, 32 * DAY_MS).await;
    let renewed = bill(&world, 1, 33 * DAY_MS).await;
    assert!(matches!(renewed.as_slice(), [(LedgerKind::Renewal, amount)] if *amount > Money::ZERO));
    let Some((_, amount)) = renewed.first() else { panic!("renewed") };

    // Enough for one more month, then not.
    world.control.set_balance(FIRST_ACCOUNT, Some(amount.plus(Money(1)))).await.unwrap();
    at(&world, 64 * DAY_MS).await;
    assert_eq!(world.view(disk).await.disk.state, DiskState::Unattached);
    assert_eq!(world.control.balance(FIRST_ACCOUNT).await.unwrap(), Some(Money(1)));
    at(&world, 95 * DAY_MS).await;
    assert_eq!(world.view(disk).await.disk.state, DiskState::ToRecycle);
}

#[tokio::test]
async fn use_is_charged_by_the_hour_and_to_the_end() {
    let world = World::new().await;
    let disk = world.disk().await;
    let view = world.view(disk).await.disk;
    let hourly = world.settings.prices.hour(&price::Priced::of(&view)).total().discounted;
    assert!(hourly > Money::ZERO);
    at(&world, HOUR_MS - 1).await;
    assert_eq!(bill(&world, 0, DAY_MS).await, []);
    at(&world, HOUR_MS).await;
    assert_eq!(bill(&world, 0, DAY_MS).await, [(LedgerKind::Usage, hourly)]);
    // The server was away: what was missed is charged, and nothing twice.
    at(&world, 10 * HOUR_MS + 5).await;
    at(&world, 9 * HOUR_MS).await;
    at(&world, 10 * HOUR_MS + 9).await;
    assert_eq!(bill(&world, 0, DAY_MS).await, [(LedgerKind::Usage, hourly.times(10))]);
    // Given back in the middle of an hour: half of it.
    world.clock.set(BEGIN.plus_ms(10 * HOUR_MS + HOUR_MS / 2));
    world.terminate(disk).await.unwrap();
    at(&world, 20 * HOUR_MS).await;
    let half = Money(hourly.0 / 2);
    assert_eq!(bill(&world, 0, DAY_MS).await, [(LedgerKind::Usage, hourly.times(10).plus(half))]);
}

#[tokio::test]
async fn snapshots_beyond_the_free_tier_are_charged() {
    let mut settings = Settings::default();
    settings.limits.free_snapshot_gib = 0;
    let world = World::with(settings, None, 1).await;
    let prepaid = world.prepaid_disk(None).await;
    let instance = world.instance("ap-guangzhou-3").await;
    world.attach(prepaid, instance).await.unwrap();
    world.write(prepaid, 1);
    world.snapshot(prepaid).await;
    at(&world, HOUR_MS).await;
    at(&world, 2 * HOUR_MS).await;
    let charged = bill(&world, 1, DAY_MS).await;
    // 4 KiB for an hour are far below a millionth of anything; the account is looked at all the same.
    assert_eq!(charged, []);
    let until = BEGIN.plus_ms(3 * HOUR_MS);
    let due = world.control.db.read().await.unwrap().usage().due_snapshots(until).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].from, Some(BEGIN.plus_ms(2 * HOUR_MS)));
}

#[tokio::test]
async fn debts_stop_policies_until_they_are_paid() {
    let world = World::new().await;
    let instance = world.instance("ap-guangzhou-3").await;
    let disk = world.attached_disk(instance).await;
    let rule = NewRule { hours: vec![3], interval_days: Some(1), ..NewRule::default() };
    let wanted = CreateSnapshotPolicy { rules: vec![rule], ..CreateSnapshotPolicy::default() };
    let policy = world.control.create_snapshot_policy(&caller(), wanted).await.unwrap().id.unwrap();
    let bound = BoundBy { policy, disks: vec![disk], instances: Vec::new() };
    world.control.bind_snapshot_policy(&caller(), bound).await.unwrap();
    world.control.set_balance(FIRST_ACCOUNT, Some(Money(1))).await.unwrap();
    // The first hour cannot be paid; the policy rests, and its moment goes by.
    at(&world, 2 * HOUR_MS).await;
    assert!(world.control.balance(FIRST_ACCOUNT).await.unwrap() < Some(Money::ZERO));
    at(&world, 20 * HOUR_MS).await;
    assert_eq!(world.snapshots().await.total_count, 0);
    world.control.set_balance(FIRST_ACCOUNT, None).await.unwrap();
    at(&world, 21 * HOUR_MS).await;
    assert_eq!(world.snapshots().await.total_count, 0, "what went by does not fire afterwards");
    at(&world, 43 * HOUR_MS).await;
    assert_eq!(world.snapshots().await.total_count, 1);
}

#[tokio::test]
async fn bills_are_broken_down_by_project_and_tag() {
    let world = World::new().await;
    let tag = |value: &str| Tag { key: "team".to_owned(), value: value.to_owned() };
    for value in ["red", "blue"] {
        let wanted = CreateDisks { tags: vec![tag(value)], ..new_disks() };
        world.control.create_disks(&caller(), wanted).await.unwrap();
    }
    world.disk().await;
    at(&world, 3 * HOUR_MS).await;
    let of = async |by: BillBy| {
        let until = UnixMillis(BEGIN.0 + DAY_MS);
        world.control.bill(BEGIN, until, None, &by).await.unwrap()
    };
    let by_tag = of(BillBy::Tag("team".to_owned())).await;
    let values: Vec<_> = by_tag.iter().map(|line| line.tag_value.as_deref()).collect();
    assert_eq!(values, [None, Some("blue"), Some("red")]);
    let by_project = of(BillBy::Project).await;
    assert_eq!(by_project.len(), 1);
    assert_eq!(by_project[0].project.map(|project| project.0), Some(0));
    let sum = by_tag.iter().fold(Money::ZERO, |sum, line| sum.plus(line.amount));
    assert_eq!(sum, by_project[0].amount);
    assert_eq!(new_disks().charge_type, DiskChargeType::PostpaidByHour);
}
