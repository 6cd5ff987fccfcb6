//! Snapshots of all disks of a machine before it is fixed, and what there is of them.

use ashlar_db::{
    Disk, DiskQuery, FixSnapshot, FixSnapshotQuery, Instance, Listed, Page, Snapshot, Tagged, Transaction,
};
use ashlar_types::{InstanceId, SnapshotId, UnixMillis};

use crate::caller::Caller;
use crate::control::Control;
use crate::disk::{state, told_apart};
use crate::error::{ControlError, InstanceError, ParameterError};
use crate::filter::{check_name_chars, page};
use crate::instance::{self, instance_uuid};
use crate::job::{GroupMember, Work};
use crate::snapshot::new_snapshot;

/// Source: `DescribeMachineSnapshot.SnapshotCheck`.
const FRESH_MS: i64 = 24 * 60 * 60 * 1000;

/// What was taken of a machine before a fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenBeforeFix {
    /// The machine.
    pub instance: Instance,
    /// Its UUID.
    pub quuid: String,
    /// When.
    pub taken: UnixMillis,
    /// One snapshot of each of its disks, the oldest disk first.
    pub snapshots: Vec<Snapshot>,
}

/// What DescribeMachineSnapshot asks for. Reference: `cwp/DescribeMachineSnapshot`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribeMachineSnapshot {
    /// The machines, by their UUIDs.
    pub quuids: Vec<String>,
    /// Only those of each machine's latest fix.
    pub latest: bool,
    /// How many to leave out.
    pub offset: u64,
    /// How many to show, 1 to 100.
    pub limit: u64,
}

/// What there is of machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineSnapshots {
    /// The snapshots.
    pub listed: Listed<FixSnapshot>,
    /// Whether each of the machines has one of the last 24 hours.
    pub all_fresh: bool,
}

impl Control {
    /// Takes a snapshot of every disk of a machine, all at one moment, for whoever is about to fix it. Shareable disks, of
    /// which there are no snapshots, are left out. When this returns without an error they are ready; with one, there is
    /// none of them.
    pub async fn take_before_fix(
        &self,
        id: InstanceId,
        name: String,
    ) -> Result<TakenBeforeFix, ControlError> {
        if name.is_empty() {
            let why = "say what is going to be fixed";
            return Err(ParameterError::Missing { parameter: "name", why }.into());
        }
        check_name_chars("name", &name, self.limits())?;
        let found = self.db.read().await?.instances().find_any(id).await?;
        let instance = found.ok_or(InstanceError::NotFound(id))?;
        let caller = instance::operator(&instance);
        let inside = instance::disks_in(&caller, vec![id]);
        let disk_count = that_have_snapshots(&mut self.db.read().await?, &inside).await?.len();
        let snapshot_ids = self.free_snapshot_ids(&caller.region, disk_count).await?;

        let mut tx = self.db.write().await?;
        let disks = that_have_snapshots(&mut tx, &inside).await?;
        if disks.is_empty() {
            return Err(InstanceError::NoDisks(id).into());
        }
        if disks.len() != snapshot_ids.len() {
            return Err(InstanceError::Changing(id).into());
        }
        for disk in &disks {
            if let Err(error) = state::begin_snapshot(disk) {
                return Err(told_apart(&mut tx, error).await?);
            }
            self.check_snapshot_quota(&mut tx, disk).await?;
        }
        let pairs = disks.iter().zip(&snapshot_ids);
        let members = pairs.map(|(disk, snapshot)| GroupMember { disk: disk.id, snapshot: *snapshot });
        // Taken like a group, at one moment, and no group afterwards: each can be used and deleted by itself.
        let work = Work::CreateSnapshotGroup { members: members.collect() };
        let job = self.write_job(&mut tx, &caller.region, &work).await?;
        let taken = self.now();
        for (disk, snapshot_id) in disks.into_iter().zip(&snapshot_ids) {
            let resources = [Tagged::Snapshot(*snapshot_id), Tagged::Disk(disk.id)];
            let snapshot = new_snapshot(*snapshot_id, &disk, Some(name.clone()), disk.usage, taken);
            tx.snapshots().insert(&Snapshot { job: Some(job), ..snapshot }).await?;
            tx.disks().save(&Disk { job: Some(job), ..disk }).await?;
            for resource in resources {
                self.log_operation(&mut tx, &caller, resource, "CreateSnapshot", Some(job)).await?;
            }
        }
        let quuid = instance_uuid(id);
        tx.fix_snapshots().insert(&instance, &quuid, &snapshot_ids).await?;
        tx.commit().await?;
        self.await_or_cancel_job(job).await?;
        let snapshots = self.found(&snapshot_ids).await?;
        Ok(TakenBeforeFix { instance, quuid, taken, snapshots })
    }

    async fn found(&self, ids: &[SnapshotId]) -> Result<Vec<Snapshot>, ControlError> {
        let mut tx = self.db.read().await?;
        let mut snapshots = Vec::with_capacity(ids.len());
        for id in ids {
            snapshots.extend(tx.snapshots().find_live(*id).await?);
        }
        Ok(snapshots)
    }

    /// Shows what fixes of the caller's machines have taken before them, in all regions, newest first. Machines that
    /// nobody knows have none.
    pub async fn describe_machine_snapshot(
        &self,
        caller: &Caller,
        wanted: DescribeMachineSnapshot,
    ) -> Result<MachineSnapshots, ControlError> {
        let Page { offset, limit } = page(Some(wanted.offset), Some(wanted.limit), self.limits())?;
        let mut quuids = wanted.quuids;
        quuids.sort_unstable();
        quuids.dedup();
        let since = self.now().plus_ms(-FRESH_MS);
        let mut tx = self.db.read().await?;
        let fresh = tx.fix_snapshots().machines_since(caller.account, &quuids, since).await?;
        let all_fresh = fresh == quuids.len() as u64;
        let query = FixSnapshotQuery {
            account: caller.account,
            quuids,
            latest: wanted.latest,
            page: Page { offset, limit },
        };
        Ok(MachineSnapshots { listed: tx.fix_snapshots().list(&query).await?, all_fresh })
    }
}

/// The disks in a machine of which snapshots can be taken.
async fn that_have_snapshots(tx: &mut Transaction, inside: &DiskQuery) -> Result<Vec<Disk>, ControlError> {
    let found = tx.disks().list(inside).await?.items.into_iter();
    Ok(found.map(|listing| listing.disk).filter(|disk| !disk.shareable).collect())
}
