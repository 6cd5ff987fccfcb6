use std::sync::Arc;

use ashlar_volume::{BlockDevice, VolumeId, VolumeSnapshotId, VolumeStore};

use super::*;
use crate::file::simulated::{SimulatedDisk, Survival};
use crate::options::{Background, PoolOptions};
use crate::pool::Pool;

const A: ChunkNumber = ChunkNumber(1);
const B: ChunkNumber = ChunkNumber(2);

#[test]
fn a_merge_keeps_what_the_child_does_not_hide() {
    let merged = merge_chunk(&[Fragment::new(A, 0b0011)], &[Fragment::new(B, 0b0110)], false);
    assert_eq!(merged.fragments, [Fragment::new(A, 0b0011), Fragment::new(B, 0b0100)]);
    assert_eq!(merged.freed_blocks, [Fragment::new(B, 0b0010)]);
    assert_eq!((merged.freed_chunks.len(), merged.moved_blocks), (0, 1));
}

#[test]
fn a_merge_frees_a_chunk_that_is_hidden_as_a_whole() {
    let merged = merge_chunk(&[Fragment::new(A, 0b1111)], &[Fragment::new(B, 0b0110)], false);
    assert_eq!(merged.fragments, [Fragment::new(A, 0b1111)]);
    assert_eq!(merged.freed_chunks, [B]);
}

#[test]
fn zeroes_hide_and_vanish_at_the_root() {
    let zeroes = Fragment::new(ChunkNumber::ZEROES, 0b0001);
    let lower = [Fragment::new(B, 0b0011)];
    let merged = merge_chunk(&[zeroes], &lower, false);
    assert_eq!(merged.fragments, [Fragment::new(B, 0b0010), zeroes]);
    assert_eq!(merge_chunk(&[zeroes], &lower, true).fragments, [Fragment::new(B, 0b0010)]);
}
fn open(disk: &SimulatedDisk) -> Pool {
    let options = PoolOptions {
        journal_segment_bytes: 64 << 10,
        background: Background::Manual,
        ..PoolOptions::default()
    };
    Pool::open_in(Arc::new(disk.clone()), options).unwrap()
}

fn first_byte(device: &dyn BlockDevice) -> u8 {
    let mut byte = [0];
    device.read(0, &mut byte).unwrap();
    byte[0]
}

/// The background thread can see a snapshot's deletion before the deleting call has made it durable.
#[test]
fn a_merge_waits_until_the_deletion_behind_it_is_durable() {
    let disk = SimulatedDisk::new(1 << 40);
    let pool = open(&disk);
    let (volume, snapshot) = (VolumeId::new("disk").unwrap(), VolumeSnapshotId::new("snap").unwrap());
    pool.create_volume(&volume, 1 << 20).unwrap();
    let device = pool.open_volume(&volume).unwrap();
    device.write(0, &[1; 4096]).unwrap();
    pool.create_snapshot(&volume, &snapshot).unwrap();
    {
        // What `delete_snapshot` does before it commits.
        let mut catalog = pool.inner.catalog.lock();
        let layer = catalog.snapshot(&snapshot).unwrap().layer;
        let mut state = pool.inner.core.state.write();
        catalog.put_snapshot(&mut state, &snapshot, None);
        catalog.unname(&mut state, layer);
    }
    while pool.run_background_step().unwrap() {}
    device.write(0, &[2; 4096]).unwrap();
    drop((device, pool));
    disk.restart(0, Survival::Everything);
    let pool = open(&disk);
    match pool.open_snapshot(&snapshot) {
        Ok(snapshot) => assert_eq!(first_byte(&*snapshot), 1, "a snapshot that is there has not changed"),
        Err(_) => assert_eq!(first_byte(&*pool.open_volume(&volume).unwrap()), 2),
    }
}

/// A volume whose layer is about to take over the chunk of the snapshot below it, all but block 0: the deletion is
/// durable, then block 0 was written without a flush, then the merge has moved the leaf without a commit.
fn half_merged(disk: &SimulatedDisk) -> (Pool, Arc<dyn BlockDevice>) {
    let pool = open(disk);
    let (volume, snapshot) = (VolumeId::new("disk").unwrap(), VolumeSnapshotId::new("snap").unwrap());
    pool.create_volume(&volume, 1 << 20).unwrap();
    let device = pool.open_volume(&volume).unwrap();
    device.write(0, &[1; 8192]).unwrap();
    pool.create_snapshot(&volume, &snapshot).unwrap();
    pool.delete_snapshot(&snapshot).unwrap();
    assert!(pool.run_background_step().unwrap(), "the layer may be merged");
    device.write(0, &[2; 4096]).unwrap();
    assert!(pool.run_background_step().unwrap(), "the leaf is merged");
    assert!(
        !pool.inner.core.state.read().pending.freed_blocks.is_empty(),
        "block 0 of the lower layer is hidden"
    );
    (pool, device)
}

#[test]
fn hidden_blocks_keep_their_bytes_until_the_merge_is_durable() {
    let disk = SimulatedDisk::new(1 << 40);
    let (pool, device) = half_merged(&disk);
    // A punch that was due already would happen now.
    pool.inner.punch_step().unwrap();
    drop((device, pool));
    disk.restart(0, Survival::Everything);
    let pool = open(&disk);
    let device = pool.open_volume(&VolumeId::new("disk").unwrap()).unwrap();
    assert_eq!(first_byte(&*device), 1, "the last flushed value");
}

#[test]
fn blocks_that_wait_to_be_punched_are_not_written_to() {
    let (pool, device) = half_merged(&SimulatedDisk::new(1 << 40));
    device.discard(0, 4096).unwrap();
    device.write(0, &[3; 4096]).unwrap();
    while pool.run_background_step().unwrap() {}
    assert_eq!(first_byte(&*device), 3);
}

/// The chunk is freed, handed out again and written before an older order to punch one of its blocks is carried out.
#[test]
fn an_order_to_punch_blocks_dies_with_their_chunk() {
    let (pool, device) = half_merged(&SimulatedDisk::new(1 << 40));
    device.discard(0, 1 << 20).unwrap();
    device.flush().unwrap();
    let mut state = pool.inner.core.state.write();
    while let Some(punch) = state.allocator.next_punch(u64::MAX) {
        assert!(matches!(punch, Punch::Chunks(_)), "{punch:?}");
        state.allocator.punched(punch);
    }
}
