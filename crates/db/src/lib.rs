//! All SQL of the control plane.
//!
//! [`Db`] is the database, [`Transaction`] a transaction on it; each noun's queries hang on an accessor of the
//! transaction (`transaction.disks().find(..)`). Rows are typed: an id, a state or a size that leaves this
//! crate is of a type of `ashlar-types`. Statements are written so that SQLite and PostgreSQL read them alike.
//!
//! There is no rule here: whether something may be done is the business of `ashlar-control`.

mod access;
mod account;
mod attachment;
mod auto_mount;
mod client_token;
mod column;
mod connect;
mod disk;
mod disk_backup;
mod disk_list;
mod disk_terms;
mod error;
mod fix_snapshot;
mod image;
mod instance;
mod job;
mod lease;
mod ledger;
mod limit_override;
mod list_index;
mod listing;
mod operation;
mod place;
mod schedule;
mod snapshot;
mod snapshot_copy;
mod snapshot_group;
mod snapshot_list;
mod snapshot_policy;
mod snapshot_share;
mod snapshot_terms;
mod tag;
mod usage;
mod user;

#[cfg(test)]
mod tests;

pub use access::{Access, MfaDevice, NetworkEffect, TemporaryKey, TemporaryKind};
pub use account::{Account, Accounts, ApiKey};
pub use attachment::{Attachment, AttachmentState, Attachments, DiskInInstance};
pub use auto_mount::{AutoMount, AutoMounts};
pub use client_token::{ClientToken, ClientTokens};
pub use connect::{Db, Transaction};
pub use disk::{Disk, DiskFilter, DiskListing, DiskOrderField, DiskQuery, Disks, EncryptType, Lifecycle};
pub use disk_backup::{DiskBackup, DiskBackupFilter, DiskBackupQuery, DiskBackups};
pub use error::{DbError, DbErrorKind};
pub use fix_snapshot::{FixSnapshot, FixSnapshotQuery, FixSnapshots};
pub use image::{Image, ImageFilter, ImageSnapshot, Images};
pub use instance::{Instance, InstanceFilter, InstanceListing, InstanceQuery, Instances};
pub use job::{JobId, JobPhase, JobRecord, Jobs, NewJob};
pub use lease::{Fence, Lease, Leases};
pub use ledger::{Ledger, LedgerEntry, LedgerKind};
pub use limit_override::LimitOverrides;
pub use listing::{Listed, Order, Page};
pub use operation::{
    LatestOperation, LoggedOperation, Operation, OperationQuery, OperationState, Operations,
};
pub use place::Places;
pub use schedule::{PromisedSnapshot, ScheduleState, ScheduledSnapshot, Schedules};
pub use snapshot::{Snapshot, SnapshotFilter, SnapshotListing, SnapshotQuery, SnapshotTotals, Snapshots};
pub use snapshot_copy::{CopyBase, SnapshotCopies, SnapshotCopy};
pub use snapshot_group::{SnapshotGroup, SnapshotGroupFilter, SnapshotGroupQuery, SnapshotGroups};
pub use snapshot_policy::{
    SnapshotPolicies, SnapshotPolicy, SnapshotPolicyFilter, SnapshotPolicyListing, SnapshotPolicyQuery,
};
pub use snapshot_share::{SnapshotShare, SnapshotShares};
pub use tag::{Tag, TagCondition, Tagged, Tags};
pub use usage::{BillBy, BillLine, Usage, UsedDisk, UsedSnapshots};
pub use user::{AttachedPolicy, Holder, Role, User, Users};

/// Turns "no row was changed" into `NotFound`.
fn one_row(rows: u64, noun: &str, id: &dyn std::fmt::Display) -> Result<(), DbError> {
    if rows == 0 {
        return Err(DbError::new(DbErrorKind::NotFound, format!("{noun} {id} is not in the database")));
    }
    Ok(())
}
