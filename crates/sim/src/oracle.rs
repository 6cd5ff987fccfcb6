//! What a pool must hold, written without knowing how the engine works: for each block the values that it may
//! show after a power cut, its value at the last acknowledged flush first, then each later one.

use std::collections::BTreeMap;

use ashlar_types::{RandomSource, SeededRandom};
use ashlar_volume::{
    BLOCK_BYTES, BlockDevice, ContentName, ErrorKind, VolumeError, VolumeId, VolumeSnapshotId, VolumeStore,
};

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

/// How many blocks a medium that lied may have damaged, and nobody has mended since.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tolerance {
    /// Those that are errors when they are read.
    pub(crate) errors: u64,
    /// Those that show something else than they should: after a power cut the checksums of what was open for changes are
    /// worked out from what the medium has, whatever that is.
    pub(crate) wrong: u64,
}

/// A block that is not what it should be.
pub(crate) type Damaged = (ContentName, u64);

/// What is wrong with the blocks of a store, as long as there are no more than may be.
#[derive(Debug)]
struct Findings {
    left: Tolerance,
    damaged: Vec<Damaged>,
}

impl Findings {
    /// An error of a read; the reason why it may not be, if so.
    fn error(&mut self, name: &ContentName, block: u64, error: &VolumeError) -> Result<(), String> {
        // A file that a lost write has not extended ends too early: an I/O error, not a wrong checksum.
        let is_of_medium = matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Io);
        if !is_of_medium || self.left.errors == 0 {
            return Err(format!("read of block {block}: {error}"));
        }
        self.left.errors -= 1;
        self.damaged.push((name.clone(), block));
        Ok(())
    }

    fn wrong(&mut self, name: &ContentName, block: u64, what: String) -> Result<(), String> {
        if self.left.wrong == 0 {
            return Err(what);
        }
        self.left.wrong -= 1;
        self.damaged.push((name.clone(), block));
        Ok(())
    }
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

    /// Whether every block shows one of its values; it keeps the one it shows. A damaged one keeps them all: it may show
    /// any again.
    fn recover(
        &mut self,
        name: &ContentName,
        device: &dyn BlockDevice,
        findings: &mut Findings,
    ) -> Result<(), String> {
        if device.size_bytes() != self.size_bytes {
            return Err(format!("size {} instead of {}", device.size_bytes(), self.size_bytes));
        }
        let mut bytes = vec![0; BLOCK_BYTES as usize];
        for (block, values) in &mut self.blocks {
            if let Err(error) = device.read(block * BLOCK_BYTES, &mut bytes) {
                findings.error(name, *block, &error)?;
                continue;
            }
            match tag_of(&bytes) {
                Some(seen) if values.contains(&seen) => *values = vec![seen],
                Some(seen) => {
                    let what = format!("block {block} shows {seen}, possible: {values:?}");
                    findings.wrong(name, *block, what)?;
                }
                None => {
                    findings.wrong(name, *block, format!("block {block} shows bytes that nobody wrote"))?;
                }
            }
        }
        Ok(())
    }
}

impl World {
    /// What it is now, with nothing in doubt.
    pub(crate) fn present(&self) -> Self {
        let frozen = |content: &Content| content.frozen();
        Self {
            volumes: self.volumes.iter().map(|(name, content)| (name.clone(), frozen(content))).collect(),
            snapshots: self.snapshots.iter().map(|(name, content)| (name.clone(), frozen(content))).collect(),
        }
    }

    /// Knows of every block that `other` has touched: where this world did not, it has zeroes. Two worlds that differ in a
    /// block that only one of them has touched could not be told apart otherwise, and the wrong one would be believed.
    pub(crate) fn touch_like(&mut self, other: &Self) {
        for (name, content) in &mut self.volumes {
            for block in other.volumes.get(name).into_iter().flat_map(|other| other.blocks.keys()) {
                content.blocks.entry(*block).or_insert_with(|| vec![0]);
            }
        }
    }

    /// Whether a pool may be what it is; if so, it is what it must stay. Gives the blocks that are damaged.
    pub(crate) fn recover(
        &mut self,
        store: &dyn VolumeStore,
        tolerance: Tolerance,
    ) -> Result<Vec<Damaged>, String> {
        let mut findings = Findings { left: tolerance, damaged: Vec::new() };
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
            let recovered = content.recover(&ContentName::Volume(name.clone()), &*device, &mut findings);
            recovered.map_err(|error| format!("volume {name}: {error}"))?;
        }
        for (name, content) in &mut self.snapshots {
            let device = store.open_snapshot(name).map_err(text)?;
            let recovered = content.recover(&ContentName::Snapshot(name.clone()), &*device, &mut findings);
            recovered.map_err(|error| format!("snapshot {name}: {error}"))?;
        }
        Ok(findings.damaged)
    }
}
