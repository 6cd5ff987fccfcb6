//! The journal: two segments of one preallocated file, used in turn.
//!
//! Records are appended to one segment until a checkpoint begins; then the other segment takes the new ones,
//! and the old one is free again when the checkpoint is durable. Which records count is decided by their
//! generation and sequence alone, so a segment is reused without being erased.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use ashlar_volume::{ErrorKind, VolumeError};

use crate::delta::Delta;
use crate::file::File;
use crate::format::{
    Proof, RECORD_ALIGNMENT_BYTES, RECORD_HEADER_BYTES, RecordHeader, crc32c, decode_delta,
    decode_record_header, encode_record,
};

#[cfg(test)]
mod tests;

const SEGMENTS: u64 = 2;

/// The end of the journal, where records are appended.
#[derive(Debug)]
pub(crate) struct Journal {
    file: Arc<dyn File>,
    segment_bytes: u64,
    generation: u64,
    /// The sequence of the last record that has its place.
    sequence: u64,
    /// The last records, as long as they are not known to be durable, in their order. All were written beside the data.
    flights: VecDeque<UnderWay>,
    /// Callers that wait until no record is under way, so that none may be begun.
    waiting_to_append: usize,
    segment: u64,
    /// Where in the segment the next record goes.
    offset_bytes: u64,
    /// Whether a sequence was given out whose checkpoint is not durable yet: a record after it would not count.
    is_waiting_for_checkpoint: bool,
    /// Whether damage to the last record, or to blocks that prove it, could be taken for a commit that was cut off.
    is_last_in_doubt: bool,
    /// Whether an append failed. What the medium holds since then is unknown, so nothing more is written.
    has_failed: bool,
}

/// A record that is not known to be durable.
#[derive(Debug)]
struct UnderWay {
    offset_bytes: u64,
    /// Whether the medium has it, perhaps in a cache.
    is_written: bool,
}

/// A record that has its place in the journal and is to be written beside the data.
#[derive(Debug)]
pub(crate) struct Flight {
    file: Arc<dyn File>,
    offset_bytes: u64,
    record: Vec<u8>,
    /// Its place among all records.
    pub(crate) sequence: u64,
}

impl Flight {
    /// Writes the record. The next sync of the data file that begins afterwards makes it durable.
    pub(crate) fn write(&self) -> io::Result<()> {
        self.file.write_beside(self.offset_bytes, &self.record)
    }
}

/// What a journal file holds beyond a checkpoint.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// The records' changes, merged.
    pub(crate) delta: Delta,
    /// The sequence of the last record, or of the checkpoint if there is none.
    pub(crate) sequence: u64,
    /// How many records there are.
    pub(crate) records: u64,
    /// Whether some records count as far as the data file holds their blocks. They need not be durable yet.
    pub(crate) is_proven_by_blocks: bool,
}

impl Journal {
    /// Writes zeroes over the whole file, so that appending never changes the file system's metadata.
    pub(crate) fn prepare(file: &dyn File, segment_bytes: u64) -> io::Result<()> {
        const STEP_BYTES: usize = 1 << 20;
        let zeroes = vec![0; STEP_BYTES];
        let length_bytes = SEGMENTS * segment_bytes;
        let mut offset_bytes = 0;
        while offset_bytes < length_bytes {
            let step = (length_bytes - offset_bytes).min(STEP_BYTES as u64);
            file.write_at(offset_bytes, &zeroes[..step as usize])?;
            offset_bytes += step;
        }
        file.sync_data()
    }

    /// A journal that continues after `sequence` in a new generation, whose checkpoint is durable already.
    pub(crate) const fn new(file: Arc<dyn File>, segment_bytes: u64, generation: u64, sequence: u64) -> Self {
        Self {
            file,
            segment_bytes,
            generation,
            sequence,
            flights: VecDeque::new(),
            waiting_to_append: 0,
            segment: 0,
            offset_bytes: 0,
            is_waiting_for_checkpoint: false,
            is_last_in_doubt: false,
            has_failed: false,
        }
    }

    /// The sequence of the last record that has its place.
    pub(crate) const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The opening of the pool that the journal's records belong to.
    pub(crate) const fn generation(&self) -> u64 {
        self.generation
    }

    /// Bytes of one segment.
    pub(crate) const fn segment_bytes(&self) -> u64 {
        self.segment_bytes
    }

    /// Whether it is time to begin a checkpoint.
    pub(crate) const fn is_half_full(&self) -> bool {
        self.offset_bytes * 2 > self.segment_bytes
    }

    /// Bytes that a record of the payload takes.
    const fn record_bytes(payload: &[u8]) -> u64 {
        (RECORD_HEADER_BYTES + payload.len()).next_multiple_of(RECORD_ALIGNMENT_BYTES) as u64
    }

    /// Whether a record with this payload can be appended now.
    pub(crate) const fn fits(&self, payload: &[u8]) -> bool {
        self.offset_bytes + Self::record_bytes(payload) <= self.segment_bytes
    }

    /// Whether a record with this payload can be appended to an empty segment.
    pub(crate) const fn fits_a_segment(&self, payload: &[u8]) -> bool {
        Self::record_bytes(payload) <= self.segment_bytes
    }

    /// Appends a record that [`fits`](Self::fits) and makes it durable. No other may be under way.
    pub(crate) fn append(&mut self, payload: &[u8]) -> io::Result<()> {
        self.check()?;
        let record = encode_record(self.generation, self.sequence + 1, Proof::Itself, payload);
        let appended = self.write(self.end(), &record).and_then(|()| self.file.sync_data());
        self.has_failed = appended.is_err();
        appended?;
        self.advance(&record);
        self.is_last_in_doubt = !payload.is_empty();
        Ok(())
    }

    /// Writes a record, past the system's caches where that can be. Out of a cache it would leave in a queue behind everything
    /// else that is being written back: 30 ms where large writes keep the medium busy.
    fn write(&self, offset_bytes: u64, record: &[u8]) -> io::Result<()> {
        if self.can_write_beside() {
            return self.file.write_beside(offset_bytes, record);
        }
        self.file.write_at(offset_bytes, record)
    }

    /// Whether records can be written beside the data.
    pub(crate) fn can_write_beside(&self) -> bool {
        self.file.can_write_beside()
    }

    /// Gives a record that [`fits`](Self::fits) its place. Its sequence is durable when it and all before it are written and a
    /// sync of the data file that began afterwards has ended. What the record says must be proven by the blocks that it maps,
    /// and these must not change until a record is durable that was [appended](Self::append).
    pub(crate) fn take_off(&mut self, payload: &[u8]) -> io::Result<Flight> {
        self.check()?;
        let proof = Proof::Blocks { undecided: self.flights.len() as u32 };
        let record = encode_record(self.generation, self.sequence + 1, proof, payload);
        let offset_bytes = self.end();
        self.advance(&record);
        self.flights.push_back(UnderWay { offset_bytes, is_written: false });
        Ok(Flight { file: Arc::clone(&self.file), offset_bytes, record, sequence: self.sequence })
    }

    /// The record is written. Answers the last sequence up to which all are.
    pub(crate) fn is_written(&mut self, sequence: u64) -> u64 {
        let durable = self.durable_sequence();
        let at = sequence.checked_sub(durable + 1).map(|at| at as usize);
        if let Some(flight) = at.and_then(|at| self.flights.get_mut(at)) {
            flight.is_written = true;
        }
        durable + self.flights.iter().take_while(|flight| flight.is_written).count() as u64
    }

    /// All records up to this one are durable. Answers of how many that was not known.
    pub(crate) fn are_durable(&mut self, sequence: u64) -> usize {
        let landed = sequence.saturating_sub(self.durable_sequence()) as usize;
        self.flights.drain(..landed);
        self.is_last_in_doubt = true;
        landed
    }

    /// The last record that is known to be durable, as are all before it.
    pub(crate) fn durable_sequence(&self) -> u64 {
        self.sequence - self.flights.len() as u64
    }

    /// Whether no record is under way.
    pub(crate) fn is_settled(&self) -> bool {
        self.flights.is_empty()
    }

    /// Whether somebody waits until no record is under way.
    pub(crate) const fn is_wanted_settled(&self) -> bool {
        self.waiting_to_append > 0
    }

    /// Somebody waits until no record is under way.
    pub(crate) const fn begin_to_settle(&mut self) {
        self.waiting_to_append += 1;
    }

    /// Somebody does not wait any more.
    pub(crate) const fn end_to_settle(&mut self) {
        self.waiting_to_append -= 1;
    }

    /// A record could not be written or the sync has failed. Takes back what is under way, as far as the medium allows.
    pub(crate) fn fail(&mut self) {
        self.has_failed = true;
        // Best effort. After a sync that failed the system may show blocks that the medium lacks: they would prove
        // too much at the next opening.
        let erase = |flight: &UnderWay| self.file.write_at(flight.offset_bytes, &[0; RECORD_HEADER_BYTES]);
        let _ = self.flights.iter().try_for_each(erase).and_then(|()| self.file.sync_data());
    }

    /// An error if an append or a flight has failed.
    pub(crate) fn check(&self) -> io::Result<()> {
        if self.has_failed { Err(io::Error::other("an earlier append failed")) } else { Ok(()) }
    }

    /// Whether damage to the last record, or to blocks that prove it, could be taken for a commit that was cut off. An empty
    /// record behind it ends that: a record behind a gap is a write that was lost.
    pub(crate) const fn is_last_in_doubt(&self) -> bool {
        self.is_last_in_doubt
    }

    /// Where in the file the next record goes.
    const fn end(&self) -> u64 {
        self.segment * self.segment_bytes + self.offset_bytes
    }

    const fn advance(&mut self, record: &[u8]) {
        self.offset_bytes += record.len() as u64;
        self.sequence += 1;
    }

    /// Gives out a sequence number for a commit that goes straight into the map.
    pub(crate) const fn skip_record(&mut self) {
        self.sequence += 1;
        self.is_waiting_for_checkpoint = true;
    }

    /// Whether nothing may be appended until a checkpoint is durable.
    pub(crate) const fn is_waiting_for_checkpoint(&self) -> bool {
        self.is_waiting_for_checkpoint
    }

    /// The checkpoint that was begun last is durable.
    pub(crate) const fn checkpoint_is_durable(&mut self) {
        self.is_waiting_for_checkpoint = false;
    }

    /// Goes on in the other segment, whose records must all be in a durable checkpoint.
    pub(crate) const fn rotate(&mut self) {
        self.segment = (self.segment + 1) % SEGMENTS;
        self.offset_bytes = 0;
        // The checkpoint contains it.
        self.is_last_in_doubt = false;
    }

    /// Reads the records of `generation` that follow `applied_sequence`.
    ///
    /// A record tells which ones before it were durable when it was written: if one of those is missing, the medium has lost it.
    /// The others may be torn, and where one is, nothing behind it was acknowledged: reading ends there. As far as it goes, they
    /// may lack blocks; `without_missing` takes those out that are not there, given what comes before it.
    pub(crate) fn read_tail(
        file: &dyn File,
        segment_bytes: u64,
        generation: u64,
        applied_sequence: u64,
        without_missing: impl Fn(&Delta, Delta) -> Result<Delta, VolumeError>,
    ) -> Result<Tail, VolumeError> {
        let found = read_records(file, segment_bytes, generation, applied_sequence)?;
        let durable = found.iter().map(|record| record.header.durable_before()).max().unwrap_or(0);
        let mut tail = Tail { sequence: applied_sequence, ..Tail::default() };
        // Together, because each says what is true afterwards, blocks of those before it included.
        let mut undecided = None::<Delta>;
        for Found { header: RecordHeader { sequence, proof, .. }, payload } in found {
            let expected = tail.sequence + 1;
            if sequence != expected {
                if expected <= durable {
                    return Err(lost(tail.sequence, sequence));
                }
                tracing::warn!(expected, "the last commits were cut off: nothing behind this record counts");
                break;
            }
            let delta = decode_delta(&payload)?;
            if matches!(proof, Proof::Blocks { .. }) && sequence > durable {
                undecided.get_or_insert_default().absorb(delta);
            } else {
                tail.delta.absorb(delta);
            }
            tail.sequence = sequence;
            tail.records += 1;
        }
        if let Some(delta) = undecided {
            tail.delta.absorb(without_missing(&tail.delta, delta)?);
            tail.is_proven_by_blocks = true;
        }
        Ok(tail)
    }
}

/// All records of `generation` behind `applied_sequence` that check, in their order.
fn read_records(
    file: &dyn File,
    segment_bytes: u64,
    generation: u64,
    applied_sequence: u64,
) -> Result<Vec<Found>, VolumeError> {
    let io = |error| VolumeError::io("read the journal", error);
    let length_bytes = file.length_bytes().map_err(io)?;
    if length_bytes < SEGMENTS * segment_bytes {
        return Err(VolumeError::new(
            ErrorKind::Corrupt,
            format!("the journal has {length_bytes} bytes, not {}", SEGMENTS * segment_bytes),
        ));
    }
    let mut found = Vec::new();
    for segment in 0..SEGMENTS {
        let mut bytes = vec![0; segment_bytes as usize];
        file.read_at(segment * segment_bytes, &mut bytes).map_err(io)?;
        scan_segment(&bytes, generation, &mut found);
    }
    found.retain(|record| record.header.sequence > applied_sequence);
    found.sort_by_key(|record| record.header.sequence);
    Ok(found)
}

/// A record was durable when a later one was written, and is not there.
fn lost(last_sequence: u64, sequence: u64) -> VolumeError {
    VolumeError::new(
        ErrorKind::Corrupt,
        format!(
            "the journal lacks what was committed between {last_sequence} and {sequence}: a write of `journal` or \
             `map.redb` was lost"
        ),
    )
}

/// A record that checks.
struct Found {
    header: RecordHeader,
    payload: Vec<u8>,
}

/// Collects each record that checks and belongs to the generation. What does not check is
/// stepped over: a record behind it may show that a write was lost.
fn scan_segment(bytes: &[u8], generation: u64, found: &mut Vec<Found>) {
    let mut rest = bytes;
    while let Some(header) = rest.first_chunk() {
        let record = decode_record_header(header).filter(|header| {
            let end = RECORD_HEADER_BYTES + header.payload_bytes as usize;
            header.generation == generation
                && rest.len() >= header.record_bytes()
                && crc32c(&rest[8..end]) == header.crc
        });
        let Some(header) = record else {
            rest = &rest[RECORD_ALIGNMENT_BYTES.min(rest.len())..];
            continue;
        };
        let end = RECORD_HEADER_BYTES + header.payload_bytes as usize;
        let payload = rest[RECORD_HEADER_BYTES..end].to_vec();
        rest = &rest[header.record_bytes()..];
        found.push(Found { header, payload });
    }
}
