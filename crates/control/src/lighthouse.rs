//! Snapshots of machines of Lighthouse: of the disk that a machine boots from, in the names that Lighthouse has for it.
//!
//! They are the snapshots of the block storage, under another prefix: a snapshot of such a disk is one of Lighthouse,
//! whatever took it.

use std::collections::HashMap;

use ashlar_db::{
    Disk, InstanceFilter, LatestOperation, Listed, Order, Snapshot, SnapshotFilter, SnapshotQuery, Tag,
    Tagged, Transaction,
};
use ashlar_types::{
    DiskId, DiskState, InstanceId, InstanceProduct, LighthouseDiskId, LighthouseInstanceId,
    LighthouseSnapshotId, SnapshotId, SnapshotState,
};

use crate::caller::Caller;
use crate::control::Control;
use crate::disk::system::is_system;
use crate::disk::{named, state, told_apart};
use crate::error::{
    ControlError, DiskError, DiskWork, LighthouseError, ParameterError, QuotaError, SnapshotError,
};
use crate::filter::{
    Filter, at_most, check_ids, check_name_chars, check_tags, invalid, lighthouse_filters, page,
};
use crate::instance;
use crate::job::Work;
use crate::snapshot::new_snapshot;
use crate::snapshot_copy::CopyError;

/// Ids of one DeleteSnapshots call. Source: its description.
const DELETED_MAX: u64 = 10;

/// What CreateInstanceSnapshot asks for. Reference: `lighthouse/CreateInstanceSnapshot`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateInstanceSnapshot {
    /// The machine.
    pub instance: LighthouseInstanceId,
    /// The name, at most 60 characters. Default: "Unnamed".
    pub name: Option<String>,
    /// Tags for the snapshot.
    pub tags: Vec<Tag>,
}

/// What DescribeSnapshots of Lighthouse asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DescribeInstanceSnapshots {
    /// These snapshots; excludes filters.
    pub snapshots: Vec<LighthouseSnapshotId>,
    /// Snapshots that meet all of these.
    pub filters: Vec<Filter>,
    /// How many to leave out. Default: 0.
    pub offset: Option<u64>,
    /// How many to show, 1 to 100. Default: 20.
    pub limit: Option<u64>,
}

/// A snapshot as DescribeSnapshots of Lighthouse shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceSnapshotView {
    /// The snapshot itself.
    pub snapshot: Snapshot,
    /// How far taking it, or rolling back to it, is; then 100.
    pub percent: u64,
    /// How it was taken, or the last time that its disk was rolled back to it.
    pub latest_operation: Option<LatestOperation>,
    /// Its tags, by key.
    pub tags: Vec<Tag>,
}

impl Control {
    /// Takes a snapshot of the disk that a machine boots from.
    pub async fn create_instance_snapshot(
        &self,
        caller: &Caller,
        wanted: CreateInstanceSnapshot,
    ) -> Result<LighthouseSnapshotId, ControlError> {
        let CreateInstanceSnapshot { instance, name, tags } = wanted;
        let name = name.unwrap_or_default();
        check_name_chars("SnapshotName", &name, self.limits())?;
        check_tags(&tags, &self.limits_of(caller.account))?;
        let id = self.free_snapshot_id(&caller.region).await?;

        let mut tx = self.db.write().await?;
        let disk = find_system_disk(&mut tx, caller, instance).await?;
        if let Err(error) = state::begin_snapshot(&disk) {
            return Err(of_disk(instance, told_apart(&mut tx, error).await?));
        }
        let new = new_snapshot(id, &disk, Some(name), disk.usage, self.now());
        let begun = self.begin_snapshot(&mut tx, caller, disk, new, &tags).await;
        let job = begun.map_err(|error| of_disk(instance, error))?;
        tx.commit().await?;
        self.await_job(job).await?;
        Ok(id.into())
    }

    /// Shows the caller's snapshots of a region, newest first. Unknown ids are left out.
    pub async fn describe_instance_snapshots(
        &self,
        caller: &Caller,
        wanted: DescribeInstanceSnapshots,
    ) -> Result<Listed<InstanceSnapshotView>, ControlError> {
        let query = self.instance_snapshot_query(caller, wanted)?;
        let mut tx = self.db.read().await?;
        let listed = tx.snapshots().list(&query).await?;
        let tagged: Vec<Tagged> =
            listed.items.iter().map(|listing| Tagged::Snapshot(listing.snapshot.id)).collect();
        let mut tags = tx.tags().of(&tagged).await?;
        let mut latest = tx.operations().latest_of_content(&tagged).await?;
        let rolling = listed.items.iter().filter(|found| found.snapshot.state == SnapshotState::Rollbacking);
        let disks: Vec<DiskId> = rolling.filter_map(|found| found.snapshot.disk).collect();
        let mut percents: HashMap<DiskId, u64> = HashMap::new();
        for id in disks {
            if let Some(disk) = tx.disks().find(caller.account, &caller.region, id).await? {
                percents.insert(id, disk.rollback_percent);
            }
        }
        let view = |listing: ashlar_db::SnapshotListing| {
            let snapshot = listing.snapshot;
            let resource = Tagged::Snapshot(snapshot.id);
            let rolled = snapshot.disk.and_then(|disk| percents.get(&disk)).copied();
            let is_rolling = snapshot.state == SnapshotState::Rollbacking;
            InstanceSnapshotView {
                percent: rolled.filter(|_| is_rolling).unwrap_or(snapshot.percent),
                latest_operation: latest.remove(&resource),
                tags: tags.remove(&resource).unwrap_or_default(),
                snapshot,
            }
        };
        let items = listed.items.into_iter().map(view).collect();
        Ok(Listed { total_count: listed.total_count, items })
    }

    fn instance_snapshot_query(
        &self,
        caller: &Caller,
        wanted: DescribeInstanceSnapshots,
    ) -> Result<SnapshotQuery, ControlError> {
        if !wanted.snapshots.is_empty() && !wanted.filters.is_empty() {
            return Err(ParameterError::Excludes { parameter: "SnapshotIds", other: "Filters" }.into());
        }
        at_most("SnapshotIds", wanted.snapshots.len(), self.limits().ids_per_call)?;
        let mut filters = lighthouse_filters(&wanted.filters, self.limits())?;
        if !wanted.snapshots.is_empty() {
            filters.push(SnapshotFilter::Id(wanted.snapshots.into_iter().map(SnapshotId::from).collect()));
        }
        filters.push(SnapshotFilter::Lighthouse);
        Ok(SnapshotQuery {
            account: caller.account,
            region: caller.region.clone(),
            filters,
            order: Order::Descending,
            page: page(wanted.offset, wanted.limit, self.limits())?,
        })
    }

    /// Rolls the disk that a machine boots from back to a snapshot of it. Whoever has the disk open is cut off, as by a
    /// shutdown of the machine, and can open it again when it is done.
    pub async fn apply_instance_snapshot(
        &self,
        caller: &Caller,
        instance: LighthouseInstanceId,
        id: LighthouseSnapshotId,
    ) -> Result<(), ControlError> {
        let mut tx = self.db.write().await?;
        let disk = find_system_disk(&mut tx, caller, instance).await?;
        check_settled(instance, &disk)?;
        let snapshot = find(&mut tx, caller, id).await?;
        if snapshot.disk != Some(disk.id) {
            let expected = format!("a snapshot of the system disk of `{instance}`");
            return Err(invalid("SnapshotId", id, expected).into());
        }
        let (disk, snapshot) = match state::begin_roll_back_inside(disk, snapshot) {
            Ok(begun) => begun,
            Err(ControlError::Disk(error)) => {
                return Err(of_disk(instance, told_apart(&mut tx, error).await?));
            }
            Err(error) => return Err(of_snapshot(id, error)),
        };
        let work =
            Work::ApplyInstanceSnapshot { disk: disk.id, snapshot: snapshot.id, instance: instance.into() };
        let job = self.write_job(&mut tx, &caller.region, &work).await?;
        for resource in [Tagged::Disk(disk.id), Tagged::Snapshot(snapshot.id)] {
            self.log_operation(&mut tx, caller, resource, "ApplySnapshot", Some(job)).await?;
        }
        tx.disks().save(&Disk { job: Some(job), ..disk }).await?;
        tx.snapshots().save(&Snapshot { job: Some(job), ..snapshot }).await?;
        tx.commit().await?;
        self.await_job(job).await
    }

    /// Deletes snapshots: all of them, or none.
    pub async fn delete_instance_snapshots(
        &self,
        caller: &Caller,
        ids: Vec<LighthouseSnapshotId>,
    ) -> Result<(), ControlError> {
        check_ids("SnapshotIds", &ids, DELETED_MAX)?;
        let mut tx = self.db.write().await?;
        for id in &ids {
            let snapshot = find(&mut tx, caller, *id).await?;
            state::snapshot_ready(&snapshot).map_err(|error| of_snapshot(*id, error.into()))?;
            self.check_may_be_deleted(&mut tx, &snapshot).await.map_err(|error| of_snapshot(*id, error))?;
        }
        let inside = ids.into_iter().map(SnapshotId::from).collect();
        self.delete_snapshots_in(tx, caller, inside, false).await
    }

    /// Gives a snapshot another name.
    pub async fn rename_instance_snapshot(
        &self,
        caller: &Caller,
        id: LighthouseSnapshotId,
        name: Option<String>,
    ) -> Result<(), ControlError> {
        let why = "give the new name";
        let name = name.ok_or(ParameterError::Missing { parameter: "SnapshotName", why })?;
        check_name_chars("SnapshotName", &name, self.limits())?;
        let mut tx = self.db.write().await?;
        let snapshot = find(&mut tx, caller, id).await?;
        let renamed = Snapshot { name: named(name), modified: self.now(), ..snapshot };
        tx.snapshots().save(&renamed).await?;
        let resource = Tagged::Snapshot(renamed.id);
        self.log_operation(&mut tx, caller, resource, "ModifySnapshotAttribute", None).await?;
        Ok(tx.commit().await?)
    }
}

/// The disk that a machine of the caller's boots from.
async fn find_system_disk(
    tx: &mut Transaction,
    caller: &Caller,
    id: LighthouseInstanceId,
) -> Result<Disk, ControlError> {
    let inside = InstanceId::from(id);
    let query = ashlar_db::InstanceQuery {
        account: caller.account,
        region: caller.region.clone(),
        product: InstanceProduct::Lighthouse,
        filters: vec![InstanceFilter::Id(vec![inside])],
        page: ashlar_db::Page { offset: 0, limit: 1 },
    };
    if tx.instances().page(&query).await?.items.is_empty() {
        return Err(LighthouseError::InstanceNotFound(id).into());
    }
    let disks = tx.disks().list(&instance::disks_in(caller, vec![inside])).await?.items;
    let system = disks.into_iter().map(|listing| listing.disk).find(is_system);
    Ok(system.ok_or(LighthouseError::NoSystemDisk(id))?)
}

/// Refuses a machine that is on its way in or out: it has nothing that could be rolled back.
fn check_settled(instance: LighthouseInstanceId, disk: &Disk) -> Result<(), LighthouseError> {
    match disk.state {
        DiskState::Attaching => Err(LighthouseError::InstanceCreating(instance)),
        DiskState::Detaching => Err(LighthouseError::InstanceRemoving(instance)),
        DiskState::Unattached
        | DiskState::Attached
        | DiskState::Expanding
        | DiskState::Rollbacking
        | DiskState::ToRecycle => Ok(()),
    }
}

/// Finds a snapshot of the caller's own, or refuses.
async fn find(
    tx: &mut Transaction,
    caller: &Caller,
    id: LighthouseSnapshotId,
) -> Result<Snapshot, ControlError> {
    let found = tx.snapshots().find_of_lighthouse(caller.account, &caller.region, id.into()).await?;
    found.ok_or_else(|| LighthouseError::SnapshotNotFound(id).into())
}

/// What is wrong with the disk of a machine, in the names that its clients know.
fn of_disk(instance: LighthouseInstanceId, error: ControlError) -> ControlError {
    let error = match error {
        ControlError::Disk(error) => error,
        ControlError::Quota(QuotaError::SnapshotsOfDisk { at_most, .. }) => {
            return LighthouseError::Quota { instance, at_most }.into();
        }
        other => return other,
    };
    let (disk, doing) = match error {
        DiskError::Busy { state: DiskState::Attaching, .. } => {
            return LighthouseError::InstanceCreating(instance).into();
        }
        DiskError::Busy { state: DiskState::Detaching, .. } => {
            return LighthouseError::InstanceRemoving(instance).into();
        }
        DiskError::SnapshotCreating(disk) => (disk, DiskWork::Snapshot("creating an instance snapshot")),
        DiskError::Busy { disk, state: DiskState::Rollbacking } => {
            (disk, DiskWork::Snapshot("rolling back an instance snapshot"))
        }
        DiskError::Busy { disk, state } => (disk, DiskWork::Other(state)),
        DiskError::Migrating(disk) => (disk, DiskWork::Other(DiskState::Attached)),
        // A disk that left its machine, or is isolated, is no system disk that a call finds.
        other => return other.into(),
    };
    LighthouseError::DiskBusy { disk: LighthouseDiskId::from(disk), doing }.into()
}

/// What is wrong with a snapshot, in the names that its clients know.
fn of_snapshot(snapshot: LighthouseSnapshotId, error: ControlError) -> ControlError {
    match error {
        ControlError::Snapshot(SnapshotError::Creating(_)) => {
            LighthouseError::SnapshotBusy { snapshot, state: SnapshotState::Creating }.into()
        }
        ControlError::Snapshot(SnapshotError::Busy { state, .. }) => {
            LighthouseError::SnapshotBusy { snapshot, state }.into()
        }
        ControlError::Copy(CopyError::UnderWay(_)) => {
            LighthouseError::SnapshotBusy { snapshot, state: SnapshotState::Normal }.into()
        }
        ControlError::Db(_) | ControlError::Job(_) => error,
        other => LighthouseError::SnapshotHeld { snapshot, why: other.to_string() }.into(),
    }
}
