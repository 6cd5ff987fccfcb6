//! Calls on backup points.

use ashlar_types::DiskBackupId;

use super::harness::{World, caller, new_disks};
use crate::*;

async fn disk_with_quota(world: &World, quota: u64) -> ashlar_types::DiskId {
    let wanted = CreateDisks { backup_quota: Some(quota), ..new_disks() };
    world.control.create_disks(&caller(), wanted).await.unwrap()[0]
}

async fn back_up(world: &World, disk: ashlar_types::DiskId) -> Result<DiskBackupId, ControlError> {
    world.control.create_disk_backup(&caller(), disk, Some("night".to_owned())).await
}

fn applied(backup: DiskBackupId, disk: ashlar_types::DiskId) -> ApplyDiskBackup {
    ApplyDiskBackup { backup, disk, auto_stop_instance: None, auto_start_instance: None }
}

#[tokio::test]
async fn a_backup_point_brings_the_first_bytes_back_and_counts_against_its_quota() {
    let world = World::new().await;
    let disk = disk_with_quota(&world, 1).await;
    world.write(disk, 1);
    let backup = back_up(&world, disk).await.unwrap();
    world.write(disk, 2);
    let refused = back_up(&world, disk).await.unwrap_err();
    assert!(matches!(refused, ControlError::DiskBackup(DiskBackupError::Quota { at_most: 1, .. })));
    let view = world.view(disk).await;
    assert_eq!((view.disk.backup_quota, view.backup_count, view.snapshot_count), (1, 1, 0));

    world.control.apply_disk_backup(&caller(), applied(backup, disk)).await.unwrap();
    assert_eq!(world.read(disk), 1);
    world.control.delete_disk_backups(&caller(), vec![backup]).await.unwrap();
    assert_eq!(world.view(disk).await.backup_count, 0);
    back_up(&world, disk).await.unwrap();
    world.check_rest().await;
}

#[tokio::test]
async fn a_backup_point_becomes_a_snapshot_and_gives_its_place_back() {
    let world = World::new().await;
    let disk = disk_with_quota(&world, 1).await;
    world.write(disk, 1);
    let backup = back_up(&world, disk).await.unwrap();
    world.write(disk, 2);
    let wanted = CreateSnapshot { backup: Some(backup), is_instant: true, ..CreateSnapshot::default() };
    let snapshot = world.control.create_snapshot(&caller(), wanted.clone()).await.unwrap();
    let view = world.snapshot_view(snapshot).await;
    assert_eq!((view.snapshot.disk, view.snapshot.is_instant), (Some(disk), true));
    assert_eq!((view.snapshot.size_gib, view.snapshot.held_bytes), (10, 4096));
    assert_eq!(world.view(disk).await.backup_count, 0);
    let again = world.control.create_snapshot(&caller(), wanted).await.unwrap_err();
    assert!(matches!(again, ControlError::DiskBackup(DiskBackupError::NotFound(_))), "{again:?}");
    world.apply(snapshot, disk).await.unwrap();
    assert_eq!(world.read(disk), 1);
    world.check_rest().await;
}

#[tokio::test]
async fn backup_points_go_with_their_disk() {
    let world = World::new().await;
    let disk = disk_with_quota(&world, 2).await;
    back_up(&world, disk).await.unwrap();
    back_up(&world, disk).await.unwrap();
    world.terminate(disk).await.unwrap();
    assert_eq!(world.backups().await.total_count, 0);
    world.check_rest().await;
}

#[tokio::test]
async fn wrong_calls_are_refused_and_change_nothing() {
    let world = World::new().await;
    let instance = world.instance("ap-guangzhou-3").await;
    let (disk, other) = (disk_with_quota(&world, 2).await, world.disk().await);
    let backup = back_up(&world, disk).await.unwrap();
    let missing: DiskBackupId = "dbp-zzzzzzzz".parse().unwrap();
    let before = (world.seen().await, world.backups().await);

    let control = &world.control;
    let refused = control.apply_disk_backup(&caller(), applied(backup, other)).await.unwrap_err();
    assert!(matches!(refused, ControlError::DiskBackup(DiskBackupError::OfOtherDisk { .. })), "{refused:?}");
    let refused = control.apply_disk_backup(&caller(), applied(missing, disk)).await.unwrap_err();
    assert!(matches!(refused, ControlError::DiskBackup(DiskBackupError::NotFound(_))), "{refused:?}");
    let started = ApplyDiskBackup { auto_start_instance: Some(true), ..applied(backup, disk) };
    let refused = control.apply_disk_backup(&caller(), started).await.unwrap_err();
    assert!(matches!(refused, ControlError::Parameter(_)), "{refused:?}");
    let refused = control.delete_disk_backups(&caller(), vec![backup, missing]).await.unwrap_err();
    assert!(matches!(refused, ControlError::DiskBackup(DiskBackupError::NotFound(_))), "{refused:?}");
    let name = Some("n".repeat(101));
    let refused = control.create_disk_backup(&caller(), disk, name).await.unwrap_err();
    assert!(matches!(refused, ControlError::Parameter(_)), "{refused:?}");
    let elsewhere = Caller { region: "ap-beijing".parse().unwrap(), ..caller() };
    let refused = control.delete_disk_backups(&elsewhere, vec![backup]).await.unwrap_err();
    assert!(matches!(refused, ControlError::DiskBackup(DiskBackupError::NotFound(_))), "{refused:?}");
    assert_eq!((world.seen().await, world.backups().await), before);

    world.attach(disk, instance).await.unwrap();
    let stopped = ApplyDiskBackup { auto_stop_instance: Some(true), ..applied(backup, disk) };
    let refused = control.apply_disk_backup(&caller(), stopped).await.unwrap_err();
    assert!(matches!(refused, ControlError::Instance(InstanceError::PowerNotSupported(_))), "{refused:?}");
    let refused = control.apply_disk_backup(&caller(), applied(backup, disk)).await.unwrap_err();
    assert!(matches!(refused, ControlError::Disk(DiskError::NotSupported { .. })), "{refused:?}");
    world.check_rest().await;
}

#[tokio::test]
async fn lists_are_filtered_ordered_and_counted() {
    let world = World::new().await;
    let (one, two) = (disk_with_quota(&world, 3).await, disk_with_quota(&world, 3).await);
    let mut made = Vec::new();
    for disk in [one, one, two, one] {
        made.push(back_up(&world, disk).await.unwrap());
    }
    let listed = |wanted: DescribeDiskBackups| {
        let control = world.control.clone();
        async move {
            let listed = control.describe_disk_backups(&caller(), wanted).await.unwrap();
            (listed.total_count, listed.items.iter().map(|backup| backup.id).collect::<Vec<_>>())
        }
    };
    let all = DescribeDiskBackups::default;
    assert_eq!(listed(all()).await, (4, made.clone()), "oldest first");
    let newest = DescribeDiskBackups { order: Some("DESC".to_owned()), limit: Some(1), ..all() };
    assert_eq!(listed(newest).await, (4, vec![made[3]]));
    let filters = vec![Filter { name: "disk-id".to_owned(), values: vec![one.to_string()] }];
    let of_one = DescribeDiskBackups { filters, offset: Some(1), limit: Some(1), ..all() };
    assert_eq!(listed(of_one).await, (3, vec![made[1]]));
    let by_id = DescribeDiskBackups { backups: vec![made[2], "dbp-zzzzzzzz".parse().unwrap()], ..all() };
    assert_eq!(listed(by_id).await, (1, vec![made[2]]));
    let filters = vec![Filter { name: "zone".to_owned(), values: vec!["ap-guangzhou-3".to_owned()] }];
    let wanted = DescribeDiskBackups { filters, ..all() };
    let refused = world.control.describe_disk_backups(&caller(), wanted).await.unwrap_err();
    assert!(matches!(refused, ControlError::Parameter(ParameterError::UnknownFilter { .. })), "{refused:?}");
}
