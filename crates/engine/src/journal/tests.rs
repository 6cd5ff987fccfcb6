use ashlar_types::{RandomSource, SeededRandom};

use super::*;
use crate::file::simulated::{SimulatedDisk, Survival};
use crate::file::{Directory, FileRole};
use crate::format::{ChunkIndex, ChunkNumber, Fragment, LayerId, encode_delta};

const SEGMENT_BYTES: u64 = 32 << 10;

fn payload(random: &SeededRandom, number: u64) -> (Delta, Vec<u8>) {
    let mut delta = Delta::default();
    for _ in 0..random.below(150) {
        let fragments = [Fragment::new(ChunkNumber(number), random.next_u64() as u16 | 1)];
        delta.put_chunk(LayerId(number), ChunkIndex(random.below(1 << 20)), Box::new(fragments));
    }
    delta.held_blocks.insert(LayerId(number), number);
    let payload = encode_delta(&delta);
    (delta, payload)
}

/// A record is read as a whole or not at all, whatever is torn, and one that was acknowledged is always read.
#[test]
fn a_torn_record_ends_the_journal_and_hides_nothing_before_it() {
    let (mut kept, mut lost) = (0, 0);
    for seed in 0..300 {
        let random = SeededRandom::new(seed);
        let disk = SimulatedDisk::new(1 << 30);
        let file = disk.open(FileRole::Journal).unwrap();
        Journal::prepare(&*file, SEGMENT_BYTES).unwrap();
        let mut journal = Journal::new(Arc::clone(&file), SEGMENT_BYTES, 7, 0);
        let (mut acknowledged, mut applied) = (Delta::default(), 0);
        for number in 1..=1 + random.below(12) {
            let (delta, payload) = payload(&random, number);
            if !journal.fits(&payload) {
                // A checkpoint: everything so far needs no record any more.
                journal.rotate();
                applied = journal.sequence();
                acknowledged = Delta::default();
            }
            journal.append(&payload).unwrap();
            acknowledged.absorb(delta);
        }
        let (torn, payload) = payload(&random, 99);
        disk.cut_power_after(random.below(2));
        let fits = journal.fits(&payload);
        if fits {
            journal.append(&payload).unwrap_err();
        }
        disk.restart(seed, Survival::Some);
        let tail = Journal::read_tail(&*file, SEGMENT_BYTES, 7, applied, |_, delta| Ok(delta)).unwrap();
        if tail.delta == acknowledged {
            lost += 1;
            continue;
        }
        acknowledged.absorb(torn);
        assert_eq!(tail.delta, acknowledged, "seed {seed}");
        kept += 1;
    }
    assert!(kept > 5 && lost > 5, "both ends were seen: {kept} and {lost}");
}

#[test]
fn records_of_another_generation_do_not_count() {
    let disk = SimulatedDisk::new(1 << 30);
    let file = disk.open(FileRole::Journal).unwrap();
    Journal::prepare(&*file, SEGMENT_BYTES).unwrap();
    let (delta, payload) = payload(&SeededRandom::new(1), 1);
    Journal::new(Arc::clone(&file), SEGMENT_BYTES, 7, 0).append(&payload).unwrap();
    let read = |generation, applied| {
        Journal::read_tail(&*file, SEGMENT_BYTES, generation, applied, |_, delta| Ok(delta)).unwrap()
    };
    assert_eq!((read(7, 0).delta, read(7, 0).records), (delta, 1));
    assert_eq!(read(8, 0).records, 0, "of an older opening");
    assert_eq!(read(7, 1).records, 0, "in the checkpoint already");
}

#[test]
fn a_journal_that_is_too_short_is_corrupt() {
    let disk = SimulatedDisk::new(1 << 30);
    let file = disk.open(FileRole::Journal).unwrap();
    Journal::prepare(&*file, SEGMENT_BYTES).unwrap();
    file.set_length(SEGMENT_BYTES).unwrap();
    let error = Journal::read_tail(&*file, SEGMENT_BYTES, 0, 0, |_, delta| Ok(delta)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

/// A record beside the data is asked for its blocks unless another one follows it: that was written after both were durable.
#[test]
fn only_the_last_record_is_asked_for_its_blocks() {
    let disk = SimulatedDisk::new(1 << 30);
    disk.share_syncs(true);
    let (file, data) = (disk.open(FileRole::Journal).unwrap(), disk.open(FileRole::Data).unwrap());
    Journal::prepare(&*file, SEGMENT_BYTES).unwrap();
    let random = SeededRandom::new(1);
    let mut journal = Journal::new(Arc::clone(&file), SEGMENT_BYTES, 7, 0);
    journal.append(&payload(&random, 1).1).unwrap();
    assert!(journal.append_beside(&payload(&random, 2).1, || data.sync_data()).unwrap());
    let asked = std::cell::Cell::new(0);
    let records = || {
        let ask = |earlier: &Delta, delta| {
            asked.set(asked.get() + 1);
            assert!(!earlier.is_empty(), "what comes before it is known");
            Ok(delta)
        };
        let tail = Journal::read_tail(&*file, SEGMENT_BYTES, 7, 0, ask).unwrap();
        (tail.records, tail.is_proven_by_blocks, asked.take())
    };
    assert!(journal.is_last_in_doubt());
    disk.restart(1, Survival::Nothing);
    assert_eq!(records(), (2, true, 1), "the data's sync was the record's");
    journal.append(&[]).unwrap();
    assert!(!journal.is_last_in_doubt());
    assert_eq!(records(), (3, false, 0));
    let error =
        journal.append_beside(&payload(&random, 4).1, || Err(io::Error::other("no power"))).unwrap_err();
    assert_eq!(error.to_string(), "no power");
    assert_eq!(records(), (3, false, 0), "what failed is taken back");
    journal.append(&[]).unwrap_err();
}
