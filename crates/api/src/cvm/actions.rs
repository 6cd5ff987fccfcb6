//! The table of the actions of Cloud Virtual Machine.

use crate::action::product;

product! {
    "Cloud Virtual Machine", Cvm "cvm" "2017-03-12": CvmAction, CvmApi {
        CreateImage create_image -> CreateImageResponse, 10 per second,
            writes [Image(all), Instance("InstanceId"), Volume("DataDiskIds"), Snapshot("SnapshotIds")];
        DeleteImages delete_images -> DeleteImagesResponse, 10 per second,
            writes [Image("ImageIds")];
        DescribeImages describe_images -> DescribeImagesResponse, 40 per second,
            reads [Image("ImageIds" or all)];
        DescribeInstances describe_instances -> DescribeInstancesResponse, 40 per second,
            reads [Instance("InstanceIds" or all)];
        DescribeInstancesStatus describe_instances_status -> DescribeInstancesStatusResponse, 40 per second,
            reads [Instance("InstanceIds" or all)];
        DescribeRegions describe_regions -> DescribeRegionsResponse, 20 per second,
            reads [];
        DescribeZones describe_zones -> DescribeZonesResponse, 20 per second,
            reads [];
    }
}
