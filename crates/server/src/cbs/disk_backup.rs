//! Backup points: the calls.

use ashlar_api::cbs::{
    ApplyDiskBackup, ApplyDiskBackupResponse, CreateDiskBackup, CreateDiskBackupResponse, DeleteDiskBackups,
    DeleteDiskBackupsResponse, DescribeDiskBackups, DescribeDiskBackupsResponse, DiskBackup, Order,
    SnapshotOrderField,
};
use ashlar_api::{IsoDateTime, UtcOffset};
use ashlar_control::{Caller, Control};

use crate::service::{Handled, pack};

pub(super) async fn create_disk_backup(
    control: &Control,
    caller: &Caller,
    request: CreateDiskBackup,
) -> Handled<CreateDiskBackupResponse> {
    let CreateDiskBackup { disk_id, disk_backup_name } = request;
    let disk_backup_id = control.create_disk_backup(caller, disk_id, disk_backup_name).await?;
    Ok(CreateDiskBackupResponse { disk_backup_id })
}

pub(super) async fn describe_disk_backups(
    control: &Control,
    caller: &Caller,
    request: DescribeDiskBackups,
) -> Handled<DescribeDiskBackupsResponse> {
    let wanted = ashlar_control::DescribeDiskBackups {
        backups: request.disk_backup_ids.unwrap_or_default(),
        filters: pack::filters(request.filters),
        offset: request.offset,
        limit: request.limit,
        order: request.order.map(Order::as_str).map(str::to_owned),
        order_field: request.order_field.map(SnapshotOrderField::as_str).map(str::to_owned),
    };
    let listed = control.describe_disk_backups(caller, wanted).await?;
    let disk_backup_set = listed.items.into_iter().map(shown).collect();
    Ok(DescribeDiskBackupsResponse { total_count: listed.total_count, disk_backup_set })
}

fn shown(backup: ashlar_control::DiskBackup) -> DiskBackup {
    DiskBackup {
        disk_backup_id: backup.id,
        disk_id: backup.disk,
        disk_size: backup.size_gib,
        disk_usage: backup.usage,
        disk_backup_name: backup.name,
        disk_backup_state: backup.state,
        percent: backup.percent,
        create_time: IsoDateTime { time: backup.created, offset: UtcOffset::UTC },
        encrypt: backup.is_encrypted,
    }
}

pub(super) async fn apply_disk_backup(
    control: &Control,
    caller: &Caller,
    request: ApplyDiskBackup,
) -> Handled<ApplyDiskBackupResponse> {
    let wanted = ashlar_control::ApplyDiskBackup {
        backup: request.disk_backup_id,
        disk: request.disk_id,
        auto_stop_instance: request.auto_stop_instance,
        auto_start_instance: request.auto_start_instance,
    };
    control.apply_disk_backup(caller, wanted).await?;
    Ok(ApplyDiskBackupResponse {})
}

pub(super) async fn delete_disk_backups(
    control: &Control,
    caller: &Caller,
    request: DeleteDiskBackups,
) -> Handled<DeleteDiskBackupsResponse> {
    control.delete_disk_backups(caller, request.disk_backup_ids).await?;
    Ok(DeleteDiskBackupsResponse {})
}
