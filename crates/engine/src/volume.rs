//! An open volume or snapshot: its layers and the leaves that are in memory.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use ashlar_volume::{BLOCK_BYTES, ErrorKind, VolumeError};
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::cipher::BlockCipher;
use crate::core::Core;
use crate::format::{LEAF_BYTES, LayerId, LeafIndex};
use crate::leaf::ResolvedLeaf;

mod batch;
mod block;
mod change;
mod describe;
mod discard;
mod queue;
mod read;
mod stream;

const LEAVES_PER_SEGMENT: usize = 64;

/// An open volume or snapshot. All devices that are open on it share one.
#[derive(Debug)]
pub(crate) struct OpenVolume {
    core: Arc<Core>,
    this: Weak<Self>,
    name: String,
    is_read_only: bool,
    size_bytes: AtomicU64,
    /// What the blocks in the data file are encrypted with.
    cipher: Option<Arc<BlockCipher>>,
    /// Held shared by every call for its whole duration; exclusively only to swap something in memory.
    shape: RwLock<Shape>,
}

/// The layers of an open volume and its resolved leaves.
#[derive(Debug)]
struct Shape {
    is_closed: bool,
    /// Counts the layers that were put on top since the volume was opened.
    epoch: u64,
    /// Top first.
    layers: Vec<LayerId>,
    /// Made when first touched: a volume of many TiB costs nothing until it is used.
    segments: Vec<OnceLock<Box<[Slot; LEAVES_PER_SEGMENT]>>>,
}

/// A leaf's place in memory. Its lock is held shared while blocks are read or overwritten in place, and exclusively
/// while the map changes.
#[derive(Debug, Default)]
struct Slot {
    leaf: RwLock<Option<Box<ResolvedLeaf>>>,
    was_used: AtomicBool,
}

impl Shape {
    fn cover(&mut self, size_bytes: u64) {
        let segments = size_bytes.div_ceil(LEAF_BYTES * LEAVES_PER_SEGMENT as u64) as usize;
        self.segments.resize_with(segments.max(self.segments.len()), OnceLock::new);
    }

    fn slot(&self, leaf: LeafIndex) -> &Slot {
        let at = leaf.0 as usize;
        let segment = self.segments[at / LEAVES_PER_SEGMENT]
            .get_or_init(|| Box::new(std::array::from_fn(|_| Slot::default())));
        &segment[at % LEAVES_PER_SEGMENT]
    }

    /// The leaf's place in memory, if something near it was touched.
    fn slot_if_made(&self, leaf: LeafIndex) -> Option<&Slot> {
        let at = leaf.0 as usize;
        self.segments[at / LEAVES_PER_SEGMENT].get().map(|segment| &segment[at % LEAVES_PER_SEGMENT])
    }

    fn top(&self) -> LayerId {
        self.layers[0]
    }
}

/// An open volume on which no call is under way.
#[derive(Debug)]
pub(crate) struct HeldVolume<'a>(RwLockWriteGuard<'a, Shape>);

impl HeldVolume<'_> {
    /// Puts a layer on top.
    pub(crate) fn push_layer(&mut self, layer: LayerId) {
        self.0.layers.insert(0, layer);
        self.0.epoch += 1;
    }
}

/// The part of a call that lies in one leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    leaf: LeafIndex,
    /// Where it begins in the leaf, in bytes.
    start: u64,
    /// Where it ends in the leaf, in bytes.
    end: u64,
    /// Where it begins in the call's buffer.
    buffer_start: usize,
}

impl Piece {
    const fn length(&self) -> usize {
        (self.end - self.start) as usize
    }

    const fn first_block(&self) -> u64 {
        self.start / BLOCK_BYTES
    }

    const fn end_block(&self) -> u64 {
        self.end.div_ceil(BLOCK_BYTES)
    }
}

/// Cuts a range of a volume at the borders of leaves.
fn leaf_pieces(offset_bytes: u64, length_bytes: u64) -> impl Iterator<Item = Piece> {
    let end = offset_bytes + length_bytes;
    let mut next = offset_bytes;
    std::iter::from_fn(move || {
        (next < end).then(|| {
            let leaf = next / LEAF_BYTES;
            let piece_end = end.min((leaf + 1) * LEAF_BYTES);
            let piece = Piece {
                leaf: LeafIndex(leaf as u32),
                start: next % LEAF_BYTES,
                end: piece_end - leaf * LEAF_BYTES,
                buffer_start: (next - offset_bytes) as usize,
            };
            next = piece_end;
            piece
        })
    })
}

impl OpenVolume {
    /// Opens the layers of a volume or snapshot; `layers` begins with the top one.
    pub(crate) fn new(
        core: Arc<Core>,
        name: String,
        is_read_only: bool,
        size_bytes: u64,
        layers: Vec<LayerId>,
        cipher: Option<Arc<BlockCipher>>,
    ) -> Arc<Self> {
        let mut shape = Shape { is_closed: false, epoch: 0, layers, segments: Vec::new() };
        shape.cover(size_bytes);
        Arc::new_cyclic(|this| Self {
            core,
            this: Weak::clone(this),
            name,
            is_read_only,
            size_bytes: AtomicU64::new(size_bytes),
            cipher,
            shape: RwLock::new(shape),
        })
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes.load(Ordering::Acquire)
    }

    pub(crate) const fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    pub(crate) fn flush(&self) -> Result<(), VolumeError> {
        if self.is_read_only { Ok(()) } else { self.core.commit() }
    }

    /// The volume is at least `size_bytes` large from now on. Of two calls that race the larger size wins.
    pub(crate) fn grow(&self, size_bytes: u64) {
        self.shape.write().cover(size_bytes);
        self.size_bytes.fetch_max(size_bytes, Ordering::AcqRel);
    }

    /// Waits until no call is under way, and lets none begin while the result lives.
    pub(crate) fn hold(&self) -> HeldVolume<'_> {
        HeldVolume(self.shape.write())
    }

    /// The layer is gone: its content is in the layer above it.
    pub(crate) fn remove_layer(&self, layer: LayerId) {
        if self.shape.read().layers.contains(&layer) {
            self.shape.write().layers.retain(|other| *other != layer);
        }
    }

    /// Waits until no call is under way; later calls that change something are refused.
    pub(crate) fn close(&self) {
        self.shape.write().is_closed = true;
    }

    /// Runs `change` while nobody uses the leaf, and lets the leaf be resolved anew afterwards.
    pub(crate) fn change_leaf<T>(&self, leaf: LeafIndex, change: impl FnOnce() -> T) -> T {
        let shape = self.shape.read();
        let mut guard = shape.slot(leaf).leaf.write();
        let result = change();
        *guard = None;
        result
    }

    /// Lets go of a leaf that was not used lately; `false` if it was, or is in use now.
    pub(crate) fn evict(&self, leaf: LeafIndex) -> bool {
        let Some(shape) = self.shape.try_read() else { return false };
        let slot = shape.slot(leaf);
        if slot.was_used.swap(false, Ordering::Relaxed) {
            return false;
        }
        slot.leaf.try_write().is_some_and(|mut guard| {
            *guard = None;
            true
        })
    }

    fn check_range(&self, offset_bytes: u64, length_bytes: u64) -> Result<(), VolumeError> {
        let size_bytes = self.size_bytes();
        if offset_bytes.checked_add(length_bytes).is_some_and(|end| end <= size_bytes) {
            return Ok(());
        }
        Err(VolumeError::new(
            ErrorKind::InvalidArgument,
            format!(
                "{length_bytes} bytes at {offset_bytes} are not within the {size_bytes} bytes of `{}`",
                self.name
            ),
        ))
    }

    fn check_change(&self, offset_bytes: u64, length_bytes: u64) -> Result<(), VolumeError> {
        if self.is_read_only {
            return Err(VolumeError::new(
                ErrorKind::InvalidArgument,
                format!("`{}` is read-only", self.name),
            ));
        }
        self.check_range(offset_bytes, length_bytes)
    }

    /// The shape, for a call that changes something.
    fn shape_for_change(&self) -> Result<RwLockReadGuard<'_, Shape>, VolumeError> {
        let shape = self.shape.read();
        self.core.latch.check()?;
        if shape.is_closed {
            return Err(VolumeError::new(
                ErrorKind::Latched,
                format!("the pool of `{}` is closed", self.name),
            ));
        }
        Ok(shape)
    }

    /// Resolves the leaf if it is not in memory, and brings its ownership up to date.
    fn load<'a>(
        &self,
        shape: &Shape,
        index: LeafIndex,
        guard: &'a mut RwLockWriteGuard<'_, Option<Box<ResolvedLeaf>>>,
    ) -> Result<&'a mut ResolvedLeaf, VolumeError> {
        if guard.is_none() {
            let layers = {
                let _entries_stay = self.core.moves.read();
                self.core.layer_leaves(index, &shape.layers)?
            };
            self.core.resolved_leaves.add(Weak::clone(&self.this), index);
            **guard = Some(Box::new(ResolvedLeaf::resolve(shape.epoch, &layers)));
        }
        let leaf = guard.get_or_insert_with(|| Box::new(ResolvedLeaf::resolve(shape.epoch, &[])));
        if leaf.epoch() != shape.epoch {
            leaf.freeze(shape.epoch);
        }
        Ok(leaf)
    }
}

impl Slot {
    fn mark_used(&self) {
        if !self.was_used.load(Ordering::Relaxed) {
            self.was_used.store(true, Ordering::Relaxed);
        }
    }
}
