//! Reading, and describing what there is to read.

use ashlar_volume::{BLOCK_BYTES, ErrorKind, Extent, ExtentKind, ReadAttempt, VolumeError};
use parking_lot::RwLockWriteGuard;

use super::{OpenVolume, Piece, Shape, leaf_pieces};
use crate::format::LEAF_BYTES;
use crate::leaf::{Place, ResolvedLeaf, Run, runs};

/// A description of a range ends after this many bytes, so that it never takes long. 32 GiB.
const DESCRIBED_BYTES_MAX: u64 = 1024 * LEAF_BYTES;

impl OpenVolume {
    pub(crate) fn read(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), VolumeError> {
        self.check_range(offset_bytes, buffer.len() as u64)?;
        let shape = self.shape.read();
        for piece in leaf_pieces(offset_bytes, buffer.len() as u64) {
            let into = &mut buffer[piece.buffer_start..piece.buffer_start + piece.length()];
            self.with_leaf(&shape, piece, |leaf| self.read_piece(leaf, piece, into))??;
        }
        Ok(())
    }

    pub(crate) fn try_read(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<ReadAttempt, VolumeError> {
        self.check_range(offset_bytes, buffer.len() as u64)?;
        let Some(shape) = self.shape.try_read() else { return Ok(ReadAttempt::WouldWait) };
        for piece in leaf_pieces(offset_bytes, buffer.len() as u64) {
            let slot = shape.slot(piece.leaf);
            let Some(guard) = slot.leaf.try_read() else { return Ok(ReadAttempt::WouldWait) };
            let Some(leaf) = guard.as_deref() else { return Ok(ReadAttempt::WouldWait) };
            slot.mark_used();
            let into = &mut buffer[piece.buffer_start..piece.buffer_start + piece.length()];
            if !self.try_read_piece(leaf, piece, into)? {
                return Ok(ReadAttempt::WouldWait);
            }
        }
        Ok(ReadAttempt::Done)
    }

    pub(crate) fn extents(
        &self,
        offset_bytes: u64,
        length_bytes: u64,
        extents_max: usize,
    ) -> Result<Vec<Extent>, VolumeError> {
        self.check_range(offset_bytes, length_bytes)?;
        if extents_max == 0 {
            return Err(VolumeError::new(ErrorKind::InvalidArgument, "extents_max 0: expected at least 1"));
        }
        let shape = self.shape.read();
        let mut extents: Vec<Extent> = Vec::new();
        for piece in leaf_pieces(offset_bytes, length_bytes.min(DESCRIBED_BYTES_MAX)) {
            let is_full =
                self.with_leaf(&shape, piece, |leaf| describe_piece(leaf, piece, &mut extents, extents_max))?;
            if is_full {
                break;
            }
        }
        Ok(extents)
    }

    /// Runs `body` with the leaf held shared.
    fn with_leaf<T>(
        &self,
        shape: &Shape,
        piece: Piece,
        body: impl FnOnce(&ResolvedLeaf) -> T,
    ) -> Result<T, VolumeError> {
        let slot = shape.slot(piece.leaf);
        slot.mark_used();
        {
            let guard = slot.leaf.read();
            if let Some(leaf) = guard.as_deref() {
                return Ok(body(leaf));
            }
        }
        let mut guard = slot.leaf.write();
        self.load(shape, piece.leaf, &mut guard)?;
        let guard = RwLockWriteGuard::downgrade(guard);
        // Loaded above, and nobody came in between.
        guard.as_deref().map(body).ok_or_else(|| VolumeError::new(ErrorKind::Corrupt, "a leaf vanished"))
    }

    fn read_piece(&self, leaf: &ResolvedLeaf, piece: Piece, into: &mut [u8]) -> Result<(), VolumeError> {
        let fetch = |offset, into: &mut [u8]| self.read_data(offset, into).map(|()| true);
        self.read_parts(leaf, piece, into, &fetch).map(drop)
    }

    fn try_read_piece(
        &self,
        leaf: &ResolvedLeaf,
        piece: Piece,
        into: &mut [u8],
    ) -> Result<bool, VolumeError> {
        let fetch = |offset, into: &mut [u8]| {
            let attempt = self.core.data.try_read_at(offset, into);
            attempt.map_err(|error| VolumeError::io(format!("read `{}`", self.name), error))
        };
        self.read_parts(leaf, piece, into, &fetch)
    }

    /// Reads a piece; of encrypted blocks that it covers in part the whole, because only that can be decrypted.
    fn read_parts(
        &self,
        leaf: &ResolvedLeaf,
        piece: Piece,
        into: &mut [u8],
        fetch: &impl Fn(u64, &mut [u8]) -> Result<bool, VolumeError>,
    ) -> Result<bool, VolumeError> {
        if self.cipher.is_none() || piece.is_aligned() {
            return self.read_runs(leaf, piece, into, fetch);
        }
        for part in piece.split_at_partial_blocks() {
            let into = &mut into[part.buffer_start..part.buffer_start + part.length()];
            if part.is_aligned() {
                if !self.read_runs(leaf, part, into, fetch)? {
                    return Ok(false);
                }
                continue;
            }
            let mut block = [0; BLOCK_BYTES as usize];
            if !self.read_runs(leaf, part.whole_block(), &mut block, fetch)? {
                return Ok(false);
            }
            let at = (part.start % BLOCK_BYTES) as usize;
            into.copy_from_slice(&block[at..at + part.length()]);
        }
        Ok(true)
    }

    /// Reads a piece, which has whole blocks only if the volume is encrypted; `false` where `fetch` says so.
    fn read_runs(
        &self,
        leaf: &ResolvedLeaf,
        piece: Piece,
        into: &mut [u8],
        fetch: &impl Fn(u64, &mut [u8]) -> Result<bool, VolumeError>,
    ) -> Result<bool, VolumeError> {
        for run in runs(piece.first_block(), piece.end_block(), |block| leaf.place(block)) {
            let (part, skipped) = run_part(run, piece);
            match run.place {
                Place::Hole => into[part].fill(0),
                Place::At(offset) => {
                    let into = &mut into[part];
                    if !fetch(offset + skipped, into)? {
                        return Ok(false);
                    }
                    if let Some(cipher) = &self.cipher {
                        cipher.decrypt(piece.leaf.block_of_volume(run.first), into);
                    }
                }
            }
        }
        Ok(true)
    }

    /// Reads from the data file. It must not end there: a mapped block is durable only after the length is.
    pub(super) fn read_data(&self, offset_bytes: u64, into: &mut [u8]) -> Result<(), VolumeError> {
        self.core.data.read_at(offset_bytes, into).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => VolumeError::new(
                ErrorKind::Corrupt,
                format!(
                    "the data file ends before byte {offset_bytes}, where blocks of `{}` should be",
                    self.name
                ),
            ),
            _ => VolumeError::io(format!("read `{}`", self.name), error),
        })
    }
}

/// The part of the piece's buffer that a run fills, and how many of the run's bytes come before it.
pub(super) fn run_part(run: Run, piece: Piece) -> (std::ops::Range<usize>, u64) {
    let run_start = run.first * BLOCK_BYTES;
    let start = run_start.max(piece.start);
    let end = (run_start + run.count * BLOCK_BYTES).min(piece.end);
    ((start - piece.start) as usize..(end - piece.start) as usize, start - run_start)
}

/// Adds the piece's extents; `true` when no more may be added.
fn describe_piece(leaf: &ResolvedLeaf, piece: Piece, extents: &mut Vec<Extent>, extents_max: usize) -> bool {
    for run in runs(piece.first_block(), piece.end_block(), |block| leaf.place(block)) {
        let (part, _) = run_part(run, piece);
        let length_bytes = part.len() as u64;
        let kind = if run.place == Place::Hole { ExtentKind::Hole } else { ExtentKind::Data };
        let count = extents.len();
        match extents.last_mut() {
            Some(last) if last.kind == kind => last.length_bytes += length_bytes,
            _ if count == extents_max => return true,
            _ => extents.push(Extent { length_bytes, kind }),
        }
    }
    false
}
