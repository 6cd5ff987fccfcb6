//! Metadata contexts: what can be asked of a range beside its bytes.

use std::sync::Arc;

use ashlar_volume::{BlockDevice, ChangeExtent, ChangeKind, ErrorKind, ExtentKind, VolumeError};

use crate::exports::Lease;
use crate::validate::Range;

/// Which bytes take space, as the protocol defines it.
pub(crate) const ALLOCATION: &str = "base:allocation";

/// Which bytes changed since a snapshot, whose name follows.
pub(crate) const CHANGED_SINCE: &str = "ashlar:changed-since:";

/// The most contexts of one session.
pub(crate) const CONTEXTS_MAX: usize = 32;

/// A hole: takes no space.
const STATE_HOLE: u32 = 1 << 0;
/// Reads as zeroes.
const STATE_ZERO: u32 = 1 << 1;
/// Changed since the snapshot.
const STATE_CHANGED: u32 = 1 << 0;
/// Was made a hole since the snapshot, and reads as zeroes.
const STATE_CHANGED_TO_HOLE: u32 = 1 << 1;

/// What changed in an export since one snapshot.
pub trait Changes: Send + Sync {
    /// See [`VolumeStore::changes`](ashlar_volume::VolumeStore::changes).
    fn changes(
        &self,
        offset_bytes: u64,
        length_bytes: u64,
        extents_max: usize,
    ) -> Result<Vec<ChangeExtent>, VolumeError>;
}

/// One context of an export.
#[derive(Clone)]
pub(crate) enum Context {
    Allocation,
    ChangedSince(Arc<dyn Changes>),
}

/// Lengths and flags of neighbouring extents.
pub(crate) type Descriptors = Vec<(u64, u32)>;

impl Context {
    /// The context of a full name; `None` if the export has none of that name.
    pub(crate) fn of(lease: &dyn Lease, name: &str) -> Option<Self> {
        if name == ALLOCATION {
            return Some(Self::Allocation);
        }
        name.strip_prefix(CHANGED_SINCE).and_then(|since| lease.changes_since(since)).map(Self::ChangedSince)
    }

    fn describe(
        &self,
        device: &dyn BlockDevice,
        range: Range,
        extents_max: usize,
    ) -> Result<Descriptors, VolumeError> {
        match self {
            Self::Allocation => {
                let extents = device.extents(range.offset_bytes, range.length_bytes, extents_max)?;
                let flags = |kind| match kind {
                    ExtentKind::Data => 0,
                    ExtentKind::Hole => STATE_HOLE | STATE_ZERO,
                };
                Ok(extents.iter().map(|extent| (extent.length_bytes, flags(extent.kind))).collect())
            }
            Self::ChangedSince(changes) => {
                let changes = changes
                    .changes(range.offset_bytes, range.length_bytes, extents_max)
                    .map_err(|error| not_comparable(&error))?;
                let flags = |kind| match kind {
                    ChangeKind::Unchanged => 0,
                    ChangeKind::Written => STATE_CHANGED,
                    ChangeKind::Zeroed => STATE_CHANGED | STATE_CHANGED_TO_HOLE,
                };
                Ok(changes.iter().map(|extent| (extent.length_bytes, flags(extent.kind))).collect())
            }
        }
    }
}

/// A snapshot that is gone is not an export that is gone: the client may go on without the context.
fn not_comparable(error: &VolumeError) -> VolumeError {
    let kind = match error.kind() {
        ErrorKind::NotFound => ErrorKind::InvalidArgument,
        kind => kind,
    };
    VolumeError::new(kind, error.to_string())
}

/// The contexts of a session. Their numbers are their places, counted from 1.
#[derive(Clone)]
pub(crate) struct Contexts(Arc<[Context]>);

/// Some of the contexts, as bits: the lowest is the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ContextSet(u32);

impl ContextSet {
    /// The first `count`.
    pub(crate) const fn first(count: u32) -> Self {
        Self(if count >= u32::BITS { u32::MAX } else { (1 << count) - 1 })
    }

    /// Those of `numbers`; `None` if there are none, one is there twice, or one is not among the first `count`.
    pub(crate) fn of(numbers: &[u32], count: u32) -> Option<Self> {
        let mut set = 0_u32;
        for number in numbers {
            let bit = number.checked_sub(1).filter(|place| *place < count).map(|place| 1_u32 << place)?;
            if set & bit != 0 {
                return None;
            }
            set |= bit;
        }
        (set != 0).then_some(Self(set))
    }

    const fn has(self, place: usize) -> bool {
        self.0 >> place & 1 == 1
    }
}

impl Contexts {
    pub(crate) fn new(contexts: Vec<Context>) -> Self {
        debug_assert!(contexts.len() <= CONTEXTS_MAX, "more contexts than may be chosen");
        Self(contexts.into())
    }

    /// What the contexts of `set` say of a range, with their numbers.
    pub(crate) fn describe(
        &self,
        set: ContextSet,
        device: &dyn BlockDevice,
        range: Range,
        extents_max: usize,
    ) -> Result<Vec<(u32, Descriptors)>, VolumeError> {
        let wanted = self.0.iter().enumerate().filter(|(place, _)| set.has(*place));
        wanted
            .map(|(place, context)| Ok((place as u32 + 1, context.describe(device, range, extents_max)?)))
            .collect()
    }
}
