//! What a pool must hold, written without knowing how the engine works: for each block the values that it may
//! show after a power cut, its value at the last acknowledged flush first, then each later one.

use std::collections::BTreeMap;

use ashlar_types::{RandomSource, SeededRandom};
use ashlar_volume::{BLOCK_BYTES, BlockDevice, VolumeId, VolumeSnapshotId, VolumeStore};

/// Which write filled a block; 0: zeroes.
pub(crate) type Tag = u64;

/// The bytes that a write fills a block with. No two writes share them.
pub(crate) fn block_bytes(tag: Tag) -> Vec<u8> {
    let mut bytes = vec![0; BLOCK_BYTES as usize];
    if tag > 0 {
        SeededRandom::new(tag).fill(&mut bytes[8..]);
        bytes[..8].copy_from_slice(&tag.to_le_bytes());
    }
    bytes
}

/// Which write filled these bytes; `None`: none did.
pub(crate) fn tag_of(bytes: &[u8]) -> Option<Tag> {
    let tag = Tag::from_le_bytes(*bytes.first_chunk()?);
    (block_bytes(tag) == bytes).then_some(tag)
}

/// A volume or a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) size_bytes: u64,
    blocks: BTreeMap<u64, Vec<Tag>>,
}

/// Everything that a pool holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct World {
    pub(crate) volumes: BTreeMap<VolumeId, Content>,
    pub(crate) snapshots: BTreeMap<VolumeSnapshotId, Content>,
}

impl Content {
    pub(crate) const fn new(size_bytes: u64) -> Self {
        Self { size_bytes, blocks: BTreeMap::new() }
    }

    pub(crate) fn write(&mut self, block: u64, tag: Tag) {
        self.blocks.entry(block).or_insert_with(|| vec![0]).push(tag);
    }

    /// The block's present value is durable.
    pub(crate) fn settle(&mut self, block: u64) {
        if let Some(values) = self.blocks.get_mut(&block) {
            values.drain(..values.len() - 1);
        }
    }

    /// A flush was acknowledged.
    pub(crate) fn flush(&mut self) {
        self.blocks.values_mut().for_each(|values| drop(values.drain(..values.len() - 1)));
    }

    /// The present content, as a snapshot keeps it.
    pub(crate) fn frozen(&self) -> Self {
        let mut frozen = self.clone();
        frozen.flush();
        frozen
    }

    /// What a volume of `size_bytes` is that begins with this content.
    pub(crate) fn grown(&self, size_bytes: u64) -> Self {
        Self { size_bytes, ..self.frozen() }
    }

    pub(crate) fn current(&self, block: u64) -> Tag {
        self.blocks.get(&block).and_then(|values| values.last().copied()).unwrap_or(0)
    }

    /// Whether every block shows one of its values; it keeps the one it shows.
    fn recover(&mut self, device: &dyn BlockDevice) -> Result<(), String> {
        if device.size_bytes() != self.size_bytes {
            return Err(format!("size {} instead of {}", device.size_bytes(), self.size_bytes));
        }
        let mut bytes = vec![0; BLOCK_BYTES as usize];
        for (block, values) in &mut self.blocks {
            device
                .read(block * BLOCK_BYTES, &mut bytes)
                .map_err(|error| format!("read of block {block}: {error}"))?;
            let seen =
                tag_of(&bytes).ok_or_else(|| format!("block {block} shows bytes that nobody wrote"))?;
            if !values.contains(&seen) {
                return Err(format!("block {block} shows {seen}, possible: {values:?}"));
            }
            *values = vec![seen];
        }
        Ok(())
    }
}

impl World {
    /// Whether a recovered pool may be what it is; if so, it is what it must stay.
    pub(crate) fn recover(&mut self, store: &dyn VolumeStore) -> Result<(), String> {
        let text = |error: ashlar_volume::VolumeError| error.to_string();
        let mut volumes = store.volumes().map_err(text)?;
        volumes.sort();
        if !volumes.iter().eq(self.volumes.keys()) {
            return Err(format!("volumes {volumes:?} instead of {:?}", self.volumes.keys()));
        }
        let mut snapshots = store.snapshots().map_err(text)?;
        snapshots.sort();
        if !snapshots.iter().eq(self.snapshots.keys()) {
            return Err(format!("snapshots {snapshots:?} instead of {:?}", self.snapshots.keys()));
        }
        for (name, content) in &mut self.volumes {
            let device = store.open_volume(name).map_err(text)?;
            content.recover(&*device).map_err(|error| format!("volume {name}: {error}"))?;
        }
        for (name, content) in &mut self.snapshots {
            let device = store.open_snapshot(name).map_err(text)?;
            content.recover(&*device).map_err(|error| format!("snapshot {name}: {error}"))?;
        }
        Ok(())
    }
}
