//! The journal: two segments of one preallocated file, used in turn.
//!
//! Records are appended to one segment until a checkpoint begins; then the other segment takes the new ones,
//! and the old one is free again when the checkpoint is durable. Which records count is decided by their
//! generation and sequence alone, so a segment is reused without being erased.

use std::io;
use std::sync::Arc;

use ashlar_volume::{ErrorKind, VolumeError};

use crate::delta::Delta;
use crate::file::File;
use crate::format::{
    Proof, RECORD_ALIGNMENT_BYTES, RECORD_HEADER_BYTES, crc32c, decode_delta, decode_record_header,
    encode_record,
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
    /// The sequence of the last record.
    sequence: u64,
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

/// What a journal file holds beyond a checkpoint.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// The records' changes, merged.
    pub(crate) delta: Delta,
    /// The sequence of the last record, or of the checkpoint if there is none.
    pub(crate) sequence: u64,
    /// How many records there are.
    pub(crate) records: u64,
    /// Whether the last record counts as far as the data file holds its blocks. They need not be durable yet.
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
            segment: 0,
            offset_bytes: 0,
            is_waiting_for_checkpoint: false,
            is_last_in_doubt: false,
            has_failed: false,
        }
    }

    /// The sequence of the last record.
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

    /// Appends a record that [`fits`](Self::fits) and makes it durable.
    pub(crate) fn append(&mut self, payload: &[u8]) -> io::Result<()> {
        self.check()?;
        let record = encode_record(self.generation, self.sequence + 1, Proof::Itself, payload);
        let appended = self.file.write_at(self.end(), &record).and_then(|()| self.file.sync_data());
        self.has_failed = appended.is_err();
        appended?;
        self.advance(&record);
        self.is_last_in_doubt = !payload.is_empty();
        Ok(())
    }

    /// Appends a record that [`fits`](Self::fits) beside the data, then makes both durable with `sync`, which syncs the data
    /// file. `false`: the medium cannot do that, and nothing was written. What the record says must be proven by the
    /// blocks that it maps, and these must not change until another record is durable.
    pub(crate) fn append_beside(
        &mut self,
        payload: &[u8],
        sync: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<bool> {
        self.check()?;
        let record = encode_record(self.generation, self.sequence + 1, Proof::Blocks, payload);
        let appended = match self.file.write_beside(self.end(), &record) {
            Ok(false) => return Ok(false),
            written => written.and_then(|_| sync()),
        };
        if let Err(error) = appended {
            self.has_failed = true;
            // Best effort. After a sync that failed the system may show blocks that the medium lacks: they would prove
            // too much at the next opening.
            let _ = self
                .file
                .write_at(self.end(), &[0; RECORD_HEADER_BYTES])
                .and_then(|()| self.file.sync_data());
            return Err(error);
        }
        self.advance(&record);
        self.is_last_in_doubt = true;
        Ok(true)
    }

    /// Whether damage to the last record, or to blocks that prove it, could be taken for a commit that was cut off. An empty
    /// record behind it ends that: a record behind a gap is a write that was lost.
    pub(crate) const fn is_last_in_doubt(&self) -> bool {
        self.is_last_in_doubt
    }

    fn check(&self) -> io::Result<()> {
        if self.has_failed { Err(io::Error::other("an earlier append failed")) } else { Ok(()) }
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
    /// At most the last record can be torn, because a record is written only when the one before it is durable. So
    /// reading ends at the first that does not check, and nothing acknowledged can follow it. For the same reason only the
    /// last one can lack its blocks; `without_missing` takes those out that are not there, given what comes before it.
    pub(crate) fn read_tail(
        file: &dyn File,
        segment_bytes: u64,
        generation: u64,
        applied_sequence: u64,
        without_missing: impl Fn(&Delta, Delta) -> Result<Delta, VolumeError>,
    ) -> Result<Tail, VolumeError> {
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
        found.retain(|record| record.sequence > applied_sequence);
        found.sort_by_key(|record| record.sequence);

        let last = found.last().map(|record| record.sequence);
        let mut tail = Tail { sequence: applied_sequence, ..Tail::default() };
        for Found { sequence, proof, payload } in found {
            // A record is written only when the one before it is durable: a gap is a write that the medium
            // reported as durable and lost.
            if sequence != tail.sequence + 1 {
                return Err(VolumeError::new(
                    ErrorKind::Corrupt,
                    format!(
                        "the journal lacks what was committed between {} and {sequence}: a write of `journal` or \
                         `map.redb` was lost",
                        tail.sequence
                    ),
                ));
            }
            let mut delta = decode_delta(&payload)?;
            if proof == Proof::Blocks && last == Some(sequence) {
                delta = without_missing(&tail.delta, delta)?;
                tail.is_proven_by_blocks = true;
            }
            tail.delta.absorb(delta);
            tail.sequence = sequence;
            tail.records += 1;
        }
        Ok(tail)
    }
}

/// A record that checks.
struct Found {
    sequence: u64,
    proof: Proof,
    payload: Vec<u8>,
}

/// Collects each record that checks and belongs to the generation. What does not check is
/// stepped over: a record behind it shows that a write was lost.
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
        found.push(Found { sequence: header.sequence, proof: header.proof, payload });
        rest = &rest[header.record_bytes()..];
    }
}
