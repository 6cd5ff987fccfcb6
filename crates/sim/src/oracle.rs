//! What a pool must hold, written without knowing how the engine works: for each block the values that it may
//! show after a power cut, its value at the last acknowledged flush first, then each later one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

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

/// How many blocks of the data file a medium that lied may have damaged, and nobody has mended since.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tolerance {
    /// Those that are errors when they are read.
    pub(crate) errors: u64,
    /// Those that show something else than they should: after a power cut the checksums of what was open for changes are
    /// worked out from what the medium has, whatever that is.
    pub(crate) wrong: u64,
}

impl Tolerance {
    /// Any error, but never anything wrong: of a leaf that is damaged, all blocks are errors.
    pub(crate) const ERRORS: Self = Self { errors: u64::MAX, wrong: 0 };
}

/// A block that is not what it should be.
pub(crate) type Damaged = (ContentName, u64);

/// Places of the data file that are damaged, as far as the names that show them tell. A value lies in one place, whoever shows
/// it: what two names show at one block is the same place if it may be the same value.
#[derive(Debug, Default)]
struct Places(Vec<(u64, BTreeSet<Tag>)>);

impl Places {
    /// Adds what shows one of `values` at a block; how many places there are at least.
    fn add(&mut self, block: u64, values: &[Tag]) -> u64 {
        let mut joined: BTreeSet<Tag> = values.iter().copied().collect();
        self.0.retain(|(other, tags)| {
            let is_same = *other == block && !tags.is_disjoint(&joined);
            if is_same {
                joined.extend(tags);
            }
            !is_same
        });
        self.0.push((block, joined));
        self.0.len() as u64
    }
}

/// Which of a block's values it may show.
type MayShow = fn(&[Tag]) -> &[Tag];

/// What is wrong with the blocks of a store, as long as there are no more than may be.
#[derive(Debug)]
struct Findings {
    most: Tolerance,
    /// Places that are errors or wrong.
    bad: Places,
    wrong: Places,
    damaged: Vec<Damaged>,
}

impl Findings {
    /// An error of a read; the reason why it may not be, if so.
    fn error(
        &mut self,
        name: &ContentName,
        block: u64,
        values: &[Tag],
        error: &VolumeError,
    ) -> Result<(), String> {
        // A file that a lost write has not extended ends too early: an I/O error, not a wrong checksum.
        let is_of_medium = matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Io);
        if !is_of_medium || self.bad.add(block, values) > self.most.errors {
            return Err(format!("read of block {block}: {error}"));
        }
        self.damaged.push((name.clone(), block));
        Ok(())
    }

    fn wrong(&mut self, name: &ContentName, block: u64, values: &[Tag], what: String) -> Result<(), String> {
        let is_too_much =
            self.bad.add(block, values) > self.most.errors || self.wrong.add(block, values) > self.most.wrong;
        if is_too_much {
            return Err(what);
        }
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

    /// The same with every value that a block has in `other`; a block that one of them lacks had zeroes there.
    fn joined(&self, other: &Self) -> Self {
        let mut joined = self.clone();
        let all: BTreeSet<u64> = self.blocks.keys().chain(other.blocks.keys()).copied().collect();
        for block in all {
            let values = joined.blocks.entry(block).or_insert_with(|| vec![0]);
            let more = other.blocks.get(&block).map_or(&[0][..], Vec::as_slice);
            values.extend(more);
        }
        joined
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
        opened: Result<Arc<dyn BlockDevice>, VolumeError>,
        findings: &mut Findings,
        may_show: MayShow,
    ) -> Result<(), String> {
        let device = match opened {
            Ok(device) => device,
            // Its key is damaged: it is an error as a whole, with a reason.
            Err(error) if findings.most.errors == u64::MAX => return findings.error(name, 0, &[], &error),
            Err(error) => return Err(error.to_string()),
        };
        if device.size_bytes() != self.size_bytes {
            return Err(format!("size {} instead of {}", device.size_bytes(), self.size_bytes));
        }
        let mut bytes = vec![0; BLOCK_BYTES as usize];
        for (block, values) in &mut self.blocks {
            if let Err(error) = device.read(block * BLOCK_BYTES, &mut bytes) {
                findings.error(name, *block, values, &error)?;
                continue;
            }
            match tag_of(&bytes) {
                Some(seen) if may_show(values).contains(&seen) => *values = vec![seen],
                Some(seen) => {
                    let what = format!("block {block} shows {seen}, possible: {values:?}");
                    findings.wrong(name, *block, values, what)?;
                }
                None => {
                    let what = format!("block {block} shows bytes that nobody wrote");
                    findings.wrong(name, *block, values, what)?;
                }
            }
        }
        Ok(())
    }
}

impl World {
    /// What it may be if all that was made durable since `before` is lost, as the last commit can be: the names of then, and
    /// of each block the values of then and all later ones. Beside it, the names of now with the same blocks.
    pub(crate) fn without_last_commit(&self, before: &Self) -> [Self; 2] {
        let older = |then: Option<&Content>, now: &Content| match then {
            Some(then) => now.joined(then),
            None => now.clone(),
        };
        let with = |names: &Self| Self {
            volumes: names
                .volumes
                .iter()
                .map(|(name, content)| (name.clone(), older(before.volumes.get(name), content)))
                .map(|(name, content)| {
                    let now = self.volumes.get(&name).map_or(content.clone(), |now| content.joined(now));
                    (name, now)
                })
                .collect(),
            snapshots: names.snapshots.clone(),
        };
        [with(before), with(self)]
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
        self.compare(store, tolerance, |values| values)
    }

    /// Whether an open pool shows the newest value of every block. Gives the blocks that are damaged.
    pub(crate) fn verify(
        &self,
        store: &dyn VolumeStore,
        tolerance: Tolerance,
    ) -> Result<Vec<Damaged>, String> {
        self.clone().compare(store, tolerance, |values| &values[values.len() - 1..])
    }

    fn compare(
        &mut self,
        store: &dyn VolumeStore,
        tolerance: Tolerance,
        may_show: MayShow,
    ) -> Result<Vec<Damaged>, String> {
        let mut findings = Findings {
            most: tolerance,
            bad: Places::default(),
            wrong: Places::default(),
            damaged: Vec::new(),
        };
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
            let recovered = content.recover(
                &ContentName::Volume(name.clone()),
                store.open_volume(name),
                &mut findings,
                may_show,
            );
            recovered.map_err(|error| format!("volume {name}: {error}"))?;
        }
        for (name, content) in &mut self.snapshots {
            let recovered = content.recover(
                &ContentName::Snapshot(name.clone()),
                store.open_snapshot(name),
                &mut findings,
                may_show,
            );
            recovered.map_err(|error| format!("snapshot {name}: {error}"))?;
        }
        Ok(findings.damaged)
    }
}
