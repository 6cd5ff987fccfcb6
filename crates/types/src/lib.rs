//! The words of the house: ids, sizes, states, and the seams through which time and randomness enter.
//!
//! Nothing here does I/O and nothing is async. A value of a type from this crate is valid by construction:
//! text is parsed once, at the edge, and never checked again.

mod clock;
mod disk;
mod id;
mod instance;
mod money;
mod random;
mod snapshot;
mod snapshot_policy;
mod wire_enum;

pub use clock::{Clock, ManualClock, UnixMillis};
pub use disk::{DiskChargeType, DiskState, DiskType, DiskUsage, RenewFlag};
pub use id::{
    AccountUin, AppId, DiskBackupId, DiskId, IdError, ImageId, InstanceId, LighthouseDiskId,
    LighthouseInstanceId, LighthouseSnapshotId, ProjectId, Region, RoleId, SecretId, SnapshotGroupId,
    SnapshotId, SnapshotPolicyId, UserUin, Zone,
};
pub use instance::InstanceProduct;
pub use money::{Money, MoneyError, Rate};
pub use random::{RandomSource, SeededRandom};
pub use snapshot::{DiskBackupState, SnapshotGroupState, SnapshotState, SnapshotType};
pub use snapshot_policy::{
    AdvancedRetention, Hours, MonthDays, NoPromise, NumberSet, OutOfRange, PolicyDays, PolicyRule, Retention,
    SnapshotPolicyState, SnapshotPromise, Weekdays,
};
pub use wire_enum::UnknownName;

/// Bytes in a GiB. The API's "GB" is this unit.
pub const GIB_BYTES: u64 = 1 << 30;

/// Bytes in a MiB.
pub const MIB_BYTES: u64 = 1 << 20;
