//! What disks can do: ModifyDiskExtraPerformance, ModifyDiskBackupQuota, and the checks they share with others.

use ashlar_db::{Disk, LedgerKind, Tagged, Transaction};
use ashlar_types::DiskId;

use super::{check_not_recycled, check_still_paid, find, state, told_apart};
use crate::caller::Caller;
use crate::control::Control;
use crate::error::{ControlError, DiskError, ParameterError};
use crate::filter::invalid;
use crate::job::JobHold;
use crate::money::Charge;
use crate::price::{Price, Priced};
use crate::settings::{DiskTypeSettings, DiskTypeTable, Limits};

impl Control {
    /// Gives a disk this much throughput beyond its baseline, in MiB/s; 0 takes it away. A prepaid disk pays for
    /// the rest of its time.
    pub async fn modify_disk_extra_performance(
        &self,
        caller: &Caller,
        id: DiskId,
        throughput_performance_mib: u64,
    ) -> Result<(), ControlError> {
        let mut tx = self.db.write().await?;
        let disk = find(&mut tx, caller, id).await?;
        check_still_paid(&disk, self.now())?;
        check_extra_of_disk(&disk, throughput_performance_mib, &self.settings.disk_types)?;
        if let Err(error) = state::idle(&disk) {
            return Err(told_apart(&mut tx, error).await?);
        }
        let after = Disk { throughput_performance_mib, ..disk.clone() };
        self.charge_change(&mut tx, caller, &disk, &after, LedgerKind::ExtraPerformance, None).await?;
        tx.disks().save(&after).await?;
        let operation = "ModifyDiskExtraPerformance";
        self.log_operation(&mut tx, caller, Tagged::Disk(id), operation, None).await?;
        tx.commit().await?;
        self.tell_performance([&after]);
        Ok(())
    }

    /// Lets a disk have so many backup points, not fewer than it has. A prepaid disk pays for the rest of its
    /// time.
    pub async fn modify_disk_backup_quota(
        &self,
        caller: &Caller,
        id: DiskId,
        backup_quota: u64,
    ) -> Result<(), ControlError> {
        check_backup_quota(backup_quota, &self.limits_of(caller.account))?;
        let mut tx = self.db.write().await?;
        let disk = find(&mut tx, caller, id).await?;
        check_still_paid(&disk, self.now())?;
        check_not_recycled(&disk)?;
        if let Err(error) = state::idle(&disk) {
            return Err(told_apart(&mut tx, error).await?);
        }
        let present = tx.disk_backups().of_disk(id).await?.len() as u64;
        if backup_quota < present {
            let expected = format!("at least the {present} backup points that the disk has");
            return Err(invalid("DiskBackupQuota", backup_quota, expected).into());
        }
        let after = Disk { backup_quota, ..disk.clone() };
        self.charge_change(&mut tx, caller, &disk, &after, LedgerKind::BackupQuota, None).await?;
        tx.disks().save(&after).await?;
        self.log_operation(&mut tx, caller, Tagged::Disk(id), "ModifyDiskBackupQuota", None).await?;
        Ok(tx.commit().await?)
    }

    /// Charges what a change of a disk costs: the difference for the rest of the paid time; for a disk that is
    /// paid by the hour nothing now, but its next hour must be affordable.
    pub(crate) async fn charge_change(
        &self,
        tx: &mut Transaction,
        caller: &Caller,
        before: &Disk,
        after: &Disk,
        kind: LedgerKind,
        job: Option<JobHold>,
    ) -> Result<(), ControlError> {
        match (self.change_price(before, &Priced::of(after)), before.deadline) {
            (Price::Prepaid(quote), Some(deadline)) => {
                let charge = Charge { kind, disk: after, quote, period: (self.now(), deadline), job };
                self.charge(tx, &caller.request_id.0, charge).await
            }
            (Price::Prepaid(quote) | Price::Hourly(quote), _) => {
                self.check_affords(tx, after.account, quote).await
            }
        }
    }
}

/// Refuses extra performance that a disk of this type and size cannot have.
pub(crate) fn check_extra(
    extra_mib: u64,
    size_gib: u64,
    offered: &DiskTypeSettings,
) -> Result<(), ParameterError> {
    // Clients send 0 for every type.
    if extra_mib == 0 {
        return Ok(());
    }
    let refuse = |expected: String| Err(invalid("ThroughputPerformance", extra_mib, expected));
    match offered.extra_performance_above_gib {
        None => refuse("a CLOUD_HSSD or CLOUD_TSSD disk".to_owned()),
        Some(above_gib) if size_gib <= above_gib => refuse(format!("a disk above {above_gib} GB")),
        Some(_) if extra_mib > offered.extra_performance_max_mib => {
            refuse(format!("at most {} MB/s", offered.extra_performance_max_mib))
        }
        Some(_) => Ok(()),
    }
}

/// The same for a disk that is there: a type or size that can have none is the disk's fault, not the value's.
pub(crate) fn check_extra_of_disk(
    disk: &Disk,
    extra_mib: u64,
    types: &DiskTypeTable,
) -> Result<(), ControlError> {
    let refuse = |why| Err(DiskError::NotSupported { disk: disk.id, state: disk.state, why }.into());
    check_not_recycled(disk)?;
    let offered = types.of(disk.disk_type);
    match offered.extra_performance_above_gib {
        None => refuse("extra performance is for CLOUD_HSSD and CLOUD_TSSD disks only"),
        Some(above_gib) if disk.size_gib <= above_gib => {
            refuse("it is too small for extra performance: enlarge it first")
        }
        Some(_) => Ok(check_extra(extra_mib, disk.size_gib, offered)?),
    }
}

/// Refuses more backup points than a disk may be given.
pub(crate) fn check_backup_quota(backup_quota: u64, limits: &Limits) -> Result<(), ParameterError> {
    if backup_quota > limits.backup_quota_max {
        return Err(invalid("DiskBackupQuota", backup_quota, format!("0 to {}", limits.backup_quota_max)));
    }
    Ok(())
}

/// Refuses a number of disks that no call may ask for.
pub(crate) fn check_count(count: u64, limits: &Limits) -> Result<(), ParameterError> {
    if count == 0 {
        return Err(invalid("DiskCount", count, "1 or more"));
    }
    if count > limits.disks_per_create {
        let (given, at_most) = (count, limits.disks_per_create);
        return Err(ParameterError::LimitExceeded { parameter: "DiskCount", given, at_most });
    }
    Ok(())
}
