//! Cloud Block Storage: each call is unpacked, handed to the rules, and its result packed.

mod disk;
mod instance;
mod pay;
mod price;
mod quota;
mod snapshot;
mod snapshot_policy;

use ashlar_api::cbs::{self, CbsAction, CbsApi};

use crate::service::handlers;

handlers! {
    CbsApi, CbsAction of cbs {
        snapshot::apply_snapshot(ApplySnapshot) -> ApplySnapshotResponse;
        disk::attach_disks(AttachDisks) -> AttachDisksResponse;
        snapshot_policy::bind_auto_snapshot_policy(BindAutoSnapshotPolicy) -> BindAutoSnapshotPolicyResponse;
        snapshot_policy::copy_auto_snapshot_policy_cross_account(CopyAutoSnapshotPolicyCrossAccount)
            -> CopyAutoSnapshotPolicyCrossAccountResponse;
        snapshot_policy::create_auto_snapshot_policy(CreateAutoSnapshotPolicy)
            -> CreateAutoSnapshotPolicyResponse;
        disk::create_disks(CreateDisks) -> CreateDisksResponse;
        snapshot::create_snapshot(CreateSnapshot) -> CreateSnapshotResponse;
        snapshot_policy::delete_auto_snapshot_policies(DeleteAutoSnapshotPolicies)
            -> DeleteAutoSnapshotPoliciesResponse;
        snapshot::delete_snapshots(DeleteSnapshots) -> DeleteSnapshotsResponse;
        snapshot_policy::describe_auto_snapshot_policies(DescribeAutoSnapshotPolicies)
            -> DescribeAutoSnapshotPoliciesResponse;
        snapshot_policy::describe_disk_associated_auto_snapshot_policy(DescribeDiskAssociatedAutoSnapshotPolicy)
            -> DescribeDiskAssociatedAutoSnapshotPolicyResponse;
        quota::describe_disk_config_quota(DescribeDiskConfigQuota) -> DescribeDiskConfigQuotaResponse;
        disk::describe_disks(DescribeDisks) -> DescribeDisksResponse;
        instance::describe_instances_disk_num(DescribeInstancesDiskNum) -> DescribeInstancesDiskNumResponse;
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
        pay::renew_disk(RenewDisk) -> RenewDiskResponse;
        disk::resize_disk(ResizeDisk) -> ResizeDiskResponse;
        disk::terminate_disks(TerminateDisks) -> TerminateDisksResponse;
        snapshot_policy::unbind_auto_snapshot_policy(UnbindAutoSnapshotPolicy)
            -> UnbindAutoSnapshotPolicyResponse;
    }
}
