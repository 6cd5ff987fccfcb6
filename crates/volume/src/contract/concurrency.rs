//! Rules that need several threads.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::Subject;
use super::fixture::*;
use crate::{BLOCK_BYTES, VolumeStore};

const WRITERS: u64 = 4;

/// Writers that share no byte but do share blocks and chunks each find what they wrote.
pub fn writers_in_separate_ranges_do_not_disturb_each_other(subject: &mut dyn Subject) {
    /// Not a divisor of the block: neighbours meet inside blocks.
    const PIECE_BYTES: u64 = 1500;
    let store = subject.store();
    let device = new_device(subject, "disk");
    let pieces = SIZE_BYTES / PIECE_BYTES;
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let device = store.open_volume(&volume("disk")).unwrap();
            scope.spawn(move || {
                for round in 0..5 {
                    for piece in (writer..pieces).step_by(WRITERS as usize) {
                        fill(&*device, (round * WRITERS + writer) as u8, piece * PIECE_BYTES, PIECE_BYTES);
                    }
                    device.flush().unwrap();
                }
            });
        }
    });
    for piece in 0..pieces {
        let mark = (4 * WRITERS + piece % WRITERS) as u8;
        let expected = pattern(mark, piece * PIECE_BYTES, PIECE_BYTES as usize);
        assert_same(&read(&*device, piece * PIECE_BYTES, PIECE_BYTES), &expected, &format!("piece {piece}"));
    }
}

/// A snapshot that has a write has all writes answered before that one began.
pub fn a_snapshot_under_writers_is_of_one_moment(subject: &mut dyn Subject) {
    const SNAPSHOTS: usize = 12;
    let store = subject.store();
    let disk = volume("disk");
    drop(new_device(subject, "disk"));
    let done = AtomicBool::new(false);
    let started = Barrier::new(WRITERS as usize + 1);
    // Each writer counts upwards and writes its count to its first block, then to its second, each in
    // another chunk. In any one moment the second never has a higher count than the first.
    let blocks = |writer: u64| (writer * BLOCK_BYTES, (63 - writer) * BLOCK_BYTES);
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (done, started) = (&done, &started);
            scope.spawn(move || {
                let device = store.open_volume(&volume("disk")).unwrap();
                let (first, second) = blocks(writer);
                let mut count: u64 = 0;
                while !done.load(Ordering::Relaxed) {
                    count += 1;
                    device.write(first, &count.to_le_bytes()).unwrap();
                    device.write(second, &count.to_le_bytes()).unwrap();
                    if count == 1 {
                        started.wait();
                    }
                }
            });
        }
        started.wait();
        for index in 0..SNAPSHOTS {
            store.create_snapshot(&disk, &snapshot(&format!("s{index}"))).unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    let mut latest = [0; WRITERS as usize];
    for index in 0..SNAPSHOTS {
        let frozen = store.open_snapshot(&snapshot(&format!("s{index}"))).unwrap();
        for writer in 0..WRITERS {
            let count = |offset| u64::from_le_bytes(read(&*frozen, offset, 8).try_into().unwrap());
            let (first, second) = (count(blocks(writer).0), count(blocks(writer).1));
            assert!(
                first == second || first == second + 1,
                "snapshot {index}, writer {writer}: {first}, then {second}"
            );
            assert!(second >= 1, "snapshot {index} lacks a write that was answered before it began");
            assert!(second >= latest[writer as usize], "snapshot {index} is older than the one before");
            latest[writer as usize] = second;
        }
    }
}

/// Snapshots taken together have, with a write, all writes answered before that one began, whichever volume
/// they went to.
pub fn snapshots_of_several_volumes_are_of_one_moment(subject: &mut dyn Subject) {
    const ROUNDS: usize = 12;
    const VOLUMES: u64 = 3;
    let store = subject.store();
    let disk = |index: u64| volume(&format!("disk{index}"));
    let frozen = |round: usize, index: u64| snapshot(&format!("s{round}-{index}"));
    (0..VOLUMES).for_each(|index| drop(new_device(subject, &format!("disk{index}"))));
    let done = AtomicBool::new(false);
    let started = Barrier::new(WRITERS as usize + 1);
    // Each writer counts upwards and writes its count to its block of one volume after the other. In any one
    // moment no volume has a higher count than the one before it.
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (done, started) = (&done, &started);
            scope.spawn(move || {
                let devices: Vec<_> =
                    (0..VOLUMES).map(|index| store.open_volume(&disk(index)).unwrap()).collect();
                let mut count: u64 = 0;
                while !done.load(Ordering::Relaxed) {
                    count += 1;
                    for device in &devices {
                        device.write(writer * BLOCK_BYTES, &count.to_le_bytes()).unwrap();
                    }
                    if count == 1 {
                        started.wait();
                    }
                }
            });
        }
        started.wait();
        for round in 0..ROUNDS {
            let together: Vec<_> =
                (0..VOLUMES).rev().map(|index| (disk(index), frozen(round, index))).collect();
            store.create_snapshots(&together).unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    for round in 0..ROUNDS {
        let devices: Vec<_> =
            (0..VOLUMES).map(|index| store.open_snapshot(&frozen(round, index)).unwrap()).collect();
        for writer in 0..WRITERS {
            let count =
                |device| u64::from_le_bytes(read(device, writer * BLOCK_BYTES, 8).try_into().unwrap());
            let counts: Vec<u64> = devices.iter().map(|device| count(&**device)).collect();
            let (first, last) = (counts[0], counts[VOLUMES as usize - 1]);
            assert!(counts.is_sorted_by(|a, b| a >= b), "round {round}, writer {writer}: {counts:?}");
            assert!(first <= last + 1 && last >= 1, "round {round}, writer {writer}: {counts:?}");
        }
    }
}

/// A resize, discards, snapshots and their deletion beside writers leave every written byte in place.
pub fn growth_under_writers_loses_nothing(subject: &mut dyn Subject) {
    let store = subject.store();
    let disk = volume("disk");
    let device = new_device(subject, "disk");
    let last_blocks = 8;
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let device = store.open_volume(&disk).unwrap();
            scope.spawn(move || {
                for block in (writer..64 - last_blocks).step_by(WRITERS as usize) {
                    fill(&*device, writer as u8, block * BLOCK_BYTES, BLOCK_BYTES);
                }
            });
        }
        scope.spawn(|| {
            for step in 1..=6 {
                store.create_snapshot(&disk, &snapshot("passing")).unwrap();
                store.resize_volume(&disk, SIZE_BYTES + step * BLOCK_BYTES).unwrap();
                device.discard((64 - last_blocks) * BLOCK_BYTES, last_blocks * BLOCK_BYTES).unwrap();
                store.delete_snapshot(&snapshot("passing")).unwrap();
            }
        });
    });
    subject.settle();
    assert_eq!(device.size_bytes(), SIZE_BYTES + 6 * BLOCK_BYTES);
    for block in 0..64 - last_blocks {
        let expected = pattern((block % WRITERS) as u8, block * BLOCK_BYTES, BLOCK_BYTES as usize);
        assert_same(&read(&*device, block * BLOCK_BYTES, BLOCK_BYTES), &expected, &format!("block {block}"));
    }
}

/// Volumes are made, written, frozen and deleted from many threads; each ends as its own thread left it.
pub fn stores_serve_many_volumes_at_once(subject: &mut dyn Subject) {
    let store = subject.store();
    thread::scope(|scope| {
        for worker in 0..WRITERS {
            scope.spawn(move || live_a_life(store, worker));
        }
    });
    subject.settle();
    assert_eq!(store.volumes().unwrap().len(), WRITERS as usize);
    assert_eq!(store.usage().unwrap().used_bytes, WRITERS * 2 * BLOCK_BYTES);
    for worker in 0..WRITERS {
        let device = store.open_volume(&volume(&format!("kept-{worker}"))).unwrap();
        let expected = pattern(worker as u8, 0, 2 * BLOCK_BYTES as usize);
        assert_same(&read(&*device, 0, 2 * BLOCK_BYTES), &expected, &format!("the volume of {worker}"));
    }
}

fn live_a_life(store: &dyn VolumeStore, worker: u64) {
    let kept = volume(&format!("kept-{worker}"));
    for round in 0..6 {
        let disk = volume(&format!("passing-{worker}-{round}"));
        let snap = snapshot(&format!("passing-{worker}-{round}"));
        store.create_volume(&disk, SIZE_BYTES).unwrap();
        let device = store.open_volume(&disk).unwrap();
        fill(&*device, worker as u8, 0, 2 * BLOCK_BYTES);
        store.create_snapshot(&disk, &snap).unwrap();
        fill(&*device, 77, 0, 20 * BLOCK_BYTES);
        drop(device);
        if round == 0 {
            store.clone_volume(&kept, &snap, SIZE_BYTES).unwrap();
        }
        store.delete_volume(&disk).unwrap();
        store.delete_snapshot(&snap).unwrap();
    }
}
