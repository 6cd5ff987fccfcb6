//! Writing.

use std::io;

use ashlar_volume::{BLOCK_BYTES, VolumeError};

use super::read::run_part;
use super::{OpenVolume, Piece, Shape, leaf_pieces};
use crate::format::{BLOCKS_PER_CHUNK, CHUNK_BYTES, ChunkNumber, Fragment};
use crate::leaf::{BlockInLeaf, Place, ResolvedLeaf, place_in, runs};

/// Bytes that are encrypted before they are written: few enough to stay in the processor's cache. 64 KiB.
const ENCRYPTED_AT_ONCE_BYTES: usize = 64 << 10;

/// Where the top layer will hold blocks of a chunk that it does not hold yet.
#[derive(Debug, Clone, Copy)]
struct Target {
    slot: u16,
    /// The blocks.
    mask: u16,
    chunk: ChunkNumber,
    /// Whether the chunk was free until now.
    is_new: bool,
}

impl OpenVolume {
    pub(crate) fn write(&self, offset_bytes: u64, data: &[u8]) -> Result<(), VolumeError> {
        self.check_change(offset_bytes, data.len() as u64)?;
        for piece in leaf_pieces(offset_bytes, data.len() as u64) {
            let from = &data[piece.buffer_start..piece.buffer_start + piece.length()];
            if self.write_piece(piece, from)? {
                self.core.commit_if_large()?;
            }
        }
        Ok(())
    }

    /// Writes within a leaf; answers whether the map has changed.
    fn write_piece(&self, piece: Piece, from: &[u8]) -> Result<bool, VolumeError> {
        let shape = self.shape_for_change()?;
        let slot = shape.slot(piece.leaf);
        slot.mark_used();
        {
            let guard = slot.leaf.read();
            if let Some(leaf) = guard.as_deref()
                && leaf.epoch() == shape.epoch
                && leaf.owns_all(piece.first_block(), piece.end_block())
                && self.may_overwrite_beside_others(piece)
            {
                self.overwrite(leaf, piece, from)?;
                return Ok(false);
            }
        }
        let mut guard = slot.leaf.write();
        let leaf = self.load(&shape, piece.leaf, &mut guard)?;
        if leaf.owns_all(piece.first_block(), piece.end_block()) {
            self.overwrite(leaf, piece, from)?;
            return Ok(false);
        }
        self.write_new(&shape, leaf, piece, from)?;
        Ok(true)
    }

    /// Whether other overwrites of the leaf may run meanwhile. A part of an encrypted block is read, changed and written
    /// back, which would undo another one's part.
    const fn may_overwrite_beside_others(&self, piece: Piece) -> bool {
        self.cipher.is_none() || piece.is_aligned()
    }

    /// Writes blocks that the top layer holds, in place.
    fn overwrite(&self, leaf: &ResolvedLeaf, piece: Piece, from: &[u8]) -> Result<(), VolumeError> {
        if self.cipher.is_some() {
            return self.write_parts(leaf, piece, from, |block| leaf.place(block));
        }
        for run in runs(piece.first_block(), piece.end_block(), |block| leaf.place(block)) {
            let (part, skipped) = run_part(run, piece);
            if let Place::At(offset) = run.place {
                self.write_data(offset + skipped, &from[part])?;
            }
        }
        Ok(())
    }

    fn failed_write(&self, error: io::Error) -> VolumeError {
        self.core.failed_change(&format!("write `{}`", self.name), error)
    }

    /// Writes blocks of which the top layer lacks some: first the bytes, then the map.
    fn write_new(
        &self,
        shape: &Shape,
        leaf: &mut ResolvedLeaf,
        piece: Piece,
        from: &[u8],
    ) -> Result<(), VolumeError> {
        let targets = self.choose_targets(leaf, piece)?;
        if let Err(error) = self.write_targets(leaf, &targets, piece, from) {
            self.give_back(&targets);
            return Err(error);
        }
        let mut state = self.core.state.write();
        for target in &targets {
            leaf.own(target.slot, target.chunk, target.mask);
            if target.is_new {
                state.allocate(target.chunk);
            }
            state.pending.put_chunk(shape.top(), piece.leaf.chunk(target.slot), leaf.top_entry(target.slot));
            state.adjust_held(shape.top(), u64::from(target.mask.count_ones()), 0);
        }
        self.core.note_pending(&state);
        Ok(())
    }

    /// Finds a place for each block that the top layer lacks: in a chunk that it has for the same chunk of the
    /// volume, or in a new one. New ones follow each other where they can.
    fn choose_targets(&self, leaf: &ResolvedLeaf, piece: Piece) -> Result<Vec<Target>, VolumeError> {
        let mut targets = Vec::new();
        let mut new_blocks = 0;
        let mut state = self.core.state.write();
        for slot in piece.first_block() / BLOCKS_PER_CHUNK..piece.end_block().div_ceil(BLOCKS_PER_CHUNK) {
            let slot = slot as u16;
            let mask = piece.mask(slot) & !leaf.owned_blocks(slot);
            if mask == 0 {
                continue;
            }
            new_blocks += u64::from(mask.count_ones());
            let own =
                leaf.owned_chunks(slot).find(|chunk| state.allocator.unusable_blocks(*chunk) & mask == 0);
            let chunk = own.unwrap_or(ChunkNumber::ZEROES);
            targets.push(Target { slot, mask, chunk, is_new: own.is_none() });
        }
        drop(state);
        self.core.space.take(new_blocks)?;
        state = self.core.state.write();
        let new_chunks = targets.iter().filter(|target| target.is_new).count();
        let chunks = state.allocator.allocate(new_chunks as u64);
        for (target, chunk) in targets.iter_mut().filter(|target| target.is_new).zip(chunks) {
            target.chunk = chunk;
        }
        Ok(targets)
    }

    fn write_targets(
        &self,
        leaf: &ResolvedLeaf,
        targets: &[Target],
        piece: Piece,
        from: &[u8],
    ) -> Result<(), VolumeError> {
        let place = |block: BlockInLeaf| {
            let slot = (block / BLOCKS_PER_CHUNK) as u16;
            match targets.binary_search_by_key(&slot, |target| target.slot) {
                Ok(at) if !leaf.is_owned(block) => place_in(targets[at].chunk, block),
                _ => leaf.place(block),
            }
        };
        self.write_parts(leaf, piece, from, place)
    }

    /// Writes a piece to where `place` says; parts of blocks that the top layer lacks, or that are encrypted, as whole
    /// blocks. `leaf` says what the blocks are now.
    fn write_parts(
        &self,
        leaf: &ResolvedLeaf,
        piece: Piece,
        from: &[u8],
        place: impl Fn(BlockInLeaf) -> Place,
    ) -> Result<(), VolumeError> {
        for part in piece.split_at_partial_blocks() {
            let bytes = &from[part.buffer_start..part.buffer_start + part.length()];
            if part.is_aligned() || (self.cipher.is_none() && leaf.is_owned(part.first_block())) {
                for run in runs(part.first_block(), part.end_block(), &place) {
                    let (within, skipped) = run_part(run, part);
                    self.write_place(
                        run.place,
                        skipped,
                        part.leaf.block_of_volume(run.first),
                        &bytes[within],
                    )?;
                }
            } else {
                let block = self.merged_block(leaf, part, bytes)?;
                let first = part.first_block();
                self.write_place(place(first), 0, part.leaf.block_of_volume(first), &block)?;
            }
        }
        Ok(())
    }

    /// Writes bytes to the data file as they are stored; `first` is the number of their first block in the volume.
    fn write_place(&self, place: Place, skipped: u64, first: u64, bytes: &[u8]) -> Result<(), VolumeError> {
        let Place::At(offset) = place else { return Ok(()) };
        let Some(cipher) = &self.cipher else { return self.write_data(offset + skipped, bytes) };
        let steps = bytes.chunks(ENCRYPTED_AT_ONCE_BYTES);
        for (bytes, done) in steps.zip((0..).step_by(ENCRYPTED_AT_ONCE_BYTES)) {
            let mut stored = bytes.to_vec();
            cipher.encrypt(first + done / BLOCK_BYTES, &mut stored);
            self.write_data(offset + done, &stored)?;
        }
        Ok(())
    }

    fn write_data(&self, offset_bytes: u64, bytes: &[u8]) -> Result<(), VolumeError> {
        let result = self.core.data.write_at(offset_bytes, bytes);
        self.core.mark_data_dirty();
        result.map_err(|error| self.failed_write(error))
    }

    /// The whole block that a part of one makes together with what is there now.
    fn merged_block(&self, leaf: &ResolvedLeaf, part: Piece, bytes: &[u8]) -> Result<Vec<u8>, VolumeError> {
        let mut block = vec![0; BLOCK_BYTES as usize];
        if let Place::At(offset) = leaf.place(part.first_block()) {
            self.read_data(offset, &mut block)?;
            if let Some(cipher) = &self.cipher {
                cipher.decrypt(part.leaf.block_of_volume(part.first_block()), &mut block);
            }
        }
        let at = (part.start % BLOCK_BYTES) as usize;
        block[at..at + bytes.len()].copy_from_slice(bytes);
        Ok(block)
    }

    /// Nothing refers to the targets: what was written there goes.
    fn give_back(&self, targets: &[Target]) {
        for target in targets {
            if target.is_new {
                self.core.state.write().allocator.chunk_is_free(target.chunk);
                self.core.wake.ring();
                continue;
            }
            if let Err(error) = self.core.punch_blocks(Fragment::new(target.chunk, target.mask)) {
                self.core.failed_change("give back the space of a failed write", error);
                return;
            }
        }
    }
}

impl Piece {
    /// The blocks of a chunk that the piece touches.
    pub(super) fn mask(&self, slot: u16) -> u16 {
        mask_of(slot, self.first_block(), self.end_block())
    }

    /// The block of which it is a part.
    pub(super) const fn whole_block(&self) -> Self {
        let start = self.start - self.start % BLOCK_BYTES;
        Self { start, end: start + BLOCK_BYTES, ..*self }
    }

    /// Whether it has whole blocks only.
    pub(super) const fn is_aligned(&self) -> bool {
        self.start.is_multiple_of(BLOCK_BYTES) && self.end.is_multiple_of(BLOCK_BYTES)
    }

    /// The part of a block at the beginning, the whole blocks, the part of a block at the end: those that there are.
    /// Their `buffer_start` counts from the piece's own beginning.
    pub(super) fn split_at_partial_blocks(&self) -> impl Iterator<Item = Self> {
        let head_end = self.start.next_multiple_of(BLOCK_BYTES).min(self.end);
        let tail_start = (self.end - self.end % BLOCK_BYTES).max(head_end);
        let piece = *self;
        [(self.start, head_end), (head_end, tail_start), (tail_start, self.end)]
            .into_iter()
            .filter(|(start, end)| start < end)
            .map(move |(start, end)| Self {
                start,
                end,
                buffer_start: (start - piece.start) as usize,
                ..piece
            })
    }
}

/// The blocks of `first..end` that lie in a chunk.
pub(super) fn mask_of(slot: u16, first: BlockInLeaf, end: BlockInLeaf) -> u16 {
    const _: () = assert!(CHUNK_BYTES / BLOCK_BYTES == 16);
    let chunk_first = u64::from(slot) * BLOCKS_PER_CHUNK;
    let from = first.clamp(chunk_first, chunk_first + BLOCKS_PER_CHUNK) - chunk_first;
    let to = end.clamp(chunk_first, chunk_first + BLOCKS_PER_CHUNK) - chunk_first;
    (((1_u32 << to) - 1) & !((1_u32 << from) - 1)) as u16
}
