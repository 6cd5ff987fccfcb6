//! The map: the checkpoint of all metadata, in an embedded transactional store.
//!
//! It changes only as a whole, by [`Map::apply`]; everything newer is in deltas above it.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use ashlar_volume::{ErrorKind, VolumeError, VolumeId, VolumeSnapshotId};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use crate::allocator::ChunkRuns;
use crate::delta::{ChunkState, Delta, Mark};
use crate::format::{
    BLOCKS_PER_CHECKSUM_PAGE, CHUNKS_PER_ALLOCATION_SEGMENT, ChecksumPage, ChunkNumber, DataKeyId,
    LEAVES_PER_DIRECTORY, LayerId, LayerRecord, LeafChunks, LeafDirectory, LeafIndex, NameRecord,
    StoredChecksums, Superblock, Table, decode_checksums, decode_leaf, sealed_checksum, unseal,
};
use crate::held::FirstLeaves;
use pages::Pages;

mod apply;
mod backend;
mod open;
mod pages;
mod quiet;
mod sums;
#[cfg(test)]
mod tests;

type Bytes = &'static [u8];

const POOL: TableDefinition<'_, &str, Bytes> = TableDefinition::new("pool");
const VOLUMES: TableDefinition<'_, &str, Bytes> = TableDefinition::new("volumes");
const SNAPSHOTS: TableDefinition<'_, &str, Bytes> = TableDefinition::new("snapshots");
const LAYERS: TableDefinition<'_, u64, Bytes> = TableDefinition::new("layers");
const HELD: TableDefinition<'_, u64, Bytes> = TableDefinition::new("held");
const LEAVES: TableDefinition<'_, (u64, u32), Bytes> = TableDefinition::new("leaves");
const LEAF_SUMS: TableDefinition<'_, (u64, u32), Bytes> = TableDefinition::new("leaf_sums");
const ALLOCATION: TableDefinition<'_, u64, Bytes> = TableDefinition::new("allocation");
const CHECKSUMS: TableDefinition<'_, u64, Bytes> = TableDefinition::new("checksums");
const INTENTS: TableDefinition<'_, u64, Bytes> = TableDefinition::new("intents");
const DAMAGE: TableDefinition<'_, u64, Bytes> = TableDefinition::new("damage");

const SUPERBLOCK_KEY: &str = "superblock";

/// The key of a leaf, or of a directory of leaves, as its seal covers it.
fn leaf_key(layer: u64, leaf: u32) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&layer.to_le_bytes());
    key[8..].copy_from_slice(&leaf.to_le_bytes());
    key
}

/// What a directory says of a stored leaf: its checksum, never 0.
fn leaf_sum(sealed: &[u8]) -> u32 {
    sealed_checksum(sealed).max(1)
}

/// Everything of the map that is kept in memory while the pool is open.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) names: Names,
    pub(crate) allocation: Allocation,
    /// Pages whose stored checksums are not to be believed.
    pub(crate) intents: BTreeSet<ChecksumPage>,
    pub(crate) damage: BTreeMap<ChunkNumber, Mark>,
}

impl Contents {
    /// Puts a delta on top.
    pub(crate) fn apply(&mut self, delta: &Delta) {
        self.names.apply(delta);
        self.allocation.apply(delta);
        for (page, is_open) in &delta.intents {
            if *is_open {
                self.intents.insert(*page);
            } else {
                self.intents.remove(page);
            }
        }
        for (chunk, mark) in &delta.damage {
            if mark.mask == 0 {
                self.damage.remove(chunk);
            } else {
                self.damage.insert(*chunk, *mark);
            }
        }
    }
}

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
pub(crate) struct Map {
    /// There until it is dropped.
    database: Option<Database>,
    pages: Arc<Pages>,
}

impl Map {
    /// The state of the pool at the checkpoint.
    pub(crate) fn superblock(&self) -> Result<Superblock, VolumeError> {
        let value = self.read(|transaction| {
            let table = transaction.open_table(POOL)?;
            Ok(table.get(SUPERBLOCK_KEY)?.map(|value| value.value().to_vec()))
        })?;
        let value = value.ok_or_else(|| VolumeError::new(ErrorKind::Corrupt, "the map has no superblock"))?;
        Superblock::decode(&value)
    }

    /// The state of the pool at the checkpoint, and all that is kept in memory. `Corrupt` if some of it is
    /// not what the checkpoint wrote, or is missing.
    pub(crate) fn contents(&self) -> Result<(Superblock, Contents), VolumeError> {
        let superblock = self.superblock()?;
        let mut contents = Contents::default();
        let mut digest = 0;
        self.read(|transaction| {
            let names = &mut contents.names;
            for row in transaction.open_table(VOLUMES)?.iter()? {
                let (key, value) = row?;
                let bytes = counted(Table::Volumes, key.value().as_bytes(), value.value(), &mut digest)?;
                names.volumes.insert(VolumeId::new(key.value())?, NameRecord::decode(bytes)?);
            }
            for row in transaction.open_table(SNAPSHOTS)?.iter()? {
                let (key, value) = row?;
                let bytes = counted(Table::Snapshots, key.value().as_bytes(), value.value(), &mut digest)?;
                names.snapshots.insert(VolumeSnapshotId::new(key.value())?, NameRecord::decode(bytes)?);
            }
            for_each(transaction, LAYERS, Table::Layers, &mut digest, |layer, bytes| {
                names.layers.insert(LayerId(layer), LayerRecord::decode(bytes)?);
                Ok(())
            })?;
            for_each(transaction, HELD, Table::Held, &mut digest, |layer, bytes| {
                let blocks = bytes.first_chunk().map_or(0, |blocks| u64::from_le_bytes(*blocks));
                names.held_blocks.insert(LayerId(layer), blocks);
                Ok(())
            })?;
            for_each(transaction, ALLOCATION, Table::Allocation, &mut digest, |segment, bytes| {
                let mut bytes = bytes.to_vec();
                bytes.resize(Allocation::SEGMENT_BYTES, 0);
                contents.allocation.0.insert(segment, bytes);
                Ok(())
            })?;
            for_each(transaction, INTENTS, Table::Intents, &mut digest, |page, _| {
                contents.intents.insert(ChecksumPage(page));
                Ok(())
            })?;
            for_each(transaction, DAMAGE, Table::Damage, &mut digest, |chunk, bytes| {
                contents.damage.insert(ChunkNumber(chunk), Mark::decode(bytes)?);
                Ok(())
            })
        })?;
        if digest != superblock.digest {
            let context = "the map lacks something that its last checkpoint wrote, or has an older version of it: \
                           a write of `map.redb` was lost";
            return Err(VolumeError::new(ErrorKind::Corrupt, context));
        }
        Ok((superblock, contents))
    }

    /// The stored checksums of a page of chunks; zeroes where none were stored.
    pub(crate) fn checksums(&self, page: ChecksumPage) -> Result<Box<StoredChecksums>, VolumeError> {
        self.read(|transaction| {
            let table = transaction.open_table(CHECKSUMS)?;
            let Some(value) = table.get(page.0)? else { return Ok(Box::new([0; BLOCKS_PER_CHECKSUM_PAGE])) };
            let sealed = unseal(Table::Checksums, &page.0.to_le_bytes(), value.value())?;
            Ok(decode_checksums(sealed.value)?)
        })
    }

    /// One leaf of each of the layers; empty where a layer has none.
    pub(crate) fn leaves(&self, leaf: LeafIndex, layers: &[LayerId]) -> Result<Vec<LeafChunks>, VolumeError> {
        self.read(|transaction| {
            let (table, sums) = (transaction.open_table(LEAVES)?, transaction.open_table(LEAF_SUMS)?);
            let mut leaves = Vec::with_capacity(layers.len());
            for layer in layers {
                let directory = read_directory(&sums, layer.0, leaf.0 / LEAVES_PER_DIRECTORY)?;
                let expected = directory[(leaf.0 % LEAVES_PER_DIRECTORY) as usize];
                let value = table.get((layer.0, leaf.0))?;
                if value.as_ref().map_or(0, |value| leaf_sum(value.value())) != expected {
                    return Err(lost_leaf(*layer, leaf).into());
                }
                leaves.push(match value {
                    None => LeafChunks::new(),
                    Some(value) => {
                        decode_leaf(unseal(Table::Leaves, &leaf_key(layer.0, leaf.0), value.value())?.value)?
                    }
                });
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
            // The directory, not the leaves: a leaf whose write was lost must be missed, not skipped.
            let sums = transaction.open_table(LEAF_SUMS)?;
            for row in sums.range((layer.0, from.0 / LEAVES_PER_DIRECTORY)..=(layer.0, u32::MAX))? {
                let (key, value) = row?;
                let (_, number) = key.value();
                let directory = decode_directory(layer.0, number, value.value())?;
                let leaves = directory_leaves(number, &directory);
                if let Some(leaf) = leaves.into_iter().find(|leaf| *leaf >= from && wanted(*leaf)) {
                    return Ok(Some(leaf));
                }
            }
            Ok(None)
        })
    }

    /// Adds the stored leaves of the layers for which `wanted` holds, as far as they are among the first.
    pub(crate) fn find_leaves(
        &self,
        layers: &[LayerId],
        found: &mut FirstLeaves,
        wanted: impl Fn(LayerId, LeafIndex) -> bool,
    ) -> Result<(), VolumeError> {
        self.read(|transaction| {
            let sums = transaction.open_table(LEAF_SUMS)?;
            let start = found.range().start;
            for layer in layers {
                let last = found.range().end.0.div_ceil(LEAVES_PER_DIRECTORY);
                'layer: for row in sums.range((layer.0, start.0 / LEAVES_PER_DIRECTORY)..(layer.0, last))? {
                    let (key, value) = row?;
                    let (_, number) = key.value();
                    let directory = decode_directory(layer.0, number, value.value())?;
                    for leaf in directory_leaves(number, &directory) {
                        if leaf >= start && wanted(*layer, leaf) && !found.add(leaf) {
                            break 'layer;
                        }
                    }
                }
            }
            Ok(())
        })
    }

    /// Keys of all stored leaves.
    pub(crate) fn leaf_keys(&self) -> Result<Vec<(LayerId, LeafIndex)>, VolumeError> {
        self.read(|transaction| {
            let mut keys = BTreeSet::new();
            for row in transaction.open_table(LEAVES)?.iter()? {
                let (layer, leaf) = row?.0.value();
                keys.insert((LayerId(layer), LeafIndex(leaf)));
            }
            for row in transaction.open_table(LEAF_SUMS)?.iter()? {
                let (key, value) = row?;
                let (layer, number) = key.value();
                let directory = decode_directory(layer, number, value.value())?;
                keys.extend(
                    directory_leaves(number, &directory).into_iter().map(|leaf| (LayerId(layer), leaf)),
                );
            }
            Ok(keys.into_iter().collect())
        })
    }

    /// Makes the delta part of the checkpoint, durably and as a whole.
    pub(crate) fn apply(&self, delta: &Delta, superblock: Superblock) -> Result<(), VolumeError> {
        const CONTEXT: &str = "write a checkpoint into the map";
        let applied = self.pages.strictly(|| {
            guarded(CONTEXT, || {
                let database = self.database.as_ref().ok_or_else(is_closed)?;
                apply::apply(database, delta, superblock).map_err(|error| error.into_error(CONTEXT))
            })
        });
        self.noting_damage(applied)
    }

    fn read<T>(
        &self,
        body: impl FnOnce(&redb::ReadTransaction) -> Result<T, MapFailure>,
    ) -> Result<T, VolumeError> {
        const CONTEXT: &str = "read the map";
        let run = || body(&self.database.as_ref().ok_or_else(is_closed)?.begin_read()?);
        self.noting_damage(guarded(CONTEXT, || run().map_err(|error| error.into_error(CONTEXT))))
    }

    fn noting_damage<T>(&self, result: Result<T, VolumeError>) -> Result<T, VolumeError> {
        result.inspect_err(|error| {
            if error.kind() == ErrorKind::Corrupt {
                self.pages.set_damaged();
            }
        })
    }
}

fn is_closed() -> VolumeError {
    VolumeError::new(ErrorKind::Latched, "the map is closed")
}

/// Takes the seal off a value of a small table and adds its checksum to the digest of all of them.
fn counted<'a>(table: Table, key: &[u8], bytes: &'a [u8], digest: &mut u32) -> Result<&'a [u8], VolumeError> {
    *digest ^= sealed_checksum(bytes);
    Ok(unseal(table, key, bytes)?.value)
}

fn for_each(
    transaction: &redb::ReadTransaction,
    definition: TableDefinition<'_, u64, Bytes>,
    table: Table,
    digest: &mut u32,
    mut body: impl FnMut(u64, &[u8]) -> Result<(), VolumeError>,
) -> Result<(), MapFailure> {
    for row in transaction.open_table(definition)?.iter()? {
        let (key, value) = row?;
        let bytes = counted(table, &key.value().to_le_bytes(), value.value(), digest)?;
        body(key.value(), bytes)?;
    }
    Ok(())
}

fn read_directory(
    table: &impl ReadableTable<(u64, u32), Bytes>,
    layer: u64,
    number: u32,
) -> Result<LeafDirectory, MapFailure> {
    match table.get((layer, number))? {
        None => Ok([0; LEAVES_PER_DIRECTORY as usize]),
        Some(value) => Ok(decode_directory(layer, number, value.value())?),
    }
}

fn decode_directory(layer: u64, number: u32, sealed: &[u8]) -> Result<LeafDirectory, VolumeError> {
    let bytes = unseal(Table::LeafSums, &leaf_key(layer, number), sealed)?.value;
    let mut directory = [0; LEAVES_PER_DIRECTORY as usize];
    for (sum, bytes) in directory.iter_mut().zip(bytes.chunks_exact(4)) {
        *sum = bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
    }
    Ok(directory)
}

fn directory_leaves(number: u32, directory: &LeafDirectory) -> Vec<LeafIndex> {
    let present = directory.iter().enumerate().filter(|(_, sum)| **sum != 0);
    present.map(|(at, _)| LeafIndex(number * LEAVES_PER_DIRECTORY + at as u32)).collect()
}

fn lost_leaf(layer: LayerId, leaf: LeafIndex) -> VolumeError {
    VolumeError::new(
        ErrorKind::Corrupt,
        format!(
            "leaf {} of layer {} is not what the last checkpoint wrote: a write of `map.redb` was lost",
            leaf.0, layer.0
        ),
    )
}

/// Runs `body`; a panic inside it becomes `Corrupt`. The embedded store panics over some damaged pages, and
/// damage is nothing that may end a server or a check.
fn guarded<T>(context: &str, body: impl FnOnce() -> Result<T, VolumeError>) -> Result<T, VolumeError> {
    let caught = quiet::without_panic_message(|| std::panic::catch_unwind(AssertUnwindSafe(body)));
    caught.unwrap_or_else(|_| {
        Err(VolumeError::new(ErrorKind::Corrupt, format!("{context}: `map.redb` is damaged")))
    })
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
