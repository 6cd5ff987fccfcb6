use ashlar_volume::{BLOCK_BYTES, BlockDevice, VolumeId, VolumeSnapshotId, VolumeStore};

use super::*;
use crate::check::check_in;
use crate::file::simulated::{SimulatedDisk, Survival};
use crate::options::Background;
use crate::pool::Pool;

fn open(disk: &SimulatedDisk) -> Result<Pool, VolumeError> {
    let options = PoolOptions {
        journal_segment_bytes: 64 << 10,
        background: Background::Manual,
        ..PoolOptions::default()
    };
    Pool::open_in(Arc::new(disk.clone()), options)
}

fn volume() -> VolumeId {
    VolumeId::new("disk").unwrap()
}

/// A disk on which one sync is for data and journal, and a pool with a volume.
fn shared() -> (SimulatedDisk, Pool) {
    let disk = SimulatedDisk::new(1 << 40);
    disk.share_syncs(true);
    let pool = open(&disk).unwrap();
    pool.create_volume(&volume(), 64 << 20).unwrap();
    (disk, pool)
}

fn write(device: &dyn BlockDevice, block: u64, value: u8) {
    device.write(block * BLOCK_BYTES, &[value; BLOCK_BYTES as usize]).unwrap();
}

fn values(pool: &Pool, blocks: &[u64]) -> Vec<u8> {
    let device = pool.open_volume(&volume()).unwrap();
    let value = |block: &u64| {
        let mut bytes = [0; BLOCK_BYTES as usize];
        device.read(block * BLOCK_BYTES, &mut bytes).unwrap();
        assert!(bytes.iter().all(|byte| *byte == bytes[0]), "a mixture");
        bytes[0]
    };
    blocks.iter().map(value).collect()
}

/// Flips a bit of the only block of a file that holds nothing but `value`.
fn spoil(disk: &SimulatedDisk, value: u8) {
    let file = disk.open(FileRole::Data).unwrap();
    let mut found = 0;
    let mut bytes = [0; BLOCK_BYTES as usize];
    for at in (0..file.length_bytes().unwrap()).step_by(BLOCK_BYTES as usize) {
        file.read_at(at, &mut bytes).unwrap();
        if bytes.iter().all(|byte| *byte == value) {
            file.write_at(at, &[value ^ 1]).unwrap();
            found += 1;
        }
    }
    assert_eq!(found, 1, "blocks of {value}");
}

/// Damage to blocks of the last commit costs these blocks, and none of the others that were made durable with them.
#[test]
fn blocks_that_are_missing_from_the_last_commit_are_left_out_alone() {
    let (disk, pool) = shared();
    let device = pool.open_volume(&volume()).unwrap();
    (0..4).for_each(|block| write(&*device, block, 10 + block as u8));
    pool.create_snapshot(&volume(), &VolumeSnapshotId::new("snap").unwrap()).unwrap();
    device.discard(2 * BLOCK_BYTES, BLOCK_BYTES).unwrap();
    write(&*device, 5, 15);
    device.flush().unwrap();
    let blocks = [0, 1, 2, 3, 5, 100, 9000];
    for (value, block) in (20..).zip([0, 1, 2, 100, 9000]) {
        write(&*device, block, value);
    }
    device.flush().unwrap();
    drop(device);
    assert_eq!(values(&pool, &blocks), [20, 21, 22, 13, 15, 23, 24]);
    drop(pool);
    disk.restart(1, Survival::Everything);
    // One that hid an ancestor's data, one that hid zeroes, one that was alone in its chunk.
    [21, 22, 23].into_iter().for_each(|value| spoil(&disk, value));
    assert_eq!(check_in(Arc::new(disk.clone())).unwrap().findings, [""; 0]);
    let pool = open(&disk).unwrap();
    assert_eq!(values(&pool, &blocks), [20, 11, 0, 13, 15, 0, 24]);
    while pool.run_background_step().unwrap() {}
    pool.close().unwrap();
    drop(pool);
    let report = check_in(Arc::new(disk.clone())).unwrap();
    assert_eq!((report.findings, report.unreferenced_bytes), (Vec::new(), 0));
}

/// After a while of rest nothing about the last commit can be taken for one that did not happen.
#[test]
fn damage_after_a_rest_is_damage() {
    let (disk, pool) = shared();
    let device = pool.open_volume(&volume()).unwrap();
    write(&*device, 7, 30);
    device.flush().unwrap();
    pool.inner.core.settle_last_record().unwrap();
    drop((device, pool));
    disk.restart(1, Survival::Nothing);
    spoil(&disk, 30);
    let report = check_in(Arc::new(disk.fork())).unwrap();
    assert_eq!(report.damaged_blocks, 1, "{:?}", report.findings);

    // The same of the record of a commit that has two syncs: a snapshot is never lost in silence.
    let (disk, pool) = shared();
    pool.create_snapshot(&volume(), &VolumeSnapshotId::new("snap").unwrap()).unwrap();
    let calls = disk.calls();
    pool.inner.core.settle_last_record().unwrap();
    assert!(disk.calls() > calls, "a record behind it");
    let calls = disk.calls();
    pool.inner.core.settle_last_record().unwrap();
    assert_eq!(disk.calls(), calls, "once is enough");
    drop(pool);
    disk.restart(1, Survival::Nothing);
    // The records: the volume, the snapshot, the empty one.
    disk.open(FileRole::Journal).unwrap().write_at(4096 + 100, &[0xff]).unwrap();
    let error = open(&disk).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("was lost"), "{error}");
}
