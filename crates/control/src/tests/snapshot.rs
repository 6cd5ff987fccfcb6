//! Calls on snapshots.

use ashlar_types::{DiskUsage, SnapshotState};

use super::harness::{World, caller, new_disks};
use crate::*;

fn taken_of(disk: ashlar_types::DiskId) -> CreateSnapshot {
    CreateSnapshot { disk: Some(disk), ..CreateSnapshot::default() }
}

#[tokio::test]
async fn a_rollback_brings_the_first_bytes_back() {
    let world = World::new().await;
    let disk = world.disk().await;
    world.write(disk, 1);
    let snapshot = world.snapshot(disk).await;
    world.write(disk, 2);
    world.apply(snapshot, disk).await.unwrap();
    assert_eq!(world.read(disk), 1);
    let view = world.view(disk).await;
    assert_eq!((view.disk.rollback_percent, view.snapshot_count), (100, 1));
    assert_eq!(view.snapshot_bytes, 4096);
    world.check_rest().await;
}

#[tokio::test]
async fn a_rollback_needs_a_detached_disk_of_its_own() {
    let world = World::new().await;
    let instance = world.instance("ap-guangzhou-3").await;
    let (disk, other) = (world.disk().await, world.disk().await);
    let snapshot = world.snapshot(disk).await;
    let refused = world.apply(snapshot, other).await.unwrap_err();
    assert!(matches!(refused, ControlError::Snapshot(SnapshotError::OfOtherDisk { .. })), "{refused:?}");

    world.attach(disk, instance).await.unwrap();
    let before = world.seen().await;
    let refused = world.apply(snapshot, disk).await.unwrap_err();
    assert!(matches!(refused, ControlError::Disk(DiskError::NotSupported { .. })), "{refused:?}");
    let wanted = ApplySnapshot { snapshot, disk, auto_stop_instance: Some(true), auto_start_instance: None };
    let refused = world.control.apply_snapshot(&caller(), wanted).await.unwrap_err();
    assert!(matches!(refused, ControlError::Instance(InstanceError::PowerNotSupported(_))), "{refused:?}");
    assert_eq!(world.seen().await, before);
}

#[tokio::test]
async fn a_disk_has_no_more_snapshots_than_it_may() {
    let settings =
        Settings { limits: Limits { snapshots_per_disk: 2, ..Limits::default() }, ..Settings::default() };
    let world = World::with(settings, None, 1).await;
    let disk = world.disk().await;
    world.snapshot(disk).await;
    let second = world.snapshot(disk).await;
    let refused = world.control.create_snapshot(&caller(), taken_of(disk)).await.unwrap_err();
    assert!(matches!(refused, ControlError::Quota(QuotaError::SnapshotsOfDisk { at_most: 2, .. })));
    world.control.delete_snapshots(&caller(), vec![second]).await.unwrap();
    world.snapshot(disk).await;
}

#[tokio::test]
async fn wrong_requests_are_named_and_change_nothing() {
    let world = World::new().await;
    let disk = world.disk().await;
    let text = |text: &str| Some(text.to_owned());
    for (wrong, parameter) in [
        (CreateSnapshot::default(), "DiskId"),
        (CreateSnapshot { backup: Some("dbp-12345678".parse().unwrap()), ..taken_of(disk) }, "DiskBackupId"),
        (CreateSnapshot { name: text(&"n".repeat(61)), ..taken_of(disk) }, "SnapshotName"),
        (CreateSnapshot { deadline: text("2020-01-01T00:00:00+00:00"), ..taken_of(disk) }, "Deadline"),
        (CreateSnapshot { deadline: text("tomorrow"), ..taken_of(disk) }, "Deadline"),
        (CreateSnapshot { disk_usage: Some(DiskUsage::SystemDisk), ..taken_of(disk) }, "DiskUsage"),
        (taken_of("disk-zzzzzzzz".parse().unwrap()), "disk-zzzzzzzz"),
    ] {
        let error = world.control.create_snapshot(&caller(), wrong).await.unwrap_err();
        assert!(error.to_string().contains(parameter), "{parameter}: {error}");
    }
    assert_eq!(world.snapshots().await.total_count, 0);
    world.check_rest().await;
}

#[tokio::test]
async fn how_long_a_snapshot_is_kept_can_be_changed() {
    let world = World::new().await;
    let disk = world.disk().await;
    let snapshot = world.snapshot(disk).await;
    let wish = ModifySnapshotAttribute { snapshot, name: None, is_permanent: None, deadline: None };
    let tomorrow = Some(world.iso_after_ms(86_400_000));
    for wrong in [
        wish.clone(),
        ModifySnapshotAttribute { is_permanent: Some(true), deadline: tomorrow.clone(), ..wish.clone() },
        ModifySnapshotAttribute { is_permanent: Some(false), ..wish.clone() },
        ModifySnapshotAttribute { deadline: Some("2020-01-01T00:00:00Z".to_owned()), ..wish.clone() },
        ModifySnapshotAttribute { name: Some("n".repeat(61)), ..wish.clone() },
    ] {
        let refused = world.control.modify_snapshot_attribute(&caller(), wrong.clone()).await;
        assert!(matches!(refused, Err(ControlError::Parameter(_))), "{wrong:?}: {refused:?}");
    }
    let mortal = ModifySnapshotAttribute {
        name: Some("new".to_owned()),
        is_permanent: Some(false),
        deadline: tomorrow,
        ..wish.clone()
    };
    world.control.modify_snapshot_attribute(&caller(), mortal).await.unwrap();
    let view = world.snapshot_view(snapshot).await.snapshot;
    assert_eq!((view.name.as_str(), view.deadline.is_some()), ("new", true));

    let kept = ModifySnapshotAttribute { is_permanent: Some(true), ..wish };
    world.control.modify_snapshot_attribute(&caller(), kept).await.unwrap();
    assert_eq!(world.snapshot_view(snapshot).await.snapshot.deadline, None);
}

#[tokio::test]
async fn a_snapshot_goes_at_its_deadline_and_not_before() {
    let world = World::new().await;
    let disk = world.disk().await;
    let kept = world.snapshot(disk).await;
    let deadline = Some(world.iso_after_ms(60_000));
    world.control.create_snapshot(&caller(), CreateSnapshot { deadline, ..taken_of(disk) }).await.unwrap();
    world.clock.advance_ms(59_000);
    world.control.reconcile().await.unwrap();
    assert_eq!(world.snapshots().await.total_count, 2);
    world.clock.advance_ms(1_000);
    world.control.reconcile().await.unwrap();
    let left: Vec<_> = world.snapshots().await.items.iter().map(|view| view.snapshot.id).collect();
    assert_eq!(left, vec![kept]);
    world.check_rest().await;
}

#[tokio::test]
async fn the_last_disk_between_leaves_its_blocks_to_the_snapshot_of_another() {
    let world = World::new().await;
    let disk = world.disk().await;
    world.write(disk, 1);
    let origin = world.snapshot(disk).await;
    let from = CreateDisks { snapshot: Some(origin), ..new_disks() };
    let copy = world.control.create_disks(&caller(), from).await.unwrap()[0];
    let of_copy = world.snapshot(copy).await;
    world.control.reconcile().await.unwrap();
    assert_eq!(world.snapshot_view(of_copy).await.snapshot.held_bytes, 0);
    world.control.delete_snapshots(&caller(), vec![origin]).await.unwrap();
    world.terminate(disk).await.unwrap();
    world.control.reconcile().await.unwrap();
    assert_eq!(world.snapshot_view(of_copy).await.snapshot.held_bytes, 4096);
    world.check_rest().await;
}

#[tokio::test]
async fn deletion_takes_all_snapshots_or_none_and_hands_their_blocks_on() {
    let world = World::new().await;
    let disk = world.disk().await;
    world.write(disk, 1);
    let first = world.snapshot(disk).await;
    let second = world.snapshot(disk).await;
    let missing = "snap-zzzzzzzz".parse().unwrap();
    let refused = world.control.delete_snapshots(&caller(), vec![first, missing]).await.unwrap_err();
    assert!(matches!(refused, ControlError::Snapshot(SnapshotError::NotFound(id)) if id == missing));
    assert_eq!(world.snapshots().await.total_count, 2);

    assert_eq!(world.snapshot_view(second).await.snapshot.held_bytes, 0);
    world.control.reconcile().await.unwrap();
    world.control.delete_snapshots(&caller(), vec![first]).await.unwrap();
    // The pool hands blocks on in its own time, and the record follows.
    assert_eq!(world.snapshot_view(second).await.snapshot.held_bytes, 0);
    world.control.reconcile().await.unwrap();
    assert_eq!(world.snapshot_view(second).await.snapshot.held_bytes, 4096, "the heir holds them now");
    let overview = world.control.snapshot_overview(&caller()).await.unwrap();
    assert_eq!((overview.total_count, overview.total_bytes, overview.billed_bytes), (1, 4096, 0));
    world.check_rest().await;
}

#[tokio::test]
async fn filters_find_exactly_what_they_say() {
    let world = World::new().await;
    let (disk, other) = (world.disk().await, world.disk().await);
    let name = Some("kept".to_owned());
    let named =
        world.control.create_snapshot(&caller(), CreateSnapshot { name, ..taken_of(disk) }).await.unwrap();
    world.clock.advance_ms(1);
    let newer = world.snapshot(other).await;
    for (name, value, expected) in [
        ("snapshot-id", named.to_string(), vec![named]),
        ("snapshot-name", "kept".to_owned(), vec![named]),
        ("disk-id", other.to_string(), vec![newer]),
        ("snapshot-state", SnapshotState::Normal.to_string(), vec![newer, named]),
        ("disk-usage", "SYSTEM_DISK".to_owned(), vec![]),
        ("encrypt", "TRUE".to_owned(), vec![]),
        ("encrypt", "FALSE".to_owned(), vec![newer, named]),
        ("snapshot-type", "SHARED_SNAPSHOT".to_owned(), vec![]),
        ("snapshot-type", "PRIVATE_SNAPSHOT".to_owned(), vec![newer, named]),
        ("project-id", "0".to_owned(), vec![newer, named]),
        ("zone", "ap-guangzhou-4".to_owned(), vec![]),
    ] {
        let filters = vec![Filter { name: name.to_owned(), values: vec![value.clone()] }];
        let wanted = DescribeSnapshots { filters, ..DescribeSnapshots::default() };
        let listed = world.control.describe_snapshots(&caller(), wanted).await.unwrap();
        let found: Vec<_> = listed.items.iter().map(|view| view.snapshot.id).collect();
        assert_eq!((listed.total_count, found), (expected.len() as u64, expected), "{name} {value}");
    }
    let filters = vec![Filter { name: "colour".to_owned(), values: vec!["red".to_owned()] }];
    let wanted = DescribeSnapshots { filters, ..DescribeSnapshots::default() };
    let refused = world.control.describe_snapshots(&caller(), wanted).await.unwrap_err();
    assert!(matches!(refused, ControlError::Parameter(ParameterError::UnknownFilter { .. })));
}
