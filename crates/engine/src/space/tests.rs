use std::sync::Arc;

use ashlar_types::{RandomSource, SeededRandom};
use ashlar_volume::VolumeStore;

use super::*;
use crate::file::FileRole;
use crate::file::simulated::SimulatedDisk;
use crate::{Background, PoolOptions};

const SIZE_BYTES: u64 = 34 << 20;

fn volume(number: u64) -> VolumeId {
    VolumeId::new(&format!("disk-{number}")).unwrap()
}

fn snapshot(number: u64) -> VolumeSnapshotId {
    VolumeSnapshotId::new(&format!("snap-{number}")).unwrap()
}

/// A pool with a seeded history of writes, discards, snapshots, clones, rollbacks and deletions. The same seed gives the
/// same pool.
fn pool_of(seed: u64) -> (SimulatedDisk, Pool) {
    let random = SeededRandom::new(seed);
    let disk = SimulatedDisk::new(1 << 30);
    let options = PoolOptions {
        journal_segment_bytes: 256 << 10,
        background: Background::Manual,
        reserve_bytes: 0,
        ..PoolOptions::default()
    };
    let pool = Pool::open_in(Arc::new(disk.clone()), options).unwrap();
    pool.create_volume(&volume(0), SIZE_BYTES).unwrap();
    for number in 1..40 {
        let volumes = pool.volumes().unwrap();
        let snapshots = pool.snapshots().unwrap();
        let some_volume = &volumes[random.below(volumes.len() as u64) as usize];
        let some_snapshot =
            (!snapshots.is_empty()).then(|| &snapshots[random.below(snapshots.len() as u64) as usize]);
        match (random.below(12), some_snapshot) {
            (0..5, _) => {
                let device = pool.open_volume(some_volume).unwrap();
                for _ in 0..4 {
                    let start = [0, 32 << 20][random.below(2) as usize] + random.below(40) * BLOCK_BYTES;
                    let length = (1 + random.below(20)) * BLOCK_BYTES;
                    if random.below(4) == 0 {
                        device.discard(start, length).unwrap();
                    } else {
                        device.write(start, &vec![number as u8; length as usize]).unwrap();
                    }
                }
            }
            (5..8, _) => pool.create_snapshot(some_volume, &snapshot(number)).unwrap(),
            (8, Some(from)) => pool.clone_volume(&volume(number), from, SIZE_BYTES).unwrap(),
            (9, Some(to)) => pool.roll_back(some_volume, to).unwrap(),
            (10, Some(gone)) => pool.delete_snapshot(gone).unwrap(),
            (11, _) if volumes.len() > 1 => pool.delete_volume(some_volume).unwrap(),
            _ => {}
        }
    }
    settle(&pool);
    (disk, pool)
}

fn settle(pool: &Pool) {
    pool.inner.core.commit().unwrap();
    while pool.run_background_step().unwrap() {}
    pool.inner.core.commit().unwrap();
    while pool.run_background_step().unwrap() {}
}

/// The file itself is the judge: whatever is deleted, it shrinks by exactly what was foretold, and what is held is what it
/// takes.
#[test]
fn deleting_anything_returns_what_was_foretold() {
    let (mut judged, mut returned_something) = (0, 0);
    for seed in 0..25 {
        let (disk, pool) = pool_of(seed);
        let report = pool.space().unwrap();
        assert_eq!(report.layers_to_reclaim, 0);
        assert_eq!(report.held_bytes, disk.allocated_bytes(FileRole::Data), "seed {seed}");
        assert_eq!(report.held_bytes, pool.usage().unwrap().used_bytes, "seed {seed}");
        drop(pool);
        let volumes = report.volumes.iter().map(|(name, shown)| (Ok(name), shown));
        let snapshots = report.snapshots.iter().map(|(name, shown)| (Err(name), shown));
        for (name, shown) in volumes.chain(snapshots) {
            let (disk, pool) = pool_of(seed);
            let before = disk.allocated_bytes(FileRole::Data);
            match name {
                Ok(volume) => pool.delete_volume(volume).unwrap(),
                Err(snapshot) => pool.delete_snapshot(snapshot).unwrap(),
            }
            settle(&pool);
            let returned = before - disk.allocated_bytes(FileRole::Data);
            assert_eq!(returned, shown.returned_bytes, "seed {seed}, {name:?}");
            assert!(shown.returned_bytes <= shown.exclusive_bytes + report.held_bytes);
            assert!(shown.exclusive_bytes <= shown.written_bytes && shown.written_bytes <= shown.size_bytes);
            judged += 1;
            returned_something += u64::from(returned > 0);
        }
    }
    assert!(judged > 100 && returned_something > 30, "{judged} deletions, {returned_something} with effect");
}

/// What a name shows, and shows alone, counted by reading.
#[test]
fn written_and_exclusive_are_what_a_reader_finds() {
    for seed in 100..110 {
        let (_disk, pool) = pool_of(seed);
        let report = pool.space().unwrap();
        for (name, shown) in &report.volumes {
            let device = pool.open_volume(name).unwrap();
            let data: u64 = device
                .extents(0, SIZE_BYTES, usize::MAX)
                .unwrap()
                .iter()
                .filter(|extent| extent.kind == ashlar_volume::ExtentKind::Data)
                .map(|extent| extent.length_bytes)
                .sum();
            assert_eq!(shown.written_bytes, data, "seed {seed}, {name}");
        }
        // Everything that is held is shown by somebody: what nobody shares and what is shared add up to at most that.
        let exclusive: u64 =
            report.volumes.values().chain(report.snapshots.values()).map(|shown| shown.exclusive_bytes).sum();
        assert!(exclusive <= report.held_bytes, "seed {seed}");
    }
}
