//! Disks.

use ashlar_types::{
    DiskChargeType, DiskId, DiskState, DiskType, DiskUsage, InstanceId, ProjectId, RenewFlag, SnapshotId,
    SnapshotPolicyId,
};

use super::choice::{
    AttachMode, BurstPerformanceOperation, DiskOrderField, EncryptFlag, EncryptType, FileSystemType,
    InstanceType, InstanceTypeHint, Order,
};
use super::filter::Filter;
use super::placement::{Placement, PlacementOutput};
use super::tag::Tag;
use super::{DISK_SIZE, LIMIT, NAME, OFFSET};
use crate::decode::IntegerFlag;
use crate::encode::OrEmpty;
use crate::error_code::ErrorCode::InvalidParameterValueLimitExceeded;
use crate::model::model;
use crate::schema::Rules;
use crate::time::DateTime;

/// The months that can be paid in advance. Source: `cbs/data-types`, `DiskChargePrepaid.Period`.
pub(super) const PERIOD_MONTHS: Rules = Rules::NONE.one_of(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 24, 36]);

model! {
    /// Creates disks, empty or from a snapshot. Reference: `cbs/CreateDisks`; `KmsKeyId` and `EncryptType`
    /// are newer than that page.
    pub struct CreateDisks("CreateDisksRequest"): input {
        /// Where the disks shall lie.
        pub placement: Placement = "Placement",
        /// How they are paid for.
        pub disk_charge_type: DiskChargeType = "DiskChargeType",
        /// The medium.
        pub disk_type: DiskType = "DiskType",
        /// Their name, at most 60 bytes. Default: `Unnamed`.
        pub disk_name: Option<String> = "DiskName" => NAME,
        /// Tags of the new disks.
        pub tags: Option<Vec<Tag>> = "Tags",
        /// The data disk snapshot whose content the disks get.
        pub snapshot_id: Option<SnapshotId> = "SnapshotId",
        /// How many disks, at least 1. Default: 1.
        pub disk_count: Option<u64> = "DiskCount" => Rules::NONE.range(1, u32::MAX as i64),
        /// Extra performance in MB/s, for CLOUD_TSSD and CLOUD_HSSD.
        pub throughput_performance: Option<u64> = "ThroughputPerformance" => Rules::NONE.range(0, u32::MAX as i64),
        /// The key that encrypts the disks.
        pub kms_key_id: Option<String> = "KmsKeyId",
        /// The size in GB. Default: the size of the snapshot's disk; without a snapshot it must be given.
        pub disk_size: Option<u64> = "DiskSize" => DISK_SIZE,
        /// Whether several instances may have the disk at once. Default: false.
        pub shareable: Option<bool> = "Shareable",
        /// Makes the call repeatable: 1 to 64 ASCII characters.
        pub client_token: Option<String> = "ClientToken" => Rules::NONE.length_bytes(1, 64).ascii_only(),
        /// Whether to encrypt the disks.
        pub encrypt: Option<EncryptFlag> = "Encrypt",
        /// Period and renewal; needed for prepaid disks, and only for them.
        pub disk_charge_prepaid: Option<DiskChargePrepaid> = "DiskChargePrepaid",
        /// Whether a disk's snapshots go with the disk. Default: 0.
        pub delete_snapshot: Option<IntegerFlag> = "DeleteSnapshot",
        /// How to attach and mount the new disks.
        pub auto_mount_configuration: Option<AutoMountConfiguration> = "AutoMountConfiguration",
        /// How many backup points a disk may have.
        pub disk_backup_quota: Option<u64> = "DiskBackupQuota" => Rules::NONE.range(0, u32::MAX as i64),
        /// Whether bursting is on. Default: false.
        pub burst_performance: Option<bool> = "BurstPerformance",
        /// The scheduled snapshot policy that the disks are bound to.
        pub auto_snapshot_policy_id: Option<SnapshotPolicyId> = "AutoSnapshotPolicyId" => Rules::UNDOCUMENTED,
        /// The generation of encryption. One real client sends it empty where there is none.
        pub encrypt_type: Option<OrEmpty<EncryptType>> = "EncryptType",
    }

    /// Prepayment. Reference: `cbs/data-types`, `DiskChargePrepaid`.
    pub struct DiskChargePrepaid("DiskChargePrepaid"): input {
        /// Months: 1 to 12, 24 or 36.
        pub period: u64 = "Period" => PERIOD_MONTHS,
        /// What happens at the end. Default: NOTIFY_AND_MANUAL_RENEW.
        pub renew_flag: Option<RenewFlag> = "RenewFlag",
        /// The end of the instance's period, where disk and instance shall end together.
        pub cur_instance_deadline: Option<DateTime> = "CurInstanceDeadline",
    }

    /// How new disks are attached and mounted. Reference: `cbs/data-types`, `AutoMountConfiguration`.
    pub struct AutoMountConfiguration("AutoMountConfiguration"): input {
        /// The instances.
        pub instance_id: Vec<InstanceId> = "InstanceId",
        /// Where to mount them.
        pub mount_point: Option<Vec<String>> = "MountPoint",
        /// What to format them with.
        pub file_system_type: Option<FileSystemType> = "FileSystemType",
    }

    /// The answer of [`CreateDisks`].
    pub struct CreateDisksResponse("CreateDisksResponse"): output {
        /// The new disks, `DiskCount` of them.
        pub disk_id_set: Vec<DiskId> = "DiskIdSet",
    }

    /// Lists disks, newest first. Reference: `cbs/DescribeDisks`. `DiskIds` and `Filters` exclude each
    /// other.
    pub struct DescribeDisks("DescribeDisksRequest"): input {
        /// Only these disks.
        pub disk_ids: Option<Vec<DiskId>> = "DiskIds",
        /// Only what meets all of these conditions.
        pub filters: Option<Vec<Filter>> = "Filters",
        /// How many to skip. Default: 0.
        pub offset: Option<u64> = "Offset" => OFFSET,
        /// How many to give, 1 to 100. Default: 20.
        pub limit: Option<u64> = "Limit" => LIMIT,
        /// The direction. Default: descending.
        pub order: Option<Order> = "Order",
        /// What to sort by. Default: the time of creation.
        pub order_field: Option<DiskOrderField> = "OrderField",
        /// Whether to tell the snapshot policies of each disk. Default: false.
        pub return_bind_auto_snapshot_policy: Option<bool> = "ReturnBindAutoSnapshotPolicy",
    }

    /// The answer of [`DescribeDisks`].
    pub struct DescribeDisksResponse("DescribeDisksResponse"): output {
        /// How many disks meet the conditions, on all pages.
        pub total_count: u64 = "TotalCount",
        /// This page.
        pub disk_set: Vec<Disk> = "DiskSet",
    }

    /// Changes attributes of disks, all or none. Reference: `cbs/ModifyDiskAttributes`.
    pub struct ModifyDiskAttributes("ModifyDiskAttributesRequest"): input {
        /// The disks; at least one.
        pub disk_ids: Vec<DiskId> = "DiskIds" => Rules::NONE.count_max(100, InvalidParameterValueLimitExceeded),
        /// The new name, at most 60 bytes.
        pub disk_name: Option<String> = "DiskName" => NAME,
        /// True makes the disk elastic; there is no way back.
        pub portable: Option<bool> = "Portable",
        /// The new project.
        pub project_id: Option<ProjectId> = "ProjectId",
        /// Whether the disk ends with its instance.
        pub delete_with_instance: Option<bool> = "DeleteWithInstance",
        /// The new medium; of one disk, and with no other change.
        pub disk_type: Option<DiskType> = "DiskType",
        /// Switches bursting.
        pub burst_performance_operation: Option<BurstPerformanceOperation> = "BurstPerformanceOperation",
    }

    /// The answer of [`ModifyDiskAttributes`].
    pub struct ModifyDiskAttributesResponse("ModifyDiskAttributesResponse"): output {
    }

    /// Enlarges a disk. Reference: `cbs/ResizeDisk`.
    pub struct ResizeDisk("ResizeDiskRequest"): input {
        /// The disk.
        pub disk_id: DiskId = "DiskId",
        /// The new size in GB; larger than the size it has.
        pub disk_size: u64 = "DiskSize" => DISK_SIZE,
    }

    /// The answer of [`ResizeDisk`].
    pub struct ResizeDiskResponse("ResizeDiskResponse"): output {
    }

    /// Puts disks into an instance, all or none. Reference: `cbs/AttachDisks`.
    pub struct AttachDisks("AttachDisksRequest"): input {
        /// The instance.
        pub instance_id: InstanceId = "InstanceId",
        /// The disks; 1 to 10.
        pub disk_ids: Vec<DiskId> = "DiskIds" => Rules::NONE.count_max(10, InvalidParameterValueLimitExceeded),
        /// Whether the disks end with the instance. Default: as they are.
        pub delete_with_instance: Option<bool> = "DeleteWithInstance",
        /// How a bare-metal instance gets them.
        pub attach_mode: Option<AttachMode> = "AttachMode",
        /// The kind of machine, in any case; one real client sends `eks` for nodes of an elastic cluster.
        pub instance_type: Option<InstanceTypeHint> = "InstanceType" => Rules::UNDOCUMENTED,
    }

    /// The answer of [`AttachDisks`].
    pub struct AttachDisksResponse("AttachDisksResponse"): output {
    }

    /// Takes disks out of their instance, all or none. Reference: `cbs/DetachDisks`.
    pub struct DetachDisks("DetachDisksRequest"): input {
        /// The disks; 1 to 10.
        pub disk_ids: Vec<DiskId> = "DiskIds" => Rules::NONE.count_max(10, InvalidParameterValueLimitExceeded),
        /// The instance; tells which one for a disk that several have.
        pub instance_id: Option<InstanceId> = "InstanceId",
        /// The kind of machine, in any case; see [`AttachDisks::instance_type`].
        pub instance_type: Option<InstanceTypeHint> = "InstanceType" => Rules::UNDOCUMENTED,
    }

    /// The answer of [`DetachDisks`].
    pub struct DetachDisksResponse("DetachDisksResponse"): output {
    }

    /// Sets disks back to their first content: zeros, or their snapshot's. Reference:
    /// `cbs/InitializeDisks`.
    pub struct InitializeDisks("InitializeDisksRequest"): input {
        /// The disks; 1 to 20.
        pub disk_ids: Vec<DiskId> = "DiskIds" => Rules::NONE.count_max(20, InvalidParameterValueLimitExceeded),
    }

    /// The answer of [`InitializeDisks`].
    pub struct InitializeDisksResponse("InitializeDisksResponse"): output {
    }

    /// Gives disks back, all or none. Reference: `cbs/TerminateDisks`.
    pub struct TerminateDisks("TerminateDisksRequest"): input {
        /// The disks; 1 to 50.
        pub disk_ids: Vec<DiskId> = "DiskIds" => Rules::NONE.count_max(50, InvalidParameterValueLimitExceeded),
        /// Whether their snapshots that are not permanent go too. Default: 0.
        pub delete_snapshot: Option<IntegerFlag> = "DeleteSnapshot",
    }

    /// The answer of [`TerminateDisks`].
    pub struct TerminateDisksResponse("TerminateDisksResponse"): output {
    }

    /// A disk. Reference: `cbs/data-types`, `Disk`. The last six fields are newer than that page, or were
    /// seen in recorded answers only. What is null and what is empty follows the recorded answers.
    pub struct Disk("Disk"): output {
        /// Whether it ends with its instance.
        pub delete_with_instance: bool = "DeleteWithInstance",
        /// What happens at the end of the prepaid period; empty for what is paid by the hour.
        pub renew_flag: OrEmpty<RenewFlag> = "RenewFlag",
        /// The medium.
        pub disk_type: DiskType = "DiskType",
        /// Where it is in its life.
        pub disk_state: DiskState = "DiskState",
        /// How many snapshots it has.
        pub snapshot_count: i64 = "SnapshotCount",
        /// Whether its instance is renewed and it is not.
        pub auto_renew_flag_error: bool = "AutoRenewFlagError",
        /// Whether a snapshot is being rolled back onto it.
        pub rollbacking: bool = "Rollbacking",
        /// The instances of a shared disk.
        pub instance_id_list: Vec<InstanceId> = "InstanceIdList",
        /// Whether it is encrypted.
        pub encrypt: bool = "Encrypt",
        /// Its name.
        pub disk_name: String = "DiskName",
        /// Whether a snapshot is taken when it ends for want of payment.
        pub backup_disk: bool = "BackupDisk",
        /// Its tags.
        pub tags: Vec<Tag> = "Tags",
        /// Its instance; empty where it has none.
        pub instance_id: OrEmpty<InstanceId> = "InstanceId",
        /// How a bare-metal instance has it; else empty.
        pub attach_mode: OrEmpty<AttachMode> = "AttachMode",
        /// Its snapshot policies; null unless asked for.
        pub auto_snapshot_policy_ids: Option<Vec<SnapshotPolicyId>> = "AutoSnapshotPolicyIds",
        /// Extra performance in MB/s.
        pub throughput_performance: u64 = "ThroughputPerformance",
        /// Whether its medium is being changed.
        pub migrating: bool = "Migrating",
        /// Its id.
        pub disk_id: DiskId = "DiskId",
        /// What its snapshots hold, in MiB.
        pub snapshot_size: u64 = "SnapshotSize",
        /// Where it lies.
        pub placement: PlacementOutput = "Placement",
        /// Whether a prepaid disk can be given back.
        pub is_returnable: bool = "IsReturnable",
        /// The end of the prepaid period; empty for what is paid by the hour.
        pub deadline_time: OrEmpty<DateTime> = "DeadlineTime",
        /// Whether it is in an instance.
        pub attached: bool = "Attached",
        /// The size in GB.
        pub disk_size: u64 = "DiskSize",
        /// How far the last change of medium is, 0 to 100; 0 where there was none.
        pub migrate_percent: u64 = "MigratePercent",
        /// What it is to its instance.
        pub disk_usage: DiskUsage = "DiskUsage",
        /// How it is paid for.
        pub disk_charge_type: DiskChargeType = "DiskChargeType",
        /// Whether it is elastic.
        pub portable: bool = "Portable",
        /// Whether snapshots can be taken of it.
        pub snapshot_ability: bool = "SnapshotAbility",
        /// Whether its period ends before its instance's.
        pub deadline_error: bool = "DeadlineError",
        /// How far the last rollback is, 0 to 100; 0 where there was none.
        pub rollback_percent: u64 = "RollbackPercent",
        /// Days to the end of the prepaid period; null for what is paid by the hour.
        pub differ_days_of_deadline: Option<i64> = "DifferDaysOfDeadline",
        /// Why it cannot be given back: 10 for what is paid by the hour, 0 where it can.
        pub return_fail_code: i64 = "ReturnFailCode",
        /// Whether several instances may have it at once.
        pub shareable: bool = "Shareable",
        /// When it was created.
        pub create_time: DateTime = "CreateTime",
        /// Whether its snapshots go with it.
        pub delete_snapshot: IntegerFlag = "DeleteSnapshot",
        /// How many backup points it may have.
        pub disk_backup_quota: u64 = "DiskBackupQuota",
        /// How many backup points it has.
        pub disk_backup_count: u64 = "DiskBackupCount",
        /// The kind of its instance; empty where it has none.
        pub instance_type: OrEmpty<InstanceType> = "InstanceType",
        /// The instance that had it last; null where none ever had.
        pub last_attach_ins_id: Option<InstanceId> = "LastAttachInsId",
        /// What went wrong in its last operation; else empty.
        pub error_prompt: String = "ErrorPrompt",
        /// Whether bursting is on.
        pub burst_performance: bool = "BurstPerformance",
        /// The generation of its encryption; empty where it has none.
        pub encrypt_type: OrEmpty<EncryptType> = "EncryptType",
        /// The key that encrypts it; empty where there is none.
        pub kms_key_id: String = "KmsKeyId",
        /// The last action on it, such as `AttachDisks`; else empty.
        pub latest_operation: String = "LatestOperation" => Rules::UNDOCUMENTED,
        /// How that action ended, such as `SUCCESS`; else empty.
        pub latest_operation_state: String = "LatestOperationState" => Rules::UNDOCUMENTED,
        /// The request of that action; else empty.
        pub latest_operation_request_id: String = "LatestOperationRequestId" => Rules::UNDOCUMENTED,
    }
}
