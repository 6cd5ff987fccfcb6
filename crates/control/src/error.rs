//! Why a call was refused or failed: one type for each family of reasons, each variant one meaning.
//!
//! `Display` is the text for the client: it names the parameter, the value and the mend. The cause that only
//! the operator should read is [`source`](std::error::Error::source). Which wire code a reason becomes is
//! decided in one table of the server.

mod image;
mod lighthouse;
mod parameter;
mod snapshot_policy;
mod tag;

use std::fmt;

use ashlar_db::DbError;
use ashlar_types::{DiskId, DiskState, DiskType, InstanceId, Money, SnapshotId, SnapshotState, Zone};

use crate::access::AccessError;
use crate::account::AccountError;
use crate::disk_backup::DiskBackupError;
use crate::operation_log::ActionOffline;
use crate::session::SessionError;
use crate::snapshot_copy::CopyError;
use crate::snapshot_group::SnapshotGroupError;
use crate::snapshot_share::ShareError;

pub use image::ImageError;
pub use lighthouse::{DiskWork, LighthouseError};
pub use parameter::{FilterIdKind, ParameterError};
pub use snapshot_policy::SnapshotPolicyError;
pub use tag::TagError;

/// Any reason why a call did not do what was asked. Nothing was changed, or what was begun was taken back.
#[derive(Debug)]
pub enum ControlError {
    /// The request itself is wrong; it can never succeed as it is.
    Parameter(ParameterError),
    /// A disk forbids it.
    Disk(DiskError),
    /// A snapshot forbids it.
    Snapshot(SnapshotError),
    /// A scheduled snapshot policy forbids it.
    SnapshotPolicy(SnapshotPolicyError),
    /// An image forbids it.
    Image(ImageError),
    /// A tag or its resource forbids it.
    Tag(TagError),
    /// An instance forbids it.
    Instance(InstanceError),
    /// A machine of Lighthouse, or what belongs to it, forbids it.
    Lighthouse(LighthouseError),
    /// A quota forbids it.
    Quota(QuotaError),
    /// The caller may not do it.
    Access(AccessError),
    /// An account, a user, a key, a role or a policy forbids it.
    Account(AccountError),
    /// No temporary key can be had.
    Session(SessionError),
    /// It cannot be paid.
    Money(MoneyError),
    /// A backup point forbids it.
    DiskBackup(DiskBackupError),
    /// That a snapshot is shared, or is not to be, forbids it.
    Share(ShareError),
    /// A copy to another region forbids it.
    Copy(CopyError),
    /// A group of snapshots forbids it.
    SnapshotGroup(SnapshotGroupError),
    /// The operator has turned the action off.
    Offline(ActionOffline),
    /// It was begun and did not succeed.
    Job(JobError),
    /// The control database failed; the client learns no more than that.
    Db(DbError),
}

/// A disk forbids it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskError {
    /// The account has no such disk in this region.
    NotFound(DiskId),
    /// Another operation is under way, as the state tells. Trying again later helps.
    Busy {
        /// The disk.
        disk: DiskId,
        /// Its state.
        state: DiskState,
    },
    /// A snapshot of it is being taken. Trying again later helps.
    SnapshotCreating(DiskId),
    /// The time that was paid for is over.
    Expired(DiskId),
    /// Its type is being changed. Trying again later helps.
    Migrating(DiskId),
    /// It is in an instance already, or in another than the one named.
    AttachedTo {
        /// The disk.
        disk: DiskId,
        /// The instance that it is in.
        instance: InstanceId,
    },
    /// It is in as many instances as a disk may be in.
    InstanceLimit {
        /// The disk.
        disk: DiskId,
        /// How many instances may have it.
        at_most: u64,
    },
    /// It is in several instances, and the call does not say which one is meant.
    SeveralInstances {
        /// The disk.
        disk: DiskId,
        /// How many instances have it.
        count: u64,
    },
    /// Several instances may have it: no snapshot can be taken of it.
    ShareableHasNoSnapshots(DiskId),
    /// It is no elastic disk.
    NotPortable(DiskId),
    /// It is in no instance.
    NotInInstance {
        /// The disk.
        disk: DiskId,
        /// Why it has to be.
        why: &'static str,
    },
    /// Its state or kind does not allow it, and waiting does not help.
    NotSupported {
        /// The disk.
        disk: DiskId,
        /// Its state.
        state: DiskState,
        /// Why, and what to do about it.
        why: &'static str,
    },
}

/// A snapshot forbids it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotError {
    /// The account has no such snapshot in this region.
    NotFound(SnapshotId),
    /// It is still being taken. Trying again later helps.
    Creating(SnapshotId),
    /// Another operation is under way. Trying again later helps.
    Busy {
        /// The snapshot.
        snapshot: SnapshotId,
        /// Its state.
        state: SnapshotState,
    },
    /// It was taken from another disk.
    OfOtherDisk {
        /// The snapshot.
        snapshot: SnapshotId,
        /// The disk it was taken from.
        origin: DiskId,
        /// The disk that was named.
        disk: DiskId,
    },
    /// The disk is smaller than the snapshot.
    SizeMismatch {
        /// The snapshot.
        snapshot: SnapshotId,
        /// Its size in GiB.
        snapshot_gib: u64,
        /// The disk's size in GiB.
        disk_gib: u64,
    },
    /// It does not allow it, and waiting does not help.
    NotSupported {
        /// The snapshot.
        snapshot: SnapshotId,
        /// Why, and what to do about it.
        why: &'static str,
    },
}

/// An instance forbids it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstanceError {
    /// The account has no such instance in this region.
    NotFound(InstanceId),
    /// The disk and the instance are in different zones.
    ZoneMismatch {
        /// The disk.
        disk: DiskId,
        /// Where the disk is.
        disk_zone: Zone,
        /// The instance.
        instance: InstanceId,
        /// Where the instance is.
        instance_zone: Zone,
    },
    /// It has as many disks as it may have.
    DiskLimit {
        /// The instance.
        instance: InstanceId,
        /// How many disks it would have.
        wanted: u64,
        /// How many it may have.
        at_most: u64,
    },
    /// Its driver cannot stop or start a machine.
    PowerNotSupported(InstanceId),
    /// It cannot be removed while disks are attached.
    HasDisks {
        /// The instance.
        instance: InstanceId,
        /// How many.
        disk_count: u64,
    },
    /// The id is taken.
    Exists(InstanceId),
    /// It has no disks, so there is nothing to take a snapshot of.
    NoDisks(InstanceId),
    /// Its disks were changed meanwhile. Trying again helps.
    Changing(InstanceId),
}

/// A quota forbids it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuotaError {
    /// The disk has as many snapshots as it may have.
    SnapshotsOfDisk {
        /// The disk.
        disk: DiskId,
        /// How many it may have.
        at_most: u64,
    },
    /// This type of disk is not offered, or not with this charge type.
    DiskConfig {
        /// The type.
        disk_type: DiskType,
        /// What about it is not offered.
        why: &'static str,
    },
    /// The account has as many images in this region as it may have.
    Images {
        /// How many it may have.
        at_most: u64,
    },
    /// The account has as many policies in this region as it may have.
    SnapshotPolicies {
        /// How many it may have.
        at_most: u64,
    },
    /// The pool of the region is nearly full.
    PoolFull {
        /// How full it is.
        percent: u64,
        /// From when on there are no new disks.
        at_most: u64,
    },
    /// More tags than a resource may have.
    Tags {
        /// How many were given.
        given: u64,
        /// How many there may be.
        at_most: u64,
    },
}

/// It cannot be paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MoneyError {
    /// The account has less than it costs.
    InsufficientBalance {
        /// What it costs.
        needed: Money,
        /// What the account has.
        balance: Money,
    },
}

/// What became of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobErrorKind {
    /// The pool is full. Nothing is left of the attempt; deleting something mends it.
    NoSpace,
    /// Something was still open. Nothing is left of the attempt; trying again later helps.
    InUse,
    /// The store failed. What could be taken back was.
    StoreFailed,
    /// The work is still going on; the state shows when it ends. Only a create call without success says so:
    /// it is being taken back.
    TimedOut,
    /// The server is stopping; the work goes on at the next start.
    Stopping,
}

/// A call's work was begun and did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct JobError {
    /// What the caller has to know.
    pub kind: JobErrorKind,
    /// What was being done and what went wrong, for the operator.
    pub detail: String,
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(disk) => write!(f, "The disk `{disk}` does not exist."),
            Self::Busy { disk, state } => {
                write!(f, "The disk `{disk}` is busy (state {state}): try again later.")
            }
            Self::SnapshotCreating(disk) => {
                write!(f, "A snapshot of the disk `{disk}` is being created: try again later.")
            }
            Self::Expired(disk) => write!(f, "The time that was paid for the disk `{disk}` is over."),
            Self::Migrating(disk) => {
                write!(f, "The type of the disk `{disk}` is being changed: try again later.")
            }
            Self::AttachedTo { disk, instance } => {
                write!(f, "The disk `{disk}` is attached to the instance `{instance}`: detach it first.")
            }
            Self::InstanceLimit { disk, at_most } => write!(
                f,
                "The disk `{disk}` is attached to {at_most} instances, which is the most: detach it from one first."
            ),
            Self::SeveralInstances { disk, count } => write!(
                f,
                "The disk `{disk}` is attached to {count} instances: name the one that is meant in `InstanceId`."
            ),
            Self::ShareableHasNoSnapshots(disk) => write!(
                f,
                "The disk `{disk}` is shareable: no snapshots are taken of such disks, make a backup point instead."
            ),
            Self::NotPortable(disk) => write!(f, "The disk `{disk}` is not an elastic disk."),
            Self::NotInInstance { disk, why } => write!(f, "The disk `{disk}` is not attached: {why}."),
            Self::NotSupported { disk, state, why } => {
                write!(f, "The disk `{disk}` in state {state} does not support this operation: {why}.")
            }
        }
    }
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(snapshot) => write!(f, "The snapshot `{snapshot}` does not exist."),
            Self::Creating(snapshot) => {
                write!(f, "The snapshot `{snapshot}` is being created: try again later.")
            }
            Self::Busy { snapshot, state } => {
                write!(f, "The snapshot `{snapshot}` is busy (state {state}): try again later.")
            }
            Self::OfOtherDisk { snapshot, origin, disk } => write!(
                f,
                "The snapshot `{snapshot}` was taken from the disk `{origin}` and cannot be applied to `{disk}`: \
                 create a disk from it instead."
            ),
            Self::SizeMismatch { snapshot, snapshot_gib, disk_gib } => write!(
                f,
                "The snapshot `{snapshot}` is of {snapshot_gib} GB and does not fit into {disk_gib} GB."
            ),
            Self::NotSupported { snapshot, why } => {
                write!(f, "The snapshot `{snapshot}` does not support this operation: {why}.")
            }
        }
    }
}

impl fmt::Display for InstanceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(instance) => write!(f, "The instance `{instance}` does not exist."),
            Self::ZoneMismatch { disk, disk_zone, instance, instance_zone } => write!(
                f,
                "The disk `{disk}` is in the zone {disk_zone}, the instance `{instance}` in {instance_zone}: \
                 both must be in one zone."
            ),
            Self::DiskLimit { instance, wanted, at_most } => write!(
                f,
                "The instance `{instance}` would have {wanted} disks; at most {at_most} can be attached."
            ),
            Self::PowerNotSupported(instance) => write!(
                f,
                "`AutoStopInstance` and `AutoStartInstance` are not supported by the instance `{instance}`: \
                 stop it and detach the disk first."
            ),
            Self::HasDisks { instance, disk_count } => {
                write!(f, "The instance `{instance}` has {disk_count} attached disks: detach them first.")
            }
            Self::Exists(instance) => write!(f, "The instance `{instance}` exists already."),
            Self::NoDisks(instance) => {
                write!(f, "The instance `{instance}` has no disks: there is nothing to take a snapshot of.")
            }
            Self::Changing(instance) => {
                write!(f, "The disks of the instance `{instance}` are being changed: try again.")
            }
        }
    }
}

impl fmt::Display for QuotaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SnapshotsOfDisk { disk, at_most } => {
                write!(f, "The disk `{disk}` has {at_most} snapshots already: delete one first.")
            }
            Self::DiskConfig { disk_type, why } => {
                write!(f, "The value `{disk_type}` of the parameter `DiskType` cannot be had: {why}.")
            }
            Self::Images { at_most } => {
                write!(f, "There are {at_most} images (`img-`) in this region already: delete one first.")
            }
            Self::SnapshotPolicies { at_most } => write!(
                f,
                "There are {at_most} scheduled snapshot policies (`asp-`) in this region already: delete one first."
            ),
            Self::PoolFull { percent, at_most } => write!(
                f,
                "The storage of this region is {percent} % full; from {at_most} % on there are no new disks: delete \
                 snapshots or disks first, or ask the operator for more."
            ),
            Self::Tags { given, at_most } => {
                write!(f, "The parameter `Tags` has {given} tags; at most {at_most} can be bound.")
            }
        }
    }
}

impl fmt::Display for MoneyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InsufficientBalance { needed, balance } => {
                write!(f, "The account's balance of {balance} does not cover {needed}: top it up first.")
            }
        }
    }
}

impl fmt::Display for JobError {
    /// The text for the client: without the operator's detail.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            JobErrorKind::NoSpace => "The storage pool is full. Nothing was changed; delete something first.",
            JobErrorKind::InUse => "The resource is still in use. Nothing was changed; try again later.",
            // The pool may refuse that, too, for a while: the state tells.
            JobErrorKind::StoreFailed => {
                "The storage failed. What was begun is taken back as soon as it can be."
            }
            JobErrorKind::TimedOut => {
                "The work takes longer than the answer can wait and is being taken back."
            }
            JobErrorKind::Stopping => "The server is stopping. Ask for the state after its next start.",
        })
    }
}

impl std::error::Error for JobError {}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parameter(error) => error.fmt(f),
            Self::Disk(error) => error.fmt(f),
            Self::Snapshot(error) => error.fmt(f),
            Self::SnapshotPolicy(error) => error.fmt(f),
            Self::Image(error) => error.fmt(f),
            Self::Tag(error) => error.fmt(f),
            Self::Instance(error) => error.fmt(f),
            Self::Lighthouse(error) => error.fmt(f),
            Self::Quota(error) => error.fmt(f),
            Self::Access(error) => error.fmt(f),
            Self::Account(error) => error.fmt(f),
            Self::Session(error) => error.fmt(f),
            Self::Money(error) => error.fmt(f),
            Self::DiskBackup(error) => error.fmt(f),
            Self::Share(error) => error.fmt(f),
            Self::Copy(error) => error.fmt(f),
            Self::SnapshotGroup(error) => error.fmt(f),
            Self::Offline(error) => error.fmt(f),
            Self::Job(error) => error.fmt(f),
            Self::Db(_) => f.write_str("The control database failed. Nothing was changed; try again later."),
        }
    }
}

impl std::error::Error for ControlError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Db(error) => Some(error),
            Self::Parameter(_)
            | Self::Disk(_)
            | Self::Snapshot(_)
            | Self::SnapshotPolicy(_)
            | Self::Image(_)
            | Self::Tag(_)
            | Self::Instance(_)
            | Self::Lighthouse(_)
            | Self::Quota(_)
            | Self::Access(_)
            | Self::Account(_)
            | Self::Session(_)
            | Self::Money(_)
            | Self::DiskBackup(_)
            | Self::Share(_)
            | Self::Copy(_)
            | Self::SnapshotGroup(_)
            | Self::Offline(_)
            | Self::Job(_) => None,
        }
    }
}

macro_rules! family {
    ($($variant:ident($family:ty),)+) => {
        $(impl From<$family> for ControlError {
            fn from(error: $family) -> Self {
                Self::$variant(error)
            }
        })+
    };
}

family! {
    Parameter(ParameterError),
    Disk(DiskError),
    Snapshot(SnapshotError),
    SnapshotPolicy(SnapshotPolicyError),
    Image(ImageError),
    Tag(TagError),
    Instance(InstanceError),
    Lighthouse(LighthouseError),
    Quota(QuotaError),
    Access(AccessError),
    Account(AccountError),
    Session(SessionError),
    Money(MoneyError),
    DiskBackup(DiskBackupError),
    Share(ShareError),
    Copy(CopyError),
    SnapshotGroup(SnapshotGroupError),
    Job(JobError),
    Db(DbError),
}
