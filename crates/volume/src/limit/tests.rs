//! What limits let through, on a clock that only waits move.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::model::ModelStore;
use crate::{
    Attempt, BatchRead, BatchWrite, BlockDevice, ReadQueue, VolumeError, VolumeStore as _, write_together,
};

const MIB: u64 = 1 << 20;

/// Time that moves when somebody waits, or when it is told to.
#[derive(Default)]
struct Virtual(AtomicU64);

impl Virtual {
    fn advance_ms(&self, duration_ms: u64) {
        self.0.fetch_add(duration_ms * 1_000_000, Ordering::SeqCst);
    }
}

impl Pace for Virtual {
    fn now_ns(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn wait_until(&self, at_ns: u64) {
        self.0.fetch_max(at_ns, Ordering::SeqCst);
    }
}

fn speed(iops: u64, mib: u64) -> Speed {
    Speed { iops, bytes_per_second: mib * MIB }
}

const fn steady(baseline: Speed) -> Limits {
    Limits { baseline, burst: None, credit_ns: 0 }
}

struct Rig {
    pace: Arc<Virtual>,
    limiter: Arc<Limiter>,
    volume: Arc<dyn BlockDevice>,
    device: LimitedDevice,
}

fn rig(limits: Limits) -> Rig {
    let store = ModelStore::new();
    let volume = crate::VolumeId::from("disk-00000001".parse::<ashlar_types::DiskId>().unwrap());
    store.create_volume(&volume, 64 * MIB).unwrap();
    let pace = Arc::new(Virtual::default());
    let limiter = Arc::new(Limiter::new(limits, 0));
    let volume = store.open_volume(&volume).unwrap();
    let device = LimitedDevice::new(volume.clone(), limiter.clone(), pace.clone());
    Rig { pace, limiter, volume, device }
}

impl Rig {
    /// How many writes of so many bytes end within so much time, from now.
    fn writes_within(&self, duration_ms: u64, length_bytes: u64) -> u64 {
        let data = vec![1; usize::try_from(length_bytes).unwrap()];
        let end_ns = self.pace.now_ns() + duration_ms * 1_000_000;
        let mut count = 0;
        loop {
            self.device.write(0, &data).unwrap();
            if self.pace.now_ns() > end_ns {
                return count;
            }
            count += 1;
        }
    }
}

#[track_caller]
fn assert_near(count: u64, expected: u64) {
    let distance = count.abs_diff(expected);
    assert!(distance * 100 <= expected, "{count} is more than one percent beside {expected}");
}

#[test]
fn small_requests_meet_the_request_limit() {
    let rig = rig(steady(speed(1_000, 100)));
    assert_near(rig.writes_within(10_000, 512), 10_000);
}

#[test]
fn large_requests_meet_the_throughput_limit() {
    let rig = rig(steady(speed(1_000, 100)));
    assert_near(rig.writes_within(10_000, MIB), 1_000);
}

#[test]
fn an_idle_disk_saves_no_more_than_a_moment() {
    let rig = rig(steady(speed(1_000, 100)));
    rig.pace.advance_ms(3_600_000);
    assert_near(rig.writes_within(10_000, 512), 10_100);
}

#[test]
fn reads_and_writes_share_the_limit_and_a_read_is_counted_once() {
    let rig = rig(steady(speed(1_000, 100)));
    let mut buffer = [0; 4096];
    for _ in 0..500 {
        rig.device.write(0, &buffer).unwrap();
        match rig.device.try_read(0, &mut buffer).unwrap() {
            Attempt::Done => {}
            Attempt::WouldWait => rig.device.read(0, &mut buffer).unwrap(),
        }
    }
    assert_near(rig.pace.now_ns() / 1_000_000, 1_000);
}

#[test]
fn a_write_in_parts_is_one_request() {
    let rig = rig(steady(speed(1_000, 1_000)));
    for _ in 0..500 {
        rig.device.write_part(0, &[1; 4096], 3 * 4096).unwrap();
        rig.device.write_part(4096, &[2; 4096], 0).unwrap();
        rig.device.write_part(8192, &[3; 4096], 0).unwrap();
    }
    assert_near(rig.pace.now_ns() / 1_000_000, 500);
    let mut written = [0; 3 * 4096];
    rig.volume.read(0, &mut written).unwrap();
    assert_eq!([written[0], written[4096], written[8192]], [1, 2, 3]);
}

#[test]
fn the_bytes_of_a_write_in_parts_count_once() {
    let rig = rig(steady(speed(1_000_000, 1)));
    for _ in 0..128 {
        rig.device.write_part(0, &[1; 4096], 8192).unwrap();
        rig.device.write_part(4096, &[2; 4096], 0).unwrap();
    }
    assert_near(rig.pace.now_ns() / 1_000_000, 1_000);
}

/// A device that always has to wait for its medium.
struct Cold(Arc<dyn BlockDevice>);

impl BlockDevice for Cold {
    fn size_bytes(&self) -> u64 {
        self.0.size_bytes()
    }
    fn is_read_only(&self) -> bool {
        self.0.is_read_only()
    }
    fn read(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), VolumeError> {
        self.0.read(offset_bytes, buffer)
    }
    fn try_read(&self, _: u64, _: &mut [u8]) -> Result<Attempt, VolumeError> {
        Ok(Attempt::WouldWait)
    }
    fn read_queue(&self, _: BorrowedFd<'_>) -> Option<Box<dyn ReadQueue>> {
        Some(Box::new(ColdReads { device: self.0.clone(), begun: Vec::new() }))
    }
    fn prefers_batches(&self) -> bool {
        true
    }
    fn write(&self, offset_bytes: u64, data: &[u8]) -> Result<(), VolumeError> {
        self.0.write(offset_bytes, data)
    }
    fn flush(&self) -> Result<(), VolumeError> {
        self.0.flush()
    }
    fn discard(&self, offset_bytes: u64, length_bytes: u64) -> Result<(), VolumeError> {
        self.0.discard(offset_bytes, length_bytes)
    }
    fn write_zeroes(&self, offset_bytes: u64, length: u64, mode: crate::ZeroMode) -> Result<(), VolumeError> {
        self.0.write_zeroes(offset_bytes, length, mode)
    }
    fn extents(&self, offset_bytes: u64, length: u64, max: usize) -> Result<Vec<crate::Extent>, VolumeError> {
        self.0.extents(offset_bytes, length, max)
    }
}

/// A queue in memory. It takes nothing longer than a block, and gives up what lies beyond 1 MiB.
struct ColdReads {
    device: Arc<dyn BlockDevice>,
    begun: Vec<u64>,
}

impl ReadQueue for ColdReads {
    fn begin(&mut self, offset_bytes: u64, length: usize) -> Option<usize> {
        (length == 4096).then(|| self.begun.push(offset_bytes))?;
        Some(self.begun.len() - 1)
    }

    fn turn(&mut self, ended: &mut dyn FnMut(usize, Option<&[u8]>)) {
        for (number, offset_bytes) in self.begun.drain(..).enumerate() {
            let mut block = [0; 4096];
            self.device.read(offset_bytes, &mut block).unwrap();
            ended(number, (offset_bytes < MIB).then_some(&block));
        }
    }
}

/// A limited device with a queue, and the queue.
fn queued(rig: &Rig) -> (LimitedDevice, Box<dyn ReadQueue>) {
    let cold = LimitedDevice::new(Arc::new(Cold(rig.volume.clone())), rig.limiter.clone(), rig.pace.clone());
    let stdin = std::io::stdin();
    let queue = cold.read_queue(stdin.as_fd()).unwrap();
    (cold, queue)
}

#[test]
fn reads_in_a_queue_take_one_turn_each() {
    let rig = rig(steady(speed(1_000, 100)));
    rig.volume.write(0, &[7; 8 * 4096]).unwrap();
    let (cold, mut queue) = queued(&rig);
    let mut buffer = [0; 4096];
    for round in 0..125 {
        for block in 0..8 {
            // Half of them were tried before, and have taken their turn.
            if round % 2 == 0 {
                assert_eq!(cold.try_read(block * 4096, &mut buffer).unwrap(), Attempt::WouldWait);
            }
            let before_ns = rig.pace.now_ns();
            assert_eq!(queue.begin(block * 4096, 4096), Some(block as usize));
            assert!(round % 2 != 0 || rig.pace.now_ns() == before_ns, "no second turn");
        }
        let (mut count, before_ns) = (0, rig.pace.now_ns());
        queue.turn(&mut |number, bytes| {
            assert_eq!((number, bytes.unwrap()), (count, &[7; 4096][..]));
            count += 1;
        });
        assert_eq!((count, rig.pace.now_ns()), (8, before_ns), "a turn of the queue never waits");
    }
    assert_near(rig.pace.now_ns() / 1_000_000, 1_000);
}

#[test]
fn what_a_queue_refuses_or_gives_up_does_not_wait_again() {
    let rig = rig(steady(speed(1_000, 1_000)));
    let (cold, mut queue) = queued(&rig);
    let (mut block, mut long) = ([0; 4096], [0; 8192]);
    for _ in 0..250 {
        assert_eq!(queue.begin(0, long.len()), None);
        assert_eq!(queue.begin(2 * MIB, block.len()), Some(0));
        queue.turn(&mut |_, bytes| assert!(bytes.is_none()));
        let before_ns = rig.pace.now_ns();
        cold.read(0, &mut long).unwrap();
        cold.read(2 * MIB, &mut block).unwrap();
        assert_eq!(rig.pace.now_ns(), before_ns, "the worker's thread never waits for a turn");
    }
    assert_near(rig.pace.now_ns() / 1_000_000, 500);
}

#[test]
fn a_device_without_a_queue_has_none_behind_limits() {
    let rig = rig(steady(speed(1_000, 100)));
    assert!(rig.device.read_queue(std::io::stdin().as_fd()).is_none());
}

#[test]
fn a_read_that_is_passed_on_does_not_wait_again() {
    let rig = rig(steady(speed(1_000, 100)));
    let cold = LimitedDevice::new(Arc::new(Cold(rig.volume.clone())), rig.limiter.clone(), rig.pace.clone());
    let mut buffer = [0; 4096];
    for offset in 0..1_000 {
        assert_eq!(cold.try_read(offset * 4096, &mut buffer).unwrap(), Attempt::WouldWait);
        let before_ns = rig.pace.now_ns();
        cold.read(offset * 4096, &mut buffer).unwrap();
        assert_eq!(rig.pace.now_ns(), before_ns, "the worker's thread never waits for a turn");
    }
    assert_near(rig.pace.now_ns() / 1_000_000, 1_000);
    // A read that nobody tried before takes its own turn.
    let before_ns = rig.pace.now_ns();
    cold.read(0, &mut buffer).unwrap();
    assert!(rig.pace.now_ns() > before_ns);
}

#[test]
fn what_goes_in_a_batch_takes_its_turn_before() {
    let rig = rig(steady(speed(1_000, 100)));
    let cold = LimitedDevice::new(Arc::new(Cold(rig.volume.clone())), rig.limiter.clone(), rig.pace.clone());
    assert!(cold.prefers_batches());
    let (data, mut buffers) = ([7; 4096], [[0; 4096]; 4]);
    for _ in 0..125 {
        let offsets = (0..4).map(|at| at * 4096);
        let writes: Vec<_> =
            offsets.clone().map(|offset_bytes| BatchWrite { offset_bytes, data: &data }).collect();
        writes.iter().for_each(|write| cold.await_turn(write.offset_bytes, 4096));
        let mut reads: Vec<_> = offsets
            .zip(&mut buffers)
            .map(|(offset_bytes, buffer)| BatchRead { offset_bytes, buffer })
            .collect();
        for read in &mut reads {
            assert_eq!(cold.try_read(read.offset_bytes, read.buffer).unwrap(), Attempt::WouldWait);
        }
        let before_ns = rig.pace.now_ns();
        assert!(
            write_together(&cold, &writes)
                .into_iter()
                .chain(cold.read_batch(&mut reads))
                .all(|done| done.is_ok())
        );
        assert_eq!(rig.pace.now_ns(), before_ns, "the worker's thread never waits for a turn");
    }
    assert_eq!(buffers, [data; 4]);
    assert_near(rig.pace.now_ns() / 1_000_000, 1_000);
    // A batch that nobody announced takes its turns itself.
    let before_ns = rig.pace.now_ns();
    write_together(&cold, &[BatchWrite { offset_bytes: 0, data: &data }]).remove(0).unwrap();
    assert!(rig.pace.now_ns() > before_ns);
}

#[test]
fn a_change_holds_at_once() {
    let rig = rig(steady(speed(1_000, 100)));
    assert_near(rig.writes_within(5_000, 512), 5_000);
    rig.limiter.set(steady(speed(5_000, 100)), rig.pace.now_ns());
    assert_near(rig.writes_within(5_000, 512), 25_000);
    rig.limiter.set(steady(speed(100, 100)), rig.pace.now_ns());
    assert_near(rig.writes_within(50_000, 512), 5_000);
}

#[test]
fn saved_credit_is_spent_up_to_the_burst_speed_and_no_further() {
    let second_ns: u64 = 1_000_000_000;
    let bursting = |credit_s: u64| Limits {
        baseline: speed(1_000, 50),
        burst: Some(speed(4_000, 200)),
        credit_ns: credit_s * second_ns,
    };
    let rig = rig(bursting(60));
    // Nothing is saved yet.
    assert_near(rig.writes_within(10_000, 512), 10_000);
    // Thirty idle seconds are 30,000 requests: ten seconds at 4,000, of which 1,000 come from the baseline.
    rig.pace.advance_ms(30_000);
    assert_near(rig.writes_within(10_000, 512), 40_000);
    assert_near(rig.writes_within(10_000, 512), 10_000);
    // An hour saves no more than the minute that can be saved.
    rig.pace.advance_ms(3_600_000);
    assert_near(rig.writes_within(20_000, 512), 80_000);
    assert_near(rig.writes_within(10_000, 512), 10_000);
    // Throughput too: ten idle seconds are 500 MiB, and the first tenth of a second is free.
    rig.pace.advance_ms(10_000);
    assert_near(rig.writes_within(3_000, MIB), 620);
}

#[test]
fn switching_bursting_on_gives_no_credit_for_the_time_before() {
    let rig = rig(steady(speed(1_000, 50)));
    rig.pace.advance_ms(60_000);
    let limits =
        Limits { baseline: speed(1_000, 50), burst: Some(speed(4_000, 200)), credit_ns: 60_000_000_000 };
    rig.limiter.set(limits, rig.pace.now_ns());
    assert_near(rig.writes_within(10_000, 512), 10_000);
}

#[test]
fn a_hole_is_punched_without_paying_for_its_bytes() {
    let rig = rig(steady(speed(1_000, 1)));
    for _ in 0..100 {
        rig.device.discard(0, 32 * MIB).unwrap();
    }
    assert!(rig.pace.now_ns() <= 100_000_000, "{}", rig.pace.now_ns());
    rig.device.write_zeroes(0, 32 * MIB, crate::ZeroMode::KeepAllocated).unwrap();
    assert_near(rig.pace.now_ns() / 1_000_000, 32_000);
}
