//! Machines. An operator registers them; what nobody told about them is empty.

use std::net::IpAddr;

use ashlar_api::cvm::{
    DataDisk, DescribeInstances, DescribeInstancesResponse, DescribeInstancesStatus,
    DescribeInstancesStatusResponse, Instance, InstanceStatus, InternetAccessible, LoginSettings, Placement,
    SystemDisk, VirtualPrivateCloud,
};
use ashlar_api::{Absent, OrEmpty};
use ashlar_control::{Caller, Control, Disk, InstanceView, instance_uuid};
use ashlar_types::{DiskChargeType, DiskUsage, ProjectId};

use crate::service::{Handled, pack};

const RUNNING: &str = "RUNNING";

pub(super) async fn describe_instances(
    control: &Control,
    caller: &Caller,
    request: DescribeInstances,
) -> Handled<DescribeInstancesResponse> {
    let wanted = ashlar_control::DescribeInstances {
        instances: request.instance_ids.unwrap_or_default(),
        filters: pack::filters(request.filters),
        offset: request.offset,
        limit: request.limit,
    };
    let listed = control.describe_instances(caller, wanted).await?;
    let instance_set = listed.items.into_iter().map(shown).collect();
    Ok(DescribeInstancesResponse { total_count: pack::signed(listed.total_count), instance_set })
}

pub(super) async fn describe_instances_status(
    control: &Control,
    caller: &Caller,
    request: DescribeInstancesStatus,
) -> Handled<DescribeInstancesStatusResponse> {
    let wanted = ashlar_control::DescribeInstances {
        instances: request.instance_ids.unwrap_or_default(),
        filters: Vec::new(),
        offset: request.offset,
        limit: request.limit,
    };
    let listed = control.describe_instances(caller, wanted).await?;
    let status = |view: InstanceView| InstanceStatus {
        instance_id: view.instance.id,
        instance_state: RUNNING.to_owned(),
    };
    let instance_status_set = listed.items.into_iter().map(status).collect();
    Ok(DescribeInstancesStatusResponse { total_count: pack::signed(listed.total_count), instance_status_set })
}

fn shown(view: InstanceView) -> Instance {
    let InstanceView { instance, disks, tags } = view;
    let (system, data): (Vec<Disk>, Vec<Disk>) =
        disks.into_iter().partition(|disk| disk.usage == DiskUsage::SystemDisk);
    Instance {
        placement: Placement {
            zone: instance.zone,
            project_id: ProjectId(0),
            host_ids: Absent(None),
            host_id: Absent(None),
            dedicated_resource_pack_tenancy: Absent(None),
            dedicated_resource_pack_ids: Absent(None),
            rack_id: Absent(None),
        },
        instance_id: instance.id,
        instance_type: String::new(),
        cpu: 0,
        memory: 0,
        restrict_state: "NORMAL".to_owned(),
        instance_name: instance.name,
        instance_charge_type: DiskChargeType::PostpaidByHour,
        system_disk: system_disk(system.into_iter().next()),
        data_disks: data.into_iter().map(data_disk).collect(),
        private_ip_addresses: instance
            .ip_address
            .filter(IpAddr::is_ipv4)
            .iter()
            .map(ToString::to_string)
            .collect(),
        public_ip_addresses: None,
        internet_accessible: internet(),
        virtual_private_cloud: VirtualPrivateCloud {
            vpc_id: String::new(),
            subnet_id: String::new(),
            as_vpc_gateway: false,
            private_ip_addresses: Absent(None),
            ipv6_address_count: Absent(None),
        },
        image_id: String::new(),
        renew_flag: String::new(),
        created_time: pack::utc(instance.created),
        expired_time: String::new(),
        os_name: String::new(),
        security_group_ids: Vec::new(),
        login_settings: LoginSettings {
            password: Absent(None),
            key_ids: None,
            keep_image_login: Absent(None),
        },
        instance_state: RUNNING.to_owned(),
        tags: pack::tags_shown(tags),
        stop_charging_mode: "NOT_APPLICABLE".to_owned(),
        uuid: instance_uuid(instance.id),
        latest_operation: None,
        latest_operation_state: None,
        latest_operation_request_id: None,
        disaster_recover_group_id: String::new(),
        ipv6_addresses: instance.ip_address.filter(IpAddr::is_ipv6).map(|address| vec![address.to_string()]),
        cam_role_name: None,
        hpc_cluster_id: String::new(),
        rdma_ip_addresses: None,
        dedicated_cluster_id: String::new(),
        isolated_source: "NOTISOLATED".to_owned(),
        disaster_recover_group_ids: Vec::new(),
        gpu_info: Absent(None),
        license_type: String::new(),
        // The operator alone removes machines.
        disable_api_termination: true,
        host_name: String::new(),
        default_login_user: String::new(),
        default_login_port: 0,
        latest_operation_error_msg: None,
        enable_jumbo_frame: Absent(None),
        metadata: Absent(None),
        public_ipv6_addresses: Absent(None),
        cpu_topology: Absent(None),
        partition_number: Absent(None),
    }
}

/// A machine whose system disk lies elsewhere shows an empty one.
fn system_disk(disk: Option<Disk>) -> SystemDisk {
    SystemDisk {
        disk_type: OrEmpty(disk.as_ref().map(|disk| disk.disk_type)),
        disk_id: Absent(disk.as_ref().map(|disk| disk.id)),
        disk_size: disk.as_ref().map_or(0, |disk| pack::signed(disk.size_gib)),
        cdc_id: None,
        encrypt: disk.as_ref().is_some_and(|disk| disk.encrypt_type.is_some()),
        disk_name: Absent(disk.map(|disk| disk.name)),
        kms_key_id: String::new(),
    }
}

fn data_disk(disk: Disk) -> DataDisk {
    DataDisk {
        disk_size: pack::signed(disk.size_gib),
        disk_type: disk.disk_type,
        disk_id: disk.id,
        delete_with_instance: disk.delete_with_instance,
        snapshot_id: Absent(disk.source_snapshot.map(|snapshot| snapshot.to_string())),
        encrypt: disk.encrypt_type.is_some(),
        kms_key_id: None,
        throughput_performance: Some(pack::signed(disk.throughput_performance_mib)),
        cdc_id: None,
        burst_performance: disk.burst_performance,
        disk_name: disk.name,
    }
}

fn internet() -> InternetAccessible {
    InternetAccessible {
        internet_charge_type: String::new(),
        internet_max_bandwidth_out: 0,
        public_ip_assigned: Absent(None),
        bandwidth_package_id: Absent(None),
        internet_service_provider: Absent(None),
        ipv4_address_type: Absent(None),
        ipv6_address_type: Absent(None),
        anti_ddos_package_id: Absent(None),
    }
}
