use ashlar_volume::{BlockDevice, VolumeId, VolumeStore};

use super::*;
use crate::check::check_in;
use crate::file::simulated::{SimulatedDisk, Survival};
use crate::options::{Background, PoolOptions};
use crate::pool::Pool;

pub(super) fn open(disk: &SimulatedDisk) -> Pool {
    let options = PoolOptions {
        journal_segment_bytes: 64 << 10,
        background: Background::Manual,
        ..PoolOptions::default()
    };
    Pool::open_in(Arc::new(disk.clone()), options).unwrap()
}

pub(super) fn volume() -> VolumeId {
    VolumeId::new("disk").unwrap()
}

fn bytes_at(device: &dyn BlockDevice, offsets: [u64; 3]) -> [u8; 3] {
    offsets.map(|offset_bytes| {
        let mut byte = [0];
        device.read(offset_bytes, &mut byte).unwrap();
        byte[0]
    })
}

/// Where the three commits of the test put their blocks: two in one leaf, one in another.
const OFFSETS: [u64; 3] = [0, 1 << 20, 40 << 20];

/// Commits go on while the map is being written; a crash at that moment finds both segments in use.
#[test]
fn commits_during_a_checkpoint_survive_a_crash_before_its_end() {
    let disk = SimulatedDisk::new(1 << 40);
    let pool = open(&disk);
    pool.create_volume(&volume(), 64 << 20).unwrap();
    let device = pool.open_volume(&volume()).unwrap();
    device.write(OFFSETS[0], &[1; 4096]).unwrap();
    device.flush().unwrap();
    let begun = pool.inner.core.begin_checkpoint(Checkpoint::Committed).unwrap();
    device.write(OFFSETS[1], &[2; 4096]).unwrap();
    device.flush().unwrap();
    device.write(OFFSETS[2], &[3; 4096]).unwrap();
    device.flush().unwrap();
    drop(device);
    let device = pool.open_volume(&volume()).unwrap();
    assert_eq!(bytes_at(&*device, OFFSETS), [1, 2, 3], "resolved through all deltas");
    drop((device, pool, begun));

    disk.restart(1, Survival::Nothing);
    assert_eq!(
        check_in(Arc::new(disk.clone())).unwrap().journal_records,
        4,
        "all commits are in the journal"
    );
    let pool = open(&disk);
    assert_eq!(bytes_at(&*pool.open_volume(&volume()).unwrap(), OFFSETS), [1, 2, 3]);
}

/// A flush that has nothing to make durable does not touch the medium.
#[test]
fn an_idle_flush_costs_nothing() {
    let disk = SimulatedDisk::new(1 << 40);
    let pool = open(&disk);
    pool.create_volume(&volume(), 64 << 20).unwrap();
    let device = pool.open_volume(&volume()).unwrap();
    device.write(0, &[1; 4096]).unwrap();
    device.flush().unwrap();
    let calls = disk.calls();
    device.flush().unwrap();
    assert_eq!(disk.calls(), calls);
    // The first change in place: the record of the intent and its sync, then the data and its sync.
    device.write(0, &[2; 4096]).unwrap();
    assert_eq!(disk.calls(), calls + 3);
    device.flush().unwrap();
    assert_eq!(disk.calls(), calls + 4);
    // From then on: the data and its sync, no record.
    device.write(0, &[3; 4096]).unwrap();
    device.flush().unwrap();
    assert_eq!(disk.calls(), calls + 6);
}

/// Callers that wait while a round runs share the next one.
#[test]
fn waiting_callers_share_a_round() {
    const CALLERS: usize = 16;
    let disk = SimulatedDisk::new(1 << 40);
    let pool = open(&disk);
    pool.create_volume(&volume(), 64 << 20).unwrap();
    // Something to record: what has nothing waits for nobody.
    pool.open_volume(&volume()).unwrap().write(0, &[1; 4096]).unwrap();
    let core = &pool.inner.core;
    let begun = core.group.rounds.lock().begun;
    // Stand in for a round that is running when the callers come.
    core.group.rounds.lock().is_beginning = true;
    core.group.rounds.lock().begun += 1;
    std::thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| core.commit().unwrap());
        }
        while core.group.rounds.lock().waiting < CALLERS {
            std::thread::yield_now();
        }
        let mut rounds = core.group.rounds.lock();
        rounds.is_beginning = false;
        let round = rounds.begun;
        core.group.succeed(&mut rounds, round);
        core.group.call_next(&rounds);
    });
    assert_eq!(core.group.rounds.lock().begun, begun + 2, "the one that ran and the one they shared");
}
