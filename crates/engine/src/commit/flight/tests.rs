use std::collections::BTreeMap;
use std::sync::Arc;

use ashlar_types::{MIB_BYTES, RandomSource, SeededRandom};
use ashlar_volume::{BlockDevice, ErrorKind, VolumeSnapshotId, VolumeStore};
use parking_lot::Mutex;

use super::*;
use crate::check::check_in;
use crate::commit::tests::{open, volume};
use crate::file::FileRole;
use crate::file::simulated::{SimulatedDisk, Survival};
use crate::pool::Pool;

const SURVIVALS: [Survival; 4] = [Survival::Nothing, Survival::Everything, Survival::Some, Survival::Some];

/// A disk on which one sync is for data and journal, and a pool with a volume whose first blocks a snapshot holds.
fn shared() -> (SimulatedDisk, Pool) {
    let disk = SimulatedDisk::new(1 << 40);
    disk.share_syncs(true);
    let pool = open(&disk);
    pool.create_volume(&volume(), 64 * MIB_BYTES).unwrap();
    let device = pool.open_volume(&volume()).unwrap();
    (0..8).for_each(|block| assert!(write(&*device, block, 200)));
    pool.create_snapshot(&volume(), &VolumeSnapshotId::new("snap").unwrap()).unwrap();
    (disk, pool)
}

fn write(device: &dyn BlockDevice, block: u64, value: u8) -> bool {
    device.write(block * BLOCK_BYTES, &[value; BLOCK_BYTES as usize]).is_ok()
}

fn value(device: &dyn BlockDevice, block: u64) -> u8 {
    let mut bytes = [0; BLOCK_BYTES as usize];
    device.read(block * BLOCK_BYTES, &mut bytes).unwrap();
    assert!(bytes.iter().all(|byte| *byte == bytes[0]), "a mixture");
    bytes[0]
}

/// What blocks may show: the value at the last flush that was answered, and each later one.
#[derive(Debug, Default)]
struct Oracle(BTreeMap<u64, Vec<u8>>);

impl Oracle {
    fn write(&mut self, device: &dyn BlockDevice, block: u64, new: u8) {
        let before = if block < 8 { 200 } else { 0 };
        self.0.entry(block).or_insert_with(|| vec![before]).push(new);
        write(device, block, new);
    }

    fn flush(&mut self, device: &dyn BlockDevice) {
        if device.flush().is_ok() {
            self.0.values_mut().for_each(|values| drop(values.drain(..values.len() - 1)));
        }
    }

    fn verify(&self, device: &dyn BlockDevice, what: &str) {
        for (block, values) in &self.0 {
            let seen = value(device, *block);
            assert!(values.contains(&seen), "{what}: block {block} shows {seen}, possible: {values:?}");
        }
    }
}

/// Opens what a power cut has left: it is sound, and shows what it may.
fn verify_recovered(disk: &SimulatedDisk, oracles: &[Oracle], what: &str) {
    let report = check_in(Arc::new(disk.clone())).unwrap();
    assert_eq!(report.findings, [""; 0], "{what}");
    let pool = open(disk);
    let device = pool.open_volume(&volume()).unwrap();
    oracles.iter().for_each(|oracle| oracle.verify(&*device, what));
    // It works, and nothing of what was cut off is left.
    assert!(write(&*device, 3, 77) && write(&*device, 4000, 78), "{what}");
    device.flush().unwrap();
    while pool.run_background_step().unwrap() {}
    assert_eq!((value(&*device, 3), value(&*device, 4000)), (77, 78), "{what}");
    drop(device);
    pool.close().unwrap();
    drop(pool);
    let report = check_in(Arc::new(disk.clone())).unwrap();
    assert_eq!((report.findings, report.unreferenced_bytes), (Vec::new(), 0), "{what}");
}

/// While the sync of one commit is under way another one writes its record, and a third while that of the second is: in the same
/// chunks, so that each repeats what the one before it says.
struct Nested {
    disk: SimulatedDisk,
    device: Arc<dyn BlockDevice>,
    random: SeededRandom,
    /// For each commit what it wrote.
    oracles: Mutex<Vec<Oracle>>,
}

impl Nested {
    fn commit(self: &Arc<Self>, depth: u8) {
        let mut oracle = Oracle::default();
        for at in 0..1 + self.random.below(3) {
            // Of the snapshot's chunk, of new ones, and of one far away; each block once.
            let block = [u64::from(depth) * 2, 40 + u64::from(depth) * 3, 9000 + u64::from(depth)]
                [self.random.below(3) as usize];
            if !oracle.0.contains_key(&block) {
                oracle.write(&*self.device, block, 10 * (depth + 1) + at as u8);
            }
        }
        if depth < 3 {
            let this = Arc::clone(self);
            self.disk.during_next_shared_sync(move || this.commit(depth + 1));
        }
        oracle.flush(&*self.device);
        self.oracles.lock().push(oracle);
    }
}

#[test]
fn commits_under_way_together_survive_a_power_cut_at_every_call() {
    let (mut cuts, mut gaps) = (0, 0);
    for seed in 0..60 {
        let survival = SURVIVALS[seed as usize % SURVIVALS.len()];
        for cut in 0.. {
            let (disk, pool) = shared();
            let device = pool.open_volume(&volume()).unwrap();
            let nested = Nested {
                disk: disk.clone(),
                device,
                random: SeededRandom::new(seed),
                oracles: Mutex::default(),
            };
            let nested = Arc::new(nested);
            disk.cut_power_after(cut);
            nested.commit(0);
            let is_off = disk.is_off();
            let oracles = std::mem::take(&mut *nested.oracles.lock());
            disk.during_next_shared_sync(|| {});
            drop((nested, pool));
            assert!(is_off || oracles.len() == 4, "all four were under way together");
            disk.restart(seed, survival);
            gaps += u64::from(check_in(Arc::new(disk.clone())).unwrap().journal_records < 6);
            verify_recovered(&disk, &oracles, &format!("seed {seed}, cut {cut}"));
            cuts += 1;
            if !is_off {
                break;
            }
        }
    }
    assert!(cuts > 600 && gaps > 60, "{cuts} cuts, of which {gaps} lost records");
}

/// Real threads, whose order nobody knows: whatever it was, each finds what it was promised. They write first and in place, so
/// intents and ordinary records come between.
#[test]
fn threads_that_write_and_flush_survive_a_power_cut() {
    const THREADS: u64 = 6;
    for seed in 0..40 {
        let random = SeededRandom::new(seed);
        let (disk, pool) = shared();
        let device = pool.open_volume(&volume()).unwrap();
        disk.cut_power_after(random.below(200));
        let work = |thread: u64, seed: u64| {
            let random = SeededRandom::new(seed);
            let mut oracle = Oracle::default();
            for round in 0..30 {
                let block = thread + THREADS * random.below(if round % 3 == 0 { 4 } else { 2000 });
                oracle.write(&*device, block, 1 + random.below(190) as u8);
                oracle.flush(&*device);
            }
            oracle
        };
        let oracles: Vec<_> = std::thread::scope(|scope| {
            let running: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let seed = random.next_u64();
                    scope.spawn(move || work(thread, seed))
                })
                .collect();
            running.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        drop((device, pool));
        disk.restart(seed, SURVIVALS[seed as usize % SURVIVALS.len()]);
        verify_recovered(&disk, &oracles, &format!("seed {seed}"));
    }
}

/// A sync that fails, fails for all that are under way, and takes their records back.
#[test]
fn a_failed_sync_fails_all_that_are_under_way() {
    let (disk, pool) = shared();
    let device = pool.open_volume(&volume()).unwrap();
    let (inner, failing) = (Arc::clone(&device), disk.clone());
    disk.during_next_shared_sync(move || {
        assert!(write(&*inner, 50, 2));
        failing.fail_next_sync(FileRole::Data);
        inner.flush().unwrap_err();
    });
    write(&*device, 40, 1);
    assert_eq!(device.flush().unwrap_err().kind(), ErrorKind::Latched);
    device.flush().unwrap_err();
    drop((device, pool));
    disk.restart(1, Survival::Everything);
    let pool = open(&disk);
    let device = pool.open_volume(&volume()).unwrap();
    assert_eq!([value(&*device, 40), value(&*device, 50)], [0, 0]);
}

/// A commit whose record and sync are done before the record of an earlier one is written waits for that: without it it would not
/// count after a crash.
#[test]
fn a_commit_waits_for_the_records_before_it() {
    let (disk, pool) = shared();
    let (device, core) = (pool.open_volume(&volume()).unwrap(), &pool.inner.core);
    assert!(write(&*device, 40, 1));
    let first = core.begin_round().unwrap().unwrap();
    assert!(write(&*device, 50, 2));
    let second = core.begin_round().unwrap().unwrap();
    let durable = core.journal.lock().durable_sequence();
    let calls = disk.calls();
    std::thread::scope(|scope| {
        let later = scope.spawn(|| core.land(&second));
        while !later.is_finished() && disk.calls() < calls + 2 {
            std::thread::yield_now();
        }
        (0..100).for_each(|_| std::thread::yield_now());
        assert!(!later.is_finished() && core.journal.lock().durable_sequence() == durable);
        core.land(&first).unwrap();
        later.join().unwrap().unwrap();
    });
    assert_eq!(core.journal.lock().durable_sequence(), durable + 2);
    assert!(core.has_nothing_to_record());
}

/// What is not proven by blocks is appended when nothing is under way, and nothing takes off while it waits for that.
#[test]
fn an_ordinary_record_waits_for_all_that_are_under_way() {
    let (disk, pool) = shared();
    let (device, core) = (pool.open_volume(&volume()).unwrap(), &pool.inner.core);
    assert!(write(&*device, 40, 1));
    let flight = core.begin_round().unwrap().unwrap();
    let calls = disk.calls();
    std::thread::scope(|scope| {
        // The block is changed in place: the page has to be opened first, by a record.
        let in_place = scope.spawn(|| write(&*device, 40, 2));
        while !in_place.is_finished() && !core.journal.lock().is_wanted_settled() {
            std::thread::yield_now();
        }
        let next = scope.spawn(|| write(&*device, 9000, 3) && device.flush().is_ok());
        (0..100).for_each(|_| std::thread::yield_now());
        assert!(!in_place.is_finished() && !next.is_finished());
        assert_eq!(core.journal.lock().sequence(), flight.sequence, "no other has its place");
        assert!(disk.calls() <= calls + 1, "but the data of the next is written");
        core.land(&flight).unwrap();
        assert!(in_place.join().unwrap() && next.join().unwrap());
    });
    assert_eq!([value(&*device, 40), value(&*device, 9000)], [2, 3]);
}
