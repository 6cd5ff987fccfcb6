//! Pools past the page cache: the contract suite, and several reads and writes at a time against a plain array.

use std::path::Path;
use std::sync::Arc;

use ashlar_engine::simulated::SimulatedDisk;
use ashlar_engine::{Background, DataCache, Pool, PoolOptions};
use ashlar_types::{RandomSource, SeededRandom};
use ashlar_volume::contract::Subject;
use ashlar_volume::{
    BatchRead, BatchWrite, BlockDevice, VolumeId, VolumeSnapshotId, VolumeStore, write_together,
};

use crate::encrypted::TestMasterKey;

/// Beside the build: temporary directories may lie in memory, which knows no direct transfers.
pub(crate) fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

pub(crate) fn options(data_cache: DataCache) -> PoolOptions {
    PoolOptions {
        journal_segment_bytes: 256 << 10,
        background: Background::Manual,
        data_cache,
        key_wrapper: Some(Arc::new(TestMasterKey::new(1))),
        ..PoolOptions::default()
    }
}

pub(crate) fn open(directory: &Path) -> Pool {
    match Pool::open(directory, options(DataCache::Direct)) {
        // A machine that cannot do it says so and names the mend; the suite then shows the other way once more.
        Err(error) if error.to_string().contains("--cache page") => {
            Pool::open(directory, options(DataCache::Page)).unwrap()
        }
        opened => opened.unwrap(),
    }
}

struct DirectPool {
    directory: tempfile::TempDir,
    pool: Option<Pool>,
}

impl DirectPool {
    fn new() -> Self {
        let directory = directory();
        let pool = Some(open(directory.path()));
        Self { directory, pool }
    }
}

impl Subject for DirectPool {
    fn store(&self) -> &dyn VolumeStore {
        self.pool.as_ref().unwrap()
    }

    fn settle(&self) {
        while self.pool.as_ref().unwrap().run_background_step().unwrap() {}
    }

    fn reopen(&mut self) {
        self.pool.as_ref().unwrap().close().unwrap();
        self.pool = None;
        let report = ashlar_engine::check(self.directory.path()).unwrap();
        assert_eq!(report.findings, [""; 0]);
        self.pool = Some(open(self.directory.path()));
    }
}

ashlar_volume::contract_tests!(DirectPool::new());

const SIZE_BYTES: usize = 1 << 20;

/// A range of any alignment, or of whole blocks.
fn range(random: &SeededRandom) -> (u64, usize) {
    let mut at = random.below(SIZE_BYTES as u64 - 20_000);
    let mut length = 1 + random.below(20_000);
    if random.below(3) > 0 {
        (at, length) = (at - at % 4096, length.next_multiple_of(4096));
    }
    (at, length.min(SIZE_BYTES as u64 - at) as usize)
}

/// Batches on one device: the results of each must be those of its parts, and nothing else may change.
fn compare(pool: &Pool, volume: &VolumeId, seed: u64) {
    let random = SeededRandom::new(seed);
    let device: Arc<dyn BlockDevice> = pool.open_volume(volume).unwrap();
    let mut model = vec![0; SIZE_BYTES];
    for round in 0..60 {
        let mut writes: Vec<(u64, Vec<u8>)> = Vec::new();
        for _ in 0..random.below(20) {
            let (at, length) = range(&random);
            let overlaps =
                |other: &(u64, Vec<u8>)| at < other.0 + other.1.len() as u64 && other.0 < at + length as u64;
            // What overlaps may take effect in any order.
            if !writes.iter().any(overlaps) {
                let mut data = vec![0; length];
                random.fill(&mut data);
                writes.push((at, data));
            }
        }
        let batch: Vec<BatchWrite<'_>> = writes
            .iter()
            .map(|(offset_bytes, data)| BatchWrite { offset_bytes: *offset_bytes, data })
            .collect();
        write_together(&*device, &batch).into_iter().for_each(Result::unwrap);
        for (at, data) in &writes {
            model[*at as usize..*at as usize + data.len()].copy_from_slice(data);
        }
        match random.below(5) {
            0 => device.flush().unwrap(),
            1 => {
                let (at, length) = range(&random);
                device.discard(at, length as u64).unwrap();
                model[at as usize..at as usize + length].fill(0);
            }
            2 => {
                let name = VolumeSnapshotId::new(&format!("{volume}-{round}")).unwrap();
                pool.create_snapshot(volume, &name).unwrap();
            }
            _ => {}
        }
        let ranges: Vec<(u64, usize)> = (0..random.below(20)).map(|_| range(&random)).collect();
        let mut buffers: Vec<Vec<u8>> = ranges.iter().map(|(_, length)| vec![1; *length]).collect();
        let mut reads: Vec<BatchRead<'_>> = ranges
            .iter()
            .zip(&mut buffers)
            .map(|((offset_bytes, _), buffer)| BatchRead { offset_bytes: *offset_bytes, buffer })
            .collect();
        device.read_batch(&mut reads).into_iter().for_each(Result::unwrap);
        for ((at, length), buffer) in ranges.iter().zip(&buffers) {
            assert_eq!(buffer[..], model[*at as usize..*at as usize + length], "round {round} at {at}");
        }
    }
    let end = SIZE_BYTES as u64;
    let outside = write_together(&*device, &[BatchWrite { offset_bytes: end, data: &[1; 4096] }]);
    assert!(outside[0].is_err());
    let same =
        [BatchWrite { offset_bytes: 0, data: &[1; 4096] }, BatchWrite { offset_bytes: 0, data: &[2; 4096] }];
    write_together(&*device, &same).into_iter().for_each(Result::unwrap);
    let mut seen = [0; 4096];
    device.read(0, &mut seen).unwrap();
    assert!(seen == [1; 4096] || seen == [2; 4096], "one of the two, whole, with its checksum");
}

#[test]
fn batches_do_what_their_parts_do() {
    let directory = directory();
    let real = open(directory.path());
    let simulated = Pool::open_in(Arc::new(SimulatedDisk::new(1 << 40)), options(DataCache::Direct)).unwrap();
    for (seed, pool) in [(1, &real), (2, &simulated)] {
        let plain = VolumeId::new(&format!("plain-{seed}")).unwrap();
        pool.create_volume(&plain, SIZE_BYTES as u64).unwrap();
        compare(pool, &plain, seed);
        let encrypted = VolumeId::new(&format!("encrypted-{seed}")).unwrap();
        pool.create_encrypted_volume(&encrypted, SIZE_BYTES as u64).unwrap();
        compare(pool, &encrypted, seed + 10);
        pool.close().unwrap();
    }
}
