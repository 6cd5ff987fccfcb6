//! Snapshots of the disks that machines boot from.

use ashlar_types::{DiskUsage, LighthouseDiskId, LighthouseInstanceId, LighthouseSnapshotId, SnapshotState};

use crate::cbs::{Tag, wire_choice};
use crate::decode::choice;
use crate::encode::OrEmpty;
use crate::error_code::ErrorCode::{
    InvalidParameterFilterValueLimitExceeded, InvalidParameterValueLimitExceeded,
    InvalidParameterValueNegative, InvalidParameterValueOutOfRange,
};
use crate::model::model;
use crate::schema::Rules;

/// A page's `Offset`.
const OFFSET: Rules = Rules::NONE.range_or(0, i64::MAX, InvalidParameterValueNegative);

/// A page's `Limit`. The default, 20, is the callee's.
const LIMIT: Rules = Rules::NONE.range_or(1, 100, InvalidParameterValueOutOfRange);

/// `SnapshotIds` of DescribeSnapshots.
const LISTED_IDS: Rules = Rules::NONE.count_max(100, InvalidParameterValueLimitExceeded);

/// `SnapshotIds` of DeleteSnapshots.
const DELETED_IDS: Rules = Rules::NONE.count_max(10, InvalidParameterValueLimitExceeded);

/// `Filters` of one call.
const FILTERS: Rules = Rules::NONE.count_max(10, InvalidParameterValueLimitExceeded);

/// `Values` of one filter.
const FILTER_VALUES: Rules = Rules::NONE.count_max(5, InvalidParameterFilterValueLimitExceeded);

/// `Tags` of a new snapshot.
const TAGS: Rules = Rules::NONE.count_max(10, InvalidParameterValueLimitExceeded);

wire_choice! {
    /// What was done to a snapshot last. Only these two are told.
    pub enum LatestOperation {
        /// It was taken.
        Create = "CreateInstanceSnapshot",
        /// Its disk was rolled back to it.
        Rollback = "RollbackInstanceSnapshot",
    }
}

wire_choice! {
    /// How that stands.
    pub enum LatestOperationState {
        /// Done.
        Success = "SUCCESS",
        /// Under way.
        Operating = "OPERATING",
        /// Not done; everything is as before.
        Failed = "FAILED",
    }
}

model! {
    /// Takes a snapshot of the disk that a machine boots from. Reference: `lighthouse/CreateInstanceSnapshot`.
    pub struct CreateInstanceSnapshot("CreateInstanceSnapshotRequest"): input {
        /// The machine.
        pub instance_id: LighthouseInstanceId = "InstanceId",
        /// At most 60 characters. Default: `Unnamed`.
        pub snapshot_name: Option<String> = "SnapshotName",
        /// Tags of the new snapshot, at most 10.
        pub tags: Option<Vec<Tag>> = "Tags" => TAGS,
    }

    /// The answer of [`CreateInstanceSnapshot`].
    pub struct CreateInstanceSnapshotResponse("CreateInstanceSnapshotResponse"): output {
        /// The new snapshot.
        pub snapshot_id: LighthouseSnapshotId = "SnapshotId",
    }

    /// Lists snapshots, newest first. `SnapshotIds` and `Filters` exclude each other.
    pub struct DescribeSnapshots("DescribeSnapshotsRequest"): input {
        /// Only these snapshots, at most 100.
        pub snapshot_ids: Option<Vec<LighthouseSnapshotId>> = "SnapshotIds" => LISTED_IDS,
        /// Only what meets all of these conditions, at most 10.
        pub filters: Option<Vec<Filter>> = "Filters" => FILTERS,
        /// How many to skip. Default: 0.
        pub offset: Option<u64> = "Offset" => OFFSET,
        /// How many to give, 1 to 100. Default: 20.
        pub limit: Option<u64> = "Limit" => LIMIT,
    }

    /// One condition: the named property has one of the values.
    pub struct Filter("Filter"): input {
        /// The property.
        pub name: String = "Name",
        /// The values, at most 5.
        pub values: Vec<String> = "Values" => FILTER_VALUES,
    }

    /// The answer of [`DescribeSnapshots`].
    pub struct DescribeSnapshotsResponse("DescribeSnapshotsResponse"): output {
        /// How many snapshots meet the conditions, on all pages.
        pub total_count: i64 = "TotalCount",
        /// This page.
        pub snapshot_set: Vec<Snapshot> = "SnapshotSet",
    }

    /// A snapshot.
    pub struct Snapshot("Snapshot"): output {
        /// Its id.
        pub snapshot_id: LighthouseSnapshotId = "SnapshotId",
        /// `SYSTEM_DISK`.
        pub disk_usage: DiskUsage = "DiskUsage",
        /// The disk that it was taken from.
        pub disk_id: OrEmpty<LighthouseDiskId> = "DiskId",
        /// The size of the disk when it was taken, in GB.
        pub disk_size: i64 = "DiskSize",
        /// Its name.
        pub snapshot_name: String = "SnapshotName",
        /// `NORMAL`, `CREATING` or `ROLLBACKING`.
        pub snapshot_state: SnapshotState = "SnapshotState",
        /// How far taking it, or rolling back to it, is; then 100.
        pub percent: i64 = "Percent",
        /// What was done to it last.
        pub latest_operation: OrEmpty<LatestOperation> = "LatestOperation",
        /// How that stands.
        pub latest_operation_state: OrEmpty<LatestOperationState> = "LatestOperationState",
        /// The request that asked for it.
        pub latest_operation_request_id: String = "LatestOperationRequestId",
        /// When it was taken, in UTC.
        pub created_time: String = "CreatedTime",
        /// Its tags.
        pub tags: Vec<Tag> = "Tags",
    }

    /// Rolls the disk that a machine boots from back to a snapshot of it. The machine is cut off the disk, as by a
    /// shutdown, and can open it again afterwards.
    pub struct ApplyInstanceSnapshot("ApplyInstanceSnapshotRequest"): input {
        /// The machine.
        pub instance_id: LighthouseInstanceId = "InstanceId",
        /// A snapshot of its disk in state NORMAL.
        pub snapshot_id: LighthouseSnapshotId = "SnapshotId",
    }

    /// The answer of [`ApplyInstanceSnapshot`].
    pub struct ApplyInstanceSnapshotResponse("ApplyInstanceSnapshotResponse"): output {
    }

    /// Deletes snapshots, all or none.
    pub struct DeleteSnapshots("DeleteSnapshotsRequest"): input {
        /// The snapshots, 1 to 10, each in state NORMAL.
        pub snapshot_ids: Vec<LighthouseSnapshotId> = "SnapshotIds" => DELETED_IDS,
    }

    /// The answer of [`DeleteSnapshots`].
    pub struct DeleteSnapshotsResponse("DeleteSnapshotsResponse"): output {
    }

    /// Renames a snapshot.
    pub struct ModifySnapshotAttribute("ModifySnapshotAttributeRequest"): input {
        /// The snapshot.
        pub snapshot_id: LighthouseSnapshotId = "SnapshotId",
        /// The new name, at most 60 characters.
        pub snapshot_name: Option<String> = "SnapshotName",
    }

    /// The answer of [`ModifySnapshotAttribute`].
    pub struct ModifySnapshotAttributeResponse("ModifySnapshotAttributeResponse"): output {
    }
}
