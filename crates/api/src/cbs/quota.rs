//! What disks can be had.

use ashlar_types::{DiskChargeType, DiskType, DiskUsage, Zone};

use super::choice::InquiryType;
use super::price::Price;
use crate::model::model;

model! {
    /// Lists the disk configurations that can be had. Reference: `cbs/DescribeDiskConfigQuota`.
    pub struct DescribeDiskConfigQuota("DescribeDiskConfigQuotaRequest"): input {
        /// Disks alone, or disks with instances.
        pub inquiry_type: InquiryType = "InquiryType",
        /// Only these zones.
        pub zones: Option<Vec<Zone>> = "Zones",
        /// Only this way of paying.
        pub disk_charge_type: Option<DiskChargeType> = "DiskChargeType",
        /// Only these media.
        pub disk_types: Option<Vec<DiskType>> = "DiskTypes",
        /// Only system disks, or only data disks.
        pub disk_usage: Option<DiskUsage> = "DiskUsage",
        /// Only instances of these families.
        pub instance_families: Option<Vec<String>> = "InstanceFamilies",
        /// Only instances with this many cores.
        pub cpu: Option<u64> = "CPU",
        /// Only instances with this much memory, in GB.
        pub memory: Option<u64> = "Memory",
        /// Only this dedicated cluster.
        pub dedicated_cluster_id: Option<String> = "DedicatedClusterId",
    }

    /// The answer of [`DescribeDiskConfigQuota`].
    pub struct DescribeDiskConfigQuotaResponse("DescribeDiskConfigQuotaResponse"): output {
        /// One entry a combination of zone, medium, usage and way of paying.
        pub disk_config_set: Vec<DiskConfig> = "DiskConfigSet",
    }

    /// A disk configuration. Reference: `cbs/data-types`, `DiskConfig`.
    pub struct DiskConfig("DiskConfig"): output {
        /// Whether it can be had now.
        pub available: bool = "Available",
        /// How it is paid for.
        pub disk_charge_type: DiskChargeType = "DiskChargeType",
        /// Where it can be had.
        pub zone: Zone = "Zone",
        /// The instance family it fits, where instances were asked for.
        pub instance_family: Option<String> = "InstanceFamily",
        /// The medium.
        pub disk_type: DiskType = "DiskType",
        /// The step between sizes, in GB.
        pub step_size: u64 = "StepSize",
        /// Least and greatest extra performance in MB/s, where the medium has it.
        pub extra_performance_range: Option<Vec<i64>> = "ExtraPerformanceRange",
        /// The instance model it fits, where instances were asked for.
        pub device_class: Option<String> = "DeviceClass",
        /// System disk or data disk.
        pub disk_usage: DiskUsage = "DiskUsage",
        /// The least size in GB.
        pub min_disk_size: u64 = "MinDiskSize",
        /// The greatest size in GB.
        pub max_disk_size: u64 = "MaxDiskSize",
        /// What the least size costs, where prices are kept.
        pub price: Option<Price> = "Price",
    }
}
