use std::sync::Arc;

use ashlar_volume::{Attempt, BLOCK_BYTES, BlockDevice, ErrorKind, VolumeId, VolumeStore};

use super::*;
use crate::file::simulated::{SimulatedDisk, Survival};
use crate::file::{Directory, File, FileRole};
use crate::format::CHUNKS_PER_CHECKSUM_PAGE;
use crate::options::{Background, PoolOptions};
use crate::pool::Pool;

const PAGE_BYTES: u64 = CHUNKS_PER_CHECKSUM_PAGE * CHUNK_BYTES;

fn open(disk: &SimulatedDisk, open_pages_max: usize) -> Pool {
    let options = PoolOptions { background: Background::Manual, open_pages_max, ..PoolOptions::default() };
    Pool::open_in(Arc::new(disk.clone()), options).unwrap()
}

fn volume() -> VolumeId {
    VolumeId::new("disk").unwrap()
}

/// A pool whose only volume has a block in each chunk of so many pages, none of them open.
fn filled(pages: u64, open_pages_max: usize) -> (SimulatedDisk, Pool, Arc<dyn BlockDevice>) {
    let disk = SimulatedDisk::new(1 << 40);
    let pool = open(&disk, open_pages_max);
    pool.create_volume(&volume(), pages * PAGE_BYTES).unwrap();
    let device = pool.open_volume(&volume()).unwrap();
    (0..pages * CHUNKS_PER_CHECKSUM_PAGE).for_each(|chunk| write(&*device, chunk * CHUNK_BYTES, 1));
    device.flush().unwrap();
    work(&pool);
    assert_eq!(pool.inner.core.intents.counts(), (0, 0));
    (disk, pool, device)
}

fn write(device: &dyn BlockDevice, offset_bytes: u64, value: u8) {
    device.write(offset_bytes, &[value; BLOCK_BYTES as usize]).unwrap();
}

fn value(device: &dyn BlockDevice, offset_bytes: u64) -> Result<u8, ErrorKind> {
    let mut byte = [0];
    device.read(offset_bytes, &mut byte).map_err(|error| error.kind())?;
    Ok(byte[0])
}

fn work(pool: &Pool) {
    while pool.inner.run_background_step().unwrap() {}
}

/// Pages whose first write has to wait for an intent, when all are written to in this order and the background keeps up.
fn pages_that_wait(disk: &SimulatedDisk, pool: &Pool, device: &dyn BlockDevice, order: &[u64]) -> Vec<u64> {
    let mut waited = Vec::new();
    for page in order {
        let calls = disk.calls();
        write(device, page * PAGE_BYTES, 2);
        if disk.calls() > calls + 1 {
            waited.push(*page);
        }
        work(pool);
    }
    waited
}

#[test]
fn writes_in_order_wait_for_two_intents_and_find_all_other_pages_open() {
    let (disk, pool, device) = filled(200, 4096);
    let order: Vec<u64> = (0..200).collect();
    assert_eq!(pages_that_wait(&disk, &pool, &*device, &order), [0, PAGES_PER_INTENT]);
    assert_eq!(pool.inner.core.intents.counts(), (200, 0));
}

#[test]
fn writes_here_and_there_open_neighbours_and_nothing_ahead() {
    let (disk, pool, device) = filled(200, 4096);
    assert_eq!(pages_that_wait(&disk, &pool, &*device, &[100, 20, 150, 101, 21]), [100, 20, 150]);
    assert_eq!(pool.inner.core.intents.counts().0 as u64, 3 * PAGES_PER_INTENT);
}

/// A run takes no more than a quarter of what may be open, and ends where the chunks end.
#[test]
fn a_run_grows_up_to_its_bounds() {
    let (_disk, pool, device) = filled(200, 256);
    let mut open = Vec::new();
    for page in [0, 16, 48, 112, 176] {
        write(&*device, page * PAGE_BYTES, 2);
        open.push(pool.inner.core.intents.counts().0);
        let _ = pool.inner.core.run_ahead().unwrap();
    }
    assert_eq!(open, [16, 48, 112, 176, 200], "16, 32, 64, 64 and the rest");
}

#[test]
fn neighbours_are_not_opened_where_they_would_push_others_out() {
    let (_disk, pool, device) = filled(64, 20);
    write(&*device, 0, 2);
    write(&*device, 32 * PAGE_BYTES, 2);
    write(&*device, 40 * PAGE_BYTES, 2);
    assert_eq!(pool.inner.core.intents.counts().0, 18, "16 and two");
}

#[test]
fn one_record_is_for_all_who_wait() {
    let (disk, pool, device) = filled(64, 4096);
    let core = &pool.inner.core;
    core.intents.wanted.lock().push(ChecksumPage(40));
    let calls = disk.calls();
    write(&*device, 0, 2);
    assert_eq!(disk.calls(), calls + 3, "the record, its sync, the data");
    assert_eq!(core.intents.counts().0 as u64, 2 * PAGES_PER_INTENT);
    write(&*device, 40 * PAGE_BYTES, 2);
    assert_eq!(disk.calls(), calls + 4);
}

/// The same pool after a power cut of which nothing survives that was not synced.
fn crashed(disk: &SimulatedDisk, pool: Pool, device: Arc<dyn BlockDevice>) -> (Pool, Arc<dyn BlockDevice>) {
    drop((device, pool));
    disk.restart(1, Survival::Nothing);
    let pool = open(disk, 4096);
    let device = pool.open_volume(&volume()).unwrap();
    (pool, device)
}

/// Where the data file has a block of nothing but this value.
fn place_of(file: &dyn File, value: u8) -> u64 {
    let blocks = (0..file.length_bytes().unwrap()).step_by(BLOCK_BYTES as usize);
    let is_there = |offset_bytes: &u64| {
        let mut block = [0; BLOCK_BYTES as usize];
        file.read_at(*offset_bytes, &mut block).unwrap();
        block.iter().all(|byte| *byte == value)
    };
    blocks.into_iter().find(is_there).unwrap()
}

#[test]
fn after_a_crash_blocks_are_read_and_written_before_their_page_is_worked_out_again() {
    let (disk, pool, device) = filled(2, 4096);
    write(&*device, 0, 7);
    write(&*device, CHUNK_BYTES, 8);
    write(&*device, 2 * CHUNK_BYTES, 9);
    device.flush().unwrap();
    let (pool, device) = crashed(&disk, pool, device);
    let core = &pool.inner.core;
    let stale = core.intents.counts().1;
    assert!(stale > 0, "the crash has left intents");
    assert_eq!(value(&*device, 0), Ok(7));
    write(&*device, CHUNK_BYTES, 18);
    assert_eq!(core.intents.counts(), (0, stale), "no page was completed for it");

    // What was read or written is verified from then on, with or without the rest of its page.
    let file = disk.open(FileRole::Data).unwrap();
    let (read, written) = (place_of(&*file, 7), place_of(&*file, 18));
    file.write_at(read, &[6]).unwrap();
    file.write_at(written, &[6]).unwrap();
    assert_eq!(value(&*device, 0), Err(ErrorKind::Corrupt));
    assert_eq!(value(&*device, CHUNK_BYTES), Err(ErrorKind::Corrupt));
    work(&pool);
    assert_eq!(core.intents.counts(), (stale, 0));
    assert_eq!(
        value(&*device, 0),
        Err(ErrorKind::Corrupt),
        "completing the page believes nothing that was known"
    );
    assert_eq!(value(&*device, 2 * CHUNK_BYTES), Ok(9));
    file.write_at(place_of(&*file, 9), &[6]).unwrap();
    assert_eq!(value(&*device, 2 * CHUNK_BYTES), Err(ErrorKind::Corrupt));

    // The same after a clean end: the page is stored with what was worked out.
    write(&*device, 0, 7);
    write(&*device, CHUNK_BYTES, 8);
    drop(device);
    pool.close().unwrap();
    let pool = open(&disk, 4096);
    let device = pool.open_volume(&volume()).unwrap();
    assert_eq!(pool.inner.core.intents.counts(), (0, 0));
    let offsets = [0, CHUNK_BYTES, 2 * CHUNK_BYTES, 3 * CHUNK_BYTES];
    let seen = offsets.map(|offset_bytes| value(&*device, offset_bytes));
    assert_eq!(seen, [Ok(7), Ok(8), Err(ErrorKind::Corrupt), Ok(1)]);
}

#[test]
fn a_write_that_needs_an_intent_is_left_to_who_may_wait() {
    let (disk, _pool, device) = filled(1, 4096);
    let calls = disk.calls();
    assert_eq!(device.try_write(0, &[2; BLOCK_BYTES as usize]).unwrap(), Attempt::WouldWait);
    assert_eq!((disk.calls(), value(&*device, 0)), (calls, Ok(1)));
    write(&*device, 0, 2);
    assert_eq!(device.try_write(0, &[3; BLOCK_BYTES as usize]).unwrap(), Attempt::Done);
    assert_eq!(value(&*device, 0), Ok(3));
}

#[test]
fn a_clean_end_soon_after_a_crash_forgets_no_checksum_that_was_known_again() {
    let (disk, pool, device) = filled(40, 4096);
    write(&*device, 0, 7);
    write(&*device, 36 * PAGE_BYTES, 8);
    device.flush().unwrap();
    let (pool, device) = crashed(&disk, pool, device);
    assert_eq!(value(&*device, 0), Ok(7));
    assert_eq!(pool.inner.core.intents.counts(), (0, 24));
    drop(device);
    pool.close().unwrap();
    let file = disk.open(FileRole::Data).unwrap();
    file.write_at(place_of(&*file, 7), &[6]).unwrap();

    let pool = open(&disk, 4096);
    assert_eq!(
        pool.inner.core.intents.counts(),
        (0, 23),
        "pages that nobody wanted are left to the next one"
    );
    let device = pool.open_volume(&volume()).unwrap();
    assert_eq!(value(&*device, 0), Err(ErrorKind::Corrupt));
    assert_eq!(value(&*device, 36 * PAGE_BYTES), Ok(8));
}
