//! Disks: the calls. How a disk is shown is in `view`.

mod view;

use ashlar_api::IntegerFlag;
use ashlar_api::cbs::{
    AttachDisks, AttachDisksResponse, AttachMode, AutoMountConfiguration, BurstPerformanceOperation,
    CreateDisks, CreateDisksResponse, DescribeDisks, DescribeDisksResponse, DetachDisks, DetachDisksResponse,
    DiskOrderField, EncryptFlag, EncryptType, FileSystemType, InitializeDisks, InitializeDisksResponse,
    ModifyDiskAttributes, ModifyDiskAttributesResponse, Order, Placement, ResizeDisk, ResizeDiskResponse,
    TerminateDisks, TerminateDisksResponse,
};
use ashlar_control::{Caller, Control, ControlError};

use crate::service::{Handled, pack};

pub(super) async fn create_disks(
    control: &Control,
    caller: &Caller,
    request: CreateDisks,
) -> Handled<CreateDisksResponse> {
    let disk_id_set = control.create_disks(caller, wanted_disks(request)?).await?;
    Ok(CreateDisksResponse { disk_id_set })
}

fn wanted_disks(request: CreateDisks) -> Result<ashlar_control::CreateDisks, ControlError> {
    Ok(ashlar_control::CreateDisks {
        placement: wanted_place(request.placement)?,
        charge_type: request.disk_charge_type,
        disk_type: request.disk_type,
        name: request.disk_name,
        tags: pack::tags(request.tags),
        snapshot: request.snapshot_id,
        count: request.disk_count,
        throughput_performance_mib: request.throughput_performance,
        size_gib: request.disk_size,
        shareable: request.shareable,
        client_token: request.client_token,
        encrypt: request.encrypt.map(|EncryptFlag(wanted)| wanted),
        kms_key_id: request.kms_key_id,
        encrypt_type: request.encrypt_type.and_then(|choice| choice.0).map(|generation| match generation {
            EncryptType::V1 => ashlar_control::EncryptType::V1,
            EncryptType::V2 => ashlar_control::EncryptType::V2,
        }),
        prepaid: request.disk_charge_prepaid.map(super::pay::prepaid),
        delete_snapshot: request.delete_snapshot.map(|IntegerFlag(delete)| delete),
        auto_mount: request.auto_mount_configuration.map(auto_mount),
        backup_quota: request.disk_backup_quota,
        burst_performance: request.burst_performance,
        policy: request.auto_snapshot_policy_id,
    })
}

/// `CdcName` is documented as of no effect in a request.
fn wanted_place(placement: Placement) -> Result<ashlar_control::Placement, ControlError> {
    if let Some(name) = placement.project_name.filter(|name| !name.is_empty()) {
        return Err(pack::not_offered("Placement.ProjectName", name, "choose the project by ProjectId"));
    }
    Ok(ashlar_control::Placement {
        zone: placement.zone,
        project: placement.project_id,
        cage_id: placement.cage_id,
        cdc_id: placement.cdc_id,
        dedicated_cluster_id: placement.dedicated_cluster_id,
    })
}

fn auto_mount(configuration: AutoMountConfiguration) -> ashlar_control::AutoMountConfiguration {
    ashlar_control::AutoMountConfiguration {
        instances: configuration.instance_id,
        mount_points: configuration.mount_point.unwrap_or_default(),
        file_system_type: configuration.file_system_type.map(FileSystemType::as_str).map(str::to_owned),
    }
}

pub(super) async fn describe_disks(
    control: &Control,
    caller: &Caller,
    request: DescribeDisks,
) -> Handled<DescribeDisksResponse> {
    let wanted = ashlar_control::DescribeDisks {
        disks: request.disk_ids.unwrap_or_default(),
        filters: pack::filters(request.filters),
        offset: request.offset,
        limit: request.limit,
        order: request.order.map(Order::as_str).map(str::to_owned),
        order_field: request.order_field.map(DiskOrderField::as_str).map(str::to_owned),
        return_bind_auto_snapshot_policy: request.return_bind_auto_snapshot_policy,
    };
    let listed = control.describe_disks(caller, wanted).await?;
    let disk_set = listed.items.into_iter().map(view::disk).collect();
    Ok(DescribeDisksResponse { total_count: listed.total_count, disk_set })
}

pub(super) async fn modify_disk_attributes(
    control: &Control,
    caller: &Caller,
    request: ModifyDiskAttributes,
) -> Handled<ModifyDiskAttributesResponse> {
    let wanted = ashlar_control::ModifyDiskAttributes {
        disks: request.disk_ids,
        name: request.disk_name,
        portable: request.portable,
        project: request.project_id,
        delete_with_instance: request.delete_with_instance,
        disk_type: request.disk_type,
        burst_performance: request.burst_performance_operation.map(|operation| match operation {
            BurstPerformanceOperation::Create => ashlar_control::BurstPerformanceOperation::Create,
            BurstPerformanceOperation::Cancel => ashlar_control::BurstPerformanceOperation::Cancel,
        }),
    };
    control.modify_disk_attributes(caller, wanted).await?;
    Ok(ModifyDiskAttributesResponse {})
}

pub(super) async fn resize_disk(
    control: &Control,
    caller: &Caller,
    request: ResizeDisk,
) -> Handled<ResizeDiskResponse> {
    control.resize_disk(caller, request.disk_id, request.disk_size).await?;
    Ok(ResizeDiskResponse {})
}

/// The undocumented `InstanceType` repeats what the instance's id says.
pub(super) async fn attach_disks(
    control: &Control,
    caller: &Caller,
    request: AttachDisks,
) -> Handled<AttachDisksResponse> {
    let wanted = ashlar_control::AttachDisks {
        instance: request.instance_id,
        disks: request.disk_ids,
        delete_with_instance: request.delete_with_instance,
        attach_mode: request.attach_mode.map(AttachMode::as_str).map(str::to_owned),
    };
    control.attach_disks(caller, wanted).await?;
    Ok(AttachDisksResponse {})
}

/// `InstanceType`: as in [`attach_disks`].
pub(super) async fn detach_disks(
    control: &Control,
    caller: &Caller,
    request: DetachDisks,
) -> Handled<DetachDisksResponse> {
    let wanted = ashlar_control::DetachDisks { disks: request.disk_ids, instance: request.instance_id };
    control.detach_disks(caller, wanted).await?;
    Ok(DetachDisksResponse {})
}

pub(super) async fn initialize_disks(
    control: &Control,
    caller: &Caller,
    request: InitializeDisks,
) -> Handled<InitializeDisksResponse> {
    control.initialize_disks(caller, request.disk_ids).await?;
    Ok(InitializeDisksResponse {})
}

pub(super) async fn terminate_disks(
    control: &Control,
    caller: &Caller,
    request: TerminateDisks,
) -> Handled<TerminateDisksResponse> {
    let wanted = ashlar_control::TerminateDisks {
        disks: request.disk_ids,
        delete_snapshot: request.delete_snapshot.map(|IntegerFlag(delete)| delete),
    };
    control.terminate_disks(caller, wanted).await?;
    Ok(TerminateDisksResponse {})
}
