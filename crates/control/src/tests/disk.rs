//! Calls on disks.

use ashlar_types::{DiskChargeType, DiskState, DiskType, ProjectId, RenewFlag};
use ashlar_volume::ErrorKind;
use ashlar_volume::VolumeStore as _;

use super::harness::{BEGIN, World, caller, new_disks};
use crate::*;

const DAY_MS: i64 = 24 * 3600 * 1000;

fn filter(name: &str, values: &[&str]) -> Filter {
    Filter { name: name.to_owned(), values: values.iter().map(ToString::to_string).collect() }
}

fn tag(key: &str, value: &str) -> Tag {
    Tag { key: key.to_owned(), value: value.to_owned() }
}

#[tokio::test]
async fn a_new_disk_is_seen_at_once_and_reads_as_zeroes() {
    let world = World::new().await;
    let ids =
        world.control.create_disks(&caller(), CreateDisks { count: Some(3), ..new_disks() }).await.unwrap();
    assert_eq!(ids.len(), 3);
    let view = world.view(ids[0]).await;
    assert_eq!((view.disk.state, view.disk.name.as_str()), (DiskState::Unattached, "Unnamed"));
    assert_eq!((view.days_to_deadline, view.return_fail.code()), (None, 10));
    let latest = view.latest_operation.unwrap();
    assert_eq!((latest.operation.as_str(), latest.state), ("CreateDisks", OperationState::Success));
    assert_eq!(world.read(ids[2]), 0);
    world.check_rest().await;
}

#[tokio::test]
async fn a_token_gives_the_same_disks_and_no_others() {
    let world = World::new().await;
    let wanted = CreateDisks { client_token: Some("cluster/pvc-1".to_owned()), ..new_disks() };
    let first = world.control.create_disks(&caller(), wanted.clone()).await.unwrap();
    let again = CreateDisks { count: Some(1), ..wanted.clone() };
    assert_eq!(world.control.create_disks(&caller(), again).await.unwrap(), first, "1 is the default");
    let world = world.restarted().await;
    assert_eq!(world.control.create_disks(&caller(), wanted.clone()).await.unwrap(), first);

    let other = CreateDisks { size_gib: Some(11), ..wanted };
    let refused = world.control.create_disks(&caller(), other).await;
    assert!(matches!(refused, Err(ControlError::Parameter(ParameterError::ClientTokenReused { .. }))));
    assert_eq!(world.disks().await.total_count, 1);
}

#[tokio::test]
async fn two_calls_with_one_token_at_once_make_one_disk() {
    let world = World::new().await;
    let wanted = CreateDisks { client_token: Some("twin".to_owned()), ..new_disks() };
    let caller = caller();
    let (one, other) = tokio::join!(
        world.control.create_disks(&caller, wanted.clone()),
        world.control.create_disks(&caller, wanted.clone()),
    );
    assert_eq!(one.unwrap(), other.unwrap());
    assert_eq!(world.disks().await.total_count, 1);
}

#[tokio::test]
async fn a_pool_that_refuses_leaves_no_disk_and_a_typed_reason() {
    let world = World::new().await;
    let disk = world.disk().await;
    *world.stores.refusal.lock() = Some(ErrorKind::NoSpace);
    let refused = world.control.resize_disk(&caller(), disk, 20).await;
    assert!(
        matches!(refused, Err(ControlError::Job(JobError { kind: JobErrorKind::NoSpace, .. }))),
        "{refused:?}"
    );
    let view = world.view(disk).await;
    assert_eq!((view.disk.state, view.disk.size_gib), (DiskState::Unattached, 10));
    assert!(view.disk.error_prompt.contains("full"), "{}", view.disk.error_prompt);
    assert_eq!(view.latest_operation.unwrap().state, OperationState::Failed);
    world.control.create_disks(&caller(), new_disks()).await.unwrap_err();
    *world.stores.refusal.lock() = None;
    assert_eq!(world.disks().await.total_count, 1);
    world.check_rest().await;
}

/// A request with one thing wrong, and the parameter that the refusal must name.
fn wrong_requests() -> Vec<(CreateDisks, &'static str)> {
    let good = new_disks;
    let prepaid = |period_months| {
        Some(DiskChargePrepaid { period_months, renew_flag: None, cur_instance_deadline: None })
    };
    let text = |text: &str| Some(text.to_owned());
    let placed = |zone: &str| Placement { zone: zone.parse().unwrap(), ..new_disks().placement };
    vec![
        (CreateDisks { size_gib: None, ..good() }, "DiskSize"),
        (CreateDisks { size_gib: Some(9), ..good() }, "DiskSize"),
        (CreateDisks { size_gib: Some(32_001), ..good() }, "DiskSize"),
        (CreateDisks { disk_type: DiskType::CloudSsd, size_gib: Some(19), ..good() }, "DiskSize"),
        (CreateDisks { count: Some(0), ..good() }, "DiskCount"),
        (CreateDisks { count: Some(201), ..good() }, "DiskCount"),
        (CreateDisks { name: text(&"n".repeat(61)), ..good() }, "DiskName"),
        (CreateDisks { client_token: text(&"t".repeat(65)), ..good() }, "ClientToken"),
        (CreateDisks { client_token: text("é"), ..good() }, "ClientToken"),
        (CreateDisks { tags: vec![tag("a", "1"), tag("a", "2")], ..good() }, "Tags.Key"),
        (CreateDisks { tags: vec![tag("", "1")], ..good() }, "Tags.Key"),
        (CreateDisks { kms_key_id: text("k"), ..good() }, "KmsKeyId"),
        (CreateDisks { encrypt: Some(true), kms_key_id: text("k"), ..good() }, "KmsKeyId"),
        (
            CreateDisks { shareable: Some(true), policy: Some("asp-00000000".parse().unwrap()), ..good() },
            "Shareable",
        ),
        (
            CreateDisks {
                auto_mount: Some(AutoMountConfiguration {
                    instances: vec![],
                    mount_points: vec![],
                    file_system_type: None,
                }),
                ..good()
            },
            "AutoMountConfiguration",
        ),
        (CreateDisks { backup_quota: Some(501), ..good() }, "DiskBackupQuota"),
        (CreateDisks { throughput_performance_mib: Some(1), ..good() }, "ThroughputPerformance"),
        (CreateDisks { charge_type: DiskChargeType::Prepaid, ..good() }, "DiskChargePrepaid"),
        (
            CreateDisks { charge_type: DiskChargeType::Prepaid, prepaid: prepaid(13), ..good() },
            "DiskChargePrepaid.Period",
        ),
        (CreateDisks { prepaid: prepaid(1), ..good() }, "DiskChargePrepaid"),
        (CreateDisks { charge_type: DiskChargeType::CdcPaid, ..good() }, "DiskChargeType"),
        (CreateDisks { placement: placed("ap-guangzhou-8"), ..good() }, "Placement.Zone"),
        (CreateDisks { placement: placed("ap-beijing-1"), ..good() }, "Placement.Zone"),
        (
            CreateDisks { placement: Placement { cdc_id: text("c"), ..good().placement }, ..good() },
            "Placement.CdcId",
        ),
        (
            CreateDisks {
                placement: Placement { project: Some(ProjectId(5)), ..good().placement },
                ..good()
            },
            "ProjectId",
        ),
    ]
}

#[tokio::test]
async fn every_wrong_parameter_is_named_and_changes_nothing() {
    let world = World::new().await;
    for (wrong, parameter) in wrong_requests() {
        let error = world.control.create_disks(&caller(), wrong).await.unwrap_err();
        assert!(matches!(error, ControlError::Parameter(_)), "{parameter}: {error:?}");
        assert!(error.to_string().contains(parameter), "{parameter}: {error}");
    }
    assert_eq!(world.disks().await.total_count, 0);
    let harmless = CreateDisks {
        encrypt: Some(false),
        kms_key_id: Some(String::new()),
        throughput_performance_mib: Some(0),
        shareable: Some(false),
        ..new_disks()
    };
    world.control.create_disks(&caller(), harmless).await.unwrap();
}

#[tokio::test]
async fn a_clone_begins_with_the_snapshot_and_goes_back_to_it() {
    let world = World::new().await;
    let origin = world.disk().await;
    world.write(origin, 7);
    let snapshot = world.snapshot(origin).await;
    world.write(origin, 8);
    let wanted = CreateDisks { snapshot: Some(snapshot), size_gib: None, ..new_disks() };
    let clone = world.control.create_disks(&caller(), wanted.clone()).await.unwrap()[0];
    assert_eq!((world.read(clone), world.view(clone).await.disk.size_gib), (7, 10));

    let small = CreateDisks { size_gib: Some(9), disk_type: DiskType::CloudBasic, ..wanted.clone() };
    assert!(world.control.create_disks(&caller(), small).await.is_err());

    world.write(clone, 9);
    world.control.initialize_disks(&caller(), vec![clone]).await.unwrap();
    assert_eq!(world.read(clone), 7, "a disk made from a snapshot goes back to it");
    world.control.initialize_disks(&caller(), vec![origin]).await.unwrap();
    assert_eq!(world.read(origin), 0, "a disk made from nothing is emptied");

    world.control.delete_snapshots(&caller(), vec![snapshot]).await.unwrap();
    let refused = world.control.initialize_disks(&caller(), vec![clone]).await.unwrap_err();
    assert!(matches!(refused, ControlError::Snapshot(SnapshotError::NotFound(_))), "{refused:?}");
    assert_eq!(world.read(clone), 7);
    let refused = world.control.create_disks(&caller(), wanted).await.unwrap_err();
    assert!(matches!(refused, ControlError::Snapshot(SnapshotError::NotFound(_))), "{refused:?}");
    world.check_rest().await;
}

#[tokio::test]
async fn attach_takes_all_disks_or_none() {
    let world = World::new().await;
    let here = world.instance("ap-guangzhou-3").await;
    let elsewhere = world.instance("ap-guangzhou-4").await;
    let (free, used) = (world.disk().await, world.attached_disk(here).await);
    let before = world.seen().await;

    let refused = world.attach(free, elsewhere).await.unwrap_err();
    assert!(matches!(refused, ControlError::Instance(InstanceError::ZoneMismatch { .. })), "{refused:?}");
    let both = AttachDisks {
        instance: here,
        disks: vec![free, used],
        delete_with_instance: None,
        attach_mode: None,
    };
    let refused = world.control.attach_disks(&caller(), both.clone()).await.unwrap_err();
    assert!(matches!(refused, ControlError::Disk(DiskError::AttachedTo { .. })), "{refused:?}");
    let bare_metal = AttachDisks { disks: vec![free], attach_mode: Some("PF".to_owned()), ..both.clone() };
    assert!(world.control.attach_disks(&caller(), bare_metal).await.is_err());
    let twice = AttachDisks { disks: vec![free, free], ..both };
    assert!(world.control.attach_disks(&caller(), twice).await.is_err());
    assert_eq!(world.seen().await, before);

    world.attach(free, here).await.unwrap();
    let view = world.view(free).await;
    assert_eq!((view.disk.state, view.disk.instance()), (DiskState::Attached, Some(here)));
    world.check_rest().await;
    world.detach(free).await.unwrap();
    let view = world.view(free).await;
    assert_eq!((view.disk.state, view.disk.instance()), (DiskState::Unattached, None));
    assert_eq!(view.disk.last_instance, Some(here));
    assert!(world.detach(free).await.is_err(), "it is not attached");
    world.check_rest().await;
}

#[tokio::test]
async fn an_instance_holds_no_more_disks_than_it_may() {
    let settings =
        Settings { limits: Limits { disks_per_instance: 2, ..Limits::default() }, ..Settings::default() };
    let world = World::with(settings, None, 1).await;
    let instance = world.instance("ap-guangzhou-3").await;
    world.attached_disk(instance).await;
    let more = CreateDisks { count: Some(2), ..new_disks() };
    let more = world.control.create_disks(&caller(), more).await.unwrap();
    let wanted = AttachDisks { instance, disks: more, delete_with_instance: None, attach_mode: None };
    let refused = world.control.attach_disks(&caller(), wanted.clone()).await.unwrap_err();
    assert!(matches!(refused, ControlError::Instance(InstanceError::DiskLimit { wanted: 3, .. })));
    let one = AttachDisks { disks: wanted.disks[..1].to_vec(), ..wanted };
    world.control.attach_disks(&caller(), one).await.unwrap();
}

#[tokio::test]
async fn a_detached_disk_has_its_bytes_at_rest() {
    let world = World::new().await;
    let instance = world.instance("ap-guangzhou-3").await;
    let disk = world.attached_disk(instance).await;
    let before = world.store().flush_count();
    world.detach(disk).await.unwrap();
    assert_eq!(world.store().flush_count(), before + 1);
}

#[tokio::test]
async fn a_machine_that_does_not_let_go_keeps_its_disk() {
    let settings =
        Settings { limits: Limits { withdraw_wait_ms: 20, ..Limits::default() }, ..Settings::default() };
    let world = World::with(settings, None, 1).await;
    let instance = world.instance("ap-guangzhou-3").await;
    let disk = world.attached_disk(instance).await;
    let lease = world.exports.open(&disk.to_string()).unwrap();
    let refused = world.detach(disk).await.unwrap_err();
    assert!(matches!(refused, ControlError::Job(JobError { kind: JobErrorKind::InUse, .. })), "{refused:?}");
    // The way back waits for the same session; once it is gone the reconciler ends the job.
    drop(lease);
    world.control.reconcile().await.unwrap();
    world.control.runner.idle().await;
    let view = world.view(disk).await;
    assert_eq!((view.disk.state, view.disk.instance()), (DiskState::Attached, Some(instance)));
    assert!(!view.disk.error_prompt.is_empty());
    world.check_rest().await;
    world.detach(disk).await.unwrap();
}

#[tokio::test]
async fn a_resize_only_grows_and_is_seen_by_the_pool() {
    let world = World::new().await;
    let instance = world.instance("ap-guangzhou-3").await;
    let disk = world.attached_disk(instance).await;
    for wrong in [10, 9, 0, 32_001] {
        assert!(world.control.resize_disk(&caller(), disk, wrong).await.is_err(), "{wrong}");
    }
    world.control.resize_disk(&caller(), disk, 30).await.unwrap();
    let view = world.view(disk).await;
    assert_eq!((view.disk.state, view.disk.size_gib), (DiskState::Attached, 30));
    world.check_rest().await;
}

#[tokio::test]
async fn postpaid_disks_go_at_once_and_prepaid_ones_at_the_second_call() {
    let world = World::new().await;
    let instance = world.instance("ap-guangzhou-3").await;
    let (postpaid, prepaid) = (world.disk().await, world.prepaid_disk(None).await);
    let attached = world.attached_disk(instance).await;

    let wanted = TerminateDisks { disks: vec![postpaid, attached], delete_snapshot: None };
    assert!(world.control.terminate_disks(&caller(), wanted).await.is_err(), "all or none");
    assert_eq!(world.disks().await.total_count, 3);

    let wanted = TerminateDisks { disks: vec![postpaid, prepaid], delete_snapshot: None };
    world.control.terminate_disks(&caller(), wanted).await.unwrap();
    assert_eq!(world.disks().await.total_count, 2);
    let view = world.view(prepaid).await;
    assert_eq!((view.disk.state, view.return_fail.code()), (DiskState::ToRecycle, 1));
    assert!(world.attach(prepaid, instance).await.is_err());
    world.check_rest().await;
    world.terminate(prepaid).await.unwrap();
    assert_eq!(world.disks().await.total_count, 1);
    let refused = world.terminate(prepaid).await.unwrap_err();
    assert!(matches!(refused, ControlError::Disk(DiskError::NotFound(_))));
    world.check_rest().await;
}

#[tokio::test]
async fn snapshots_outlive_their_disk_unless_the_call_says_otherwise() {
    let world = World::new().await;
    for (delete_snapshot, left) in [(None, 2), (Some(true), 3)] {
        let disk = world.disk().await;
        world.snapshot(disk).await;
        let deadline = Some(world.iso_after_ms(DAY_MS));
        let mortal = CreateSnapshot { disk: Some(disk), deadline, ..CreateSnapshot::default() };
        world.control.create_snapshot(&caller(), mortal).await.unwrap();
        let wanted = TerminateDisks { disks: vec![disk], delete_snapshot };
        world.control.terminate_disks(&caller(), wanted).await.unwrap();
        assert_eq!(world.snapshots().await.total_count, left, "{delete_snapshot:?}");
    }
    world.check_rest().await;
}

#[tokio::test]
async fn prepaid_time_runs_out_or_is_renewed() {
    let world = World::new().await;
    let plain = world.prepaid_disk(None).await;
    let renewed = world.prepaid_disk(Some(RenewFlag::NotifyAndAutoRenew)).await;
    let view = world.view(plain).await;
    assert_eq!(view.disk.renew_flag, Some(RenewFlag::NotifyAndManualRenew));
    assert_eq!((view.days_to_deadline, view.return_fail.code()), (Some(31), 0));
    assert_eq!(wire_time(view.disk.deadline.unwrap()), "2026-02-01 08:00:00");

    world.clock.set(BEGIN.plus_ms(31 * DAY_MS + 3_600_000));
    world.control.reconcile().await.unwrap();
    world.control.reconcile().await.unwrap();
    assert_eq!(world.view(plain).await.disk.state, DiskState::ToRecycle);
    let view = world.view(renewed).await;
    assert_eq!(view.disk.state, DiskState::Unattached);
    assert_eq!(wire_time(view.disk.deadline.unwrap()), "2026-03-01 08:00:00");
}

#[tokio::test]
async fn attributes_change_for_all_disks_or_for_none() {
    let world = World::new().await;
    let (one, other) = (world.disk().await, world.disk().await);
    let missing = "disk-zzzzzzzz".parse().unwrap();
    let name = Some("both".to_owned());
    let wanted = ModifyDiskAttributes { disks: vec![one, missing], name, ..Default::default() };
    let before = world.seen().await;
    let refused = world.control.modify_disk_attributes(&caller(), wanted.clone()).await.unwrap_err();
    assert!(matches!(refused, ControlError::Disk(DiskError::NotFound(id)) if id == missing));
    for wrong in [
        ModifyDiskAttributes { portable: Some(false), ..wanted.clone() },
        ModifyDiskAttributes { project: Some(ProjectId(9)), ..wanted.clone() },
        ModifyDiskAttributes { delete_with_instance: Some(true), ..wanted.clone() },
        ModifyDiskAttributes { disk_type: Some(DiskType::CloudSsd), ..wanted.clone() },
        ModifyDiskAttributes { disk_type: Some(DiskType::CloudSsd), name: None, ..wanted.clone() },
        ModifyDiskAttributes { name: None, ..wanted.clone() },
    ] {
        let wrong = ModifyDiskAttributes { disks: vec![one, other], ..wrong };
        assert!(world.control.modify_disk_attributes(&caller(), wrong.clone()).await.is_err(), "{wrong:?}");
    }
    assert_eq!(world.seen().await, before);

    let burst_performance = Some(BurstPerformanceOperation::Create);
    let wanted = ModifyDiskAttributes { disks: vec![one, other], burst_performance, ..wanted };
    world.control.modify_disk_attributes(&caller(), wanted).await.unwrap();
    for disk in [one, other] {
        let disk = world.view(disk).await.disk;
        assert_eq!((disk.name.as_str(), disk.burst_performance), ("both", true));
    }
}

#[tokio::test]
async fn a_change_of_type_ends_at_a_hundred_percent() {
    let world = World::new().await;
    let disk = world.disk().await;
    let to = |disk_type| ModifyDiskAttributes {
        disks: vec![disk],
        disk_type: Some(disk_type),
        ..Default::default()
    };
    assert!(world.control.modify_disk_attributes(&caller(), to(DiskType::CloudSsd)).await.is_err(), "10 GB");
    assert!(world.control.modify_disk_attributes(&caller(), to(DiskType::CloudPremium)).await.is_err());
    world.control.modify_disk_attributes(&caller(), to(DiskType::CloudBasic)).await.unwrap();
    let disk = world.view(disk).await.disk;
    assert_eq!((disk.disk_type, disk.migrating, disk.migrate_percent), (DiskType::CloudBasic, false, 100));
}

#[tokio::test]
async fn filters_pages_and_orders_are_exact() {
    let world = World::new().await;
    let instance = world.instance("ap-guangzhou-3").await;
    let mut ids = Vec::new();
    for number in 0..5 {
        let name = Some(format!("disk {number}"));
        let tags = vec![tag("number", &number.to_string())];
        let wanted = CreateDisks { name, tags, ..new_disks() };
        ids.extend(world.control.create_disks(&caller(), wanted).await.unwrap());
        world.clock.advance_ms(1000);
    }
    world.attach(ids[1], instance).await.unwrap();
    ids.reverse();

    let list = async |wanted: DescribeDisks| {
        let listed = world.control.describe_disks(&caller(), wanted).await?;
        let ids: Vec<_> = listed.items.into_iter().map(|view| view.disk.id).collect();
        Ok::<_, ControlError>((listed.total_count, ids))
    };
    let page = DescribeDisks { offset: Some(1), limit: Some(2), ..Default::default() };
    assert_eq!(list(page).await.unwrap(), (5, ids[1..3].to_vec()));
    let past = DescribeDisks { offset: Some(9), ..Default::default() };
    assert_eq!(list(past).await.unwrap(), (5, vec![]));
    let ascending = DescribeDisks { order: Some("ASC".to_owned()), limit: Some(1), ..Default::default() };
    assert_eq!(list(ascending).await.unwrap(), (5, vec![ids[4]]));
    for (filters, expected) in [
        (vec![filter("disk-name", &["disk 1", "disk 2"])], vec![ids[2], ids[3]]),
        (vec![filter("tag:number", &["0"])], vec![ids[4]]),
        (vec![filter("tag-key", &["number"]), filter("disk-state", &["ATTACHED"])], vec![ids[3]]),
        (vec![filter("instance-id", &[&instance.to_string()])], vec![ids[3]]),
        (vec![filter("instance-name", &[&instance.to_string()])], vec![ids[3]]),
        (vec![filter("instance-ip-address", &["10.0.0.1"])], vec![]),
        (vec![filter("portable", &["False"])], vec![]),
        (vec![filter("disk-state", &["DUMPING"])], vec![]),
        (vec![filter("disk-state", &["DUMPING", "ATTACHED"])], vec![ids[3]]),
        (vec![filter("project-id", &["0"]), filter("tag-value", &["3", "4"])], vec![ids[0], ids[1]]),
        (vec![filter("disk-id", &[&ids[0].to_string()])], vec![ids[0]]),
    ] {
        let wanted = DescribeDisks { filters: filters.clone(), ..Default::default() };
        assert_eq!(list(wanted).await.unwrap(), (expected.len() as u64, expected), "{filters:?}");
    }
    let unknown = DescribeDisks { disks: vec!["disk-zzzzzzzz".parse().unwrap()], ..Default::default() };
    assert_eq!(list(unknown).await.unwrap(), (0, vec![]));
    for wrong in [
        DescribeDisks { filters: vec![filter("colour", &["red"])], ..Default::default() },
        DescribeDisks { filters: vec![filter("disk-state", &["GONE"])], ..Default::default() },
        DescribeDisks { filters: vec![filter("zone", &[])], ..Default::default() },
        DescribeDisks {
            filters: vec![filter("zone", &["ap-guangzhou-3"])],
            disks: vec![ids[0]],
            ..Default::default()
        },
        DescribeDisks { limit: Some(0), ..Default::default() },
        DescribeDisks { limit: Some(101), ..Default::default() },
        DescribeDisks { order: Some("UP".to_owned()), ..Default::default() },
        DescribeDisks { order_field: Some("NAME".to_owned()), ..Default::default() },
    ] {
        assert!(list(wrong.clone()).await.is_err(), "{wrong:?}");
    }
}

#[tokio::test]
async fn a_stray_volume_never_becomes_somebodys_disk() {
    let world = World::with(Settings::default(), None, 77).await;
    // The harness draws its ids from a seeded source: this is the id that the next disk would get.
    let twin = World::with(Settings::default(), None, 77).await;
    let next = twin.disk().await;
    world.store().create_volume(&next.into(), 4096).unwrap();
    let refused = world.control.create_disks(&caller(), new_disks()).await.unwrap_err();
    assert!(matches!(refused, ControlError::Job(JobError { kind: JobErrorKind::InUse, .. })), "{refused:?}");
    assert_ne!(world.disk().await, next, "the next try draws another id");
}

#[tokio::test]
async fn a_disk_whose_time_is_over_does_not_grow_and_leaves_its_machine() {
    let world = World::new().await;
    let instance = world.instance("ap-guangzhou-3").await;
    let disk = world.prepaid_disk(None).await;
    let wanted =
        AttachDisks { instance, disks: vec![disk], delete_with_instance: Some(true), attach_mode: None };
    let before = world.seen().await;
    let refused = world.control.attach_disks(&caller(), wanted).await.unwrap_err().to_string();
    assert!(refused.contains("DeleteWithInstance") && refused.contains("UNATTACHED"), "{refused}");
    assert_eq!(world.seen().await, before);

    world.attach(disk, instance).await.unwrap();
    world.control.resize_disk(&caller(), disk, 11).await.unwrap();
    world.clock.advance_ms(32 * DAY_MS);
    let view = world.view(disk).await;
    assert_eq!((view.disk.state, view.return_fail.code()), (DiskState::Attached, 2));
    let refused = world.control.resize_disk(&caller(), disk, 12).await.unwrap_err();
    assert!(matches!(refused, ControlError::Disk(DiskError::Expired(id)) if id == disk), "{refused:?}");
    // Out of the machine in one round, isolated in the next.
    world.control.reconcile().await.unwrap();
    world.control.reconcile().await.unwrap();
    assert_eq!(world.view(disk).await.disk.state, DiskState::ToRecycle);
}

#[tokio::test]
async fn an_empty_name_is_the_default_one_everywhere() {
    let world = World::new().await;
    let name = Some("mine".to_owned());
    let disk = world.control.create_disks(&caller(), CreateDisks { name, ..new_disks() }).await.unwrap()[0];
    let wanted = ModifyDiskAttributes { disks: vec![disk], name: Some(String::new()), ..Default::default() };
    world.control.modify_disk_attributes(&caller(), wanted).await.unwrap();
    assert_eq!(world.view(disk).await.disk.name, "Unnamed");
}
