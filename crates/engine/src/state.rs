//! The metadata that is not in the map yet, and what follows from all of it: free chunks, counters.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::allocator::Allocator;
use crate::delta::{ChunkState, Delta, LeafPatch};
use crate::format::{
    CHUNKS_PER_CHECKSUM_PAGE, ChecksumPage, ChunkChecksums, ChunkNumber, DataKeyId, Fragment, LayerId,
    LeafIndex,
};

/// Everything about the metadata that changes with each commit. The state of the pool is the map, then
/// `checkpoint`, `committed`, `committing` and `pending`, each on top of the one before.
#[derive(Debug)]
pub(crate) struct State {
    /// Durable in the journal, being written into the map.
    pub(crate) checkpoint: Option<Arc<Delta>>,
    /// Durable in the journal.
    pub(crate) committed: Delta,
    /// Being made durable, the oldest first.
    pub(crate) committing: VecDeque<Arc<Delta>>,
    /// What the next commit makes durable.
    pub(crate) pending: Delta,
    /// Blocks that each layer holds.
    pub(crate) held_blocks: BTreeMap<LayerId, u64>,
    pub(crate) allocator: Allocator,
    /// The id for the next new layer.
    pub(crate) next_layer: LayerId,
    /// Keys that nobody needs any more, durably.
    pub(crate) keys_to_destroy: Vec<DataKeyId>,
}

impl State {
    /// From old to new.
    fn deltas(&self) -> impl Iterator<Item = &Delta> {
        self.checkpoint
            .as_deref()
            .into_iter()
            .chain([&self.committed])
            .chain(self.committing.iter().map(|delta| &**delta))
            .chain([&self.pending])
    }

    /// What the deltas do to one leaf.
    pub(crate) fn leaf_patch(&self, layer: LayerId, leaf: LeafIndex) -> LeafPatch {
        let mut patch = LeafPatch::default();
        self.deltas().for_each(|delta| patch.push(delta, layer, leaf));
        patch
    }

    /// What the deltas say of a page's checksums, from old to new.
    pub(crate) fn checksum_patches(&self, page: ChecksumPage) -> Vec<(ChunkNumber, ChunkChecksums)> {
        let first = page.first_chunk();
        let chunks = first..ChunkNumber(first.0 + CHUNKS_PER_CHECKSUM_PAGE);
        let patches = self.deltas().flat_map(|delta| delta.checksums.range(chunks.clone()));
        patches.map(|(chunk, checksums)| (*chunk, *checksums)).collect()
    }

    /// The first leaf of the layer from `from` on in which some delta put something, perhaps since removed.
    pub(crate) fn next_leaf(&self, layer: LayerId, from: LeafIndex) -> Option<LeafIndex> {
        self.deltas().filter_map(|delta| delta.next_leaf(layer, from)).min()
    }

    /// Whether some delta dropped what the map has for the leaf.
    pub(crate) fn is_dropped(&self, layer: LayerId, leaf: LeafIndex) -> bool {
        self.deltas().any(|delta| delta.dropped_leaves.contains(&(layer, leaf)))
    }

    /// Blocks that the layer holds.
    pub(crate) fn held_blocks(&self, layer: LayerId) -> u64 {
        self.held_blocks.get(&layer).copied().unwrap_or(0)
    }

    /// The layer holds `added` more blocks and `removed` fewer.
    pub(crate) fn adjust_held(&mut self, layer: LayerId, added: u64, removed: u64) {
        let held = self.held_blocks.entry(layer).or_insert(0);
        *held = (*held + added).saturating_sub(removed);
        let held = *held;
        self.pending.held_blocks.insert(layer, held);
    }

    /// Chunks whose last block has gone with a change that is not durable yet.
    pub(crate) fn chunks_being_freed(&self) -> u64 {
        let states = |delta: &Delta| {
            delta.chunk_states.values().filter(|state| **state == ChunkState::Free).count() as u64
        };
        states(&self.pending) + self.committing.iter().map(|delta| states(delta)).sum::<u64>()
    }

    /// A layer begins to own a chunk.
    pub(crate) fn allocate(&mut self, chunk: ChunkNumber) {
        self.pending.chunk_states.insert(chunk, ChunkState::Allocated);
    }

    /// A layer's last block in a chunk goes.
    pub(crate) fn free_chunk(&mut self, chunk: ChunkNumber) {
        self.allocator.forget_blocks(chunk);
        self.pending.chunk_states.insert(chunk, ChunkState::Free);
    }

    /// Some of a layer's blocks in a chunk go, and durable state may still need their bytes.
    pub(crate) fn free_blocks(&mut self, blocks: Fragment) {
        self.allocator.free_blocks(blocks);
        self.pending.freed_blocks.push(blocks);
    }

    /// A delta is durable: what it freed may be punched.
    pub(crate) fn release(&mut self, delta: &Delta) {
        for (chunk, state) in &delta.chunk_states {
            if *state == ChunkState::Free {
                self.allocator.chunk_is_free(*chunk);
            }
        }
        for blocks in &delta.freed_blocks {
            self.allocator.blocks_are_free(*blocks);
        }
        self.keys_to_destroy.extend(&delta.freed_keys);
    }

    /// What was being made durable is part of what the next checkpoint takes.
    pub(crate) fn absorb_committed(&mut self, delta: Arc<Delta>) {
        let mut delta = Arc::unwrap_or_clone(delta);
        delta.freed_blocks.clear();
        delta.freed_keys.clear();
        self.committed.absorb(delta);
    }

    /// A new id.
    pub(crate) const fn take_layer_id(&mut self) -> LayerId {
        let id = self.next_layer;
        self.next_layer = LayerId(id.0 + 1);
        id
    }
}
