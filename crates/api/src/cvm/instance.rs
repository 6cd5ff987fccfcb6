//! Machines.

use ashlar_types::{DiskChargeType, DiskId, DiskType, InstanceId, ProjectId, Zone};

use super::{LIMIT, OFFSET};
use crate::cbs::{Filter, Tag};
use crate::encode::Absent;
use crate::model::model;

model! {
    /// Lists machines, newest first.
    pub struct DescribeInstances("DescribeInstancesRequest"): input {
        /// Only these machines.
        pub instance_ids: Option<Vec<InstanceId>> = "InstanceIds",
        /// Only what meets all of these conditions.
        pub filters: Option<Vec<Filter>> = "Filters",
        /// How many to skip. Default: 0.
        pub offset: Option<u64> = "Offset" => OFFSET,
        /// How many to give, 1 to 100. Default: 20.
        pub limit: Option<u64> = "Limit" => LIMIT,
    }

    /// The answer of [`DescribeInstances`].
    pub struct DescribeInstancesResponse("DescribeInstancesResponse"): output {
        /// How many machines meet the conditions, on all pages.
        pub total_count: i64 = "TotalCount",
        /// This page.
        pub instance_set: Vec<Instance> = "InstanceSet",
    }

    /// Lists machines with their states, newest first.
    pub struct DescribeInstancesStatus("DescribeInstancesStatusRequest"): input {
        /// Only these machines.
        pub instance_ids: Option<Vec<InstanceId>> = "InstanceIds",
        /// How many to skip. Default: 0.
        pub offset: Option<u64> = "Offset" => OFFSET,
        /// How many to give, 1 to 100. Default: 20.
        pub limit: Option<u64> = "Limit" => LIMIT,
    }

    /// The answer of [`DescribeInstancesStatus`].
    pub struct DescribeInstancesStatusResponse("DescribeInstancesStatusResponse"): output {
        /// How many machines there are, on all pages.
        pub total_count: i64 = "TotalCount",
        /// This page.
        pub instance_status_set: Vec<InstanceStatus> = "InstanceStatusSet",
    }

    /// The state of a machine.
    pub struct InstanceStatus("InstanceStatus"): output {
        /// The machine.
        pub instance_id: InstanceId = "InstanceId",
        /// `RUNNING`: nothing here stops a machine.
        pub instance_state: String = "InstanceState",
    }

    /// A machine.
    pub struct Instance("Instance"): output {
        /// Where it stands.
        pub placement: Placement = "Placement",
        /// Its id.
        pub instance_id: InstanceId = "InstanceId",
        /// The size of the machine; not known here.
        pub instance_type: String = "InstanceType",
        /// Its processors; not known here.
        pub cpu: i64 = "CPU",
        /// Its memory in GB; not known here.
        pub memory: i64 = "Memory",
        /// `NORMAL`.
        pub restrict_state: String = "RestrictState",
        /// Its name.
        pub instance_name: String = "InstanceName",
        /// How it is paid.
        pub instance_charge_type: DiskChargeType = "InstanceChargeType",
        /// The disk that it boots from.
        pub system_disk: SystemDisk = "SystemDisk",
        /// Its other disks.
        pub data_disks: Vec<DataDisk> = "DataDisks",
        /// Its IPv4 address, where it is known.
        pub private_ip_addresses: Vec<String> = "PrivateIpAddresses",
        /// Its public addresses; not known here.
        pub public_ip_addresses: Option<Vec<String>> = "PublicIpAddresses",
        /// Its way into the Internet; not known here.
        pub internet_accessible: InternetAccessible = "InternetAccessible",
        /// Its network; not known here.
        pub virtual_private_cloud: VirtualPrivateCloud = "VirtualPrivateCloud",
        /// The image that it was made of; not known here.
        pub image_id: String = "ImageId",
        /// What happens when its paid time ends.
        pub renew_flag: String = "RenewFlag",
        /// When it was registered, in UTC.
        pub created_time: String = "CreatedTime",
        /// When its paid time ends; empty.
        pub expired_time: String = "ExpiredTime",
        /// Its operating system; not known here.
        pub os_name: String = "OsName",
        /// Its security groups.
        pub security_group_ids: Vec<String> = "SecurityGroupIds",
        /// How people log in; not known here.
        pub login_settings: LoginSettings = "LoginSettings",
        /// `RUNNING`.
        pub instance_state: String = "InstanceState",
        /// Its tags.
        pub tags: Vec<Tag> = "Tags",
        /// Whether it costs while it is off.
        pub stop_charging_mode: String = "StopChargingMode",
        /// Its UUID.
        pub uuid: String = "Uuid",
        /// What was done to it last.
        pub latest_operation: Option<String> = "LatestOperation",
        /// How that ended.
        pub latest_operation_state: Option<String> = "LatestOperationState",
        /// The request that asked for it.
        pub latest_operation_request_id: Option<String> = "LatestOperationRequestId",
        /// Its placement group.
        pub disaster_recover_group_id: String = "DisasterRecoverGroupId",
        /// Its IPv6 address, where it is known.
        pub ipv6_addresses: Option<Vec<String>> = "IPv6Addresses",
        /// Its role.
        pub cam_role_name: Option<String> = "CamRoleName",
        /// Its cluster.
        pub hpc_cluster_id: String = "HpcClusterId",
        /// Its RDMA addresses.
        pub rdma_ip_addresses: Option<Vec<String>> = "RdmaIpAddresses",
        /// The dedicated cluster that it is in.
        pub dedicated_cluster_id: String = "DedicatedClusterId",
        /// Why it is isolated.
        pub isolated_source: String = "IsolatedSource",
        /// Its placement groups.
        pub disaster_recover_group_ids: Vec<String> = "DisasterRecoverGroupIds",
        /// Its graphics processors.
        pub gpu_info: Absent<GpuInfo> = "GPUInfo",
        /// Who brings the licence.
        pub license_type: String = "LicenseType",
        /// Whether calls may not remove it: machines are removed by the operator.
        pub disable_api_termination: bool = "DisableApiTermination",
        /// Its host name; not known here.
        pub host_name: String = "HostName",
        /// Who logs in.
        pub default_login_user: String = "DefaultLoginUser",
        /// Through which port.
        pub default_login_port: i64 = "DefaultLoginPort",
        /// Why the last operation failed.
        pub latest_operation_error_msg: Option<String> = "LatestOperationErrorMsg",
        /// Whether it has large frames.
        pub enable_jumbo_frame: Absent<bool> = "EnableJumboFrame",
        /// What its owner noted.
        pub metadata: Absent<Metadata> = "Metadata",
        /// Its public IPv6 addresses.
        pub public_ipv6_addresses: Absent<Vec<String>> = "PublicIPv6Addresses",
        /// Its processors in detail.
        pub cpu_topology: Absent<CpuTopology> = "CpuTopology",
        /// Its partition.
        pub partition_number: Absent<i64> = "PartitionNumber",
    }

    /// Where a machine stands.
    pub struct Placement("Placement"): output {
        /// The zone.
        pub zone: Zone = "Zone",
        /// The project.
        pub project_id: ProjectId = "ProjectId",
        /// Dedicated hosts: there are none.
        pub host_ids: Absent<Vec<String>> = "HostIds",
        /// Its dedicated host.
        pub host_id: Absent<String> = "HostId",
        /// How reserved resources are used.
        pub dedicated_resource_pack_tenancy: Absent<String> = "DedicatedResourcePackTenancy",
        /// The reserved resources.
        pub dedicated_resource_pack_ids: Absent<Vec<String>> = "DedicatedResourcePackIds",
        /// Its rack.
        pub rack_id: Absent<String> = "RackId",
    }

    /// The disk that a machine boots from.
    pub struct SystemDisk("SystemDisk"): output {
        /// The medium; empty where the disk lies elsewhere.
        pub disk_type: crate::encode::OrEmpty<DiskType> = "DiskType",
        /// The disk; left out where it lies elsewhere.
        pub disk_id: Absent<DiskId> = "DiskId",
        /// Its size in GB.
        pub disk_size: i64 = "DiskSize",
        /// Its dedicated cluster: there are none.
        pub cdc_id: Option<String> = "CdcId",
        /// Its name.
        pub disk_name: Absent<String> = "DiskName",
        /// Whether it is encrypted.
        pub encrypt: bool = "Encrypt",
        /// The key that wraps its key.
        pub kms_key_id: String = "KmsKeyId",
    }

    /// Another disk of a machine.
    pub struct DataDisk("DataDisk"): output {
        /// Its size in GB.
        pub disk_size: i64 = "DiskSize",
        /// The medium.
        pub disk_type: DiskType = "DiskType",
        /// The disk.
        pub disk_id: DiskId = "DiskId",
        /// Whether it goes with the machine.
        pub delete_with_instance: bool = "DeleteWithInstance",
        /// The snapshot that it was made from.
        pub snapshot_id: Absent<String> = "SnapshotId",
        /// Whether it is encrypted.
        pub encrypt: bool = "Encrypt",
        /// The key that wraps its key.
        pub kms_key_id: Option<String> = "KmsKeyId",
        /// Throughput beyond the baseline in MiB/s.
        pub throughput_performance: Option<i64> = "ThroughputPerformance",
        /// Its dedicated cluster: there are none.
        pub cdc_id: Option<String> = "CdcId",
        /// Whether it may go beyond its baseline.
        pub burst_performance: bool = "BurstPerformance",
        /// Its name.
        pub disk_name: String = "DiskName",
    }

    /// A machine's way into the Internet; not known here.
    pub struct InternetAccessible("InternetAccessible"): output {
        /// How it is paid.
        pub internet_charge_type: String = "InternetChargeType",
        /// Its bandwidth in Mbit/s.
        pub internet_max_bandwidth_out: i64 = "InternetMaxBandwidthOut",
        /// Whether it has a public address.
        pub public_ip_assigned: Absent<bool> = "PublicIpAssigned",
        /// Its bandwidth package.
        pub bandwidth_package_id: Absent<String> = "BandwidthPackageId",
        /// Its provider.
        pub internet_service_provider: Absent<String> = "InternetServiceProvider",
        /// The kind of its IPv4 address.
        pub ipv4_address_type: Absent<String> = "IPv4AddressType",
        /// The kind of its IPv6 address.
        pub ipv6_address_type: Absent<String> = "IPv6AddressType",
        /// Its shield against floods.
        pub anti_ddos_package_id: Absent<String> = "AntiDDoSPackageId",
    }

    /// A machine's network; not known here.
    pub struct VirtualPrivateCloud("VirtualPrivateCloud"): output {
        /// The network.
        pub vpc_id: String = "VpcId",
        /// The part of it.
        pub subnet_id: String = "SubnetId",
        /// Whether the machine is its gateway.
        pub as_vpc_gateway: bool = "AsVpcGateway",
        /// The machine's addresses in it.
        pub private_ip_addresses: Absent<Vec<String>> = "PrivateIpAddresses",
        /// How many IPv6 addresses it has.
        pub ipv6_address_count: Absent<u64> = "Ipv6AddressCount",
    }

    /// How people log in; not known here, and never a password.
    pub struct LoginSettings("LoginSettings"): output {
        /// Left out.
        pub password: Absent<String> = "Password",
        /// The keys.
        pub key_ids: Option<Vec<String>> = "KeyIds",
        /// Whether the image's own way is kept.
        pub keep_image_login: Absent<String> = "KeepImageLogin",
    }

    /// Graphics processors.
    pub struct GpuInfo("GPUInfo"): output {
        /// How many.
        pub gpu_count: f64 = "GPUCount",
        /// Their addresses.
        pub gpu_id: Vec<String> = "GPUId",
        /// Their kind.
        pub gpu_type: String = "GPUType",
    }

    /// What an owner noted.
    pub struct Metadata("Metadata"): output {
        /// The notes.
        pub items: Absent<Vec<MetadataItem>> = "Items",
    }

    /// One note.
    pub struct MetadataItem("MetadataItem"): output {
        /// Its key.
        pub key: Absent<String> = "Key",
        /// Its value.
        pub value: Absent<String> = "Value",
    }

    /// Processors in detail.
    pub struct CpuTopology("CpuTopology"): output {
        /// Cores.
        pub core_count: Option<i64> = "CoreCount",
        /// Threads of each.
        pub thread_per_core: Option<i64> = "ThreadPerCore",
    }
}
