//! ModifyDiskAttributes and ResizeDisk.

use ashlar_db::{Disk, LedgerKind, Tagged, Transaction};
use ashlar_types::{DiskChargeType, DiskId, DiskState, DiskType, DiskUsage};

use super::{
    BurstPerformanceOperation, ModifyDiskAttributes, check_extra, check_not_recycled, check_size_of_type,
    check_still_paid, find, find_all, named, state, told_apart,
};
use crate::caller::Caller;
use crate::control::Control;
use crate::error::{ControlError, DiskError, ParameterError, QuotaError};
use crate::filter::{check_ids, check_name, invalid};
use crate::job::{JobHold, Work};

impl Control {
    /// Changes what is known of disks: all of them, or none.
    pub async fn modify_disk_attributes(
        &self,
        caller: &Caller,
        wanted: ModifyDiskAttributes,
    ) -> Result<(), ControlError> {
        check_ids("DiskIds", &wanted.disks, self.limits_of(caller.account).ids_per_call)?;
        if let Some(name) = &wanted.name {
            check_name("DiskName", name, self.limits())?;
        }
        match check_combination(&wanted)? {
            Some((disk, disk_type)) => self.change_disk_type(caller, disk, disk_type).await,
            None => self.modify_at_once(caller, &wanted).await,
        }
    }

    async fn modify_at_once(
        &self,
        caller: &Caller,
        wanted: &ModifyDiskAttributes,
    ) -> Result<(), ControlError> {
        let mut tx = self.db.write().await?;
        let disks = find_all(&mut tx, caller, &wanted.disks).await?;
        if let Some(project) = wanted.project
            && !tx.accounts().has_project(caller.account, project).await?
        {
            return Err(ParameterError::ProjectNotFound(project).into());
        }
        let mut changed = Vec::with_capacity(disks.len());
        for disk in disks {
            let disk = modified(disk, wanted)?;
            tx.disks().save(&disk).await?;
            self.log_operation(&mut tx, caller, Tagged::Disk(disk.id), "ModifyDiskAttributes", None).await?;
            changed.push(disk);
        }
        tx.commit().await?;
        self.tell_performance(&changed);
        Ok(())
    }

    async fn change_disk_type(
        &self,
        caller: &Caller,
        id: DiskId,
        disk_type: DiskType,
    ) -> Result<(), ControlError> {
        let mut tx = self.db.write().await?;
        let disk = find(&mut tx, caller, id).await?;
        let offered = self.settings.disk_types.of(disk_type);
        if !offered.available {
            return Err(
                QuotaError::DiskConfig { disk_type, why: "the operator does not offer this type" }.into()
            );
        }
        if check_size_of_type(disk.size_gib, disk_type.as_str(), offered).is_err() {
            let (size, min, max) = (disk.size_gib, offered.min_gib, offered.max_gib);
            let expected =
                format!("a type that comes in the disk's {size} GB; {disk_type} has {min} to {max}");
            return Err(invalid("DiskType", disk_type, expected).into());
        }
        if check_extra(disk.throughput_performance_mib, disk.size_gib, offered).is_err() {
            let why = "the disk has more extra performance than this type can have";
            return Err(QuotaError::DiskConfig { disk_type, why }.into());
        }
        check_still_paid(&disk, self.now())?;
        let after = Disk { disk_type, ..disk.clone() };
        let changing = match state::begin_change_type(disk, disk_type) {
            Ok(disk) => disk,
            Err(error) => return Err(told_apart(&mut tx, error).await?),
        };
        let work = Work::ChangeDiskType { disk: id, disk_type };
        let paid = Paid { kind: LedgerKind::ChangeType, after };
        self.pay_commit_and_wait(tx, caller, changing, paid, &work, "ModifyDiskAttributes").await
    }

    /// Makes a disk larger.
    pub async fn resize_disk(&self, caller: &Caller, id: DiskId, size_gib: u64) -> Result<(), ControlError> {
        let mut tx = self.db.write().await?;
        let disk = find(&mut tx, caller, id).await?;
        if !disk.portable {
            return Err(DiskError::NotPortable(id).into());
        }
        check_not_recycled(&disk)?;
        check_still_paid(&disk, self.now())?;
        if size_gib <= disk.size_gib {
            let expected = format!("more than the present {} GB", disk.size_gib);
            return Err(invalid("DiskSize", size_gib, expected).into());
        }
        let offered = self.settings.disk_types.of(disk.disk_type);
        check_size_of_type(size_gib, disk.disk_type.as_str(), offered)?;
        let after = Disk { size_gib, ..disk.clone() };
        let growing = match state::begin_resize(disk) {
            Ok(disk) => disk,
            Err(error) => return Err(told_apart(&mut tx, error).await?),
        };
        let work = Work::ResizeDisk { disk: id, size_gib };
        let paid = Paid { kind: LedgerKind::Resize, after };
        self.pay_commit_and_wait(tx, caller, growing, paid, &work, "ResizeDisk").await
    }

    /// As [`commit_and_wait`](Self::commit_and_wait) for a disk that costs more afterwards. A job that fails pays
    /// it back.
    async fn pay_commit_and_wait(
        &self,
        mut tx: Transaction,
        caller: &Caller,
        disk: Disk,
        paid: Paid,
        work: &Work,
        operation: &str,
    ) -> Result<(), ControlError> {
        let job = self.write_job(&mut tx, &caller.region, work).await?;
        self.charge_change(&mut tx, caller, &disk, &paid.after, paid.kind, Some(job)).await?;
        self.hold_and_wait(tx, caller, vec![disk], job, operation).await
    }

    /// Writes disks that begin something together with the job that ends it, and waits for the job.
    pub(super) async fn commit_and_wait(
        &self,
        mut tx: Transaction,
        caller: &Caller,
        disks: Vec<Disk>,
        work: &Work,
        operation: &str,
    ) -> Result<(), ControlError> {
        let job = self.write_job(&mut tx, &caller.region, work).await?;
        self.hold_and_wait(tx, caller, disks, job, operation).await
    }

    async fn hold_and_wait(
        &self,
        mut tx: Transaction,
        caller: &Caller,
        disks: Vec<Disk>,
        job: JobHold,
        operation: &str,
    ) -> Result<(), ControlError> {
        for disk in disks {
            let id = disk.id;
            tx.disks().save(&Disk { job: Some(job), ..disk }).await?;
            self.log_operation(&mut tx, caller, Tagged::Disk(id), operation, Some(job)).await?;
        }
        tx.commit().await?;
        self.await_job(job).await
    }
}

/// What a change costs.
struct Paid {
    kind: LedgerKind,
    /// The disk as it is priced when the change is done.
    after: Disk,
}

/// Refuses combinations that the reference excludes; gives the change of type, if it is one.
fn check_combination(wanted: &ModifyDiskAttributes) -> Result<Option<(DiskId, DiskType)>, ParameterError> {
    let ModifyDiskAttributes {
        disks,
        name,
        portable,
        project,
        delete_with_instance,
        disk_type,
        burst_performance,
    } = wanted;
    let others = name.is_some()
        || portable.is_some()
        || project.is_some()
        || delete_with_instance.is_some()
        || burst_performance.is_some();
    match (disk_type, others, disks.as_slice()) {
        (None, false, _) => {
            let why = "name at least one attribute to change";
            Err(ParameterError::Missing { parameter: "DiskName", why })
        }
        (None, true, _) => Ok(None),
        (Some(_), true, _) => {
            Err(ParameterError::Excludes { parameter: "DiskType", other: "every other attribute" })
        }
        (Some(disk_type), false, [disk]) => Ok(Some((*disk, *disk_type))),
        (Some(_), false, disks) => Err(invalid("DiskIds", disks.len(), "one disk when DiskType is changed")),
    }
}

/// The disk with its new attributes. A renaming never waits; the others need no idle disk either, because
/// jobs do not touch them.
fn modified(mut disk: Disk, wanted: &ModifyDiskAttributes) -> Result<Disk, ControlError> {
    if let Some(name) = &wanted.name {
        disk.name = named(name.clone());
    }
    match wanted.portable {
        Some(true) => disk.portable = true,
        Some(false) if disk.portable => {
            let why = "`Portable` cannot become `false`, an elastic disk stays one";
            return Err(DiskError::NotSupported { disk: disk.id, state: disk.state, why }.into());
        }
        Some(false) | None => {}
    }
    if let Some(project) = wanted.project {
        if !disk.portable {
            return Err(DiskError::NotPortable(disk.id).into());
        }
        disk.project = project;
    }
    if let Some(delete_with_instance) = wanted.delete_with_instance {
        if delete_with_instance {
            check_can_go_with_instance(&disk)?;
            check_is_inside(&disk)?;
        }
        disk.delete_with_instance = delete_with_instance;
    }
    match wanted.burst_performance {
        Some(BurstPerformanceOperation::Create) => disk.burst_performance = true,
        Some(BurstPerformanceOperation::Cancel) => disk.burst_performance = false,
        None => {}
    }
    Ok(disk)
}

/// Only postpaid data disks can go with their instance.
pub(super) fn check_can_go_with_instance(disk: &Disk) -> Result<(), DiskError> {
    let refuse = |why| Err(DiskError::NotSupported { disk: disk.id, state: disk.state, why });
    match (disk.charge_type, disk.usage) {
        (DiskChargeType::Prepaid | DiskChargeType::CdcPaid, _) => {
            refuse("`DeleteWithInstance` is for pay-as-you-go disks only")
        }
        (DiskChargeType::PostpaidByHour, DiskUsage::SystemDisk) => {
            refuse("`DeleteWithInstance` is for data disks only")
        }
        (DiskChargeType::PostpaidByHour, DiskUsage::DataDisk) => Ok(()),
    }
}

/// A disk that is in no instance, or on its way out, has none to go with.
fn check_is_inside(disk: &Disk) -> Result<(), DiskError> {
    let why = "`DeleteWithInstance` is for attached disks only";
    let refusal = DiskError::NotSupported { disk: disk.id, state: disk.state, why };
    match disk.state {
        DiskState::Attaching | DiskState::Attached | DiskState::Expanding => {
            disk.instance().map(drop).ok_or(refusal)
        }
        DiskState::Unattached | DiskState::Detaching | DiskState::Rollbacking | DiskState::ToRecycle => {
            Err(refusal)
        }
    }
}
