//! How a disk is shown. What is null and what is empty follows recorded answers: reference `clients`,
//! section 6.

use ashlar_api::cbs::{Disk, EncryptType, InstanceType};
use ashlar_api::{IntegerFlag, OrEmpty};
use ashlar_control::{AttachmentState, DiskView, ReturnFail};
use ashlar_types::{DiskState, InstanceId, MIB_BYTES};

use crate::service::pack;

pub(super) fn disk(view: DiskView) -> Disk {
    let DiskView { disk, project_name, tags, latest_operation, return_fail, .. } = view;
    let attached = is_attached(&disk);
    let machine = disk.instance();
    let (instance_id, instance_id_list) = instances(&disk);
    let latest = latest_operation.map_or_else(Default::default, |latest| {
        (latest.operation, latest.state.as_str().to_owned(), latest.request_id)
    });
    let (latest_operation, latest_operation_state, latest_operation_request_id) = latest;
    Disk {
        delete_with_instance: disk.delete_with_instance,
        renew_flag: disk.renew_flag.into(),
        disk_type: disk.disk_type,
        disk_state: disk.state,
        snapshot_count: i64::try_from(view.snapshot_count).unwrap_or(i64::MAX),
        // Instances have no period here that a disk's could differ from.
        auto_renew_flag_error: false,
        rollbacking: disk.state == DiskState::Rollbacking,
        instance_id_list,
        encrypt: disk.encrypt_type.is_some(),
        disk_name: disk.name,
        backup_disk: view.backup_disk,
        tags: pack::tags_shown(tags),
        instance_id: instance_id.into(),
        attach_mode: OrEmpty(None),
        auto_snapshot_policy_ids: view.snapshot_policies,
        throughput_performance: disk.throughput_performance_mib,
        migrating: disk.migrating,
        disk_id: disk.id,
        snapshot_size: view.snapshot_bytes.div_ceil(MIB_BYTES),
        placement: pack::place(disk.zone, disk.project, project_name),
        is_returnable: return_fail == ReturnFail::Returnable,
        deadline_time: disk.deadline.map(pack::date_time).into(),
        attached,
        disk_size: disk.size_gib,
        migrate_percent: disk.migrate_percent,
        disk_usage: disk.usage,
        disk_charge_type: disk.charge_type,
        portable: disk.portable,
        snapshot_ability: !disk.shareable,
        deadline_error: false,
        rollback_percent: disk.rollback_percent,
        differ_days_of_deadline: view.days_to_deadline,
        return_fail_code: i64::try_from(return_fail.code()).unwrap_or(i64::MAX),
        shareable: disk.shareable,
        create_time: pack::date_time(disk.created),
        delete_snapshot: IntegerFlag(disk.delete_snapshot),
        disk_backup_quota: disk.backup_quota,
        disk_backup_count: view.backup_count,
        instance_type: machine.map(|_| InstanceType::Cvm).into(),
        last_attach_ins_id: disk.last_instance,
        error_prompt: disk.error_prompt,
        burst_performance: disk.burst_performance,
        encrypt_type: OrEmpty(disk.encrypt_type.map(|generation| match generation {
            ashlar_control::EncryptType::V1 => EncryptType::V1,
            ashlar_control::EncryptType::V2 => EncryptType::V2,
        })),
        kms_key_id: view.encryption_key.unwrap_or_default(),
        latest_operation,
        latest_operation_state,
        latest_operation_request_id,
    }
}

/// The machine of a disk that is in one at most, and those of a shareable one: in its example the reference has all of these
/// in the list and none beside it. A machine that the disk is on its way to is shown in the first, as that is where a
/// client looks while it waits; the list tells who has the disk.
fn instances(disk: &ashlar_control::Disk) -> (Option<InstanceId>, Vec<InstanceId>) {
    if !disk.shareable {
        return (disk.instance(), Vec::new());
    }
    let inside = disk.attachments.iter().filter(|attachment| is_inside(attachment.state));
    (None, inside.map(|attachment| attachment.instance).collect())
}

/// Whether the disk is in a machine now: a disk that is on its way out still is, one on its way in is not yet. The disk
/// that a machine of Lighthouse boots from stays inside while it is rolled back.
fn is_attached(disk: &ashlar_control::Disk) -> bool {
    match disk.state {
        DiskState::Attached
        | DiskState::Attaching
        | DiskState::Detaching
        | DiskState::Expanding
        | DiskState::Rollbacking => disk.attachments.iter().any(|attachment| is_inside(attachment.state)),
        DiskState::Unattached | DiskState::ToRecycle => false,
    }
}

const fn is_inside(state: AttachmentState) -> bool {
    match state {
        AttachmentState::Inside | AttachmentState::Leaving => true,
        AttachmentState::Arriving => false,
    }
}
