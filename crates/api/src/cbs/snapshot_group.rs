//! Groups of snapshots that are taken at one moment.

use ashlar_types::{DiskId, SnapshotGroupId, SnapshotGroupState, SnapshotId, SnapshotPolicyId};

use super::filter::Filter;
use super::snapshot::Image;
use super::tag::Tag;
use super::{LIMIT, NAME, OFFSET};
use crate::model::model;
use crate::time::IsoDateTime;

model! {
    /// Takes snapshots of several disks of one instance at one moment.
    pub struct CreateSnapshotGroup("CreateSnapshotGroupRequest"): input {
        /// The disks; at least one, all attached to one instance.
        pub disk_ids: Vec<DiskId> = "DiskIds",
        /// The name of the group; its snapshots are called `NAME_0`, `NAME_1` and so on. Default: `Unnamed`.
        pub snapshot_group_name: Option<String> = "SnapshotGroupName" => NAME,
        /// Tags of the group and of its snapshots.
        pub tags: Option<Vec<Tag>> = "Tags",
    }

    /// The answer of [`CreateSnapshotGroup`].
    pub struct CreateSnapshotGroupResponse("CreateSnapshotGroupResponse"): output {
        /// The new group.
        pub snapshot_group_id: SnapshotGroupId = "SnapshotGroupId",
    }

    /// Lists groups of snapshots, newest first.
    pub struct DescribeSnapshotGroups("DescribeSnapshotGroupsRequest"): input {
        /// Only what meets all of these conditions.
        pub filters: Option<Vec<Filter>> = "Filters",
        /// How many to skip. Default: 0.
        pub offset: Option<u64> = "Offset" => OFFSET,
        /// How many to give, 1 to 100. Default: 20.
        pub limit: Option<u64> = "Limit" => LIMIT,
    }

    /// The answer of [`DescribeSnapshotGroups`].
    pub struct DescribeSnapshotGroupsResponse("DescribeSnapshotGroupsResponse"): output {
        /// How many groups meet the conditions, on all pages.
        pub total_count: u64 = "TotalCount",
        /// This page.
        pub snapshot_group_set: Vec<SnapshotGroup> = "SnapshotGroupSet",
    }

    /// Rolls disks back to their snapshots of a group, at one moment.
    pub struct ApplySnapshotGroup("ApplySnapshotGroupRequest"): input {
        /// A group in state NORMAL.
        pub snapshot_group_id: SnapshotGroupId = "SnapshotGroupId",
        /// All or some of its snapshots, each with the disk that it was taken from.
        pub apply_disks: Vec<ApplyDisk> = "ApplyDisks",
        /// Shut the instance down first. Default: false.
        pub auto_stop_instance: Option<bool> = "AutoStopInstance",
        /// Start the instance afterwards; only together with the other. Default: false.
        pub auto_start_instance: Option<bool> = "AutoStartInstance",
    }

    /// A snapshot of a group and its disk.
    pub struct ApplyDisk("ApplyDisk"): input {
        /// The snapshot.
        pub snapshot_id: SnapshotId = "SnapshotId",
        /// The disk that it was taken from.
        pub disk_id: DiskId = "DiskId",
    }

    /// The answer of [`ApplySnapshotGroup`].
    pub struct ApplySnapshotGroupResponse("ApplySnapshotGroupResponse"): output {
    }

    /// Deletes groups with all their snapshots, all or none. The two lists of ids are taken together.
    pub struct DeleteSnapshotGroup("DeleteSnapshotGroupRequest"): input {
        /// A group.
        pub snapshot_group_id: Option<SnapshotGroupId> = "SnapshotGroupId",
        /// More groups.
        pub snapshot_group_ids: Option<Vec<SnapshotGroupId>> = "SnapshotGroupIds",
        /// Delete the images made of them too. Default: false.
        pub delete_bind_images: Option<bool> = "DeleteBindImages",
    }

    /// The answer of [`DeleteSnapshotGroup`].
    pub struct DeleteSnapshotGroupResponse("DeleteSnapshotGroupResponse"): output {
    }

    /// A group of snapshots.
    pub struct SnapshotGroup("SnapshotGroup"): output {
        /// Its id.
        pub snapshot_group_id: SnapshotGroupId = "SnapshotGroupId",
        /// `NORMAL`, the only kind that the description names.
        pub snapshot_group_type: String = "SnapshotGroupType",
        /// Whether it has the snapshot of a system disk.
        pub contain_root_snapshot: bool = "ContainRootSnapshot",
        /// Its snapshots.
        pub snapshot_id_set: Vec<SnapshotId> = "SnapshotIdSet",
        /// Where it is in its life.
        pub snapshot_group_state: SnapshotGroupState = "SnapshotGroupState",
        /// How much of it is taken, 0 to 100.
        pub percent: u64 = "Percent",
        /// When it was taken.
        pub create_time: IsoDateTime = "CreateTime",
        /// When it was last changed.
        pub modify_time: IsoDateTime = "ModifyTime",
        /// The images made of it.
        pub images: Vec<Image> = "Images",
        /// Its name.
        pub snapshot_group_name: String = "SnapshotGroupName",
        /// How many images are made of it.
        pub image_count: u64 = "ImageCount",
        /// Whether it is kept for ever.
        pub is_permanent: bool = "IsPermanent",
        /// When it will be deleted; null for a permanent one.
        pub deadline_time: Option<IsoDateTime> = "DeadlineTime",
        /// The policy that took it; null where a person did.
        pub auto_snapshot_policy_id: Option<SnapshotPolicyId> = "AutoSnapshotPolicyId",
    }
}
