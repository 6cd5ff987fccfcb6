//! Backup points.

use ashlar_types::{DiskBackupId, DiskBackupState, DiskId, DiskUsage};

use super::choice::{Order, SnapshotOrderField};
use super::filter::Filter;
use super::{LIMIT, OFFSET};
use crate::model::model;
use crate::time::IsoDateTime;

model! {
    /// Makes a backup point of a disk. Reference: `cbs/CreateDiskBackup`.
    pub struct CreateDiskBackup("CreateDiskBackupRequest"): input {
        /// The disk; it needs a free place in its quota of backup points.
        pub disk_id: DiskId = "DiskId",
        /// At most 100 characters. Default: `Unnamed`.
        pub disk_backup_name: Option<String> = "DiskBackupName",
    }

    /// The answer of [`CreateDiskBackup`].
    pub struct CreateDiskBackupResponse("CreateDiskBackupResponse"): output {
        /// The new backup point.
        pub disk_backup_id: DiskBackupId = "DiskBackupId",
    }

    /// Lists backup points, oldest first. Reference: `cbs/DescribeDiskBackups`. `DiskBackupIds` and `Filters`
    /// exclude each other.
    pub struct DescribeDiskBackups("DescribeDiskBackupsRequest"): input {
        /// Only these backup points.
        pub disk_backup_ids: Option<Vec<DiskBackupId>> = "DiskBackupIds",
        /// Only what meets all of these conditions.
        pub filters: Option<Vec<Filter>> = "Filters",
        /// How many to skip. Default: 0.
        pub offset: Option<u64> = "Offset" => OFFSET,
        /// How many to give, 1 to 100. Default: 20.
        pub limit: Option<u64> = "Limit" => LIMIT,
        /// The direction. Default: ascending, as the newer description says.
        pub order: Option<Order> = "Order",
        /// What to sort by. Default: the time of creation.
        pub order_field: Option<SnapshotOrderField> = "OrderField",
    }

    /// The answer of [`DescribeDiskBackups`].
    pub struct DescribeDiskBackupsResponse("DescribeDiskBackupsResponse"): output {
        /// How many backup points meet the conditions, on all pages.
        pub total_count: u64 = "TotalCount",
        /// This page.
        pub disk_backup_set: Vec<DiskBackup> = "DiskBackupSet",
    }

    /// Rolls a disk back to a backup point of its own. Reference: `cbs/ApplyDiskBackup`; the switches are newer
    /// than that page.
    pub struct ApplyDiskBackup("ApplyDiskBackupRequest"): input {
        /// A backup point in state NORMAL.
        pub disk_backup_id: DiskBackupId = "DiskBackupId",
        /// The disk that it was made of.
        pub disk_id: DiskId = "DiskId",
        /// Shut the instance down first. Default: false.
        pub auto_stop_instance: Option<bool> = "AutoStopInstance",
        /// Start the instance afterwards; only together with the other. Default: false.
        pub auto_start_instance: Option<bool> = "AutoStartInstance",
    }

    /// The answer of [`ApplyDiskBackup`].
    pub struct ApplyDiskBackupResponse("ApplyDiskBackupResponse"): output {
    }

    /// Deletes backup points, all or none. Reference: `cbs/DeleteDiskBackups`.
    pub struct DeleteDiskBackups("DeleteDiskBackupsRequest"): input {
        /// The backup points; at least one, each in state NORMAL.
        pub disk_backup_ids: Vec<DiskBackupId> = "DiskBackupIds",
    }

    /// The answer of [`DeleteDiskBackups`].
    pub struct DeleteDiskBackupsResponse("DeleteDiskBackupsResponse"): output {
    }

    /// A backup point. Reference: `cbs/data-types`, `DiskBackup`.
    pub struct DiskBackup("DiskBackup"): output {
        /// Its id.
        pub disk_backup_id: DiskBackupId = "DiskBackupId",
        /// The disk it was made of.
        pub disk_id: DiskId = "DiskId",
        /// The size of its disk in GB.
        pub disk_size: u64 = "DiskSize",
        /// What its disk was to its instance.
        pub disk_usage: DiskUsage = "DiskUsage",
        /// Its name.
        pub disk_backup_name: String = "DiskBackupName",
        /// Where it is in its life.
        pub disk_backup_state: DiskBackupState = "DiskBackupState",
        /// How much of it is made, 0 to 100.
        pub percent: u64 = "Percent",
        /// When it was made.
        pub create_time: IsoDateTime = "CreateTime",
        /// Whether its disk is encrypted.
        pub encrypt: bool = "Encrypt",
    }
}
