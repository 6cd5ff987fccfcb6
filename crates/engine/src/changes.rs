//! Which blocks changed since a snapshot: what the layers above the snapshot's hold.
//!
//! A layer says exactly which blocks were written or zeroed while it was on top, and merging a deleted snapshot's
//! layer only moves entries to a younger layer that is above the same ancestors. So nothing has to be compared and
//! no bytes are read.

use std::collections::{BTreeMap, HashMap};

use ashlar_volume::{
    BLOCK_BYTES, ChangeExtent, ChangeExtents, ChangeKind, ChangeQuery, ContentName, VolumeError,
    VolumeSnapshotId,
};

use crate::format::{BLOCKS_PER_CHUNK, LEAF_BYTES, LayerId, LeafChunks, LeafIndex, NameRecord};
use crate::held::HeldLeaves;
use crate::pool::Inner;

/// An answer ends after this many leaves with changes, so that it never takes long. 8 GiB.
const DESCRIBED_LEAVES_MAX: usize = 256;

/// The layers whose entries tell an answer.
#[derive(Debug, PartialEq, Eq)]
struct Lineage {
    of: NameRecord,
    since: Option<NameRecord>,
    /// Layers that came after `since`; top first.
    newer: Vec<LayerId>,
    /// The layer of `since` and its ancestors; top first.
    older: Vec<LayerId>,
}

/// What a row of layers shows of one chunk.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Shown {
    pub(crate) data: u16,
    zeroes: u16,
}

impl Inner {
    /// See [`VolumeStore::ancestors`](ashlar_volume::VolumeStore::ancestors).
    pub(crate) fn ancestors(&self, of: &ContentName) -> Result<Vec<VolumeSnapshotId>, VolumeError> {
        let catalog = self.catalog.lock();
        let layer = match of {
            ContentName::Volume(volume) => catalog.volume(volume)?.layer,
            ContentName::Snapshot(snapshot) => catalog.snapshot(snapshot)?.layer,
        };
        let names: HashMap<LayerId, &VolumeSnapshotId> =
            catalog.snapshots.iter().map(|(name, record)| (record.layer, name)).collect();
        let older = catalog.chain(layer).into_iter().skip(1);
        Ok(older.filter_map(|layer| names.get(&layer).map(|name| (*name).clone())).collect())
    }

    /// See [`VolumeStore::changes`](ashlar_volume::VolumeStore::changes).
    pub(crate) fn changes(&self, query: &ChangeQuery) -> Result<Vec<ChangeExtent>, VolumeError> {
        loop {
            let lineage = self.lineage(query)?;
            query.check(lineage.of.size_bytes)?;
            let extents = self.describe(query, &lineage)?;
            // While both names stand, their layers do, and what lies between moves only within `newer`. A name that
            // went meanwhile may have let entries move on: then the answer may be wrong and is found anew.
            let now = self.lineage(query)?;
            if (now.of.layer, now.since) == (lineage.of.layer, lineage.since) {
                return Ok(extents);
            }
        }
    }

    fn lineage(&self, query: &ChangeQuery) -> Result<Lineage, VolumeError> {
        let catalog = self.catalog.lock();
        let of = match &query.of {
            ContentName::Volume(volume) => catalog.volume(volume)?,
            ContentName::Snapshot(snapshot) => catalog.snapshot(snapshot)?,
        };
        let mut newer = catalog.chain(of.layer);
        let Some(name) = &query.since else {
            return Ok(Lineage { of, since: None, newer, older: Vec::new() });
        };
        let since = catalog.snapshot(name)?;
        let Some(at) = newer.iter().position(|layer| *layer == since.layer) else {
            return Err(query.not_an_ancestor(name));
        };
        let older = newer.split_off(at);
        Ok(Lineage { of, since: Some(since), newer, older })
    }

    fn describe(&self, query: &ChangeQuery, lineage: &Lineage) -> Result<Vec<ChangeExtent>, VolumeError> {
        let mut extents = ChangeExtents::new(query);
        let end_bytes = query.offset_bytes + query.length_bytes;
        let leaf_of = |offset_bytes: u64| LeafIndex((offset_bytes / LEAF_BYTES) as u32);
        let mut changed =
            HeldLeaves::new(leaf_of(query.offset_bytes)..LeafIndex(end_bytes.div_ceil(LEAF_BYTES) as u32));
        for _ in 0..DESCRIBED_LEAVES_MAX {
            // An entry that moves meanwhile moves within `newer`, and stays in its leaf.
            let leaf = changed.next(&self.core, &lineage.newer, leaf_of(extents.next_bytes()))?;
            let begins = leaf.map_or(end_bytes, |leaf| u64::from(leaf.0) * LEAF_BYTES);
            let wants_more = extents.push(begins, ChangeKind::Unchanged);
            let Some(leaf) = leaf.filter(|_| wants_more) else { break };
            if !self.describe_leaf(lineage, leaf, &mut extents)? {
                break;
            }
        }
        Ok(extents.into_vec())
    }

    /// Adds a leaf's extents; `false` when no more may be added.
    fn describe_leaf(
        &self,
        lineage: &Lineage,
        leaf: LeafIndex,
        extents: &mut ChangeExtents,
    ) -> Result<bool, VolumeError> {
        let (newer, older) = {
            let _entries_stay = self.core.moves.read();
            let newer = shown(&self.core.layer_leaves(leaf, &lineage.newer)?);
            // What was there before matters only where something was made zeroes.
            let older = match newer.values().any(|shown| shown.zeroes != 0) {
                true => shown(&self.core.layer_leaves(leaf, &lineage.older)?),
                false => BTreeMap::new(),
            };
            (newer, older)
        };
        let start_bytes = u64::from(leaf.0) * LEAF_BYTES;
        let block_bytes = |block: u64| start_bytes + block * BLOCK_BYTES;
        for (slot, Shown { data, zeroes }) in newer {
            let first = u64::from(slot) * BLOCKS_PER_CHUNK;
            let zeroed = zeroes & older.get(&slot).copied().unwrap_or_default().data;
            if !extents.push(block_bytes(first), ChangeKind::Unchanged) {
                return Ok(false);
            }
            for block in 0..BLOCKS_PER_CHUNK {
                let kind = match () {
                    () if data >> block & 1 == 1 => ChangeKind::Written,
                    () if zeroed >> block & 1 == 1 => ChangeKind::Zeroed,
                    () => ChangeKind::Unchanged,
                };
                if !extents.push(block_bytes(first + block + 1), kind) {
                    return Ok(false);
                }
            }
        }
        Ok(extents.push(start_bytes + LEAF_BYTES, ChangeKind::Unchanged))
    }
}

/// What layers show of each chunk of a leaf; the top layer comes first.
pub(crate) fn shown(layers: &[LeafChunks]) -> BTreeMap<u16, Shown> {
    let mut all: BTreeMap<u16, Shown> = BTreeMap::new();
    for layer in layers {
        for (slot, fragments) in layer {
            let shown = all.entry(*slot).or_default();
            let covered = shown.data | shown.zeroes;
            for fragment in fragments {
                let visible = fragment.mask() & !covered;
                match fragment.is_zeroes() {
                    true => shown.zeroes |= visible,
                    false => shown.data |= visible,
                }
            }
        }
    }
    all
}
