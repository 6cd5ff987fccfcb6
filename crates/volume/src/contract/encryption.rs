//! Rules of [`VolumeStore`](crate::VolumeStore) about encrypted volumes. What the store keeps of them is its own tests' to
//! look at; here they must be like any other.

use std::sync::Arc;

use super::Subject;
use super::fixture::*;
use crate::{BLOCK_BYTES, BlockDevice, ErrorKind, ZeroMode};

/// A new encrypted volume of [`SIZE_BYTES`], open.
fn encrypted_device(subject: &dyn Subject, name: &str) -> Arc<dyn BlockDevice> {
    subject.store().create_encrypted_volume(&volume(name), SIZE_BYTES).unwrap();
    subject.store().open_volume(&volume(name)).unwrap()
}

/// Bytes come back at any alignment, over snapshots and a reopening; what was not written is zeroes.
pub fn encrypted_volumes_hold_what_was_written(subject: &mut dyn Subject) {
    let device = encrypted_device(subject, "disk");
    assert_same(&read_all(&*device), &[0; SIZE_BYTES as usize], "a new volume");
    let mut expected = vec![0; SIZE_BYTES as usize];
    let mut put = |mark: u8, start: u64, length: u64| {
        fill(&*device, mark, start, length);
        let range = start as usize..(start + length) as usize;
        expected[range].copy_from_slice(&pattern(mark, start, length as usize));
        assert_same(&read_all(&*device), &expected, "after a write");
    };
    for (mark, start, length) in
        [(1, 8192, 8192), (2, 100, 1), (3, 5000, 70_000), (4, 9000, 3000), (5, 65_500, 100)]
    {
        put(mark, start, length);
    }
    subject.store().create_snapshot(&volume("disk"), &snapshot("snap")).unwrap();
    for (mark, start, length) in [(6, 4096, 4096), (7, 10_001, 3), (8, 60_000, 20_000)] {
        put(mark, start, length);
    }
    for (start, length) in [(1, 5), (4095, 2), (3000, 9000), (65_000, 70_000)] {
        let part = &expected[start as usize..(start + length) as usize];
        assert_same(&read(&*device, start, length), part, "a part");
    }
    device.discard(20_000, 20_000).unwrap();
    device.write_zeroes(50_000, 10_000, ZeroMode::KeepAllocated).unwrap();
    expected[20_000..40_000].fill(0);
    expected[50_000..60_000].fill(0);
    assert_same(&read_all(&*device), &expected, "after zeroes");
    drop(device);
    subject.settle();
    subject.reopen();
    let device = subject.store().open_volume(&volume("disk")).unwrap();
    assert_same(&read_all(&*device), &expected, "reopened");
    assert_holes_are_zeroes(&*device);
}

/// Whatever comes from an encrypted volume is encrypted, and nothing else is.
pub fn snapshots_and_clones_are_encrypted_as_their_volume(subject: &mut dyn Subject) {
    let store = subject.store();
    drop(new_device(subject, "plain"));
    let device = encrypted_device(subject, "disk");
    fill(&*device, 1, 0, 100_000);
    let before = read_all(&*device);
    for (disk, snap, copy) in [("plain", "snap-p", "copy-p"), ("disk", "snap-e", "copy-e")] {
        store.create_snapshot(&volume(disk), &snapshot(snap)).unwrap();
        store.clone_volume(&volume(copy), &snapshot(snap), 2 * SIZE_BYTES).unwrap();
        store.create_snapshot(&volume(copy), &snapshot(&format!("{snap}-2"))).unwrap();
    }
    fill(&*device, 2, 0, 100_000);
    let copy = store.open_volume(&volume("copy-e")).unwrap();
    fill(&*copy, 3, 8000, 9000);
    let mut expected = before.clone();
    expected[8000..17_000].copy_from_slice(&pattern(3, 8000, 9000));
    assert_same(&read(&*copy, 0, SIZE_BYTES), &expected, "the clone");
    assert_same(&read_all(&*store.open_snapshot(&snapshot("snap-e")).unwrap()), &before, "the snapshot");
    drop((device, copy));
    subject.reopen();
    let store = subject.store();
    for (disk, is_encrypted) in [("plain", false), ("copy-p", false), ("disk", true), ("copy-e", true)] {
        assert_eq!(store.volume(&volume(disk)).unwrap().is_encrypted, is_encrypted, "{disk}");
    }
    for (snap, is_encrypted) in [("snap-p", false), ("snap-p-2", false), ("snap-e", true), ("snap-e-2", true)]
    {
        assert_eq!(store.snapshot(&snapshot(snap)).unwrap().is_encrypted, is_encrypted, "{snap}");
    }
    assert_same(&read(&*store.open_volume(&volume("copy-e")).unwrap(), 0, SIZE_BYTES), &expected, "reopened");
}

/// No rollback and no clearing makes an encrypted volume a plain one, or the other way round.
pub fn encryption_never_changes(subject: &mut dyn Subject) {
    let store = subject.store();
    let plain = new_device(subject, "plain");
    let device = encrypted_device(subject, "disk");
    fill(&*device, 1, 0, 50_000);
    let before = read_all(&*device);
    store.create_snapshot(&volume("plain"), &snapshot("snap-p")).unwrap();
    store.create_snapshot(&volume("disk"), &snapshot("snap-e")).unwrap();
    fill(&*device, 2, 0, 50_000);
    drop((plain, device));
    let refused = ErrorKind::InvalidArgument;
    assert_kind(store.roll_back(&volume("disk"), &snapshot("snap-p")), refused, "to a plain snapshot");
    assert_kind(store.roll_back(&volume("plain"), &snapshot("snap-e")), refused, "to an encrypted one");
    store.roll_back(&volume("disk"), &snapshot("snap-e")).unwrap();
    assert!(store.volume(&volume("disk")).unwrap().is_encrypted);
    assert_same(&read_all(&*store.open_volume(&volume("disk")).unwrap()), &before, "rolled back");

    store.clear_volume(&volume("disk")).unwrap();
    assert!(store.volume(&volume("disk")).unwrap().is_encrypted, "a cleared volume");
    let device = store.open_volume(&volume("disk")).unwrap();
    assert_same(&read_all(&*device), &[0; SIZE_BYTES as usize], "a cleared volume");
    fill(&*device, 3, 1, 6000);
    assert_same(&read(&*device, 1, 6000), &pattern(3, 1, 6000), "written after the clear");
    drop(device);
    // The snapshot is of another lineage now, and still of the same kind.
    store.roll_back(&volume("disk"), &snapshot("snap-e")).unwrap();
    assert_same(&read_all(&*store.open_volume(&volume("disk")).unwrap()), &before, "rolled back again");
}

/// What shares blocks keeps them readable whoever goes first.
pub fn encrypted_volumes_outlive_their_relatives(subject: &mut dyn Subject) {
    let device = encrypted_device(subject, "disk");
    fill(&*device, 1, 0, 30_000);
    let store = subject.store();
    store.create_snapshot(&volume("disk"), &snapshot("snap-a")).unwrap();
    fill(&*device, 2, 10_000, 30_000);
    store.create_snapshot(&volume("disk"), &snapshot("snap-b")).unwrap();
    store.clone_volume(&volume("copy"), &snapshot("snap-b"), SIZE_BYTES).unwrap();
    let expected = read_all(&*device);
    drop(device);
    store.delete_volume(&volume("disk")).unwrap();
    store.delete_snapshot(&snapshot("snap-a")).unwrap();
    subject.settle();
    subject.reopen();
    let store = subject.store();
    store.delete_snapshot(&snapshot("snap-b")).unwrap();
    subject.settle();
    let copy = store.open_volume(&volume("copy")).unwrap();
    assert_same(&read_all(&*copy), &expected, "the last of the lineage");
    fill(&*copy, 3, 123, 456);
    assert_same(&read(&*copy, 123, 456), &pattern(3, 123, 456), "the last of the lineage, written");
    drop(copy);
    store.delete_volume(&volume("copy")).unwrap();
    subject.settle();
    assert_eq!(store.usage().unwrap().used_bytes, 0);
}

/// Writers of different bytes of one block do not disturb each other.
pub fn parts_of_encrypted_blocks_do_not_undo_each_other(subject: &mut dyn Subject) {
    const WRITERS: u64 = 4;
    const ROUNDS: u8 = 60;
    let device = encrypted_device(subject, "disk");
    fill(&*device, 1, 0, BLOCK_BYTES);
    let share = BLOCK_BYTES / WRITERS;
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let device = &device;
            scope.spawn(move || {
                for round in 1..=ROUNDS {
                    fill(&**device, round, writer * share, share);
                    let found = read(&**device, writer * share, share);
                    assert_same(&found, &pattern(round, writer * share, share as usize), "a writer's share");
                }
            });
        }
    });
    assert_same(
        &read_all(&*device)[..BLOCK_BYTES as usize],
        &pattern(ROUNDS, 0, BLOCK_BYTES as usize),
        "at the end",
    );
}
