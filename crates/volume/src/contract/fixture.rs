//! What the rules share: names, recognizable bytes, and short ways to look at a device.

use std::sync::Arc;

use super::Subject;
use crate::{
    BLOCK_BYTES, BlockDevice, ErrorKind, Extent, ExtentKind, VolumeError, VolumeId, VolumeSnapshotId,
};

/// The size of most volumes here: small, and more than one 64 KiB chunk.
pub(super) const SIZE_BYTES: u64 = 64 * BLOCK_BYTES;

pub(super) fn volume(name: &str) -> VolumeId {
    VolumeId::new(name).unwrap()
}

pub(super) fn snapshot(name: &str) -> VolumeSnapshotId {
    VolumeSnapshotId::new(name).unwrap()
}

/// A new volume of [`SIZE_BYTES`], open.
pub(super) fn new_device(subject: &dyn Subject, name: &str) -> Arc<dyn BlockDevice> {
    let id = volume(name);
    subject.store().create_volume(&id, SIZE_BYTES).unwrap();
    subject.store().open_volume(&id).unwrap()
}

/// Bytes that tell their `mark` and their place; never zero, so that zeroes cannot be mistaken for them.
pub(super) fn pattern(mark: u8, offset_bytes: u64, length: usize) -> Vec<u8> {
    (0..length as u64)
        .map(|i| {
            let place = offset_bytes + i;
            let mixed = (place ^ (place >> 12)).wrapping_mul(31).wrapping_add(u64::from(mark) * 101);
            (mixed % 255) as u8 + 1
        })
        .collect()
}

/// Writes the pattern of `mark` over the range.
pub(super) fn fill(device: &dyn BlockDevice, mark: u8, offset_bytes: u64, length: u64) {
    device.write(offset_bytes, &pattern(mark, offset_bytes, length as usize)).unwrap();
}

pub(super) fn read(device: &dyn BlockDevice, offset_bytes: u64, length: u64) -> Vec<u8> {
    // Not zeroes: a read that forgets to fill holes must be seen.
    let mut buffer = vec![0xee; length as usize];
    device.read(offset_bytes, &mut buffer).unwrap();
    buffer
}

pub(super) fn read_all(device: &dyn BlockDevice) -> Vec<u8> {
    read(device, 0, device.size_bytes())
}

/// Like `assert_eq!` on byte strings, but says where they part instead of printing megabytes.
#[track_caller]
pub(super) fn assert_same(found: &[u8], expected: &[u8], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}: length");
    if let Some(at) = found.iter().zip(expected).position(|(a, b)| a != b) {
        let (block, found, expected) = (at as u64 / BLOCK_BYTES, found[at], expected[at]);
        panic!("{what}: byte {at} (block {block}) is {found:#04x}, expected {expected:#04x}");
    }
}

#[track_caller]
pub(super) fn assert_kind<T>(result: Result<T, VolumeError>, kind: ErrorKind, what: &str) {
    match result {
        Ok(_) => panic!("{what}: succeeded, expected {kind:?}"),
        Err(error) => assert_eq!(error.kind(), kind, "{what}: {error}"),
    }
}

/// All extents of the range, asked for in steps of `extents_max`, joined where neighbours are of one kind.
#[track_caller]
pub(super) fn all_extents(
    device: &dyn BlockDevice,
    offset_bytes: u64,
    length: u64,
    extents_max: usize,
) -> Vec<Extent> {
    let mut joined: Vec<Extent> = Vec::new();
    let (mut at, end) = (offset_bytes, offset_bytes + length);
    while at < end {
        let step = device.extents(at, end - at, extents_max).unwrap();
        assert!(
            (1..=extents_max).contains(&step.len()),
            "{} extents for a limit of {extents_max}",
            step.len()
        );
        assert!(step.iter().all(|extent| extent.length_bytes > 0), "an empty extent in {step:?}");
        assert!(step.windows(2).all(|pair| pair[0].kind != pair[1].kind), "equal neighbours in {step:?}");
        for extent in step {
            at += extent.length_bytes;
            match joined.last_mut() {
                Some(last) if last.kind == extent.kind => last.length_bytes += extent.length_bytes,
                _ => joined.push(extent),
            }
        }
        assert!(at <= end, "extents of {length} bytes at {offset_bytes} reach {at}");
    }
    joined
}

/// The kind of each whole block of the device, `D` or `-`.
#[track_caller]
pub(super) fn block_map(device: &dyn BlockDevice) -> String {
    all_extents(device, 0, device.size_bytes(), usize::MAX)
        .iter()
        .flat_map(|extent| {
            let letter = match extent.kind {
                ExtentKind::Data => 'D',
                ExtentKind::Hole => '-',
            };
            std::iter::repeat_n(letter, (extent.length_bytes / BLOCK_BYTES) as usize)
        })
        .collect()
}

/// Bytes of holes read as zeroes.
#[track_caller]
pub(super) fn assert_holes_are_zeroes(device: &dyn BlockDevice) {
    let mut at = 0;
    for extent in all_extents(device, 0, device.size_bytes(), 7) {
        if extent.kind == ExtentKind::Hole {
            assert!(
                read(device, at, extent.length_bytes).iter().all(|byte| *byte == 0),
                "the hole of {} bytes at {at} has other bytes than zeroes",
                extent.length_bytes
            );
        }
        at += extent.length_bytes;
    }
}
