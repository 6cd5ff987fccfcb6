//! Lighthouse, version 2020-03-24: snapshots of the disks that its machines boot from.

mod actions;
mod errors;
mod snapshot;

pub(crate) use actions::dispatch;
pub use actions::{LighthouseAction, LighthouseApi};
pub use snapshot::{
    ApplyInstanceSnapshot, ApplyInstanceSnapshotResponse, CreateInstanceSnapshot,
    CreateInstanceSnapshotResponse, DeleteSnapshots, DeleteSnapshotsResponse, DescribeSnapshots,
    DescribeSnapshotsResponse, Filter, LatestOperation, LatestOperationState, ModifySnapshotAttribute,
    ModifySnapshotAttributeResponse, Snapshot,
};
