//! Pages of the map that are not what was written to them.

use std::io;

use super::*;
use crate::check::{check_in, repair_in};
use crate::file::simulated::{SimulatedDisk, Survival};
use crate::file::{Directory, FileRole};
use crate::format::{ChunkIndex, Fragment, LayerRecord};
use crate::options::{Background, PoolOptions};
use crate::pool::Pool;
use sums::{PAGE_BYTES, PageSums};

/// Next to nothing: what is read comes from the file.
const CACHE_BYTES: usize = 16 << 10;
const LEAVES: u64 = 40;

fn superblock() -> Superblock {
    Superblock {
        generation: 1,
        applied_sequence: 1,
        next_layer: LayerId(2),
        journal_segment_bytes: 64 << 10,
        is_clean: false,
        digest: 0,
    }
}

/// What a checkpoint brings: some chunks of each leaf in another place.
fn delta(round: u64) -> Delta {
    let mut delta = Delta::default();
    delta.layers.insert(LayerId(1), Some(LayerRecord { parent: None, data_key: None }));
    for leaf in 0..LEAVES {
        for slot in 0..(1 + (leaf + round) % 60) {
            let index = ChunkIndex(leaf * 512 + slot);
            let chunk = ChunkNumber(1 + (round * 7 + index.0) % 30_000);
            delta.chunks.insert((LayerId(1), index), Box::from([Fragment::new(chunk, 1)]));
        }
    }
    delta
}

fn new_map(rounds: u64) -> SimulatedDisk {
    let disk = SimulatedDisk::new(1 << 40);
    Map::create(&disk, superblock(), CACHE_BYTES).unwrap();
    disk.rename(FileRole::MapBeingCreated, FileRole::Map).unwrap();
    let map = Map::open(&disk, CACHE_BYTES).unwrap();
    (0..rounds).for_each(|round| map.apply(&delta(round), superblock()).unwrap());
    disk
}

fn pages(disk: &SimulatedDisk, role: FileRole) -> Vec<Vec<u8>> {
    let file = disk.open(role).unwrap();
    let mut bytes = vec![0; file.length_bytes().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes.chunks(PAGE_BYTES as usize).map(<[u8]>::to_vec).collect()
}

fn write_page(disk: &SimulatedDisk, role: FileRole, number: usize, page: &[u8]) {
    disk.open(role).unwrap().write_at(number as u64 * PAGE_BYTES, page).unwrap();
}

fn all_leaves(map: &Map) -> Result<Vec<LeafChunks>, VolumeError> {
    (0..LEAVES as u32).map(|leaf| Ok(map.leaves(LeafIndex(leaf), &[LayerId(1)])?.remove(0))).collect()
}

/// The embedded store without page checksums gives pages away twice after some of these, panics, and panics once more while
/// it unwinds: the process ends.
#[test]
fn a_lost_or_misplaced_write_ends_in_an_error_and_never_in_a_panic() {
    let disk = new_map(8);
    let before = pages(&disk, FileRole::Map);
    Map::open(&disk, CACHE_BYTES).unwrap().apply(&delta(8), superblock()).unwrap();
    let after = pages(&disk, FileRole::Map);
    let expected = all_leaves(&Map::open(&disk.fork(), CACHE_BYTES).unwrap()).unwrap();
    // The header is the store's own business: it has checksums and a copy.
    let changed = (1..before.len().min(after.len())).filter(|page| before[*page] != after[*page]);
    let (mut refused, mut failed, mut harmless) = (0, 0, 0);
    for (page, is_open) in changed.flat_map(|page| [(page, false), (page, true)]) {
        for other in [&before[page], &before[page / 2], &vec![0; PAGE_BYTES as usize]] {
            let disk = disk.fork();
            // A build with the store's own assertions reads the whole map when it opens it.
            let opened = is_open.then(|| Map::open(&disk, CACHE_BYTES).unwrap());
            write_page(&disk, FileRole::Map, page, other);
            let Ok(map) = opened.map_or_else(|| Map::open(&disk, CACHE_BYTES), Ok) else {
                refused += 1;
                continue;
            };
            let read = all_leaves(&map);
            assert!(read.as_ref().map_or(true, |leaves| *leaves == expected), "page {page}: wrong leaves");
            let rounds = (9..20).map(|round| map.apply(&delta(round), superblock()));
            let applied: Result<(), VolumeError> = rounds.collect();
            if read.is_err() || applied.is_err() {
                failed += 1;
            } else {
                harmless += 1;
            }
        }
    }
    assert!(
        refused > 5 && failed > 5 && harmless > 5,
        "{refused} refused, {failed} failed, {harmless} harmless"
    );
}

/// One damaged leaf does not take the others along, and what was read before the damage is no excuse to write.
#[test]
fn other_leaves_of_a_damaged_map_are_read() {
    let disk = new_map(3);
    let expected = all_leaves(&Map::open(&disk.fork(), CACHE_BYTES).unwrap()).unwrap();
    let sound = pages(&disk, FileRole::Map);
    let mut partly = 0;
    for (number, page) in sound.iter().enumerate().skip(1) {
        let disk = disk.fork();
        let mut page = page.clone();
        page[77] ^= 4;
        let map = Map::open(&disk, CACHE_BYTES).unwrap();
        write_page(&disk, FileRole::Map, number, &page);
        let (mut good, mut bad) = (0, 0);
        for (leaf, expected) in (0..).zip(&expected) {
            match map.leaves(LeafIndex(leaf), &[LayerId(1)]) {
                Ok(leaves) => {
                    assert_eq!(leaves[0], *expected, "page {number}, leaf {leaf}");
                    good += 1;
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                    bad += 1;
                }
            }
        }
        let calls = disk.calls();
        drop(map);
        assert!(bad == 0 || disk.calls() == calls, "a damaged map was written to");
        partly += u32::from(good > 0 && bad > 0);
    }
    assert!(partly > 2, "{partly} pages hit some leaves and not others");
}

fn filled_pool() -> SimulatedDisk {
    use ashlar_volume::VolumeStore;
    let disk = SimulatedDisk::new(1 << 40);
    let options = PoolOptions { background: Background::Manual, ..PoolOptions::default() };
    let pool = Pool::open_in(Arc::new(disk.clone()), options).unwrap();
    for name in ["disk-1", "disk-2"] {
        let volume = VolumeId::new(name).unwrap();
        pool.create_volume(&volume, 1 << 30).unwrap();
        let device = pool.open_volume(&volume).unwrap();
        (0..30).for_each(|at| device.write(at << 25, &[1; 4096]).unwrap());
    }
    pool.close().unwrap();
    disk
}

#[test]
fn a_pool_from_before_page_checksums_gets_them() {
    let disk = filled_pool();
    disk.open(FileRole::MapSums).unwrap().set_length(0).unwrap();
    check_in(Arc::new(disk.fork())).unwrap();

    let map = Map::open(&disk, CACHE_BYTES).unwrap();
    assert!(map.superblock().is_ok());
    drop(map);
    let described = pages(&disk, FileRole::MapSums).concat().iter().filter(|byte| **byte != 0).count();
    assert!(described > 60, "{described} bytes of checksums");
    assert!(!Map::sums_are_wrong(&disk).unwrap());
}

/// As a build does that knows no `map.sums`, before it sees that the pool is not for it.
#[test]
fn a_map_that_somebody_else_has_opened_is_described_anew() {
    let disk = filled_pool();
    let before = check_in(Arc::new(disk.clone())).unwrap();
    let file = disk.open(FileRole::Map).unwrap();
    drop(Map::open_pages(Pages::new(file, None), CACHE_BYTES).unwrap());
    assert!(Map::sums_are_wrong(&disk).unwrap(), "its closing commit was noted nowhere");

    drop(Map::open(&disk, CACHE_BYTES).unwrap());
    assert_eq!(check_in(Arc::new(disk)).unwrap(), before);
}

#[test]
fn a_damaged_map_is_not_described() {
    let disk = filled_pool();
    disk.open(FileRole::MapSums).unwrap().set_length(0).unwrap();
    let sound = pages(&disk, FileRole::Map);
    let mut refused = 0;
    for (number, page) in sound.iter().enumerate().skip(1).filter(|(_, page)| page[..4] != [0; 4]) {
        let disk = disk.fork();
        let mut page = page.clone();
        page[1] ^= 1;
        write_page(&disk, FileRole::Map, number, &page);
        if let Err(error) = Map::open(&disk, CACHE_BYTES) {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "page {number}: {error}");
            assert_eq!(disk.open(FileRole::MapSums).unwrap().length_bytes().unwrap(), 0);
            refused += 1;
        }
    }
    assert!(refused > 5, "{refused} pages");
}

#[test]
fn damaged_page_checksums_are_told_from_a_damaged_map_and_mended() {
    let disk = filled_pool();
    let sound = check_in(Arc::new(disk.clone())).unwrap();
    let sums = pages(&disk, FileRole::MapSums);
    let (mut found, mut harmless) = (0, 0);
    for entry in (0..pages(&disk, FileRole::Map).len()).step_by(3) {
        let disk = disk.fork();
        let mut page = sums[0].clone();
        page[entry * 4 + 2] ^= 0x40;
        write_page(&disk, FileRole::MapSums, 0, &page);
        match check_in(Arc::new(disk.clone())) {
            Ok(report) => {
                assert_eq!(report, sound);
                harmless += 1;
            }
            Err(error) => {
                assert!(error.to_string().contains("--repair"), "{error}");
                let repaired = repair_in(&disk).unwrap();
                assert_eq!((repaired.mended.len(), &repaired.after), (1, &sound), "{repaired:?}");
                found += 1;
            }
        }
        assert_eq!(check_in(Arc::new(disk)).unwrap(), sound);
    }
    assert!(found > 3 && harmless > 3, "{found} found, {harmless} without effect");
}

/// Checkpoints cut off anywhere: nothing that is needed ever fails to match.
#[test]
fn a_power_cut_leaves_no_page_that_looks_damaged() {
    for calls in 0.. {
        let disk = new_map(3);
        let before = all_leaves(&Map::open(&disk.fork(), CACHE_BYTES).unwrap()).unwrap();
        let map = Map::open(&disk, CACHE_BYTES).unwrap();
        disk.cut_power_after(calls);
        let result = map.apply(&delta(3), superblock());
        drop(map);
        for (seed, survival) in [(1, Survival::Nothing), (2, Survival::Everything), (calls, Survival::Some)] {
            let disk = disk.fork();
            disk.restart(seed, survival);
            let map = Map::open(&disk, CACHE_BYTES).unwrap();
            let leaves = all_leaves(&map).unwrap();
            map.apply(&delta(4), superblock()).unwrap();
            drop(map);
            assert!(!Map::sums_are_wrong(&disk).unwrap());
            if result.is_err() && survival == Survival::Nothing {
                assert_eq!(leaves, before, "cut after {calls} calls");
            }
        }
        if result.is_ok() {
            assert!(calls > 10, "{calls} calls");
            break;
        }
    }
}

#[test]
fn a_page_that_is_not_what_was_written_is_not_given_out() {
    const PAGES: u64 = 9;
    const DAMAGED: u64 = 5;
    let page = |number: u64| vec![number as u8 + 1; PAGE_BYTES as usize];
    let disk = SimulatedDisk::new(1 << 40);
    let load = || PageSums::load(disk.open(FileRole::MapSums).unwrap()).unwrap();
    let new = || Pages::new(disk.open(FileRole::Map).unwrap(), Some(load()));
    let pages = new();
    pages.set_length(PAGES * PAGE_BYTES).unwrap();
    for number in 0..PAGES {
        pages.write(number * PAGE_BYTES, &page(number)).unwrap();
    }
    pages.sync().unwrap();
    disk.restart(1, Survival::Nothing);
    // The header changes in place; what is written in part is not known; what is written again is.
    let file = disk.open(FileRole::Map).unwrap();
    file.write_at(0, &page(7)).unwrap();
    let pages = new();
    pages.write(3 * PAGE_BYTES - 10, &[9; 20]).unwrap();
    file.write_at(2 * PAGE_BYTES, &page(1)).unwrap();
    file.write_at(3 * PAGE_BYTES, &page(1)).unwrap();
    file.write_at(DAMAGED * PAGE_BYTES + 4095, &[0]).unwrap();

    let mut out = vec![1; 5 * PAGE_BYTES as usize];
    pages.read(0, &mut out).unwrap();
    assert!(!pages.is_damaged() && out[0] == 8);
    for from in [DAMAGED - 4, DAMAGED] {
        let pages = new();
        pages.write(3 * PAGE_BYTES - 10, &[9; 20]).unwrap();
        let length = if from == DAMAGED { PAGE_BYTES } else { 5 * PAGE_BYTES } as usize;
        let error = pages.strictly(|| pages.read(from * PAGE_BYTES, &mut out[..length])).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().contains("page 5"), "{error}");
        out.fill(1);
        pages.read(from * PAGE_BYTES, &mut out[..length]).unwrap();
        assert!(pages.is_damaged() && out[..length].iter().all(|byte| *byte == 0));
    }
    pages.write(DAMAGED * PAGE_BYTES, &page(2)).unwrap();
    pages.read(DAMAGED * PAGE_BYTES, &mut out[..PAGE_BYTES as usize]).unwrap();
    assert_eq!((pages.is_damaged(), out[0]), (false, 3));

    // A map that was cut, and is longer again, has no page of before.
    pages.set_length(DAMAGED * PAGE_BYTES).unwrap();
    pages.set_length(5000 * PAGE_BYTES).unwrap();
    assert!(load().covers(5000 * PAGE_BYTES));
    pages.read(DAMAGED * PAGE_BYTES, &mut out[..PAGE_BYTES as usize]).unwrap();
    assert_eq!((pages.is_damaged(), out[0]), (false, 0));
}
