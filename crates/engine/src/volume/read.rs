//! Reading.

use ashlar_volume::{Attempt, BLOCK_BYTES, ErrorKind, VolumeError};
use parking_lot::RwLockWriteGuard;

use super::{OpenVolume, Piece, Shape, leaf_pieces};
use crate::blocks::{BlockError, Span};
use crate::leaf::{Place, ResolvedLeaf, Run, runs};

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

    pub(crate) fn try_read(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<Attempt, VolumeError> {
        self.check_range(offset_bytes, buffer.len() as u64)?;
        let Some(shape) = self.shape.try_read() else { return Ok(Attempt::WouldWait) };
        for piece in leaf_pieces(offset_bytes, buffer.len() as u64) {
            let slot = shape.slot(piece.leaf);
            let Some(guard) = slot.leaf.try_read() else { return Ok(Attempt::WouldWait) };
            let Some(leaf) = guard.as_deref() else { return Ok(Attempt::WouldWait) };
            slot.mark_used();
            let into = &mut buffer[piece.buffer_start..piece.buffer_start + piece.length()];
            if !self.try_read_piece(leaf, piece, into)? {
                return Ok(Attempt::WouldWait);
            }
        }
        Ok(Attempt::Done)
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
        self.fill_piece(leaf, piece, into, |span, into| {
            self.core.read_blocks(self.cipher(), span, into).map(|()| true)
        })?;
        Ok(())
    }

    fn try_read_piece(
        &self,
        leaf: &ResolvedLeaf,
        piece: Piece,
        into: &mut [u8],
    ) -> Result<bool, VolumeError> {
        self.fill_piece(leaf, piece, into, |span, into| self.core.try_read_blocks(self.cipher(), span, into))
    }

    /// Fills the buffer by reads of whole blocks; `false` as soon as one of them says so.
    fn fill_piece(
        &self,
        leaf: &ResolvedLeaf,
        piece: Piece,
        into: &mut [u8],
        read: impl Fn(Span, &mut [u8]) -> Result<bool, BlockError>,
    ) -> Result<bool, VolumeError> {
        for part in piece.split_at_partial_blocks() {
            let into = &mut into[part.buffer_start..part.buffer_start + part.length()];
            for run in runs(part.first_block(), part.end_block(), |block| leaf.place(block)) {
                let (within, skipped) = run_part(run, part);
                let into = &mut into[within];
                let Place::At(offset_bytes) = run.place else {
                    into.fill(0);
                    continue;
                };
                let span = part.span(run.first, offset_bytes);
                let done = if part.is_aligned() {
                    read(span, into)
                } else {
                    // A part of one block: it can only be verified as a whole.
                    let mut block = [0; BLOCK_BYTES as usize];
                    let done = read(span, &mut block);
                    into.copy_from_slice(&block[skipped as usize..skipped as usize + into.len()]);
                    done
                };
                if !done.map_err(|error| self.read_error(error))? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

/// The part of the piece's buffer that a run fills, and how many of the run's bytes come before it.
pub(super) fn run_part(run: Run, piece: Piece) -> (std::ops::Range<usize>, u64) {
    let run_start = run.first * BLOCK_BYTES;
    let start = run_start.max(piece.start);
    let end = (run_start + run.count * BLOCK_BYTES).min(piece.end);
    ((start - piece.start) as usize..(end - piece.start) as usize, start - run_start)
}
