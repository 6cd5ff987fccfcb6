//! Media that give back something else than what was written. Whatever they do, nobody gets wrong bytes.

use std::sync::Arc;

use ashlar_engine::simulated::{SimulatedDisk, Survival};
use ashlar_engine::{Background, Directory, File, FileRole, Pool, PoolOptions, check_in};
use ashlar_types::MIB_BYTES;
use ashlar_volume::{
    Attempt, BLOCK_BYTES, BlockDevice, ErrorKind, VolumeError, VolumeId, VolumeSnapshotId, VolumeStore,
};

const BLOCK: usize = BLOCK_BYTES as usize;
const BLOCKS: u64 = 40;

fn options() -> PoolOptions {
    PoolOptions {
        journal_segment_bytes: 64 << 10,
        background: Background::Manual,
        ..PoolOptions::with_cache_bytes(1 << 20)
    }
}

fn open(disk: &SimulatedDisk) -> Result<Pool, VolumeError> {
    Pool::open_in(Arc::new(disk.clone()), options())
}

fn id() -> VolumeId {
    VolumeId::new("disk").unwrap()
}

fn snapshot_id() -> VolumeSnapshotId {
    VolumeSnapshotId::new("snap").unwrap()
}

fn read_block(device: &dyn BlockDevice, block: u64) -> Result<[u8; BLOCK], VolumeError> {
    let mut bytes = [0; BLOCK];
    device.read(block * BLOCK_BYTES, &mut bytes).map(|()| bytes)
}

/// Each block of a value of its own: the data file can be searched for it.
fn content(block: u64, version: u8) -> [u8; BLOCK] {
    let mut bytes = [version; BLOCK];
    bytes[..8].copy_from_slice(&(block + 1).to_le_bytes());
    bytes
}

/// A pool with one volume of 40 blocks, flushed.
fn filled(disk: &SimulatedDisk) -> (Pool, Arc<dyn BlockDevice>) {
    let pool = open(disk).unwrap();
    pool.create_volume(&id(), MIB_BYTES).unwrap();
    let device = pool.open_volume(&id()).unwrap();
    for block in 0..BLOCKS {
        device.write(block * BLOCK_BYTES, &content(block, 1)).unwrap();
    }
    device.flush().unwrap();
    (pool, device)
}

/// Where the data file has a block.
fn find(disk: &SimulatedDisk, wanted: &[u8; BLOCK]) -> u64 {
    let file = disk.open(FileRole::Data).unwrap();
    let mut bytes = [0; BLOCK];
    (0..file.length_bytes().unwrap() / BLOCK_BYTES)
        .map(|at| at * BLOCK_BYTES)
        .find(|at| file.read_at(*at, &mut bytes).is_ok() && bytes == *wanted)
        .unwrap()
}

fn flip_bit(file: &dyn File, offset_bytes: u64, bit: u8) {
    let mut byte = [0];
    file.read_at(offset_bytes, &mut byte).unwrap();
    file.write_at(offset_bytes, &[byte[0] ^ 1 << bit]).unwrap();
}

/// A session answers such a read itself; any other goes to a worker.
#[test]
fn what_was_just_written_is_verified_without_waiting() {
    let disk = SimulatedDisk::new(1 << 40);
    let (_pool, device) = filled(&disk);
    for block in 0..BLOCKS {
        let mut bytes = [0; BLOCK];
        assert_eq!(device.try_read(block * BLOCK_BYTES, &mut bytes).unwrap(), Attempt::Done);
        assert_eq!(bytes, content(block, 1));
    }
}

#[test]
fn a_flipped_bit_costs_one_block_and_never_gives_wrong_bytes() {
    let disk = SimulatedDisk::new(1 << 40);
    let (pool, device) = filled(&disk);
    let data = disk.open(FileRole::Data).unwrap();
    for block in 0..BLOCKS {
        let at = find(&disk, &content(block, 1));
        flip_bit(&*data, at + block * 97 % BLOCK_BYTES, (block % 8) as u8);
        let error = read_block(&*device, block).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains(&format!("byte {}", block * BLOCK_BYTES)), "{error}");
        for other in (0..BLOCKS).filter(|other| *other != block) {
            assert_eq!(read_block(&*device, other).unwrap(), content(other, 1));
        }
        let mut all = vec![0; BLOCKS as usize * BLOCK];
        assert_eq!(device.read(0, &mut all).unwrap_err().kind(), ErrorKind::Corrupt);
        // A part of it cannot be changed: the rest would be believed.
        assert_eq!(device.write(block * BLOCK_BYTES + 8, &[9]).unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(pool.damage().unwrap().volumes[&id()], 1);
        // As a whole it can.
        device.write(block * BLOCK_BYTES, &content(block, 1)).unwrap();
        assert_eq!(read_block(&*device, block).unwrap(), content(block, 1));
        assert_eq!(pool.damage().unwrap().volumes.len(), 0);
    }
}

#[test]
fn lost_and_misplaced_writes_are_found() {
    let disk = SimulatedDisk::new(1 << 40);
    let (_pool, device) = filled(&disk);
    let data = disk.open(FileRole::Data).unwrap();
    // Lost: the medium still has what was there before.
    let at = find(&disk, &content(3, 1));
    device.write(3 * BLOCK_BYTES, &content(3, 2)).unwrap();
    data.write_at(at, &content(3, 1)).unwrap();
    assert_eq!(read_block(&*device, 3).unwrap_err().kind(), ErrorKind::Corrupt);
    // Misplaced: it has hit the next block as well.
    data.write_at(at + BLOCK_BYTES, &content(3, 2)).unwrap();
    assert_eq!(read_block(&*device, 4).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(read_block(&*device, 5).unwrap(), content(5, 1));
}

#[test]
fn damage_is_marked_on_everything_that_shows_it_and_survives_a_restart() {
    let disk = SimulatedDisk::new(1 << 40);
    let (pool, device) = filled(&disk);
    let clone = VolumeId::new("clone").unwrap();
    pool.create_snapshot(&id(), &snapshot_id()).unwrap();
    pool.clone_volume(&clone, &snapshot_id(), MIB_BYTES).unwrap();
    device.write(0, &content(0, 2)).unwrap();
    let data = disk.open(FileRole::Data).unwrap();
    flip_bit(&*data, find(&disk, &content(0, 1)), 0);
    flip_bit(&*data, find(&disk, &content(7, 1)), 0);
    drop(device);
    // A scrub finds what nobody has read.
    let mut scrub = pool.scrub(&[]).unwrap();
    while scrub.step().unwrap() {}
    let progress = scrub.progress();
    assert_eq!((progress.done_bytes, progress.damaged_blocks), (41 * BLOCK_BYTES, 2));
    assert_eq!(progress.done_bytes, progress.total_bytes);
    drop(scrub);
    let expect = |pool: &Pool| {
        let report = pool.damage().unwrap();
        assert_eq!(report.volumes, [(clone.clone(), 2), (id(), 1)].into());
        assert_eq!(report.snapshots, [(snapshot_id(), 2)].into());
    };
    expect(&pool);
    pool.close().unwrap();
    drop(pool);
    let findings = check_in(Arc::new(disk.clone())).unwrap().findings;
    assert_eq!(findings.iter().filter(|finding| finding.contains("is damaged")).count(), 2, "{findings:?}");
    let pool = open(&disk).unwrap();
    expect(&pool);

    // The medium has thought better of it: the next scrub takes the mark off.
    data.write_at(find_flipped(&disk, 7), &content(7, 1)).unwrap();
    let mut scrub = pool.scrub(&[id()]).unwrap();
    while scrub.step().unwrap() {}
    let report = pool.damage().unwrap();
    assert_eq!(
        (report.volumes, report.snapshots),
        ([(clone.clone(), 1)].into(), [(snapshot_id(), 1)].into())
    );
    // Block 0 goes with all that shows it.
    drop(scrub);
    pool.delete_volume(&clone).unwrap();
    pool.delete_snapshot(&snapshot_id()).unwrap();
    while pool.run_background_step().unwrap() {}
    assert_eq!(pool.damage().unwrap(), ashlar_volume::DamageReport::default());
    assert_eq!(pool.status().damaged_blocks, 0);
}

/// Where the data file has block 7 of version 1 with its first bit flipped.
fn find_flipped(disk: &SimulatedDisk, block: u64) -> u64 {
    let mut wanted = content(block, 1);
    wanted[0] ^= 1;
    find(disk, &wanted)
}

#[test]
fn what_was_being_changed_at_a_crash_is_worked_out_again_and_then_believed() {
    for survival in [Survival::Some, Survival::Everything, Survival::Nothing] {
        let disk = SimulatedDisk::new(1 << 40);
        let (pool, device) = filled(&disk);
        for block in 0..BLOCKS {
            device.write(block * BLOCK_BYTES, &content(block, 2)).unwrap();
        }
        device.discard(8 * BLOCK_BYTES, BLOCK_BYTES).unwrap();
        drop((device, pool));
        disk.restart(7, survival);
        let report = check_in(Arc::new(disk.clone())).unwrap();
        assert_eq!((report.findings, report.damaged_blocks), (Vec::new(), 0));
        assert!(report.unverified_bytes > 0);
        let pool = open(&disk).unwrap();
        assert!(pool.status().uncertain_bytes > 0);
        let device = pool.open_volume(&id()).unwrap();
        for block in 0..BLOCKS {
            let bytes = read_block(&*device, block).unwrap();
            let possible = [content(block, 1), content(block, 2)].contains(&bytes);
            assert!(possible || block == 8 && bytes == [0; BLOCK], "block {block}");
        }
        while pool.run_background_step().unwrap() {}
        assert_eq!(pool.status().uncertain_bytes, 0);
        drop(device);
        pool.close().unwrap();
        drop(pool);
        // From here on it is verified again, across a crash too.
        let report = check_in(Arc::new(disk.clone())).unwrap();
        assert_eq!((report.findings, report.unverified_bytes), (Vec::new(), 0));
        let pool = open(&disk).unwrap();
        let device = pool.open_volume(&id()).unwrap();
        let before = read_block(&*device, 20).unwrap();
        flip_bit(&*disk.open(FileRole::Data).unwrap(), find(&disk, &before) + 100, 3);
        assert_eq!(read_block(&*device, 20).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

/// The pages of a file.
fn pages(file: &dyn File) -> Vec<Vec<u8>> {
    let pages = file.length_bytes().unwrap() / 4096;
    let page = |number| {
        let mut bytes = vec![0; 4096];
        file.read_at(number * 4096, &mut bytes).unwrap();
        bytes
    };
    (0..pages).map(page).collect()
}

/// Opens the pool and reads all: everything right, or an error that says so. `true`: it was an error.
fn right_or_refused(disk: &SimulatedDisk, what: &str) -> bool {
    let read = || -> Result<(), VolumeError> {
        let pool = open(disk)?;
        let device = pool.open_volume(&id())?;
        let snapshot = pool.open_snapshot(&snapshot_id())?;
        for block in 0..BLOCKS {
            assert_eq!(read_block(&*device, block)?, content(block, 2), "{what}, block {block}");
            assert_eq!(
                read_block(&*snapshot, block)?,
                content(block, 1),
                "{what}, block {block} of the snapshot"
            );
        }
        Ok(())
    };
    match read() {
        Ok(()) => false,
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound), "{what}: {error}");
            true
        }
    }
}

/// Each page that the last checkpoints wrote, as if its write had been lost; and as if it had hit another page.
#[test]
fn a_lost_or_misplaced_write_of_the_map_is_never_believed() {
    let disk = SimulatedDisk::new(1 << 40);
    let (pool, device) = filled(&disk);
    drop(device);
    pool.close().unwrap();
    drop(pool);
    let before = pages(&*disk.open(FileRole::Map).unwrap());
    let pool = open(&disk).unwrap();
    pool.create_snapshot(&id(), &snapshot_id()).unwrap();
    let device = pool.open_volume(&id()).unwrap();
    for block in 0..BLOCKS {
        device.write(block * BLOCK_BYTES, &content(block, 2)).unwrap();
    }
    drop(device);
    pool.close().unwrap();
    drop(pool);

    let files = [FileRole::Data, FileRole::Journal, FileRole::Map, FileRole::MapSums]
        .map(|role| (role, pages(&*disk.open(role).unwrap())));
    let restore = || {
        let disk = SimulatedDisk::new(1 << 40);
        for (role, pages) in &files {
            let file = disk.open(*role).unwrap();
            for (number, page) in (0..).zip(pages).filter(|(_, page)| page.iter().any(|byte| *byte != 0)) {
                file.write_at(number * 4096, page).unwrap();
            }
            file.set_length(pages.len() as u64 * 4096).unwrap();
        }
        disk
    };
    assert!(!right_or_refused(&restore(), "untouched"));
    let after = &files[2].1;
    let changed: Vec<usize> =
        (0..after.len()).filter(|at| before.get(*at).is_some_and(|page| page != &after[*at])).collect();
    let mut found = 0;
    for at in &changed {
        let disk = restore();
        disk.open(FileRole::Map).unwrap().write_at(*at as u64 * 4096, &before[*at]).unwrap();
        found += u32::from(right_or_refused(&disk, &format!("page {at} lost")));
        for other in changed.iter().filter(|other| *other != at) {
            let disk = restore();
            disk.open(FileRole::Map).unwrap().write_at(*other as u64 * 4096, &after[*at]).unwrap();
            found += u32::from(right_or_refused(&disk, &format!("page {at} written to page {other}")));
        }
    }
    assert!(found > 3, "{found} of {} changed pages mattered", changed.len());
}

/// A record that the journal lacks is missed, wherever the ones behind it lie.
#[test]
fn a_lost_record_of_the_journal_is_found() {
    let disk = SimulatedDisk::new(1 << 40);
    let (pool, device) = filled(&disk);
    for block in 0..3 {
        device.write(block * BLOCK_BYTES + MIB_BYTES / 2, &content(block, 2)).unwrap();
        device.flush().unwrap();
    }
    drop((device, pool));
    let journal = disk.open(FileRole::Journal).unwrap();
    let records: Vec<u64> = (0..pages(&*journal).len() as u64)
        .filter(|number| {
            let mut magic = [0; 4];
            journal.read_at(number * 4096, &mut magic).unwrap();
            magic == *b"AJR1"
        })
        .collect();
    assert!(records.len() >= 4);
    for record in &records[..records.len() - 1] {
        let mut saved = vec![0; 4096];
        journal.read_at(record * 4096, &mut saved).unwrap();
        journal.write_at(record * 4096, &[0; 4096]).unwrap();
        let error = open(&disk).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("was lost"), "{error}");
        journal.write_at(record * 4096, &saved).unwrap();
    }
    open(&disk).unwrap();
}
