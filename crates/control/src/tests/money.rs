//! What disks cost, and what accounts have left: the ledger says the same as every inquiry before it.

use ashlar_types::{DiskChargeType, DiskState, DiskType, Money, RenewFlag, UnixMillis};
use ashlar_volume::ErrorKind;

use super::harness::{BEGIN, World, caller, new_disks};
use crate::*;

const DAY_MS: i64 = 24 * 3600 * 1000;

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

const fn months(period_months: u64) -> DiskChargePrepaid {
    DiskChargePrepaid { period_months, renew_flag: None, cur_instance_deadline: None }
}

/// A prepaid CLOUD_TSSD disk of 500 GiB with 100 MiB/s extra: the reference's example of 800 a month.
fn dear_disk(period_months: u64) -> CreateDisks {
    CreateDisks {
        charge_type: DiskChargeType::Prepaid,
        disk_type: DiskType::CloudTssd,
        size_gib: Some(500),
        throughput_performance_mib: Some(100),
        prepaid: Some(months(period_months)),
        ..new_disks()
    }
}

fn inquiry(wanted: &CreateDisks) -> InquiryPriceCreateDisks {
    InquiryPriceCreateDisks {
        charge_type: wanted.charge_type,
        disk_type: wanted.disk_type,
        size_gib: wanted.size_gib.unwrap(),
        project: None,
        count: wanted.count,
        throughput_performance_mib: wanted.throughput_performance_mib,
        prepaid: wanted.prepaid.clone(),
        backup_quota: wanted.backup_quota,
    }
}

fn prepaid_total(price: Price) -> Money {
    match price {
        Price::Prepaid(quote) => quote.total().discounted,
        Price::Hourly(_) => panic!("{price:?} is paid by the hour"),
    }
}

fn hourly_total(price: Price) -> Money {
    match price {
        Price::Hourly(quote) => quote.total().discounted,
        Price::Prepaid(_) => panic!("{price:?} is prepaid"),
    }
}

async fn balance(world: &World) -> Money {
    world.control.balance(FIRST_ACCOUNT).await.unwrap().unwrap()
}

async fn entries(world: &World) -> Vec<(LedgerKind, Money)> {
    let listed = world.control.ledger(FIRST_ACCOUNT, 0, 100).await.unwrap();
    assert_eq!(listed.total_count, listed.items.len() as u64);
    listed.items.iter().rev().map(|entry| (entry.kind, entry.amount)).collect()
}

/// The entries of a limited account sum up to what it has.
async fn check_sum(world: &World) {
    let sum = entries(world).await.iter().fold(Money::ZERO, |sum, (_, amount)| sum.plus(amount.negated()));
    assert_eq!(sum, balance(world).await);
}

async fn limited(balance: &str) -> World {
    let world = World::new().await;
    world.control.set_balance(FIRST_ACCOUNT, Some(money(balance))).await.unwrap();
    world
}

fn is_too_dear(result: &Result<impl std::fmt::Debug, ControlError>) -> bool {
    matches!(result, Err(ControlError::Money(MoneyError::InsufficientBalance { .. })))
}

#[tokio::test]
async fn a_purchase_costs_what_the_inquiry_said() {
    let world = limited("2000").await;
    let wanted = CreateDisks { count: Some(2), ..dear_disk(1) };
    let told = world.control.inquiry_price_create_disks(&caller(), inquiry(&wanted)).await.unwrap();
    assert_eq!(prepaid_total(told), money("1600"));
    world.control.create_disks(&caller(), wanted.clone()).await.unwrap();
    assert_eq!(balance(&world).await, money("400"));
    let before = world.seen().await;
    let refused = world.control.create_disks(&caller(), wanted).await;
    assert!(is_too_dear(&refused), "{refused:?}");
    assert_eq!(world.seen().await, before);
    assert_eq!(balance(&world).await, money("400"), "the first of two is not charged alone");
    check_sum(&world).await;
}

#[tokio::test]
async fn what_is_paid_afterwards_needs_an_hours_worth_and_charges_nothing() {
    let world = limited("0.0042").await;
    world.disk().await;
    assert_eq!(balance(&world).await, money("0.0042"));
    world.control.set_balance(FIRST_ACCOUNT, Some(money("0.004199"))).await.unwrap();
    assert!(is_too_dear(&world.control.create_disks(&caller(), new_disks()).await));
    world.control.set_balance(FIRST_ACCOUNT, None).await.unwrap();
    assert_eq!(world.control.balance(FIRST_ACCOUNT).await.unwrap(), None);
    world.disk().await;
}

#[tokio::test]
async fn a_purchase_that_fails_is_paid_back() {
    let world = limited("1000").await;
    *world.stores.refusal.lock() = Some(ErrorKind::NoSpace);
    world.control.create_disks(&caller(), dear_disk(1)).await.unwrap_err();
    *world.stores.refusal.lock() = None;
    world.control.reconcile().await.unwrap();
    world.control.runner.idle().await;
    assert_eq!(balance(&world).await, money("1000"));
    let kinds: Vec<_> = entries(&world).await.into_iter().map(|(kind, _)| kind).collect();
    assert!(kinds.is_empty() || kinds == [LedgerKind::Balance] || kinds.ends_with(&[LedgerKind::Reversal]));
    check_sum(&world).await;
    world.check_rest().await;
}

#[tokio::test]
async fn a_larger_disk_pays_the_difference_for_the_rest_of_its_time() {
    let world = limited("1000").await;
    let id = world.control.create_disks(&caller(), dear_disk(1)).await.unwrap()[0];
    // January has 31 days; 16 of them are left.
    world.clock.advance_ms(15 * DAY_MS);
    let wanted = InquiryPriceResizeDisk { disk: Some(id), disks: vec![], size_gib: 530, project: None };
    let told = world.control.inquiry_price_resize_disk(&caller(), wanted).await.unwrap();
    // 30 GiB at 1 a month of 30 days.
    assert_eq!(prepaid_total(told), money("16"));
    world.control.resize_disk(&caller(), id, 530).await.unwrap();
    assert_eq!(balance(&world).await, money("184"));

    *world.stores.refusal.lock() = Some(ErrorKind::NoSpace);
    world.control.resize_disk(&caller(), id, 560).await.unwrap_err();
    *world.stores.refusal.lock() = None;
    assert_eq!(balance(&world).await, money("184"), "a resize that failed costs nothing");

    let refused = world.control.resize_disk(&caller(), id, 1000).await;
    assert!(is_too_dear(&refused), "{refused:?}");
    assert_eq!(world.view(id).await.disk.size_gib, 530);
    check_sum(&world).await;
    world.check_rest().await;
}

#[tokio::test]
async fn extra_performance_and_backup_points_are_paid_and_kept() {
    let world = limited("1000").await;
    let id = world.control.create_disks(&caller(), dear_disk(1)).await.unwrap()[0];
    world.clock.advance_ms(DAY_MS);
    let wanted = InquirePriceModifyDiskExtraPerformance { disk: id, throughput_performance_mib: 110 };
    let told = world.control.inquire_price_modify_disk_extra_performance(&caller(), wanted).await.unwrap();
    assert_eq!(prepaid_total(told), money("30"));
    world.control.modify_disk_extra_performance(&caller(), id, 110).await.unwrap();
    assert_eq!(balance(&world).await, money("170"));
    let wanted = InquirePriceModifyDiskBackupQuota { disk: id, backup_quota: 1 };
    let told = world.control.inquire_price_modify_disk_backup_quota(&caller(), wanted).await.unwrap();
    assert_eq!(prepaid_total(told), money("40"));
    world.control.modify_disk_backup_quota(&caller(), id, 1).await.unwrap();
    assert_eq!(balance(&world).await, money("130"));
    let disk = world.view(id).await.disk;
    assert_eq!((disk.throughput_performance_mib, disk.backup_quota), (110, 1));
    // Less costs nothing and pays nothing back.
    world.control.modify_disk_extra_performance(&caller(), id, 0).await.unwrap();
    assert_eq!(balance(&world).await, money("130"));
    check_sum(&world).await;

    let cheap = world.disk().await;
    let refused = world.control.modify_disk_extra_performance(&caller(), cheap, 10).await;
    assert!(matches!(refused, Err(ControlError::Disk(DiskError::NotSupported { .. }))), "{refused:?}");
    let refused = world.control.modify_disk_extra_performance(&caller(), id, 3_651).await;
    assert!(matches!(refused, Err(ControlError::Parameter(ParameterError::Invalid { .. }))), "{refused:?}");
    let refused = world.control.modify_disk_backup_quota(&caller(), id, 501).await;
    assert!(matches!(refused, Err(ControlError::Parameter(ParameterError::Invalid { .. }))), "{refused:?}");
}

#[tokio::test]
async fn by_the_hour_an_inquiry_tells_the_hour_afterwards() {
    let world = World::new().await;
    let id = world.disk().await;
    let wanted = InquiryPriceResizeDisk { disk: None, disks: vec![id], size_gib: 100, project: None };
    let told = world.control.inquiry_price_resize_disk(&caller(), wanted.clone()).await.unwrap();
    assert_eq!(hourly_total(told), money("0.042"));
    let quota = InquirePriceModifyDiskBackupQuota { disk: id, backup_quota: 10 };
    let told = world.control.inquire_price_modify_disk_backup_quota(&caller(), quota).await.unwrap();
    assert_eq!(hourly_total(told), money("0.0212"));
    for wrong in [
        InquiryPriceResizeDisk { disk: Some(id), ..wanted.clone() },
        InquiryPriceResizeDisk { disks: vec![], ..wanted.clone() },
        InquiryPriceResizeDisk { size_gib: 9, ..wanted.clone() },
        InquiryPriceResizeDisk { project: Some(ashlar_types::ProjectId(9)), ..wanted.clone() },
    ] {
        assert!(world.control.inquiry_price_resize_disk(&caller(), wrong).await.is_err());
    }
    let prepaid = world.prepaid_disk(None).await;
    let mixed = InquiryPriceResizeDisk { disks: vec![id, prepaid], ..wanted };
    let refused = world.control.inquiry_price_resize_disk(&caller(), mixed).await;
    assert!(refused.unwrap_err().to_string().contains("same way"));
}

#[tokio::test]
async fn what_is_given_back_early_is_paid_back_by_the_share_that_is_left() {
    let world = limited("1600").await;
    let id = world.control.create_disks(&caller(), dear_disk(2)).await.unwrap()[0];
    assert_eq!(balance(&world).await, Money::ZERO);
    // January and February are 59 days.
    world.clock.advance_ms(29 * DAY_MS);
    assert_eq!(world.control.disk_report(id).await.unwrap().paid_ahead, money("813.559322"));
    world.terminate(id).await.unwrap();
    assert_eq!(balance(&world).await, money("813.559322"));
    let view = world.view(id).await;
    assert_eq!((view.disk.state, view.return_fail.code()), (DiskState::ToRecycle, 1));
    assert_eq!(view.disk.deadline, Some(world.now()), "what was paid back is not owned any more");

    // It comes back when it is paid again, and a second return does not pay the first period once more.
    world.control.renew_disk(&caller(), id, months(1)).await.unwrap();
    assert_eq!(balance(&world).await, money("13.559322"));
    assert_eq!(world.view(id).await.disk.state, DiskState::Unattached);
    world.terminate(id).await.unwrap();
    assert_eq!(balance(&world).await, money("813.559322"));
    world.terminate(id).await.unwrap();
    assert_eq!(balance(&world).await, money("813.559322"), "deleting it pays nothing");
    check_sum(&world).await;
    world.check_rest().await;
}

#[tokio::test]
async fn a_renewal_begins_where_the_paid_time_ends() {
    let world = limited("5000").await;
    let id = world.control.create_disks(&caller(), dear_disk(1)).await.unwrap()[0];
    let first = world.view(id).await.disk.deadline.unwrap();
    assert_eq!(wire_time(first), "2026-02-01 08:00:00");
    let ask = |prepaids, new_deadline| InquiryPriceRenewDisks {
        disks: vec![id],
        prepaids,
        new_deadline,
        project: None,
    };
    let told = world.control.inquiry_price_renew_disks(&caller(), ask(vec![months(3)], None)).await.unwrap();
    assert_eq!(prepaid_total(told), money("2400"));
    let prepaid = DiskChargePrepaid { renew_flag: Some(RenewFlag::NotifyAndAutoRenew), ..months(3) };
    world.control.renew_disk(&caller(), id, prepaid).await.unwrap();
    assert_eq!(balance(&world).await, money("1800"));
    let disk = world.view(id).await.disk;
    assert_eq!(wire_time(disk.deadline.unwrap()), "2026-05-01 08:00:00");
    assert_eq!(disk.renew_flag, Some(RenewFlag::NotifyAndAutoRenew));

    // Until a given time, and together with an instance.
    let until = disk.deadline.unwrap().plus_ms(15 * DAY_MS);
    let told = world.control.inquiry_price_renew_disks(&caller(), ask(vec![], Some(until))).await.unwrap();
    assert_eq!(prepaid_total(told), money("400"));
    let with_instance = |at: UnixMillis| DiskChargePrepaid { cur_instance_deadline: Some(at), ..months(1) };
    let april_16 = UnixMillis(disk.deadline.unwrap().0 - 15 * DAY_MS);
    world.control.renew_disk(&caller(), id, with_instance(april_16)).await.unwrap();
    assert_eq!(wire_time(world.view(id).await.disk.deadline.unwrap()), "2026-05-16 08:00:00");
    assert_eq!(balance(&world).await, money("1400"));
    let past = world.control.renew_disk(&caller(), id, with_instance(BEGIN)).await;
    assert!(past.unwrap_err().to_string().contains("CurInstanceDeadline"));
    check_sum(&world).await;

    for wrong in [
        ask(vec![], None),
        ask(vec![months(1)], Some(until)),
        ask(vec![months(1), months(1)], None),
        ask(vec![], Some(BEGIN)),
        ask(vec![months(13)], None),
    ] {
        assert!(world.control.inquiry_price_renew_disks(&caller(), wrong).await.is_err());
    }
    let postpaid = world.disk().await;
    assert!(world.control.renew_disk(&caller(), postpaid, months(1)).await.is_err());
}

#[tokio::test]
async fn disks_renew_themselves_while_the_account_can_pay() {
    let world = limited("1700").await;
    let prepaid = DiskChargePrepaid { renew_flag: Some(RenewFlag::NotifyAndAutoRenew), ..months(1) };
    let wanted = CreateDisks { prepaid: Some(prepaid), ..dear_disk(1) };
    let id = world.control.create_disks(&caller(), wanted).await.unwrap()[0];
    world.clock.advance_ms(31 * DAY_MS);
    world.control.reconcile().await.unwrap();
    assert_eq!(balance(&world).await, money("100"));
    assert_eq!(world.view(id).await.days_to_deadline, Some(28));
    world.clock.advance_ms(28 * DAY_MS);
    world.control.reconcile().await.unwrap();
    assert_eq!(balance(&world).await, money("100"));
    assert_eq!(world.view(id).await.disk.state, DiskState::ToRecycle);
    world.control.add_balance(FIRST_ACCOUNT, money("700")).await.unwrap();
    world.control.renew_disk(&caller(), id, months(1)).await.unwrap();
    assert_eq!(balance(&world).await, Money::ZERO);
    assert_eq!(world.view(id).await.disk.state, DiskState::Unattached);
    check_sum(&world).await;
}

#[tokio::test]
async fn the_way_of_paying_can_be_changed_both_ways() {
    let world = limited("1000").await;
    let wanted = CreateDisks { charge_type: DiskChargeType::PostpaidByHour, prepaid: None, ..dear_disk(1) };
    let id = world.control.create_disks(&caller(), wanted).await.unwrap()[0];
    let call = |prepaid, postpaid| ModifyDisksChargeType { disks: vec![id], prepaid, postpaid };
    for wrong in [call(None, None), call(None, Some(false)), call(Some(months(1)), Some(true))] {
        let refused = world.control.modify_disks_charge_type(&caller(), wrong).await;
        assert!(matches!(refused, Err(ControlError::Parameter(_))), "{refused:?}");
    }
    assert!(world.control.modify_disks_charge_type(&caller(), call(None, Some(true))).await.is_err());

    world.control.modify_disks_charge_type(&caller(), call(Some(months(1)), None)).await.unwrap();
    assert_eq!(balance(&world).await, money("200"));
    let disk = world.view(id).await.disk;
    assert_eq!(disk.charge_type, DiskChargeType::Prepaid);
    assert_eq!(disk.renew_flag, Some(RenewFlag::NotifyAndManualRenew));
    let flag = ModifyDisksRenewFlag {
        disks: vec![id],
        renew_flag: RenewFlag::DisableNotifyAndManualRenew,
        auto_renew_period_months: Some(12),
    };
    world.control.modify_disks_renew_flag(&caller(), flag.clone()).await.unwrap();
    let disk = world.view(id).await.disk;
    assert_eq!((disk.renew_flag, disk.period_months), (Some(flag.renew_flag), Some(12)));

    world.control.modify_disks_charge_type(&caller(), call(None, Some(true))).await.unwrap();
    assert_eq!(balance(&world).await, money("1000"));
    let disk = world.view(id).await.disk;
    assert_eq!((disk.deadline, disk.renew_flag, disk.period_months), (None, None, None));
    assert!(world.control.modify_disks_renew_flag(&caller(), flag).await.is_err());
    check_sum(&world).await;
}

#[tokio::test]
async fn a_batch_that_one_disk_stops_charges_nobody() {
    let world = limited("1000").await;
    let (one, prepaid) = (world.disk().await, world.prepaid_disk(None).await);
    let before = (world.seen().await, balance(&world).await);
    let wanted =
        ModifyDisksChargeType { disks: vec![one, prepaid], prepaid: Some(months(1)), postpaid: None };
    world.control.modify_disks_charge_type(&caller(), wanted).await.unwrap_err();
    assert_eq!((world.seen().await, balance(&world).await), before);
    check_sum(&world).await;
}

#[tokio::test]
async fn a_dearer_medium_is_paid_for_the_rest_of_the_time() {
    let world = limited("1000").await;
    let prepaid = world.prepaid_disk(None).await;
    let before = balance(&world).await;
    let wanted = ModifyDiskAttributes {
        disks: vec![prepaid],
        disk_type: Some(DiskType::CloudBasic),
        ..ModifyDiskAttributes::default()
    };
    world.control.modify_disk_attributes(&caller(), wanted.clone()).await.unwrap();
    assert_eq!(balance(&world).await, before, "a cheaper one costs nothing");
    let wanted = ModifyDiskAttributes { disk_type: Some(DiskType::CloudPremium), ..wanted };
    world.control.modify_disk_attributes(&caller(), wanted).await.unwrap();
    // 31 days of 10 GiB: 2.066667 less 1.033333.
    assert_eq!(balance(&world).await, before.plus(money("-1.033334")));
    let disk = world.view(prepaid).await.disk;
    assert_eq!((disk.migrating, disk.migrate_percent), (false, 100), "100 is left standing");
    check_sum(&world).await;
}
