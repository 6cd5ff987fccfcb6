//! Creating a pool, and reading the state of one from its files.

use std::sync::Arc;

use ashlar_volume::{BLOCK_BYTES, ErrorKind, VolumeError};

use crate::delta::Delta;
use crate::file::{Directory, File, FileRole};
use crate::format::{CHUNK_BYTES, LayerId, Superblock, crc32c};
use crate::journal::{Journal, Tail};
use crate::map::{Contents, Map};
use crate::options::PoolOptions;

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

    let map = open_file(directory, FileRole::MapBeingCreated)?;
    map.set_length(0).map_err(io)?;
    map.sync_data().map_err(io)?;
    let superblock = Superblock {
        generation: 0,
        applied_sequence: 0,
        next_layer: LayerId(1),
        journal_segment_bytes: segment_bytes,
        is_clean: true,
        digest: 0,
    };
    Map::create(map, superblock, options.map_cache_bytes)?;
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
        |delta| Ok(holds_blocks(&*open_file(directory, FileRole::Data)?, delta)),
    )?;
    contents.apply(&tail.delta);
    if let Some((last, _)) = tail.delta.layers.last_key_value() {
        superblock.next_layer = superblock.next_layer.max(LayerId(last.0 + 1));
    }
    Ok(Durable { superblock, contents, tail })
}

/// Whether the data file holds the blocks that a delta maps. One that cannot be read is not taken for missing: the medium has
/// lost it, as it may lose any other.
fn holds_blocks(data: &dyn File, delta: &Delta) -> bool {
    let mut block = [0; BLOCK_BYTES as usize];
    delta.checksums.iter().all(|(chunk, checksums)| {
        checksums.iter().all(|(number, sum)| {
            match data.read_at(chunk.offset_bytes() + number * BLOCK_BYTES, &mut block) {
                Ok(()) => crc32c(&block) == sum,
                Err(error) => error.kind() != std::io::ErrorKind::UnexpectedEof,
            }
        })
    })
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
