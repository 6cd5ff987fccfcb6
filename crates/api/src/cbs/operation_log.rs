//! The log of operations. The service has retired both actions; their description is that of the last client library
//! that had them, and `cbs/data-types`.

use super::filter::Filter;
use super::{LIMIT, OFFSET};
use crate::encode::OrEmpty;
use crate::model::model;
use crate::schema::Rules;
use crate::time::DateTime;

model! {
    /// Lists what was done to disks, newest first.
    pub struct DescribeDiskOperationLogs("DescribeDiskOperationLogsRequest"): input {
        /// One filter, `disk-id`, with at most 10 ids.
        pub filters: Vec<Filter> = "Filters",
        /// Begun at this time or before.
        pub end_time: Option<DateTime> = "EndTime",
        /// Begun at this time or later.
        pub begin_time: Option<DateTime> = "BeginTime",
        /// How many to skip; not described. Default: 0.
        pub offset: Option<u64> = "Offset" => Rules { documented: false, ..OFFSET },
        /// How many to give, 1 to 100; not described. Default: 100.
        pub limit: Option<u64> = "Limit" => Rules { documented: false, ..LIMIT },
    }

    /// The answer of [`DescribeDiskOperationLogs`].
    pub struct DescribeDiskOperationLogsResponse("DescribeDiskOperationLogsResponse"): output {
        /// The entries.
        pub disk_operation_log_set: Vec<DiskOperationLog> = "DiskOperationLogSet",
    }

    /// Lists what was done to snapshots, newest first.
    pub struct DescribeSnapshotOperationLogs("DescribeSnapshotOperationLogsRequest"): input {
        /// One filter, `snapshot-id`, with at most 10 ids.
        pub filters: Vec<Filter> = "Filters",
        /// Begun at this time or before.
        pub end_time: Option<DateTime> = "EndTime",
        /// Begun at this time or later.
        pub begin_time: Option<DateTime> = "BeginTime",
        /// How many to skip; not described. Default: 0.
        pub offset: Option<u64> = "Offset" => Rules { documented: false, ..OFFSET },
        /// How many to give, 1 to 100; not described. Default: 100.
        pub limit: Option<u64> = "Limit" => Rules { documented: false, ..LIMIT },
    }

    /// The answer of [`DescribeSnapshotOperationLogs`].
    pub struct DescribeSnapshotOperationLogsResponse("DescribeSnapshotOperationLogsResponse"): output {
        /// The entries.
        pub snapshot_operation_log_set: Vec<SnapshotOperationLog> = "SnapshotOperationLogSet",
    }

    /// Something that was done to a disk. Reference: `cbs/data-types`, `DiskOperationLog`.
    pub struct DiskOperationLog("DiskOperationLog"): output {
        /// The account (Uin) that did it.
        pub operator: String = "Operator",
        /// What, such as `CBS_OPERATION_ATTACH`.
        pub operation: String = "Operation",
        /// The disk, which may be gone.
        pub disk_id: String = "DiskId",
        /// `SUCCESS`, `FAILED` or `PROCESSING`.
        pub operation_state: String = "OperationState",
        /// When it began.
        pub start_time: DateTime = "StartTime",
        /// When it ended; empty while it is under way.
        pub end_time: OrEmpty<DateTime> = "EndTime",
    }

    /// Something that was done to a snapshot. Reference: `cbs/data-types`, `SnapshotOperationLog`.
    pub struct SnapshotOperationLog("SnapshotOperationLog"): output {
        /// `SUCCESS`, `FAILED` or `PROCESSING`.
        pub operation_state: String = "OperationState",
        /// When it began.
        pub start_time: DateTime = "StartTime",
        /// The account (Uin) that did it.
        pub operator: String = "Operator",
        /// The snapshot, which may be gone.
        pub snapshot_id: String = "SnapshotId",
        /// What, such as `SNAP_OPERATION_CREATE`.
        pub operation: String = "Operation",
        /// When it ended; empty while it is under way.
        pub end_time: OrEmpty<DateTime> = "EndTime",
    }
}
