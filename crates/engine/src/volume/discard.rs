//! Making ranges zero.

use ashlar_volume::{BLOCK_BYTES, VolumeError, ZeroMode};

use super::block::Refusal;
use super::change::mask_of;
use super::{OpenVolume, Piece};
use crate::format::BLOCKS_PER_CHUNK;
use crate::leaf::{Discarded, Place};

/// Zeroes are written in steps of this size. 256 KiB.
static ZEROES: [u8; 256 * 1024] = [0; 256 * 1024];

impl OpenVolume {
    pub(crate) fn write_zeroes(
        &self,
        offset_bytes: u64,
        length_bytes: u64,
        mode: ZeroMode,
    ) -> Result<(), VolumeError> {
        if mode == ZeroMode::MayUnmap {
            return self.discard(offset_bytes, length_bytes);
        }
        self.check_change(offset_bytes, length_bytes)?;
        let end = offset_bytes + length_bytes;
        for start in (offset_bytes..end).step_by(ZEROES.len()) {
            self.write(start, &ZEROES[..(end - start).min(ZEROES.len() as u64) as usize])?;
        }
        Ok(())
    }

    pub(crate) fn discard(&self, offset_bytes: u64, length_bytes: u64) -> Result<(), VolumeError> {
        self.check_change(offset_bytes, length_bytes)?;
        // Where there is nothing to discard, a pool that takes no changes says so all the same.
        drop(self.shape_for_change()?);
        for piece in self.held_pieces(offset_bytes, length_bytes) {
            let piece = piece?;
            for part in piece.split_at_partial_blocks() {
                if part.start % BLOCK_BYTES == 0 && part.end % BLOCK_BYTES == 0 {
                    self.with_open_pages(|| self.discard_blocks(part))?;
                } else {
                    self.zero_part_of_block(part)?;
                }
            }
            self.core.commit_if_large()?;
        }
        Ok(())
    }

    /// Zeroes a part of a block, unless the block is a hole already.
    fn zero_part_of_block(&self, part: Piece) -> Result<(), VolumeError> {
        let is_hole = {
            let shape = self.shape_for_change()?;
            let slot = shape.slot(part.leaf);
            let mut guard = slot.leaf.write();
            self.load(&shape, part.leaf, &mut guard)?.place(part.first_block()) == Place::Hole
        };
        if is_hole {
            return Ok(());
        }
        let start = u64::from(part.leaf.0) * crate::format::LEAF_BYTES + part.start;
        self.write(start, &ZEROES[..part.length()])
    }

    /// Unmaps whole blocks of a leaf.
    ///
    /// Blocks of chunks that stay are punched at once. That is right before any commit: until the next flush durable
    /// state may show these blocks as they were or as zeroes, and no other volume can see them. It is a change in place,
    /// so their pages have to be open.
    fn discard_blocks(&self, piece: Piece) -> Result<(), Refusal> {
        let shape = self.shape_for_change()?;
        let slot = shape.slot(piece.leaf);
        slot.mark_used();
        let mut guard = slot.leaf.write();
        let leaf = self.load(&shape, piece.leaf, &mut guard)?;

        let (first, end) = (piece.first_block(), piece.end_block());
        let plans: Vec<(u16, u16, Discarded)> = (first / BLOCKS_PER_CHUNK..end.div_ceil(BLOCKS_PER_CHUNK))
            .filter_map(|slot| {
                let mask = mask_of(slot as u16, first, end);
                leaf.plan_discard(slot as u16, mask).map(|plan| (slot as u16, mask, plan))
            })
            .collect();
        let punched = || plans.iter().flat_map(|(_, _, plan)| &plan.blocks);
        let mut closed = Vec::new();
        for blocks in punched() {
            self.core.collect_closed(blocks.chunk().offset_bytes(), BLOCK_BYTES, &mut closed);
        }
        if !closed.is_empty() {
            return Err(Refusal::Closed(closed));
        }
        for blocks in punched() {
            self.core.punch_in_place(*blocks).map_err(|error| self.change_error(error))?;
        }
        let mut state = self.core.state.write();
        for (slot, mask, plan) in &plans {
            leaf.discard(*slot, *mask);
            state.pending.put_chunk(shape.top(), piece.leaf.chunk(*slot), leaf.top_entry(*slot));
            for fragment in &plan.chunks {
                state.free_chunk(fragment.chunk());
            }
            state.adjust_held(shape.top(), 0, plan.block_count());
        }
        self.core.note_pending(&state);
        drop(state);
        for (_, _, plan) in &plans {
            for fragment in plan.chunks.iter().chain(&plan.blocks) {
                self.core.damage.forget_blocks(&self.core, fragment.chunk(), fragment.mask());
            }
        }
        Ok(())
    }
}
