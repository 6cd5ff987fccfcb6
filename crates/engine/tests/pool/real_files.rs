//! Pools of real files: what a simulation cannot show, and chains too long for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ashlar_engine::{Background, Pool, PoolOptions, check};
use ashlar_types::{MIB_BYTES, RandomSource, SeededRandom};
use ashlar_volume::{BLOCK_BYTES, BlockDevice, ErrorKind, VolumeId, VolumeSnapshotId, VolumeStore};

fn volume_id(text: &str) -> VolumeId {
    VolumeId::new(text).unwrap()
}

fn snapshot_id(text: &str) -> VolumeSnapshotId {
    VolumeSnapshotId::new(text).unwrap()
}

fn manual() -> PoolOptions {
    PoolOptions { journal_segment_bytes: 64 << 10, background: Background::Manual, ..PoolOptions::default() }
}

fn read_all(device: &dyn BlockDevice) -> Vec<u8> {
    let mut bytes = vec![0; device.size_bytes() as usize];
    device.read(0, &mut bytes).unwrap();
    bytes
}

#[test]
fn a_directory_in_use_is_refused_with_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let pool = Pool::open(directory.path(), manual()).unwrap();
    for error in [Pool::open(directory.path(), manual()).unwrap_err(), check(directory.path()).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::InUse);
        assert!(error.to_string().contains(directory.path().to_str().unwrap()), "{error}");
    }
    drop(pool);
    Pool::open(directory.path(), manual()).unwrap();
}

#[test]
fn a_directory_without_a_pool_is_not_checked() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(check(directory.path()).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(check(&directory.path().join("missing")).unwrap_err().kind(), ErrorKind::Io);
}

#[test]
fn data_without_a_map_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("data"), b"somebody's bytes").unwrap();
    assert_eq!(Pool::open(directory.path(), manual()).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(std::fs::read(directory.path().join("data")).unwrap(), b"somebody's bytes");
}

#[test]
fn an_impossible_journal_is_refused_before_anything_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let options = PoolOptions { journal_segment_bytes: 5000, ..manual() };
    let error = Pool::open(directory.path(), options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains("journal_segment_bytes 5000"), "{error}");
    Pool::open(directory.path(), manual()).unwrap();
}

#[test]
fn a_chain_of_500_snapshots_reads_like_a_flat_volume() {
    const DEPTH: u64 = 500;
    let size_bytes = 4 * MIB_BYTES;
    let directory = tempfile::tempdir().unwrap();
    let pool = Pool::open(directory.path(), manual()).unwrap();
    let volume = volume_id("deep");
    pool.create_volume(&volume, size_bytes).unwrap();
    let random = SeededRandom::new(11);
    let mut flat = vec![0; size_bytes as usize];
    let mut middle = Vec::new();
    let device = pool.open_volume(&volume).unwrap();
    for depth in 0..DEPTH {
        for _ in 0..3 {
            let length = 1 + random.below(3 * BLOCK_BYTES) as usize;
            let at = random.below(size_bytes - length as u64) as usize;
            random.fill(&mut flat[at..at + length]);
            device.write(at as u64, &flat[at..at + length]).unwrap();
        }
        pool.create_snapshot(&volume, &snapshot_id(&format!("at-{depth}"))).unwrap();
        if depth == DEPTH / 2 {
            middle.clone_from(&flat);
        }
    }
    assert!(read_all(&*device) == flat, "through the leaves that were open all the time");
    drop(device);
    drop(pool);

    let pool = Pool::open(directory.path(), manual()).unwrap();
    assert!(read_all(&*pool.open_volume(&volume).unwrap()) == flat, "resolved anew through 501 layers");
    let snapshot = pool.open_snapshot(&snapshot_id("at-250")).unwrap();
    assert!(read_all(&*snapshot) == middle, "a snapshot in the middle");
    drop(snapshot);
    // Deleting all but a few merges the chain under an open volume.
    let device = pool.open_volume(&volume).unwrap();
    for depth in (0..DEPTH).filter(|depth| depth % 250 != 0) {
        pool.delete_snapshot(&snapshot_id(&format!("at-{depth}"))).unwrap();
    }
    while pool.run_background_step().unwrap() {}
    assert!(read_all(&*device) == flat, "after the chain was merged");
    assert!(read_all(&*pool.open_snapshot(&snapshot_id("at-250")).unwrap()) == middle);
    drop(device);
    pool.close().unwrap();
    drop(pool);
    let report = check(directory.path()).unwrap();
    assert_eq!((report.findings, report.unreferenced_bytes), (Vec::new(), 0));
}

/// Writers, a snapshotter and the background thread at once; then the pool is dropped as by a kill.
#[test]
fn concurrent_writers_keep_what_they_flushed() {
    const WRITERS: u64 = 4;
    const ROUNDS: u64 = 60;
    let region_bytes = 64 * BLOCK_BYTES;
    let directory = tempfile::tempdir().unwrap();
    let options = PoolOptions {
        journal_segment_bytes: 32 << 10,
        leaves_cached_max: 1,
        pending_bytes_max: 2000,
        ..PoolOptions::default()
    };
    let volume = volume_id("busy");
    let snapshots_taken = AtomicU64::new(0);
    {
        let pool = Arc::new(Pool::open(directory.path(), options.clone()).unwrap());
        pool.create_volume(&volume, 64 * MIB_BYTES).unwrap();
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let device = pool.open_volume(&volume).unwrap();
                scope.spawn(move || {
                    for round in 1..=ROUNDS {
                        // Half of the writers are in the second leaf.
                        let start = writer % 2 * 32 * MIB_BYTES + writer * region_bytes;
                        let bytes = [writer as u8 + 1, round as u8].repeat(region_bytes as usize / 2);
                        device.write(start, &bytes).unwrap();
                        device.flush().unwrap();
                    }
                });
            }
            let (pool, volume, taken) = (Arc::clone(&pool), volume.clone(), &snapshots_taken);
            scope.spawn(move || {
                for number in 0..20 {
                    pool.create_snapshot(&volume, &snapshot_id(&format!("busy-{number}"))).unwrap();
                    taken.fetch_add(1, Ordering::Relaxed);
                    if number % 3 != 0 {
                        pool.delete_snapshot(&snapshot_id(&format!("busy-{number}"))).unwrap();
                    }
                }
            });
        });
    }
    assert_eq!(snapshots_taken.into_inner(), 20);
    assert_eq!(check(directory.path()).unwrap().findings, [""; 0]);
    let pool = Pool::open(directory.path(), options).unwrap();
    let device = pool.open_volume(&volume).unwrap();
    for writer in 0..WRITERS {
        let mut bytes = vec![0; region_bytes as usize];
        device.read(writer % 2 * 32 * MIB_BYTES + writer * region_bytes, &mut bytes).unwrap();
        assert!(
            bytes == [writer as u8 + 1, ROUNDS as u8].repeat(region_bytes as usize / 2),
            "writer {writer}"
        );
    }
    pool.close().unwrap();
    assert_eq!(
        device.write(0, &[1]).unwrap_err().kind(),
        ErrorKind::Latched,
        "a closed pool changes nothing"
    );
    assert_eq!(pool.create_volume(&volume_id("late"), BLOCK_BYTES).unwrap_err().kind(), ErrorKind::Latched);
}

/// A block that is being overwritten in place is no damage to whoever reads it meanwhile, and of two writers at once the
/// same one comes last in the data and in the checksum.
#[test]
fn a_read_beside_an_overwrite_of_the_same_block_sees_one_of_its_values() {
    const ROUNDS: usize = 20_000;
    let directory = tempfile::tempdir().unwrap();
    let pool = Pool::open(directory.path(), PoolOptions::default()).unwrap();
    let id = VolumeId::new("disk").unwrap();
    pool.create_volume(&id, 1 << 20).unwrap();
    let device = pool.open_volume(&id).unwrap();
    device.write(0, &[1; 4096]).unwrap();
    std::thread::scope(|scope| {
        for value in [1, 2] {
            let device = &device;
            scope.spawn(move || (0..ROUNDS).for_each(|_| device.write(0, &[value; 4096]).unwrap()));
        }
        for _ in 0..2 {
            scope.spawn(|| {
                let mut bytes = [0; 4096];
                for _ in 0..ROUNDS {
                    device.read(0, &mut bytes).unwrap();
                    assert!(bytes == [1; 4096] || bytes == [2; 4096], "a mixture");
                }
            });
        }
    });
    let mut bytes = [0; 4096];
    device.read(0, &mut bytes).unwrap();
    assert_eq!(pool.status().damaged_blocks, 0);
}
