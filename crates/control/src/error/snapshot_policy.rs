//! Why a call on scheduled snapshot policies was refused.

use std::fmt;

use ashlar_types::{DiskId, SnapshotPolicyId};

/// A scheduled snapshot policy forbids it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotPolicyError {
    /// The account has no such policy in this region.
    NotFound(SnapshotPolicyId),
    /// The operator has stopped it.
    Isolated(SnapshotPolicyId),
    /// The disk or instance is bound to it already.
    AlreadyBound {
        /// The policy.
        policy: SnapshotPolicyId,
        /// The disk or the instance.
        bound: String,
    },
    /// It would be bound to more disks or instances than it may.
    BindLimit {
        /// The policy.
        policy: SnapshotPolicyId,
        /// How many there would be.
        wanted: u64,
        /// How many there may be.
        at_most: u64,
    },
    /// No snapshots are taken of a disk in the recycle bin.
    DiskInRecycle(DiskId),
}

impl fmt::Display for SnapshotPolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(policy) => write!(f, "The scheduled snapshot policy `{policy}` does not exist."),
            Self::Isolated(policy) => write!(
                f,
                "The scheduled snapshot policy `{policy}` is isolated: it can be deleted, or the operator can release it."
            ),
            Self::AlreadyBound { policy, bound } => {
                write!(f, "`{bound}` is bound to the scheduled snapshot policy `{policy}` already.")
            }
            Self::BindLimit { policy, wanted, at_most } => write!(
                f,
                "The scheduled snapshot policy `{policy}` would be bound to {wanted} of a kind; at most {at_most} can be."
            ),
            Self::DiskInRecycle(disk) => {
                write!(f, "The disk `{disk}` is isolated (TORECYCLE): no snapshots are taken of it.")
            }
        }
    }
}
