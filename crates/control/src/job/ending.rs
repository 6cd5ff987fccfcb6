//! The last step of a job: one transaction that sets the states and lets go of everything.

use ashlar_db::{
    DbError, Disk, DiskBackup, JobId, JobPhase, Lifecycle, OperationState, Snapshot, SnapshotCopy,
    SnapshotGroup, Tagged, Transaction,
};
use ashlar_types::{
    DiskBackupState, DiskId, SnapshotGroupId, SnapshotGroupState, SnapshotId, SnapshotState, UnixMillis,
};

use super::Work;
use super::effect::Survey;
use crate::disk::state;
use crate::error::JobError;

/// A job that comes to its end.
pub(super) struct Ending<'a> {
    pub(super) job: JobId,
    pub(super) work: &'a Work,
    pub(super) survey: &'a Survey,
    pub(super) now: UnixMillis,
}

impl Ending<'_> {
    /// The work is done: the states say so. Gives whether the paid time of one of its disks is over.
    pub(super) async fn settle(&self, tx: &mut Transaction) -> Result<bool, DbError> {
        let mut has_expired = false;
        for disk in tx.disks().of_job(self.job).await? {
            has_expired |= disk.deadline.is_some_and(|deadline| deadline <= self.now);
            let id = disk.id;
            match self.settled(disk) {
                Some(disk) => tx.disks().save(&disk).await?,
                None => forget_disk(tx, id).await?,
            }
        }
        for snapshot in tx.snapshots().of_job(self.job).await? {
            match self.work {
                Work::TerminateDisks { .. } | Work::DeleteSnapshots { .. } if self.work.recycles() => {
                    let id = snapshot.id;
                    let kept =
                        Snapshot { lifecycle: Lifecycle::Recycled, group: None, ..self.ready(snapshot) };
                    tx.snapshots().save(&kept).await?;
                    tx.snapshots().note_recycled(id, self.now).await?;
                }
                Work::TerminateDisks { .. } | Work::DeleteSnapshots { .. } => {
                    forget_snapshot(tx, snapshot.id).await?;
                }
                Work::CreateSnapshot { .. }
                | Work::ApplySnapshot { .. }
                | Work::ConvertDiskBackup { .. }
                | Work::CopySnapshot { .. }
                | Work::CreateSnapshotGroup { .. }
                | Work::ApplyInstanceSnapshot { .. }
                | Work::ApplySnapshotGroup { .. } => tx.snapshots().save(&self.ready(snapshot)).await?,
                Work::CreateDisks { .. }
                | Work::InitializeDisks { .. }
                | Work::AttachDisks { .. }
                | Work::DetachDisks { .. }
                | Work::ResizeDisk { .. }
                | Work::ChangeDiskType { .. }
                | Work::CreateDiskBackup { .. }
                | Work::ApplyDiskBackup { .. }
                | Work::DeleteDiskBackups { .. } => {}
            }
        }
        for backup in tx.disk_backups().of_job(self.job).await? {
            match self.work {
                Work::CreateDiskBackup { .. } | Work::ApplyDiskBackup { .. } => {
                    tx.disk_backups().save(&ready_backup(backup)).await?;
                }
                // Deleted, gone with its disk, or a snapshot by now.
                _ => tx.disk_backups().delete(backup.id).await?,
            }
        }
        for group in tx.snapshot_groups().of_job(self.job).await? {
            match self.work {
                Work::DeleteSnapshots { .. } => forget_group(tx, group.id).await?,
                _ => tx.snapshot_groups().save(&self.ready_group(group)).await?,
            }
        }
        if let Work::CopySnapshot { snapshot, .. } = self.work
            && let Some(copy) = tx.snapshot_copies().find(*snapshot).await?
        {
            tx.snapshot_copies().save(&SnapshotCopy { is_done: true, ..copy }).await?;
        }
        self.note_held_bytes(tx).await?;
        tx.operations().end_of_job(self.job, OperationState::Success, "", self.now).await?;
        tx.jobs().end(self.job, JobPhase::Succeeded, self.now).await?;
        Ok(has_expired)
    }

    /// The work has been taken back: the states are those of before, and say why.
    pub(super) async fn give_back(&self, tx: &mut Transaction, error: &JobError) -> Result<(), DbError> {
        let why = error.to_string();
        for disk in tx.disks().of_job(self.job).await? {
            if self.is_left(&disk) {
                tx.disks().save(&state::give_back(disk, &why)).await?;
            } else {
                forget_disk(tx, disk.id).await?;
            }
        }
        for snapshot in tx.snapshots().of_job(self.job).await? {
            if self.is_left_snapshot(&snapshot) {
                tx.snapshots().save(&self.ready(snapshot)).await?;
            } else {
                forget_snapshot(tx, snapshot.id).await?;
            }
        }
        for backup in tx.disk_backups().of_job(self.job).await? {
            if self.is_left_backup(&backup) {
                tx.disk_backups().save(&ready_backup(backup)).await?;
            } else {
                tx.disk_backups().delete(backup.id).await?;
            }
        }
        for group in tx.snapshot_groups().of_job(self.job).await? {
            // Only a group that never came to be, or that is deleted already, has no members.
            if tx.snapshots().of_group(group.id).await?.is_empty() {
                forget_group(tx, group.id).await?;
            } else {
                tx.snapshot_groups().save(&self.ready_group(group)).await?;
            }
        }
        self.note_held_bytes(tx).await?;
        tx.ledger().reverse_job(self.job, self.now).await?;
        // A create call that failed may be tried again with its token.
        tx.client_tokens().delete_of_job(self.job).await?;
        tx.operations().end_of_job(self.job, OperationState::Failed, &why, self.now).await?;
        tx.jobs().end(self.job, JobPhase::Failed, self.now).await
    }

    /// The disk after its work; none if the work was to delete it.
    fn settled(&self, disk: Disk) -> Option<Disk> {
        match self.work {
            Work::CreateDisks { .. } => Some(state::finish_create(disk)),
            Work::AttachDisks { delete_with_instance, .. } => {
                Some(state::finish_attach(disk, *delete_with_instance))
            }
            Work::DetachDisks { .. } => Some(state::leave_instance(disk)),
            Work::ResizeDisk { size_gib, .. } => Some(state::finish_resize(disk, *size_gib)),
            Work::ChangeDiskType { disk_type, .. } => Some(state::finish_change_type(disk, *disk_type)),
            Work::ApplySnapshot { .. }
            | Work::ApplyInstanceSnapshot { .. }
            | Work::ApplyDiskBackup { .. }
            | Work::ApplySnapshotGroup { .. } => Some(state::finish_roll_back(disk)),
            Work::InitializeDisks { .. }
            | Work::CreateSnapshot { .. }
            | Work::DeleteSnapshots { .. }
            | Work::CreateDiskBackup { .. }
            | Work::DeleteDiskBackups { .. }
            | Work::ConvertDiskBackup { .. }
            | Work::CopySnapshot { .. }
            | Work::CreateSnapshotGroup { .. } => Some(state::rested(disk)),
            Work::TerminateDisks { .. } => None,
        }
    }

    /// Whether there is anything to give back: not for disks that never came to be or are deleted already.
    fn is_left(&self, disk: &Disk) -> bool {
        match self.work {
            Work::CreateDisks { .. } => false,
            Work::TerminateDisks { .. } => self.survey.volumes.contains(&disk.id),
            Work::AttachDisks { .. }
            | Work::DetachDisks { .. }
            | Work::ResizeDisk { .. }
            | Work::InitializeDisks { .. }
            | Work::ChangeDiskType { .. }
            | Work::CreateSnapshot { .. }
            | Work::ApplySnapshot { .. }
            | Work::DeleteSnapshots { .. }
            | Work::CreateDiskBackup { .. }
            | Work::ApplyDiskBackup { .. }
            | Work::DeleteDiskBackups { .. }
            | Work::ConvertDiskBackup { .. }
            | Work::CopySnapshot { .. }
            | Work::CreateSnapshotGroup { .. }
            | Work::ApplyInstanceSnapshot { .. }
            | Work::ApplySnapshotGroup { .. } => true,
        }
    }

    fn is_left_snapshot(&self, snapshot: &Snapshot) -> bool {
        match self.work {
            Work::CreateSnapshot { .. }
            | Work::ConvertDiskBackup { .. }
            | Work::CopySnapshot { .. }
            | Work::CreateSnapshotGroup { .. } => false,
            Work::TerminateDisks { .. } | Work::DeleteSnapshots { .. } => {
                self.survey.snapshots.contains(&snapshot.id)
            }
            Work::CreateDisks { .. }
            | Work::AttachDisks { .. }
            | Work::DetachDisks { .. }
            | Work::ResizeDisk { .. }
            | Work::InitializeDisks { .. }
            | Work::ChangeDiskType { .. }
            | Work::ApplySnapshot { .. }
            | Work::CreateDiskBackup { .. }
            | Work::ApplyDiskBackup { .. }
            | Work::DeleteDiskBackups { .. }
            | Work::ApplyInstanceSnapshot { .. }
            | Work::ApplySnapshotGroup { .. } => true,
        }
    }

    fn is_left_backup(&self, backup: &DiskBackup) -> bool {
        match self.work {
            Work::CreateDiskBackup { .. } => false,
            Work::TerminateDisks { .. } | Work::DeleteDiskBackups { .. } => {
                self.survey.backups.contains(&backup.id)
            }
            _ => true,
        }
    }

    fn ready_group(&self, mut group: SnapshotGroup) -> SnapshotGroup {
        group.lifecycle = Lifecycle::Live;
        group.state = SnapshotGroupState::Normal;
        group.percent = 100;
        group.modified = self.now;
        group
    }

    fn ready(&self, mut snapshot: Snapshot) -> Snapshot {
        snapshot.lifecycle = Lifecycle::Live;
        snapshot.state = SnapshotState::Normal;
        snapshot.percent = 100;
        snapshot.modified = self.now;
        snapshot
    }

    async fn note_held_bytes(&self, tx: &mut Transaction) -> Result<(), DbError> {
        for (snapshot, held_bytes) in &self.survey.held_bytes {
            tx.snapshots().set_held_bytes(*snapshot, *held_bytes).await?;
        }
        Ok(())
    }
}

async fn forget_disk(tx: &mut Transaction, disk: DiskId) -> Result<(), DbError> {
    tx.tags().delete(Tagged::Disk(disk)).await?;
    tx.auto_mounts().delete(disk).await?;
    tx.disks().delete(disk).await
}

async fn forget_snapshot(tx: &mut Transaction, snapshot: SnapshotId) -> Result<(), DbError> {
    tx.tags().delete(Tagged::Snapshot(snapshot)).await?;
    tx.snapshot_copies().delete(snapshot).await?;
    tx.snapshots().delete(snapshot).await
}

/// After its members: they name it.
async fn forget_group(tx: &mut Transaction, group: SnapshotGroupId) -> Result<(), DbError> {
    tx.tags().delete(Tagged::SnapshotGroup(group)).await?;
    tx.snapshot_groups().delete(group).await
}

fn ready_backup(mut backup: DiskBackup) -> DiskBackup {
    backup.lifecycle = Lifecycle::Live;
    backup.state = DiskBackupState::Normal;
    backup.percent = 100;
    backup
}
