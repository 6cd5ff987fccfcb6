//! Images made of snapshots.

use ashlar_types::{DiskId, DiskUsage, ImageId, InstanceId, SnapshotId};

use super::{LIMIT, OFFSET};
use crate::cbs::{Filter, Tag};
use crate::model::model;

model! {
    /// Makes an image of snapshots, one of a system disk among them.
    pub struct CreateImage("CreateImageRequest"): input {
        /// At most 60 characters, one image of each name.
        pub image_name: String = "ImageName",
        /// The machine to make it of; here an image is made of snapshots.
        pub instance_id: Option<InstanceId> = "InstanceId",
        /// At most 256 characters.
        pub image_description: Option<String> = "ImageDescription",
        /// Whether the machine is shut down before.
        pub force_poweroff: Option<String> = "ForcePoweroff",
        /// Whether Windows forgets what is of one machine alone.
        pub sysprep: Option<String> = "Sysprep",
        /// The machine's data disks that are taken too.
        pub data_disk_ids: Option<Vec<DiskId>> = "DataDiskIds",
        /// The snapshots.
        pub snapshot_ids: Option<Vec<SnapshotId>> = "SnapshotIds",
        /// Only check the call.
        pub dry_run: Option<bool> = "DryRun",
        /// Tags of the image.
        pub tag_specification: Option<Vec<TagSpecification>> = "TagSpecification",
        /// The family that it is counted to.
        pub image_family: Option<String> = "ImageFamily",
    }

    /// The answer of [`CreateImage`].
    pub struct CreateImageResponse("CreateImageResponse"): output {
        /// The new image; empty where the call was only checked.
        pub image_id: crate::encode::OrEmpty<ImageId> = "ImageId",
    }

    /// Tags for resources of one kind.
    pub struct TagSpecification("TagSpecification"): input {
        /// The kind: `image`.
        pub resource_type: String = "ResourceType",
        /// The tags.
        pub tags: Vec<Tag> = "Tags",
    }

    /// Lists images, newest first.
    pub struct DescribeImages("DescribeImagesRequest"): input {
        /// Only these images.
        pub image_ids: Option<Vec<ImageId>> = "ImageIds",
        /// Only what meets all of these conditions.
        pub filters: Option<Vec<Filter>> = "Filters",
        /// How many to skip. Default: 0.
        pub offset: Option<u64> = "Offset" => OFFSET,
        /// How many to give, 1 to 100. Default: 20.
        pub limit: Option<u64> = "Limit" => LIMIT,
        /// Only images for machines of this type; here each image is for all.
        pub instance_type: Option<String> = "InstanceType",
    }

    /// The answer of [`DescribeImages`].
    pub struct DescribeImagesResponse("DescribeImagesResponse"): output {
        /// This page.
        pub image_set: Vec<Image> = "ImageSet",
        /// How many images meet the conditions, on all pages.
        pub total_count: i64 = "TotalCount",
    }

    /// An image.
    pub struct Image("Image"): output {
        /// Its id.
        pub image_id: ImageId = "ImageId",
        /// The operating system; not known here.
        pub os_name: String = "OsName",
        /// `PRIVATE_IMAGE`.
        pub image_type: String = "ImageType",
        /// When it was made, in UTC.
        pub created_time: String = "CreatedTime",
        /// Its name.
        pub image_name: String = "ImageName",
        /// What its owner says about it.
        pub image_description: String = "ImageDescription",
        /// The size of its system disk in GB.
        pub image_size: i64 = "ImageSize",
        /// The processors that it is for; not known here.
        pub architecture: String = "Architecture",
        /// `NORMAL`.
        pub image_state: String = "ImageState",
        /// The operating system's family; not known here.
        pub platform: String = "Platform",
        /// The account that made it.
        pub image_creator: String = "ImageCreator",
        /// `CREATE_IMAGE`.
        pub image_source: String = "ImageSource",
        /// How far a copy to another region is: there are none.
        pub sync_percent: Option<i64> = "SyncPercent",
        /// Whether it has cloud-init; not known here.
        pub is_support_cloudinit: bool = "IsSupportCloudinit",
        /// What it is made of.
        pub snapshot_set: Vec<Snapshot> = "SnapshotSet",
        /// Its tags.
        pub tags: Vec<Tag> = "Tags",
        /// Who brings the licence; not known here.
        pub license_type: String = "LicenseType",
        /// The family that it is counted to.
        pub image_family: crate::encode::Absent<String> = "ImageFamily",
        /// Whether it is on its way out.
        pub image_deprecated: bool = "ImageDeprecated",
        /// Whether a dedicated cluster holds it: there are none.
        pub cdc_cache_status: String = "CdcCacheStatus",
    }

    /// A snapshot that an image is made of.
    pub struct Snapshot("Snapshot"): output {
        /// The snapshot.
        pub snapshot_id: SnapshotId = "SnapshotId",
        /// System or data disk.
        pub disk_usage: DiskUsage = "DiskUsage",
        /// The size of its disk in GB.
        pub disk_size: i64 = "DiskSize",
    }

    /// Deletes images, all or none.
    pub struct DeleteImages("DeleteImagesRequest"): input {
        /// The images; at least one.
        pub image_ids: Vec<ImageId> = "ImageIds",
        /// Delete their snapshots too. Default: false.
        pub delete_binded_snap: Option<bool> = "DeleteBindedSnap",
        /// Only check the call.
        pub dry_run: Option<bool> = "DryRun",
    }

    /// The answer of [`DeleteImages`].
    pub struct DeleteImagesResponse("DeleteImagesResponse"): output {
    }
}
