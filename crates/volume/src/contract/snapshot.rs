//! Rules of [`VolumeStore`](crate::VolumeStore) about snapshots, clones, rollback and the space they take.

use std::collections::BTreeMap;

use super::Subject;
use super::fixture::*;
use crate::{BLOCK_BYTES, ErrorKind, HeirMark, VolumeId, VolumeSnapshotId, ZeroMode};

/// Everything answered before the snapshot began is in it, flushed or not.
pub fn a_snapshot_freezes_unflushed_writes(subject: &mut dyn Subject) {
    let device = new_device(subject, "disk");
    fill(&*device, 1, 100, 70_000);
    device.flush().unwrap();
    fill(&*device, 2, 50_000, 60_000);
    device.discard(4096, 4096).unwrap();
    device.write_zeroes(20_000, 10_000, ZeroMode::KeepAllocated).unwrap();
    let expected = read_all(&*device);
    subject.store().create_snapshot(&volume("disk"), &snapshot("snap")).unwrap();
    let frozen = subject.store().open_snapshot(&snapshot("snap")).unwrap();
    assert_same(&read_all(&*frozen), &expected, "the snapshot");
    assert_same(&read_all(&*device), &expected, "the volume");
}

/// No later change of the volume shows in the snapshot.
pub fn a_snapshot_does_not_change_when_its_volume_does(subject: &mut dyn Subject) {
    let device = new_device(subject, "disk");
    fill(&*device, 1, 0, 100_000);
    let before = read_all(&*device);
    subject.store().create_snapshot(&volume("disk"), &snapshot("snap")).unwrap();
    let frozen = subject.store().open_snapshot(&snapshot("snap")).unwrap();
    fill(&*device, 2, 4096, 4096);
    fill(&*device, 2, 10_001, 3);
    fill(&*device, 2, 90_000, 50_000);
    device.discard(0, 4096).unwrap();
    device.discard(30_000, 20_000).unwrap();
    device.write_zeroes(60_000, 9000, ZeroMode::KeepAllocated).unwrap();
    device.write_zeroes(75_000, 9000, ZeroMode::MayUnmap).unwrap();
    device.flush().unwrap();
    assert_same(&read_all(&*frozen), &before, "the snapshot");
    let mut expected = before.clone();
    expected[4096..8192].copy_from_slice(&pattern(2, 4096, 4096));
    expected[10_001..10_004].copy_from_slice(&pattern(2, 10_001, 3));
    expected[90_000..140_000].copy_from_slice(&pattern(2, 90_000, 50_000));
    for zeroed in [0..4096, 30_000..50_000, 60_000..69_000, 75_000..84_000] {
        expected[zeroed].fill(0);
    }
    assert_same(&read_all(&*device), &expected, "the volume");
}

/// Every call that changes data is refused with `InvalidArgument` on a snapshot.
pub fn a_snapshot_device_is_read_only(subject: &mut dyn Subject) {
    let device = new_device(subject, "disk");
    fill(&*device, 1, 0, 20_000);
    subject.store().create_snapshot(&volume("disk"), &snapshot("snap")).unwrap();
    let frozen = subject.store().open_snapshot(&snapshot("snap")).unwrap();
    assert!(frozen.is_read_only());
    let before = read_all(&*frozen);
    let refused = ErrorKind::InvalidArgument;
    assert_kind(frozen.write(0, b"no"), refused, "write");
    assert_kind(frozen.discard(0, 8192), refused, "discard");
    assert_kind(frozen.write_zeroes(0, 8192, ZeroMode::MayUnmap), refused, "write_zeroes");
    assert_kind(frozen.write_zeroes(0, 8192, ZeroMode::KeepAllocated), refused, "write_zeroes, kept");
    assert_same(&read_all(&*frozen), &before, "the snapshot");
    assert_same(&read_all(&*device), &before, "the volume");
}

/// A snapshot has the size of its moment.
pub fn a_snapshot_keeps_the_size_it_was_taken_at(subject: &mut dyn Subject) {
    let store = subject.store();
    let disk = volume("disk");
    let device = new_device(subject, "disk");
    fill(&*device, 1, 0, SIZE_BYTES);
    store.create_snapshot(&disk, &snapshot("before")).unwrap();
    let frozen = store.open_snapshot(&snapshot("before")).unwrap();
    store.resize_volume(&disk, 2 * SIZE_BYTES).unwrap();
    fill(&*device, 2, SIZE_BYTES, SIZE_BYTES);
    store.create_snapshot(&disk, &snapshot("after")).unwrap();
    assert_eq!(frozen.size_bytes(), SIZE_BYTES);
    assert_kind(frozen.read(SIZE_BYTES, &mut [0]), ErrorKind::InvalidArgument, "a read over its end");
    assert_eq!(store.snapshot(&snapshot("before")).unwrap().size_bytes, SIZE_BYTES);
    assert_eq!(store.snapshot(&snapshot("after")).unwrap().size_bytes, 2 * SIZE_BYTES);
    assert_eq!(store.open_snapshot(&snapshot("after")).unwrap().size_bytes(), 2 * SIZE_BYTES);
}

/// A clone starts as the snapshot; afterwards neither side sees the other's writes.
pub fn a_clone_has_the_content_and_a_life_of_its_own(subject: &mut dyn Subject) {
    let store = subject.store();
    let source = new_device(subject, "disk");
    fill(&*source, 1, 0, 100_000);
    let frozen = read_all(&*source);
    store.create_snapshot(&volume("disk"), &snapshot("snap")).unwrap();
    fill(&*source, 2, 0, 5000);
    let changed = read_all(&*source);
    for name in ["copy-a", "copy-b"] {
        store.clone_volume(&volume(name), &snapshot("snap"), SIZE_BYTES).unwrap();
    }
    let first = store.open_volume(&volume("copy-a")).unwrap();
    let second = store.open_volume(&volume("copy-b")).unwrap();
    assert!(!first.is_read_only());
    assert_same(&read_all(&*first), &frozen, "the clone");
    fill(&*first, 3, 6000, 5000);
    first.discard(40_960, 8192).unwrap();
    let mut expected = frozen.clone();
    expected[6000..11_000].copy_from_slice(&pattern(3, 6000, 5000));
    expected[40_960..49_152].fill(0);
    assert_same(&read_all(&*first), &expected, "the clone, changed");
    assert_same(&read_all(&*second), &frozen, "its sister");
    assert_same(&read_all(&*source), &changed, "the source");
    assert_same(&read_all(&*store.open_snapshot(&snapshot("snap")).unwrap()), &frozen, "the snapshot");
}

/// Beyond the snapshot's end a clone is zeroes; one that is smaller is refused.
pub fn a_clone_may_be_larger_but_not_smaller(subject: &mut dyn Subject) {
    let store = subject.store();
    let source = new_device(subject, "disk");
    fill(&*source, 1, 0, SIZE_BYTES);
    store.create_snapshot(&volume("disk"), &snapshot("snap")).unwrap();
    let larger = volume("larger");
    assert_kind(
        store.clone_volume(&larger, &snapshot("snap"), SIZE_BYTES - BLOCK_BYTES),
        ErrorKind::InvalidArgument,
        "a clone smaller than the snapshot",
    );
    assert_kind(store.volume(&larger), ErrorKind::NotFound, "the clone that was refused");
    store.clone_volume(&larger, &snapshot("snap"), 2 * SIZE_BYTES).unwrap();
    let mut expected = read_all(&*source);
    expected.resize(2 * SIZE_BYTES as usize, 0);
    assert_same(&read_all(&*store.open_volume(&larger).unwrap()), &expected, "the larger clone");
}

/// After a rollback the volume is the snapshot, zeroes beyond it; its size stays, younger snapshots stay.
pub fn roll_back_brings_the_content_back_and_keeps_the_size(subject: &mut dyn Subject) {
    let store = subject.store();
    let disk = volume("disk");
    let device = new_device(subject, "disk");
    fill(&*device, 1, 0, SIZE_BYTES);
    let first = read_all(&*device);
    store.create_snapshot(&disk, &snapshot("first")).unwrap();
    store.resize_volume(&disk, 2 * SIZE_BYTES).unwrap();
    fill(&*device, 2, 30_000, 2 * SIZE_BYTES - 30_000);
    device.discard(0, 8192).unwrap();
    let second = read_all(&*device);
    store.create_snapshot(&disk, &snapshot("second")).unwrap();
    fill(&*device, 3, 0, 100_000);
    drop(device);

    store.roll_back(&disk, &snapshot("first")).unwrap();
    assert_eq!(store.volume(&disk).unwrap().size_bytes, 2 * SIZE_BYTES);
    let device = store.open_volume(&disk).unwrap();
    let mut expected = first.clone();
    expected.resize(2 * SIZE_BYTES as usize, 0);
    assert_same(&read_all(&*device), &expected, "rolled back to the first");
    fill(&*device, 4, 10_000, 10_000);
    drop(device);
    assert_same(
        &read_all(&*store.open_snapshot(&snapshot("second")).unwrap()),
        &second,
        "the second snapshot",
    );

    store.roll_back(&disk, &snapshot("second")).unwrap();
    assert_same(&read_all(&*store.open_volume(&disk).unwrap()), &second, "rolled forward to the second");
    assert_same(&read_all(&*store.open_snapshot(&snapshot("first")).unwrap()), &first, "the first snapshot");
}

/// A snapshot larger than the volume cannot be rolled back onto it.
pub fn roll_back_to_a_larger_snapshot_is_refused(subject: &mut dyn Subject) {
    let store = subject.store();
    let device = new_device(subject, "small");
    fill(&*device, 1, 0, 5000);
    let before = read_all(&*device);
    drop(device);
    store.create_volume(&volume("large"), 2 * SIZE_BYTES).unwrap();
    store.create_snapshot(&volume("large"), &snapshot("snap")).unwrap();
    assert_kind(
        store.roll_back(&volume("small"), &snapshot("snap")),
        ErrorKind::InvalidArgument,
        "roll_back to a larger snapshot",
    );
    assert_same(&read_all(&*store.open_volume(&volume("small")).unwrap()), &before, "the volume");
}

/// The snapshot need not be of the volume.
pub fn roll_back_to_a_snapshot_of_another_volume_works(subject: &mut dyn Subject) {
    let store = subject.store();
    let other = new_device(subject, "other");
    fill(&*other, 1, 0, 50_000);
    store.create_snapshot(&volume("other"), &snapshot("snap")).unwrap();
    let expected = read_all(&*other);
    drop(new_device(subject, "disk"));
    store.roll_back(&volume("disk"), &snapshot("snap")).unwrap();
    let device = store.open_volume(&volume("disk")).unwrap();
    assert_same(&read_all(&*device), &expected, "the volume");
    fill(&*device, 2, 0, 50_000);
    assert_same(&read_all(&*other), &expected, "the volume that the snapshot is of");
}

/// Snapshots stay when their volume goes, and can be cloned.
pub fn snapshots_outlive_their_volume(subject: &mut dyn Subject) {
    let store = subject.store();
    let device = new_device(subject, "disk");
    fill(&*device, 1, 0, 60_000);
    store.create_snapshot(&volume("disk"), &snapshot("old")).unwrap();
    let old = read_all(&*device);
    fill(&*device, 2, 30_000, 60_000);
    store.create_snapshot(&volume("disk"), &snapshot("young")).unwrap();
    let young = read_all(&*device);
    fill(&*device, 3, 0, SIZE_BYTES);
    drop(device);
    store.delete_volume(&volume("disk")).unwrap();
    subject.settle();
    assert_same(&read_all(&*store.open_snapshot(&snapshot("old")).unwrap()), &old, "the old snapshot");
    assert_same(&read_all(&*store.open_snapshot(&snapshot("young")).unwrap()), &young, "the young snapshot");
    store.clone_volume(&volume("back"), &snapshot("young"), SIZE_BYTES).unwrap();
    assert_same(&read_all(&*store.open_volume(&volume("back")).unwrap()), &young, "a clone of it");
}

/// Whatever shares blocks with a deleted snapshot keeps them: older, younger, clones, open devices.
pub fn deleting_a_snapshot_leaves_what_shares_its_blocks(subject: &mut dyn Subject) {
    let store = subject.store();
    let disk = volume("disk");
    let device = new_device(subject, "disk");
    let mut contents = Vec::new();
    for (mark, name) in ["one", "two", "three"].into_iter().enumerate() {
        fill(&*device, mark as u8 + 1, mark as u64 * 20_000, 50_000);
        device.discard(mark as u64 * 9000, 4096).unwrap();
        contents.push(read_all(&*device));
        store.create_snapshot(&disk, &snapshot(name)).unwrap();
    }
    store.clone_volume(&volume("copy"), &snapshot("two"), SIZE_BYTES).unwrap();
    let copy = store.open_volume(&volume("copy")).unwrap();
    let open_snapshot = store.open_snapshot(&snapshot("three")).unwrap();
    store.delete_snapshot(&snapshot("two")).unwrap();
    let check = |when: &str| {
        assert_same(&read_all(&*copy), &contents[1], &format!("the clone of the deleted one, {when}"));
        assert_same(&read_all(&*open_snapshot), &contents[2], &format!("the younger, open, {when}"));
        let old = store.open_snapshot(&snapshot("one")).unwrap();
        assert_same(&read_all(&*old), &contents[0], &format!("the older, {when}"));
        assert_same(&read_all(&*device), &contents[2], &format!("the volume, {when}"));
    };
    check("at once");
    subject.settle();
    check("settled");
    drop(copy);
    store.delete_volume(&volume("copy")).unwrap();
    subject.settle();
    fill(&*device, 9, 0, 3);
    let mut expected = contents[2].clone();
    expected[..3].copy_from_slice(&pattern(9, 0, 3));
    assert_same(&read_all(&*device), &expected, "the volume, after the clone has gone too");
    assert_same(&read_all(&*open_snapshot), &contents[2], "the younger, after the clone has gone too");
}

/// Zeroes over an ancestor's data stay zeroes: in later snapshots, clones, and when the ancestor goes.
pub fn discarded_blocks_hide_the_ancestor(subject: &mut dyn Subject) {
    let store = subject.store();
    let disk = volume("disk");
    let device = new_device(subject, "disk");
    fill(&*device, 1, 0, SIZE_BYTES);
    store.create_snapshot(&disk, &snapshot("full")).unwrap();
    device.discard(0, SIZE_BYTES / 2).unwrap();
    device.write_zeroes(SIZE_BYTES / 2, 10_000, ZeroMode::MayUnmap).unwrap();
    let expected = read_all(&*device);
    assert!(expected[..SIZE_BYTES as usize / 2 + 10_000].iter().all(|byte| *byte == 0));
    assert_eq!(&block_map(&*device)[..34], "-".repeat(34), "whole zeroed blocks are a hole");
    store.create_snapshot(&disk, &snapshot("half")).unwrap();
    store.clone_volume(&volume("copy"), &snapshot("half"), SIZE_BYTES).unwrap();
    fill(&*device, 2, 4096, 10);
    let written = read_all(&*device);
    store.delete_snapshot(&snapshot("full")).unwrap();
    subject.settle();
    assert_same(&read_all(&*store.open_volume(&volume("copy")).unwrap()), &expected, "the clone");
    assert_same(&read_all(&*store.open_snapshot(&snapshot("half")).unwrap()), &expected, "the snapshot");
    store.delete_snapshot(&snapshot("half")).unwrap();
    subject.settle();
    assert_same(&read_all(&*device), &written, "the volume");
    drop(device);
    subject.reopen();
    let device = subject.store().open_volume(&volume("disk")).unwrap();
    assert_same(&read_all(&*device), &written, "the volume, reopened");
}

/// Extents of a volume and of a snapshot tell of inherited blocks too.
pub fn extents_look_through_the_ancestors(subject: &mut dyn Subject) {
    let store = subject.store();
    let disk = volume("disk");
    let device = new_device(subject, "disk");
    fill(&*device, 1, 0, 4 * BLOCK_BYTES);
    store.create_snapshot(&disk, &snapshot("snap")).unwrap();
    fill(&*device, 2, 6 * BLOCK_BYTES, BLOCK_BYTES);
    device.discard(BLOCK_BYTES, BLOCK_BYTES).unwrap();
    let frozen = store.open_snapshot(&snapshot("snap")).unwrap();
    assert_eq!(&block_map(&*device)[..8], "D-DD--D-");
    assert_eq!(&block_map(&*frozen)[..8], "DDDD----");
    assert_holes_are_zeroes(&*device);
    assert_holes_are_zeroes(&*frozen);
}

/// A lineage of many snapshots, deleted in an order that is neither oldest nor youngest first.
pub fn long_chains_read_right_after_deletions_in_any_order(subject: &mut dyn Subject) {
    const DEPTH: u64 = 24;
    let store = subject.store();
    let disk = volume("disk");
    let device = new_device(subject, "disk");
    let mut contents = Vec::new();
    for step in 0..DEPTH {
        fill(&*device, step as u8, (step * 5 % 16) * 16_000, 9000);
        device.discard((step * 7 % 16) * 16_384, 8192).unwrap();
        contents.push(read_all(&*device));
        store.create_snapshot(&disk, &snapshot(&format!("s{step}"))).unwrap();
    }
    let mut left: Vec<u64> = (0..DEPTH).collect();
    for step in 0..DEPTH {
        let index = (step * 11 % left.len() as u64) as usize;
        let gone = left.remove(index);
        store.delete_snapshot(&snapshot(&format!("s{gone}"))).unwrap();
        if step % 3 == 0 {
            subject.settle();
        }
        for name in &left {
            let frozen = store.open_snapshot(&snapshot(&format!("s{name}"))).unwrap();
            let what = format!("snapshot {name} after {gone} was deleted");
            assert_same(&read_all(&*frozen), &contents[*name as usize], &what);
        }
        assert_same(
            &read_all(&*device),
            &contents[DEPTH as usize - 1],
            &format!("the volume without {gone}"),
        );
    }
}

/// A block that many share is counted once; everything deleted gives everything back.
pub fn usage_counts_blocks_once_and_comes_back(subject: &mut dyn Subject) {
    let store = subject.store();
    let used_blocks = || {
        subject.settle();
        store.usage().unwrap().used_bytes / BLOCK_BYTES
    };
    assert_eq!(used_blocks(), 0, "an empty store");
    assert!(store.usage().unwrap().available_bytes > 0);
    let (disk, snap) = (volume("disk"), snapshot("snap"));
    let device = new_device(subject, "disk");
    assert_eq!(used_blocks(), 0, "an empty volume");
    fill(&*device, 1, 0, 32 * BLOCK_BYTES);
    fill(&*device, 2, 0, 8 * BLOCK_BYTES);
    assert_eq!(used_blocks(), 32, "overwriting takes nothing");
    device.discard(0, 2 * BLOCK_BYTES).unwrap();
    assert_eq!(used_blocks(), 30, "discard gives back");
    store.create_snapshot(&disk, &snap).unwrap();
    store.clone_volume(&volume("copy"), &snap, SIZE_BYTES).unwrap();
    assert_eq!(used_blocks(), 30, "a snapshot and a clone take nothing");
    fill(&*device, 3, 2 * BLOCK_BYTES, 4 * BLOCK_BYTES);
    assert_eq!(used_blocks(), 34, "a write after a snapshot takes its blocks");
    store.delete_volume(&volume("copy")).unwrap();
    assert_eq!(used_blocks(), 34, "a clone that wrote nothing gives nothing back");
    store.delete_snapshot(&snap).unwrap();
    assert_eq!(used_blocks(), 30, "shadowed blocks come back with the snapshot");
    drop(device);
    store.clear_volume(&disk).unwrap();
    assert_eq!(used_blocks(), 0, "clear gives everything back");
    store.delete_volume(&disk).unwrap();
    assert_eq!(used_blocks(), 0, "all is deleted");
}

/// `exclusive_bytes` and `held_bytes` are what their documentation says, along one lineage.
pub fn infos_count_the_blocks_of_their_own(subject: &mut dyn Subject) {
    let store = subject.store();
    let disk = volume("disk");
    let device = new_device(subject, "disk");
    let exclusive = || {
        subject.settle();
        store.volume(&disk).unwrap().exclusive_bytes / BLOCK_BYTES
    };
    let held = |name: &str| {
        subject.settle();
        store.snapshot(&snapshot(name)).unwrap().held_bytes / BLOCK_BYTES
    };
    assert_eq!(exclusive(), 0);
    fill(&*device, 1, 0, 20 * BLOCK_BYTES);
    assert_eq!(exclusive(), 20);
    store.create_snapshot(&disk, &snapshot("one")).unwrap();
    assert_eq!((exclusive(), held("one")), (0, 20));
    fill(&*device, 2, 18 * BLOCK_BYTES, 5 * BLOCK_BYTES);
    fill(&*device, 2, 3, 1);
    assert_eq!((exclusive(), held("one")), (6, 20));
    store.create_snapshot(&disk, &snapshot("two")).unwrap();
    assert_eq!((exclusive(), held("one"), held("two")), (0, 20, 6));
    fill(&*device, 3, 0, BLOCK_BYTES);
    assert_eq!((exclusive(), held("one"), held("two")), (1, 20, 6));
    store.create_snapshot(&disk, &snapshot("three")).unwrap();
    assert_eq!((exclusive(), held("three")), (0, 1));
    store.delete_snapshot(&snapshot("two")).unwrap();
    assert_eq!((held("one"), held("three")), (20, 6), "its blocks are the next one's, the older's are not");
    store.delete_snapshot(&snapshot("one")).unwrap();
    assert_eq!(held("three"), 23, "so are the blocks of the first of the lineage");
    store.delete_snapshot(&snapshot("three")).unwrap();
    assert_eq!(exclusive(), 23);
}

/// Who notes what a snapshot holds when it is taken, and what `heirs` tells from then on, knows what all of them hold.
pub fn heirs_are_told_whatever_lineage_they_are_of(subject: &mut dyn Subject) {
    let (disk, other) = (volume("disk"), volume("other"));
    let device = new_device(subject, "disk");
    let store = subject.store();
    let mut noted = BTreeMap::new();
    let mut mark = HeirMark::default();
    let mut follow = |noted: &mut BTreeMap<VolumeSnapshotId, u64>, what: &str| {
        subject.settle();
        let heirs = store.heirs(mark).unwrap();
        assert!(heirs.mark >= mark, "{what}");
        mark = heirs.mark;
        noted.retain(|name, _| store.snapshot(name).is_ok());
        for (name, held_bytes) in heirs.held_bytes {
            assert!(noted.insert(name.clone(), held_bytes).is_some(), "{what}: `{name}` was never taken");
        }
        let names = store.snapshots().unwrap().into_iter();
        let held = names.map(|name| (name.clone(), store.snapshot(&name).unwrap().held_bytes));
        assert_eq!(*noted, held.collect(), "{what}");
    };
    let take = |noted: &mut BTreeMap<VolumeSnapshotId, u64>, of: &VolumeId, name: &str| {
        store.create_snapshot(of, &snapshot(name)).unwrap();
        noted.insert(snapshot(name), store.snapshot(&snapshot(name)).unwrap().held_bytes);
    };
    for (number, name) in (0..).zip(["one", "two", "three", "four"]) {
        fill(&*device, number + 1, u64::from(number) * 2 * BLOCK_BYTES, 4 * BLOCK_BYTES);
        take(&mut noted, &disk, name);
    }
    drop(device);
    let size_bytes = store.volume(&disk).unwrap().size_bytes;
    store.clone_volume(&other, &snapshot("two"), size_bytes).unwrap();
    fill(&*store.open_volume(&other).unwrap(), 9, 0, BLOCK_BYTES);
    take(&mut noted, &other, "other-one");
    follow(&mut noted, "at first");
    store.delete_snapshot(&snapshot("three")).unwrap();
    follow(&mut noted, "the next in line inherits");
    store.delete_snapshot(&snapshot("two")).unwrap();
    follow(&mut noted, "two share it");
    store.delete_snapshot(&snapshot("four")).unwrap();
    store.delete_volume(&disk).unwrap();
    follow(&mut noted, "only the snapshot of the other volume is left to inherit");
    assert_eq!(
        noted[&snapshot("other-one")],
        5 * BLOCK_BYTES,
        "its own, and four of what it was cloned from"
    );
    store.delete_snapshot(&snapshot("one")).unwrap();
    follow(&mut noted, "the last ancestor");
    assert_eq!(noted, BTreeMap::from([(snapshot("other-one"), 6 * BLOCK_BYTES)]));
}

/// One refusal refuses all; otherwise each volume has its own snapshot.
pub fn snapshots_of_several_volumes_are_all_or_none(subject: &mut dyn Subject) {
    let (one, other) = (new_device(subject, "one"), new_device(subject, "other"));
    fill(&*one, 1, 0, 4096);
    fill(&*other, 2, 0, 4096);
    let store = subject.store();
    store.create_snapshot(&volume("one"), &snapshot("taken")).unwrap();
    let pair = |disk: &str, name: &str| (volume(disk), snapshot(name));
    for (second, kind) in [
        (pair("missing", "b"), ErrorKind::NotFound),
        (pair("other", "taken"), ErrorKind::AlreadyExists),
        (pair("other", "a"), ErrorKind::InvalidArgument),
        (pair("one", "b"), ErrorKind::InvalidArgument),
    ] {
        let what = format!("{second:?}");
        assert_kind(store.create_snapshots(&[pair("one", "a"), second]), kind, &what);
        assert_eq!(store.snapshots().unwrap(), vec![snapshot("taken")], "{what}");
    }
    store.create_snapshots(&[pair("one", "a"), pair("other", "b")]).unwrap();
    fill(&*one, 3, 0, 4096);
    fill(&*other, 3, 0, 4096);
    for (name, mark) in [("a", 1), ("b", 2)] {
        let frozen = store.open_snapshot(&snapshot(name)).unwrap();
        assert_same(&read(&*frozen, 0, 4096), &pattern(mark, 0, 4096), name);
    }
}

/// One refusal refuses all; otherwise each volume has its snapshot's content.
pub fn roll_back_of_several_volumes_is_all_or_none(subject: &mut dyn Subject) {
    let pair = |disk: &str, name: &str| (volume(disk), snapshot(name));
    let both = [pair("one", "a"), pair("other", "b")];
    let (one, other) = (new_device(subject, "one"), new_device(subject, "other"));
    fill(&*one, 1, 0, 4096);
    fill(&*other, 2, 0, 4096);
    let store = subject.store();
    store.create_snapshots(&both).unwrap();
    fill(&*one, 3, 0, 4096);
    fill(&*other, 3, 0, 4096);
    drop(one);
    assert_kind(store.roll_back_volumes(&both), ErrorKind::InUse, "one of them open");
    drop(other);
    for (second, kind) in [
        (pair("missing", "b"), ErrorKind::NotFound),
        (pair("other", "missing"), ErrorKind::NotFound),
        (pair("one", "b"), ErrorKind::InvalidArgument),
    ] {
        let what = format!("{second:?}");
        assert_kind(store.roll_back_volumes(&[pair("one", "a"), second]), kind, &what);
        let device = store.open_volume(&volume("one")).unwrap();
        assert_same(&read(&*device, 0, 4096), &pattern(3, 0, 4096), &what);
    }
    store.roll_back_volumes(&both).unwrap();
    for (name, mark) in [("one", 1), ("other", 2)] {
        let device = store.open_volume(&volume(name)).unwrap();
        assert_same(&read(&*device, 0, 4096), &pattern(mark, 0, 4096), name);
    }
}

/// Content, size and place in the lineage stay; only the name is another.
pub fn a_renamed_snapshot_is_the_same_under_another_name(subject: &mut dyn Subject) {
    let device = new_device(subject, "disk");
    let (old, new, later) = (snapshot("old"), snapshot("new"), snapshot("later"));
    fill(&*device, 1, 0, 8192);
    subject.store().create_snapshot(&volume("disk"), &old).unwrap();
    fill(&*device, 2, 4096, 8192);
    subject.store().create_snapshot(&volume("disk"), &later).unwrap();
    let store = subject.store();
    let before = store.snapshot(&old).unwrap();
    let open = store.open_snapshot(&old).unwrap();
    assert_kind(store.rename_snapshot(&old, &new), ErrorKind::InUse, "open");
    drop(open);
    assert_kind(store.rename_snapshot(&old, &later), ErrorKind::AlreadyExists, "taken");
    assert_kind(store.rename_snapshot(&new, &snapshot("other")), ErrorKind::NotFound, "missing");
    store.rename_snapshot(&old, &new).unwrap();
    drop(device);
    subject.reopen();
    let store = subject.store();
    assert_kind(store.snapshot(&old), ErrorKind::NotFound, "the old name");
    assert_eq!(store.snapshot(&new).unwrap(), before);
    assert_eq!(store.snapshot(&later).unwrap().held_bytes, 8192);
    let frozen = store.open_snapshot(&new).unwrap();
    assert_same(&read(&*frozen, 0, 8192), &pattern(1, 0, 8192), "the renamed snapshot");
}
