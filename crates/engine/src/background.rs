//! The work that nobody waits for, in small steps: checkpoints, giving space back, merging and dropping layers,
//! finding space that a crash has lost.
//!
//! Each step leaves the pool in a state from which another step, or the opening after a crash, goes on.

use std::time::Duration;

use ashlar_volume::VolumeError;

use crate::allocator::Punch;
use crate::catalog::{Catalog, Fate};
use crate::commit::Checkpoint;
use crate::core::Core;
use crate::format::{CHUNK_BYTES, ChunkNumber, Fragment, LayerId, LeafChunks, LeafIndex};
use crate::intent::Closing;
use crate::pool::Inner;
use crate::wake::Woken;

#[cfg(test)]
mod tests;

/// How long nothing has to happen before the last record of the journal is settled.
const IDLE_INTERVAL: Duration = Duration::from_secs(5);
/// Every so many idle intervals, pages without writes since the last time are closed: half a minute, because a page that is
/// opened again costs a sync, and who writes in bursts would pay it in each.
const IDLE_INTERVALS_PER_CLOSING: u32 = 6;

/// Whole chunks that one punch may take: 64 MiB.
const CHUNKS_PER_PUNCH_MAX: u64 = 1024;

impl Inner {
    /// Works whenever the bell rings, until it is stopped.
    pub(crate) fn run_background(&self) {
        let mut idle_intervals = 0;
        loop {
            match self.core.wake.wait(IDLE_INTERVAL) {
                Woken::ByBell => {}
                Woken::Idle => {
                    idle_intervals += 1;
                    self.rest(idle_intervals % IDLE_INTERVALS_PER_CLOSING == 0);
                }
                Woken::ToStop => return,
            }
            while !self.core.wake.is_stopping() {
                match self.run_background_step() {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => {
                        tracing::warn!(%error, "background work of the pool failed");
                        break;
                    }
                }
            }
        }
    }

    /// Nothing happens: settles the last record and, if it is time, ends the write intents of pages that nobody writes to
    /// any more.
    fn rest(&self, closes_pages: bool) {
        // A page that was written to since the last time is passed over, so this ends.
        let closed = self.core.latch.check().and_then(|()| {
            while closes_pages && !self.core.wake.is_stopping() && self.core.close_pages(Closing::Idle)? {}
            Ok(())
        });
        if let Err(error) = closed.and_then(|()| self.core.settle_last_record()) {
            tracing::debug!(%error, "pages of checksums stay open");
        }
    }

    /// Does one step; `false` when there is nothing to do.
    pub(crate) fn run_background_step(&self) -> Result<bool, VolumeError> {
        self.core.latch.check()?;
        if self.core.needs_checkpoint() {
            self.core.checkpoint(Checkpoint::Committed)?;
            return Ok(true);
        }
        if self.core.intent_step()? {
            return Ok(true);
        }
        if self.punch_step()? || self.scrub_step()? || self.reclaim_step()? {
            self.core.commit_if_large()?;
            return Ok(true);
        }
        let frees_space = self.core.state.read().pending.frees_space();
        if frees_space {
            self.core.commit()?;
        }
        Ok(frees_space)
    }

    /// Punches something that nothing durable refers to.
    pub(crate) fn punch_step(&self) -> Result<bool, VolumeError> {
        let Some(punch) = self.core.state.write().allocator.next_punch(CHUNKS_PER_PUNCH_MAX) else {
            return Ok(false);
        };
        let result = match &punch {
            Punch::Chunks(run) => {
                let start = ChunkNumber(run.start).offset_bytes();
                self.core.data.punch_hole(start, (run.end - run.start) * CHUNK_BYTES)
            }
            Punch::Blocks(blocks) => self.core.punch_blocks(*blocks),
        };
        self.core.mark_data_dirty(0);
        result.map_err(|error| self.core.failed_change("give space back to the file system", error))?;
        self.core.state.write().allocator.punched(punch);
        Ok(true)
    }

    /// After a crash: punches blocks of one leaf's chunks that the leaf does not refer to.
    fn scrub_step(&self) -> Result<bool, VolumeError> {
        let mut catalog = self.catalog.lock();
        let Some((from_layer, from_leaf)) = catalog.scrub else { return Ok(false) };
        let Some(layer) = catalog.next_layer(from_layer) else {
            catalog.scrub = None;
            return Ok(true);
        };
        let first = if layer == from_layer { from_leaf } else { LeafIndex(0) };
        let Some((leaf, _)) = self.core.next_leaf(layer, first)? else {
            catalog.scrub = Some((LayerId(layer.0 + 1), LeafIndex(0)));
            return Ok(true);
        };
        match catalog.open_on_top(layer) {
            Some(volume) => volume.change_leaf(leaf, || self.core.scrub_leaf(layer, leaf))?,
            None => self.core.scrub_leaf(layer, leaf)?,
        }
        catalog.scrub = Some((layer, LeafIndex(leaf.0 + 1)));
        Ok(true)
    }

    /// Does one leaf of one layer that is to be merged or dropped.
    fn reclaim_step(&self) -> Result<bool, VolumeError> {
        let mut catalog = self.catalog.lock();
        let Some(layer) = catalog.reclaim.candidates.first().copied() else { return Ok(false) };
        let fate = catalog.fate(layer);
        if fate == Fate::Stay {
            catalog.reclaim.candidates.remove(&layer);
            return Ok(true);
        }
        if matches!(fate, Fate::MergeInto(_)) && !catalog.reclaim.may_merge.contains(&layer) {
            // Once merged, the child may overwrite the layer's blocks in place. So the layer's being nobody else's must
            // be durable first.
            drop(catalog);
            self.core.commit()?;
            let mut catalog = self.catalog.lock();
            if matches!(catalog.fate(layer), Fate::MergeInto(_)) {
                catalog.reclaim.may_merge.insert(layer);
            }
            return Ok(true);
        }
        let from =
            catalog.reclaim.cursor.filter(|(of, _)| *of == layer).map_or(LeafIndex(0), |(_, leaf)| leaf);
        let next = self.core.next_leaf(layer, from)?;
        catalog.reclaim.cursor = next.as_ref().map(|(leaf, _)| (layer, LeafIndex(leaf.0 + 1)));
        match (next, fate) {
            (None, _) => self.remove_layer(&mut catalog, layer),
            (Some((leaf, _)), Fate::MergeInto(child)) => {
                self.merge_leaf(&catalog, layer, child, leaf)?;
                catalog.note_heir(child);
            }
            (Some((leaf, chunks)), _) => self.core.drop_leaf(layer, leaf, &chunks),
        }
        Ok(true)
    }

    fn remove_layer(&self, catalog: &mut Catalog, layer: LayerId) {
        catalog.remove_layer(&mut self.core.state.write(), layer);
        for volume in catalog.all_open() {
            volume.remove_layer(layer);
        }
    }

    fn merge_leaf(
        &self,
        catalog: &Catalog,
        layer: LayerId,
        child: LayerId,
        leaf: LeafIndex,
    ) -> Result<(), VolumeError> {
        let is_root = catalog.parent(layer).is_none();
        let merge = || self.core.merge_leaf(layer, child, leaf, is_root);
        match catalog.open_on_top(child) {
            Some(volume) => volume.change_leaf(leaf, merge),
            None => merge(),
        }
    }
}

impl Core {
    /// Punches what is allocated in the leaf's chunks and not referred to. The caller keeps the leaf from changing.
    fn scrub_leaf(&self, layer: LayerId, leaf: LeafIndex) -> Result<(), VolumeError> {
        let chunks = self.layer_leaf(layer, leaf)?;
        let partial = |fragment: &&Fragment| !fragment.is_zeroes() && fragment.mask() != u16::MAX;
        for fragment in chunks.values().flatten().filter(partial) {
            // Merging waits until the scrub is over, but what waits for a commit must never be punched early.
            let known = fragment.mask() | self.state.read().allocator.unusable_blocks(fragment.chunk());
            let lost = self.allocated_blocks(fragment.chunk())? & !known;
            if lost != 0 {
                self.punch_blocks(fragment.with_mask(lost))
                    .map_err(|error| self.failed_change("give back space that a crash had lost", error))?;
                self.mark_data_dirty(0);
            }
        }
        Ok(())
    }

    /// Blocks of a chunk for which the file system keeps space.
    fn allocated_blocks(&self, chunk: ChunkNumber) -> Result<u16, VolumeError> {
        allocated_blocks(&*self.data, chunk)
            .map_err(|error| VolumeError::io("ask which blocks of the data file are allocated", error))
    }

    /// Gives up all chunks of a leaf of a layer that nobody sees.
    fn drop_leaf(&self, layer: LayerId, leaf: LeafIndex, chunks: &LeafChunks) {
        let mut state = self.state.write();
        let mut blocks = 0;
        for fragment in chunks.values().flatten().filter(|fragment| !fragment.is_zeroes()) {
            blocks += u64::from(fragment.mask().count_ones());
            state.free_chunk(fragment.chunk());
        }
        state.adjust_held(layer, 0, blocks);
        state.pending.drop_leaf(layer, leaf);
        self.note_pending(&state);
    }

    /// Moves a leaf of a layer into its only child, without what the child hides.
    fn merge_leaf(
        &self,
        layer: LayerId,
        child: LayerId,
        leaf: LeafIndex,
        is_root: bool,
    ) -> Result<(), VolumeError> {
        let _nobody_resolves = self.moves.write();
        let mut leaves = self.layer_leaves(leaf, &[child, layer])?.into_iter();
        let (upper, lower) = (leaves.next().unwrap_or_default(), leaves.next().unwrap_or_default());
        let mut state = self.state.write();
        let (mut moved, mut lost) = (0, 0);
        for (slot, fragments) in &lower {
            let merged = merge_chunk(upper.get(slot).map_or(&[], |upper| upper), fragments, is_root);
            for chunk in merged.freed_chunks {
                state.free_chunk(chunk);
            }
            for blocks in merged.freed_blocks {
                state.free_blocks(blocks);
            }
            moved += merged.moved_blocks;
            lost += fragments.iter().filter(|fragment| !fragment.is_zeroes()).map(block_count).sum::<u64>();
            state.pending.put_chunk(child, leaf.chunk(*slot), merged.fragments.into_boxed_slice());
        }
        state.pending.drop_leaf(layer, leaf);
        state.adjust_held(child, moved, 0);
        state.adjust_held(layer, 0, lost);
        self.note_pending(&state);
        Ok(())
    }
}

fn block_count(fragment: &Fragment) -> u64 {
    u64::from(fragment.mask().count_ones())
}

/// Blocks of a chunk for which the file system keeps space.
pub(crate) fn allocated_blocks(data: &dyn crate::file::File, chunk: ChunkNumber) -> std::io::Result<u16> {
    let start = chunk.offset_bytes();
    let end = start + CHUNK_BYTES;
    let mut mask = 0;
    let mut next = start;
    while let Some(range) = data.next_allocated(next, end)? {
        let first = (range.start - start) / ashlar_volume::BLOCK_BYTES;
        let last = (range.end.min(end) - start).div_ceil(ashlar_volume::BLOCK_BYTES);
        (first..last).for_each(|block| mask |= 1 << block);
        next = range.end;
        if next >= end {
            break;
        }
    }
    Ok(mask)
}

/// What becomes of a chunk of a layer and the same chunk of its child.
#[derive(Debug, Default, PartialEq, Eq)]
struct MergedChunk {
    /// What the child has afterwards.
    fragments: Vec<Fragment>,
    /// Chunks of the layer that the child hides as a whole.
    freed_chunks: Vec<ChunkNumber>,
    /// Blocks of the layer that the child hides, in chunks of which it takes others.
    freed_blocks: Vec<Fragment>,
    /// Blocks that the child takes.
    moved_blocks: u64,
}

/// Joins two entry lists. Zeroes are kept only where something below could shine through.
fn merge_chunk(upper: &[Fragment], lower: &[Fragment], is_root: bool) -> MergedChunk {
    let mut merged = MergedChunk::default();
    let covered = upper.iter().fold(0, |covered, fragment| covered | fragment.mask());
    let mut zeroes = 0;
    for fragment in upper {
        if fragment.is_zeroes() {
            zeroes |= fragment.mask();
        } else {
            merged.fragments.push(*fragment);
        }
    }
    for fragment in lower {
        let kept = fragment.with_mask(fragment.mask() & !covered);
        if fragment.is_zeroes() {
            zeroes |= kept.mask();
            continue;
        }
        if kept.mask() == 0 {
            merged.freed_chunks.push(fragment.chunk());
            continue;
        }
        if kept != *fragment {
            merged.freed_blocks.push(fragment.with_mask(fragment.mask() & covered));
        }
        merged.moved_blocks += block_count(&kept);
        merged.fragments.push(kept);
    }
    if zeroes != 0 && !is_root {
        merged.fragments.push(Fragment::new(ChunkNumber::ZEROES, zeroes));
    }
    merged
}
