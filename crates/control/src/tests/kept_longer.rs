//! What keeps a snapshot beyond its promise: locks, images, shares and copies. It stays while they do, and goes when they
//! are gone, without waiting for a timer.

use ashlar_types::{AdvancedRetention, DiskId, SnapshotId};

use super::harness::*;
use super::signal::{quiet, rung};
use super::slow_pool::slow_world;
use crate::job::Step;
use crate::*;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// The first hour at which the daily policy of these tests fires, after the beginning.
const FIRST_MS: i64 = 19 * HOUR_MS;

fn days() -> RetentionWish {
    RetentionWish { days: Some(1), ..RetentionWish::default() }
}

fn amount() -> RetentionWish {
    RetentionWish { amount: Some(1), ..RetentionWish::default() }
}

fn calendar() -> RetentionWish {
    let advanced = Some(AdvancedRetention { days: 1, weeks: 0, months: 0, years: 0 });
    RetentionWish { advanced, ..RetentionWish::default() }
}

/// Goes to a time after the beginning and lets the reconcilers run there.
async fn at(world: &World, since_begin_ms: i64) {
    world.clock.set(BEGIN.plus_ms(since_begin_ms));
    world.control.reconcile().await.unwrap();
}

/// A disk whose policy has taken one snapshot, and that snapshot. The policy rests afterwards unless it has to take more.
async fn taken(world: &World, disk: DiskId, retention: RetentionWish) -> SnapshotId {
    let rule = NewRule { hours: vec![3], interval_days: Some(1), ..NewRule::default() };
    let wanted = CreateSnapshotPolicy { rules: vec![rule], retention, ..CreateSnapshotPolicy::default() };
    let policy = world.control.create_snapshot_policy(&caller(), wanted).await.unwrap().id.unwrap();
    let bound = BoundBy { policy, disks: vec![disk], instances: Vec::new() };
    world.control.bind_snapshot_policy(&caller(), bound).await.unwrap();
    at(world, FIRST_MS).await;
    world.snapshots().await.items.remove(0).snapshot.id
}

async fn is_there(world: &World, snapshot: SnapshotId) -> bool {
    world.snapshots().await.items.iter().any(|view| view.snapshot.id == snapshot)
}

/// The times of these tests at which the snapshot has outlived each promise: one more was taken, and its day is over.
const OUTLIVED_MS: [i64; 2] = [FIRST_MS + DAY_MS, FIRST_MS + 2 * DAY_MS];

#[tokio::test]
async fn a_lock_keeps_it_until_its_end() {
    for retention in [days(), amount(), calendar()] {
        let world = World::new().await;
        let instance = world.instance("ap-guangzhou-3").await;
        let disk = world.attached_disk(instance).await;
        let snapshot = taken(&world, disk, retention.clone()).await;
        // In the middle of a day: nothing else gives a reason to look then.
        let end_ms = FIRST_MS + 2 * DAY_MS + 5 * HOUR_MS;
        world.control.lock_snapshot(snapshot, BEGIN.plus_ms(end_ms)).await.unwrap();
        for time_ms in [OUTLIVED_MS[0], OUTLIVED_MS[1], end_ms - 1] {
            at(&world, time_ms).await;
            assert!(is_there(&world, snapshot).await, "{retention:?}: locked at {time_ms}");
        }
        at(&world, end_ms).await;
        assert!(!is_there(&world, snapshot).await, "{retention:?}: the lock is over");
        world.check_rest().await;
    }
}

#[tokio::test]
async fn a_share_keeps_it_until_it_is_cancelled() {
    for retention in [days(), amount(), calendar()] {
        let world = World::new().await;
        let other = world.control.add_account("other").await.unwrap().uin;
        let instance = world.instance("ap-guangzhou-3").await;
        let disk = world.attached_disk(instance).await;
        let snapshot = taken(&world, disk, retention.clone()).await;
        let share = |permission| ModifySnapshotsSharePermission {
            snapshots: vec![snapshot],
            accounts: vec![other.to_string()],
            permission,
        };
        let control = &world.control;
        control.modify_snapshots_share_permission(&caller(), share(SharePermission::Share)).await.unwrap();
        for time_ms in OUTLIVED_MS {
            at(&world, time_ms).await;
            assert!(is_there(&world, snapshot).await, "{retention:?}: shared at {time_ms}");
        }
        quiet(&world).await;
        control.modify_snapshots_share_permission(&caller(), share(SharePermission::Cancel)).await.unwrap();
        assert!(rung(&world).await, "without the timer");
        control.reconcile().await.unwrap();
        assert!(!is_there(&world, snapshot).await, "{retention:?}: nobody shares it any more");
        world.check_rest().await;
    }
}

#[tokio::test]
async fn an_image_keeps_it_until_it_is_deleted() {
    // What has a deadline cannot be made an image.
    for retention in [amount(), calendar()] {
        let world = World::new().await;
        let wanted = NewInstance {
            zone: "ap-guangzhou-3".parse().unwrap(),
            name: None,
            id: None,
            ip_address: None,
            product: ashlar_types::InstanceProduct::Cvm,
            system_disk_gib: Some(20),
        };
        world.control.add_instance(FIRST_ACCOUNT, wanted).await.unwrap();
        let disk = world.disks().await.items.remove(0).disk.id;
        let snapshot = taken(&world, disk, retention.clone()).await;
        let wanted =
            CreateImage { name: "golden".to_owned(), snapshots: vec![snapshot], ..CreateImage::default() };
        let image = world.control.create_image(&caller(), wanted).await.unwrap().unwrap();
        for time_ms in OUTLIVED_MS {
            at(&world, time_ms).await;
            assert!(is_there(&world, snapshot).await, "{retention:?}: an image is made of it at {time_ms}");
        }
        quiet(&world).await;
        let wanted = DeleteImages { images: vec![image], ..DeleteImages::default() };
        world.control.delete_images(&caller(), wanted).await.unwrap();
        assert!(rung(&world).await, "without the timer");
        world.control.reconcile().await.unwrap();
        assert!(!is_there(&world, snapshot).await, "{retention:?}: the image is gone");
    }
}

#[tokio::test]
async fn a_copy_keeps_what_it_reads_until_it_is_done() {
    for retention in [days(), amount(), calendar()] {
        let (world, gate) = slow_world(60_000).await;
        let instance = world.instance("ap-guangzhou-3").await;
        let disk = world.attached_disk(instance).await;
        let snapshot = taken(&world, disk, retention.clone()).await;
        gate.arm(&world, Step::PrepareCopy);
        let wanted = CopySnapshotCrossRegions {
            snapshot: Some(snapshot),
            destinations: vec!["ap-beijing".parse().unwrap()],
            name: None,
        };
        world.control.copy_snapshot_cross_regions(&caller(), wanted).await.unwrap();
        gate.shut.notified().await;
        for time_ms in OUTLIVED_MS {
            at(&world, time_ms).await;
            assert!(is_there(&world, snapshot).await, "{retention:?}: being copied at {time_ms}");
        }
        quiet(&world).await;
        gate.open();
        world.control.runner.idle().await;
        assert!(rung(&world).await, "without the timer");
        world.control.reconcile().await.unwrap();
        assert!(!is_there(&world, snapshot).await, "{retention:?}: the copy is done");
    }
}
