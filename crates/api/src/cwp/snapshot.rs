//! Snapshots of machines.

use crate::error_code::ErrorCode::InvalidParameterValue;
use crate::model::model;
use crate::schema::Rules;
use crate::time::DateTime;

/// `Quuids` of one call.
const QUUIDS: Rules = Rules::NONE.count_max(100, InvalidParameterValue);

/// 0: the latest; 1: all.
const TYPE: Rules = Rules::NONE.one_of(&[0, 1]);

/// A page's `Limit`.
const LIMIT: Rules = Rules::NONE.range(1, 100);

/// A page's `Offset`.
const OFFSET: Rules = Rules::NONE.range(0, i64::MAX);

model! {
    /// Lists the snapshots that fixes of machines have taken before them, newest first. Reference:
    /// `cwp/DescribeMachineSnapshot`.
    pub struct DescribeMachineSnapshot("DescribeMachineSnapshotRequest"): input {
        /// The machines, by their UUIDs.
        pub quuids: Vec<String> = "Quuids" => QUUIDS,
        /// 0: those of each machine's latest fix; 1: all.
        pub kind: u64 = "Type" => TYPE,
        /// How many to give, 1 to 100.
        pub limit: u64 = "Limit" => LIMIT,
        /// How many to skip.
        pub offset: u64 = "Offset" => OFFSET,
    }

    /// The answer of [`DescribeMachineSnapshot`].
    pub struct DescribeMachineSnapshotResponse("DescribeMachineSnapshotResponse"): output {
        /// This page.
        pub list: Vec<MachineSnapshotInfo> = "List",
        /// How many there are, on all pages.
        pub total_count: u64 = "TotalCount",
        /// Whether each of the machines has one of the last 24 hours.
        pub snapshot_check: bool = "SnapshotCheck",
    }

    /// A snapshot of a disk of a machine.
    pub struct MachineSnapshotInfo("MachineSnapshotInfo"): output {
        /// The UUID of the machine.
        pub quuid: String = "Quuid",
        /// The name of the machine.
        pub host_name: String = "HostName",
        /// Its address; empty where it is not known.
        pub host_ip: String = "HostIp",
        /// The name of the snapshot: what the fix was called.
        pub snapshot_name: String = "SnapshotName",
        /// When it was taken.
        pub create_time: DateTime = "CreateTime",
        /// The disk.
        pub disk_id: String = "DiskId",
        /// The machine.
        pub instance_id: String = "InstanceId",
        /// The number of the region.
        pub region_id: u64 = "RegionId",
        /// The snapshot.
        pub snapshot_id: String = "SnapshotId",
    }
}
