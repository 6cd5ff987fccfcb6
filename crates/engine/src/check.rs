//! Proving off-line that a pool keeps its invariants.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use ashlar_volume::{BLOCK_BYTES, ErrorKind, VolumeError, VolumeId, VolumeSnapshotId};

use crate::background::allocated_blocks;
use crate::delta::{ChunkState, Delta, LeafPatch};
use crate::file::{Directory, File, FileRole, RealDirectory};
use crate::format::{
    BLOCKS_PER_CHUNK, CHUNK_BYTES, ChecksumPage, ChunkIndex, ChunkNumber, Fragment, LayerId, LeafChunks,
    LeafIndex, StoredChecksums, crc32c,
};
use crate::keys::Slots;
use crate::map::Map;
use crate::recovery::{self, Durable};

#[cfg(test)]
mod tests;

/// Memory for pages of the map while it is checked.
const MAP_CACHE_BYTES: usize = 16 << 20;

/// What a check has found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckReport {
    /// One sentence for each broken invariant; empty: the pool is sound.
    pub findings: Vec<String>,
    /// Volumes that were checked.
    pub volumes: BTreeSet<VolumeId>,
    /// Snapshots that were checked.
    pub snapshots: BTreeSet<VolumeSnapshotId>,
    /// Bytes of blocks that layers hold.
    pub referenced_bytes: u64,
    /// Bytes that the data file takes and nobody refers to. After a crash or a deletion background work gives them
    /// back; in a cleanly closed pool they are a finding.
    pub unreferenced_bytes: u64,
    /// Blocks that do not hold what was written.
    pub damaged_blocks: u64,
    /// Bytes of blocks that a server was changing in place when it ended: the next one works their checksums out again.
    pub unverified_bytes: u64,
    /// Journal records that the next opening replays.
    pub journal_records: u64,
}

/// Checks the pool in a directory. Changes nothing.
///
/// `NotFound`: there is no pool. `InUse`: a server has it. `Corrupt`: so much is broken that nothing can be listed.
pub fn check(directory: &Path) -> Result<CheckReport, VolumeError> {
    check_in(Arc::new(RealDirectory::open_existing(directory)?))
}

/// Checks the pool on any medium.
pub fn check_in(directory: Arc<dyn Directory>) -> Result<CheckReport, VolumeError> {
    look(&*directory).map(|looked| looked.report)
}

/// What a look at a pool gives.
struct Looked {
    report: CheckReport,
    durable: Durable,
    /// What mends the findings that follow from others: free space and counters, which the leaves say exactly.
    fixes: Delta,
}

fn look(directory: &dyn Directory) -> Result<Looked, VolumeError> {
    if !recovery::is_created(directory)? {
        return Err(VolumeError::new(ErrorKind::NotFound, "there is no pool in this directory"));
    }
    let map = match open_whole_map(directory) {
        Err(error) if error.kind() == ErrorKind::Corrupt && Map::sums_are_wrong(directory)? => {
            let context = "`map.sums` does not fit `map.redb`, which is whole: the next start or \
                           `ashlar check --repair` writes it anew";
            return Err(VolumeError::new(ErrorKind::Corrupt, context));
        }
        opened => opened?,
    };
    let durable = recovery::read(directory, &map)?;
    let data = recovery::open_file(directory, FileRole::Data)?;
    let names = &durable.contents.names;
    let named = names.volumes.values().chain(names.snapshots.values());
    let mut checker = Checker {
        durable: &durable,
        map: &map,
        data: &*data,
        report: CheckReport::default(),
        sizes: named.map(|record| (record.layer, record.size_bytes)).collect(),
        owners: BTreeMap::new(),
        fixes: Delta::default(),
    };
    checker.check_names();
    checker.check_keys(directory)?;
    checker.check_leaves()?;
    checker.check_allocation();
    checker.check_data_file()?;
    checker.check_blocks()?;
    let Checker { report, fixes, .. } = checker;
    Ok(Looked { report, durable, fixes })
}

/// The map, if each of its pages is what was last written there. Nothing that is read from another is to be believed.
fn open_whole_map(directory: &dyn Directory) -> Result<Map, VolumeError> {
    let mut map = Map::open_read_only(directory, MAP_CACHE_BYTES)?;
    // First of all: of another format nothing else could be said that is of use.
    map.superblock()?;
    if !map.is_intact()? {
        return Err(VolumeError::new(ErrorKind::Corrupt, "pages of `map.redb` do not match their checksums"));
    }
    Ok(map)
}

/// What a repair did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RepairReport {
    /// Findings that are mended.
    pub mended: Vec<String>,
    /// The pool as it is now. What is still found could only be mended by guessing.
    pub after: CheckReport,
}

/// Mends of the pool in a directory what follows with certainty from the rest of it: which chunks are free, counters, space that
/// is to be given back, the checksums of the pages of a map that is whole. Journal records are made part of the map, as the next
/// opening would. No block and no entry of a leaf is changed.
pub fn repair(directory: &Path) -> Result<RepairReport, VolumeError> {
    repair_in(&RealDirectory::open_existing(directory)?)
}

/// The same on any medium.
pub fn repair_in(directory: &dyn Directory) -> Result<RepairReport, VolumeError> {
    let mut mended = Vec::new();
    if recovery::is_created(directory)? && Map::sums_are_wrong(directory)? {
        Map::describe(directory)?;
        mended.push("`map.sums` did not fit `map.redb`, which is whole".to_owned());
    }
    let Looked { report: before, mut durable, fixes } = look(directory)?;
    let has_lost_space = recovery::was_clean(&durable) && before.unreferenced_bytes > 0;
    if fixes.is_empty() && !has_lost_space {
        return Ok(RepairReport { mended, after: before });
    }
    // Together with the replay of the journal and before the data file is cut: a chunk in use that counted as free
    // must not be cut off.
    durable.contents.apply(&fixes);
    durable.tail.delta.absorb(fixes);
    {
        let map = Map::open(directory, MAP_CACHE_BYTES)?;
        recovery::settle(directory, &map, &durable)?;
    }
    let after = look(directory)?.report;
    mended.extend(before.findings.into_iter().filter(|finding| !after.findings.contains(finding)));
    Ok(RepairReport { mended, after })
}

struct Checker<'a> {
    durable: &'a Durable,
    map: &'a Map,
    data: &'a dyn File,
    report: CheckReport,
    /// The size of each layer that has a name.
    sizes: BTreeMap<LayerId, u64>,
    /// Which blocks of each chunk are referred to, and by whom.
    owners: BTreeMap<ChunkNumber, Owner>,
    fixes: Delta,
}

/// Who refers to a chunk of the data file.
#[derive(Debug, Clone, Copy)]
struct Owner {
    mask: u16,
    layer: LayerId,
    index: ChunkIndex,
}

impl Checker<'_> {
    fn find(&mut self, finding: String) {
        self.report.findings.push(finding);
    }

    /// Names lead to layers, each layer of a volume is its own, parents exist and never form a ring.
    fn check_names(&mut self) {
        let names = &self.durable.contents.names;
        self.report.volumes = names.volumes.keys().cloned().collect();
        self.report.snapshots = names.snapshots.keys().cloned().collect();
        self.report.journal_records = self.durable.tail.records;
        let mut users: BTreeMap<LayerId, String> = BTreeMap::new();
        let volumes = names.volumes.iter().map(|(name, record)| (format!("volume `{name}`"), record));
        let snapshots = names.snapshots.iter().map(|(name, record)| (format!("snapshot `{name}`"), record));
        for (name, record) in volumes.chain(snapshots) {
            if !names.layers.contains_key(&record.layer) {
                self.find(format!("{name} lies in layer {}, which does not exist", record.layer.0));
            }
            if record.size_bytes == 0 || !record.size_bytes.is_multiple_of(BLOCK_BYTES) {
                self.find(format!("{name} has an impossible size of {} bytes", record.size_bytes));
            }
            if let Some(other) = users.insert(record.layer, name.clone()) {
                self.find(format!("{name} and {other} lie in the same layer {}", record.layer.0));
            }
        }
        let tops: BTreeSet<_> = names.volumes.values().map(|record| record.layer).collect();
        for (layer, record) in &names.layers {
            if *layer >= self.durable.superblock.next_layer {
                self.find(format!("layer {} has an id that is still to be given out", layer.0));
            }
            let Some(parent) = record.parent else { continue };
            if !names.layers.contains_key(&parent) {
                self.find(format!("layer {} hangs on layer {}, which does not exist", layer.0, parent.0));
            }
            if tops.contains(&parent) {
                self.find(format!(
                    "layer {} hangs on layer {}, which a volume still writes to",
                    layer.0, parent.0
                ));
            }
            // A parent is always older than its child: ids that only rise cannot form a ring.
            if parent >= *layer {
                self.find(format!("layer {} hangs on layer {}, which is not older", layer.0, parent.0));
            }
        }
    }

    /// Every key that is needed is there, and a layer has the key of its parent.
    fn check_keys(&mut self, directory: &dyn Directory) -> Result<(), VolumeError> {
        let names = &self.durable.contents.names;
        let mut stored = Slots::default();
        let io = |error| VolumeError::io("look for the pool's keys", error);
        if directory.exists(FileRole::Keys).map_err(io)? {
            (stored, _) = Slots::read(&*recovery::open_file(directory, FileRole::Keys)?, |_| false)?;
        }
        let volumes = names.volumes.iter().map(|(name, record)| (format!("volume `{name}`"), record));
        let snapshots = names.snapshots.iter().map(|(name, record)| (format!("snapshot `{name}`"), record));
        for (name, record) in volumes.chain(snapshots) {
            let key = names.layers.get(&record.layer).and_then(|layer| layer.data_key);
            if let Some(key) = key.filter(|key| !stored.keys.contains_key(key)) {
                self.find(format!("the data key {:016x} of {name} is lost", key.0));
            }
        }
        for (layer, record) in &names.layers {
            let parent = record.parent.and_then(|parent| Some((parent, names.layers.get(&parent)?)));
            if let Some((parent, of_parent)) = parent
                && of_parent.data_key != record.data_key
            {
                self.find(format!("layer {} and its parent {} have different keys", layer.0, parent.0));
            }
        }
        Ok(())
    }

    fn check_leaves(&mut self) -> Result<(), VolumeError> {
        let delta = &self.durable.tail.delta;
        let mut keys: BTreeSet<_> = self.map.leaf_keys()?.into_iter().collect();
        keys.extend(delta.chunks.keys().map(|(layer, chunk)| (*layer, chunk.leaf())));
        let mut held: BTreeMap<LayerId, u64> = BTreeMap::new();
        for (layer, leaf) in keys {
            let mut patch = LeafPatch::default();
            patch.push(delta, layer, leaf);
            let stored = self.map.leaves(leaf, &[layer])?.pop().unwrap_or_default();
            *held.entry(layer).or_default() += self.check_leaf(layer, leaf, &patch.apply(stored));
        }
        for layer in self.durable.contents.names.layers.keys() {
            let counted = held.remove(layer).unwrap_or(0);
            let recorded = self.durable.contents.names.held_blocks.get(layer).copied().unwrap_or(0);
            if counted != recorded {
                self.fixes.held_blocks.insert(*layer, counted);
                self.find(format!("layer {} holds {counted} blocks, its counter says {recorded}", layer.0));
            }
        }
        for (layer, blocks) in held.into_iter().filter(|(_, blocks)| *blocks > 0) {
            self.find(format!("{blocks} blocks belong to layer {}, which does not exist", layer.0));
        }
        Ok(())
    }

    /// Checks the entries of a leaf; answers how many blocks they hold.
    fn check_leaf(&mut self, layer: LayerId, leaf: LeafIndex, chunks: &LeafChunks) -> u64 {
        let mut held = 0;
        for (slot, fragments) in chunks {
            let mut seen = 0;
            for fragment in fragments {
                let at = || format!("layer {}, chunk {}", layer.0, leaf.chunk(*slot).0);
                if fragment.mask() == 0 || seen & fragment.mask() != 0 {
                    self.find(format!("{}: the masks of its fragments are empty or overlap", at()));
                }
                seen |= fragment.mask();
                if fragment.is_zeroes() {
                    continue;
                }
                held += u64::from(fragment.mask().count_ones());
                let owner = Owner { mask: fragment.mask(), layer, index: leaf.chunk(*slot) };
                if self.owners.insert(fragment.chunk(), owner).is_some() {
                    self.find(format!(
                        "{}: chunk {} of the file has another owner too",
                        at(),
                        fragment.chunk().0
                    ));
                }
            }
            self.check_within_size(layer, leaf.chunk(*slot), seen);
        }
        held
    }

    fn check_within_size(&mut self, layer: LayerId, chunk: ChunkIndex, mask: u16) {
        let Some(size_bytes) = self.sizes.get(&layer).copied() else { return };
        let blocks = u64::from(u16::BITS - mask.leading_zeros());
        if chunk.0 * CHUNK_BYTES + blocks * BLOCK_BYTES > size_bytes {
            self.find(format!(
                "layer {}, chunk {}: blocks beyond the size of {size_bytes}",
                layer.0, chunk.0
            ));
        }
    }

    /// The allocation table names exactly the chunks that layers own.
    fn check_allocation(&mut self) {
        let allocated: BTreeSet<_> = self.durable.contents.allocation.allocated().map(ChunkNumber).collect();
        let owned: BTreeSet<_> = self.owners.keys().copied().collect();
        let missing: Vec<_> = owned.difference(&allocated).copied().collect();
        let idle: Vec<_> = allocated.difference(&owned).copied().collect();
        for chunk in missing {
            self.fixes.chunk_states.insert(chunk, ChunkState::Allocated);
            self.find(format!("chunk {} of the file is in use but counts as free", chunk.0));
        }
        for chunk in idle {
            self.fixes.chunk_states.insert(chunk, ChunkState::Free);
            self.find(format!("chunk {} of the file belongs to nobody but counts as allocated", chunk.0));
        }
    }

    /// The data file holds every block that is referred to, and, after a clean close, nothing else.
    fn check_data_file(&mut self) -> Result<(), VolumeError> {
        let io = |error| VolumeError::io("check the data file", error);
        let length_bytes = self.data.length_bytes().map_err(io)?;
        let mut findings = Vec::new();
        for (chunk, Owner { mask, .. }) in &self.owners {
            let blocks = u64::from(u16::BITS - mask.leading_zeros());
            if chunk.offset_bytes() + blocks * BLOCK_BYTES > length_bytes {
                findings.push(format!("the data file ends before chunk {}, which is in use", chunk.0));
            }
            self.report.referenced_bytes += block_bytes(Fragment::new(*chunk, *mask));
        }
        let mut next = 0;
        while let Some(range) = self.data.next_allocated(next, length_bytes).map_err(io)? {
            for number in range.start / CHUNK_BYTES..range.end.div_ceil(CHUNK_BYTES) {
                let chunk = ChunkNumber(number);
                let known = self.owners.get(&chunk).map_or(0, |owner| owner.mask);
                if known != u16::MAX {
                    let lost = allocated_blocks(self.data, chunk).map_err(io)? & !known;
                    self.report.unreferenced_bytes += block_bytes(Fragment::new(chunk, lost));
                }
            }
            next = range.end.next_multiple_of(CHUNK_BYTES);
        }
        findings.into_iter().for_each(|finding| self.find(finding));
        if recovery::was_clean(self.durable) && self.report.unreferenced_bytes > 0 {
            self.find(format!(
                "{} bytes of the data file belong to nobody, though the pool was closed cleanly",
                self.report.unreferenced_bytes
            ));
        }
        Ok(())
    }

    /// Every block that is referred to holds what its checksum says, where that is to be believed.
    fn check_blocks(&mut self) -> Result<(), VolumeError> {
        let mut loaded: Option<(ChecksumPage, Box<StoredChecksums>)> = None;
        let mut damaged = Vec::new();
        let mut chunk_bytes = vec![0; CHUNK_BYTES as usize];
        for (chunk, owner) in &self.owners {
            let page = ChecksumPage::of(*chunk);
            if self.durable.contents.intents.contains(&page) {
                self.report.unverified_bytes += block_bytes(Fragment::new(*chunk, owner.mask));
                continue;
            }
            let sums = match &loaded {
                Some((number, sums)) if *number == page => sums,
                _ => {
                    let mut sums = self.map.checksums(page)?;
                    self.durable.tail.delta.patch_checksums(page, &mut sums);
                    &loaded.insert((page, sums)).1
                }
            };
            let first = ((chunk.0 - page.first_chunk().0) * BLOCKS_PER_CHUNK) as usize;
            let whole = self.data.read_at(chunk.offset_bytes(), &mut chunk_bytes).is_ok();
            for block in (0..BLOCKS_PER_CHUNK).filter(|block| owner.mask >> block & 1 == 1) {
                let at = (block * BLOCK_BYTES) as usize;
                let bytes = &mut chunk_bytes[at..at + BLOCK_BYTES as usize];
                let is_read =
                    whole || self.data.read_at(chunk.offset_bytes() + block * BLOCK_BYTES, bytes).is_ok();
                if !is_read || crc32c(bytes) != sums[first + block as usize] {
                    damaged.push((*chunk, *owner, block));
                }
            }
        }
        for (chunk, owner, block) in damaged {
            self.report.damaged_blocks += 1;
            self.find(format!(
                "layer {}: the block at byte {} is damaged: block {block} of chunk {} of the file does not match its \
                 checksum",
                owner.layer.0,
                owner.index.0 * CHUNK_BYTES + block * BLOCK_BYTES,
                chunk.0
            ));
        }
        Ok(())
    }
}

fn block_bytes(fragment: Fragment) -> u64 {
    const _: () = assert!(BLOCKS_PER_CHUNK == 16);
    u64::from(fragment.mask().count_ones()) * BLOCK_BYTES
}
