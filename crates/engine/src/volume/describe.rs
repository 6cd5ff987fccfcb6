//! Describing what there is to read, and finding what there is to discard, without looking at what is empty.

use std::collections::BTreeMap;

use ashlar_volume::{BLOCK_BYTES, ErrorKind, Extent, ExtentKind, VolumeError};

use super::{OpenVolume, Piece, Shape, leaf_pieces};
use crate::changes::shown;
use crate::format::{BLOCKS_PER_CHUNK, LEAF_BYTES, LeafIndex};
use crate::held::HeldLeaves;

#[cfg(test)]
mod tests;

/// A description of a range ends after this many leaves that hold something, so that it never takes long. 32 GiB of data.
const DESCRIBED_LEAVES_MAX: usize = 1024;

/// A description while it is made.
struct Description {
    extents: Vec<Extent>,
    extents_max: usize,
}

impl Description {
    /// Adds bytes; `false` when no more may be added.
    fn push(&mut self, length_bytes: u64, kind: ExtentKind) -> bool {
        let count = self.extents.len();
        match self.extents.last_mut() {
            Some(last) if last.kind == kind => last.length_bytes += length_bytes,
            _ if count == self.extents_max => return false,
            _ => self.extents.push(Extent { length_bytes, kind }),
        }
        true
    }

    /// Adds a piece of a leaf; `data` says which blocks of a chunk are data. `false` when no more may be added.
    fn push_leaf(&mut self, piece: Piece, data: impl Fn(u16) -> u16) -> bool {
        const CHUNK_BYTES: u64 = BLOCKS_PER_CHUNK * BLOCK_BYTES;
        let kind = |is_data| if is_data { ExtentKind::Data } else { ExtentKind::Hole };
        piece.slots().all(|slot| {
            let start = u64::from(slot) * CHUNK_BYTES;
            let part = |from: u64, until: u64| until.min(piece.end) - from.max(piece.start);
            match data(slot) {
                0 => self.push(part(start, start + CHUNK_BYTES), ExtentKind::Hole),
                u16::MAX => self.push(part(start, start + CHUNK_BYTES), ExtentKind::Data),
                data => (0..BLOCKS_PER_CHUNK)
                    .map(|block| (start + block * BLOCK_BYTES, data >> block & 1 == 1))
                    .filter(|(start, _)| *start < piece.end && start + BLOCK_BYTES > piece.start)
                    .all(|(start, is_data)| self.push(part(start, start + BLOCK_BYTES), kind(is_data))),
            }
        })
    }
}

impl OpenVolume {
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
        let end = offset_bytes + length_bytes;
        let mut description = Description { extents: Vec::new(), extents_max };
        let mut held = held_leaves(offset_bytes, length_bytes);
        let mut next = offset_bytes;
        let mut described = 0;
        while next < end && described < DESCRIBED_LEAVES_MAX {
            let begins = match self.next_leaf(&shape, &mut held, next)? {
                Some(leaf) => next.max(u64::from(leaf.0) * LEAF_BYTES),
                None => end,
            };
            if begins > next && !description.push(begins - next, ExtentKind::Hole) {
                break;
            }
            let Some(piece) = leaf_pieces(begins, end - begins).next() else { break };
            if !self.describe_piece(&shape, piece, &mut description)? {
                break;
            }
            next = begins + piece.length() as u64;
            described += 1;
        }
        Ok(description.extents)
    }

    /// The parts of a range that may hold something, leaf by leaf.
    pub(super) fn held_pieces(
        &self,
        offset_bytes: u64,
        length_bytes: u64,
    ) -> impl Iterator<Item = Result<Piece, VolumeError>> {
        let end = offset_bytes + length_bytes;
        let mut held = held_leaves(offset_bytes, length_bytes);
        let mut next = offset_bytes;
        std::iter::from_fn(move || {
            if next >= end {
                return None;
            }
            let leaf = match self.next_leaf(&self.shape.read(), &mut held, next) {
                Ok(leaf) => leaf?,
                Err(error) => return Some(Err(error)),
            };
            let begins = next.max(u64::from(leaf.0) * LEAF_BYTES);
            let piece = leaf_pieces(begins, end - begins).next()?;
            next = begins + piece.length() as u64;
            Some(Ok(piece))
        })
    }

    /// The first leaf from a byte on that may hold something. One that is in memory is taken for one: no need to ask.
    fn next_leaf(
        &self,
        shape: &Shape,
        held: &mut HeldLeaves,
        from_bytes: u64,
    ) -> Result<Option<LeafIndex>, VolumeError> {
        let leaf = LeafIndex((from_bytes / LEAF_BYTES) as u32);
        let is_in_memory = shape.slot_if_made(leaf).is_some_and(|slot| slot.leaf.read().is_some());
        if is_in_memory { Ok(Some(leaf)) } else { held.next(&self.core, &shape.layers, leaf) }
    }

    /// Adds the piece's extents; `false` when no more may be added. A leaf that is not in memory does not come there: it is
    /// not about to be read.
    fn describe_piece(
        &self,
        shape: &Shape,
        piece: Piece,
        description: &mut Description,
    ) -> Result<bool, VolumeError> {
        if let Some(slot) = shape.slot_if_made(piece.leaf)
            && let Some(leaf) = slot.leaf.read().as_deref()
        {
            return Ok(description.push_leaf(piece, |slot| leaf.data_blocks(slot)));
        }
        let chunks: BTreeMap<_, _> = {
            let _entries_stay = self.core.moves.read();
            shown(&self.core.layer_leaves(piece.leaf, &shape.layers)?)
        };
        Ok(description.push_leaf(piece, |slot| chunks.get(&slot).map_or(0, |shown| shown.data)))
    }
}

fn held_leaves(offset_bytes: u64, length_bytes: u64) -> HeldLeaves {
    let first = LeafIndex((offset_bytes / LEAF_BYTES) as u32);
    HeldLeaves::new(first..LeafIndex((offset_bytes + length_bytes).div_ceil(LEAF_BYTES) as u32))
}
