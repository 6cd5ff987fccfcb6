//! What disks are paid for, and how.

use ashlar_api::cbs::{
    DiskChargePrepaid, ModifyDiskBackupQuota, ModifyDiskBackupQuotaResponse, ModifyDiskExtraPerformance,
    ModifyDiskExtraPerformanceResponse, ModifyDisksChargeType, ModifyDisksChargeTypeResponse,
    ModifyDisksRenewFlag, ModifyDisksRenewFlagResponse, RenewDisk, RenewDiskResponse,
};
use ashlar_control::{Caller, Control};

use crate::service::{Handled, pack};

pub(super) fn prepaid(prepaid: DiskChargePrepaid) -> ashlar_control::DiskChargePrepaid {
    ashlar_control::DiskChargePrepaid {
        period_months: prepaid.period,
        renew_flag: prepaid.renew_flag,
        cur_instance_deadline: prepaid.cur_instance_deadline.map(pack::unix_millis),
    }
}

pub(super) async fn modify_disk_extra_performance(
    control: &Control,
    caller: &Caller,
    request: ModifyDiskExtraPerformance,
) -> Handled<ModifyDiskExtraPerformanceResponse> {
    let extra_mib = request.throughput_performance;
    control.modify_disk_extra_performance(caller, request.disk_id, extra_mib).await?;
    Ok(ModifyDiskExtraPerformanceResponse {})
}

pub(super) async fn modify_disk_backup_quota(
    control: &Control,
    caller: &Caller,
    request: ModifyDiskBackupQuota,
) -> Handled<ModifyDiskBackupQuotaResponse> {
    control.modify_disk_backup_quota(caller, request.disk_id, request.disk_backup_quota).await?;
    Ok(ModifyDiskBackupQuotaResponse {})
}

pub(super) async fn modify_disks_charge_type(
    control: &Control,
    caller: &Caller,
    request: ModifyDisksChargeType,
) -> Handled<ModifyDisksChargeTypeResponse> {
    let wanted = ashlar_control::ModifyDisksChargeType {
        disks: request.disk_ids,
        prepaid: request.disk_charge_prepaid.map(prepaid),
        postpaid: request.disk_charge_postpaid,
    };
    control.modify_disks_charge_type(caller, wanted).await?;
    Ok(ModifyDisksChargeTypeResponse {})
}

pub(super) async fn modify_disks_renew_flag(
    control: &Control,
    caller: &Caller,
    request: ModifyDisksRenewFlag,
) -> Handled<ModifyDisksRenewFlagResponse> {
    let wanted = ashlar_control::ModifyDisksRenewFlag {
        disks: request.disk_ids,
        renew_flag: request.renew_flag,
        auto_renew_period_months: request.auto_renew_period,
    };
    control.modify_disks_renew_flag(caller, wanted).await?;
    Ok(ModifyDisksRenewFlagResponse {})
}

pub(super) async fn renew_disk(
    control: &Control,
    caller: &Caller,
    request: RenewDisk,
) -> Handled<RenewDiskResponse> {
    control.renew_disk(caller, request.disk_id, prepaid(request.disk_charge_prepaid)).await?;
    Ok(RenewDiskResponse {})
}
