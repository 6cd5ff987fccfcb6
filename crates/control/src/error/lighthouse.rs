//! Why a call on snapshots of Lighthouse was refused, in the names that its clients know.

use std::fmt;

use ashlar_types::{DiskState, LighthouseDiskId, LighthouseInstanceId, LighthouseSnapshotId, SnapshotState};

/// A machine of Lighthouse, its disk or a snapshot of that forbids it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LighthouseError {
    /// The account has no such machine in this region.
    InstanceNotFound(LighthouseInstanceId),
    /// The disk that the machine boots from lies elsewhere.
    NoSystemDisk(LighthouseInstanceId),
    /// The account has no such snapshot in this region.
    SnapshotNotFound(LighthouseSnapshotId),
    /// The machine is being made. Trying again later helps.
    InstanceCreating(LighthouseInstanceId),
    /// The machine is being removed.
    InstanceRemoving(LighthouseInstanceId),
    /// Another operation on the disk is under way. Trying again later helps.
    DiskBusy {
        /// The disk.
        disk: LighthouseDiskId,
        /// What is being done to it.
        doing: DiskWork,
    },
    /// The snapshot is not ready, or something needs it for a while. Trying again later helps.
    SnapshotBusy {
        /// The snapshot.
        snapshot: LighthouseSnapshotId,
        /// Its state.
        state: SnapshotState,
    },
    /// It does not allow it, and waiting does not help.
    SnapshotHeld {
        /// The snapshot.
        snapshot: LighthouseSnapshotId,
        /// Why, and what to do about it.
        why: String,
    },
    /// The disk has as many snapshots as it may have.
    Quota {
        /// The machine.
        instance: LighthouseInstanceId,
        /// How many it may have.
        at_most: u64,
    },
}

/// What keeps a disk busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskWork {
    /// A snapshot of it is taken, or it is rolled back to one.
    Snapshot(&'static str),
    /// Anything else, as its state tells.
    Other(DiskState),
}

impl fmt::Display for LighthouseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InstanceNotFound(instance) => write!(f, "The instance `{instance}` does not exist."),
            Self::NoSystemDisk(instance) => write!(
                f,
                "The instance `{instance}` has no system disk here: there is nothing to take a snapshot of, or to roll back."
            ),
            Self::SnapshotNotFound(snapshot) => write!(f, "The snapshot `{snapshot}` does not exist."),
            Self::InstanceCreating(instance) => {
                write!(f, "The instance `{instance}` is being made: try again later.")
            }
            Self::InstanceRemoving(instance) => {
                write!(f, "The instance `{instance}` is being removed: try again later.")
            }
            Self::DiskBusy { disk, doing: DiskWork::Snapshot(doing) } => {
                write!(f, "The disk `{disk}` is {doing}: try again later.")
            }
            Self::DiskBusy { disk, doing: DiskWork::Other(state) } => {
                write!(f, "The disk `{disk}` is busy (state {state}): try again later.")
            }
            Self::SnapshotBusy { snapshot, state } => {
                write!(f, "The snapshot `{snapshot}` is busy (state {state}): try again later.")
            }
            Self::SnapshotHeld { snapshot, why } => {
                write!(f, "The snapshot `{snapshot}` does not support this operation: {why}")
            }
            Self::Quota { instance, at_most } => write!(
                f,
                "The system disk of the instance `{instance}` has {at_most} snapshots already: delete one first."
            ),
        }
    }
}
