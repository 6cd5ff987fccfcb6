//! What all parts of an open pool share: the files, the metadata, the latch.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use ashlar_volume::{BLOCK_BYTES, ErrorKind, VolumeError};
use parking_lot::{Condvar, Mutex, RwLock};

use crate::checksums::Checksums;
use crate::commit::Group;
use crate::damage::Damage;
use crate::file::{Directory, File};
use crate::format::{BLOCKS_PER_CHUNK, Fragment, LayerId, LeafChunks, LeafIndex};
use crate::intent::Intents;
use crate::journal::Journal;
use crate::keys::Keys;
use crate::map::Map;
use crate::options::PoolOptions;
use crate::state::State;
use crate::volume::OpenVolume;
use crate::wake::Wake;

/// The shared parts of an open pool.
///
/// Locks are taken in this order: the pool's catalog, a volume's shape, a leaf, `moves`, a page of checksums, a chunk of
/// it, marks of damage, `checkpointing`, `journal`, `state`. Nothing waits for the medium while it holds `state`, and
/// nobody opens pages or commits while it holds a page.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) options: PoolOptions,
    pub(crate) data: Arc<dyn File>,
    pub(crate) map: Map,
    pub(crate) journal: Mutex<Journal>,
    /// Told when records that were under way are durable, or will never be.
    pub(crate) landed: Condvar,
    pub(crate) state: RwLock<State>,
    /// Held shared while a leaf is resolved through its layers, exclusively while entries move between layers.
    pub(crate) moves: RwLock<()>,
    /// One checkpoint at a time.
    pub(crate) checkpointing: Mutex<()>,
    pub(crate) group: Group,
    pub(crate) latch: Latch,
    pub(crate) dirt: Dirt,
    /// About how large the next journal record is.
    pub(crate) pending_bytes: AtomicUsize,
    pub(crate) space: Space,
    pub(crate) resolved_leaves: ResolvedLeaves,
    pub(crate) checksums: Checksums,
    pub(crate) intents: Intents,
    pub(crate) damage: Damage,
    pub(crate) wake: Wake,
    pub(crate) keys: Keys,
}

impl Core {
    /// One leaf of each of the layers, as the pool's metadata has it now.
    ///
    /// The deltas are read before the map: a checkpoint that ends in between moves changes down, and a change seen
    /// in both places does no harm, while one seen in neither would be lost.
    pub(crate) fn layer_leaves(
        &self,
        leaf: LeafIndex,
        layers: &[LayerId],
    ) -> Result<Vec<LeafChunks>, VolumeError> {
        let patches: Vec<_> = {
            let state = self.state.read();
            layers.iter().map(|layer| state.leaf_patch(*layer, leaf)).collect()
        };
        let stored = self.map.leaves(leaf, layers)?;
        Ok(patches.into_iter().zip(stored).map(|(patch, stored)| patch.apply(stored)).collect())
    }

    /// One leaf of one layer.
    pub(crate) fn layer_leaf(&self, layer: LayerId, leaf: LeafIndex) -> Result<LeafChunks, VolumeError> {
        Ok(self.layer_leaves(leaf, &[layer])?.pop().unwrap_or_default())
    }

    /// The first leaf of the layer from `from` on that is not empty, with its content.
    pub(crate) fn next_leaf(
        &self,
        layer: LayerId,
        mut from: LeafIndex,
    ) -> Result<Option<(LeafIndex, LeafChunks)>, VolumeError> {
        loop {
            let in_deltas = self.state.read().next_leaf(layer, from);
            let in_map =
                self.map.next_leaf(layer, from, |leaf| !self.state.read().is_dropped(layer, leaf))?;
            let Some(leaf) = in_deltas.into_iter().chain(in_map).min() else { return Ok(None) };
            let chunks = self.layer_leaf(layer, leaf)?;
            if !chunks.is_empty() {
                return Ok(Some((leaf, chunks)));
            }
            from = LeafIndex(leaf.0 + 1);
        }
    }

    /// Notes that so many bytes of the data file were changed. Call it before the change is answered or published.
    pub(crate) fn mark_data_dirty(&self, length_bytes: u64) {
        self.dirt.add(length_bytes.div_ceil(BLOCK_BYTES));
    }

    /// Remembers how large the pending delta has become.
    pub(crate) fn note_pending(&self, state: &State) {
        self.pending_bytes.store(state.pending.estimated_bytes(), Ordering::Relaxed);
    }

    /// Commits if much has piled up, so that a record always fits the journal. Call it without locks.
    pub(crate) fn commit_if_large(&self) -> Result<(), VolumeError> {
        if self.pending_bytes.load(Ordering::Relaxed) > self.options.pending_bytes_max {
            self.commit()
        } else {
            Ok(())
        }
    }

    /// Gives the space of a fragment's blocks back.
    pub(crate) fn punch_blocks(&self, blocks: Fragment) -> std::io::Result<()> {
        let is_in = |block: u64| blocks.mask() >> block & 1 == 1;
        let mut next = 0;
        while next < BLOCKS_PER_CHUNK {
            let start = next;
            next += 1;
            if is_in(start) {
                while next < BLOCKS_PER_CHUNK && is_in(next) {
                    next += 1;
                }
                let offset_bytes = blocks.chunk().offset_bytes() + start * BLOCK_BYTES;
                self.data.punch_hole(offset_bytes, (next - start) * BLOCK_BYTES)?;
            }
        }
        Ok(())
    }

    /// Destroys the keys of which it is durable that nobody needs them.
    pub(crate) fn destroy_freed_keys(&self) -> Result<(), VolumeError> {
        let freed = std::mem::take(&mut self.state.write().keys_to_destroy);
        if freed.is_empty() {
            return Ok(());
        }
        // What is not destroyed now is destroyed by the next opening; nothing may be written before it.
        self.keys.destroy(&freed).inspect_err(|error| self.latch.set(error))
    }

    /// Turns an I/O error of a change into the error of the call. A full medium is nobody's fault; anything else latches.
    pub(crate) fn failed_change(&self, context: &str, error: std::io::Error) -> VolumeError {
        let error = VolumeError::io(context, error);
        if error.kind() != ErrorKind::NoSpace {
            self.latch.set(&error);
        }
        error
    }
}

/// Changes of the data file that no sync has covered.
#[derive(Debug)]
pub(crate) struct Dirt {
    /// Blocks that were changed since the last sync began, as far as they are counted.
    blocks: AtomicU32,
    /// Syncs that are under way.
    pub(crate) syncs: AtomicUsize,
}

impl Dirt {
    /// Blocks are counted up to here: 1 MiB of them.
    const MANY: u32 = 256;

    /// Some, of which nobody knows how much.
    pub(crate) const fn unknown() -> Self {
        Self { blocks: AtomicU32::new(1), syncs: AtomicUsize::new(0) }
    }

    fn add(&self, blocks: u64) {
        // Bulk writers soon find it full, and then only read it.
        if self.blocks.load(Ordering::SeqCst) < Self::MANY {
            self.blocks.fetch_add(blocks.min(u64::from(Self::MANY)).max(1) as u32, Ordering::SeqCst);
        }
    }

    /// Whether a sync will not take long.
    pub(crate) fn is_little(&self) -> bool {
        self.blocks.load(Ordering::SeqCst) < Self::MANY
    }

    /// A sync begins, which covers what there was; answers whether there was any.
    pub(crate) fn take(&self) -> bool {
        self.blocks.swap(0, Ordering::SeqCst) != 0
    }
}

/// Set by the first failed write or sync; from then on nothing changes any more. After a failed sync the kernel
/// may have dropped what it could not write, so a second sync that succeeds would prove nothing.
#[derive(Debug, Default)]
pub(crate) struct Latch {
    is_set: AtomicBool,
    cause: Mutex<String>,
}

impl Latch {
    /// Latches the pool, once.
    pub(crate) fn set(&self, error: &VolumeError) {
        let mut cause = self.cause.lock();
        if !self.is_set.load(Ordering::SeqCst) {
            tracing::error!(%error, "the pool is latched: nothing is written until it is opened again");
            *cause = error.to_string();
            self.is_set.store(true, Ordering::SeqCst);
        }
    }

    /// `Latched` if it is.
    pub(crate) fn check(&self) -> Result<(), VolumeError> {
        if self.is_set.load(Ordering::Relaxed) {
            let cause = self.cause.lock();
            return Err(VolumeError::new(
                ErrorKind::Latched,
                format!("nothing is written since an earlier error; restart the server to recover ({cause})"),
            ));
        }
        Ok(())
    }
}

/// Keeps the last bytes of the file system for the metadata.
#[derive(Debug)]
pub(crate) struct Space {
    directory: Arc<dyn Directory>,
    reserve_bytes: u64,
    /// Bytes that may be handed out before the file system is asked again.
    credit_bytes: AtomicU64,
}

impl Space {
    const CREDIT_BYTES_MAX: u64 = 16 << 20;

    pub(crate) const fn new(directory: Arc<dyn Directory>, reserve_bytes: u64) -> Self {
        Self { directory, reserve_bytes, credit_bytes: AtomicU64::new(0) }
    }

    /// Bytes of the file system, the reserve apart.
    pub(crate) fn capacity_bytes(&self) -> Result<u64, VolumeError> {
        let capacity_bytes = self
            .directory
            .capacity_bytes()
            .map_err(|error| VolumeError::io("ask the file system for its size", error))?;
        Ok(capacity_bytes.saturating_sub(self.reserve_bytes))
    }

    /// Bytes that volumes can still take.
    pub(crate) fn available_bytes(&self) -> Result<u64, VolumeError> {
        let available_bytes = self
            .directory
            .available_bytes()
            .map_err(|error| VolumeError::io("ask the file system for its free space", error))?;
        Ok(available_bytes.saturating_sub(self.reserve_bytes))
    }

    /// Asks for room for new blocks. `NoSpace`.
    pub(crate) fn take(&self, blocks: u64) -> Result<(), VolumeError> {
        let wanted_bytes = blocks * BLOCK_BYTES;
        let pay = |credit: u64| credit.checked_sub(wanted_bytes);
        if self.credit_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, pay).is_ok() {
            return Ok(());
        }
        let available_bytes = self.available_bytes()?;
        let Some(rest_bytes) = available_bytes.checked_sub(wanted_bytes) else {
            return Err(VolumeError::new(
                ErrorKind::NoSpace,
                format!(
                    "{wanted_bytes} more bytes do not fit: the file system has {available_bytes} left above the \
                     reserve of {}; delete snapshots or disks, or enlarge it",
                    self.reserve_bytes
                ),
            ));
        };
        // Others may fill the file system too: the nearer the end, the more often it is asked.
        self.credit_bytes.store((rest_bytes / 8).min(Self::CREDIT_BYTES_MAX), Ordering::Relaxed);
        Ok(())
    }
}

/// Which resolved leaves are in memory, in the order of a clock hand.
#[derive(Debug)]
pub(crate) struct ResolvedLeaves {
    leaves_max: usize,
    leaves: Mutex<VecDeque<(Weak<OpenVolume>, LeafIndex)>>,
}

impl ResolvedLeaves {
    pub(crate) const fn new(leaves_max: usize) -> Self {
        Self { leaves_max, leaves: Mutex::new(VecDeque::new()) }
    }

    /// Notes a leaf that was just resolved, and lets others go if there are too many.
    pub(crate) fn add(&self, volume: Weak<OpenVolume>, leaf: LeafIndex) {
        let mut leaves = self.leaves.lock();
        leaves.push_back((volume, leaf));
        // Two rounds of the hand: the first clears the marks of use.
        let mut tries = leaves.len() * 2;
        while leaves.len() > self.leaves_max && tries > 0 {
            tries -= 1;
            let Some((volume, leaf)) = leaves.pop_front() else { return };
            if volume.upgrade().is_some_and(|volume| !volume.evict(leaf)) {
                leaves.push_back((volume, leaf));
            }
        }
    }
}
