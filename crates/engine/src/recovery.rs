//! Creating a pool, and reading the state of one from its files.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ashlar_volume::{BLOCK_BYTES, ErrorKind, VolumeError};

use crate::delta::{Delta, LeafPatch};
use crate::file::{Directory, File, FileRole};
use crate::format::{CHUNK_BYTES, ChunkNumber, Fragment, LayerId, Superblock, crc32c};
use crate::journal::{Journal, Tail};
use crate::map::{Contents, Map};
use crate::options::PoolOptions;

#[cfg(test)]
mod tests;

const JOURNAL_SEGMENT_BYTES_MIN: u64 = 4 << 10;
const JOURNAL_SEGMENT_BYTES_MAX: u64 = 1 << 30;

/// The durable state of a pool: the map with the journal's tail on top.
#[derive(Debug)]
pub(crate) struct Durable {
    pub(crate) superblock: Superblock,
    pub(crate) contents: Contents,
    /// What the journal adds to the map; already part of `contents`.
    pub(crate) tail: Tail,
}

/// Opens a file, and says so where it fails.
pub(crate) fn open_file(
    directory: &dyn Directory,
    role: FileRole,
) -> Result<Arc<dyn crate::file::File>, VolumeError> {
    directory
        .open(role)
        .map_err(|error| VolumeError::io(format!("open the pool's file `{}`", role.file_name()), error))
}

/// Whether the directory holds a pool. `Corrupt` if it holds only a part of one.
pub(crate) fn is_created(directory: &dyn Directory) -> Result<bool, VolumeError> {
    let io = |error| VolumeError::io("look at the pool directory", error);
    if directory.exists(FileRole::Map).map_err(io)? {
        return Ok(true);
    }
    // The map comes last when a pool is created, and nothing is written before it is there.
    let has_data = directory.exists(FileRole::Data).map_err(io)?
        && open_file(directory, FileRole::Data)?.length_bytes().map_err(io)? > 0;
    if has_data {
        return Err(VolumeError::new(
            ErrorKind::Corrupt,
            "the pool has data but its map `map.redb` is missing: put it back, or choose an empty directory",
        ));
    }
    Ok(false)
}

/// Creates an empty pool. Interrupted at any point, it begins again from nothing.
pub(crate) fn create(directory: &dyn Directory, options: &PoolOptions) -> Result<(), VolumeError> {
    let segment_bytes = options.journal_segment_bytes;
    if !segment_bytes.is_multiple_of(4096)
        || !(JOURNAL_SEGMENT_BYTES_MIN..=JOURNAL_SEGMENT_BYTES_MAX).contains(&segment_bytes)
    {
        return Err(VolumeError::new(
            ErrorKind::InvalidArgument,
            format!(
                "journal_segment_bytes {segment_bytes}: expected a multiple of 4096 from \
                 {JOURNAL_SEGMENT_BYTES_MIN} to {JOURNAL_SEGMENT_BYTES_MAX}"
            ),
        ));
    }
    let io = |error| VolumeError::io("create a pool", error);
    open_file(directory, FileRole::Data)?.set_length(0).map_err(io)?;
    let journal = open_file(directory, FileRole::Journal)?;
    journal.set_length(0).map_err(io)?;
    Journal::prepare(&*journal, segment_bytes).map_err(io)?;

    open_file(directory, FileRole::Keys)?.set_length(0).map_err(io)?;

    let superblock = Superblock {
        generation: 0,
        applied_sequence: 0,
        next_layer: LayerId(1),
        journal_segment_bytes: segment_bytes,
        is_clean: true,
        digest: 0,
    };
    Map::create(directory, superblock, options.map_cache_bytes)?;
    directory.rename(FileRole::MapBeingCreated, FileRole::Map).map_err(io)
}

/// Reads the durable state. Changes nothing.
pub(crate) fn read(directory: &dyn Directory, map: &Map) -> Result<Durable, VolumeError> {
    let (mut superblock, mut contents) = map.contents()?;
    let journal = open_file(directory, FileRole::Journal)?;
    let tail = Journal::read_tail(
        &*journal,
        superblock.journal_segment_bytes,
        superblock.generation,
        superblock.applied_sequence,
        |earlier, last| without_missing(map, &*open_file(directory, FileRole::Data)?, earlier, last),
    )?;
    contents.apply(&tail.delta);
    if let Some((last, _)) = tail.delta.layers.last_key_value() {
        superblock.next_layer = superblock.next_layer.max(LayerId(last.0 + 1));
    }
    Ok(Durable { superblock, contents, tail })
}

/// A delta of first writes without the blocks that the data file does not hold: either the power failed before they were
/// durable, and nobody was promised them, or they were damaged since. Nothing can tell which; so each of them is as
/// if it had not been written, and all others count. `earlier` is what the map lacks and came before.
fn without_missing(
    map: &Map,
    data: &dyn File,
    earlier: &Delta,
    mut last: Delta,
) -> Result<Delta, VolumeError> {
    let missing = missing_blocks(data, &last);
    if missing.is_empty() {
        return Ok(last);
    }
    let count: u32 = missing.values().map(|mask| mask.count_ones()).sum();
    tracing::warn!(
        blocks = count,
        "the last commit was cut off, or blocks of it were damaged since: they are left out"
    );
    let lost_of =
        |fragment: &Fragment| missing.get(&fragment.chunk()).map_or(0, |mask| fragment.mask() & mask);
    let mut kept_chunks = BTreeSet::new();
    for ((layer, index), fragments) in &mut last.chunks {
        let lost = fragments.iter().fold(0, |lost, fragment| lost | lost_of(fragment));
        if lost != 0 {
            let mut before = LeafPatch::default();
            before.push(earlier, *layer, index.leaf());
            let stored = map.leaves(index.leaf(), &[*layer])?.pop().unwrap_or_default();
            let before = before.apply(stored).remove(&index.slot()).unwrap_or_default();
            // The layer lacked the data of these blocks, but may have hidden an ancestor's.
            let hidden = before.iter().map(|fragment| fragment.with_mask(fragment.mask() & lost));
            let left = fragments.iter().map(|fragment| fragment.with_mask(fragment.mask() & !lost));
            *fragments = merged(left.chain(hidden));
            if let Some(held) = last.held_blocks.get_mut(layer) {
                *held = held.saturating_sub(u64::from(lost.count_ones()));
            }
        }
        kept_chunks.extend(fragments.iter().map(|fragment| fragment.chunk()));
    }
    last.chunk_states.retain(|chunk, _| kept_chunks.contains(chunk));
    Ok(last)
}

/// Fragments with disjoint masks, one for each chunk.
fn merged(fragments: impl Iterator<Item = Fragment>) -> Box<[Fragment]> {
    let mut merged: Vec<Fragment> = Vec::new();
    for fragment in fragments.filter(|fragment| fragment.mask() != 0) {
        match merged.iter_mut().find(|other| other.chunk() == fragment.chunk()) {
            Some(other) => *other = other.with_mask(other.mask() | fragment.mask()),
            None => merged.push(fragment),
        }
    }
    merged.into()
}

/// The blocks that a delta maps and the data file does not hold. One that cannot be read is not taken for missing: the medium
/// has lost it, as it may lose any other.
fn missing_blocks(data: &dyn File, delta: &Delta) -> BTreeMap<ChunkNumber, u16> {
    let mut block = [0; BLOCK_BYTES as usize];
    let mut holds = |chunk: ChunkNumber, number: u64, sum: u32| match data
        .read_at(chunk.offset_bytes() + number * BLOCK_BYTES, &mut block)
    {
        Ok(()) => crc32c(&block) == sum,
        Err(error) => error.kind() != std::io::ErrorKind::UnexpectedEof,
    };
    let mut missing = BTreeMap::new();
    for (chunk, checksums) in &delta.checksums {
        let lacks = checksums.iter().filter(|(number, sum)| !holds(*chunk, *number, *sum));
        let mask = lacks.fold(0, |mask, (number, _)| mask | 1 << number);
        if mask != 0 {
            missing.insert(*chunk, mask);
        }
    }
    missing
}

/// Makes the recovered state the map's, in a new generation: from here on no old record counts, and the pool is not
/// clean until it is closed.
pub(crate) fn settle(
    directory: &dyn Directory,
    map: &Map,
    durable: &Durable,
) -> Result<Superblock, VolumeError> {
    let superblock = Superblock {
        generation: durable.superblock.generation + 1,
        applied_sequence: durable.tail.sequence,
        is_clean: false,
        ..durable.superblock
    };
    let data = open_file(directory, FileRole::Data)?;
    if durable.tail.is_proven_by_blocks {
        // They were seen, but perhaps in memory only, where a process that was killed has left them.
        data.sync_data().map_err(|error| VolumeError::io("sync the data file", error))?;
    }
    map.apply(&durable.tail.delta, superblock)?;
    let (_, high_water) = durable.contents.allocation.free_and_high_water();
    let io = |error| VolumeError::io("cut the data file", error);
    if data.length_bytes().map_err(io)? > high_water * CHUNK_BYTES {
        data.set_length(high_water * CHUNK_BYTES).map_err(io)?;
    }
    Ok(superblock)
}

/// Whether the journal holds nothing beyond the map and the last close vouched for the data file's holes.
pub(crate) fn was_clean(durable: &Durable) -> bool {
    durable.superblock.is_clean && durable.tail.delta == Delta::default()
}
