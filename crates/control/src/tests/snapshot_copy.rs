//! Snapshots that go to other regions.

use std::sync::Arc;

use ashlar_types::{DiskId, GIB_BYTES, Region, SnapshotId, SnapshotState};
use ashlar_volume::{BlockDevice, VolumeStore};

use super::harness::{World, caller, new_disks};
use crate::*;

const BLOCK: u64 = 4096;

fn region(name: &str) -> Region {
    name.parse().unwrap()
}

fn at(name: &str) -> Caller {
    Caller { region: region(name), ..caller() }
}

fn wanted(snapshot: SnapshotId, destinations: &[&str]) -> CopySnapshotCrossRegions {
    CopySnapshotCrossRegions {
        snapshot: Some(snapshot),
        destinations: destinations.iter().map(|name| region(name)).collect(),
        name: None,
    }
}

async fn begin(world: &World, snapshot: SnapshotId, to: &str) -> SnapshotId {
    let results =
        world.control.copy_snapshot_cross_regions(&caller(), wanted(snapshot, &[to])).await.unwrap();
    *results[0].copy.as_ref().unwrap()
}

async fn copied(world: &World, snapshot: SnapshotId, to: &str) -> SnapshotId {
    let copy = begin(world, snapshot, to).await;
    world.control.runner.idle().await;
    copy
}

async fn view_at(world: &World, to: &str, snapshot: SnapshotId) -> SnapshotView {
    let wanted = DescribeSnapshots { snapshots: vec![snapshot], ..DescribeSnapshots::default() };
    world.control.describe_snapshots(&at(to), wanted).await.unwrap().items.remove(0)
}

async fn moved_bytes(world: &World, copy: SnapshotId) -> u64 {
    let mut tx = world.control.db.read().await.unwrap();
    tx.snapshot_copies().find(copy).await.unwrap().unwrap().moved_bytes
}

fn open(store: &impl VolumeStore, snapshot: SnapshotId) -> Arc<dyn BlockDevice> {
    store.open_snapshot(&snapshot.into()).unwrap()
}

/// The data of both, block by block where either has any.
fn assert_same(world: &World, source: SnapshotId, to: &str, copy: SnapshotId) {
    let (from, to) = (open(&world.store(), source), open(&world.store_of(&region(to)), copy));
    assert_eq!(from.size_bytes(), to.size_bytes());
    let mut offset = 0;
    while offset < from.size_bytes() {
        let rest = from.size_bytes() - offset;
        let extents = [
            from.extents(offset, rest, 1).unwrap().remove(0),
            to.extents(offset, rest, 1).unwrap().remove(0),
        ];
        let length = extents[0].length_bytes.min(extents[1].length_bytes);
        if extents.iter().any(|extent| extent.kind == ashlar_volume::ExtentKind::Data) {
            let length = length.min(1 << 20);
            let (mut one, mut other) = (vec![1; length as usize], vec![2; length as usize]);
            from.read(offset, &mut one).unwrap();
            to.read(offset, &mut other).unwrap();
            assert!(one == other, "{length} bytes at {offset}");
            offset += length;
        } else {
            offset += length;
        }
    }
}

fn write(world: &World, disk: DiskId, block: u64, count: u64, byte: u8) {
    world.device(disk).write(block * BLOCK, &vec![byte; (count * BLOCK) as usize]).unwrap();
}

#[tokio::test]
async fn a_copy_is_whole_and_the_next_one_moves_only_what_changed() {
    let world = World::new().await;
    let disk = world.disk().await;
    write(&world, disk, 0, 40, 1);
    write(&world, disk, (9 * GIB_BYTES) / BLOCK, 3, 2);
    let first = world.snapshot(disk).await;
    write(&world, disk, 2, 2, 3);
    world.device(disk).discard(10 * BLOCK, 5 * BLOCK).unwrap();
    // The same bytes again are no change for the destination.
    write(&world, disk, 20, 4, 1);
    let second = world.snapshot(disk).await;

    let copy = copied(&world, first, "ap-beijing").await;
    assert_eq!(moved_bytes(&world, copy).await, 43 * BLOCK);
    assert_same(&world, first, "ap-beijing", copy);
    let view = view_at(&world, "ap-beijing", copy).await;
    assert!(view.is_copy);
    assert_eq!((view.snapshot.state, view.snapshot.percent), (SnapshotState::Normal, 100));
    assert_eq!((view.snapshot.disk, view.snapshot.size_gib), (None, 10));
    assert_eq!(view.snapshot.name, format!("Copied {first} from ap-guangzhou"));
    assert_eq!(view.snapshot.held_bytes, 43 * BLOCK);

    let next = copied(&world, second, "ap-beijing").await;
    assert_eq!(moved_bytes(&world, next).await, 2 * BLOCK, "two blocks differ; five became a hole");
    assert_same(&world, second, "ap-beijing", next);
    // The older one again, beside the newer: its own copy is there, nothing has to move.
    let again = copied(&world, first, "ap-beijing").await;
    assert_eq!(moved_bytes(&world, again).await, 0);
    assert_same(&world, first, "ap-beijing", again);
    world.check_rest().await;

    // A disk there begins with the bytes from here.
    let placement = Placement { zone: "ap-beijing-1".parse().unwrap(), ..new_disks().placement };
    let from = CreateDisks { placement, snapshot: Some(next), ..new_disks() };
    let made = world.control.create_disks(&at("ap-beijing"), from).await.unwrap()[0];
    let mut bytes = [0; 16];
    let device = world.store_of(&region("ap-beijing")).open_volume(&made.into()).unwrap();
    device.read(2 * BLOCK, &mut bytes).unwrap();
    assert_eq!(bytes, [3; 16]);
}

#[tokio::test]
async fn copies_follow_branches_and_lost_bases() {
    let world = World::new().await;
    let disk = world.disk().await;
    write(&world, disk, 0, 8, 1);
    let root = world.snapshot(disk).await;
    write(&world, disk, 0, 8, 2);
    let branch = world.snapshot(disk).await;
    let (root_copy, branch_copy) =
        (copied(&world, root, "ap-beijing").await, copied(&world, branch, "ap-beijing").await);
    world.apply(root, disk).await.unwrap();
    write(&world, disk, 3, 1, 3);
    let other = world.snapshot(disk).await;
    // The newest copy is of a branch that this one does not descend from; the root is.
    let other_copy = copied(&world, other, "ap-beijing").await;
    assert_eq!(moved_bytes(&world, other_copy).await, BLOCK);
    assert_same(&world, other, "ap-beijing", other_copy);

    // Without any base that both sides have, everything moves.
    world
        .control
        .delete_snapshots(&at("ap-beijing"), vec![root_copy, branch_copy, other_copy])
        .await
        .unwrap();
    let anew = copied(&world, other, "ap-beijing").await;
    assert_eq!(moved_bytes(&world, anew).await, 8 * BLOCK);
    assert_same(&world, other, "ap-beijing", anew);
    world.check_rest().await;
}

#[tokio::test]
async fn each_destination_answers_for_itself() {
    let world = World::new().await;
    let disk = world.disk().await;
    write(&world, disk, 0, 8, 1);
    let snapshot = world.snapshot(disk).await;
    let calls = wanted(snapshot, &["ap-shanghai", "ap-hongkong"]);
    let results = world.control.copy_snapshot_cross_regions(&caller(), calls).await.unwrap();
    let regions: Vec<_> = results.iter().map(|result| result.region.as_str()).collect();
    assert_eq!(regions, ["ap-shanghai", "ap-hongkong"]);
    world.control.runner.idle().await;
    for result in results {
        let copy = *result.copy.as_ref().unwrap();
        assert_same(&world, snapshot, result.region.as_str(), copy);
    }
    world.check_rest().await;
}

#[tokio::test]
async fn what_a_copy_needs_stays_while_it_is_under_way() {
    let script = Arc::new(Halt::default());
    let world = World::with(Settings::default(), Some(script.clone()), 1).await;
    let disk = world.disk().await;
    write(&world, disk, 0, 8, 1);
    let (first, second) = (world.snapshot(disk).await, {
        write(&world, disk, 1, 1, 2);
        world.snapshot(disk).await
    });
    let base = copied(&world, first, "ap-beijing").await;
    script.armed.store(true, std::sync::atomic::Ordering::SeqCst);
    let copy = begin(&world, second, "ap-beijing").await;
    script.halted.notified().await;

    let view = view_at(&world, "ap-beijing", copy).await;
    assert_eq!(view.snapshot.state, SnapshotState::CheckingCopied);
    assert!((1..100).contains(&view.snapshot.percent), "{}", view.snapshot.percent);
    assert_eq!(world.snapshot_view(second).await.copying_to, vec![region("ap-beijing")]);
    for (caller, needed) in [(caller(), second), (caller(), first), (at("ap-beijing"), base)] {
        let refused = world.control.delete_snapshots(&caller, vec![needed]).await.unwrap_err();
        assert!(matches!(refused, ControlError::Copy(CopyError::UnderWay(_))), "{needed}: {refused:?}");
    }
    let refused = world.control.delete_snapshots(&at("ap-beijing"), vec![copy]).await.unwrap_err();
    assert!(matches!(refused, ControlError::Snapshot(SnapshotError::Busy { .. })), "{refused:?}");
    let again = world.control.copy_snapshot_cross_regions(&caller(), wanted(second, &["ap-beijing"])).await;
    assert!(matches!(again, Err(ControlError::Copy(CopyError::Conflict { .. }))), "{again:?}");
    let both = wanted(second, &["ap-beijing", "ap-shanghai"]);
    let results = world.control.copy_snapshot_cross_regions(&caller(), both).await.unwrap();
    assert!(results[0].copy.is_err() && results[1].copy.is_ok());
    // The other copy is not held up by the halted one.
    let jobs = world.control.db.read().await.unwrap().jobs().unfinished().await.unwrap();
    world.control.await_any_job(jobs[1]).await.unwrap();

    // After the restart the copy goes on where it was: nothing moves twice.
    let world = world.restarted().await;
    assert_eq!(moved_bytes(&world, copy).await, BLOCK);
    assert_same(&world, second, "ap-beijing", copy);
    assert_eq!(world.snapshot_view(second).await.copying_to, Vec::<Region>::new());
    world.control.delete_snapshots(&caller(), vec![first, second]).await.unwrap();
    assert_eq!(view_at(&world, "ap-beijing", copy).await.snapshot.state, SnapshotState::Normal);
    world.check_rest().await;
}

#[tokio::test]
async fn wrong_copies_are_refused() {
    let settings =
        Settings { limits: Limits { snapshots_per_disk: 1, ..Limits::default() }, ..Settings::default() };
    let world = World::with(settings, None, 1).await;
    let disk = world.disk().await;
    let snapshot = world.snapshot(disk).await;
    let control = &world.control;
    for wrong in [
        wanted(snapshot, &[]),
        wanted(snapshot, &["ap-guangzhou"]),
        wanted(snapshot, &["ap-nowhere"]),
        wanted(snapshot, &["ap-beijing", "ap-beijing"]),
        wanted("snap-zzzzzzzz".parse().unwrap(), &["ap-beijing"]),
        CopySnapshotCrossRegions { snapshot: None, ..wanted(snapshot, &["ap-beijing"]) },
        CopySnapshotCrossRegions { name: Some("n".repeat(61)), ..wanted(snapshot, &["ap-beijing"]) },
    ] {
        let context = format!("{wrong:?}");
        assert!(control.copy_snapshot_cross_regions(&caller(), wrong).await.is_err(), "{context}");
    }
    copied(&world, snapshot, "ap-beijing").await;
    let refused = control.copy_snapshot_cross_regions(&caller(), wanted(snapshot, &["ap-beijing"])).await;
    assert!(matches!(refused, Err(ControlError::Copy(CopyError::Quota { at_most: 1, .. }))), "{refused:?}");
    world.check_rest().await;
}

/// Stops the server for good before a copy is compared with its source, once armed.
#[derive(Default)]
struct Halt {
    armed: std::sync::atomic::AtomicBool,
    halted: tokio::sync::Notify,
}

impl crate::job::StepHook for Halt {
    fn at(&self, _work: &crate::job::Work, step: crate::job::Step) -> crate::job::Fault {
        let is_armed = step == crate::job::Step::VerifyCopy
            && self.armed.swap(false, std::sync::atomic::Ordering::SeqCst);
        if is_armed { crate::job::Fault::HaltBefore } else { crate::job::Fault::None }
    }

    fn halted(&self) {
        self.halted.notify_one();
    }
}
