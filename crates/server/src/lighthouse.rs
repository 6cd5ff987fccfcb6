//! Lighthouse: snapshots of the disks that its machines boot from.

mod snapshot;

use ashlar_api::lighthouse::{self, LighthouseAction, LighthouseApi};

use crate::service::handlers;

handlers! {
    LighthouseApi, LighthouseAction of lighthouse {
        snapshot::apply_instance_snapshot(ApplyInstanceSnapshot) -> ApplyInstanceSnapshotResponse;
        snapshot::create_instance_snapshot(CreateInstanceSnapshot) -> CreateInstanceSnapshotResponse;
        snapshot::delete_snapshots(DeleteSnapshots) -> DeleteSnapshotsResponse;
        snapshot::describe_snapshots(DescribeSnapshots) -> DescribeSnapshotsResponse;
        snapshot::modify_snapshot_attribute(ModifySnapshotAttribute) -> ModifySnapshotAttributeResponse;
    }
}
