//! The records of the journal. One record is one commit: all of it counts, or nothing.

use ashlar_volume::{VolumeError, VolumeId, VolumeSnapshotId};

use super::{
    ChecksumPage, ChunkChecksums, ChunkIndex, ChunkNumber, Fragment, LayerId, LayerRecord, LeafIndex,
    NameRecord, Reader, Writer, crc32c,
};
use crate::delta::{ChunkState, Delta, Mark};

/// Bytes of a record before its payload.
pub(crate) const RECORD_HEADER_BYTES: usize = 64;
/// Records begin at multiples of this, so that none shares a device's sector with another.
pub(crate) const RECORD_ALIGNMENT_BYTES: usize = 4096;

const MAGIC: [u8; 4] = *b"AJR1";

const _: () = assert!(RECORD_ALIGNMENT_BYTES.is_multiple_of(512));

/// What identifies a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    /// CRC32C of the header from byte 8 and of the payload.
    pub(crate) crc: u32,
    /// Bytes of the payload.
    pub(crate) payload_bytes: u32,
    /// The opening of the pool in which it was written.
    pub(crate) generation: u64,
    /// Its place in the order of all commits; without gaps within a generation.
    pub(crate) sequence: u64,
    /// What has to hold for it to count.
    pub(crate) proof: Proof,
}

/// When a record counts that is the last one of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// If it checks: the data was durable before it was written.
    Itself,
    /// If it checks and the data file holds the blocks that it maps: it was written beside them.
    Blocks {
        /// How many records before it were not durable yet, so that they need not be there.
        undecided: u32,
    },
}

impl Proof {
    /// The flags and the count of undecided records.
    const fn fields(self) -> (u32, u32) {
        match self {
            Self::Itself => (0, 0),
            Self::Blocks { undecided } => (1, undecided),
        }
    }

    const fn from_fields(flags: u32, undecided: u32) -> Option<Self> {
        match (flags, undecided) {
            (0, 0) => Some(Self::Itself),
            (1, undecided) => Some(Self::Blocks { undecided }),
            _ => None,
        }
    }
}

impl RecordHeader {
    /// Bytes that the record takes in the journal.
    pub(crate) const fn record_bytes(&self) -> usize {
        (RECORD_HEADER_BYTES + self.payload_bytes as usize).next_multiple_of(RECORD_ALIGNMENT_BYTES)
    }

    /// The last record that was durable for certain when this one was written.
    pub(crate) const fn durable_before(&self) -> u64 {
        let (_, undecided) = self.proof.fields();
        self.sequence.saturating_sub(1 + undecided as u64)
    }
}

/// A whole record, padded with zeroes.
pub(crate) fn encode_record(generation: u64, sequence: u64, proof: Proof, payload: &[u8]) -> Vec<u8> {
    let mut out = Writer::new();
    out.bytes(&MAGIC);
    out.u32(0); // the checksum, below
    out.u32(payload.len() as u32);
    let (flags, undecided) = proof.fields();
    out.u32(flags);
    out.u64(generation);
    out.u64(sequence);
    out.u32(undecided);
    out.bytes(&[0; 28]); // reserved
    out.bytes(payload);
    let mut record = out.into_vec();
    let crc = crc32c(&record[8..]);
    record[4..8].copy_from_slice(&crc.to_le_bytes());
    record.resize(record.len().next_multiple_of(RECORD_ALIGNMENT_BYTES), 0);
    record
}

/// Reads a header; `None` where no record of this format begins.
pub(crate) fn decode_record_header(bytes: &[u8; RECORD_HEADER_BYTES]) -> Option<RecordHeader> {
    let mut input = Reader::new("journal record", bytes);
    if input.bytes(4).ok()? != MAGIC {
        return None;
    }
    let crc = input.u32().ok()?;
    let payload_bytes = input.u32().ok()?;
    let flags = input.u32().ok()?;
    let (generation, sequence) = (input.u64().ok()?, input.u64().ok()?);
    let proof = Proof::from_fields(flags, input.u32().ok()?)?;
    let header = RecordHeader { crc, payload_bytes, generation, sequence, proof };
    input.zeroes(28).ok()?;
    Some(header)
}

mod tag {
    pub(super) const DROP_LEAF: u8 = 1;
    pub(super) const PUT_CHUNK: u8 = 2;
    pub(super) const ALLOCATE: u8 = 3;
    pub(super) const FREE: u8 = 4;
    pub(super) const PUT_HELD: u8 = 5;
    pub(super) const PUT_LAYER: u8 = 6;
    pub(super) const DELETE_LAYER: u8 = 7;
    pub(super) const PUT_VOLUME: u8 = 8;
    pub(super) const DELETE_VOLUME: u8 = 9;
    pub(super) const PUT_SNAPSHOT: u8 = 10;
    pub(super) const DELETE_SNAPSHOT: u8 = 11;
    pub(super) const PUT_CHECKSUMS: u8 = 12;
    pub(super) const OPEN_PAGES: u8 = 13;
    pub(super) const CLOSE_PAGES: u8 = 14;
    pub(super) const PUT_DAMAGE: u8 = 15;
}

/// The payload of a record. Dropped leaves come first: chunks put afterwards count.
pub(crate) fn encode_delta(delta: &Delta) -> Vec<u8> {
    let mut out = Writer::new();
    for (layer, leaf) in &delta.dropped_leaves {
        out.u8(tag::DROP_LEAF);
        out.u64(layer.0);
        out.u32(leaf.0);
    }
    for ((layer, chunk), fragments) in &delta.chunks {
        out.u8(tag::PUT_CHUNK);
        out.u64(layer.0);
        out.u64(chunk.0);
        out.u8(fragments.len() as u8);
        fragments.iter().for_each(|fragment| out.u64(fragment.bits()));
    }
    encode_chunk_states(delta, &mut out);
    for (layer, blocks) in &delta.held_blocks {
        out.u8(tag::PUT_HELD);
        out.u64(layer.0);
        out.u64(*blocks);
    }
    for (layer, record) in &delta.layers {
        out.u8(if record.is_some() { tag::PUT_LAYER } else { tag::DELETE_LAYER });
        out.u64(layer.0);
        record.iter().for_each(|record| out.bytes(&record.encode()));
    }
    for (name, record) in &delta.volumes {
        encode_name(&mut out, [tag::PUT_VOLUME, tag::DELETE_VOLUME], name.as_str(), record.as_ref());
    }
    for (name, record) in &delta.snapshots {
        encode_name(&mut out, [tag::PUT_SNAPSHOT, tag::DELETE_SNAPSHOT], name.as_str(), record.as_ref());
    }
    for (chunk, checksums) in &delta.checksums {
        out.u8(tag::PUT_CHECKSUMS);
        out.u64(chunk.0);
        checksums.encode(&mut out);
    }
    encode_intents(delta, &mut out);
    for (chunk, mark) in &delta.damage {
        out.u8(tag::PUT_DAMAGE);
        out.u64(chunk.0);
        out.bytes(&mark.encode());
    }
    out.into_vec()
}

/// Neighbours of one state make one run: tag, first page (u64), count (u32).
fn encode_intents(delta: &Delta, out: &mut Writer) {
    let mut intents = delta.intents.iter().map(|(page, is_open)| (*page, *is_open)).peekable();
    while let Some((first, is_open)) = intents.next() {
        let mut count = 1_u32;
        while intents.next_if_eq(&(ChecksumPage(first.0 + u64::from(count)), is_open)).is_some() {
            count += 1;
        }
        out.u8(if is_open { tag::OPEN_PAGES } else { tag::CLOSE_PAGES });
        out.u64(first.0);
        out.u32(count);
    }
}

fn encode_name(out: &mut Writer, [put, delete]: [u8; 2], name: &str, record: Option<&NameRecord>) {
    out.u8(if record.is_some() { put } else { delete });
    out.u8(name.len() as u8);
    out.bytes(name.as_bytes());
    if let Some(record) = record {
        out.bytes(&record.encode());
    }
}

/// Neighbours of one state make one run: tag, first chunk (u64), count (u32).
fn encode_chunk_states(delta: &Delta, out: &mut Writer) {
    let mut states = delta.chunk_states.iter().map(|(chunk, state)| (*chunk, *state)).peekable();
    while let Some((first, state)) = states.next() {
        let mut count = 1_u32;
        while states.next_if_eq(&(ChunkNumber(first.0 + u64::from(count)), state)).is_some() {
            count += 1;
        }
        out.u8(match state {
            ChunkState::Allocated => tag::ALLOCATE,
            ChunkState::Free => tag::FREE,
        });
        out.u64(first.0);
        out.u32(count);
    }
}

/// Reads a payload.
pub(crate) fn decode_delta(payload: &[u8]) -> Result<Delta, VolumeError> {
    let mut input = Reader::new("journal record", payload);
    let mut delta = Delta::default();
    while !input.is_empty() {
        decode_operation(&mut input, &mut delta)?;
    }
    Ok(delta)
}

fn decode_operation(input: &mut Reader<'_>, delta: &mut Delta) -> Result<(), VolumeError> {
    match input.u8()? {
        tag::DROP_LEAF => delta.drop_leaf(LayerId(input.u64()?), LeafIndex(input.u32()?)),
        tag::PUT_CHUNK => {
            let (layer, chunk) = (LayerId(input.u64()?), ChunkIndex(input.u64()?));
            let count = input.u8()?;
            let fragments =
                (0..count).map(|_| input.u64().map(Fragment::from_bits)).collect::<Result<Box<[_]>, _>>()?;
            delta.put_chunk(layer, chunk, fragments);
        }
        state @ (tag::ALLOCATE | tag::FREE) => {
            let (first, count) = (input.u64()?, input.u32()?);
            let state = if state == tag::ALLOCATE { ChunkState::Allocated } else { ChunkState::Free };
            for number in first..first.saturating_add(u64::from(count)) {
                delta.chunk_states.insert(ChunkNumber(number), state);
            }
        }
        tag::PUT_CHECKSUMS => {
            let chunk = ChunkNumber(input.u64()?);
            delta.put_checksums(chunk, &ChunkChecksums::decode(input)?);
        }
        state @ (tag::OPEN_PAGES | tag::CLOSE_PAGES) => {
            let (first, count) = (input.u64()?, input.u32()?);
            for number in first..first.saturating_add(u64::from(count)) {
                delta.intents.insert(ChecksumPage(number), state == tag::OPEN_PAGES);
            }
        }
        tag::PUT_DAMAGE => {
            let chunk = ChunkNumber(input.u64()?);
            delta.damage.insert(chunk, Mark::decode(input.bytes(Mark::ENCODED_BYTES)?)?);
        }
        tag::PUT_HELD => {
            delta.held_blocks.insert(LayerId(input.u64()?), input.u64()?);
        }
        tag::PUT_LAYER => {
            let layer = LayerId(input.u64()?);
            delta.layers.insert(layer, Some(LayerRecord::decode(input.bytes(LayerRecord::ENCODED_BYTES)?)?));
        }
        tag::DELETE_LAYER => {
            delta.layers.insert(LayerId(input.u64()?), None);
        }
        put @ (tag::PUT_VOLUME | tag::DELETE_VOLUME) => {
            let name = VolumeId::new(decode_name(input)?)?;
            let record = (put == tag::PUT_VOLUME).then(|| decode_name_record(input)).transpose()?;
            delta.volumes.insert(name, record);
        }
        put @ (tag::PUT_SNAPSHOT | tag::DELETE_SNAPSHOT) => {
            let name = VolumeSnapshotId::new(decode_name(input)?)?;
            let record = (put == tag::PUT_SNAPSHOT).then(|| decode_name_record(input)).transpose()?;
            delta.snapshots.insert(name, record);
        }
        _ => return Err(input.error("an operation is unknown: a newer build wrote it")),
    }
    Ok(())
}

fn decode_name<'a>(input: &mut Reader<'a>) -> Result<&'a str, VolumeError> {
    let length = usize::from(input.u8()?);
    let bytes = input.bytes(length)?;
    std::str::from_utf8(bytes).map_err(|_| input.error("a name is not text"))
}

fn decode_name_record(input: &mut Reader<'_>) -> Result<NameRecord, VolumeError> {
    NameRecord::decode(input.bytes(NameRecord::ENCODED_BYTES)?)
}
