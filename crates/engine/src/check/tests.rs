//! Each broken invariant is found and named.

use ashlar_volume::{VolumeId, VolumeSnapshotId, VolumeStore};

use super::*;
use crate::delta::{ChunkState, Delta};
use crate::file::simulated::SimulatedDisk;
use crate::format::{LayerRecord, NameRecord};
use crate::options::{Background, PoolOptions};
use crate::pool::Pool;

/// A closed pool: `disk` on layer 2 over `snap` on layer 1, chunk 0 in layer 1, chunk 1 in layer 2.
fn closed_pool() -> SimulatedDisk {
    let disk = SimulatedDisk::new(1 << 40);
    let options = PoolOptions {
        journal_segment_bytes: 64 << 10,
        background: Background::Manual,
        ..PoolOptions::default()
    };
    let pool = Pool::open_in(Arc::new(disk.clone()), options).unwrap();
    let volume = VolumeId::new("disk").unwrap();
    pool.create_volume(&volume, 1 << 20).unwrap();
    let device = pool.open_volume(&volume).unwrap();
    device.write(0, &[1; 8192]).unwrap();
    pool.create_snapshot(&volume, &VolumeSnapshotId::new("snap").unwrap()).unwrap();
    device.write(0, &[2; 4096]).unwrap();
    drop(device);
    pool.close().unwrap();
    disk
}

/// A closed pool whose map was tampered with.
fn tampered(tamper: impl FnOnce(&mut Delta)) -> SimulatedDisk {
    let disk = closed_pool();
    let map = Map::open(&disk, MAP_CACHE_BYTES).unwrap();
    let mut delta = Delta::default();
    tamper(&mut delta);
    let superblock = map.superblock().unwrap();
    map.apply(&delta, superblock).unwrap();
    disk
}

/// What the check finds after the map was tampered with.
fn findings_after(tamper: impl FnOnce(&mut Delta)) -> String {
    check_in(Arc::new(tampered(tamper))).unwrap().findings.join("; ")
}

#[test]
fn what_follows_from_the_rest_is_mended_and_nothing_else() {
    // Chunk 1 is the last: an opening would cut it off, because it counts as free.
    let disk = tampered(|delta| {
        delta.chunk_states.insert(ChunkNumber(1), ChunkState::Free);
        delta.chunk_states.insert(ChunkNumber(9), ChunkState::Allocated);
        delta.held_blocks.insert(LayerId(1), 7);
    });
    let repaired = repair_in(&disk).unwrap();
    assert_eq!(repaired.mended.len(), 3, "{repaired:?}");
    assert_eq!(repaired.after.findings, [""; 0]);
    let pool = Pool::open_in(Arc::new(disk.clone()), PoolOptions::default()).unwrap();
    let device = pool.open_volume(&VolumeId::new("disk").unwrap()).unwrap();
    let mut bytes = [0; 8192];
    device.read(0, &mut bytes).unwrap();
    assert_eq!((bytes[0], bytes[4096]), (2, 1));

    let disk = tampered(|delta| {
        delta.put_chunk(LayerId(2), ChunkIndex(3), Box::new([Fragment::new(ChunkNumber(0), 1)]));
    });
    let calls = disk.calls();
    let before = check_in(Arc::new(disk.clone())).unwrap().findings;
    assert_eq!(disk.calls(), calls, "a check changes nothing");
    let repaired = repair_in(&disk).unwrap();
    assert!(repaired.after.findings.join("").contains("has another owner too"), "{before:?} {repaired:?}");
}

#[test]
fn a_sound_pool_is_not_touched_by_a_repair() {
    let disk = closed_pool();
    let calls = disk.calls();
    let repaired = repair_in(&disk).unwrap();
    assert_eq!((repaired.mended.len(), repaired.after.findings.len()), (0, 0));
    assert_eq!(disk.calls(), calls);
}

#[test]
fn a_sound_pool_has_no_findings() {
    let disk = closed_pool();
    let calls = disk.calls();
    let report = check_in(Arc::new(disk.clone())).unwrap();
    let sound = CheckReport {
        findings: Vec::new(),
        volumes: [VolumeId::new("disk").unwrap()].into(),
        snapshots: [VolumeSnapshotId::new("snap").unwrap()].into(),
        referenced_bytes: 3 * BLOCK_BYTES,
        unreferenced_bytes: 0,
        damaged_blocks: 0,
        unverified_bytes: 0,
        journal_records: 0,
    };
    assert_eq!(report, sound);
    assert_eq!(disk.calls(), calls, "a check changes nothing");
}

#[test]
fn each_broken_invariant_is_named() {
    type Tamper = fn(&mut Delta);
    let cases: [(Tamper, &str); 12] = [
        (
            |delta| {
                delta.chunk_states.insert(ChunkNumber(0), ChunkState::Free);
            },
            "in use but counts as free",
        ),
        (
            |delta| {
                delta.chunk_states.insert(ChunkNumber(9), ChunkState::Allocated);
            },
            "belongs to nobody",
        ),
        (
            |delta| {
                delta.held_blocks.insert(LayerId(1), 7);
            },
            "its counter says 7",
        ),
        (
            |delta| {
                delta.layers.insert(LayerId(1), None);
            },
            "does not exist",
        ),
        (
            |delta| {
                delta
                    .layers
                    .insert(LayerId(1), Some(LayerRecord { parent: Some(LayerId(2)), data_key: None }));
            },
            "which is not older",
        ),
        (
            |delta| {
                delta
                    .layers
                    .insert(LayerId(9), Some(LayerRecord { parent: Some(LayerId(2)), data_key: None }));
            },
            "which a volume still writes to",
        ),
        (
            |delta| {
                delta.layers.insert(LayerId(99), Some(LayerRecord { parent: None, data_key: None }));
            },
            "still to be given out",
        ),
        (
            |delta| {
                let record = NameRecord { size_bytes: 1 << 20, layer: LayerId(2) };
                delta.volumes.insert(VolumeId::new("twin").unwrap(), Some(record));
            },
            "lie in the same layer 2",
        ),
        (
            |delta| {
                let record = NameRecord { size_bytes: 4095, layer: LayerId(2) };
                delta.volumes.insert(VolumeId::new("disk").unwrap(), Some(record));
            },
            "impossible size",
        ),
        (
            |delta| {
                let fragments = [Fragment::new(ChunkNumber(0), 1)];
                delta.put_chunk(LayerId(2), ChunkIndex(3), Box::new(fragments));
            },
            "has another owner too",
        ),
        (
            |delta| {
                let fragments = [Fragment::new(ChunkNumber(0), 3), Fragment::new(ChunkNumber(5), 1)];
                delta.put_chunk(LayerId(1), ChunkIndex(0), Box::new(fragments));
            },
            "are empty or overlap",
        ),
        (
            |delta| {
                let fragments = [Fragment::new(ChunkNumber(700), 1)];
                delta.put_chunk(LayerId(2), ChunkIndex(99), Box::new(fragments));
            },
            "blocks beyond the size",
        ),
    ];
    for (tamper, wanted) in cases {
        let findings = findings_after(tamper);
        assert!(findings.contains(wanted), "wanted `{wanted}`, found `{findings}`");
    }
}

#[test]
fn a_short_data_file_and_lost_space_are_named() {
    let disk = closed_pool();
    let data = disk.open(FileRole::Data).unwrap();
    data.write_at(5 * CHUNK_BYTES, &[1; 4096]).unwrap();
    let report = check_in(Arc::new(disk.clone())).unwrap();
    assert_eq!(report.unreferenced_bytes, 4096);
    assert!(report.findings.join("").contains("belong to nobody"), "{report:?}");

    data.set_length(CHUNK_BYTES).unwrap();
    let report = check_in(Arc::new(disk)).unwrap();
    assert!(report.findings.join("").contains("the data file ends before chunk 1"), "{report:?}");
}

/// One bit of each page, one after the other: the check ends, never in a panic, and finds the pages that matter.
#[test]
fn a_flipped_bit_in_the_map_is_an_error_or_does_not_matter() {
    const PAGE_BYTES: u64 = 4096;
    let disk = closed_pool();
    let file = recovery::open_file(&disk, FileRole::Map).unwrap();
    let sound = check_in(Arc::new(disk.clone())).unwrap();
    let mut found = 0;
    for page in 0..file.length_bytes().unwrap() / PAGE_BYTES {
        for offset in [0, 1, 100, 2000] {
            let at = page * PAGE_BYTES + offset;
            let mut byte = [0];
            file.read_at(at, &mut byte).unwrap();
            file.write_at(at, &[byte[0] ^ 0x10]).unwrap();
            match check_in(Arc::new(disk.clone())) {
                Ok(report) => assert_eq!(report, sound, "byte {at} of the map"),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {at} of the map: {error}");
                    found += 1;
                }
            }
            file.write_at(at, &byte).unwrap();
        }
    }
    assert!(found > 10, "{found} flipped bits were found");
}
