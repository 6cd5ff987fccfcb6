//! Cloud Virtual Machine, version 2017-03-12: the few calls that clients of block storage make around it. Fields
//! that speak of what a registered machine is not known for are empty, as the service has them for such machines.

mod actions;
mod errors;
mod image;
mod instance;
mod place;

pub(crate) use actions::dispatch;
pub use actions::{CvmAction, CvmApi};
pub use image::{
    CreateImage, CreateImageResponse, DeleteImages, DeleteImagesResponse, DescribeImages,
    DescribeImagesResponse, Image, Snapshot, TagSpecification,
};
pub use instance::{
    CpuTopology, DataDisk, DescribeInstances, DescribeInstancesResponse, DescribeInstancesStatus,
    DescribeInstancesStatusResponse, GpuInfo, Instance, InstanceStatus, InternetAccessible, LoginSettings,
    Metadata, MetadataItem, Placement, SystemDisk, VirtualPrivateCloud,
};
pub use place::{
    DescribeRegions, DescribeRegionsResponse, DescribeZones, DescribeZonesResponse, RegionInfo, ZoneInfo,
};

use crate::schema::Rules;

/// A page's `Limit`: 1 to 100. The default, 20, is the callee's.
const LIMIT: Rules = Rules::NONE.range(1, 100);

/// A page's `Offset`.
const OFFSET: Rules = Rules::NONE.range(0, i64::MAX);
