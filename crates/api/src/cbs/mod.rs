//! Cloud Block Storage, version 2017-03-12: requests, answers and data types. Reference: `cbs/*`.
//!
//! Sizes called GB are GiB, as in the service. One file holds one noun.

mod actions;
mod choice;
mod disk;
mod disk_backup;
mod errors;
mod filter;
mod instance;
mod operation_log;
mod pay;
mod placement;
mod price;
mod quota;
mod snapshot;
mod snapshot_copy;
mod snapshot_group;
mod snapshot_policy;
mod snapshot_share;
mod tag;

pub(crate) use actions::dispatch;
pub use actions::{CbsAction, CbsApi};
pub(crate) use choice::wire_choice;
pub use choice::{
    AttachMode, BurstPerformanceOperation, DiskOrderField, EncryptFlag, EncryptType, FileSystemType,
    InquiryType, InstanceType, InstanceTypeHint, Order, SharePermissionOperation, SnapshotMode,
    SnapshotOrderField,
};
pub use disk::{
    AttachDisks, AttachDisksResponse, AutoMountConfiguration, CreateDisks, CreateDisksResponse,
    DescribeDisks, DescribeDisksResponse, DetachDisks, DetachDisksResponse, Disk, DiskChargePrepaid,
    InitializeDisks, InitializeDisksResponse, ModifyDiskAttributes, ModifyDiskAttributesResponse, ResizeDisk,
    ResizeDiskResponse, TerminateDisks, TerminateDisksResponse,
};
pub use disk_backup::{
    ApplyDiskBackup, ApplyDiskBackupResponse, CreateDiskBackup, CreateDiskBackupResponse, DeleteDiskBackups,
    DeleteDiskBackupsResponse, DescribeDiskBackups, DescribeDiskBackupsResponse, DiskBackup,
};
pub use filter::Filter;
pub use instance::{AttachDetail, DescribeInstancesDiskNum, DescribeInstancesDiskNumResponse};
pub use operation_log::{
    DescribeDiskOperationLogs, DescribeDiskOperationLogsResponse, DescribeSnapshotOperationLogs,
    DescribeSnapshotOperationLogsResponse, DiskOperationLog, SnapshotOperationLog,
};
pub use pay::{
    ModifyDiskBackupQuota, ModifyDiskBackupQuotaResponse, ModifyDiskExtraPerformance,
    ModifyDiskExtraPerformanceResponse, ModifyDisksChargeType, ModifyDisksChargeTypeResponse,
    ModifyDisksRenewFlag, ModifyDisksRenewFlagResponse, RenewDisk, RenewDiskResponse,
};
pub use placement::{Placement, PlacementOutput};
pub use price::{
    DetailPrice, InquirePriceModifyDiskBackupQuota, InquirePriceModifyDiskBackupQuotaResponse,
    InquirePriceModifyDiskExtraPerformance, InquirePriceModifyDiskExtraPerformanceResponse,
    InquiryPriceCreateDisks, InquiryPriceCreateDisksResponse, InquiryPriceRenewDisks,
    InquiryPriceRenewDisksResponse, InquiryPriceResizeDisk, InquiryPriceResizeDiskResponse, PrepayPrice,
    Price,
};
pub use quota::{DescribeDiskConfigQuota, DescribeDiskConfigQuotaResponse, DiskConfig};
pub use snapshot::{
    ApplySnapshot, ApplySnapshotResponse, CreateSnapshot, CreateSnapshotResponse, DeleteSnapshots,
    DeleteSnapshotsResponse, DescribeSnapshotOverview, DescribeSnapshotOverviewResponse, DescribeSnapshots,
    DescribeSnapshotsResponse, GetSnapOverview, GetSnapOverviewResponse, Image, ModifySnapshotAttribute,
    ModifySnapshotAttributeResponse, Snapshot,
};
pub use snapshot_copy::{CopySnapshotCrossRegions, CopySnapshotCrossRegionsResponse, SnapshotCopyResult};
pub use snapshot_group::{
    ApplyDisk, ApplySnapshotGroup, ApplySnapshotGroupResponse, CreateSnapshotGroup,
    CreateSnapshotGroupResponse, DeleteSnapshotGroup, DeleteSnapshotGroupResponse, DescribeSnapshotGroups,
    DescribeSnapshotGroupsResponse, SnapshotGroup,
};
pub use snapshot_policy::{
    AdvancedRetentionPolicy, AutoSnapshotPolicy, BindAutoSnapshotPolicy, BindAutoSnapshotPolicyResponse,
    CopyAutoSnapshotPolicyCrossAccount, CopyAutoSnapshotPolicyCrossAccountResponse, CreateAutoSnapshotPolicy,
    CreateAutoSnapshotPolicyResponse, DeleteAutoSnapshotPolicies, DeleteAutoSnapshotPoliciesResponse,
    DescribeAutoSnapshotPolicies, DescribeAutoSnapshotPoliciesResponse,
    DescribeDiskAssociatedAutoSnapshotPolicy, DescribeDiskAssociatedAutoSnapshotPolicyResponse,
    ModifyAutoSnapshotPolicyAttribute, ModifyAutoSnapshotPolicyAttributeResponse, Policy, PolicyOutput,
    UnbindAutoSnapshotPolicy, UnbindAutoSnapshotPolicyResponse,
};
pub use snapshot_share::{
    DescribeSnapshotSharePermission, DescribeSnapshotSharePermissionResponse, ModifySnapshotsSharePermission,
    ModifySnapshotsSharePermissionResponse, SharePermission,
};
pub use tag::Tag;

use crate::schema::Rules;

/// A page's `Limit`: 1 to 100. The default, 20, is the callee's. Source: the Describe pages.
const LIMIT: Rules = Rules::NONE.range(1, 100);

/// A page's `Offset`.
const OFFSET: Rules = Rules::NONE.range(0, i64::MAX);

/// The name of a disk or a snapshot. Source: `CreateDisks.DiskName`, `ModifySnapshotAttribute.SnapshotName`.
const NAME: Rules = Rules::NONE.length_bytes(0, 60);

/// The size of a disk in GB. The configured disk types narrow it.
const DISK_SIZE: Rules = Rules::NONE.range(1, u32::MAX as i64);
