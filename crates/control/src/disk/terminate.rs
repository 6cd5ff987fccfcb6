//! TerminateDisks and InitializeDisks.

use ashlar_db::{Disk, DiskBackup, Lifecycle, Snapshot, Tagged, Transaction};
use ashlar_types::DiskId;

use super::state::Termination;
use super::{TerminateDisks, find_all, state, told_apart};
use crate::caller::Caller;
use crate::control::Control;
use crate::disk_backup;
use crate::error::{ControlError, SnapshotError};
use crate::filter::check_ids;
use crate::job::{Initialization, Work};
use crate::snapshot::check_may_go;

impl Control {
    /// Gives disks back: postpaid ones are gone at once; prepaid ones are isolated, and gone at the second
    /// call. All of them, or none.
    pub async fn terminate_disks(&self, caller: &Caller, wanted: TerminateDisks) -> Result<(), ControlError> {
        check_ids("DiskIds", &wanted.disks, self.limits_of(caller.account).disks_per_terminate)?;
        let mut tx = self.db.write().await?;
        let disks = find_all(&mut tx, caller, &wanted.disks).await?;

        let mut recycled = Vec::new();
        let mut deleted = Vec::new();
        for disk in disks {
            match state::begin_terminate(disk) {
                Ok(Termination::Recycle(disk)) => recycled.push(disk),
                Ok(Termination::Delete(disk)) => deleted.push(disk),
                Err(error) => return Err(told_apart(&mut tx, error).await?),
            }
        }
        for mut disk in recycled {
            // What the first call says about snapshots holds for the second.
            disk.delete_snapshot = wanted.delete_snapshot.unwrap_or(disk.delete_snapshot);
            self.refund(&mut tx, caller, &disk).await?;
            // What was paid back is not owned any more.
            disk.deadline = disk.deadline.map(|deadline| deadline.min(self.now()));
            tx.disks().save(&disk).await?;
            tx.disks().note_isolated(disk.id, self.now()).await?;
            self.log_operation(&mut tx, caller, Tagged::Disk(disk.id), "TerminateDisks", None).await?;
        }
        if deleted.is_empty() {
            tx.commit().await?;
        } else {
            let snapshots = self.snapshots_that_go(&mut tx, &deleted, wanted.delete_snapshot).await?;
            self.delete_disks(tx, caller, deleted, snapshots).await?;
        }
        // What was paid back may have ended a debt, the rest of an hour may have made one.
        self.wake_reconcilers();
        Ok(())
    }

    async fn delete_disks(
        &self,
        mut tx: Transaction,
        caller: &Caller,
        disks: Vec<Disk>,
        snapshots: Vec<Snapshot>,
    ) -> Result<(), ControlError> {
        let backups = disk_backup::that_go_with(&mut tx, &disks).await?;
        let work = Work::TerminateDisks {
            disks: disks.iter().map(|disk| disk.id).collect(),
            snapshots: snapshots.iter().map(|snapshot| snapshot.id).collect(),
            backups: backups.iter().map(|backup| backup.id).collect(),
            recycle: self.recycles_snapshots(),
        };
        let job = self.write_job(&mut tx, &caller.region, &work).await?;
        for snapshot in snapshots {
            let id = Tagged::Snapshot(snapshot.id);
            let going = Snapshot { lifecycle: Lifecycle::Deleting, job: Some(job), ..snapshot };
            tx.snapshots().save(&going).await?;
            self.log_operation(&mut tx, caller, id, "DeleteSnapshots", Some(job)).await?;
        }
        for backup in backups {
            let id = Tagged::DiskBackup(backup.id);
            let going = DiskBackup { lifecycle: Lifecycle::Deleting, job: Some(job), ..backup };
            tx.disk_backups().save(&going).await?;
            self.log_operation(&mut tx, caller, id, "DeleteDiskBackups", Some(job)).await?;
        }
        for disk in disks {
            self.charge_rest(&mut tx, &disk).await?;
            let id = Tagged::Disk(disk.id);
            tx.disks().save(&Disk { job: Some(job), ..disk }).await?;
            self.log_operation(&mut tx, caller, id, "TerminateDisks", Some(job)).await?;
        }
        tx.commit().await?;
        self.await_job(job).await
    }

    /// Empties disks, or takes those made from a snapshot back to it: all of them, or none.
    pub async fn initialize_disks(&self, caller: &Caller, ids: Vec<DiskId>) -> Result<(), ControlError> {
        check_ids("DiskIds", &ids, self.limits_of(caller.account).disks_per_initialize)?;
        let mut tx = self.db.write().await?;
        let disks = find_all(&mut tx, caller, &ids).await?;
        let mut targets = Vec::with_capacity(disks.len());
        for disk in &disks {
            if let Err(error) = state::begin_initialize(disk) {
                return Err(told_apart(&mut tx, error).await?);
            }
            if let Some(snapshot) = disk.source_snapshot {
                let found = tx.snapshots().find_usable(caller.account, &caller.region, snapshot).await?;
                state::snapshot_ready(&found.ok_or(SnapshotError::NotFound(snapshot))?)?;
            }
            targets.push(Initialization { disk: disk.id, to: disk.source_snapshot });
        }
        let work = Work::InitializeDisks { targets };
        self.commit_and_wait(tx, caller, disks, &work, "InitializeDisks").await
    }

    /// The snapshots that go with their disks: those that are neither kept for ever nor locked, where the call or the
    /// disk says so.
    async fn snapshots_that_go(
        &self,
        tx: &mut Transaction,
        disks: &[Disk],
        wanted: Option<bool>,
    ) -> Result<Vec<Snapshot>, ControlError> {
        let now = self.now();
        let mut going = Vec::new();
        for disk in disks.iter().filter(|disk| wanted.unwrap_or(disk.delete_snapshot)) {
            for snapshot in tx.snapshots().of_disk(disk.id).await? {
                if !snapshot.is_permanent() && !snapshot.is_locked(now) {
                    state::snapshot_ready(&snapshot)?;
                    check_may_go(tx, &snapshot).await?;
                    going.push(snapshot);
                }
            }
        }
        Ok(going)
    }
}
