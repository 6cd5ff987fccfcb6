//! Writing.

use ashlar_volume::{Attempt, BLOCK_BYTES, VolumeError};

use super::block::Refusal;
use super::read::run_part;
use super::{OpenVolume, Piece, Shape, leaf_pieces};
use crate::format::{BLOCKS_PER_CHUNK, CHUNK_BYTES, ChunkChecksums, ChunkNumber, Fragment, LeafIndex};
use crate::leaf::{BlockInLeaf, Place, ResolvedLeaf, Run, place_in, runs};

/// Where the top layer will hold blocks of a chunk that it does not hold yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    slot: u16,
    /// The blocks.
    mask: u16,
    chunk: ChunkNumber,
    /// Whether the chunk was free until now.
    is_new: bool,
    /// Of the blocks, once they are written.
    checksums: ChunkChecksums,
}

/// Where a block of a leaf will be that the top layer lacks.
pub(super) fn place_among(targets: &[Target], block: BlockInLeaf) -> Place {
    let slot = (block / BLOCKS_PER_CHUNK) as u16;
    match targets.binary_search_by_key(&slot, |target| target.slot) {
        Ok(at) => place_in(targets[at].chunk, block),
        Err(_) => Place::Hole,
    }
}

/// Notes the checksums of blocks that follow each other.
pub(super) fn note_checksums(
    targets: &mut [Target],
    first: BlockInLeaf,
    sums: impl IntoIterator<Item = u32>,
) {
    for (block, sum) in (first..).zip(sums) {
        let slot = (block / BLOCKS_PER_CHUNK) as u16;
        if let Ok(at) = targets.binary_search_by_key(&slot, |target| target.slot) {
            targets[at].checksums.set(block % BLOCKS_PER_CHUNK, sum);
        }
    }
}

impl OpenVolume {
    pub(crate) fn write(&self, offset_bytes: u64, data: &[u8]) -> Result<(), VolumeError> {
        self.check_change(offset_bytes, data.len() as u64)?;
        for piece in leaf_pieces(offset_bytes, data.len() as u64) {
            let from = &data[piece.buffer_start..piece.buffer_start + piece.length()];
            if self.with_open_pages(|| self.write_piece(piece, from))? {
                self.core.commit_if_large()?;
            }
        }
        Ok(())
    }

    /// Like `write`, unless a write intent has to be made durable first.
    pub(crate) fn try_write(&self, offset_bytes: u64, data: &[u8]) -> Result<Attempt, VolumeError> {
        self.check_change(offset_bytes, data.len() as u64)?;
        for piece in leaf_pieces(offset_bytes, data.len() as u64) {
            let from = &data[piece.buffer_start..piece.buffer_start + piece.length()];
            match self.write_piece(piece, from) {
                Ok(false) => {}
                Ok(true) => self.core.commit_if_large()?,
                Err(Refusal::Closed(_)) => return Ok(Attempt::WouldWait),
                Err(Refusal::Failed(error)) => return Err(error),
            }
        }
        Ok(Attempt::Done)
    }

    /// Writes within a leaf; answers whether the map has changed.
    fn write_piece(&self, piece: Piece, from: &[u8]) -> Result<bool, Refusal> {
        let shape = self.shape_for_change()?;
        let slot = shape.slot(piece.leaf);
        slot.mark_used();
        {
            let guard = slot.leaf.read();
            if let Some(leaf) = guard.as_deref()
                && leaf.epoch() == shape.epoch
                && leaf.owns_all(piece.first_block(), piece.end_block())
            {
                self.overwrite(leaf, piece, from)?;
                return Ok(false);
            }
        }
        let mut guard = slot.leaf.write();
        let leaf = self.load(&shape, piece.leaf, &mut guard)?;
        self.check_open(leaf, piece)?;
        if leaf.owns_all(piece.first_block(), piece.end_block()) {
            self.overwrite(leaf, piece, from)?;
            return Ok(false);
        }
        self.write_new(&shape, leaf, piece, from)?;
        Ok(true)
    }

    /// Writes blocks that the top layer holds, in place.
    fn overwrite(&self, leaf: &ResolvedLeaf, piece: Piece, from: &[u8]) -> Result<(), Refusal> {
        for part in piece.split_at_partial_blocks() {
            let bytes = &from[part.buffer_start..part.buffer_start + part.length()];
            for run in runs(part.first_block(), part.end_block(), |block| leaf.place(block)) {
                let (within, _) = run_part(run, part);
                self.overwrite_run(run, part, &bytes[within])?;
            }
        }
        Ok(())
    }

    /// Writes a run of blocks in place, or the part of the only one.
    fn overwrite_run(&self, run: Run, part: Piece, bytes: &[u8]) -> Result<(), Refusal> {
        let Place::At(offset_bytes) = run.place else { return Ok(()) };
        let span = part.span(run.first, offset_bytes);
        let written = if part.is_aligned() {
            self.core.overwrite_blocks(self.cipher(), span, bytes)
        } else {
            self.core.overwrite_part(self.cipher(), span, (part.start % BLOCK_BYTES) as usize, bytes)
        };
        written.map_err(|error| self.change_error(error))
    }

    /// Writes blocks of which the top layer lacks some: first the bytes, then the map.
    fn write_new(
        &self,
        shape: &Shape,
        leaf: &mut ResolvedLeaf,
        piece: Piece,
        from: &[u8],
    ) -> Result<(), Refusal> {
        let slots = piece.slots().map(|slot| (slot, piece.mask(slot) & !leaf.owned_blocks(slot)));
        let mut targets = self.choose_targets(leaf, slots)?;
        if let Err(error) = self.write_targets(leaf, &mut targets, piece, from) {
            self.give_back(&targets);
            return Err(error);
        }
        self.publish_targets(shape, leaf, piece.leaf, &targets);
        Ok(())
    }

    /// Puts blocks that were written into the map.
    pub(super) fn publish_targets(
        &self,
        shape: &Shape,
        leaf: &mut ResolvedLeaf,
        index: LeafIndex,
        targets: &[Target],
    ) {
        let mut state = self.core.state.write();
        for target in targets {
            leaf.own(target.slot, target.chunk, target.mask);
            if target.is_new {
                state.allocate(target.chunk);
            }
            state.pending.put_checksums(target.chunk, &target.checksums);
            state.pending.put_chunk(shape.top(), index.chunk(target.slot), leaf.top_entry(target.slot));
            state.adjust_held(shape.top(), u64::from(target.mask.count_ones()), 0);
        }
        self.core.note_pending(&state);
        drop(state);
        for target in targets {
            self.core.publish_checksums(target.chunk, &target.checksums);
            self.core.damage.forget_blocks(&self.core, target.chunk, target.mask);
        }
    }

    /// Finds a place for blocks that the top layer lacks, by ascending slots: in a chunk that it has for the same chunk of
    /// the volume, or in a new one. New ones follow each other where they can.
    pub(super) fn choose_targets(
        &self,
        leaf: &ResolvedLeaf,
        slots: impl Iterator<Item = (u16, u16)>,
    ) -> Result<Vec<Target>, VolumeError> {
        let mut targets = Vec::new();
        let mut new_blocks = 0;
        let mut state = self.core.state.write();
        for (slot, mask) in slots.filter(|(_, mask)| *mask != 0) {
            new_blocks += u64::from(mask.count_ones());
            let own =
                leaf.owned_chunks(slot).find(|chunk| state.allocator.unusable_blocks(*chunk) & mask == 0);
            let chunk = own.unwrap_or(ChunkNumber::ZEROES);
            targets.push(Target {
                slot,
                mask,
                chunk,
                is_new: own.is_none(),
                checksums: ChunkChecksums::default(),
            });
        }
        drop(state);
        self.core.space.take(new_blocks)?;
        state = self.core.state.write();
        let new_chunks = targets.iter().filter(|target| target.is_new).count();
        let chunks = state.allocator.allocate(new_chunks as u64);
        if let Some(last) = chunks.iter().max() {
            self.core.checksums.cover(last.0 + 1);
        }
        for (target, chunk) in targets.iter_mut().filter(|target| target.is_new).zip(chunks) {
            target.chunk = chunk;
        }
        Ok(targets)
    }

    fn write_targets(
        &self,
        leaf: &ResolvedLeaf,
        targets: &mut [Target],
        piece: Piece,
        from: &[u8],
    ) -> Result<(), Refusal> {
        for part in piece.split_at_partial_blocks() {
            let bytes = &from[part.buffer_start..part.buffer_start + part.length()];
            let owned =
                |block: BlockInLeaf| if leaf.is_owned(block) { leaf.place(block) } else { Place::Hole };
            for run in runs(part.first_block(), part.end_block(), owned) {
                let (within, _) = run_part(run, part);
                self.overwrite_run(run, part, &bytes[within])?;
            }
            let new = |block: BlockInLeaf| {
                if leaf.is_owned(block) { Place::Hole } else { place_among(targets, block) }
            };
            let new_runs: Vec<_> = runs(part.first_block(), part.end_block(), new).collect();
            for run in new_runs {
                let (within, _) = run_part(run, part);
                if part.is_aligned() {
                    self.write_new_run(targets, run, part, &bytes[within])?;
                } else if run.place != Place::Hole {
                    let block = self.merged_block(leaf, part, bytes)?;
                    self.write_new_run(targets, run, part, &block)?;
                }
            }
        }
        Ok(())
    }

    fn write_new_run(
        &self,
        targets: &mut [Target],
        run: Run,
        part: Piece,
        bytes: &[u8],
    ) -> Result<(), Refusal> {
        let Place::At(offset_bytes) = run.place else { return Ok(()) };
        let written = self.core.write_new_blocks(self.cipher(), part.span(run.first, offset_bytes), bytes);
        let sums = written.map_err(|error| self.change_error(error))?;
        note_checksums(targets, run.first, sums);
        Ok(())
    }

    /// The whole block that a part of one makes together with what is there now.
    fn merged_block(&self, leaf: &ResolvedLeaf, part: Piece, bytes: &[u8]) -> Result<Vec<u8>, VolumeError> {
        let mut block = vec![0; BLOCK_BYTES as usize];
        let first = part.first_block();
        if let Place::At(offset_bytes) = leaf.place(first) {
            let read = self.core.read_blocks(self.cipher(), part.span(first, offset_bytes), &mut block);
            read.map_err(|error| self.read_error(error))?;
        }
        let at = (part.start % BLOCK_BYTES) as usize;
        block[at..at + bytes.len()].copy_from_slice(bytes);
        Ok(block)
    }

    /// Nothing refers to the targets: what was written there goes.
    pub(super) fn give_back(&self, targets: &[Target]) {
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
    /// The chunks that the piece touches.
    pub(super) fn slots(&self) -> impl Iterator<Item = u16> + use<> {
        (self.first_block() / BLOCKS_PER_CHUNK..self.end_block().div_ceil(BLOCKS_PER_CHUNK))
            .map(|slot| slot as u16)
    }

    /// The blocks of a chunk that the piece touches.
    pub(super) fn mask(&self, slot: u16) -> u16 {
        mask_of(slot, self.first_block(), self.end_block())
    }

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
