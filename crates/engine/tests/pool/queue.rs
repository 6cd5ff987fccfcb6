//! Reads that are under way while their reader, and others, do other things to the same blocks.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use ashlar_engine::{Background, DataCache, Pool, PoolOptions};
use ashlar_types::{MIB_BYTES, RandomSource, SeededRandom};
use ashlar_volume::{
    BLOCK_BYTES, BlockDevice, ErrorKind, ReadQueue, VolumeId, VolumeSnapshotId, VolumeStore,
};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};

use crate::encrypted::TestMasterKey;

const BLOCK: usize = BLOCK_BYTES as usize;
const BLOCKS: u64 = 64;

fn open(directory: &Path, data_cache: DataCache) -> Option<Pool> {
    let options = PoolOptions {
        background: Background::Manual,
        data_cache,
        key_wrapper: Some(Arc::new(TestMasterKey::new(1))),
        ..PoolOptions::default()
    };
    match Pool::open(directory, options) {
        // A machine that cannot do it says so; the page cache is tested in any case.
        Err(error) if error.to_string().contains("--cache page") => None,
        opened => Some(opened.unwrap()),
    }
}

/// A volume with a queue, and what each of its blocks has held.
struct Subject {
    id: VolumeId,
    device: Arc<dyn BlockDevice>,
    queue: Box<dyn ReadQueue>,
    bell: OwnedFd,
    /// The stamps that a block has had, 0 first.
    history: Vec<Vec<u64>>,
    /// By number: the first block, and how many stamps each block had at the beginning.
    under_way: BTreeMap<usize, (u64, Vec<usize>)>,
}

/// A block that tells what it is.
fn content(stamp: u64) -> Vec<u8> {
    let mut bytes = vec![if stamp == 0 { 0 } else { stamp as u8 | 1 }; BLOCK];
    bytes[..8].copy_from_slice(&stamp.to_le_bytes());
    bytes
}

impl Subject {
    /// `None` where the system has no io_uring.
    fn new(pool: &Pool, name: &str, is_encrypted: bool) -> Option<Self> {
        let id = VolumeId::new(name).unwrap();
        if is_encrypted {
            pool.create_encrypted_volume(&id, MIB_BYTES).unwrap();
        } else {
            pool.create_volume(&id, MIB_BYTES).unwrap();
        }
        let device = pool.open_volume(&id).unwrap();
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap();
        let queue = device.read_queue(bell.as_fd())?;
        let history = vec![vec![0]; BLOCKS as usize];
        Some(Self { id, device, queue, bell, history, under_way: BTreeMap::new() })
    }

    fn write(&mut self, first: u64, count: u64, next_stamp: &mut u64) {
        let mut data = Vec::new();
        for block in first..first + count {
            *next_stamp += 1;
            self.history[block as usize].push(*next_stamp);
            data.extend(content(*next_stamp));
        }
        self.device.write(first * BLOCK_BYTES, &data).unwrap();
    }

    fn discard(&mut self, first: u64, count: u64) {
        (first..first + count).for_each(|block| self.history[block as usize].push(0));
        self.device.discard(first * BLOCK_BYTES, count * BLOCK_BYTES).unwrap();
    }

    fn begin(&mut self, first: u64, count: u64) {
        if let Some(number) = self.queue.begin(first * BLOCK_BYTES, count as usize * BLOCK) {
            let known = (first..first + count).map(|block| self.history[block as usize].len()).collect();
            assert!(self.under_way.insert(number, (first, known)).is_none(), "the number is taken");
        }
    }

    /// Takes what has ended and compares it; how many had bytes, and how many have to be read again.
    fn turn(&mut self) -> (usize, usize) {
        let Self { queue, under_way, history, .. } = self;
        let (mut done, mut again) = (0, 0);
        queue.turn(&mut |number, bytes| {
            let (first, known) = under_way.remove(&number).expect("it was begun");
            let Some(bytes) = bytes else {
                again += 1;
                return;
            };
            done += 1;
            assert_eq!(bytes.len(), known.len() * BLOCK);
            for ((block, known), seen) in (first..).zip(known).zip(bytes.chunks(BLOCK)) {
                let legal = &history[block as usize][known - 1..];
                let stamp = u64::from_le_bytes(seen[..8].try_into().unwrap());
                assert!(legal.contains(&stamp), "block {block} is {stamp}, and was {legal:?} meanwhile");
                assert_eq!(seen, content(stamp), "block {block} is torn");
            }
        });
        (done, again)
    }

    fn finish(&mut self) -> (usize, usize) {
        let mut sum = (0, 0);
        loop {
            let (done, again) = self.turn();
            sum = (sum.0 + done, sum.1 + again);
            if self.under_way.is_empty() {
                return sum;
            }
            poll(&mut [PollFd::new(&self.bell, PollFlags::IN)], None).unwrap();
            let _ = rustix::io::read(&self.bell, &mut [0_u8; 8]);
        }
    }
}

fn live(pool: &Pool, subjects: &mut [Subject], seed: u64) -> (usize, usize) {
    let random = SeededRandom::new(seed);
    let (mut stamp, mut sum) = (0, (0, 0));
    for step in 0..3000 {
        let subject = &mut subjects[random.below(2) as usize];
        let count = 1 + random.below(3);
        let first = random.below(BLOCKS - count);
        match random.below(12) {
            0..4 => subject.begin(first, count),
            4..7 => subject.write(first, count, &mut stamp),
            7..9 => subject.discard(first, count),
            // What was given back becomes free, to be taken by whomever.
            9 => {
                subject.device.flush().unwrap();
                while pool.run_background_step().unwrap() {}
            }
            10 if step % 7 == 0 => {
                let name = VolumeSnapshotId::new(&format!("{}-{step}", subject.id)).unwrap();
                pool.create_snapshot(&subject.id, &name).unwrap();
                if random.below(2) == 0 {
                    pool.delete_snapshot(&name).unwrap();
                }
            }
            _ => {
                let (done, again) = if random.below(2) == 0 { subject.turn() } else { subject.finish() };
                sum = (sum.0 + done, sum.1 + again);
            }
        }
    }
    for subject in subjects {
        let (done, again) = subject.finish();
        sum = (sum.0 + done, sum.1 + again);
    }
    sum
}

#[test]
fn a_read_under_way_gives_what_the_block_held_meanwhile_or_nothing() {
    for data_cache in [DataCache::Page, DataCache::Direct] {
        for seed in 0..6 {
            let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            let Some(pool) = open(directory.path(), data_cache) else { continue };
            let one = Subject::new(&pool, "one", false);
            let (Some(one), Some(two)) = (one, Subject::new(&pool, "two", seed % 2 == 1)) else { return };
            let (done, again) = live(&pool, &mut [one, two], seed);
            assert!(done > 200 && again > 3, "seed {seed}: {done} and {again}");
            pool.close().unwrap();
        }
    }
}

#[test]
fn a_chunk_that_another_volume_took_meanwhile_is_not_read_by_the_first() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let pool = open(directory.path(), DataCache::Page).unwrap();
    let one = Subject::new(&pool, "one", false);
    let (Some(mut one), Some(mut two)) = (one, Subject::new(&pool, "two", false)) else { return };
    let mut stamp = 0;
    one.write(0, 16, &mut stamp);
    one.device.flush().unwrap();
    // Put on the queue, and handed over by the next turn.
    (0..16).for_each(|block| one.begin(block, 1));
    one.discard(0, 16);
    one.device.flush().unwrap();
    while pool.run_background_step().unwrap() {}
    two.write(0, 16, &mut stamp);
    let data = std::fs::read(directory.path().join("data")).unwrap();
    let holds = |wanted: u64| data.chunks(BLOCK).any(|block| block[..8] == wanted.to_le_bytes());
    assert!(holds(17) && !holds(1), "the second volume has the chunk of the first");
    assert_eq!(one.finish(), (0, 16));
}

#[test]
fn what_is_not_simple_goes_the_ordinary_way() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let pool = open(directory.path(), DataCache::Page).unwrap();
    let Some(mut subject) = Subject::new(&pool, "one", false) else { return };
    subject.write(0, 4, &mut 0);
    let queue = &mut subject.queue;
    assert_eq!(queue.begin(100, BLOCK), None, "not whole blocks");
    assert_eq!(queue.begin(3 * BLOCK_BYTES, 2 * BLOCK), None, "one of them is a hole");
    assert_eq!(queue.begin(MIB_BYTES, BLOCK), None, "beyond the end");
    assert_eq!(queue.begin(u64::MAX - 4095, BLOCK), None, "far beyond it");
    assert_eq!(queue.begin(0, 1 << 20), None, "too long");
    assert!(queue.begin(0, 4 * BLOCK).is_some());
}

#[test]
fn a_damaged_block_is_left_to_the_read_that_tells_of_it() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let pool = open(directory.path(), DataCache::Page).unwrap();
    let Some(mut subject) = Subject::new(&pool, "one", false) else { return };
    subject.write(0, 2, &mut 0);
    subject.device.flush().unwrap();
    let path = directory.path().join("data");
    let data = std::fs::File::options().read(true).write(true).open(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(8).step_by(BLOCK).position(|head| head == 2_u64.to_le_bytes()).unwrap();
    data.write_all_at(&[0xff], (at * BLOCK) as u64 + 100).unwrap();
    subject.begin(0, 1);
    assert_eq!(subject.finish(), (1, 0), "its neighbour is sound");
    subject.begin(1, 1);
    assert_eq!(subject.finish(), (0, 1));
    let failed = subject.device.read(BLOCK_BYTES, &mut [0; BLOCK]);
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Corrupt);
}
