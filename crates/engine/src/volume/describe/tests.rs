use std::sync::Arc;

use ashlar_volume::{BlockDevice, VolumeId, VolumeStore};

use super::*;
use crate::file::simulated::SimulatedDisk;
use crate::options::{Background, PoolOptions};
use crate::pool::Pool;

/// 32 TiB: a million leaves.
const HUGE_BYTES: u64 = 32 << 40;

fn huge_volume() -> (Pool, Arc<dyn BlockDevice>, Arc<OpenVolume>) {
    let options = PoolOptions { background: Background::Manual, ..PoolOptions::default() };
    let pool = Pool::open_in(Arc::new(SimulatedDisk::new(1 << 40)), options).unwrap();
    let name = VolumeId::new("disk").unwrap();
    pool.create_volume(&name, HUGE_BYTES).unwrap();
    let device = pool.open_volume(&name).unwrap();
    let volume = Arc::clone(&pool.inner.catalog.lock().open_volumes[&name].volume);
    (pool, device, volume)
}

fn segments_made(volume: &OpenVolume) -> usize {
    volume.shape.read().segments.iter().filter(|segment| segment.get().is_some()).count()
}

#[test]
fn what_is_empty_takes_no_memory() {
    let (_pool, device, volume) = huge_volume();
    let hole = Extent { length_bytes: HUGE_BYTES, kind: ExtentKind::Hole };
    assert_eq!(device.extents(0, HUGE_BYTES, 9).unwrap(), [hole], "one answer for all");
    device.discard(1, HUGE_BYTES - 2).unwrap();
    assert_eq!(segments_made(&volume), 0);
    device.write(HUGE_BYTES / 2, &[1; 4096]).unwrap();
    device.flush().unwrap();
    assert_eq!(segments_made(&volume), 1);
    assert_eq!(device.extents(0, HUGE_BYTES, 9).unwrap().len(), 3);
    device.discard(0, HUGE_BYTES).unwrap();
    assert_eq!(device.extents(0, HUGE_BYTES, 9).unwrap(), [hole]);
    assert_eq!(segments_made(&volume), 1);
}

#[test]
fn an_answer_is_bounded_by_what_it_looks_at() {
    let (_pool, device, volume) = huge_volume();
    let step = 16 * LEAF_BYTES;
    let count = DESCRIBED_LEAVES_MAX as u64 + 500;
    (0..count).for_each(|number| device.write(number * step, &[1; 4096]).unwrap());
    let made = segments_made(&volume);
    let answer = device.extents(0, HUGE_BYTES, usize::MAX).unwrap();
    let described: u64 = answer.iter().map(|extent| extent.length_bytes).sum();
    assert_eq!(described, (DESCRIBED_LEAVES_MAX as u64 - 1) * step + LEAF_BYTES);
    let rest = device.extents(described, HUGE_BYTES - described, usize::MAX).unwrap();
    assert_eq!(answer.len() + rest.len(), 2 * count as usize + 1, "a hole is told in two parts");
    assert_eq!(segments_made(&volume), made);
}
