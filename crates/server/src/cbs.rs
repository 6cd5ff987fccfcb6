//! Cloud Block Storage: each call is unpacked, handed to the rules, and its result packed.

mod disk;
mod instance;
mod quota;
mod snapshot;

use ashlar_api::cbs::{self, CbsAction, CbsApi};

use crate::service::handlers;

handlers! {
    CbsApi, CbsAction of cbs {
        snapshot::apply_snapshot(ApplySnapshot) -> ApplySnapshotResponse;
        disk::attach_disks(AttachDisks) -> AttachDisksResponse;
        disk::create_disks(CreateDisks) -> CreateDisksResponse;
        snapshot::create_snapshot(CreateSnapshot) -> CreateSnapshotResponse;
        snapshot::delete_snapshots(DeleteSnapshots) -> DeleteSnapshotsResponse;
        quota::describe_disk_config_quota(DescribeDiskConfigQuota) -> DescribeDiskConfigQuotaResponse;
        disk::describe_disks(DescribeDisks) -> DescribeDisksResponse;
        instance::describe_instances_disk_num(DescribeInstancesDiskNum) -> DescribeInstancesDiskNumResponse;
        snapshot::describe_snapshots(DescribeSnapshots) -> DescribeSnapshotsResponse;
        disk::detach_disks(DetachDisks) -> DetachDisksResponse;
        snapshot::get_snap_overview(GetSnapOverview) -> GetSnapOverviewResponse;
        disk::initialize_disks(InitializeDisks) -> InitializeDisksResponse;
        disk::modify_disk_attributes(ModifyDiskAttributes) -> ModifyDiskAttributesResponse;
        snapshot::modify_snapshot_attribute(ModifySnapshotAttribute) -> ModifySnapshotAttributeResponse;
        disk::resize_disk(ResizeDisk) -> ResizeDiskResponse;
        disk::terminate_disks(TerminateDisks) -> TerminateDisksResponse;
    }
}
