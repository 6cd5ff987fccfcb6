//! Reading everything that a pool holds, while it is in use, to find damage before anybody needs the bytes.
//!
//! Layers are walked from old to new. A merge moves entries to a newer layer, so nothing is passed over.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use ashlar_volume::{BLOCK_BYTES, DamageReport, VolumeError, VolumeId};

use crate::blocks::{BlockError, Span};
use crate::catalog::Catalog;
use crate::checksums::chunk_and_block;
use crate::core::Core;
use crate::delta::Mark;
use crate::format::{BLOCKS_PER_CHUNK, CHUNK_BYTES, ChunkIndex, ChunkNumber, Fragment, LayerId, LeafIndex};
use crate::pool::{Inner, Pool};

/// Chunks that one step reads at most: 1 MiB.
const CHUNKS_PER_STEP: usize = 16;

/// How far a scrub has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScrubProgress {
    /// Bytes that there were to read when it began.
    pub total_bytes: u64,
    /// Bytes that were read.
    pub done_bytes: u64,
    /// Damaged blocks that were found, known ones too.
    pub damaged_blocks: u64,
}

/// A walk over a pool or some volumes of it. Dropping it ends it.
#[derive(Debug)]
pub struct Scrub {
    inner: Arc<Inner>,
    /// Layers to come, the present one first.
    layers: VecDeque<LayerId>,
    next_leaf: LeafIndex,
    /// What of the present leaf is still to be read.
    chunks: VecDeque<(ChunkIndex, Fragment)>,
    progress: ScrubProgress,
    buffer: Vec<u8>,
}

impl Pool {
    /// Begins to read all that the given volumes are made of; everything, where none is given. `NotFound`.
    pub fn scrub(&self, volumes: &[VolumeId]) -> Result<Scrub, VolumeError> {
        let catalog = self.inner.catalog.lock();
        let mut layers: BTreeSet<LayerId> = BTreeSet::new();
        for volume in volumes {
            layers.extend(catalog.chain(catalog.volume(volume)?.layer));
        }
        if volumes.is_empty() {
            layers.extend(catalog.layer_ids());
        }
        let state = self.inner.core.state.read();
        let total_blocks: u64 = layers.iter().map(|layer| state.held_blocks(*layer)).sum();
        Ok(Scrub {
            inner: Arc::clone(&self.inner),
            layers: layers.into_iter().collect(),
            next_leaf: LeafIndex(0),
            chunks: VecDeque::new(),
            progress: ScrubProgress { total_bytes: total_blocks * BLOCK_BYTES, ..ScrubProgress::default() },
            buffer: vec![0; CHUNK_BYTES as usize],
        })
    }
}

impl Scrub {
    /// How far it has come.
    #[must_use]
    pub const fn progress(&self) -> ScrubProgress {
        self.progress
    }

    /// Reads about a MiB more; `false` when everything was read. An error of the metadata ends the scrub.
    pub fn step(&mut self) -> Result<bool, VolumeError> {
        if self.chunks.is_empty() {
            return self.load_leaf();
        }
        for _ in 0..CHUNKS_PER_STEP {
            let Some((index, fragment)) = self.chunks.pop_front() else { break };
            self.verify(index, fragment)?;
        }
        Ok(true)
    }

    fn load_leaf(&mut self) -> Result<bool, VolumeError> {
        let Some(layer) = self.layers.front().copied() else {
            // Marks that were set or taken off are durable when the scrub is over.
            self.inner.core.commit()?;
            return Ok(false);
        };
        let Some((leaf, chunks)) = self.inner.core.next_leaf(layer, self.next_leaf)? else {
            self.layers.pop_front();
            self.next_leaf = LeafIndex(0);
            return Ok(true);
        };
        for (slot, fragments) in chunks {
            let held = fragments.into_iter().filter(|fragment| !fragment.is_zeroes());
            self.chunks.extend(held.map(|fragment| (leaf.chunk(slot), fragment)));
        }
        self.next_leaf = LeafIndex(leaf.0 + 1);
        Ok(true)
    }

    fn verify(&mut self, index: ChunkIndex, fragment: Fragment) -> Result<(), VolumeError> {
        let core = &self.inner.core;
        let mut sound = fragment.mask();
        for (first, count) in mask_runs(fragment.mask()) {
            let span = span(index, fragment.chunk(), first);
            let length_bytes = count * BLOCK_BYTES;
            let suspects = core.verify_blocks(span, &mut self.buffer[..length_bytes as usize]);
            for suspect in suspects.map_err(metadata_error)? {
                let (_, block) = chunk_and_block(suspect.offset_bytes);
                sound &= !(1 << block);
                if self.inner.confirm(self.layers.front().copied(), suspect)? {
                    self.progress.damaged_blocks += 1;
                }
            }
            self.progress.done_bytes += length_bytes;
        }
        core.damage.forget_blocks(core, fragment.chunk(), sound);
        Ok(())
    }
}

fn metadata_error(error: BlockError) -> VolumeError {
    match error {
        BlockError::Metadata(error) => error,
        BlockError::Read(error) | BlockError::Write(error) => VolumeError::io("scrub", error),
        BlockError::Damaged(_) | BlockError::IsClosed(_) => {
            VolumeError::new(ashlar_volume::ErrorKind::Corrupt, "scrub: an answer that it does not give")
        }
    }
}

fn span(index: ChunkIndex, chunk: ChunkNumber, first: u64) -> Span {
    Span {
        block: index.0 * BLOCKS_PER_CHUNK + first,
        offset_bytes: chunk.offset_bytes() + first * BLOCK_BYTES,
    }
}

/// Neighbouring blocks of a mask: the first, and how many.
fn mask_runs(mask: u16) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for block in (0..BLOCKS_PER_CHUNK).filter(|block| mask >> block & 1 == 1) {
        match runs.last_mut() {
            Some((first, count)) if *first + *count == block => *count += 1,
            _ => runs.push((block, 1)),
        }
    }
    runs
}

impl Inner {
    /// Whether a block that did not match is damaged: it still belongs to the layer, and does not match while nobody
    /// can change that. Then it is marked.
    fn confirm(&self, layer: Option<LayerId>, suspect: Span) -> Result<bool, VolumeError> {
        let Some(layer) = layer else { return Ok(false) };
        let (chunk, block) = chunk_and_block(suspect.offset_bytes);
        let index = ChunkIndex(suspect.block / BLOCKS_PER_CHUNK);
        let catalog = self.catalog.lock();
        let look_again = || -> Result<bool, VolumeError> {
            // A merge moves entries only under the catalog's lock, so this is where it is, or it is nobody's.
            let leaf = self.core.layer_leaf(layer, index.leaf())?;
            let fragments = leaf.get(&index.slot()).map_or(&[][..], |fragments| fragments);
            let is_held =
                |fragment: &Fragment| fragment.chunk() == chunk && fragment.mask() >> block & 1 == 1;
            if !fragments.iter().any(is_held) {
                return Ok(false);
            }
            let mut bytes = vec![0; BLOCK_BYTES as usize];
            Ok(!self.core.verify_blocks(suspect, &mut bytes).map_err(metadata_error)?.is_empty())
        };
        let is_damaged = match catalog.open_on_top(layer) {
            Some(volume) => volume.change_leaf(index.leaf(), look_again),
            None => look_again(),
        }?;
        if is_damaged {
            self.core.damage.note(&self.core, &catalog.layer_name(layer), suspect);
        }
        Ok(is_damaged)
    }

    /// Through which names the damaged blocks are visible. Marks of blocks that nobody holds any more go.
    pub(crate) fn damage_report(&self) -> Result<DamageReport, VolumeError> {
        let marks = self.core.damage.marks();
        let mut report = DamageReport::default();
        if marks.is_empty() {
            return Ok(report);
        }
        let catalog = self.catalog.lock();
        let layers: Vec<_> = catalog.layer_ids().collect();
        let mut by_leaf: BTreeMap<LeafIndex, Vec<(ChunkNumber, Mark)>> = BTreeMap::new();
        for (chunk, mark) in marks {
            by_leaf.entry(mark.index.leaf()).or_default().push((chunk, mark));
        }
        for (leaf, marks) in by_leaf {
            let leaves: BTreeMap<_, _> =
                layers.iter().copied().zip(self.core.layer_leaves(leaf, &layers)?).collect();
            let fragments = |layer: LayerId, mark: Mark| {
                let chunks = leaves.get(&layer).and_then(|chunks| chunks.get(&mark.index.slot()));
                chunks.map_or(&[][..], |fragments| fragments)
            };
            for (chunk, mark) in marks {
                let visible = |top: LayerId| visible_blocks(&catalog, top, chunk, mark, fragments);
                let holds =
                    |fragment: &Fragment| fragment.chunk() == chunk && fragment.mask() & mark.mask != 0;
                if !layers.iter().any(|layer| fragments(*layer, mark).iter().any(holds)) {
                    self.core.damage.forget_blocks(&self.core, chunk, mark.mask);
                    continue;
                }
                for (name, record) in &catalog.volumes {
                    let blocks = visible(record.layer);
                    if blocks > 0 {
                        *report.volumes.entry(name.clone()).or_default() += blocks;
                    }
                }
                for (name, record) in &catalog.snapshots {
                    let blocks = visible(record.layer);
                    if blocks > 0 {
                        *report.snapshots.entry(name.clone()).or_default() += blocks;
                    }
                }
            }
        }
        Ok(report)
    }
}

/// How many of the marked blocks are visible from a top layer.
fn visible_blocks<'a>(
    catalog: &Catalog,
    top: LayerId,
    chunk: ChunkNumber,
    mark: Mark,
    fragments: impl Fn(LayerId, Mark) -> &'a [Fragment],
) -> u64 {
    let mut covered = 0;
    for layer in catalog.chain(top) {
        let here = fragments(layer, mark);
        if let Some(fragment) = here.iter().find(|fragment| fragment.chunk() == chunk) {
            return u64::from((fragment.mask() & mark.mask & !covered).count_ones());
        }
        covered |= here.iter().fold(0, |covered, fragment| covered | fragment.mask());
    }
    0
}

/// How a pool is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PoolStatus {
    /// Blocks that are marked as damaged.
    pub damaged_blocks: u64,
    /// Damaged blocks found since the pool was opened.
    pub damaged_blocks_found: u64,
    /// Bytes of the data file that may be changed in place: after a crash their checksums are worked out again.
    pub open_bytes: u64,
    /// Bytes of the data file whose checksums a crash has made uncertain and nobody has worked out again yet.
    pub uncertain_bytes: u64,
    /// Why nothing is written any more, if so.
    pub latched: Option<String>,
}

impl Pool {
    /// How the pool is.
    #[must_use]
    pub fn status(&self) -> PoolStatus {
        const PAGE_BYTES: u64 = crate::format::CHUNKS_PER_CHECKSUM_PAGE * CHUNK_BYTES;
        let core: &Core = &self.inner.core;
        let (open, stale) = core.intents.counts();
        let marks = core.damage.marks();
        PoolStatus {
            damaged_blocks: marks.iter().map(|(_, mark)| u64::from(mark.mask.count_ones())).sum(),
            damaged_blocks_found: core.damage.found(),
            open_bytes: open as u64 * PAGE_BYTES,
            uncertain_bytes: stale as u64 * PAGE_BYTES,
            latched: core.latch.check().err().map(|error| error.to_string()),
        }
    }
}
