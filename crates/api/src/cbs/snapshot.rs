//! Snapshots.

use ashlar_types::{
    DiskBackupId, DiskId, DiskUsage, Region, SnapshotId, SnapshotPolicyId, SnapshotState, SnapshotType,
};

use super::choice::{Order, SnapshotMode, SnapshotOrderField};
use super::filter::Filter;
use super::placement::PlacementOutput;
use super::tag::Tag;
use super::{LIMIT, NAME, OFFSET};
use crate::encode::OrEmpty;
use crate::model::model;
use crate::time::{Date, DateTime, IsoDateTime};

model! {
    /// Takes a snapshot of a disk. Reference: `cbs/CreateSnapshot` and its newer page, which makes `DiskId`
    /// optional beside `DiskBackupId`.
    pub struct CreateSnapshot("CreateSnapshotRequest"): input {
        /// The disk.
        pub disk_id: Option<DiskId> = "DiskId",
        /// At most 60 bytes. Default: `Unnamed`.
        pub snapshot_name: Option<String> = "SnapshotName" => NAME,
        /// When the snapshot shall be deleted. Default: never.
        pub deadline: Option<IsoDateTime> = "Deadline",
        /// A backup point to make the snapshot from.
        pub disk_backup_id: Option<DiskBackupId> = "DiskBackupId",
        /// Tags of the new snapshot.
        pub tags: Option<Vec<Tag>> = "Tags",
        /// Whether the snapshot shall lie in the disk's own pool.
        pub local_snap: Option<bool> = "LocalSnap",
        /// What kind of disk the snapshot shall stand for. Default: the disk's own kind.
        pub disk_usage: Option<DiskUsage> = "DiskUsage",
    }

    /// The answer of [`CreateSnapshot`].
    pub struct CreateSnapshotResponse("CreateSnapshotResponse"): output {
        /// The new snapshot.
        pub snapshot_id: SnapshotId = "SnapshotId",
    }

    /// Lists snapshots, newest first. Reference: `cbs/DescribeSnapshots`. `SnapshotIds` and `Filters`
    /// exclude each other.
    pub struct DescribeSnapshots("DescribeSnapshotsRequest"): input {
        /// Only these snapshots.
        pub snapshot_ids: Option<Vec<SnapshotId>> = "SnapshotIds",
        /// Only what meets all of these conditions.
        pub filters: Option<Vec<Filter>> = "Filters",
        /// How many to skip. Default: 0.
        pub offset: Option<u64> = "Offset" => OFFSET,
        /// How many to give, 1 to 100. Default: 20.
        pub limit: Option<u64> = "Limit" => LIMIT,
        /// The direction. Default: descending.
        pub order: Option<Order> = "Order",
        /// What to sort by. Default: the time of creation.
        pub order_field: Option<SnapshotOrderField> = "OrderField",
    }

    /// The answer of [`DescribeSnapshots`].
    pub struct DescribeSnapshotsResponse("DescribeSnapshotsResponse"): output {
        /// How many snapshots meet the conditions, on all pages.
        pub total_count: u64 = "TotalCount",
        /// This page.
        pub snapshot_set: Vec<Snapshot> = "SnapshotSet",
    }

    /// Renames a snapshot, or changes how long it is kept. Reference: `cbs/ModifySnapshotAttribute`.
    pub struct ModifySnapshotAttribute("ModifySnapshotAttributeRequest"): input {
        /// The snapshot.
        pub snapshot_id: SnapshotId = "SnapshotId",
        /// The new name, at most 60 bytes.
        pub snapshot_name: Option<String> = "SnapshotName" => NAME,
        /// True keeps it for ever.
        pub is_permanent: Option<bool> = "IsPermanent",
        /// When it shall be deleted; makes it not permanent.
        pub deadline: Option<IsoDateTime> = "Deadline",
    }

    /// The answer of [`ModifySnapshotAttribute`].
    pub struct ModifySnapshotAttributeResponse("ModifySnapshotAttributeResponse"): output {
    }

    /// Rolls a snapshot back onto the disk it was taken from. Reference: `cbs/ApplySnapshot`. The disk must
    /// be unattached, or its instance shut down.
    pub struct ApplySnapshot("ApplySnapshotRequest"): input {
        /// A snapshot in state NORMAL.
        pub snapshot_id: SnapshotId = "SnapshotId",
        /// The disk that the snapshot was taken from.
        pub disk_id: DiskId = "DiskId",
        /// Shut the instance down first. Default: false.
        pub auto_stop_instance: Option<bool> = "AutoStopInstance",
        /// Start the instance afterwards. Default: false.
        pub auto_start_instance: Option<bool> = "AutoStartInstance",
    }

    /// The answer of [`ApplySnapshot`].
    pub struct ApplySnapshotResponse("ApplySnapshotResponse"): output {
    }

    /// Deletes snapshots, all or none. Reference: `cbs/DeleteSnapshots`.
    pub struct DeleteSnapshots("DeleteSnapshotsRequest"): input {
        /// The snapshots; at least one, each in state NORMAL.
        pub snapshot_ids: Vec<SnapshotId> = "SnapshotIds",
        /// Delete the images made of them too. Default: false.
        pub delete_bind_images: Option<bool> = "DeleteBindImages",
    }

    /// The answer of [`DeleteSnapshots`].
    pub struct DeleteSnapshotsResponse("DeleteSnapshotsResponse"): output {
    }

    /// Sums up the snapshots of an account in a region. Reference: `cbs/GetSnapOverview`.
    pub struct GetSnapOverview("GetSnapOverviewRequest"): input {
    }

    /// The answer of [`GetSnapOverview`].
    pub struct GetSnapOverviewResponse("GetSnapOverviewResponse"): output {
        /// What all snapshots hold, in GB.
        pub total_size: f64 = "TotalSize",
        /// What of it is billed, in GB.
        pub real_trade_size: f64 = "RealTradeSize",
        /// What of it is free, in GB.
        pub free_quota: f64 = "FreeQuota",
        /// How many snapshots there are.
        pub total_nums: i64 = "TotalNums",
    }

    /// Sums up the snapshots of an account in a region. Newer than the reference pages.
    pub struct DescribeSnapshotOverview("DescribeSnapshotOverviewRequest"): input {
    }

    /// The answer of [`DescribeSnapshotOverview`].
    pub struct DescribeSnapshotOverviewResponse("DescribeSnapshotOverviewResponse"): output {
        /// How many snapshots there are.
        pub total_nums: u64 = "TotalNums",
        /// What all snapshots hold, in GB.
        pub total_size: f64 = "TotalSize",
        /// What of it is free, in GB.
        pub free_quota: f64 = "FreeQuota",
        /// What of it is billed, in GB.
        pub real_trade_size: f64 = "RealTradeSize",
    }

    /// A snapshot. Reference: `cbs/data-types`, `Snapshot`; the last four fields are newer than that page.
    pub struct Snapshot("Snapshot"): output {
        /// Where it lies.
        pub placement: PlacementOutput = "Placement",
        /// Whether it was copied from another region.
        pub copy_from_remote: bool = "CopyFromRemote",
        /// Where it is in its life.
        pub snapshot_state: SnapshotState = "SnapshotState",
        /// Whether it is kept for ever.
        pub is_permanent: bool = "IsPermanent",
        /// Its name.
        pub snapshot_name: String = "SnapshotName",
        /// When it will be deleted; empty for a permanent one.
        pub deadline_time: OrEmpty<DateTime> = "DeadlineTime",
        /// How much of it is taken, 0 to 100.
        pub percent: u64 = "Percent",
        /// The images made of it.
        pub images: Vec<Image> = "Images",
        /// With how many accounts it is shared.
        pub share_reference: u64 = "ShareReference",
        /// The owner's own, or shared with the caller.
        pub snapshot_type: SnapshotType = "SnapshotType",
        /// The size of its disk in GB.
        pub disk_size: u64 = "DiskSize",
        /// The disk it was taken from; empty for a copy from another region.
        pub disk_id: OrEmpty<DiskId> = "DiskId",
        /// The regions it is being copied to.
        pub copying_to_regions: Vec<Region> = "CopyingToRegions",
        /// Whether its disk is encrypted.
        pub encrypt: bool = "Encrypt",
        /// When it was taken.
        pub create_time: DateTime = "CreateTime",
        /// How many images are made of it.
        pub image_count: u64 = "ImageCount",
        /// What its disk was to its instance.
        pub disk_usage: DiskUsage = "DiskUsage",
        /// Its id.
        pub snapshot_id: SnapshotId = "SnapshotId",
        /// Since when it is shared; empty where it is not.
        pub time_start_share: OrEmpty<Date> = "TimeStartShare",
        /// Its tags.
        pub tags: Vec<Tag> = "Tags",
        /// Whether it is locked against deletion.
        pub is_locked: bool = "IsLocked",
        /// When it was last changed.
        pub latest_modify_time: IsoDateTime = "LatestModifyTime",
        /// The policy that took it; empty where a person did.
        pub auto_snapshot_policy_id: OrEmpty<SnapshotPolicyId> = "AutoSnapshotPolicyId",
        /// Where its data lies.
        pub snapshot_mode: SnapshotMode = "SnapshotMode",
    }

    /// An image made of a snapshot. Reference: `cbs/data-types`, `Image`.
    pub struct Image("Image"): output {
        /// The image.
        pub image_id: String = "ImageId",
        /// Its name.
        pub image_name: String = "ImageName",
    }
}
