//! The rules of the service: what may be done to a disk, a snapshot or an instance, by whom and when.
//!
//! [`Control`] is the way in: one method for each action, in the file of its noun (`disk`, `snapshot`,
//! `instance`, `quota`, `account`). A method checks everything inside one transaction, writes what it intends
//! together with a job (`job`), and waits a bounded time for that job. Nothing here knows HTTP, SQL or how a
//! pool keeps its bytes; pools and exports are reached through [`Stores`] and [`Exports`].

mod access;
mod account;
mod caller;
mod control;
mod damage;
mod disk;
mod disk_backup;
mod error;
mod expectation;
mod filter;
mod fix_snapshot;
mod image;
mod instance;
mod job;
mod leader;
mod lighthouse;
mod limit;
mod money;
mod old_records;
mod operation_log;
mod price;
mod quota;
mod reconcile;
mod retention;
mod room;
mod seams;
mod session;
mod settings;
mod snapshot;
mod snapshot_copy;
mod snapshot_group;
mod snapshot_policy;
mod snapshot_recycle;
mod snapshot_share;
mod snapshot_size;
mod speed;
mod tag;
mod usage;
mod user;
mod wire_time;

#[cfg(test)]
mod tests;

pub use access::{
    AccessError, Ask, CODE_HEADER, Identity, Network, NetworkError, POLICY_BYTES_MAX, Policy, PolicyError,
    Principal, Question, ResourceName, Token,
};
pub use account::{AccountError, FIRST_ACCOUNT, FirstKey};
pub use caller::{Caller, RequestId};
pub use control::{Control, ControlParts};
pub use disk::{
    AttachDisks, AutoMountConfiguration, BurstPerformanceOperation, CreateDisks, DescribeDisks, DetachDisks,
    DiskChargePrepaid, DiskReport, DiskView, ModifyDiskAttributes, ModifyDisksChargeType,
    ModifyDisksRenewFlag, Placement, ReturnFail, TerminateDisks,
};
pub use disk_backup::{ApplyDiskBackup, DescribeDiskBackups, DiskBackupError};
pub use error::{
    ControlError, DiskError, DiskWork, FilterIdKind, ImageError, InstanceError, JobError, JobErrorKind,
    LighthouseError, MoneyError, ParameterError, QuotaError, SnapshotError, SnapshotPolicyError, TagError,
};
pub use expectation::{PoolExpectation, pool_expectation};
pub use filter::Filter;
pub use fix_snapshot::{DescribeMachineSnapshot, MachineSnapshots, TakenBeforeFix};
pub use image::{CreateImage, DeleteImages, DescribeImages, ImageView};
pub use instance::{AttachDetail, DescribeInstances, InstanceView, NewInstance, instance_uuid};
pub use job::{JobsExpectation, jobs_expectation};
pub use leader::Leadership;
pub use lighthouse::{CreateInstanceSnapshot, DescribeInstanceSnapshots, InstanceSnapshotView};
pub use limit::AccountLimit;
pub use operation_log::{ActionOffline, DescribeOperationLogs, OperationLog};
pub use price::{
    Amount, InquirePriceModifyDiskBackupQuota, InquirePriceModifyDiskExtraPerformance,
    InquiryPriceCreateDisks, InquiryPriceRenewDisks, InquiryPriceResizeDisk, Price, PriceBook, Priced, Quote,
    TypePrices,
};
pub use quota::{DescribeDiskConfigQuota, DiskConfig};
pub use reconcile::{Reconciled, Reconciler};
pub use room::Room;
pub use seams::{Exports, Stores};
pub use session::{AssumeRole, Credentials, GetFederationToken, SessionError};
pub use settings::{
    BillingSettings, DiskTypeSettings, DiskTypeTable, Limits, ScheduleSettings, Settings, SettingsError,
    SnapshotSettings,
};
pub use snapshot::{
    ApplySnapshot, CreateSnapshot, DescribeSnapshots, ModifySnapshotAttribute, SnapshotOverview, SnapshotView,
};
pub use snapshot_copy::{CopyError, CopyResult, CopySnapshotCrossRegions};
pub use snapshot_group::{
    ApplySnapshotGroup, CreateSnapshotGroup, DeleteSnapshotGroups, DescribeSnapshotGroups,
    SnapshotGroupError, SnapshotGroupView, merged_group_ids,
};
pub use snapshot_policy::{
    BoundBy, CreateSnapshotPolicy, DescribeSnapshotPolicies, IsolateSnapshotPolicies, ModifySnapshotPolicy,
    NewRule, NewSnapshotPolicy, RetentionWish, SnapshotPolicyView, next_trigger,
};
pub use snapshot_recycle::RecycledSnapshot;
pub use snapshot_share::{ModifySnapshotsSharePermission, ShareError, SharePermission};
pub use tag::{
    DescribeProjects, DescribeResourceTags, GetResources, ModifyResourceTags, ProjectView, ResourceTags,
    TaggedResources, resource_id,
};
pub use user::{NewRole, PolicyHolder};
pub use wire_time::{parse_iso, wire_time, wire_time_iso};

// The rows that calls hand out are those of the database.
pub use ashlar_db::{
    Account, ApiKey, AttachedPolicy, Attachment, AttachmentState, AutoMount, BillBy, BillLine, DbErrorKind,
    Disk, DiskBackup, EncryptType, FixSnapshot, ImageSnapshot, Instance, InstanceListing, LatestOperation,
    LedgerEntry, LedgerKind, Listed, MfaDevice, NetworkEffect, OperationState, Role, ScheduleState, Snapshot,
    SnapshotGroup, SnapshotPolicy, SnapshotShare, Tag, TagCondition, Tagged, User,
};
