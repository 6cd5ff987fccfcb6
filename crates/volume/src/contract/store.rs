//! Rules of [`VolumeStore`](crate::VolumeStore) about volumes, names and sizes.

use std::sync::Arc;

use super::Subject;
use super::fixture::*;
use crate::{BLOCK_BYTES, ErrorKind};

/// A size is a positive multiple of 4096; anything else makes and changes nothing.
pub fn sizes_that_are_not_blocks_are_refused(subject: &mut dyn Subject) {
    let store = subject.store();
    let (disk, snap, other) = (volume("disk"), snapshot("snap"), volume("other"));
    store.create_volume(&disk, BLOCK_BYTES).unwrap();
    store.create_snapshot(&disk, &snap).unwrap();
    for size in [0, 1, 4095, 4097, 10_000] {
        assert_kind(store.create_volume(&other, size), ErrorKind::InvalidArgument, "create_volume");
        assert_kind(store.clone_volume(&other, &snap, size), ErrorKind::InvalidArgument, "clone_volume");
        assert_kind(store.resize_volume(&disk, size), ErrorKind::InvalidArgument, "resize_volume");
    }
    assert_kind(store.volume(&other), ErrorKind::NotFound, "a volume whose creation was refused");
    assert_eq!(store.volume(&disk).unwrap().size_bytes, BLOCK_BYTES);
}

/// A name is taken once a kind; a second creation changes nothing of the first.
pub fn names_are_unique_within_their_kind(subject: &mut dyn Subject) {
    let store = subject.store();
    let (same_volume, same_snapshot) = (volume("same"), snapshot("same"));
    let device = new_device(subject, "same");
    fill(&*device, 1, 0, 100);
    store.create_snapshot(&same_volume, &same_snapshot).unwrap();
    fill(&*device, 2, 0, 100);
    let taken = ErrorKind::AlreadyExists;
    assert_kind(store.create_volume(&same_volume, 2 * SIZE_BYTES), taken, "create_volume");
    assert_kind(store.create_volume(&same_volume, SIZE_BYTES), taken, "create_volume of the same size");
    assert_kind(store.clone_volume(&same_volume, &same_snapshot, SIZE_BYTES), taken, "clone_volume");
    assert_kind(store.create_snapshot(&same_volume, &same_snapshot), taken, "create_snapshot");
    assert_same(&read(&*device, 0, 100), &pattern(2, 0, 100), "the volume");
    let frozen = store.open_snapshot(&same_snapshot).unwrap();
    assert_same(&read(&*frozen, 0, 100), &pattern(1, 0, 100), "the snapshot");
    drop((device, frozen));
    store.delete_volume(&same_volume).unwrap();
    store.create_volume(&same_volume, SIZE_BYTES).unwrap();
    let again = store.open_volume(&same_volume).unwrap();
    assert_same(&read_all(&*again), &[0; SIZE_BYTES as usize], "a volume of a name used before");
}

/// Every call says `NotFound` of a name that is not there, and nothing else happens.
pub fn missing_names_are_not_found(subject: &mut dyn Subject) {
    let store = subject.store();
    let (disk, gone, snap, lost) = (volume("disk"), volume("gone"), snapshot("snap"), snapshot("lost"));
    store.create_volume(&disk, SIZE_BYTES).unwrap();
    store.create_snapshot(&disk, &snap).unwrap();
    let missing = ErrorKind::NotFound;
    assert_kind(store.volume(&gone), missing, "volume");
    assert_kind(store.open_volume(&gone), missing, "open_volume");
    assert_kind(store.resize_volume(&gone, SIZE_BYTES), missing, "resize_volume");
    assert_kind(store.delete_volume(&gone), missing, "delete_volume");
    assert_kind(store.clear_volume(&gone), missing, "clear_volume");
    assert_kind(store.create_snapshot(&gone, &lost), missing, "create_snapshot");
    assert_kind(store.roll_back(&gone, &snap), missing, "roll_back of a missing volume");
    assert_kind(store.roll_back(&disk, &lost), missing, "roll_back to a missing snapshot");
    assert_kind(store.clone_volume(&gone, &lost, SIZE_BYTES), missing, "clone_volume");
    assert_kind(store.snapshot(&lost), missing, "snapshot");
    assert_kind(store.open_snapshot(&lost), missing, "open_snapshot");
    assert_kind(store.delete_snapshot(&lost), missing, "delete_snapshot");
    store.delete_snapshot(&snap).unwrap();
    assert_kind(store.delete_snapshot(&snap), missing, "the second delete_snapshot");
    store.delete_volume(&disk).unwrap();
    assert_kind(store.delete_volume(&disk), missing, "the second delete_volume");
    assert_eq!(store.volumes().unwrap(), []);
    assert_eq!(store.snapshots().unwrap(), []);
}

/// The same size again is a success, a smaller one is refused, a larger one adds zeroes.
pub fn resize_is_idempotent_and_never_shrinks(subject: &mut dyn Subject) {
    let store = subject.store();
    let disk = volume("disk");
    let device = new_device(subject, "disk");
    fill(&*device, 1, 0, SIZE_BYTES);
    drop(device);
    store.resize_volume(&disk, SIZE_BYTES).unwrap();
    assert_kind(
        store.resize_volume(&disk, SIZE_BYTES - BLOCK_BYTES),
        ErrorKind::InvalidArgument,
        "resize to a smaller size",
    );
    assert_eq!(store.volume(&disk).unwrap().size_bytes, SIZE_BYTES);
    store.resize_volume(&disk, 3 * SIZE_BYTES).unwrap();
    store.resize_volume(&disk, 3 * SIZE_BYTES).unwrap();
    assert_eq!(store.volume(&disk).unwrap().size_bytes, 3 * SIZE_BYTES);
    let mut expected = pattern(1, 0, SIZE_BYTES as usize);
    expected.resize(3 * SIZE_BYTES as usize, 0);
    assert_same(&read_all(&*store.open_volume(&disk).unwrap()), &expected, "the grown volume");
}

/// A device that was open before a resize has the new size after it, and I/O there works.
pub fn open_devices_see_growth(subject: &mut dyn Subject) {
    let device = new_device(subject, "disk");
    fill(&*device, 1, SIZE_BYTES - 100, 100);
    let mut buffer = [0; 200];
    assert_kind(
        device.read(SIZE_BYTES - 100, &mut buffer),
        ErrorKind::InvalidArgument,
        "a read over the end before the resize",
    );
    subject.store().resize_volume(&volume("disk"), 2 * SIZE_BYTES).unwrap();
    assert_eq!(device.size_bytes(), 2 * SIZE_BYTES);
    device.read(SIZE_BYTES - 100, &mut buffer).unwrap();
    assert_same(&buffer[..100], &pattern(1, SIZE_BYTES - 100, 100), "before the old end");
    assert_same(&buffer[100..], &[0; 100], "beyond the old end");
    fill(&*device, 2, 2 * SIZE_BYTES - 5000, 5000);
    assert_same(
        &read(&*device, 2 * SIZE_BYTES - 5000, 5000),
        &pattern(2, 2 * SIZE_BYTES - 5000, 5000),
        "at the new end",
    );
}

/// Delete, roll back and clear are `InUse` while a device is open, change nothing, and work afterwards.
pub fn open_devices_forbid_what_would_pull_the_ground_away(subject: &mut dyn Subject) {
    let store = subject.store();
    let (disk, snap) = (volume("disk"), snapshot("snap"));
    let device = new_device(subject, "disk");
    fill(&*device, 1, 0, 5000);
    store.create_snapshot(&disk, &snap).unwrap();
    fill(&*device, 2, 0, 5000);
    let frozen = store.open_snapshot(&snap).unwrap();
    assert_kind(store.delete_volume(&disk), ErrorKind::InUse, "delete_volume");
    assert_kind(store.roll_back(&disk, &snap), ErrorKind::InUse, "roll_back");
    assert_kind(store.clear_volume(&disk), ErrorKind::InUse, "clear_volume");
    assert_kind(store.delete_snapshot(&snap), ErrorKind::InUse, "delete_snapshot");
    assert_same(&read(&*device, 0, 5000), &pattern(2, 0, 5000), "the volume after refusals");
    assert_same(&read(&*frozen, 0, 5000), &pattern(1, 0, 5000), "the snapshot after refusals");
    drop(device);
    assert_kind(store.delete_snapshot(&snap), ErrorKind::InUse, "delete_snapshot, its device still open");
    store.roll_back(&disk, &snap).unwrap();
    store.clear_volume(&disk).unwrap();
    store.delete_volume(&disk).unwrap();
    assert_same(&read(&*frozen, 0, 5000), &pattern(1, 0, 5000), "the snapshot of a volume that is gone");
    drop(frozen);
    store.delete_snapshot(&snap).unwrap();
}

/// Opening twice counts twice; a clone of a device keeps it open.
pub fn a_device_counts_as_open_until_its_last_clone_is_dropped(subject: &mut dyn Subject) {
    let store = subject.store();
    let (disk, snap) = (volume("disk"), snapshot("snap"));
    let volume_opens = || store.volume(&disk).unwrap().open_count;
    let snapshot_opens = || store.snapshot(&snap).unwrap().open_count;
    store.create_volume(&disk, SIZE_BYTES).unwrap();
    store.create_snapshot(&disk, &snap).unwrap();
    assert_eq!((volume_opens(), snapshot_opens()), (0, 0));
    let first = store.open_volume(&disk).unwrap();
    let second = store.open_volume(&disk).unwrap();
    let clone = Arc::clone(&first);
    assert_eq!((volume_opens(), snapshot_opens()), (2, 0));
    let frozen = store.open_snapshot(&snap).unwrap();
    assert_eq!((volume_opens(), snapshot_opens()), (2, 1));
    drop(first);
    assert_eq!(volume_opens(), 2, "a clone keeps the first device open");
    drop(clone);
    assert_eq!(volume_opens(), 1);
    drop((second, frozen));
    assert_eq!((volume_opens(), snapshot_opens()), (0, 0));
}

/// Clear brings zeroes, keeps the size, and no snapshot loses a byte.
pub fn clear_makes_the_volume_zeroes_and_keeps_its_snapshots(subject: &mut dyn Subject) {
    let store = subject.store();
    let (disk, snap) = (volume("disk"), snapshot("snap"));
    let device = new_device(subject, "disk");
    fill(&*device, 1, 3000, 90_000);
    let before = read_all(&*device);
    store.create_snapshot(&disk, &snap).unwrap();
    fill(&*device, 2, 0, 20_000);
    drop(device);
    store.clear_volume(&disk).unwrap();
    let device = store.open_volume(&disk).unwrap();
    assert_same(&read_all(&*device), &[0; SIZE_BYTES as usize], "the cleared volume");
    assert_eq!(block_map(&*device), "-".repeat(64), "a cleared volume is one hole");
    assert_same(&read_all(&*store.open_snapshot(&snap).unwrap()), &before, "the snapshot");
    drop(device);
    subject.settle();
    let device = store.open_volume(&disk).unwrap();
    fill(&*device, 3, 0, 100);
    assert_same(&read(&*device, 0, 100), &pattern(3, 0, 100), "a write after the clear");
    assert_same(&read_all(&*store.open_snapshot(&snap).unwrap()), &before, "the snapshot, settled");
}

/// The lists have every name once.
pub fn lists_name_what_exists(subject: &mut dyn Subject) {
    let store = subject.store();
    for index in 0..20 {
        let disk = volume(&format!("disk-{index:02}"));
        store.create_volume(&disk, SIZE_BYTES).unwrap();
        store.create_snapshot(&disk, &snapshot(&format!("snap-{index:02}"))).unwrap();
    }
    for index in (0..20).step_by(2) {
        store.delete_volume(&volume(&format!("disk-{index:02}"))).unwrap();
        store.delete_snapshot(&snapshot(&format!("snap-{:02}", index + 1))).unwrap();
    }
    let mut volumes: Vec<_> = store.volumes().unwrap().iter().map(ToString::to_string).collect();
    let mut snapshots: Vec<_> = store.snapshots().unwrap().iter().map(ToString::to_string).collect();
    volumes.sort();
    snapshots.sort();
    let named = |kind: &str, first: usize| -> Vec<String> {
        (first..20).step_by(2).map(|index| format!("{kind}-{index:02}")).collect()
    };
    assert_eq!(volumes, named("disk", 1));
    assert_eq!(snapshots, named("snap", 0));
}

/// After a close in good order and an opening, all names, sizes and bytes are there.
pub fn a_reopened_store_knows_everything(subject: &mut dyn Subject) {
    let (disk, snap, copy) = (volume("disk"), snapshot("snap"), volume("copy"));
    let device = new_device(subject, "disk");
    fill(&*device, 1, 5000, 100_000);
    subject.store().create_snapshot(&disk, &snap).unwrap();
    fill(&*device, 2, 70_000, 50_000);
    device.discard(8192, 8192).unwrap();
    subject.store().clone_volume(&copy, &snap, 2 * SIZE_BYTES).unwrap();
    let expected = read_all(&*device);
    let frozen = read_all(&*subject.store().open_snapshot(&snap).unwrap());
    drop(device);
    let infos = |subject: &dyn Subject| {
        let store = subject.store();
        (store.volume(&disk).unwrap(), store.volume(&copy).unwrap(), store.snapshot(&snap).unwrap())
    };
    let before = infos(subject);
    subject.reopen();
    assert_eq!(infos(subject), before);
    let store = subject.store();
    assert_same(&read_all(&*store.open_volume(&disk).unwrap()), &expected, "the volume");
    assert_same(&read_all(&*store.open_snapshot(&snap).unwrap()), &frozen, "the snapshot");
    let mut cloned = frozen;
    cloned.resize(2 * SIZE_BYTES as usize, 0);
    assert_same(&read_all(&*store.open_volume(&copy).unwrap()), &cloned, "the clone");
}
