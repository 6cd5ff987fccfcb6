//! Backup points: making, listing, applying, deleting, and making snapshots of them.

use std::fmt;

use ashlar_db::{Disk, DiskBackup, DiskBackupQuery, Lifecycle, Listed, Snapshot, Tagged, Transaction};
use ashlar_types::{DiskBackupId, DiskBackupState, DiskId, SnapshotId, UnixMillis};

use crate::caller::Caller;
use crate::control::Control;
use crate::disk::{self, named, state, told_apart};
use crate::error::{ControlError, ParameterError};
use crate::filter::{
    Filter, at_most, check_ids, check_snapshot_order_field, disk_backup_filters, invalid, order, page,
};
use crate::instance;
use crate::job::Work;
use crate::snapshot::{self, CreateSnapshot};

/// A backup point forbids it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskBackupError {
    /// The account has no such backup point in this region.
    NotFound(DiskBackupId),
    /// It is still being made. Trying again later helps.
    Creating(DiskBackupId),
    /// Another operation is under way. Trying again later helps.
    Busy {
        /// The backup point.
        backup: DiskBackupId,
        /// Its state.
        state: DiskBackupState,
    },
    /// It was made of another disk.
    OfOtherDisk {
        /// The backup point.
        backup: DiskBackupId,
        /// The disk it was made of.
        origin: DiskId,
        /// The disk that was named.
        disk: DiskId,
    },
    /// The disk has as many backup points as it may have.
    Quota {
        /// The disk.
        disk: DiskId,
        /// How many it may have.
        at_most: u64,
    },
}

impl fmt::Display for DiskBackupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(backup) => {
                write!(f, "The backup point `{backup}` (`DiskBackupId`) does not exist.")
            }
            Self::Creating(backup) => {
                write!(f, "The backup point `{backup}` is being created: try again later.")
            }
            Self::Busy { backup, state } => {
                write!(f, "The backup point `{backup}` is busy (state {state}): try again later.")
            }
            Self::OfOtherDisk { backup, origin, disk } => write!(
                f,
                "The backup point `{backup}` was made of the disk `{origin}`, not of `{disk}`: create a snapshot \
                 from it, and a disk from the snapshot, instead."
            ),
            Self::Quota { disk, at_most } => write!(
                f,
                "The disk `{disk}` may have {at_most} backup points and has as many: delete one, or raise \
                 DiskBackupQuota."
            ),
        }
    }
}

/// What DescribeDiskBackups asks for. Reference: `cbs/DescribeDiskBackups`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DescribeDiskBackups {
    /// These backup points; excludes filters.
    pub backups: Vec<DiskBackupId>,
    /// Backup points that meet all of these.
    pub filters: Vec<Filter>,
    /// How many to leave out. Default: 0.
    pub offset: Option<u64>,
    /// How many to show, 1 to 100. Default: 20.
    pub limit: Option<u64>,
    /// ASC or DESC. Default: ASC, as the newer page says.
    pub order: Option<String>,
    /// CREATE_TIME.
    pub order_field: Option<String>,
}

/// What ApplyDiskBackup asks for. Reference: `cbs/ApplyDiskBackup`; the switches are newer than that page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApplyDiskBackup {
    /// The backup point.
    pub backup: DiskBackupId,
    /// The disk that it was made of.
    pub disk: DiskId,
    /// Whether to shut the instance down before.
    pub auto_stop_instance: Option<bool>,
    /// Whether to start the instance afterwards; only together with the other.
    pub auto_start_instance: Option<bool>,
}

impl Control {
    /// Makes a backup point of a disk and gives its id. It is seen at once, as CREATING, and ready when NORMAL.
    pub async fn create_disk_backup(
        &self,
        caller: &Caller,
        disk_id: DiskId,
        name: Option<String>,
    ) -> Result<DiskBackupId, ControlError> {
        if let Some(name) = &name {
            check_backup_name(name)?;
        }
        let id = self.free_backup_id(&caller.region).await?;
        let mut tx = self.db.write().await?;
        let disk = disk::find(&mut tx, caller, disk_id).await?;
        if let Err(error) = state::begin_backup(&disk) {
            return Err(told_apart(&mut tx, error).await?);
        }
        if tx.disk_backups().of_disk(disk.id).await?.len() as u64 >= disk.backup_quota {
            return Err(DiskBackupError::Quota { disk: disk.id, at_most: disk.backup_quota }.into());
        }
        let work = Work::CreateDiskBackup { disk: disk.id, backup: id };
        let job = self.write_job(&mut tx, &caller.region, &work).await?;
        let backup = DiskBackup {
            id,
            account: caller.account,
            region: caller.region.clone(),
            disk: disk.id,
            usage: disk.usage,
            size_gib: disk.size_gib,
            is_encrypted: disk.encrypt_type.is_some(),
            name: named(name.unwrap_or_default()),
            lifecycle: Lifecycle::Live,
            state: DiskBackupState::Creating,
            percent: 0,
            job: Some(job),
            created: self.now(),
        };
        tx.disk_backups().insert(&backup).await?;
        tx.disks().save(&Disk { job: Some(job), ..disk }).await?;
        for resource in [Tagged::DiskBackup(id), Tagged::Disk(disk_id)] {
            self.log_operation(&mut tx, caller, resource, "CreateDiskBackup", Some(job)).await?;
        }
        tx.commit().await?;
        self.await_job(job).await?;
        Ok(id)
    }

    /// Shows the caller's backup points of a region, oldest first unless asked otherwise. Unknown ids are left out.
    pub async fn describe_disk_backups(
        &self,
        caller: &Caller,
        wanted: DescribeDiskBackups,
    ) -> Result<Listed<DiskBackup>, ControlError> {
        if !wanted.backups.is_empty() && !wanted.filters.is_empty() {
            return Err(ParameterError::Excludes { parameter: "DiskBackupIds", other: "Filters" }.into());
        }
        at_most("DiskBackupIds", wanted.backups.len(), self.limits_of(caller.account).ids_per_call)?;
        check_snapshot_order_field(wanted.order_field.as_deref())?;
        let mut filters = disk_backup_filters(&wanted.filters, &self.limits_of(caller.account))?;
        if !wanted.backups.is_empty() {
            filters.push(ashlar_db::DiskBackupFilter::Id(wanted.backups.clone()));
        }
        let query = DiskBackupQuery {
            account: caller.account,
            region: caller.region.clone(),
            filters,
            order: order(Some(wanted.order.as_deref().unwrap_or("ASC")))?,
            page: page(wanted.offset, wanted.limit, &self.limits_of(caller.account))?,
        };
        Ok(self.db.read().await?.disk_backups().list(&query).await?)
    }

    /// Rolls a disk back to a backup point of its own.
    pub async fn apply_disk_backup(
        &self,
        caller: &Caller,
        wanted: ApplyDiskBackup,
    ) -> Result<(), ControlError> {
        instance::check_power(wanted.auto_stop_instance, wanted.auto_start_instance)?;
        let mut tx = self.db.write().await?;
        let backup = find(&mut tx, caller, wanted.backup).await?;
        let disk = disk::find(&mut tx, caller, wanted.disk).await?;
        if backup.disk != disk.id {
            let (backup, origin) = (backup.id, backup.disk);
            return Err(DiskBackupError::OfOtherDisk { backup, origin, disk: disk.id }.into());
        }
        ready(&backup)?;
        instance::refuse_power(&disk, wanted.auto_stop_instance)?;
        let disk = match state::begin_content_change(disk) {
            Ok(disk) => disk,
            Err(error) => return Err(told_apart(&mut tx, error).await?),
        };
        let work = Work::ApplyDiskBackup { disk: disk.id, backup: backup.id };
        let job = self.write_job(&mut tx, &caller.region, &work).await?;
        tx.disks().save(&Disk { job: Some(job), ..disk }).await?;
        let state = DiskBackupState::Rollbacking;
        tx.disk_backups().save(&DiskBackup { state, job: Some(job), ..backup }).await?;
        for resource in [Tagged::Disk(wanted.disk), Tagged::DiskBackup(wanted.backup)] {
            self.log_operation(&mut tx, caller, resource, "ApplyDiskBackup", Some(job)).await?;
        }
        tx.commit().await?;
        self.await_job(job).await
    }

    /// Deletes backup points: all of them, or none.
    pub async fn delete_disk_backups(
        &self,
        caller: &Caller,
        ids: Vec<DiskBackupId>,
    ) -> Result<(), ControlError> {
        check_ids("DiskBackupIds", &ids, self.limits_of(caller.account).ids_per_call)?;
        let mut tx = self.db.write().await?;
        let mut backups = Vec::with_capacity(ids.len());
        for id in &ids {
            let backup = find(&mut tx, caller, *id).await?;
            ready(&backup)?;
            backups.push(backup);
        }
        let work = Work::DeleteDiskBackups { backups: ids };
        let job = self.write_job(&mut tx, &caller.region, &work).await?;
        for backup in backups {
            let resource = Tagged::DiskBackup(backup.id);
            let going = DiskBackup { lifecycle: Lifecycle::Deleting, job: Some(job), ..backup };
            tx.disk_backups().save(&going).await?;
            self.log_operation(&mut tx, caller, resource, "DeleteDiskBackups", Some(job)).await?;
        }
        tx.commit().await?;
        self.await_job(job).await
    }

    /// Makes a backup point a snapshot. It is no backup point any more: its place in the quota is free again.
    pub(crate) async fn convert_disk_backup(
        &self,
        caller: &Caller,
        backup: DiskBackupId,
        wanted: CreateSnapshot,
        deadline: Option<UnixMillis>,
    ) -> Result<SnapshotId, ControlError> {
        let id = self.free_snapshot_id(&caller.region).await?;
        let mut tx = self.db.write().await?;
        let backup = find(&mut tx, caller, backup).await?;
        if let Some(disk) = wanted.disk.filter(|disk| *disk != backup.disk) {
            let (backup, origin) = (backup.id, backup.disk);
            return Err(DiskBackupError::OfOtherDisk { backup, origin, disk }.into());
        }
        ready(&backup)?;
        let disk = disk::find(&mut tx, caller, backup.disk).await?;
        if let Err(error) = state::begin_snapshot(&disk) {
            return Err(told_apart(&mut tx, error).await?);
        }
        let usage = snapshot::usage_of(&wanted, backup.usage)?;
        self.check_snapshot_quota(&mut tx, &disk).await?;

        let work = Work::ConvertDiskBackup { disk: disk.id, backup: backup.id, snapshot: id };
        let job = self.write_job(&mut tx, &caller.region, &work).await?;
        let snapshot = Snapshot {
            size_gib: backup.size_gib,
            ..snapshot::new_snapshot(id, &disk, wanted.name, usage, self.now())
        };
        let is_instant = wanted.is_instant;
        tx.snapshots().insert(&Snapshot { deadline, is_instant, job: Some(job), ..snapshot }).await?;
        tx.tags().insert(Tagged::Snapshot(id), &wanted.tags).await?;
        let disk_id = disk.id;
        tx.disks().save(&Disk { job: Some(job), ..disk }).await?;
        let resource = Tagged::DiskBackup(backup.id);
        let going = DiskBackup { lifecycle: Lifecycle::Deleting, job: Some(job), ..backup };
        tx.disk_backups().save(&going).await?;
        for resource in [Tagged::Snapshot(id), Tagged::Disk(disk_id), resource] {
            self.log_operation(&mut tx, caller, resource, "CreateSnapshot", Some(job)).await?;
        }
        tx.commit().await?;
        self.await_job(job).await?;
        Ok(id)
    }
}

/// The backup points that go with their disks: all of them.
pub(crate) async fn that_go_with(
    tx: &mut Transaction,
    disks: &[Disk],
) -> Result<Vec<DiskBackup>, ControlError> {
    let mut going = Vec::new();
    for disk in disks {
        for backup in tx.disk_backups().of_disk(disk.id).await? {
            ready(&backup)?;
            going.push(backup);
        }
    }
    Ok(going)
}

/// Refuses unless the backup point is complete and idle.
fn ready(backup: &DiskBackup) -> Result<(), DiskBackupError> {
    match (backup.state, backup.job) {
        (DiskBackupState::Normal, None) => Ok(()),
        (DiskBackupState::Creating, _) => Err(DiskBackupError::Creating(backup.id)),
        (state, _) => Err(DiskBackupError::Busy { backup: backup.id, state }),
    }
}

async fn find(tx: &mut Transaction, caller: &Caller, id: DiskBackupId) -> Result<DiskBackup, ControlError> {
    let found = tx.disk_backups().find(caller.account, &caller.region, id).await?;
    found.ok_or_else(|| DiskBackupError::NotFound(id).into())
}

/// At most 100 characters. Source: `cbs/CreateDiskBackup`, `DiskBackupName`.
fn check_backup_name(name: &str) -> Result<(), ParameterError> {
    const CHARS_MAX: usize = 100;
    if name.chars().count() > CHARS_MAX {
        return Err(invalid("DiskBackupName", name, format!("at most {CHARS_MAX} characters")));
    }
    if name.chars().any(char::is_control) {
        return Err(invalid("DiskBackupName", name.escape_default(), "no control characters"));
    }
    Ok(())
}
