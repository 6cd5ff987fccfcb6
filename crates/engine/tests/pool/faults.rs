//! Media that fill up or fail.

use std::sync::Arc;

use ashlar_engine::simulated::{SimulatedDisk, Survival};
use ashlar_engine::{Background, FileRole, Pool, PoolOptions, check_in};
use ashlar_types::MIB_BYTES;
use ashlar_volume::{BLOCK_BYTES, ErrorKind, VolumeId, VolumeSnapshotId, VolumeStore, ZeroMode};

fn options() -> PoolOptions {
    PoolOptions {
        journal_segment_bytes: 64 << 10,
        reserve_bytes: 3 * MIB_BYTES,
        background: Background::Manual,
        ..PoolOptions::default()
    }
}

fn open(disk: &SimulatedDisk) -> Pool {
    Pool::open_in(Arc::new(disk.clone()), options()).unwrap()
}

fn id() -> VolumeId {
    VolumeId::new("disk").unwrap()
}

#[test]
fn a_failed_sync_latches_the_pool_until_it_is_opened_again() {
    for role in [FileRole::Data, FileRole::Journal] {
        let disk = SimulatedDisk::new(1 << 40);
        let pool = open(&disk);
        pool.create_volume(&id(), MIB_BYTES).unwrap();
        let device = pool.open_volume(&id()).unwrap();
        device.write(0, &[1; 4096]).unwrap();
        device.flush().unwrap();
        device.write(4096, &[2; 4096]).unwrap();
        disk.fail_next_sync(role);
        assert_eq!(device.flush().unwrap_err().kind(), ErrorKind::Io, "{role:?}");

        // The next sync would succeed, and prove nothing: nobody may try it.
        assert_eq!(device.flush().unwrap_err().kind(), ErrorKind::Latched, "{role:?}");
        assert_eq!(device.write(0, &[3; 4096]).unwrap_err().kind(), ErrorKind::Latched);
        assert_eq!(device.discard(0, 4096).unwrap_err().kind(), ErrorKind::Latched);
        assert_eq!(
            device.write_zeroes(0, 4096, ZeroMode::KeepAllocated).unwrap_err().kind(),
            ErrorKind::Latched
        );
        assert_eq!(pool.delete_volume(&id()).unwrap_err().kind(), ErrorKind::Latched);
        assert_eq!(pool.run_background_step().unwrap_err().kind(), ErrorKind::Latched);
        let mut bytes = [0; 4096];
        device.read(4096, &mut bytes).unwrap();
        assert_eq!(bytes, [2; 4096], "reading goes on");

        drop((device, pool));
        disk.restart(1, Survival::Nothing);
        let pool = open(&disk);
        let device = pool.open_volume(&id()).unwrap();
        device.read(0, &mut bytes).unwrap();
        assert_eq!(bytes, [1; 4096], "what was flushed is there");
        device.write(0, &[3; 4096]).unwrap();
        device.flush().unwrap();
    }
}

#[test]
fn a_full_medium_refuses_new_blocks_and_recovers_by_deletion() {
    let disk = SimulatedDisk::new(12 * MIB_BYTES);
    let pool = open(&disk);
    pool.create_volume(&id(), 64 * MIB_BYTES).unwrap();
    let device = pool.open_volume(&id()).unwrap();
    let mut written = 0;
    let refusal = loop {
        match device.write(written * BLOCK_BYTES, &[7; 4096]) {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refusal.kind(), ErrorKind::NoSpace);
    assert!(written > 100, "{written} blocks fitted");
    assert!(pool.usage().unwrap().available_bytes < BLOCK_BYTES);

    // In place, in metadata and in a flush there is still room.
    device.write(0, &[8; 4096]).unwrap();
    device.flush().unwrap();
    let snapshot = VolumeSnapshotId::new("snap").unwrap();
    pool.create_snapshot(&id(), &snapshot).unwrap();
    assert_eq!(
        device.write(0, &[9; 4096]).unwrap_err().kind(),
        ErrorKind::NoSpace,
        "a new block for the new layer"
    );
    let mut bytes = [0; 4096];
    device.read(0, &mut bytes).unwrap();
    assert_eq!(bytes, [8; 4096], "a refused write changes nothing");

    pool.delete_snapshot(&snapshot).unwrap();
    device.discard(0, 64 * MIB_BYTES).unwrap();
    while pool.run_background_step().unwrap() {}
    assert_eq!(pool.usage().unwrap().used_bytes, 0);
    // The map has grown meanwhile, and keeps its room.
    for block in 0..written * 9 / 10 {
        device.write(block * BLOCK_BYTES, &[5; 4096]).unwrap();
    }
    drop(device);
    pool.close().unwrap();
    drop(pool);
    let report = check_in(Arc::new(disk)).unwrap();
    assert_eq!((report.findings, report.unreferenced_bytes), (Vec::new(), 0));
}

#[test]
fn a_creation_cut_off_anywhere_begins_again() {
    for calls in 0..100 {
        let disk = SimulatedDisk::new(1 << 40);
        disk.cut_power_after(calls);
        let first = Pool::open_in(Arc::new(disk.clone()), options());
        let was_cut = disk.is_off();
        assert_eq!(first.is_err(), was_cut, "after {calls} calls");
        drop(first);
        for survival in [Survival::Some, Survival::Nothing] {
            disk.restart(calls, survival);
            let pool = open(&disk);
            assert_eq!(pool.volumes().unwrap(), []);
            drop(pool);
        }
        if !was_cut {
            return;
        }
    }
    panic!("a creation takes fewer calls than that");
}

#[test]
fn a_record_too_large_for_the_journal_is_committed_by_a_checkpoint() {
    let disk = SimulatedDisk::new(1 << 40);
    let options = PoolOptions { journal_segment_bytes: 4096, pending_bytes_max: usize::MAX, ..options() };
    let pool = Pool::open_in(Arc::new(disk.clone()), options.clone()).unwrap();
    pool.create_volume(&id(), 64 * MIB_BYTES).unwrap();
    let device = pool.open_volume(&id()).unwrap();
    for chunk in 0..1000_u64 {
        device.write(chunk * (64 << 10), &[(chunk % 200) as u8 + 1; 4096]).unwrap();
    }
    device.flush().unwrap();
    device.write(4096, &[1; 4096]).unwrap();
    device.flush().unwrap();
    drop((device, pool));
    disk.restart(1, Survival::Nothing);
    assert_eq!(check_in(Arc::new(disk.clone())).unwrap().findings, [""; 0]);
    let pool = Pool::open_in(Arc::new(disk), options).unwrap();
    let device = pool.open_volume(&id()).unwrap();
    let mut bytes = [0; 4096];
    for chunk in 0..1000_u64 {
        device.read(chunk * (64 << 10), &mut bytes).unwrap();
        assert_eq!(bytes, [(chunk % 200) as u8 + 1; 4096], "chunk {chunk}");
    }
    device.read(4096, &mut bytes).unwrap();
    assert_eq!(bytes, [1; 4096], "the commit after it");
}
