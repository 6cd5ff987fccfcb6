//! Cloud Block Storage: each call is unpacked, handed to the rules, and its result packed.

mod disk;
mod instance;
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
        snapshot_policy::modify_auto_snapshot_policy_attribute(ModifyAutoSnapshotPolicyAttribute)
            -> ModifyAutoSnapshotPolicyAttributeResponse;
        disk::modify_disk_attributes(ModifyDiskAttributes) -> ModifyDiskAttributesResponse;
        snapshot::modify_snapshot_attribute(ModifySnapshotAttribute) -> ModifySnapshotAttributeResponse;
        disk::resize_disk(ResizeDisk) -> ResizeDiskResponse;
        disk::terminate_disks(TerminateDisks) -> TerminateDisksResponse;
        snapshot_policy::unbind_auto_snapshot_policy(UnbindAutoSnapshotPolicy)
            -> UnbindAutoSnapshotPolicyResponse;
    }
}
