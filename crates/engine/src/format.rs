//! Every byte that the engine puts on the disk: the one authority in code. `FORMAT.md` says the same in prose.
//!
//! All numbers are little-endian. Nothing here does I/O.

use ashlar_volume::{BLOCK_BYTES, ErrorKind, VolumeError};

mod checksum;
mod codec;
mod key;
mod leaf;
mod record;
mod seal;
#[cfg(test)]
mod tests;

use codec::{Reader, Writer};

pub(crate) use checksum::{
    BLOCKS_PER_CHECKSUM_PAGE, CHUNKS_PER_CHECKSUM_PAGE, ChecksumPage, ChunkChecksums, StoredChecksums,
    decode_checksums, encode_checksums, zero_block_checksum,
};
pub(crate) use key::{DataKeyId, KEY_SLOT_BYTES, KeySlot, WRAPPED_KEY_BYTES_MAX};
pub(crate) use leaf::{LEAVES_PER_DIRECTORY, LeafChunks, LeafDirectory, decode_leaf, encode_leaf};
pub(crate) use record::{
    Proof, RECORD_ALIGNMENT_BYTES, RECORD_HEADER_BYTES, RecordHeader, decode_delta, decode_record_header,
    encode_delta, encode_record,
};

pub(crate) use seal::{Table, seal, sealed_checksum, unseal};

/// The version of the whole format, which every opening writes.
pub(crate) const FORMAT_VERSION: u32 = 5;
/// The oldest version that is read. It differs in that no record is proven by its blocks, and no page of the map has a
/// checksum outside of it.
const FORMAT_VERSION_READ_MIN: u32 = 2;

/// The unit of allocation in the data file.
pub(crate) const CHUNK_BYTES: u64 = 64 * 1024;
/// Blocks in a chunk: the bits of a fragment's mask.
pub(crate) const BLOCKS_PER_CHUNK: u64 = CHUNK_BYTES / BLOCK_BYTES;
/// Chunks that one leaf of a layer's map describes.
pub(crate) const CHUNKS_PER_LEAF: u64 = 512;
/// Bytes of a volume that one leaf describes: 32 MiB.
pub(crate) const LEAF_BYTES: u64 = CHUNKS_PER_LEAF * CHUNK_BYTES;
/// Chunks that one value of the allocation table describes.
pub(crate) const CHUNKS_PER_ALLOCATION_SEGMENT: u64 = 4096 * 8;
/// The largest size of a volume: what 2^26 leaves describe, 2 PiB.
pub(crate) const VOLUME_BYTES_MAX: u64 = LEAF_BYTES << 26;

const CHUNK_NUMBER_BITS: u32 = 48;

const _: () = assert!(BLOCKS_PER_CHUNK == u16::BITS as u64, "a mask has one bit for each block of a chunk");
const _: () = assert!(CHUNK_NUMBER_BITS + u16::BITS == u64::BITS, "a fragment is a number and a mask");

/// A layer of a pool. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LayerId(pub(crate) u64);

/// A chunk of the data file: the chunk at byte `number * CHUNK_BYTES`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ChunkNumber(pub(crate) u64);

impl ChunkNumber {
    /// Stands for explicit zeroes in a fragment; no chunk of the file has this number.
    pub(crate) const ZEROES: Self = Self((1 << CHUNK_NUMBER_BITS) - 1);

    /// Where the chunk begins in the data file.
    pub(crate) const fn offset_bytes(self) -> u64 {
        self.0 * CHUNK_BYTES
    }
}

/// A chunk of a volume: bytes `index * CHUNK_BYTES` onwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ChunkIndex(pub(crate) u64);

impl ChunkIndex {
    /// The leaf that describes this chunk.
    pub(crate) const fn leaf(self) -> LeafIndex {
        LeafIndex((self.0 / CHUNKS_PER_LEAF) as u32)
    }

    /// The chunk's place in its leaf.
    pub(crate) const fn slot(self) -> u16 {
        (self.0 % CHUNKS_PER_LEAF) as u16
    }
}

/// A leaf of a layer's map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LeafIndex(pub(crate) u32);

impl LeafIndex {
    /// The chunk in a slot of this leaf.
    pub(crate) const fn chunk(self, slot: u16) -> ChunkIndex {
        ChunkIndex(self.0 as u64 * CHUNKS_PER_LEAF + slot as u64)
    }

    /// The number in its volume of a block that is counted from the leaf's beginning.
    pub(crate) const fn block_of_volume(self, block: u64) -> u64 {
        self.0 as u64 * (LEAF_BYTES / BLOCK_BYTES) + block
    }
}

/// Some of the blocks of a volume's chunk, and the chunk of the file in which they lie, each at the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Fragment(u64);

impl Fragment {
    /// The blocks of `mask` lie in `chunk`.
    pub(crate) const fn new(chunk: ChunkNumber, mask: u16) -> Self {
        Self(chunk.0 << u16::BITS | mask as u64)
    }

    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    pub(crate) const fn chunk(self) -> ChunkNumber {
        ChunkNumber(self.0 >> u16::BITS)
    }

    pub(crate) const fn mask(self) -> u16 {
        self.0 as u16
    }

    /// Whether the blocks are explicit zeroes, which take no space.
    pub(crate) const fn is_zeroes(self) -> bool {
        self.chunk().0 == ChunkNumber::ZEROES.0
    }

    /// The same chunk with another mask.
    pub(crate) const fn with_mask(self, mask: u16) -> Self {
        Self::new(self.chunk(), mask)
    }
}

/// What is stored of a volume or a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NameRecord {
    /// The size that users see.
    pub(crate) size_bytes: u64,
    /// A volume's top layer; the layer that a snapshot froze.
    pub(crate) layer: LayerId,
}

impl NameRecord {
    pub(crate) const ENCODED_BYTES: usize = 20;

    pub(crate) fn encode(self) -> [u8; Self::ENCODED_BYTES] {
        let mut out = Writer::new();
        out.u64(self.size_bytes);
        out.u64(self.layer.0);
        out.u32(0); // flags: none yet
        out.into_array()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, VolumeError> {
        let mut input = Reader::new("volume or snapshot", bytes);
        let record = Self { size_bytes: input.u64()?, layer: LayerId(input.u64()?) };
        input.zeroes(4)?;
        input.end()?;
        Ok(record)
    }
}

/// What is stored of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LayerRecord {
    /// The layer in which blocks are found that this one lacks.
    pub(crate) parent: Option<LayerId>,
    /// What the layer's blocks are encrypted with, if they are. The parent's is the same.
    pub(crate) data_key: Option<DataKeyId>,
}

impl LayerRecord {
    pub(crate) const ENCODED_BYTES: usize = 20;
    /// Layer ids begin at 1, so 0 can say "none".
    const NO_PARENT: u64 = 0;
    const NOT_ENCRYPTED: u64 = 0;

    pub(crate) fn encode(self) -> [u8; Self::ENCODED_BYTES] {
        let mut out = Writer::new();
        out.u64(self.parent.map_or(Self::NO_PARENT, |parent| parent.0));
        out.u64(self.data_key.map_or(Self::NOT_ENCRYPTED, |key| key.0.get()));
        out.u32(0); // flags: none yet
        out.into_array()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, VolumeError> {
        let mut input = Reader::new("layer", bytes);
        let parent = input.u64()?;
        let data_key = DataKeyId::new(input.u64()?);
        input.zeroes(4)?;
        input.end()?;
        Ok(Self { parent: (parent != Self::NO_PARENT).then_some(LayerId(parent)), data_key })
    }
}

/// The state of the pool as a whole, stored with each checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Superblock {
    /// Counts openings. Only journal records of this generation belong to the checkpoint.
    pub(crate) generation: u64,
    /// The last journal record that the checkpoint contains.
    pub(crate) applied_sequence: u64,
    /// The id for the next new layer.
    pub(crate) next_layer: LayerId,
    /// Bytes of one of the journal's two segments.
    pub(crate) journal_segment_bytes: u64,
    /// Whether the pool was closed with no space left to find again.
    pub(crate) is_clean: bool,
    /// The checksums of all values of the small tables, each exclusive-or the others: a value that is missing, or
    /// older than the checkpoint, gives another number.
    pub(crate) digest: u32,
}

impl Superblock {
    pub(crate) const ENCODED_BYTES: usize = 64;
    const MAGIC: [u8; 8] = *b"ASHLARPL";

    pub(crate) fn encode(self) -> [u8; Self::ENCODED_BYTES] {
        let mut out = Writer::new();
        out.bytes(&Self::MAGIC);
        out.u32(FORMAT_VERSION);
        out.u32(u32::from(self.is_clean));
        out.u32(CHUNK_BYTES as u32);
        out.u32(BLOCK_BYTES as u32);
        out.u64(self.generation);
        out.u64(self.applied_sequence);
        out.u64(self.next_layer.0);
        out.u64(self.journal_segment_bytes);
        out.u32(self.digest);
        let mut bytes = out.into_vec();
        bytes.extend_from_slice(&crc32c(&bytes).to_le_bytes());
        let mut array = [0; Self::ENCODED_BYTES];
        array.copy_from_slice(&bytes);
        array
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, VolumeError> {
        let mut input = Reader::new("superblock", bytes);
        if input.bytes(8)? != Self::MAGIC {
            return Err(input.error("this is not the map of a pool"));
        }
        let version = input.u32()?;
        if version < FORMAT_VERSION_READ_MIN {
            return Err(VolumeError::new(
                ErrorKind::Corrupt,
                format!(
                    "the pool has format {version}, without checksums of its blocks; this build knows format \
                     {FORMAT_VERSION}: serve the pool with the build that wrote it and copy its disks into a new one"
                ),
            ));
        }
        if version > FORMAT_VERSION {
            return Err(VolumeError::new(
                ErrorKind::Corrupt,
                format!(
                    "the pool has format {version}; this build knows format {FORMAT_VERSION}: use the build that wrote it"
                ),
            ));
        }
        let intact =
            bytes.split_last_chunk().is_some_and(|(fields, crc)| crc32c(fields).to_le_bytes() == *crc);
        if !intact {
            return Err(input.error("its bytes do not match their checksum"));
        }
        let flags = input.u32()?;
        let (chunk_bytes, block_bytes) = (input.u32()?, input.u32()?);
        if flags > 1 || u64::from(chunk_bytes) != CHUNK_BYTES || u64::from(block_bytes) != BLOCK_BYTES {
            return Err(input.error("unknown flags or unit sizes"));
        }
        let superblock = Self {
            generation: input.u64()?,
            applied_sequence: input.u64()?,
            next_layer: LayerId(input.u64()?),
            journal_segment_bytes: input.u64()?,
            is_clean: flags == 1,
            digest: input.u32()?,
        };
        input.bytes(4)?; // the checksum, verified above
        input.end()?;
        Ok(superblock)
    }
}

/// CRC32C (Castagnoli), as in iSCSI.
pub(crate) fn crc32c(data: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(data)
}
