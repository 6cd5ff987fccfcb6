//! The table of the actions of Cloud Block Storage.

use crate::action::product;

product! {
    "Cloud Block Storage", Cbs "cbs" "2017-03-12": CbsAction, CbsApi {
        ApplyDiskBackup apply_disk_backup -> ApplyDiskBackupResponse, 20 per second,
            sensitive [DiskBackup("DiskBackupId"), Volume("DiskId")];
        ApplySnapshot apply_snapshot -> ApplySnapshotResponse, 20 per second,
            sensitive [Snapshot("SnapshotId"), Volume("DiskId")];
        ApplySnapshotGroup apply_snapshot_group -> ApplySnapshotGroupResponse, 20 per second,
            sensitive [SnapshotGroup("SnapshotGroupId"), Snapshot("ApplyDisks.SnapshotId"),
                Volume("ApplyDisks.DiskId")];
        AttachDisks attach_disks -> AttachDisksResponse, 20 per second,
            writes [Volume("DiskIds"), Instance("InstanceId")];
        BindAutoSnapshotPolicy bind_auto_snapshot_policy -> BindAutoSnapshotPolicyResponse, 20 per second,
            writes [AutoSnapshotPolicy("AutoSnapshotPolicyId"), Volume("DiskIds"), Instance("InstanceIds")];
        CopyAutoSnapshotPolicyCrossAccount copy_auto_snapshot_policy_cross_account
            -> CopyAutoSnapshotPolicyCrossAccountResponse, 20 per second,
            writes [AutoSnapshotPolicy("AutoSnapshotPolicyIds")];
        CopySnapshotCrossRegions copy_snapshot_cross_regions
            -> CopySnapshotCrossRegionsResponse, 20 per second,
            writes [Snapshot("SnapshotId")];
        CreateAutoSnapshotPolicy create_auto_snapshot_policy
            -> CreateAutoSnapshotPolicyResponse, 20 per second,
            writes [AutoSnapshotPolicy(all)];
        CreateDiskBackup create_disk_backup -> CreateDiskBackupResponse, 20 per second,
            writes [Volume("DiskId"), DiskBackup(all)];
        CreateDisks create_disks -> CreateDisksResponse, 20 per second,
            writes [Volume(all), Snapshot("SnapshotId"), AutoSnapshotPolicy("AutoSnapshotPolicyId"),
                Instance("AutoMountConfiguration.InstanceId")];
        CreateSnapshot create_snapshot -> CreateSnapshotResponse, 20 per second,
            writes [Volume("DiskId"), DiskBackup("DiskBackupId"), Snapshot(all)];
        CreateSnapshotGroup create_snapshot_group -> CreateSnapshotGroupResponse, 20 per second,
            writes [Volume("DiskIds"), SnapshotGroup(all)];
        DeleteAutoSnapshotPolicies delete_auto_snapshot_policies
            -> DeleteAutoSnapshotPoliciesResponse, 20 per second,
            writes [AutoSnapshotPolicy("AutoSnapshotPolicyIds")];
        DeleteDiskBackups delete_disk_backups -> DeleteDiskBackupsResponse, 20 per second,
            sensitive [DiskBackup("DiskBackupIds")];
        DeleteSnapshotGroup delete_snapshot_group -> DeleteSnapshotGroupResponse, 20 per second,
            sensitive [SnapshotGroup("SnapshotGroupId"), SnapshotGroup("SnapshotGroupIds")];
        DeleteSnapshots delete_snapshots -> DeleteSnapshotsResponse, 20 per second,
            sensitive [Snapshot("SnapshotIds")];
        DescribeAutoSnapshotPolicies describe_auto_snapshot_policies
            -> DescribeAutoSnapshotPoliciesResponse, 20 per second,
            reads [AutoSnapshotPolicy("AutoSnapshotPolicyIds" or all)];
        DescribeDiskAssociatedAutoSnapshotPolicy describe_disk_associated_auto_snapshot_policy
            -> DescribeDiskAssociatedAutoSnapshotPolicyResponse, 20 per second,
            reads [Volume("DiskId")];
        DescribeDiskBackups describe_disk_backups -> DescribeDiskBackupsResponse, 20 per second,
            reads [DiskBackup("DiskBackupIds" or all)];
        DescribeDiskConfigQuota describe_disk_config_quota -> DescribeDiskConfigQuotaResponse, 20 per second,
            reads [];
        DescribeDiskOperationLogs describe_disk_operation_logs
            -> DescribeDiskOperationLogsResponse, 1 per second,
            reads [Volume(all)];
        DescribeDisks describe_disks -> DescribeDisksResponse, 100 per second,
            reads [Volume("DiskIds" or all)];
        DescribeInstancesDiskNum describe_instances_disk_num -> DescribeInstancesDiskNumResponse, 20 per second,
            reads [Instance("InstanceIds")];
        DescribeSnapshotGroups describe_snapshot_groups -> DescribeSnapshotGroupsResponse, 20 per second,
            reads [SnapshotGroup(all)];
        DescribeSnapshotOperationLogs describe_snapshot_operation_logs
            -> DescribeSnapshotOperationLogsResponse, 20 per second,
            reads [Snapshot(all)];
        DescribeSnapshotOverview describe_snapshot_overview
            -> DescribeSnapshotOverviewResponse, 20 per second,
            reads [Snapshot(all)];
        DescribeSnapshotSharePermission describe_snapshot_share_permission
            -> DescribeSnapshotSharePermissionResponse, 20 per second,
            reads [Snapshot("SnapshotId")];
        DescribeSnapshots describe_snapshots -> DescribeSnapshotsResponse, 20 per second,
            reads [Snapshot("SnapshotIds" or all)];
        DetachDisks detach_disks -> DetachDisksResponse, 20 per second,
            sensitive [Volume("DiskIds"), Instance("InstanceId")];
        GetSnapOverview get_snap_overview -> GetSnapOverviewResponse, 20 per second,
            reads [Snapshot(all)];
        InitializeDisks initialize_disks -> InitializeDisksResponse, 20 per second,
            writes [Volume("DiskIds")];
        InquirePriceModifyDiskBackupQuota inquire_price_modify_disk_backup_quota
            -> InquirePriceModifyDiskBackupQuotaResponse, 20 per second,
            reads [Volume("DiskId")];
        InquirePriceModifyDiskExtraPerformance inquire_price_modify_disk_extra_performance
            -> InquirePriceModifyDiskExtraPerformanceResponse, 20 per second,
            reads [Volume("DiskId")];
        InquiryPriceCreateDisks inquiry_price_create_disks -> InquiryPriceCreateDisksResponse, 20 per second,
            reads [];
        InquiryPriceRenewDisks inquiry_price_renew_disks -> InquiryPriceRenewDisksResponse, 20 per second,
            reads [Volume("DiskIds")];
        InquiryPriceResizeDisk inquiry_price_resize_disk -> InquiryPriceResizeDiskResponse, 20 per second,
            reads [Volume("DiskId"), Volume("DiskIds")];
        ModifyAutoSnapshotPolicyAttribute modify_auto_snapshot_policy_attribute
            -> ModifyAutoSnapshotPolicyAttributeResponse, 20 per second,
            writes [AutoSnapshotPolicy("AutoSnapshotPolicyId")];
        ModifyDiskAttributes modify_disk_attributes -> ModifyDiskAttributesResponse, 20 per second,
            writes [Volume("DiskIds")];
        ModifyDiskBackupQuota modify_disk_backup_quota -> ModifyDiskBackupQuotaResponse, 20 per second,
            writes [Volume("DiskId")];
        ModifyDiskExtraPerformance modify_disk_extra_performance -> ModifyDiskExtraPerformanceResponse,
            20 per second,
            writes [Volume("DiskId")];
        ModifyDisksChargeType modify_disks_charge_type -> ModifyDisksChargeTypeResponse, 20 per second,
            writes [Volume("DiskIds")];
        ModifyDisksRenewFlag modify_disks_renew_flag -> ModifyDisksRenewFlagResponse, 20 per second,
            sensitive [Volume("DiskIds")];
        ModifySnapshotAttribute modify_snapshot_attribute -> ModifySnapshotAttributeResponse, 20 per second,
            writes [Snapshot("SnapshotId")];
        ModifySnapshotsSharePermission modify_snapshots_share_permission
            -> ModifySnapshotsSharePermissionResponse, 20 per second,
            writes [Snapshot("SnapshotIds")];
        RenewDisk renew_disk -> RenewDiskResponse, 20 per second,
            writes [Volume("DiskId")];
        ResizeDisk resize_disk -> ResizeDiskResponse, 20 per second,
            writes [Volume("DiskId")];
        TerminateDisks terminate_disks -> TerminateDisksResponse, 20 per second,
            writes [Volume("DiskIds")];
        UnbindAutoSnapshotPolicy unbind_auto_snapshot_policy
            -> UnbindAutoSnapshotPolicyResponse, 20 per second,
            writes [AutoSnapshotPolicy("AutoSnapshotPolicyId"), Volume("DiskIds"), Instance("InstanceIds")];
    }
}
