//! A pool of volumes and their snapshots.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::{BlockDevice, ChangeExtent, ChangeQuery, ContentName, ErrorKind, VolumeError};

/// The longest name of a volume or snapshot, in bytes.
const NAME_BYTES_MAX: usize = 40;

fn checked_name(kind: &str, text: &str) -> Result<Box<str>, VolumeError> {
    let valid = (1..=NAME_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if valid {
        Ok(text.into())
    } else {
        Err(VolumeError::new(
            ErrorKind::InvalidArgument,
            format!("{kind} `{text}`: expected 1 to {NAME_BYTES_MAX} characters of a-z, 0-9 and `-`"),
        ))
    }
}

macro_rules! store_name {
    ($(#[$meta:meta])* $name:ident, $kind:literal) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Box<str>);

        impl $name {
            /// Takes a name of 1 to 40 characters of `a-z`, `0-9` and `-`; anything else is `InvalidArgument`.
            pub fn new(text: &str) -> Result<Self, VolumeError> {
                checked_name($kind, text).map(Self)
            }

            /// The text of the name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

store_name!(
    /// The name of a volume in its store: the id of the disk whose bytes it holds.
    VolumeId, "volume"
);
store_name!(
    /// The name of a snapshot in its store: the id of the cloud snapshot or backup point.
    VolumeSnapshotId, "snapshot"
);

impl From<ashlar_types::DiskId> for VolumeId {
    fn from(disk: ashlar_types::DiskId) -> Self {
        Self(disk.to_string().into())
    }
}

impl From<ashlar_types::SnapshotId> for VolumeId {
    /// The volume in which a snapshot that comes from another pool is put together.
    fn from(snapshot: ashlar_types::SnapshotId) -> Self {
        Self(snapshot.to_string().into())
    }
}

impl From<ashlar_types::DiskBackupId> for VolumeSnapshotId {
    fn from(backup: ashlar_types::DiskBackupId) -> Self {
        Self(backup.to_string().into())
    }
}

impl From<ashlar_types::SnapshotId> for VolumeSnapshotId {
    fn from(snapshot: ashlar_types::SnapshotId) -> Self {
        Self(snapshot.to_string().into())
    }
}

/// What a store knows of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeInfo {
    /// The size that its users see.
    pub size_bytes: u64,
    /// Bytes of blocks that belong to this volume alone: written since its last snapshot.
    pub exclusive_bytes: u64,
    /// Devices that are open on it.
    pub open_count: usize,
    /// Whether its blocks are encrypted where they are stored. Never changes.
    pub is_encrypted: bool,
}

/// What a store knows of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// The size of the volume when the snapshot was taken.
    pub size_bytes: u64,
    /// Bytes of blocks that the snapshot itself holds: all written blocks for the first of a lineage, the
    /// blocks changed since the one before for the others.
    pub held_bytes: u64,
    /// Devices that are open on it.
    pub open_count: usize,
    /// Whether its blocks are encrypted where they are stored: as its volume's.
    pub is_encrypted: bool,
}

/// What a store takes and could still give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreUsage {
    /// Bytes of blocks in use by volumes, snapshots and deletions under way.
    pub used_bytes: u64,
    /// Bytes that can still be written before `NoSpace`.
    pub available_bytes: u64,
    /// Bytes of the whole medium, free or taken by whomever.
    pub capacity_bytes: u64,
}

/// What of a store does not hold what was written to it any more.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DamageReport {
    /// Damaged blocks that are visible through each volume; a sound volume is not listed.
    pub volumes: BTreeMap<VolumeId, u64>,
    /// Damaged blocks that are visible through each snapshot; a sound snapshot is not listed.
    pub snapshots: BTreeMap<VolumeSnapshotId, u64>,
}

/// A moment in the life of an open store; the default is before all of it. Good for that opening alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct HeirMark(pub u64);

/// Snapshots to which blocks of deleted volumes and snapshots may have come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Heirs {
    /// Where the next question begins.
    pub mark: HeirMark,
    /// What each of them holds now, as in [`SnapshotInfo::held_bytes`].
    pub held_bytes: BTreeMap<VolumeSnapshotId, u64>,
}

/// A pool of volumes. Every call that changes something is durable and complete when it returns `Ok`, and has
/// changed nothing when it returns an error (a latched pool apart, which a restart recovers).
///
/// Names are unique within a store and within their kind. Calls may come from many threads at once.
///
/// Errors that every call may return: `Io`, `Latched`, `Corrupt`; every call that changes something also
/// `NoSpace`. The others are named at the call.
pub trait VolumeStore: Send + Sync {
    /// Makes an empty volume that reads as zeroes. `size_bytes` is a multiple of 4096, 4096 at least.
    /// `AlreadyExists`, `InvalidArgument`.
    fn create_volume(&self, volume: &VolumeId, size_bytes: u64) -> Result<(), VolumeError>;

    /// Like [`create_volume`](Self::create_volume), but the volume's blocks are encrypted where they are stored, with a
    /// key of its own. Its snapshots and clones share the key; it is destroyed, durably, by the call that takes the last
    /// of them away. Also `InvalidArgument` if the store has no master key.
    fn create_encrypted_volume(&self, volume: &VolumeId, size_bytes: u64) -> Result<(), VolumeError>;

    /// Makes a volume whose content is the snapshot's, zeroes beyond it; encrypted if the snapshot is. O(1); moves no
    /// data. `size_bytes` is a multiple of 4096 and not smaller than the snapshot. `NotFound`, `AlreadyExists`, `InvalidArgument`.
    fn clone_volume(
        &self,
        volume: &VolumeId,
        from: &VolumeSnapshotId,
        size_bytes: u64,
    ) -> Result<(), VolumeError>;

    /// Makes the volume larger; zeroes beyond the old end. `size_bytes` is a multiple of 4096. Open devices see the new size. The same size again
    /// is a success, a smaller one `InvalidArgument`. `NotFound`.
    fn resize_volume(&self, volume: &VolumeId, size_bytes: u64) -> Result<(), VolumeError>;

    /// Deletes the volume; its space comes back in the background. Its snapshots stay. `NotFound`; `InUse` while a device is open
    /// on it.
    fn delete_volume(&self, volume: &VolumeId) -> Result<(), VolumeError>;

    /// Freezes the volume's content under a name: everything answered before the call began, flushed or not,
    /// and is durable when it returns. O(1) beside the flush. Allowed while devices are open. `NotFound`, `AlreadyExists`.
    ///
    /// The content is that of one moment: a write that is in it has every write in it that was answered before
    /// that one began, on any device of the volume. A write that runs meanwhile may be in it for some of its blocks.
    fn create_snapshot(&self, volume: &VolumeId, snapshot: &VolumeSnapshotId) -> Result<(), VolumeError> {
        self.create_snapshots(&[(volume.clone(), snapshot.clone())])
    }

    /// Freezes several volumes at one moment, each under its own name: all of them, or none. What holds within a
    /// volume for [`create_snapshot`](Self::create_snapshot) holds across them: with a write that is in its snapshot, every
    /// write that was answered before that one began, on any of the volumes, is in the snapshot of its own.
    /// `NotFound`, `AlreadyExists`; `InvalidArgument` for a volume or a name given twice.
    fn create_snapshots(&self, snapshots: &[(VolumeId, VolumeSnapshotId)]) -> Result<(), VolumeError>;

    /// Gives a snapshot another name; nothing else about it changes. `NotFound`, `AlreadyExists`; `InUse` while a device
    /// is open on it.
    fn rename_snapshot(&self, snapshot: &VolumeSnapshotId, to: &VolumeSnapshotId) -> Result<(), VolumeError>;

    /// Deletes the snapshot. Whatever else shares blocks with it keeps them; space that nobody shares comes back in
    /// the background. `NotFound`; `InUse` while a device is open on it.
    fn delete_snapshot(&self, snapshot: &VolumeSnapshotId) -> Result<(), VolumeError>;

    /// Makes the volume's content equal to the snapshot's, zeroes beyond the snapshot's end; the volume keeps its size. The snapshot
    /// need not be of this volume. O(1). `NotFound`; `InvalidArgument` if the snapshot is larger than the
    /// volume, or if only one of them is encrypted; `InUse` while a device is open on the volume.
    fn roll_back(&self, volume: &VolumeId, to: &VolumeSnapshotId) -> Result<(), VolumeError> {
        self.roll_back_volumes(&[(volume.clone(), to.clone())])
    }

    /// Does [`roll_back`](Self::roll_back) to several volumes: all of them, or none. `InvalidArgument` also for a volume given
    /// twice.
    fn roll_back_volumes(&self, targets: &[(VolumeId, VolumeSnapshotId)]) -> Result<(), VolumeError>;

    /// Makes the whole volume read as zeroes again. O(1); space comes back in the background. `NotFound`;
    /// `InUse` while a device is open on it.
    fn clear_volume(&self, volume: &VolumeId) -> Result<(), VolumeError>;

    /// Opens the volume for reading and writing. It counts as open until the last clone of the device is
    /// dropped. `NotFound`.
    fn open_volume(&self, volume: &VolumeId) -> Result<Arc<dyn BlockDevice>, VolumeError>;

    /// Opens the snapshot for reading. `NotFound`.
    fn open_snapshot(&self, snapshot: &VolumeSnapshotId) -> Result<Arc<dyn BlockDevice>, VolumeError>;

    /// What is known of the volume. `NotFound`.
    fn volume(&self, volume: &VolumeId) -> Result<VolumeInfo, VolumeError>;

    /// What is known of the snapshot. `NotFound`.
    fn snapshot(&self, snapshot: &VolumeSnapshotId) -> Result<SnapshotInfo, VolumeError>;

    /// The snapshots that the volume or snapshot descends from, the youngest first: what [`changes`](Self::changes) can
    /// compare it with, a snapshot itself apart. `NotFound`.
    fn ancestors(&self, of: &ContentName) -> Result<Vec<VolumeSnapshotId>, VolumeError>;

    /// Describes from its start how a range of a volume or snapshot differs from one of its ancestors: neighbours
    /// differ in kind, at most `extents_max` of them (at least one), together no longer than `length_bytes`. Where
    /// the answer ends, the next question begins. A range of no bytes has no extents.
    ///
    /// Exact to the block: one is [`Unchanged`](crate::ChangeKind::Unchanged) when it is the very block of the ancestor,
    /// or a hole in both; it never becomes so again by deletions, rollbacks or restarts. What the ancestor is
    /// too short for counts as a hole of it. Every write that was answered before the call began is seen.
    ///
    /// `NotFound`; `InvalidArgument` if `since` is no ancestor, if the range is not within the size, or if `extents_max`
    /// is 0.
    fn changes(&self, query: &ChangeQuery) -> Result<Vec<ChangeExtent>, VolumeError>;

    /// The names of all volumes, in no particular order.
    fn volumes(&self) -> Result<Vec<VolumeId>, VolumeError>;

    /// The names of all snapshots, in no particular order.
    fn snapshots(&self) -> Result<Vec<VolumeSnapshotId>, VolumeError>;

    /// The snapshots whose `held_bytes` have grown since `since` because something they shared blocks with was deleted.
    /// That happens in the background, long after the deletion and to snapshots of any lineage. Since the default mark: all
    /// snapshots. A store that cannot tell names all of them each time.
    fn heirs(&self, _since: HeirMark) -> Result<Heirs, VolumeError> {
        let mut heirs = Heirs::default();
        for name in self.snapshots()? {
            match self.snapshot(&name) {
                Ok(info) => drop(heirs.held_bytes.insert(name, info.held_bytes)),
                // It was deleted meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(heirs)
    }

    /// What the store takes and could still give.
    fn usage(&self) -> Result<StoreUsage, VolumeError>;

    /// What was found damaged and was neither written again nor found sound since. Reading such a block is
    /// `Corrupt`; its neighbours are as good as ever. A store that cannot tell has nothing to report.
    fn damage(&self) -> Result<DamageReport, VolumeError> {
        Ok(DamageReport::default())
    }
}
