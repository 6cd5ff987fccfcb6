//! Copying snapshots to other regions.

use ashlar_types::{Region, SnapshotId};

use super::NAME;
use crate::encode::OrEmpty;
use crate::model::model;

model! {
    /// Begins to copy a snapshot to other regions. Reference: `cbs/CopySnapshotCrossRegions`.
    pub struct CopySnapshotCrossRegions("CopySnapshotCrossRegionsRequest"): input {
        /// Where to; at least one, each another region than the call's.
        pub destination_regions: Vec<Region> = "DestinationRegions",
        /// The snapshot, in state NORMAL.
        pub snapshot_id: Option<SnapshotId> = "SnapshotId",
        /// The name of the copies, at most 60 bytes. Default: `Copied SNAPSHOT from REGION`.
        pub snapshot_name: Option<String> = "SnapshotName" => NAME,
    }

    /// The answer of [`CopySnapshotCrossRegions`].
    pub struct CopySnapshotCrossRegionsResponse("CopySnapshotCrossRegionsResponse"): output {
        /// One entry a destination.
        pub snapshot_copy_result_set: Vec<SnapshotCopyResult> = "SnapshotCopyResultSet",
    }

    /// What became of one destination. Reference: `cbs/data-types`, `SnapshotCopyResult`.
    pub struct SnapshotCopyResult("SnapshotCopyResult"): output {
        /// The copy, which is under way; empty where there is none.
        pub snapshot_id: OrEmpty<SnapshotId> = "SnapshotId",
        /// Why there is none; else empty.
        pub message: String = "Message",
        /// `Success`, or an error code.
        pub code: String = "Code",
        /// The destination.
        pub destination_region: Region = "DestinationRegion",
    }
}
