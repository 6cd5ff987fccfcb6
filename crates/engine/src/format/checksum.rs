//! Checksums of blocks: CRC32C of the 4096 bytes that the data file holds for a block.

use ashlar_volume::{BLOCK_BYTES, VolumeError};

use super::{BLOCKS_PER_CHUNK, ChunkIndex, ChunkNumber, Reader, Writer, crc32c};
use crate::delta::Mark;

/// Chunks whose checksums one value of the map holds, and the unit of a write intent: 3.75 MiB of the data file. A
/// value of this size fits a page of the map's store.
pub(crate) const CHUNKS_PER_CHECKSUM_PAGE: u64 = 60;
/// Blocks whose checksums one value of the map holds.
pub(crate) const BLOCKS_PER_CHECKSUM_PAGE: usize = (CHUNKS_PER_CHECKSUM_PAGE * BLOCKS_PER_CHUNK) as usize;

/// A run of 60 chunks of the data file, the first at chunk `number * 60`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ChecksumPage(pub(crate) u64);

impl ChecksumPage {
    /// The page of a chunk.
    pub(crate) const fn of(chunk: ChunkNumber) -> Self {
        Self(chunk.0 / CHUNKS_PER_CHECKSUM_PAGE)
    }

    /// Its first chunk.
    pub(crate) const fn first_chunk(self) -> ChunkNumber {
        ChunkNumber(self.0 * CHUNKS_PER_CHECKSUM_PAGE)
    }

    /// Where it begins in the data file.
    pub(crate) const fn offset_bytes(self) -> u64 {
        self.first_chunk().offset_bytes()
    }
}

/// The checksums of all blocks of a page, in order. Those of blocks that nobody refers to mean nothing.
pub(crate) type StoredChecksums = [u32; BLOCKS_PER_CHECKSUM_PAGE];

pub(crate) fn encode_checksums(sums: &StoredChecksums) -> Vec<u8> {
    sums.iter().flat_map(|sum| sum.to_le_bytes()).collect()
}

pub(crate) fn decode_checksums(bytes: &[u8]) -> Result<Box<StoredChecksums>, VolumeError> {
    let mut sums = Box::new([0; BLOCKS_PER_CHECKSUM_PAGE]);
    let mut input = Reader::new("page of checksums", bytes);
    for sum in sums.iter_mut() {
        *sum = input.u32()?;
    }
    input.end()?;
    Ok(sums)
}

/// Checksums of some blocks of one chunk of the data file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ChunkChecksums {
    mask: u16,
    sums: [u32; BLOCKS_PER_CHUNK as usize],
}

impl ChunkChecksums {
    /// The checksum of a block of the chunk is `sum`.
    pub(crate) const fn set(&mut self, block: u64, sum: u32) {
        self.mask |= 1 << block;
        self.sums[block as usize] = sum;
    }

    /// Later checksums replace those of the same blocks.
    pub(crate) fn absorb(&mut self, later: &Self) {
        later.iter().for_each(|(block, sum)| self.set(block, sum));
    }

    /// The blocks that have one, with it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        (0..BLOCKS_PER_CHUNK)
            .filter(|block| self.mask >> block & 1 == 1)
            .map(|block| (block, self.sums[block as usize]))
    }

    /// Runs of blocks that have one: where each begins, and how many it has.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (u64, u64)> + use<> {
        let mut rest = u32::from(self.mask);
        std::iter::from_fn(move || {
            (rest != 0).then(|| {
                let first = rest.trailing_zeros();
                let count = (rest >> first).trailing_ones();
                rest &= !(((1 << count) - 1) << first);
                (u64::from(first), u64::from(count))
            })
        })
    }

    pub(super) fn encode(&self, out: &mut Writer) {
        out.u16(self.mask);
        self.iter().for_each(|(_, sum)| out.u32(sum));
    }

    pub(super) fn decode(input: &mut Reader<'_>) -> Result<Self, VolumeError> {
        let mut checksums = Self::default();
        let mask = input.u16()?;
        for block in (0..BLOCKS_PER_CHUNK).filter(|block| mask >> block & 1 == 1) {
            checksums.set(block, input.u32()?);
        }
        Ok(checksums)
    }
}

/// The checksum of a block of zeroes.
pub(crate) fn zero_block_checksum() -> u32 {
    static ZEROES: [u8; BLOCK_BYTES as usize] = [0; BLOCK_BYTES as usize];
    crc32c(&ZEROES)
}

impl Mark {
    pub(crate) const ENCODED_BYTES: usize = 10;

    /// The blocks (u16), the chunk of the volume (u64).
    pub(crate) fn encode(self) -> [u8; Self::ENCODED_BYTES] {
        let mut out = Writer::new();
        out.u16(self.mask);
        out.u64(self.index.0);
        out.into_array()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, VolumeError> {
        let mut input = Reader::new("mark of damaged blocks", bytes);
        let mark = Self { mask: input.u16()?, index: ChunkIndex(input.u64()?) };
        input.end()?;
        Ok(mark)
    }
}
