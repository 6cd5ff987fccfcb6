//! Disks that are in several machines at once: the limits, the refusals, and what becomes of each machine's attachment.

use std::time::Duration;

use ashlar_attach::EndSession;
use ashlar_types::{DiskId, DiskState, InstanceId, SnapshotPolicyId};

use super::harness::{World, caller, new_disks};
use crate::*;

const ZONE: &str = "ap-guangzhou-3";

/// A shareable disk in so many instances, and these.
async fn shared(world: &World, count: usize) -> (DiskId, Vec<InstanceId>) {
    let disk = world.shareable_disk().await;
    let mut instances = Vec::new();
    for _ in 0..count {
        instances.push(world.instance(ZONE).await);
        world.attach(disk, *instances.last().unwrap()).await.unwrap();
    }
    (disk, instances)
}

async fn instances_of(world: &World, disk: DiskId) -> (DiskState, Vec<InstanceId>) {
    let disk = world.view(disk).await.disk;
    (disk.state, disk.instances().collect())
}

#[tokio::test]
async fn what_a_shareable_disk_cannot_be_is_refused_with_the_two_parameters() {
    let world = World::new().await;
    let policy: SnapshotPolicyId = "asp-00000000".parse().unwrap();
    let shareable = || CreateDisks { shareable: Some(true), ..new_disks() };
    let instance = world.instance(ZONE).await;
    let mount =
        AutoMountConfiguration { instances: vec![instance], mount_points: vec![], file_system_type: None };
    let plain = world.disk().await;
    let snapshot = world.snapshot(plain).await;
    let encrypted = CreateDisks { encrypt: Some(true), ..new_disks() };
    let encrypted = world.control.create_disks(&caller(), encrypted).await.unwrap()[0];
    let sealed = world.snapshot(encrypted).await;
    for (wanted, other) in [
        (CreateDisks { encrypt: Some(true), ..shareable() }, "Encrypt"),
        (CreateDisks { auto_mount: Some(mount), ..shareable() }, "AutoMountConfiguration"),
        (CreateDisks { policy: Some(policy), ..shareable() }, "AutoSnapshotPolicyId"),
        (CreateDisks { snapshot: Some(sealed), ..shareable() }, "an encrypted snapshot"),
    ] {
        let error = world.control.create_disks(&caller(), wanted).await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, ControlError::Parameter(ParameterError::Excludes { .. })), "{other}: {text}");
        assert!(text.contains("Shareable") && text.contains(other), "{other}: {text}");
    }
    for wanted in [
        CreateDisks { backup_quota: Some(1), ..shareable() },
        CreateDisks { snapshot: Some(snapshot), ..shareable() },
        CreateDisks { disk_type: "CLOUD_SSD".parse().unwrap(), size_gib: Some(20), ..shareable() },
        CreateDisks {
            charge_type: "PREPAID".parse().unwrap(),
            prepaid: Some(DiskChargePrepaid {
                period_months: 1,
                renew_flag: None,
                cur_instance_deadline: None,
            }),
            ..shareable()
        },
    ] {
        let id = world.control.create_disks(&caller(), wanted).await.unwrap()[0];
        assert!(world.view(id).await.disk.shareable);
    }
    world.check_rest().await;
}

#[tokio::test]
async fn the_token_of_a_shareable_disk_is_not_that_of_another() {
    let world = World::new().await;
    let wanted = CreateDisks { shareable: Some(true), client_token: Some("t".to_owned()), ..new_disks() };
    let first = world.control.create_disks(&caller(), wanted.clone()).await.unwrap();
    assert_eq!(world.control.create_disks(&caller(), wanted.clone()).await.unwrap(), first);
    let other = CreateDisks { shareable: Some(false), ..wanted };
    let refused = world.control.create_disks(&caller(), other).await;
    assert!(matches!(refused, Err(ControlError::Parameter(ParameterError::ClientTokenReused { .. }))));
}

#[tokio::test]
async fn sixteen_instances_have_a_shareable_disk_and_a_limit_says_so() {
    let world = World::new().await;
    let (disk, instances) = shared(&world, 16).await;
    assert_eq!(instances_of(&world, disk).await, (DiskState::Attached, instances.clone()));
    let more = world.instance(ZONE).await;
    let refused = world.attach(disk, more).await.unwrap_err();
    assert!(matches!(refused, ControlError::Disk(DiskError::InstanceLimit { at_most: 16, .. })), "{refused}");
    world.control.set_account_limit(FIRST_ACCOUNT, "instances_per_disk", Some(17)).await.unwrap();
    world.attach(disk, more).await.unwrap();
    let again = world.attach(disk, more).await.unwrap_err();
    assert!(matches!(again, ControlError::Disk(DiskError::AttachedTo { instance, .. }) if instance == more));
    let elsewhere = world.instance("ap-guangzhou-4").await;
    let refused = world.attach(disk, elsewhere).await.unwrap_err();
    assert!(matches!(refused, ControlError::Instance(InstanceError::ZoneMismatch { .. })));
    world.check_rest().await;
}

#[tokio::test]
async fn a_call_that_takes_a_disk_out_of_one_of_several_instances_has_to_name_it() {
    let world = World::new().await;
    let (disk, instances) = shared(&world, 2).await;
    let refused = world.detach(disk).await.unwrap_err();
    assert!(matches!(refused, ControlError::Disk(DiskError::SeveralInstances { count: 2, .. })), "{refused}");
    assert!(refused.to_string().contains("`InstanceId`"), "{refused}");
    let empty = world.instance(ZONE).await;
    let refused = world.detach_from(disk, empty).await.unwrap_err();
    assert!(matches!(refused, ControlError::Disk(DiskError::AttachedTo { .. })), "{refused}");
    world.detach_from(disk, instances[0]).await.unwrap();
    assert_eq!(instances_of(&world, disk).await, (DiskState::Attached, vec![instances[1]]));
    assert_eq!(world.view(disk).await.disk.last_instance, Some(instances[1]));
    world.detach(disk).await.unwrap();
    assert_eq!(instances_of(&world, disk).await, (DiskState::Unattached, vec![]));

    // Several disks leave one instance together, whatever others each of them is in.
    let alone = world.attached_disk(instances[0]).await;
    for instance in &instances {
        world.attach(disk, *instance).await.unwrap();
    }
    let wanted = DetachDisks { disks: vec![alone, disk], instance: Some(instances[0]) };
    world.control.detach_disks(&caller(), wanted).await.unwrap();
    assert_eq!(instances_of(&world, disk).await, (DiskState::Attached, vec![instances[1]]));
    world.check_rest().await;
}

#[tokio::test]
async fn what_a_disk_in_an_instance_refuses_it_refuses_until_the_last_has_let_go() {
    let world = World::new().await;
    let (disk, instances) = shared(&world, 2).await;
    for instance in instances {
        let refused = world.terminate(disk).await.unwrap_err();
        assert!(matches!(refused, ControlError::Disk(DiskError::NotSupported { .. })), "{refused}");
        world.detach_from(disk, instance).await.unwrap();
    }
    world.terminate(disk).await.unwrap();
    assert!(world.disks().await.items.is_empty());
    world.check_rest().await;
}

#[tokio::test]
async fn snapshots_and_what_is_made_of_them_are_refused_with_a_word_of_its_own() {
    let world = World::new().await;
    let (disk, instances) = shared(&world, 1).await;
    let control = &world.control;
    let rule = NewRule { hours: vec![3], interval_days: Some(1), ..NewRule::default() };
    let wanted = CreateSnapshotPolicy { rules: vec![rule], ..CreateSnapshotPolicy::default() };
    let policy = control.create_snapshot_policy(&caller(), wanted).await.unwrap().id.unwrap();
    let bound = BoundBy { policy, disks: vec![disk], instances: vec![] };
    let group = CreateSnapshotGroup { disks: vec![disk], ..CreateSnapshotGroup::default() };
    let snapshot = CreateSnapshot { disk: Some(disk), ..CreateSnapshot::default() };
    let refusals = [
        control.create_snapshot(&caller(), snapshot).await.map(drop),
        control.create_snapshot_group(&caller(), group).await.map(drop),
        control.bind_snapshot_policy(&caller(), bound).await,
    ];
    for refused in refusals {
        let is_told = matches!(refused, Err(ControlError::Disk(DiskError::ShareableHasNoSnapshots(_))));
        assert!(is_told, "{refused:?}");
    }
    // Backup points stay with their disk, and none becomes a snapshot.
    control.modify_disk_backup_quota(&caller(), disk, 1).await.unwrap();
    world.write(disk, 1);
    let backup = control.create_disk_backup(&caller(), disk, None).await.unwrap();
    world.write(disk, 2);
    let wanted = CreateSnapshot { backup: Some(backup), ..CreateSnapshot::default() };
    let refused = control.create_snapshot(&caller(), wanted).await.unwrap_err();
    assert!(matches!(refused, ControlError::Disk(DiskError::ShareableHasNoSnapshots(_))), "{refused}");
    let wanted = ApplyDiskBackup { backup, disk, auto_stop_instance: None, auto_start_instance: None };
    let refused = control.apply_disk_backup(&caller(), wanted).await.unwrap_err();
    assert!(matches!(refused, ControlError::Disk(DiskError::NotSupported { .. })), "{refused}");
    world.detach(disk).await.unwrap();
    control.apply_disk_backup(&caller(), wanted).await.unwrap();
    assert_eq!(world.read(disk), 1);
    let refused = control.initialize_disks(&caller(), vec![disk]).await.unwrap_err();
    assert!(matches!(refused, ControlError::Disk(DiskError::NotSupported { .. })), "{refused}");

    // Of a machine that is about to be fixed, a snapshot is taken of what can have one.
    world.attach(disk, instances[0]).await.unwrap();
    let refused = control.take_before_fix(instances[0], "fix".to_owned()).await.unwrap_err();
    assert!(matches!(refused, ControlError::Instance(InstanceError::NoDisks(_))), "{refused}");
    let own = world.attached_disk(instances[0]).await;
    let taken = control.take_before_fix(instances[0], "fix".to_owned()).await.unwrap();
    assert_eq!(taken.snapshots.iter().map(|snapshot| snapshot.disk).collect::<Vec<_>>(), [Some(own)]);
    world.check_rest().await;
}

#[tokio::test]
async fn a_disk_that_goes_with_its_instance_goes_with_the_last_of_them() {
    let world = World::new().await;
    let (disk, instances) = shared(&world, 1).await;
    let more = world.instance(ZONE).await;
    let wanted = AttachDisks {
        instance: more,
        disks: vec![disk],
        delete_with_instance: Some(true),
        attach_mode: None,
    };
    world.control.attach_disks(&caller(), wanted).await.unwrap();
    assert!(world.view(disk).await.disk.delete_with_instance);
    let refused = world.control.remove_instance(FIRST_ACCOUNT, more).await.unwrap_err();
    assert!(matches!(refused, ControlError::Instance(InstanceError::HasDisks { disk_count: 1, .. })));
    world.control.empty_instance(FIRST_ACCOUNT, more).await.unwrap();
    world.control.remove_instance(FIRST_ACCOUNT, more).await.unwrap();
    assert_eq!(instances_of(&world, disk).await, (DiskState::Attached, instances.clone()));
    world.control.empty_instance(FIRST_ACCOUNT, instances[0]).await.unwrap();
    assert!(world.disks().await.items.is_empty(), "the last instance takes it along");
    world.check_rest().await;
}

#[tokio::test]
async fn an_expired_disk_is_taken_out_of_all_its_instances_and_leaves_no_snapshot() {
    let mut settings = Settings::default();
    settings.billing.final_snapshot = true;
    let world = World::with(settings, None, 1).await;
    let prepaid = DiskChargePrepaid { period_months: 1, renew_flag: None, cur_instance_deadline: None };
    let wanted = CreateDisks {
        charge_type: "PREPAID".parse().unwrap(),
        prepaid: Some(prepaid),
        shareable: Some(true),
        ..new_disks()
    };
    let disk = world.control.create_disks(&caller(), wanted).await.unwrap()[0];
    for _ in 0..3 {
        world.attach(disk, world.instance(ZONE).await).await.unwrap();
    }
    world.clock.advance_ms(32 * 24 * 3_600_000);
    world.control.reconcile().await.unwrap();
    world.control.reconcile().await.unwrap();
    assert_eq!(instances_of(&world, disk).await, (DiskState::ToRecycle, vec![]));
    assert!(!world.view(disk).await.backup_disk);
    world.check_rest().await;
    world.clock.advance_ms(400 * 24 * 3_600_000);
    world.control.reconcile().await.unwrap();
    assert!(world.disks().await.items.is_empty() && world.snapshots().await.items.is_empty());
    world.check_rest().await;
}

#[tokio::test]
async fn a_policy_of_an_instance_passes_its_shareable_disks_over() {
    let world = World::new().await;
    let (_shared, instances) = shared(&world, 1).await;
    let own = world.attached_disk(instances[0]).await;
    let rule = NewRule { hours: vec![3], interval_days: Some(1), ..NewRule::default() };
    let wanted = CreateSnapshotPolicy { rules: vec![rule], ..CreateSnapshotPolicy::default() };
    let policy = world.control.create_snapshot_policy(&caller(), wanted).await.unwrap().id.unwrap();
    let bound = BoundBy { policy, disks: vec![], instances };
    world.control.bind_snapshot_policy(&caller(), bound).await.unwrap();
    for _ in 0..25 {
        world.clock.advance_ms(3_600_000);
        world.control.reconcile().await.unwrap();
        world.control.runner.idle().await;
    }
    let taken = world.snapshots().await.items;
    assert_eq!(taken.iter().map(|view| view.snapshot.disk).collect::<Vec<_>>(), [Some(own)]);
    world.check_rest().await;
}

#[tokio::test]
async fn lists_find_a_disk_by_each_of_its_instances_and_count_it_once() {
    let world = World::new().await;
    let (disk, instances) = shared(&world, 3).await;
    let own = world.attached_disk(instances[0]).await;
    let found = async |values: &[InstanceId]| {
        let values = values.iter().map(ToString::to_string).collect();
        let filters = vec![Filter { name: "instance-id".to_owned(), values }];
        let wanted = DescribeDisks { filters, ..DescribeDisks::default() };
        let listed = world.control.describe_disks(&caller(), wanted).await.unwrap();
        let mut ids: Vec<_> = listed.items.iter().map(|view| view.disk.id).collect();
        ids.sort_unstable();
        assert_eq!(listed.total_count, ids.len() as u64);
        ids
    };
    let mut both = vec![disk, own];
    both.sort_unstable();
    assert_eq!(found(&instances[..1]).await, both);
    assert_eq!(found(&instances[1..2]).await, [disk]);
    assert_eq!(found(&instances).await, both);
    world.detach_from(disk, instances[0]).await.unwrap();
    assert_eq!(found(&instances[..1]).await, [own]);
    assert_eq!(found(&instances[1..]).await, [disk]);

    let details = world.control.describe_instances_disk_num(&caller(), instances.clone()).await.unwrap();
    assert_eq!(details.iter().map(|detail| detail.attached_disk_count).collect::<Vec<_>>(), [1, 1, 1]);
    let wanted = DescribeInstances { instances: instances[1..].to_vec(), ..DescribeInstances::default() };
    for view in world.control.describe_instances(&caller(), wanted).await.unwrap().items {
        assert_eq!(view.disks.iter().map(|disk| disk.id).collect::<Vec<_>>(), [disk]);
    }
}

/// A session that never lets go.
struct Stubborn;

impl EndSession for Stubborn {
    fn finish(&self) {}
    fn abort(&self) {}
}

#[tokio::test]
async fn an_instance_that_does_not_let_go_keeps_its_attachment_and_no_other_is_touched() {
    let limits = Limits { withdraw_wait_ms: 10, ..Limits::default() };
    let world = World::with(Settings { limits, ..Settings::default() }, None, 1).await;
    let (disk, instances) = shared(&world, 2).await;
    let open = |instance: InstanceId| world.exports.open(&format!("{disk}@{instance}")).unwrap();
    let (stuck, other) = (open(instances[0]), open(instances[1]));
    stuck.on_withdraw(std::sync::Arc::new(Stubborn));
    let refused = world.detach_from(disk, instances[0]).await.unwrap_err();
    assert!(matches!(refused, ControlError::Job(_)), "{refused}");
    other.device().write(0, &[7; 4096]).unwrap();
    assert_eq!(world.read(disk), 7);
    // The way back waits for the same session; once it is gone the reconciler ends the job.
    drop(stuck);
    world.control.reconcile().await.unwrap();
    world.control.runner.idle().await;
    assert_eq!(instances_of(&world, disk).await, (DiskState::Attached, instances.clone()));
    world.detach_from(disk, instances[0]).await.unwrap();
    assert_eq!(world.exports.withdraw(disk, instances[0], Duration::ZERO), ashlar_attach::Withdrawal::LetGo);
    other.device().write(0, &[8; 4096]).unwrap();
    world.check_rest().await;
}

#[tokio::test]
async fn a_restart_gives_each_instance_its_disk_again() {
    let world = World::new().await;
    let (disk, instances) = shared(&world, 3).await;
    world.detach_from(disk, instances[1]).await.unwrap();
    world.write(disk, 9);
    let world = world.restarted().await;
    assert_eq!(instances_of(&world, disk).await, (DiskState::Attached, vec![instances[0], instances[2]]));
    for instance in [instances[0], instances[2]] {
        let lease = world.exports.open(&format!("{disk}@{instance}")).unwrap();
        let mut block = [0; 4096];
        lease.device().read(0, &mut block).unwrap();
        assert_eq!(block[0], 9);
    }
    world.check_rest().await;
}
