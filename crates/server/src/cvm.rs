//! Cloud Virtual Machine: what clients of block storage ask it.

mod image;
mod instance;
mod place;

use ashlar_api::cvm::{self, CvmAction, CvmApi};

use crate::service::handlers;

handlers! {
    CvmApi, CvmAction of cvm {
        image::create_image(CreateImage) -> CreateImageResponse;
        image::delete_images(DeleteImages) -> DeleteImagesResponse;
        image::describe_images(DescribeImages) -> DescribeImagesResponse;
        instance::describe_instances(DescribeInstances) -> DescribeInstancesResponse;
        instance::describe_instances_status(DescribeInstancesStatus) -> DescribeInstancesStatusResponse;
        place::describe_regions(DescribeRegions) -> DescribeRegionsResponse;
        place::describe_zones(DescribeZones) -> DescribeZonesResponse;
    }
}
