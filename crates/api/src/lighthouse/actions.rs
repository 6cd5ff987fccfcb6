//! The table of the actions of Lighthouse.

use crate::action::product;

product! {
    "Lighthouse", Lighthouse "lighthouse" "2020-03-24": LighthouseAction, LighthouseApi {
        ApplyInstanceSnapshot apply_instance_snapshot -> ApplyInstanceSnapshotResponse, 20 per second,
            sensitive [LighthouseInstance("InstanceId"), LighthouseSnapshot("SnapshotId")];
        CreateInstanceSnapshot create_instance_snapshot -> CreateInstanceSnapshotResponse, 20 per second,
            writes [LighthouseInstance("InstanceId"), LighthouseSnapshot(all)];
        DeleteSnapshots delete_snapshots -> DeleteSnapshotsResponse, 20 per second,
            sensitive [LighthouseSnapshot("SnapshotIds")];
        DescribeSnapshots describe_snapshots -> DescribeSnapshotsResponse, 20 per second,
            reads [LighthouseSnapshot("SnapshotIds" or all)];
        ModifySnapshotAttribute modify_snapshot_attribute -> ModifySnapshotAttributeResponse, 20 per second,
            writes [LighthouseSnapshot("SnapshotId")];
    }
}
