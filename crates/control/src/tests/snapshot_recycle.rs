//! The recycle bin of snapshots, and locks.

use ashlar_types::UnixMillis;

use super::harness::*;
use crate::*;

const DAY_MS: i64 = 24 * 3_600_000;

async fn world(recycle_days: u64) -> World {
    let mut settings = Settings::default();
    settings.snapshots.recycle_days = recycle_days;
    World::with(settings, None, 1).await
}

async fn at(world: &World, days: i64) {
    world.clock.set(BEGIN.plus_ms(days * DAY_MS));
    world.control.reconcile().await.unwrap();
}

#[tokio::test]
async fn a_deleted_snapshot_can_be_brought_back_for_a_while() {
    let world = world(3).await;
    let instance = world.instance("ap-guangzhou-3").await;
    let disk = world.attached_disk(instance).await;
    world.write(disk, 5);
    let (first, second) = (world.snapshot(disk).await, world.snapshot(disk).await);
    world.write(disk, 6);
    world.control.delete_snapshots(&caller(), vec![first, second]).await.unwrap();
    assert_eq!(world.snapshots().await.total_count, 0);
    assert_eq!(world.view(disk).await.snapshot_count, 0);
    let bin: Vec<_> = world.control.recycled_snapshots().await.unwrap();
    assert_eq!(bin.iter().map(|one| one.snapshot.id).collect::<Vec<_>>().len(), 2);
    assert_eq!(bin[0].purged, BEGIN.plus_ms(3 * DAY_MS));
    let world = world.restarted().await;

    at(&world, 2).await;
    world.control.restore_snapshot(first).await.unwrap();
    assert_eq!(world.snapshots().await.total_count, 1);
    assert!(world.control.restore_snapshot(first).await.is_err(), "it is not in the bin any more");
    world.detach(disk).await.unwrap();
    world.apply(first, disk).await.unwrap();
    world.attach(disk, instance).await.unwrap();
    assert_eq!(world.read(disk), 5);

    // The other one goes for good.
    at(&world, 3).await;
    assert_eq!(world.control.recycled_snapshots().await.unwrap(), []);
    assert!(world.control.restore_snapshot(second).await.is_err());
    world.check_rest().await;
}

#[tokio::test]
async fn without_a_bin_snapshots_are_gone_at_once() {
    let world = world(0).await;
    let disk = world.disk().await;
    let snapshot = world.snapshot(disk).await;
    world.control.delete_snapshots(&caller(), vec![snapshot]).await.unwrap();
    assert_eq!(world.control.recycled_snapshots().await.unwrap(), []);
    assert!(world.control.restore_snapshot(snapshot).await.is_err());
    world.check_rest().await;
}

#[tokio::test]
async fn snapshots_that_go_with_their_disk_or_at_their_deadline_go_into_the_bin() {
    let world = world(3).await;
    let disk = world.disk().await;
    let deadline = Some(world.iso_after_ms(DAY_MS));
    let mortal = CreateSnapshot { disk: Some(disk), deadline, ..CreateSnapshot::default() };
    world.control.create_snapshot(&caller(), mortal.clone()).await.unwrap();
    at(&world, 1).await;
    let deadline = Some(world.iso_after_ms(DAY_MS));
    world.control.create_snapshot(&caller(), CreateSnapshot { deadline, ..mortal }).await.unwrap();
    let wanted = TerminateDisks { disks: vec![disk], delete_snapshot: Some(true) };
    world.control.terminate_disks(&caller(), wanted).await.unwrap();
    assert_eq!(world.disks().await.total_count, 0);
    let bin = world.control.recycled_snapshots().await.unwrap();
    assert_eq!(bin.len(), 2);
    // Its deadline has passed: it comes back without one.
    world.control.restore_snapshot(bin[1].snapshot.id).await.unwrap();
    assert!(world.snapshot_view(bin[1].snapshot.id).await.snapshot.is_permanent());
    at(&world, 2).await;
    assert_eq!(world.snapshots().await.total_count, 1);
}

#[tokio::test]
async fn a_lock_holds_against_everybody_until_its_date() {
    let world = world(0).await;
    let disk = world.disk().await;
    let deadline = Some(world.iso_after_ms(DAY_MS));
    let mortal = CreateSnapshot { disk: Some(disk), deadline, ..CreateSnapshot::default() };
    let snapshot = world.control.create_snapshot(&caller(), mortal).await.unwrap();
    let until = |days: i64| UnixMillis(BEGIN.0 + days * DAY_MS);
    world.control.lock_snapshot(snapshot, until(5)).await.unwrap();
    assert!(world.snapshot_view(snapshot).await.is_locked);
    for shorter in [until(4), until(5)] {
        let refused = world.control.lock_snapshot(snapshot, shorter).await.unwrap_err().to_string();
        assert!(refused.contains("never shortened"), "{refused}");
    }
    world.control.lock_snapshot(snapshot, until(6)).await.unwrap();

    let refused = world.control.delete_snapshots(&caller(), vec![snapshot]).await.unwrap_err();
    assert!(matches!(refused, ControlError::Snapshot(SnapshotError::NotSupported { .. })), "{refused:?}");
    let wanted = TerminateDisks { disks: vec![disk], delete_snapshot: Some(true) };
    world.control.terminate_disks(&caller(), wanted).await.unwrap();
    at(&world, 3).await;
    assert_eq!(world.snapshots().await.total_count, 1, "its deadline does not lift the lock");
    at(&world, 6).await;
    assert_eq!(world.snapshots().await.total_count, 0, "its deadline is past, and the lock is over");
    world.check_rest().await;
}
