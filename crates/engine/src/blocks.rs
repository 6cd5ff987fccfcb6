//! The way of a block's bytes to the data file and back: the one place where they are checksummed and verified.
//!
//! What is checksummed is what the file holds: of an encrypted volume the encrypted bytes. A block and its checksum are changed together under the lock of
//! its chunk; a reader takes no lock, and only where the two do not match does it look again under it, so that
//! a write that is under way is never taken for damage.

use std::borrow::Cow;
use std::cell::Cell;
use std::io;

use ashlar_volume::{BLOCK_BYTES, VolumeError};

use crate::checksums::HeldPage;
use crate::cipher::BlockCipher;
use crate::core::Core;
use crate::format::{
    CHUNK_BYTES, CHUNKS_PER_CHECKSUM_PAGE, ChecksumPage, ChunkNumber, Fragment, crc32c, zero_block_checksum,
};

const PAGE_DATA_BYTES: u64 = CHUNKS_PER_CHECKSUM_PAGE * CHUNK_BYTES;

/// Bytes that are encrypted before they are written: few enough to stay in the processor's cache. 64 KiB.
const ENCRYPTED_AT_ONCE_BYTES: usize = 64 << 10;

/// What a volume's blocks are encrypted with, if they are.
pub(crate) type Cipher<'a> = Option<&'a BlockCipher>;

/// Where whole blocks lie that follow each other in the volume and in the data file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// The first block, counted from the volume's beginning.
    pub(crate) block: u64,
    /// Where it lies in the data file.
    pub(crate) offset_bytes: u64,
}

impl Span {
    /// The place `bytes` further on.
    const fn after(self, bytes: u64) -> Self {
        Self { block: self.block + bytes / BLOCK_BYTES, offset_bytes: self.offset_bytes + bytes }
    }

    pub(crate) const fn page(self) -> ChecksumPage {
        ChecksumPage::of(ChunkNumber(self.offset_bytes / CHUNK_BYTES))
    }

    /// The last of the blocks that so many bytes are.
    pub(crate) const fn last(self, bytes: usize) -> Self {
        self.after((bytes as u64).saturating_sub(BLOCK_BYTES))
    }
}

/// Why blocks could not be read or written.
#[derive(Debug)]
pub(crate) enum BlockError {
    /// The medium refused to give bytes back.
    Read(io::Error),
    /// The medium refused a change.
    Write(io::Error),
    /// The bytes are not those that were written.
    Damaged(Span),
    /// The checksums could not be had.
    Metadata(VolumeError),
    /// The page has no write intent (any more). Nothing of it was changed.
    IsClosed(ChecksumPage),
}

impl From<VolumeError> for BlockError {
    fn from(error: VolumeError) -> Self {
        Self::Metadata(error)
    }
}

/// Cuts a range of whole blocks where pages of checksums end: the parts' beginnings and ends in the buffer.
fn page_parts(span: Span, length: usize) -> impl Iterator<Item = (Span, std::ops::Range<usize>)> {
    let mut next = 0;
    std::iter::from_fn(move || {
        (next < length).then(|| {
            let part = span.after(next as u64);
            let rest = PAGE_DATA_BYTES - part.offset_bytes % PAGE_DATA_BYTES;
            let end = length.min(next + rest as usize);
            let range = next..end;
            next = end;
            (part, range)
        })
    })
}

fn blocks(bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    bytes.chunks_exact(BLOCK_BYTES as usize).enumerate().map(|(at, block)| (at as u64 * BLOCK_BYTES, block))
}

/// The first block of the part that does not match its checksum, or of which none is known.
fn first_mismatch(page: &HeldPage<'_>, span: Span, bytes: &[u8]) -> Option<u64> {
    blocks(bytes)
        .find(|(at, block)| page.get(span.offset_bytes + at) != Some(crc32c(block)))
        .map(|(at, _)| at)
}

thread_local! {
    /// Where the thread encrypts what it writes. Kept for its memory, and nothing secret.
    static STORED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Hands over the bytes as the file holds them, in pieces if they have to be encrypted.
fn as_stored(
    cipher: Cipher<'_>,
    span: Span,
    bytes: &[u8],
    mut write: impl FnMut(Span, &[u8]) -> Result<(), BlockError>,
) -> Result<(), BlockError> {
    let Some(cipher) = cipher else { return write(span, bytes) };
    let mut memory = STORED.take();
    memory.resize(memory.len().max(bytes.len().min(ENCRYPTED_AT_ONCE_BYTES)), 0);
    let mut steps = bytes.chunks(ENCRYPTED_AT_ONCE_BYTES).zip((0..).step_by(ENCRYPTED_AT_ONCE_BYTES));
    let result = steps.try_for_each(|(step, done)| {
        let (span, stored) = (span.after(done), &mut memory[..step.len()]);
        cipher.encrypt_into(span.block, step, stored);
        write(span, stored)
    });
    STORED.set(memory);
    result
}

impl Core {
    /// Fills the buffer with whole blocks, each as it was written last.
    pub(crate) fn read_blocks(
        &self,
        cipher: Cipher<'_>,
        span: Span,
        into: &mut [u8],
    ) -> Result<(), BlockError> {
        self.data.read_at(span.offset_bytes, into).map_err(BlockError::Read)?;
        self.verify_read(cipher, span, into)
    }

    /// The second half of [`read_blocks`](Self::read_blocks): verifies what the file has given, and decrypts it.
    pub(crate) fn verify_read(
        &self,
        cipher: Cipher<'_>,
        span: Span,
        into: &mut [u8],
    ) -> Result<(), BlockError> {
        for (part, range) in page_parts(span, into.len()) {
            self.verify_part(part, &mut into[range])?;
        }
        if let Some(cipher) = cipher {
            cipher.decrypt(span.block, into);
        }
        Ok(())
    }

    fn verify_part(&self, span: Span, bytes: &mut [u8]) -> Result<(), BlockError> {
        let page = self.page(span.page())?;
        let mut from = 0;
        while let Some(at) = first_mismatch(&page, span.after(from), &bytes[from as usize..]) {
            let at = from + at;
            let block = &mut bytes[at as usize..(at + BLOCK_BYTES) as usize];
            self.read_locked(&page, span.after(at), block)?;
            from = at + BLOCK_BYTES;
        }
        Ok(())
    }

    /// Reads a block while nobody can be changing it.
    fn read_locked(&self, page: &HeldPage<'_>, span: Span, block: &mut [u8]) -> Result<(), BlockError> {
        let _nobody_writes = self.checksums.lock_chunks(span.offset_bytes, BLOCK_BYTES);
        self.read_locked_already(page, span, block)
    }

    fn read_locked_already(
        &self,
        page: &HeldPage<'_>,
        span: Span,
        block: &mut [u8],
    ) -> Result<(), BlockError> {
        self.data.read_at(span.offset_bytes, block).map_err(BlockError::Read)?;
        let sum = crc32c(block);
        if page.get_or_adopt(span.offset_bytes, sum) == sum {
            return Ok(());
        }
        Err(BlockError::Damaged(span))
    }

    /// Like [`read_blocks`](Self::read_blocks) if everything is in memory; otherwise `false`. What does not match is left
    /// to it, too.
    pub(crate) fn try_read_blocks(
        &self,
        cipher: Cipher<'_>,
        span: Span,
        into: &mut [u8],
    ) -> Result<bool, BlockError> {
        for (part, range) in page_parts(span, into.len()) {
            // Before the data: what could not be verified would be read in vain.
            let Some(page) = self.try_page(part.page()) else { return Ok(false) };
            let into = &mut into[range];
            if !self.data.try_read_at(part.offset_bytes, into).map_err(BlockError::Read)?
                || first_mismatch(&page, part, into).is_some()
            {
                return Ok(false);
            }
        }
        if let Some(cipher) = cipher {
            cipher.decrypt(span.block, into);
        }
        Ok(true)
    }

    /// Whether the checksums of the blocks are in memory.
    pub(crate) fn has_checksums(&self, span: Span, length: usize) -> bool {
        page_parts(span, length).all(|(part, _)| self.try_page(part.page()).is_some())
    }

    /// Like [`verify_read`](Self::verify_read) if it can be done without waiting and everything matches; otherwise `false`.
    pub(crate) fn try_verify_read(&self, cipher: Cipher<'_>, span: Span, into: &mut [u8]) -> bool {
        let matches = |(part, range): (Span, std::ops::Range<usize>)| {
            self.try_page(part.page()).is_some_and(|page| first_mismatch(&page, part, &into[range]).is_none())
        };
        if !page_parts(span, into.len()).all(matches) {
            return false;
        }
        if let Some(cipher) = cipher {
            cipher.decrypt(span.block, into);
        }
        true
    }

    /// Whether a block matches its checksum now. For a scrub.
    pub(crate) fn verify_blocks(&self, span: Span, buffer: &mut [u8]) -> Result<Vec<Span>, BlockError> {
        let mut damaged = Vec::new();
        let read = self.data.read_at(span.offset_bytes, buffer);
        for (part, range) in page_parts(span, buffer.len()) {
            let page = self.page(part.page())?;
            for (at, block) in buffer[range].chunks_exact_mut(BLOCK_BYTES as usize).enumerate() {
                let place = part.after(at as u64 * BLOCK_BYTES);
                if read.is_ok() && page.get(place.offset_bytes) == Some(crc32c(block)) {
                    continue;
                }
                match self.read_locked(&page, place, block) {
                    Ok(()) => {}
                    Err(BlockError::Damaged(span)) => damaged.push(span),
                    // A sector that cannot be read is as lost as one that reads wrongly.
                    Err(BlockError::Read(_)) => damaged.push(place),
                    Err(other) => return Err(other),
                }
            }
        }
        Ok(damaged)
    }

    /// Writes whole blocks in place over blocks that the metadata refers to. `IsClosed`: open the page, then try again;
    /// blocks of earlier pages may be written already.
    pub(crate) fn overwrite_blocks(
        &self,
        cipher: Cipher<'_>,
        span: Span,
        bytes: &[u8],
    ) -> Result<(), BlockError> {
        for (part, range) in page_parts(span, bytes.len()) {
            let page = self.page(part.page())?;
            if !page.is_open() {
                return Err(BlockError::IsClosed(part.page()));
            }
            as_stored(cipher, part, &bytes[range], |part, stored| {
                let _nobody_else_writes = self.checksums.lock_chunks(part.offset_bytes, stored.len() as u64);
                self.write_open(&page, part, stored)
            })?;
        }
        Ok(())
    }

    /// The page is open, and the chunks are locked.
    fn write_open(&self, page: &HeldPage<'_>, span: Span, bytes: &[u8]) -> Result<(), BlockError> {
        let written = self.data.write_at(span.offset_bytes, bytes);
        self.mark_data_dirty(bytes.len() as u64);
        if let Err(error) = written {
            self.settle_failed_write(page, span, blocks(bytes).map(|(_, block)| crc32c(block)));
            return Err(BlockError::Write(error));
        }
        for (at, block) in blocks(bytes) {
            page.set_in_place(span.offset_bytes + at, crc32c(block));
        }
        self.damage.forget(self, span, bytes.len() as u64);
        Ok(())
    }

    /// Writes whole blocks to places that nothing refers to yet and that do not overlap, all at once; answers the checksums of
    /// each part.
    pub(crate) fn write_new_parts<'a>(
        &self,
        cipher: Cipher<'_>,
        spans: impl Iterator<Item = (Span, &'a [u8])>,
    ) -> io::Result<Vec<Vec<u32>>> {
        let stored: Vec<(u64, Cow<'_, [u8]>)> = spans
            .map(|(span, bytes)| {
                let bytes = cipher.map_or(Cow::Borrowed(bytes), |cipher| {
                    let mut stored = vec![0; bytes.len()];
                    cipher.encrypt_into(span.block, bytes, &mut stored);
                    Cow::Owned(stored)
                });
                (span.offset_bytes, bytes)
            })
            .collect();
        let parts: Vec<(u64, &[u8])> = stored.iter().map(|(at, bytes)| (*at, &**bytes)).collect();
        let written = self.data.write_parts(&parts);
        self.mark_data_dirty(parts.iter().map(|(_, bytes)| bytes.len() as u64).sum());
        written?;
        let sums = |bytes: &[u8]| bytes.chunks_exact(BLOCK_BYTES as usize).map(crc32c).collect();
        Ok(parts.into_iter().map(|(_, bytes)| sums(bytes)).collect())
    }

    /// After a write that failed: blocks that have arrived as a whole get their new checksum of `sums`, others keep the old one.
    pub(crate) fn settle_failed_write(
        &self,
        page: &HeldPage<'_>,
        span: Span,
        sums: impl Iterator<Item = u32>,
    ) {
        let mut now = [0; BLOCK_BYTES as usize];
        for (at, sum) in (span.offset_bytes..).step_by(BLOCK_BYTES as usize).zip(sums) {
            if self.data.read_at(at, &mut now).is_ok() && crc32c(&now) == sum {
                page.set_in_place(at, sum);
            }
        }
    }

    /// Changes a part of a block in place. What it is merged with is verified first.
    pub(crate) fn overwrite_part(
        &self,
        cipher: Cipher<'_>,
        span: Span,
        within: usize,
        bytes: &[u8],
    ) -> Result<(), BlockError> {
        let page = self.page(span.page())?;
        if !page.is_open() {
            return Err(BlockError::IsClosed(span.page()));
        }
        let _nobody_else_writes = self.checksums.lock_chunks(span.offset_bytes, BLOCK_BYTES);
        let mut block = [0; BLOCK_BYTES as usize];
        self.read_locked_already(&page, span, &mut block)?;
        if let Some(cipher) = cipher {
            cipher.decrypt(span.block, &mut block);
        }
        block[within..within + bytes.len()].copy_from_slice(bytes);
        as_stored(cipher, span, &block, |span, stored| self.write_open(&page, span, stored))
    }

    /// Writes whole blocks to a place that nothing refers to yet; answers the checksum of each.
    pub(crate) fn write_new_blocks(
        &self,
        cipher: Cipher<'_>,
        span: Span,
        bytes: &[u8],
    ) -> Result<Vec<u32>, BlockError> {
        let mut sums = Vec::with_capacity(bytes.len() / BLOCK_BYTES as usize);
        as_stored(cipher, span, bytes, |span, stored| {
            let written = self.data.write_at(span.offset_bytes, stored);
            self.mark_data_dirty(stored.len() as u64);
            written.map_err(BlockError::Write)?;
            sums.extend(blocks(stored).map(|(_, block)| crc32c(block)));
            Ok(())
        })?;
        Ok(sums)
    }

    /// Punches blocks that the metadata still refers to: until that changes they read as zeroes. `IsClosed` as above.
    pub(crate) fn punch_in_place(&self, blocks: Fragment) -> Result<(), BlockError> {
        let page_number = ChecksumPage::of(blocks.chunk());
        let page = self.page(page_number)?;
        if !page.is_open() {
            return Err(BlockError::IsClosed(page_number));
        }
        let start = blocks.chunk().offset_bytes();
        let _nobody_else_writes = self.checksums.lock_chunks(start, BLOCK_BYTES);
        let punched = self.punch_blocks(blocks);
        self.mark_data_dirty(0);
        punched.map_err(BlockError::Write)?;
        let zeroes = zero_block_checksum();
        for block in (0..u64::from(u16::BITS)).filter(|block| blocks.mask() >> block & 1 == 1) {
            page.set_in_place(start + block * BLOCK_BYTES, zeroes);
        }
        Ok(())
    }
}
