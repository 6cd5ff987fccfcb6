//! The map: the checkpoint of all metadata, in an embedded transactional store.
//!
//! It changes only as a whole, by [`Map::apply`]; everything newer is in deltas above it.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use ashlar_volume::{ErrorKind, VolumeError, VolumeId, VolumeSnapshotId};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use crate::allocator::ChunkRuns;
use crate::delta::{ChunkState, Delta, LeafPatch};
use crate::file::File;
use crate::format::{
    CHUNKS_PER_ALLOCATION_SEGMENT, ChunkNumber, DataKeyId, LayerId, LayerRecord, LeafChunks, LeafIndex,
    NameRecord, Superblock, decode_leaf, encode_leaf,
};

mod backend;

const POOL: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("pool");
const VOLUMES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("volumes");
const SNAPSHOTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("snapshots");
const LAYERS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("layers");
const HELD: TableDefinition<'_, u64, u64> = TableDefinition::new("held");
const LEAVES: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("leaves");
const ALLOCATION: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("allocation");

const SUPERBLOCK_KEY: &str = "superblock";

/// Volumes, snapshots, layers and what each holds.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) volumes: BTreeMap<VolumeId, NameRecord>,
    pub(crate) snapshots: BTreeMap<VolumeSnapshotId, NameRecord>,
    pub(crate) layers: BTreeMap<LayerId, LayerRecord>,
    /// Blocks that a layer holds; a layer without entry holds none.
    pub(crate) held_blocks: BTreeMap<LayerId, u64>,
}

impl Names {
    /// The keys that volumes and snapshots need.
    pub(crate) fn data_keys(&self) -> BTreeSet<DataKeyId> {
        let named = self.volumes.values().chain(self.snapshots.values());
        named.filter_map(|record| self.layers.get(&record.layer)?.data_key).collect()
    }

    /// Puts a delta on top.
    pub(crate) fn apply(&mut self, delta: &Delta) {
        apply_changes(&mut self.volumes, &delta.volumes);
        apply_changes(&mut self.snapshots, &delta.snapshots);
        self.held_blocks.extend(delta.held_blocks.iter().map(|(layer, blocks)| (*layer, *blocks)));
        apply_changes(&mut self.layers, &delta.layers);
        self.held_blocks.retain(|layer, _| self.layers.contains_key(layer));
    }
}

fn apply_changes<K: Ord + Clone, V: Clone>(all: &mut BTreeMap<K, V>, changes: &BTreeMap<K, Option<V>>) {
    for (key, change) in changes {
        match change {
            Some(value) => all.insert(key.clone(), value.clone()),
            None => all.remove(key),
        };
    }
}

/// Which chunks are allocated: a bitmap in segments. A segment of zeroes only is not stored.
#[derive(Debug, Default)]
pub(crate) struct Allocation(BTreeMap<u64, Vec<u8>>);

impl Allocation {
    const SEGMENT_BYTES: usize = (CHUNKS_PER_ALLOCATION_SEGMENT / 8) as usize;

    /// Puts a delta on top.
    pub(crate) fn apply(&mut self, delta: &Delta) {
        for (chunk, state) in &delta.chunk_states {
            self.set(*chunk, *state);
        }
    }

    fn set(&mut self, chunk: ChunkNumber, state: ChunkState) {
        let segment = self
            .0
            .entry(chunk.0 / CHUNKS_PER_ALLOCATION_SEGMENT)
            .or_insert_with(|| vec![0; Self::SEGMENT_BYTES]);
        let bit = chunk.0 % CHUNKS_PER_ALLOCATION_SEGMENT;
        let byte = &mut segment[(bit / 8) as usize];
        match state {
            ChunkState::Allocated => *byte |= 1 << (bit % 8),
            ChunkState::Free => *byte &= !(1 << (bit % 8)),
        }
    }

    /// The numbers of all allocated chunks, ascending.
    pub(crate) fn allocated(&self) -> impl Iterator<Item = u64> {
        self.0.iter().flat_map(|(segment, bytes)| {
            bytes.iter().enumerate().filter(|(_, byte)| **byte != 0).flat_map(move |(at, byte)| {
                let first = segment * CHUNKS_PER_ALLOCATION_SEGMENT + at as u64 * 8;
                (0..8).filter(move |bit| byte >> bit & 1 == 1).map(move |bit| first + bit)
            })
        })
    }

    /// The free chunks below the highest allocated one, and the number after that one.
    pub(crate) fn free_and_high_water(&self) -> (ChunkRuns, u64) {
        let mut free = ChunkRuns::default();
        let mut next = 0;
        for chunk in self.allocated() {
            free.insert(next..chunk);
            next = chunk + 1;
        }
        (free, next)
    }
}

/// The map of an open pool.
#[derive(Debug)]
pub(crate) struct Map(Database);

impl Map {
    /// Writes the map of an empty pool into an empty file.
    pub(crate) fn create(
        file: Arc<dyn File>,
        superblock: Superblock,
        cache_bytes: usize,
    ) -> Result<(), VolumeError> {
        let map = Self::open(file, cache_bytes)?;
        map.apply(&Delta::default(), superblock)
    }

    pub(crate) fn open(file: Arc<dyn File>, cache_bytes: usize) -> Result<Self, VolumeError> {
        Self::open_backend(backend::FileBackend(file), cache_bytes)
    }

    /// Opens the map without changing its file: what opening it writes stays in memory.
    pub(crate) fn open_read_only(file: Arc<dyn File>, cache_bytes: usize) -> Result<Self, VolumeError> {
        Self::open_backend(backend::OverlayBackend::new(file), cache_bytes)
    }

    fn open_backend(backend: impl redb::StorageBackend, cache_bytes: usize) -> Result<Self, VolumeError> {
        let mut builder = Database::builder();
        builder.set_cache_size(cache_bytes);
        guarded("open the map", || {
            let opened = builder.create_with_backend(backend);
            opened.map(Self).map_err(|error| map_error("open the map", error.into()))
        })
    }

    /// Whether every page holds what its checksum says. Reads the whole file; a map that is opened for
    /// writing may be repaired by it.
    pub(crate) fn is_intact(&mut self) -> Result<bool, VolumeError> {
        guarded("verify the map", || {
            self.0.check_integrity().map_err(|error| map_error("verify the map", error.into()))
        })
    }

    /// The state of the pool at the checkpoint.
    pub(crate) fn superblock(&self) -> Result<Superblock, VolumeError> {
        let value = self.read(|transaction| {
            let table = transaction.open_table(POOL)?;
            Ok(table.get(SUPERBLOCK_KEY)?.map(|value| value.value().to_vec()))
        })?;
        let value = value.ok_or_else(|| VolumeError::new(ErrorKind::Corrupt, "the map has no superblock"))?;
        Superblock::decode(&value)
    }

    /// All volumes, snapshots and layers.
    pub(crate) fn names(&self) -> Result<Names, VolumeError> {
        let mut names = Names::default();
        self.read(|transaction| {
            for row in transaction.open_table(VOLUMES)?.iter()? {
                let (key, value) = row?;
                let record =
                    VolumeId::new(key.value()).and_then(|id| Ok((id, NameRecord::decode(value.value())?)));
                names.volumes.extend([record?]);
            }
            for row in transaction.open_table(SNAPSHOTS)?.iter()? {
                let (key, value) = row?;
                let record = VolumeSnapshotId::new(key.value())
                    .and_then(|id| Ok((id, NameRecord::decode(value.value())?)));
                names.snapshots.extend([record?]);
            }
            for row in transaction.open_table(LAYERS)?.iter()? {
                let (key, value) = row?;
                names.layers.insert(LayerId(key.value()), LayerRecord::decode(value.value())?);
            }
            for row in transaction.open_table(HELD)?.iter()? {
                let (key, value) = row?;
                names.held_blocks.insert(LayerId(key.value()), value.value());
            }
            Ok(())
        })?;
        Ok(names)
    }

    /// Which chunks are allocated.
    pub(crate) fn allocation(&self) -> Result<Allocation, VolumeError> {
        self.read(|transaction| {
            let mut allocation = Allocation::default();
            for row in transaction.open_table(ALLOCATION)?.iter()? {
                let (key, value) = row?;
                let mut bytes = value.value().to_vec();
                bytes.resize(Allocation::SEGMENT_BYTES, 0);
                allocation.0.insert(key.value(), bytes);
            }
            Ok(allocation)
        })
    }

    /// One leaf of each of the layers; empty where a layer has none.
    pub(crate) fn leaves(&self, leaf: LeafIndex, layers: &[LayerId]) -> Result<Vec<LeafChunks>, VolumeError> {
        self.read(|transaction| {
            let table = transaction.open_table(LEAVES)?;
            let mut leaves = Vec::with_capacity(layers.len());
            for layer in layers {
                let value = table.get((layer.0, leaf.0))?;
                leaves.push(value.map_or_else(|| Ok(LeafChunks::new()), |value| decode_leaf(value.value()))?);
            }
            Ok(leaves)
        })
    }

    /// The first stored leaf of the layer from `from` on for which `wanted` holds.
    pub(crate) fn next_leaf(
        &self,
        layer: LayerId,
        from: LeafIndex,
        wanted: impl Fn(LeafIndex) -> bool,
    ) -> Result<Option<LeafIndex>, VolumeError> {
        self.read(|transaction| {
            let table = transaction.open_table(LEAVES)?;
            for row in table.range((layer.0, from.0)..=(layer.0, u32::MAX))? {
                let leaf = LeafIndex(row?.0.value().1);
                if wanted(leaf) {
                    return Ok(Some(leaf));
                }
            }
            Ok(None)
        })
    }

    /// Keys of all stored leaves.
    pub(crate) fn leaf_keys(&self) -> Result<Vec<(LayerId, LeafIndex)>, VolumeError> {
        self.read(|transaction| {
            let mut keys = Vec::new();
            for row in transaction.open_table(LEAVES)?.iter()? {
                let (layer, leaf) = row?.0.value();
                keys.push((LayerId(layer), LeafIndex(leaf)));
            }
            Ok(keys)
        })
    }

    /// Makes the delta part of the checkpoint, durably and as a whole.
    pub(crate) fn apply(&self, delta: &Delta, superblock: Superblock) -> Result<(), VolumeError> {
        const CONTEXT: &str = "write a checkpoint into the map";
        guarded(CONTEXT, || self.try_apply(delta, superblock).map_err(|error| error.into_error(CONTEXT)))
    }

    fn try_apply(&self, delta: &Delta, superblock: Superblock) -> Result<(), MapFailure> {
        let mut transaction = self.0.begin_write()?;
        // Opening after a crash must not depend on the size of the map.
        transaction.set_quick_repair(true);
        {
            let mut volumes = transaction.open_table(VOLUMES)?;
            for (name, record) in &delta.volumes {
                match record {
                    Some(record) => volumes.insert(name.as_str(), record.encode().as_slice())?,
                    None => volumes.remove(name.as_str())?,
                };
            }
            let mut snapshots = transaction.open_table(SNAPSHOTS)?;
            for (name, record) in &delta.snapshots {
                match record {
                    Some(record) => snapshots.insert(name.as_str(), record.encode().as_slice())?,
                    None => snapshots.remove(name.as_str())?,
                };
            }
            let mut held = transaction.open_table(HELD)?;
            for (layer, blocks) in &delta.held_blocks {
                held.insert(layer.0, *blocks)?;
            }
            let mut layers = transaction.open_table(LAYERS)?;
            for (layer, record) in &delta.layers {
                match record {
                    Some(record) => drop(layers.insert(layer.0, record.encode().as_slice())?),
                    None => {
                        layers.remove(layer.0)?;
                        held.remove(layer.0)?;
                    }
                }
            }
            apply_leaves(&mut transaction.open_table(LEAVES)?, delta)?;
            apply_allocation(&mut transaction.open_table(ALLOCATION)?, delta)?;
            transaction.open_table(POOL)?.insert(SUPERBLOCK_KEY, superblock.encode().as_slice())?;
        }
        transaction.commit()?;
        Ok(())
    }

    fn read<T>(
        &self,
        body: impl FnOnce(&redb::ReadTransaction) -> Result<T, MapFailure>,
    ) -> Result<T, VolumeError> {
        const CONTEXT: &str = "read the map";
        let run = || body(&self.0.begin_read()?);
        guarded(CONTEXT, || run().map_err(|error| error.into_error(CONTEXT)))
    }
}

/// Runs `body`; a panic inside it becomes `Corrupt`. The embedded store panics over some damaged pages, and
/// damage is nothing that may end a server or a check.
fn guarded<T>(context: &str, body: impl FnOnce() -> Result<T, VolumeError>) -> Result<T, VolumeError> {
    std::panic::catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| {
        Err(VolumeError::new(ErrorKind::Corrupt, format!("{context}: `map.redb` is damaged")))
    })
}

fn apply_leaves(
    table: &mut redb::Table<'_, (u64, u32), &'static [u8]>,
    delta: &Delta,
) -> Result<(), MapFailure> {
    let mut keys: std::collections::BTreeSet<_> = delta.dropped_leaves.clone();
    keys.extend(delta.chunks.keys().map(|(layer, chunk)| (*layer, chunk.leaf())));
    for (layer, leaf) in keys {
        let mut patch = LeafPatch::default();
        patch.push(delta, layer, leaf);
        let stored = if patch.drops_older() {
            LeafChunks::new()
        } else {
            let value = table.get((layer.0, leaf.0))?;
            value.map_or_else(|| Ok(LeafChunks::new()), |value| decode_leaf(value.value()))?
        };
        let chunks = patch.apply(stored);
        if chunks.is_empty() {
            table.remove((layer.0, leaf.0))?;
        } else {
            table.insert((layer.0, leaf.0), encode_leaf(&chunks).as_slice())?;
        }
    }
    Ok(())
}

fn apply_allocation(
    table: &mut redb::Table<'_, u64, &'static [u8]>,
    delta: &Delta,
) -> Result<(), MapFailure> {
    let mut changed = Allocation::default();
    for (chunk, state) in &delta.chunk_states {
        let segment = chunk.0 / CHUNKS_PER_ALLOCATION_SEGMENT;
        if !changed.0.contains_key(&segment) {
            let stored = table.get(segment)?.map(|value| value.value().to_vec()).unwrap_or_default();
            let bytes = changed.0.entry(segment).or_insert(stored);
            bytes.resize(Allocation::SEGMENT_BYTES, 0);
        }
        changed.set(*chunk, *state);
    }
    for (segment, mut bytes) in changed.0 {
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        bytes.truncate(used);
        if bytes.is_empty() {
            table.remove(segment)?;
        } else {
            table.insert(segment, bytes.as_slice())?;
        }
    }
    Ok(())
}

/// What can go wrong inside a transaction.
enum MapFailure {
    Store(redb::Error),
    Content(VolumeError),
}

impl MapFailure {
    fn into_error(self, context: &str) -> VolumeError {
        match self {
            Self::Store(error) => map_error(context, error),
            Self::Content(error) => error,
        }
    }
}

macro_rules! store_errors {
    ($($error:ty),+) => {
        $(impl From<$error> for MapFailure {
            fn from(error: $error) -> Self {
                Self::Store(error.into())
            }
        })+
    };
}

store_errors!(redb::StorageError, redb::TableError, redb::TransactionError, redb::CommitError);

impl From<VolumeError> for MapFailure {
    fn from(error: VolumeError) -> Self {
        Self::Content(error)
    }
}

fn map_error(context: &str, error: redb::Error) -> VolumeError {
    match error {
        redb::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            VolumeError::new(ErrorKind::Corrupt, format!("{context}: {error}"))
        }
        redb::Error::Io(error) => VolumeError::io(context, error),
        redb::Error::PreviousIo => {
            VolumeError::io(context, std::io::Error::other("an earlier I/O of the map failed"))
        }
        other => VolumeError::new(ErrorKind::Corrupt, format!("{context}: {other}")),
    }
}
