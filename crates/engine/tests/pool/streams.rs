//! Writes that join a stream while others are under way: past the page cache, and on a simulated disk.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ashlar_engine::simulated::{SimulatedDisk, Survival};
use ashlar_engine::{DataCache, FaultyDirectory, FileRole, Pool, check_in};
use ashlar_types::{RandomSource, SeededRandom};
use ashlar_volume::fault::{FaultCall, FaultInjector, FaultKind, FaultPlan, FaultRule, Pause};
use ashlar_volume::{
    BLOCK_BYTES, BatchWrite, BlockDevice, VolumeError, VolumeId, VolumeSnapshotId, VolumeStore, WriteSource,
};

use crate::direct;

#[derive(Debug)]
struct NoPause;

impl Pause for NoPause {
    fn pause(&self, _duration: std::time::Duration) {}
}

/// Six chunks: what is written at one time shares them.
const BLOCKS: u64 = 96;

fn volume() -> VolumeId {
    VolumeId::new("disk").unwrap()
}

fn block(number: u64, value: u64) -> Vec<u8> {
    (number << 32 | value).to_le_bytes().repeat(BLOCK_BYTES as usize / 8)
}

/// Writes by lot that come one by one, now and then none; mostly of a block the next one only after the end of
/// the last.
struct Trickle<'a> {
    random: &'a SeededRandom,
    /// The blocks that are written: those that leave `remainder` when divided by 2, or all.
    remainder: Option<u64>,
    /// They are the first so many.
    blocks: u64,
    left: u64,
    data: Vec<u8>,
    /// The block and the value, by number in the stream.
    under_way: BTreeMap<usize, (u64, u64)>,
    taken: usize,
    /// What each block may hold, newest last: more than one value where a write has failed, or a crash is to come.
    values: BTreeMap<u64, Vec<u64>>,
    /// A crash may undo what is written from now on.
    may_be_undone: bool,
    /// Writes of one block may be under way together.
    overlaps: bool,
    /// Writes that came when some had ended and others had not.
    joined: u64,
    failed: u64,
    has_ended_some: bool,
}

impl<'a> Trickle<'a> {
    fn new(random: &'a SeededRandom, remainder: Option<u64>) -> Self {
        Self {
            random,
            remainder,
            blocks: BLOCKS,
            left: 0,
            data: Vec::new(),
            under_way: BTreeMap::new(),
            taken: 0,
            values: BTreeMap::new(),
            may_be_undone: false,
            overlaps: false,
            joined: 0,
            failed: 0,
            has_ended_some: false,
        }
    }

    fn run(&mut self, device: &dyn BlockDevice, writes: u64) {
        self.left = writes;
        while self.left > 0 {
            (self.taken, self.has_ended_some) = (0, false);
            device.write_stream(self);
            assert_eq!(self.under_way, BTreeMap::new(), "a stream was over before its writes");
        }
    }

    fn verify(&self, device: &dyn BlockDevice) {
        let mut seen = vec![0; BLOCK_BYTES as usize];
        for (number, values) in &self.values {
            device.read(number * BLOCK_BYTES, &mut seen).unwrap();
            let holds = |value: &u64| {
                if *value == 0 { seen.iter().all(|byte| *byte == 0) } else { seen == block(*number, *value) }
            };
            assert!(
                values.iter().any(holds),
                "block {number} holds none of {values:?}, but {:x?}",
                &seen[..16]
            );
        }
    }
}

impl WriteSource for Trickle<'_> {
    fn next(&mut self) -> Option<BatchWrite<'_>> {
        if self.left == 0 || self.random.below(4) == 0 {
            return None;
        }
        let number = self.random.below(self.blocks);
        let is_other = self.remainder.is_some_and(|remainder| number % 2 != remainder);
        let is_busy = self.under_way.values().any(|(other, _)| *other == number);
        if is_other || (is_busy && !self.overlaps) {
            return None;
        }
        self.joined += u64::from(self.has_ended_some && !self.under_way.is_empty());
        let value = self.left;
        self.left -= 1;
        self.under_way.insert(self.taken, (number, value));
        self.taken += 1;
        self.data = block(number, value);
        Some(BatchWrite { offset_bytes: number * BLOCK_BYTES, data: &self.data })
    }

    fn ended(&mut self, number: usize, result: Result<(), VolumeError>) {
        self.has_ended_some = true;
        let (block, value) = self.under_way.remove(&number).expect("a number that is under way");
        let values = self.values.entry(block).or_insert_with(|| vec![0]);
        if result.is_err() {
            self.failed += 1;
        } else if !self.may_be_undone {
            values.clear();
        }
        values.push(value);
    }
}

/// Fills the volume, so that writes are in place, then again with streams; how many writes have joined others.
fn write_and_verify(pool: &Pool, volume: &VolumeId, seed: u64) -> u64 {
    let random = SeededRandom::new(seed);
    let device = pool.open_volume(volume).unwrap();
    let mut trickle = Trickle::new(&random, None);
    for round in 0..6 {
        trickle.run(&*device, 300);
        trickle.verify(&*device);
        match round {
            2 => {
                let name = VolumeSnapshotId::new(&format!("{volume}-snap")).unwrap();
                pool.create_snapshot(volume, &name).unwrap();
            }
            4 => device.flush().unwrap(),
            _ => {}
        }
    }
    trickle.joined
}

#[test]
fn what_joins_a_stream_is_written_like_anything_else() {
    let directory = direct::directory();
    let real = direct::open(directory.path());
    let disk = SimulatedDisk::new(1 << 40);
    let simulated = Pool::open_in(Arc::new(disk.clone()), direct::options(DataCache::Direct)).unwrap();
    for (seed, pool) in [(1, &real), (2, &simulated)] {
        pool.create_volume(&volume(), BLOCKS * BLOCK_BYTES).unwrap();
        let encrypted = VolumeId::new("encrypted").unwrap();
        pool.create_encrypted_volume(&encrypted, BLOCKS * BLOCK_BYTES).unwrap();
        let joined = [write_and_verify(pool, &volume(), seed), write_and_verify(pool, &encrypted, seed + 10)];
        // When a real medium ends what it was given is its own affair.
        assert!(seed == 1 || joined.iter().all(|joined| *joined > 1000), "{joined:?} have joined others");
        pool.close().unwrap();
    }
    drop((real, simulated));
    assert_eq!(ashlar_engine::check(directory.path()).unwrap().findings, [""; 0]);
    assert_eq!(check_in(Arc::new(disk)).unwrap().findings, [""; 0]);
}

/// Two streams over the same chunks, each with its own blocks, beside snapshots and reads; how many writes of each have joined others.
fn share_chunks(pool: &Pool) -> [u64; 2] {
    pool.create_volume(&volume(), BLOCKS * BLOCK_BYTES).unwrap();
    let is_over = AtomicBool::new(false);
    let joined = std::thread::scope(|scope| {
        let writers = [0, 1].map(|remainder| {
            let device = pool.open_volume(&volume()).unwrap();
            scope.spawn(move || {
                let random = SeededRandom::new(remainder + 1);
                let mut trickle = Trickle::new(&random, Some(remainder));
                for _ in 0..20 {
                    trickle.run(&*device, 200);
                    trickle.verify(&*device);
                }
                trickle.joined
            })
        });
        scope.spawn(|| {
            let mut number = 0;
            while !is_over.load(Ordering::Relaxed) {
                number += 1;
                let name = VolumeSnapshotId::new(&format!("snap-{number}")).unwrap();
                pool.create_snapshot(&volume(), &name).unwrap();
                let frozen = pool.open_snapshot(&name).unwrap();
                let read = || {
                    let mut bytes = vec![0; (BLOCKS * BLOCK_BYTES) as usize];
                    frozen.read(0, &mut bytes).unwrap();
                    bytes
                };
                assert!(read() == read(), "a snapshot has changed");
                drop(frozen);
                pool.delete_snapshot(&name).unwrap();
                while pool.run_background_step().unwrap() {}
            }
        });
        let joined = writers.map(|writer| writer.join().unwrap());
        is_over.store(true, Ordering::Relaxed);
        joined
    });
    pool.close().unwrap();
    joined
}

#[test]
fn streams_share_chunks_with_each_other_and_with_snapshots() {
    let directory = direct::directory();
    let pool = direct::open(directory.path());
    share_chunks(&pool);
    drop(pool);
    assert_eq!(ashlar_engine::check(directory.path()).unwrap().findings, [""; 0]);
    let disk = SimulatedDisk::new(1 << 40);
    let pool = Pool::open_in(Arc::new(disk.clone()), direct::options(DataCache::Direct)).unwrap();
    let joined = share_chunks(&pool);
    assert!(joined.iter().all(|joined| *joined > 0), "{joined:?} have joined others");
    drop(pool);
    assert_eq!(check_in(Arc::new(disk)).unwrap().findings, [""; 0]);
}

/// Streams over the same blocks: whatever comes last, each block and its checksum are of one write.
#[test]
fn streams_that_write_the_same_blocks_leave_each_whole() {
    let directory = direct::directory();
    let real = direct::open(directory.path());
    let disk = SimulatedDisk::new(1 << 40);
    let simulated = Pool::open_in(Arc::new(disk), direct::options(DataCache::Direct)).unwrap();
    for pool in [&real, &simulated] {
        pool.create_volume(&volume(), BLOCKS * BLOCK_BYTES).unwrap();
        for round in 0..20 {
            std::thread::scope(|scope| {
                for seed in [round, round + 100] {
                    let device = pool.open_volume(&volume()).unwrap();
                    scope.spawn(move || {
                        let random = SeededRandom::new(seed);
                        let mut trickle =
                            Trickle { blocks: 12, overlaps: true, ..Trickle::new(&random, None) };
                        trickle.run(&*device, 300);
                    });
                }
            });
            let device = pool.open_volume(&volume()).unwrap();
            let mut seen = vec![0; BLOCK_BYTES as usize];
            for number in 0..12 {
                device.read(number * BLOCK_BYTES, &mut seen).unwrap();
                let value = u64::from_le_bytes(*seen.first_chunk().unwrap()) & u64::from(u32::MAX);
                assert!(value == 0 || seen == block(number, value), "block {number} is a mixture");
            }
        }
    }
}

/// Writes that all lie there; how many were taken when the first had ended.
struct Ready {
    left: u64,
    data: Vec<u8>,
    taken: usize,
    taken_at_first_end: Option<usize>,
}

impl WriteSource for Ready {
    fn next(&mut self) -> Option<BatchWrite<'_>> {
        self.left = self.left.checked_sub(1)?;
        self.taken += 1;
        Some(BatchWrite { offset_bytes: self.left * BLOCK_BYTES, data: &self.data })
    }

    fn ended(&mut self, _: usize, result: Result<(), VolumeError>) {
        result.unwrap();
        self.taken_at_first_end.get_or_insert(self.taken);
    }
}

#[test]
fn a_medium_does_not_wait_for_all_of_the_writes_that_lie_there() {
    let disk = SimulatedDisk::new(1 << 40);
    let pool = Pool::open_in(Arc::new(disk), direct::options(DataCache::Direct)).unwrap();
    pool.create_volume(&volume(), BLOCKS * BLOCK_BYTES).unwrap();
    let device = pool.open_volume(&volume()).unwrap();
    // First the blocks are new, then their page is closed: both go the ordinary way, all together.
    for taken_at_first_end in [32, 32, 2] {
        let mut ready = Ready { left: 32, data: block(0, 7), taken: 0, taken_at_first_end: None };
        device.write_stream(&mut ready);
        assert_eq!((ready.taken, ready.taken_at_first_end), (32, Some(taken_at_first_end)));
    }
    let mut seen = vec![0; 32 * BLOCK_BYTES as usize];
    device.read(0, &mut seen).unwrap();
    assert!(seen == block(0, 7).repeat(32));
}

/// A write that fails is told to whom it belongs, and each block is old or new afterwards, with its checksum.
#[test]
fn a_failing_medium_ends_a_stream_and_damages_nothing() {
    for hit in [1, 2, 7, 30, 77] {
        let disk = SimulatedDisk::new(1 << 40);
        let rule = FaultRule::always(FileRole::Data, FaultCall::Write, FaultKind::Error);
        let rules = vec![rule.at(hit..=u64::MAX)];
        let faults = Arc::new(FaultInjector::new(FaultPlan { seed: hit, rules }, Arc::new(NoPause)));
        faults.set_armed(false);
        let directory = FaultyDirectory::new(Arc::new(disk.clone()), Arc::clone(&faults));
        let pool = Pool::open_in(Arc::new(directory), direct::options(DataCache::Direct)).unwrap();
        pool.create_volume(&volume(), BLOCKS * BLOCK_BYTES).unwrap();
        let device = pool.open_volume(&volume()).unwrap();
        let random = SeededRandom::new(hit);
        let mut trickle = Trickle::new(&random, None);
        trickle.run(&*device, 400);
        device.flush().unwrap();
        trickle.may_be_undone = true;
        faults.set_armed(true);
        trickle.run(&*device, 200);
        assert!(trickle.failed > 0, "write {hit}");
        drop((device, pool));
        disk.restart(hit, Survival::Everything);
        let pool = Pool::open_in(Arc::new(disk), direct::options(DataCache::Direct)).unwrap();
        trickle.verify(&*pool.open_volume(&volume()).unwrap());
    }
}
