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

/// A journal beside a data file whose syncs are for both.
fn beside() -> (SimulatedDisk, Arc<dyn File>, Journal) {
    let disk = SimulatedDisk::new(1 << 30);
    disk.share_syncs(true);
    let file = disk.open(FileRole::Journal).unwrap();
    Journal::prepare(&*file, SEGMENT_BYTES).unwrap();
    let journal = Journal::new(Arc::clone(&file), SEGMENT_BYTES, 7, 0);
    (disk, file, journal)
}

/// How many records count, whether some are proven by their blocks, and how often their blocks were asked for.
fn records(file: &dyn File) -> (u64, bool, u64) {
    let asked = std::cell::Cell::new(0);
    let ask = |earlier: &Delta, delta| {
        asked.set(asked.get() + 1);
        assert!(!earlier.is_empty(), "what comes before it is known");
        Ok(delta)
    };
    let tail = Journal::read_tail(file, SEGMENT_BYTES, 7, 0, ask).unwrap();
    (tail.records, tail.is_proven_by_blocks, asked.get())
}

/// A record beside the data is asked for its blocks unless another one follows it: that was written after both were durable.
#[test]
fn only_records_that_may_lack_blocks_are_asked_for_them() {
    let (disk, file, mut journal) = beside();
    let data = disk.open(FileRole::Data).unwrap();
    let random = SeededRandom::new(1);
    journal.append(&payload(&random, 1).1).unwrap();
    let flight = journal.take_off(&payload(&random, 2).1).unwrap();
    assert!(!journal.is_settled());
    flight.write().unwrap();
    assert_eq!(journal.is_written(flight.sequence), 2);
    data.sync_data().unwrap();
    assert_eq!(journal.are_durable(2), 1);
    assert!(journal.is_settled() && journal.is_last_in_doubt());
    disk.restart(1, Survival::Nothing);
    assert_eq!(records(&*file), (2, true, 1), "the data's sync was the record's");
    journal.append(&[]).unwrap();
    assert!(!journal.is_last_in_doubt());
    assert_eq!(records(&*file), (3, false, 0));
    journal.take_off(&payload(&random, 4).1).unwrap().write().unwrap();
    assert_eq!(records(&*file), (4, true, 1));
    journal.fail();
    assert_eq!(records(&*file), (3, false, 0), "what failed is taken back");
    journal.append(&[]).unwrap_err();
    journal.take_off(&[]).unwrap_err();
}

/// Records that are under way at one time: each is durable only when those before it are, and after a crash those count that
/// have no gap before them.
#[test]
fn a_gap_among_records_under_way_ends_the_journal() {
    let random = SeededRandom::new(2);
    let (_disk, file, mut journal) = beside();
    journal.append(&payload(&random, 1).1).unwrap();
    let flights: Vec<_> =
        (2..5).map(|number| journal.take_off(&payload(&random, number).1).unwrap()).collect();
    flights[1].write().unwrap();
    flights[2].write().unwrap();
    assert_eq!((journal.is_written(3), journal.is_written(4)), (1, 1), "a sync is not theirs yet");
    assert_eq!(records(&*file), (1, false, 0));
    flights[0].write().unwrap();
    assert_eq!(journal.is_written(2), 4, "all three");
    assert_eq!(records(&*file), (4, true, 1), "together");
    assert_eq!((journal.are_durable(3), journal.durable_sequence()), (2, 3));
    assert_eq!(
        (journal.are_durable(2), journal.durable_sequence()),
        (0, 3),
        "somebody else's sync ended later"
    );

    // The next one vouches for those which are durable, but not for the fourth.
    let flight = journal.take_off(&payload(&random, 5).1).unwrap();
    flight.write().unwrap();
    let erase = |number: u64| {
        let found = read_records(&*file, SEGMENT_BYTES, 7, 0).unwrap();
        let at = found.iter().take_while(|record| record.header.sequence < number);
        let at: usize = at.map(|record| record.header.record_bytes()).sum();
        file.write_at(at as u64, &[0; RECORD_HEADER_BYTES]).unwrap();
    };
    erase(4);
    assert_eq!(records(&*file), (3, false, 0), "cut off");
    erase(3);
    let error = Journal::read_tail(&*file, SEGMENT_BYTES, 7, 0, |_, delta| Ok(delta)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "lost: {error}");
}
