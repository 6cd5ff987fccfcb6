//! Cloud Block Storage: each call is unpacked, handed to the rules, and its result packed.

mod disk;
mod disk_backup;
mod instance;
mod operation_log;
mod pay;
mod price;
mod quota;
mod snapshot;
mod snapshot_copy;
mod snapshot_group;
mod snapshot_policy;
mod snapshot_share;

use ashlar_api::cbs::{self, CbsAction, CbsApi};

use crate::service::handlers;

handlers! {
    CbsApi, CbsAction of cbs {
        disk_backup::apply_disk_backup(ApplyDiskBackup) -> ApplyDiskBackupResponse;
        snapshot::apply_snapshot(ApplySnapshot) -> ApplySnapshotResponse;
        snapshot_group::apply_snapshot_group(ApplySnapshotGroup) -> ApplySnapshotGroupResponse;
        disk::attach_disks(AttachDisks) -> AttachDisksResponse;
        snapshot_policy::bind_auto_snapshot_policy(BindAutoSnapshotPolicy) -> BindAutoSnapshotPolicyResponse;
        snapshot_policy::copy_auto_snapshot_policy_cross_account(CopyAutoSnapshotPolicyCrossAccount)
            -> CopyAutoSnapshotPolicyCrossAccountResponse;
        snapshot_copy::copy_snapshot_cross_regions(CopySnapshotCrossRegions) -> CopySnapshotCrossRegionsResponse;
        snapshot_policy::create_auto_snapshot_policy(CreateAutoSnapshotPolicy)
            -> CreateAutoSnapshotPolicyResponse;
        disk_backup::create_disk_backup(CreateDiskBackup) -> CreateDiskBackupResponse;
        disk::create_disks(CreateDisks) -> CreateDisksResponse;
        snapshot::create_snapshot(CreateSnapshot) -> CreateSnapshotResponse;
        snapshot_group::create_snapshot_group(CreateSnapshotGroup) -> CreateSnapshotGroupResponse;
        snapshot_policy::delete_auto_snapshot_policies(DeleteAutoSnapshotPolicies)
            -> DeleteAutoSnapshotPoliciesResponse;
        disk_backup::delete_disk_backups(DeleteDiskBackups) -> DeleteDiskBackupsResponse;
        snapshot_group::delete_snapshot_group(DeleteSnapshotGroup) -> DeleteSnapshotGroupResponse;
        snapshot::delete_snapshots(DeleteSnapshots) -> DeleteSnapshotsResponse;
        snapshot_policy::describe_auto_snapshot_policies(DescribeAutoSnapshotPolicies)
            -> DescribeAutoSnapshotPoliciesResponse;
        snapshot_policy::describe_disk_associated_auto_snapshot_policy(DescribeDiskAssociatedAutoSnapshotPolicy)
            -> DescribeDiskAssociatedAutoSnapshotPolicyResponse;
        disk_backup::describe_disk_backups(DescribeDiskBackups) -> DescribeDiskBackupsResponse;
        quota::describe_disk_config_quota(DescribeDiskConfigQuota) -> DescribeDiskConfigQuotaResponse;
        operation_log::describe_disk_operation_logs(DescribeDiskOperationLogs) -> DescribeDiskOperationLogsResponse;
        disk::describe_disks(DescribeDisks) -> DescribeDisksResponse;
        instance::describe_instances_disk_num(DescribeInstancesDiskNum) -> DescribeInstancesDiskNumResponse;
        snapshot_group::describe_snapshot_groups(DescribeSnapshotGroups) -> DescribeSnapshotGroupsResponse;
        operation_log::describe_snapshot_operation_logs(DescribeSnapshotOperationLogs) -> DescribeSnapshotOperationLogsResponse;
        snapshot::describe_snapshot_overview(DescribeSnapshotOverview) -> DescribeSnapshotOverviewResponse;
        snapshot_share::describe_snapshot_share_permission(DescribeSnapshotSharePermission) -> DescribeSnapshotSharePermissionResponse;
        snapshot::describe_snapshots(DescribeSnapshots) -> DescribeSnapshotsResponse;
        disk::detach_disks(DetachDisks) -> DetachDisksResponse;
        snapshot::get_snap_overview(GetSnapOverview) -> GetSnapOverviewResponse;
        disk::initialize_disks(InitializeDisks) -> InitializeDisksResponse;
        price::inquire_price_modify_disk_backup_quota(InquirePriceModifyDiskBackupQuota) -> InquirePriceModifyDiskBackupQuotaResponse;
        price::inquire_price_modify_disk_extra_performance(InquirePriceModifyDiskExtraPerformance) -> InquirePriceModifyDiskExtraPerformanceResponse;
        price::inquiry_price_create_disks(InquiryPriceCreateDisks) -> InquiryPriceCreateDisksResponse;
        price::inquiry_price_renew_disks(InquiryPriceRenewDisks) -> InquiryPriceRenewDisksResponse;
        price::inquiry_price_resize_disk(InquiryPriceResizeDisk) -> InquiryPriceResizeDiskResponse;
        snapshot_policy::modify_auto_snapshot_policy_attribute(ModifyAutoSnapshotPolicyAttribute)
            -> ModifyAutoSnapshotPolicyAttributeResponse;
        disk::modify_disk_attributes(ModifyDiskAttributes) -> ModifyDiskAttributesResponse;
        pay::modify_disk_backup_quota(ModifyDiskBackupQuota) -> ModifyDiskBackupQuotaResponse;
        pay::modify_disk_extra_performance(ModifyDiskExtraPerformance) -> ModifyDiskExtraPerformanceResponse;
        pay::modify_disks_charge_type(ModifyDisksChargeType) -> ModifyDisksChargeTypeResponse;
        pay::modify_disks_renew_flag(ModifyDisksRenewFlag) -> ModifyDisksRenewFlagResponse;
        snapshot::modify_snapshot_attribute(ModifySnapshotAttribute) -> ModifySnapshotAttributeResponse;
        snapshot_share::modify_snapshots_share_permission(ModifySnapshotsSharePermission) -> ModifySnapshotsSharePermissionResponse;
        pay::renew_disk(RenewDisk) -> RenewDiskResponse;
        disk::resize_disk(ResizeDisk) -> ResizeDiskResponse;
        disk::terminate_disks(TerminateDisks) -> TerminateDisksResponse;
        snapshot_policy::unbind_auto_snapshot_policy(UnbindAutoSnapshotPolicy)
            -> UnbindAutoSnapshotPolicyResponse;
    }
}
