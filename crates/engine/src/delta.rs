//! A set of changes to the metadata, keyed so that a later change replaces an earlier one.
//!
//! Deltas stack: the state of the pool is the map's checkpoint with the deltas since then on top.

use std::collections::{BTreeMap, BTreeSet};

use ashlar_volume::{VolumeId, VolumeSnapshotId};

use crate::format::{
    BLOCKS_PER_CHUNK, CHUNKS_PER_CHECKSUM_PAGE, CHUNKS_PER_LEAF, ChecksumPage, ChunkChecksums, ChunkIndex,
    ChunkNumber, DataKeyId, Fragment, LayerId, LayerRecord, LeafChunks, LeafIndex, NameRecord,
    StoredChecksums,
};

/// Damaged blocks of a chunk of the data file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The blocks; none: the mark is taken off.
    pub(crate) mask: u16,
    /// The chunk of a volume whose bytes they are. Merges change the layer of a block, but never this.
    pub(crate) index: ChunkIndex,
}

/// Whether a chunk of the data file belongs to a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChunkState {
    /// Some layer holds blocks in it.
    Allocated,
    /// Nobody does.
    Free,
}

/// Changes that become durable together.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Delta {
    /// Leaves whose older content is gone. Entries of `chunks` for the same leaf came later.
    pub(crate) dropped_leaves: BTreeSet<(LayerId, LeafIndex)>,
    /// All fragments of a layer's chunk; none: the layer holds nothing there.
    pub(crate) chunks: BTreeMap<(LayerId, ChunkIndex), Box<[Fragment]>>,
    pub(crate) chunk_states: BTreeMap<ChunkNumber, ChunkState>,
    /// Blocks that a layer holds, in all.
    pub(crate) held_blocks: BTreeMap<LayerId, u64>,
    /// `None`: deleted.
    pub(crate) layers: BTreeMap<LayerId, Option<LayerRecord>>,
    /// `None`: deleted.
    pub(crate) volumes: BTreeMap<VolumeId, Option<NameRecord>>,
    /// `None`: deleted.
    pub(crate) snapshots: BTreeMap<VolumeSnapshotId, Option<NameRecord>>,
    /// Checksums of blocks of the data file.
    pub(crate) checksums: BTreeMap<ChunkNumber, ChunkChecksums>,
    /// Whether blocks of a page may be changed in place, so that after a crash its checksums are not believed.
    pub(crate) intents: BTreeMap<ChecksumPage, bool>,
    /// Blocks whose bytes were found not to be what was written.
    pub(crate) damage: BTreeMap<ChunkNumber, Mark>,
    /// Blocks that nobody refers to once this delta is durable, in chunks that stay. Not stored.
    pub(crate) freed_blocks: Vec<Fragment>,
    /// Keys that nobody needs once this delta is durable. Not stored.
    pub(crate) freed_keys: Vec<DataKeyId>,
}

impl Delta {
    /// Whether there is nothing to make durable.
    pub(crate) fn is_empty(&self) -> bool {
        self.dropped_leaves.is_empty()
            && self.chunks.is_empty()
            && self.chunk_states.is_empty()
            && self.held_blocks.is_empty()
            && self.layers.is_empty()
            && self.volumes.is_empty()
            && self.snapshots.is_empty()
            && self.checksums.is_empty()
            && self.intents.is_empty()
            && self.damage.is_empty()
    }

    /// Whether it is nothing but first writes to blocks, in at most so many chunks.
    pub(crate) fn is_first_writes(&self, chunks_max: usize) -> bool {
        let Self {
            dropped_leaves,
            chunks: _,
            chunk_states,
            held_blocks: _,
            layers,
            volumes,
            snapshots,
            checksums,
            intents,
            damage,
            freed_blocks,
            freed_keys,
        } = self;
        (1..=chunks_max).contains(&checksums.len())
            && chunk_states.values().all(|state| *state == ChunkState::Allocated)
            && dropped_leaves.is_empty()
            && layers.is_empty()
            && volumes.is_empty()
            && snapshots.is_empty()
            && intents.is_empty()
            && damage.is_empty()
            && freed_blocks.is_empty()
            && freed_keys.is_empty()
    }

    /// Whether making it durable gives space back.
    pub(crate) fn frees_space(&self) -> bool {
        !self.freed_blocks.is_empty() || self.chunk_states.values().any(|state| *state == ChunkState::Free)
    }

    /// Roughly the bytes of the journal record that it makes, with one or two fragments a chunk.
    pub(crate) fn estimated_bytes(&self) -> usize {
        self.chunks.len() * 40
            + (self.dropped_leaves.len() + self.chunk_states.len()) * 13
            + self.held_blocks.len() * 17
            + self.checksums.len() * 75
            + (self.intents.len() + self.damage.len()) * 19
            + (self.layers.len() + self.volumes.len() + self.snapshots.len()) * 64
    }

    pub(crate) fn put_chunk(&mut self, layer: LayerId, chunk: ChunkIndex, fragments: Box<[Fragment]>) {
        self.chunks.insert((layer, chunk), fragments);
    }

    pub(crate) fn put_checksums(&mut self, chunk: ChunkNumber, checksums: &ChunkChecksums) {
        self.checksums.entry(chunk).or_default().absorb(checksums);
    }

    /// Puts what this delta says of a page's checksums over them.
    pub(crate) fn patch_checksums(&self, page: ChecksumPage, sums: &mut StoredChecksums) {
        let first = page.first_chunk();
        let end = ChunkNumber(first.0 + CHUNKS_PER_CHECKSUM_PAGE);
        for (chunk, checksums) in self.checksums.range(first..end) {
            let at = ((chunk.0 - first.0) * BLOCKS_PER_CHUNK) as usize;
            checksums.iter().for_each(|(block, sum)| sums[at + block as usize] = sum);
        }
    }

    pub(crate) fn drop_leaf(&mut self, layer: LayerId, leaf: LeafIndex) {
        let inside: Vec<_> =
            self.leaf_range(layer, leaf).map(|(slot, _)| (layer, leaf.chunk(slot))).collect();
        for key in inside {
            self.chunks.remove(&key);
        }
        self.dropped_leaves.insert((layer, leaf));
    }

    pub(crate) fn leaf_range(
        &self,
        layer: LayerId,
        leaf: LeafIndex,
    ) -> impl Iterator<Item = (u16, &Box<[Fragment]>)> {
        let first = leaf.chunk(0);
        let range = (layer, first)..(layer, ChunkIndex(first.0 + CHUNKS_PER_LEAF));
        self.chunks.range(range).map(|((_, chunk), fragments)| (chunk.slot(), fragments))
    }

    /// The first leaf of the layer from `from` on that this delta puts chunks into.
    pub(crate) fn next_leaf(&self, layer: LayerId, from: LeafIndex) -> Option<LeafIndex> {
        let range = (layer, from.chunk(0))..=(layer, ChunkIndex(u64::MAX));
        self.chunks
            .range(range)
            .find(|(_, fragments)| !fragments.is_empty())
            .map(|((_, chunk), _)| chunk.leaf())
    }

    /// Puts a later delta on top of this one.
    pub(crate) fn absorb(&mut self, later: Self) {
        for (layer, leaf) in later.dropped_leaves {
            self.drop_leaf(layer, leaf);
        }
        self.chunks.extend(later.chunks);
        self.chunk_states.extend(later.chunk_states);
        self.held_blocks.extend(later.held_blocks);
        self.layers.extend(later.layers);
        self.volumes.extend(later.volumes);
        self.snapshots.extend(later.snapshots);
        later.checksums.iter().for_each(|(chunk, checksums)| self.put_checksums(*chunk, checksums));
        self.intents.extend(later.intents);
        self.damage.extend(later.damage);
        self.freed_blocks.extend(later.freed_blocks);
        self.freed_keys.extend(later.freed_keys);
    }
}

/// What a stack of deltas does to one leaf of one layer.
#[derive(Debug, Default)]
pub(crate) struct LeafPatch {
    drops_older: bool,
    chunks: LeafChunks,
}

impl LeafPatch {
    /// Puts what `delta` says of the leaf on top.
    pub(crate) fn push(&mut self, delta: &Delta, layer: LayerId, leaf: LeafIndex) {
        if delta.dropped_leaves.contains(&(layer, leaf)) {
            self.drops_older = true;
            self.chunks.clear();
        }
        for (slot, fragments) in delta.leaf_range(layer, leaf) {
            self.chunks.insert(slot, fragments.clone());
        }
    }

    /// Whether the leaf that lies below does not matter.
    pub(crate) const fn drops_older(&self) -> bool {
        self.drops_older
    }

    /// The leaf with the patch on top of what the map has.
    pub(crate) fn apply(self, mut stored: LeafChunks) -> LeafChunks {
        if self.drops_older {
            stored.clear();
        }
        for (slot, fragments) in self.chunks {
            if fragments.is_empty() {
                stored.remove(&slot);
            } else {
                stored.insert(slot, fragments);
            }
        }
        stored
    }
}
