//! Rules of [`BlockDevice`].

use super::Subject;
use super::fixture::*;
use crate::{Attempt, BLOCK_BYTES, BlockDevice, ErrorKind, ExtentKind, ZeroMode};

/// Ranges of every awkward kind: inside a block, over borders of blocks and of 64 KiB chunks, whole.
const RANGES: [(u64, u64); 9] = [
    (0, 1),
    (4095, 2),
    (1, 4095),
    (4096, 4096),
    (8191, 4098),
    (65_535, 2),
    (61_440, 8192),
    (65_536, 65_536),
    (10_000, 150_001),
];

/// A block that was never written reads as zeroes.
pub fn a_new_volume_reads_as_zeroes(subject: &mut dyn Subject) {
    let device = new_device(subject, "disk");
    assert_eq!(device.size_bytes(), SIZE_BYTES);
    assert!(!device.is_read_only());
    assert_same(&read_all(&*device), &[0; SIZE_BYTES as usize], "a new volume");
}

/// What is written is read, whatever the alignment.
pub fn written_bytes_are_read_back_at_any_alignment(subject: &mut dyn Subject) {
    let device = new_device(subject, "disk");
    for (mark, (offset, length)) in RANGES.into_iter().enumerate() {
        fill(&*device, mark as u8, offset, length);
        let expected = pattern(mark as u8, offset, length as usize);
        assert_same(&read(&*device, offset, length), &expected, &format!("{length} bytes at {offset}"));
    }
}

/// `try_read` that is done has read; one that would wait has no other effect.
pub fn try_read_gives_the_same_bytes_as_read(subject: &mut dyn Subject) {
    let device = new_device(subject, "disk");
    fill(&*device, 1, 5000, 100_000);
    for (offset, length) in RANGES {
        let expected = read(&*device, offset, length);
        let mut buffer = vec![0xee; length as usize];
        if device.try_read(offset, &mut buffer).unwrap() == Attempt::Done {
            assert_same(&buffer, &expected, &format!("try_read of {length} bytes at {offset}"));
        }
        assert_same(&read(&*device, offset, length), &expected, "a read after try_read");
    }
    let mut over_the_end = [0; 2];
    assert_kind(
        device.try_read(SIZE_BYTES - 1, &mut over_the_end),
        ErrorKind::InvalidArgument,
        "try_read over the end",
    );
}

/// `try_write` that is done has written; one that would wait has changed no more than its range.
pub fn try_write_writes_as_write_does(subject: &mut dyn Subject) {
    let device = new_device(subject, "disk");
    fill(&*device, 1, 0, SIZE_BYTES);
    device.flush().unwrap();
    let mut expected = read_all(&*device);
    for (offset, length) in RANGES {
        let data = pattern(2, offset, length as usize);
        if device.try_write(offset, &data).unwrap() == Attempt::WouldWait {
            device.write(offset, &data).unwrap();
            assert_eq!(
                device.try_write(offset, &data).unwrap(),
                Attempt::Done,
                "nothing to wait for any more"
            );
        }
        expected[offset as usize..(offset + length) as usize].copy_from_slice(&data);
        assert_same(&read_all(&*device), &expected, &format!("try_write of {length} bytes at {offset}"));
    }
    let over_the_end = device.try_write(SIZE_BYTES - 1, &[0; 2]);
    assert_kind(over_the_end, ErrorKind::InvalidArgument, "try_write over the end");
}

/// A write changes its range and nothing else, over holes as over data.
pub fn neighbours_of_an_unaligned_write_keep_their_bytes(subject: &mut dyn Subject) {
    for (over, name) in [(None, "over-a-hole"), (Some(9), "over-data")] {
        for (index, (offset, length)) in RANGES.into_iter().enumerate() {
            let device = new_device(subject, &format!("{name}-{index}"));
            if let Some(mark) = over {
                fill(&*device, mark, 0, SIZE_BYTES);
            }
            let mut expected = read_all(&*device);
            fill(&*device, 1, offset, length);
            expected[offset as usize..(offset + length) as usize].copy_from_slice(&pattern(
                1,
                offset,
                length as usize,
            ));
            assert_same(&read_all(&*device), &expected, &format!("{name}, {length} bytes at {offset}"));
        }
    }
}

/// A range that does not lie within the device is `InvalidArgument` and changes nothing.
pub fn ranges_beyond_the_end_are_refused_and_change_nothing(subject: &mut dyn Subject) {
    let device = new_device(subject, "disk");
    fill(&*device, 1, SIZE_BYTES - 8192, 8192);
    let before = read_all(&*device);
    for (offset, length) in [
        (SIZE_BYTES - 1, 2),
        (SIZE_BYTES - BLOCK_BYTES, 2 * BLOCK_BYTES),
        (SIZE_BYTES, 1),
        (SIZE_BYTES + BLOCK_BYTES, BLOCK_BYTES),
        (u64::MAX, 1),
        (u64::MAX - 4095, 4096),
        (u64::MAX - 100, 4096),
        (SIZE_BYTES + 1, 0),
    ] {
        let what = |call: &str| format!("{call} of {length} bytes at {offset}");
        let mut buffer = vec![7; length as usize];
        let refused = ErrorKind::InvalidArgument;
        assert_kind(device.read(offset, &mut buffer), refused, &what("read"));
        assert_kind(device.try_read(offset, &mut buffer), refused, &what("try_read"));
        assert_kind(device.write(offset, &buffer), refused, &what("write"));
        assert_kind(device.discard(offset, length), refused, &what("discard"));
        for mode in [ZeroMode::MayUnmap, ZeroMode::KeepAllocated] {
            assert_kind(device.write_zeroes(offset, length, mode), refused, &what("write_zeroes"));
        }
        assert_kind(device.extents(offset, length, 8), refused, &what("extents"));
    }
    assert_kind(device.discard(0, u64::MAX), ErrorKind::InvalidArgument, "discard of everything and more");
    assert_same(&read_all(&*device), &before, "after calls that were refused");
    assert_eq!(device.size_bytes(), SIZE_BYTES, "a refused write grows nothing");
}

/// A range of no bytes is a success that does nothing, up to and at the end.
pub fn ranges_of_no_bytes_do_nothing(subject: &mut dyn Subject) {
    let device = new_device(subject, "disk");
    fill(&*device, 1, 0, 8192);
    let before = read_all(&*device);
    let map = block_map(&*device);
    for offset in [0, 1, 4096, 20_000, SIZE_BYTES] {
        device.read(offset, &mut []).unwrap();
        device.write(offset, &[]).unwrap();
        device.discard(offset, 0).unwrap();
        device.write_zeroes(offset, 0, ZeroMode::KeepAllocated).unwrap();
        device.write_zeroes(offset, 0, ZeroMode::MayUnmap).unwrap();
        assert_eq!(device.extents(offset, 0, 8).unwrap(), [], "extents of nothing at {offset}");
    }
    assert_same(&read_all(&*device), &before, "after calls on no bytes");
    assert_eq!(block_map(&*device), map);
}

fn zeroing_is_exact(subject: &dyn Subject, name: &str, zero: &dyn Fn(&dyn BlockDevice, u64, u64)) {
    for (index, (offset, length)) in RANGES.into_iter().enumerate() {
        let device = new_device(subject, &format!("{name}-{index}"));
        // Data below, with a hole of some blocks left in it.
        fill(&*device, 1, 0, 5 * BLOCK_BYTES);
        fill(&*device, 1, 8 * BLOCK_BYTES, SIZE_BYTES - 8 * BLOCK_BYTES);
        let mut expected = read_all(&*device);
        zero(&*device, offset, length);
        expected[offset as usize..(offset + length) as usize].fill(0);
        let what = format!("{name}: {length} bytes at {offset}");
        assert_same(&read_all(&*device), &expected, &what);
        zero(&*device, offset, length);
        assert_same(&read_all(&*device), &expected, &format!("{what}, again"));
        fill(&*device, 2, offset, length);
        let written = pattern(2, offset, length as usize);
        assert_same(&read(&*device, offset, length), &written, &format!("{what}, then written"));
    }
}

/// `discard` makes its range zeroes, whole blocks or not, and touches nothing else.
pub fn discard_zeroes_any_range_and_nothing_else(subject: &mut dyn Subject) {
    zeroing_is_exact(subject, "discard", &|device, offset, length| device.discard(offset, length).unwrap());
}

/// `write_zeroes` does so in both modes.
pub fn both_zero_modes_zero_any_range_and_nothing_else(subject: &mut dyn Subject) {
    for (name, mode) in [("may-unmap", ZeroMode::MayUnmap), ("keep", ZeroMode::KeepAllocated)] {
        zeroing_is_exact(subject, name, &|device, offset, length| {
            device.write_zeroes(offset, length, mode).unwrap();
        });
    }
}

/// A whole block is a hole until it is written, and after it was discarded; kept zeroes are data.
pub fn extents_follow_whole_blocks(subject: &mut dyn Subject) {
    let device = new_device(subject, "disk");
    let kinds = |device: &dyn BlockDevice| block_map(device)[..20].to_owned();
    assert_eq!(block_map(&*device), "-".repeat(64));
    fill(&*device, 1, 0, 20 * BLOCK_BYTES);
    assert_eq!(kinds(&*device), "DDDDDDDDDDDDDDDDDDDD");
    device.discard(2 * BLOCK_BYTES, 3 * BLOCK_BYTES).unwrap();
    assert_eq!(kinds(&*device), "DD---DDDDDDDDDDDDDDD");
    device.write_zeroes(6 * BLOCK_BYTES, BLOCK_BYTES, ZeroMode::MayUnmap).unwrap();
    assert_eq!(kinds(&*device), "DD---D-DDDDDDDDDDDDD");
    device.write_zeroes(3 * BLOCK_BYTES, 6 * BLOCK_BYTES, ZeroMode::KeepAllocated).unwrap();
    assert_eq!(kinds(&*device), "DD-DDDDDDDDDDDDDDDDD");
    device.write(2 * BLOCK_BYTES + 100, b"one byte makes the block data").unwrap();
    assert_eq!(kinds(&*device), "DDDDDDDDDDDDDDDDDDDD");
    device.discard(14 * BLOCK_BYTES + 1, 4 * BLOCK_BYTES).unwrap();
    assert_eq!(kinds(&*device), "DDDDDDDDDDDDDDD---DD", "only whole blocks are unmapped");
    device.discard(0, SIZE_BYTES).unwrap();
    assert_eq!(block_map(&*device), "-".repeat(64));
}

/// Extents start and end where asked, number at most what was asked, and holes are zeroes.
pub fn extents_obey_their_limits(subject: &mut dyn Subject) {
    let device = new_device(subject, "disk");
    for block in (0..64).step_by(3) {
        fill(&*device, 1, block * BLOCK_BYTES, BLOCK_BYTES);
    }
    let all = all_extents(&*device, 0, SIZE_BYTES, usize::MAX);
    for extents_max in [1, 2, 3, 1000] {
        assert_eq!(all_extents(&*device, 0, SIZE_BYTES, extents_max), all, "by {extents_max}");
    }
    let part = all_extents(&*device, 100, 4096, 10);
    let lengths: Vec<_> = part.iter().map(|extent| (extent.kind, extent.length_bytes)).collect();
    assert_eq!(lengths, [(ExtentKind::Data, 3996), (ExtentKind::Hole, 100)]);
    assert_kind(device.extents(0, 4096, 0), ErrorKind::InvalidArgument, "extents_max of 0");
    assert_holes_are_zeroes(&*device);
}

/// Two devices on one volume are two views of the same bytes, with no flush between.
pub fn a_second_device_sees_writes_of_the_first(subject: &mut dyn Subject) {
    let first = new_device(subject, "disk");
    let second = subject.store().open_volume(&volume("disk")).unwrap();
    fill(&*first, 1, 1000, 50_000);
    assert_same(&read_all(&*second), &read_all(&*first), "the second device");
    second.discard(4096, 8192).unwrap();
    assert_same(&read_all(&*first), &read_all(&*second), "the first device");
    drop(first);
    fill(&*second, 2, 0, 100);
    assert_same(&read(&*second, 0, 100), &pattern(2, 0, 100), "after the other was closed");
}

/// Flush has nothing to refuse: before, between and after writes, and on what is read-only.
pub fn flush_succeeds_on_every_device(subject: &mut dyn Subject) {
    let device = new_device(subject, "disk");
    device.flush().unwrap();
    fill(&*device, 1, 0, 10_000);
    device.flush().unwrap();
    device.flush().unwrap();
    subject.store().create_snapshot(&volume("disk"), &snapshot("snap")).unwrap();
    subject.store().open_snapshot(&snapshot("snap")).unwrap().flush().unwrap();
    assert_same(&read(&*device, 0, 10_000), &pattern(1, 0, 10_000), "after the flushes");
}
