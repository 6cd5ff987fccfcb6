//! Writing a checkpoint: one transaction that puts a delta into the tables.

use std::collections::{BTreeMap, BTreeSet};

use redb::{Database, ReadableTable, WriteTransaction};

use super::{
    ALLOCATION, Allocation, Bytes, CHECKSUMS, DAMAGE, HELD, INTENTS, LAYERS, LEAF_SUMS, LEAVES, MapFailure,
    POOL, SNAPSHOTS, SUPERBLOCK_KEY, VOLUMES, leaf_key, leaf_sum, read_directory,
};
use crate::delta::{Delta, LeafPatch};
use crate::format::{
    BLOCKS_PER_CHECKSUM_PAGE, CHUNKS_PER_ALLOCATION_SEGMENT, ChecksumPage, LEAVES_PER_DIRECTORY, LeafChunks,
    LeafDirectory, Superblock, Table, decode_checksums, decode_leaf, encode_checksums, encode_leaf, seal,
    sealed_checksum, unseal,
};

pub(super) fn apply(map: &Database, delta: &Delta, mut superblock: Superblock) -> Result<(), MapFailure> {
    let mut transaction = map.begin_write()?;
    // Opening after a crash must not depend on the size of the map.
    transaction.set_quick_repair(true);
    {
        let mut pool = transaction.open_table(POOL)?;
        let before = pool.get(SUPERBLOCK_KEY)?.map(|value| Superblock::decode(value.value())).transpose()?;
        let mut stamp =
            Stamp { sequence: superblock.applied_sequence, digest: before.map_or(0, |before| before.digest) };
        apply_names(&transaction, delta, &mut stamp)?;
        apply_leaves(&transaction, delta, &stamp)?;
        apply_allocation(&transaction, delta, &mut stamp)?;
        apply_checksums(&transaction, delta, &stamp)?;
        apply_marks(&transaction, delta, &mut stamp)?;
        superblock.digest = stamp.digest;
        pool.insert(SUPERBLOCK_KEY, superblock.encode().as_slice())?;
    }
    transaction.commit()?;
    Ok(())
}

/// What the seals of one checkpoint have in common, and the digest of the small tables.
struct Stamp {
    sequence: u64,
    digest: u32,
}

impl Stamp {
    fn seal(&self, table: Table, key: &[u8], value: &[u8]) -> Vec<u8> {
        seal(table, key, self.sequence, value)
    }

    /// Stores or removes a value of a small table.
    fn put(
        &mut self,
        table: &mut redb::Table<'_, u64, Bytes>,
        which: Table,
        key: u64,
        value: Option<&[u8]>,
    ) -> Result<(), MapFailure> {
        let old = match value {
            None => table.remove(key)?.map(|old| sealed_checksum(old.value())),
            Some(value) => {
                let sealed = self.seal(which, &key.to_le_bytes(), value);
                self.digest ^= sealed_checksum(&sealed);
                table.insert(key, sealed.as_slice())?.map(|old| sealed_checksum(old.value()))
            }
        };
        self.digest ^= old.unwrap_or(0);
        Ok(())
    }

    /// Stores or removes a name.
    fn put_name(
        &mut self,
        table: &mut redb::Table<'_, &'static str, Bytes>,
        which: Table,
        key: &str,
        value: Option<&[u8]>,
    ) -> Result<(), MapFailure> {
        let old = match value {
            None => table.remove(key)?.map(|old| sealed_checksum(old.value())),
            Some(value) => {
                let sealed = self.seal(which, key.as_bytes(), value);
                self.digest ^= sealed_checksum(&sealed);
                table.insert(key, sealed.as_slice())?.map(|old| sealed_checksum(old.value()))
            }
        };
        self.digest ^= old.unwrap_or(0);
        Ok(())
    }
}

fn apply_names(transaction: &WriteTransaction, delta: &Delta, stamp: &mut Stamp) -> Result<(), MapFailure> {
    let mut volumes = transaction.open_table(VOLUMES)?;
    for (name, record) in &delta.volumes {
        let value = record.map(|record| record.encode());
        stamp.put_name(&mut volumes, Table::Volumes, name.as_str(), value.as_ref().map(|v| v.as_slice()))?;
    }
    let mut snapshots = transaction.open_table(SNAPSHOTS)?;
    for (name, record) in &delta.snapshots {
        let value = record.map(|record| record.encode());
        stamp.put_name(
            &mut snapshots,
            Table::Snapshots,
            name.as_str(),
            value.as_ref().map(|v| v.as_slice()),
        )?;
    }
    let mut held = transaction.open_table(HELD)?;
    for (layer, blocks) in &delta.held_blocks {
        stamp.put(&mut held, Table::Held, layer.0, Some(&blocks.to_le_bytes()))?;
    }
    let mut layers = transaction.open_table(LAYERS)?;
    for (layer, record) in &delta.layers {
        let value = record.map(|record| record.encode());
        stamp.put(&mut layers, Table::Layers, layer.0, value.as_ref().map(|v| v.as_slice()))?;
        if record.is_none() {
            stamp.put(&mut held, Table::Held, layer.0, None)?;
        }
    }
    Ok(())
}

fn apply_leaves(transaction: &WriteTransaction, delta: &Delta, stamp: &Stamp) -> Result<(), MapFailure> {
    let mut table = transaction.open_table(LEAVES)?;
    let mut sums = transaction.open_table(LEAF_SUMS)?;
    let mut directories: BTreeMap<(u64, u32), LeafDirectory> = BTreeMap::new();
    let mut keys: BTreeSet<_> = delta.dropped_leaves.clone();
    keys.extend(delta.chunks.keys().map(|(layer, chunk)| (*layer, chunk.leaf())));
    for (layer, leaf) in keys {
        let key = leaf_key(layer.0, leaf.0);
        let mut patch = LeafPatch::default();
        patch.push(delta, layer, leaf);
        let directory_key = (layer.0, leaf.0 / LEAVES_PER_DIRECTORY);
        let directory = match directories.entry(directory_key) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(read_directory(&sums, directory_key.0, directory_key.1)?)
            }
        };
        let expected = &mut directory[(leaf.0 % LEAVES_PER_DIRECTORY) as usize];
        let stored = if patch.drops_older() {
            LeafChunks::new()
        } else {
            let value = table.get((layer.0, leaf.0))?;
            if value.as_ref().map_or(0, |value| leaf_sum(value.value())) != *expected {
                return Err(super::lost_leaf(layer, leaf).into());
            }
            match value {
                None => LeafChunks::new(),
                Some(value) => decode_leaf(unseal(Table::Leaves, &key, value.value())?.value)?,
            }
        };
        let chunks = patch.apply(stored);
        if chunks.is_empty() {
            table.remove((layer.0, leaf.0))?;
            *expected = 0;
        } else {
            let sealed = stamp.seal(Table::Leaves, &key, &encode_leaf(&chunks));
            table.insert((layer.0, leaf.0), sealed.as_slice())?;
            *expected = leaf_sum(&sealed);
        }
    }
    for ((layer, number), directory) in directories {
        if directory.iter().all(|sum| *sum == 0) {
            sums.remove((layer, number))?;
            continue;
        }
        let bytes: Vec<u8> = directory.iter().flat_map(|sum| sum.to_le_bytes()).collect();
        let sealed = stamp.seal(Table::LeafSums, &leaf_key(layer, number), &bytes);
        sums.insert((layer, number), sealed.as_slice())?;
    }
    Ok(())
}

fn apply_allocation(
    transaction: &WriteTransaction,
    delta: &Delta,
    stamp: &mut Stamp,
) -> Result<(), MapFailure> {
    let mut table = transaction.open_table(ALLOCATION)?;
    let mut changed = Allocation::default();
    for (chunk, state) in &delta.chunk_states {
        let segment = chunk.0 / CHUNKS_PER_ALLOCATION_SEGMENT;
        if !changed.0.contains_key(&segment) {
            let stored = match table.get(segment)? {
                None => Vec::new(),
                Some(value) => {
                    unseal(Table::Allocation, &segment.to_le_bytes(), value.value())?.value.to_vec()
                }
            };
            let bytes = changed.0.entry(segment).or_insert(stored);
            bytes.resize(Allocation::SEGMENT_BYTES, 0);
        }
        changed.set(*chunk, *state);
    }
    for (segment, mut bytes) in changed.0 {
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        bytes.truncate(used);
        let value = Some(bytes.as_slice()).filter(|bytes| !bytes.is_empty());
        stamp.put(&mut table, Table::Allocation, segment, value)?;
    }
    Ok(())
}

fn apply_checksums(transaction: &WriteTransaction, delta: &Delta, stamp: &Stamp) -> Result<(), MapFailure> {
    let mut table = transaction.open_table(CHECKSUMS)?;
    let pages: BTreeSet<_> = delta.checksums.keys().map(|chunk| ChecksumPage::of(*chunk)).collect();
    for page in pages {
        let key = page.0.to_le_bytes();
        let mut sums = match table.get(page.0)? {
            None => Box::new([0; BLOCKS_PER_CHECKSUM_PAGE]),
            Some(value) => decode_checksums(unseal(Table::Checksums, &key, value.value())?.value)?,
        };
        delta.patch_checksums(page, &mut sums);
        let sealed = stamp.seal(Table::Checksums, &key, &encode_checksums(&sums));
        table.insert(page.0, sealed.as_slice())?;
    }
    Ok(())
}

fn apply_marks(transaction: &WriteTransaction, delta: &Delta, stamp: &mut Stamp) -> Result<(), MapFailure> {
    let mut intents = transaction.open_table(INTENTS)?;
    for (page, is_open) in &delta.intents {
        stamp.put(&mut intents, Table::Intents, page.0, is_open.then_some(&[]))?;
    }
    let mut damage = transaction.open_table(DAMAGE)?;
    for (chunk, mark) in &delta.damage {
        let value = (mark.mask != 0).then(|| mark.encode());
        stamp.put(&mut damage, Table::Damage, chunk.0, value.as_ref().map(|v| v.as_slice()))?;
    }
    Ok(())
}
