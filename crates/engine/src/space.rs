//! Who takes how much: for each volume and snapshot what it shows, what it alone shows, and what deleting it would give
//! back to the file system.
//!
//! The three differ because blocks are shared. The last one is exact for the layers as they are when nothing waits to be
//! given back: it follows what the reclaimer would do.

use std::collections::{BTreeMap, BTreeSet};

use ashlar_volume::{BLOCK_BYTES, VolumeError, VolumeId, VolumeSnapshotId};

use crate::catalog::{Catalog, LayerView};
use crate::format::{BLOCKS_PER_CHUNK, CHUNK_BYTES, LayerId, LeafChunks, LeafIndex};
use crate::pool::Pool;

#[cfg(test)]
mod tests;

/// What a volume or snapshot takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpaceUse {
    /// The size that its users see.
    pub size_bytes: u64,
    /// Bytes of blocks with data that it shows, shared or not.
    pub written_bytes: u64,
    /// Those that nothing else shows.
    pub exclusive_bytes: u64,
    /// What the file system gets back if it alone is deleted.
    pub returned_bytes: u64,
}

/// The space of a whole pool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpaceReport {
    /// Each volume.
    pub volumes: BTreeMap<VolumeId, SpaceUse>,
    /// Each snapshot.
    pub snapshots: BTreeMap<VolumeSnapshotId, SpaceUse>,
    /// Bytes of all blocks that are held.
    pub held_bytes: u64,
    /// Layers of deleted volumes and snapshots that wait to be merged or dropped; while there are some, `returned_bytes` may
    /// be less than what comes back.
    pub layers_to_reclaim: u64,
}

/// How far the pool is with giving back what was deleted or discarded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReclaimProgress {
    /// Layers of deleted volumes and snapshots that wait to be merged or dropped.
    pub layers: u64,
    /// Bytes of the blocks in them. A dropped layer gives all of its bytes back; of a merged one the rest goes to its
    /// heir, by name alone: no byte moves.
    pub layer_bytes: u64,
    /// Bytes that nobody holds any more and that wait to be holes in the data file.
    pub punch_bytes: u64,
    /// Layers that were merged or dropped since the pool was opened.
    pub layers_done: u64,
    /// Bytes that became holes since the pool was opened; after a crash, those that were holes already too.
    pub punched_bytes: u64,
}

impl Pool {
    /// How far the pool is with giving space back. Cheap: no map is read.
    #[must_use]
    pub fn reclaim_progress(&self) -> ReclaimProgress {
        let catalog = self.inner.catalog.lock();
        let state = self.inner.core.state.read();
        let mut progress = ReclaimProgress {
            layers_done: catalog.reclaim.layers_done,
            punch_bytes: state.allocator.bytes_to_punch() + state.chunks_being_freed() * CHUNK_BYTES,
            punched_bytes: state.allocator.punched_bytes(),
            ..ReclaimProgress::default()
        };
        for layer in catalog.layers_to_reclaim() {
            progress.layers += 1;
            progress.layer_bytes += state.held_blocks(layer) * BLOCK_BYTES;
        }
        progress
    }

    /// Who takes how much. Reads the map of every layer: takes a moment in a large pool, and holds nobody up meanwhile.
    pub fn space(&self) -> Result<SpaceReport, VolumeError> {
        let mut report = SpaceReport::default();
        let mut trees = {
            let catalog = self.inner.catalog.lock();
            report.layers_to_reclaim = catalog.layers_to_reclaim().count() as u64;
            names(&catalog, &mut report);
            Tree::all(&catalog)
        };
        for tree in &mut trees {
            tree.count(self)?;
            report.held_bytes += tree.held_blocks() * BLOCK_BYTES;
        }
        let uses: BTreeMap<LayerId, SpaceUse> = trees.iter().flat_map(Tree::uses).collect();
        let catalog = self.inner.catalog.lock();
        let volumes = report.volumes.iter_mut().map(|(name, shown)| (catalog.volumes.get(name), shown));
        let snapshots = report.snapshots.iter_mut().map(|(name, shown)| (catalog.snapshots.get(name), shown));
        for (record, shown) in volumes.chain(snapshots) {
            // One that was deleted or frozen meanwhile keeps its zeroes: the next report knows better.
            if let Some(found) = record.and_then(|record| uses.get(&record.layer)) {
                *shown = SpaceUse { size_bytes: shown.size_bytes, ..*found };
            }
        }
        Ok(report)
    }
}

fn names(catalog: &Catalog, report: &mut SpaceReport) {
    let sized = |size_bytes| SpaceUse { size_bytes, ..SpaceUse::default() };
    for (name, record) in &catalog.volumes {
        report.volumes.insert(name.clone(), sized(record.size_bytes));
    }
    for (name, record) in &catalog.snapshots {
        report.snapshots.insert(name.clone(), sized(record.size_bytes));
    }
}

/// A layer in its tree, and what was counted of it.
#[derive(Debug)]
struct Node {
    layer: LayerId,
    /// Its parent's place; parents come first.
    parent: Option<usize>,
    children: Vec<usize>,
    is_named: bool,
    held_blocks: u64,
    /// Blocks of its parent that it hides.
    hidden_blocks: u64,
    /// Blocks that its name shows.
    written_blocks: u64,
    /// Blocks that its name alone shows.
    exclusive_blocks: u64,
}

/// Layers that hang together.
#[derive(Debug)]
struct Tree(Vec<Node>);

/// What a layer says of one chunk.
#[derive(Debug, Clone, Copy, Default)]
struct Masks {
    /// Blocks whose data it holds.
    data: u16,
    /// Blocks that it says anything about, zeroes included.
    cover: u16,
}

impl Tree {
    fn all(catalog: &Catalog) -> Vec<Self> {
        let mut trees: Vec<Self> = Vec::new();
        let mut places: BTreeMap<LayerId, (usize, usize)> = BTreeMap::new();
        // Ids rise from parent to child, so a parent is placed before its children.
        for LayerView { id, parent, is_named } in catalog.layer_views() {
            let above = parent.and_then(|parent| places.get(&parent).copied());
            let tree = above.map_or(trees.len(), |(tree, _)| tree);
            if above.is_none() {
                trees.push(Self(Vec::new()));
            }
            let nodes = &mut trees[tree].0;
            let place = nodes.len();
            if let Some((_, parent)) = above {
                nodes[parent].children.push(place);
            }
            nodes.push(Node {
                layer: id,
                parent: above.map(|(_, parent)| parent),
                children: Vec::new(),
                is_named,
                held_blocks: 0,
                hidden_blocks: 0,
                written_blocks: 0,
                exclusive_blocks: 0,
            });
            places.insert(id, (tree, place));
        }
        trees
    }

    fn held_blocks(&self) -> u64 {
        self.0.iter().map(|node| node.held_blocks).sum()
    }

    /// Walks the leaves of all layers.
    fn count(&mut self, pool: &Pool) -> Result<(), VolumeError> {
        let core = &pool.inner.core;
        let layers: Vec<LayerId> = self.0.iter().map(|node| node.layer).collect();
        let mut leaves = BTreeSet::new();
        for layer in &layers {
            let mut from = LeafIndex(0);
            while let Some((leaf, _)) = core.next_leaf(*layer, from)? {
                leaves.insert(leaf);
                from = LeafIndex(leaf.0 + 1);
            }
        }
        for leaf in leaves {
            let chunks = {
                let _entries_stay = core.moves.read();
                core.layer_leaves(leaf, &layers)?
            };
            let slots: BTreeSet<u16> = chunks.iter().flat_map(|chunks| chunks.keys().copied()).collect();
            for slot in slots {
                self.count_chunk(&chunks, slot);
            }
        }
        Ok(())
    }

    fn count_chunk(&mut self, chunks: &[LeafChunks], slot: u16) {
        let masks: Vec<Masks> = chunks.iter().map(|chunks| masks_of(chunks, slot)).collect();
        // Downwards: what each layer shows.
        let mut shown = vec![0_u16; masks.len()];
        for (at, node) in self.0.iter_mut().enumerate() {
            let Masks { data, cover } = masks[at];
            let (above, above_data) =
                node.parent.map_or((0, 0), |parent| (shown[parent], masks[parent].data));
            shown[at] = data | (above & !cover);
            node.held_blocks += blocks(data);
            node.hidden_blocks += blocks(above_data & cover);
            if node.is_named {
                node.written_blocks += blocks(shown[at]);
            }
        }
        // Upwards: who sees what each layer holds.
        let mut viewers = vec![[Viewer::Nobody; BLOCKS_PER_CHUNK as usize]; masks.len()];
        for at in (0..masks.len()).rev() {
            if self.0[at].is_named {
                viewers[at].iter_mut().for_each(|viewer| *viewer = viewer.and(Viewer::One(at)));
            }
            for (bit, viewer) in viewers[at].into_iter().enumerate() {
                if masks[at].data >> bit & 1 == 1
                    && let Viewer::One(only) = viewer
                {
                    self.0[only].exclusive_blocks += 1;
                }
                if let Some(parent) = self.0[at].parent
                    && masks[at].cover >> bit & 1 == 0
                {
                    viewers[parent][bit] = viewers[parent][bit].and(viewer);
                }
            }
        }
    }

    fn uses(&self) -> impl Iterator<Item = (LayerId, SpaceUse)> {
        self.0.iter().enumerate().filter(|(_, node)| node.is_named).map(|(at, node)| {
            let space = SpaceUse {
                size_bytes: 0,
                written_bytes: node.written_blocks * BLOCK_BYTES,
                exclusive_bytes: node.exclusive_blocks * BLOCK_BYTES,
                returned_bytes: self.returned_blocks(at) * BLOCK_BYTES,
            };
            (node.layer, space)
        })
    }

    /// What comes back when a name goes: its layer goes with it, or merges into its only child, or stays for several; and
    /// what that does to nameless ancestors.
    fn returned_blocks(&self, at: usize) -> u64 {
        match self.0[at].children[..] {
            [child] => return self.0[child].hidden_blocks,
            [_, _, ..] => return 0,
            [] => {}
        }
        let mut returned = self.0[at].held_blocks;
        let mut gone = at;
        while let Some(parent) = self.0[gone].parent.filter(|parent| !self.0[*parent].is_named) {
            let mut others = self.0[parent].children.iter().filter(|child| **child != gone);
            match (others.next(), others.next()) {
                (None, _) => returned += self.0[parent].held_blocks,
                (Some(heir), None) => return returned + self.0[*heir].hidden_blocks,
                (Some(_), Some(_)) => return returned,
            }
            gone = parent;
        }
        returned
    }
}

/// Who sees a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Viewer {
    Nobody,
    One(usize),
    Many,
}

impl Viewer {
    const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nobody, other) => other,
            (one, Self::Nobody) => one,
            _ => Self::Many,
        }
    }
}

fn blocks(mask: u16) -> u64 {
    u64::from(mask.count_ones())
}

fn masks_of(chunks: &LeafChunks, slot: u16) -> Masks {
    let mut masks = Masks::default();
    for fragment in chunks.get(&slot).into_iter().flatten() {
        masks.cover |= fragment.mask();
        if !fragment.is_zeroes() {
            masks.data |= fragment.mask();
        }
    }
    masks
}
