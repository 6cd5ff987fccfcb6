//! Snapshots: taking, listing, changing, applying, deleting.

use ashlar_db::{
    Disk, LatestOperation, Lifecycle, Listed, Snapshot, SnapshotFilter, SnapshotListing, SnapshotQuery, Tag,
    Tagged, Transaction,
};
use ashlar_types::{
    DiskBackupId, DiskId, DiskUsage, ImageId, ProjectId, Region, SnapshotId, SnapshotState, UnixMillis,
};

use crate::caller::{Caller, RequestId};
use crate::control::Control;
use crate::disk::{self, named, state, told_apart};
use crate::error::{ControlError, ParameterError, QuotaError, SnapshotError};
use crate::filter::{
    Filter, at_most, check_ids, check_name, check_snapshot_order_field, check_tags, invalid, order, page,
    snapshot_filters,
};
use crate::image::check_not_bound;
use crate::instance;
use crate::job::{JobHold, Work};
use crate::leader::Leadership;
use crate::reconcile::Reconciled;
use crate::retention::Outlived;
use crate::snapshot_copy::check_not_needed;
use crate::snapshot_group::check_no_member;
use crate::snapshot_share::ShareError;
use crate::wire_time::parse_iso;

/// What CreateSnapshot asks for. Reference: `cbs/CreateSnapshot`, both editions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CreateSnapshot {
    /// The disk; necessary unless a backup point is named.
    pub disk: Option<DiskId>,
    /// The name, at most 60 bytes. Default: "Unnamed".
    pub name: Option<String>,
    /// When it is deleted by itself, ISO 8601, in the future. Default: never.
    pub deadline: Option<String>,
    /// The backup point that becomes the snapshot. It is no backup point afterwards.
    pub backup: Option<DiskBackupId>,
    /// Tags for the snapshot.
    pub tags: Vec<Tag>,
    /// What the snapshot counts as. Default: as its disk. A data disk's cannot be a system disk's.
    pub disk_usage: Option<DiskUsage>,
    /// Whether an instant snapshot is asked for, as it is shown afterwards. Every snapshot here is taken and
    /// rolled back in an instant, and lies in the pool of its disk.
    pub is_instant: bool,
}

/// What DescribeSnapshots asks for. Reference: `cbs/DescribeSnapshots`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DescribeSnapshots {
    /// These snapshots; excludes filters.
    pub snapshots: Vec<SnapshotId>,
    /// Snapshots that meet all of these.
    pub filters: Vec<Filter>,
    /// How many to leave out. Default: 0.
    pub offset: Option<u64>,
    /// How many to show, 1 to 100. Default: 20.
    pub limit: Option<u64>,
    /// ASC or DESC. Default: DESC.
    pub order: Option<String>,
    /// CREATE_TIME.
    pub order_field: Option<String>,
}

/// A snapshot as DescribeSnapshots shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotView {
    /// The snapshot itself.
    pub snapshot: Snapshot,
    /// The name of its project.
    pub project_name: String,
    /// The images that are made of it, each with its name.
    pub images: Vec<(ImageId, String)>,
    /// Its tags, by key.
    pub tags: Vec<Tag>,
    /// What was done to it last; told to its owner alone.
    pub latest_operation: Option<LatestOperation>,
    /// Whether it is another account's, shared with the caller.
    pub is_shared_by_other: bool,
    /// With how many accounts it is shared; told to its owner alone.
    pub share_count: u64,
    /// Since when it is shared.
    pub shared_since: Option<UnixMillis>,
    /// Whether nobody can delete it yet.
    pub is_locked: bool,
    /// Whether it was copied from another region.
    pub is_copy: bool,
    /// The regions that it is being copied to; told to its owner alone.
    pub copying_to: Vec<Region>,
}

/// What ModifySnapshotAttribute asks for. Reference: `cbs/ModifySnapshotAttribute`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModifySnapshotAttribute {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// A new name, at most 60 bytes.
    pub name: Option<String>,
    /// True keeps it for ever; false needs a deadline beside it, unless it has one.
    pub is_permanent: Option<bool>,
    /// When it is deleted by itself, ISO 8601, in the future.
    pub deadline: Option<String>,
}

/// What ApplySnapshot asks for. Reference: `cbs/ApplySnapshot`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApplySnapshot {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The disk that it was taken from.
    pub disk: DiskId,
    /// Whether to shut the instance down before. No driver of this build can.
    pub auto_stop_instance: Option<bool>,
    /// Whether to start the instance afterwards. No driver of this build can.
    pub auto_start_instance: Option<bool>,
}

/// The sum over an account's snapshots. Reference: `cbs/GetSnapOverview`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotOverview {
    /// How many there are.
    pub total_count: u64,
    /// Bytes that they hold together.
    pub total_bytes: u64,
    /// Bytes that cost nothing.
    pub free_quota_bytes: u64,
    /// Bytes beyond that.
    pub billed_bytes: u64,
}

impl Control {
    /// Takes a snapshot of a disk and gives its id. It is seen at once, as CREATING, and ready when NORMAL.
    pub async fn create_snapshot(
        &self,
        caller: &Caller,
        wanted: CreateSnapshot,
    ) -> Result<SnapshotId, ControlError> {
        let deadline = self.check_new_snapshot(&wanted)?;
        if let Some(backup) = wanted.backup {
            return self.convert_disk_backup(caller, backup, wanted, deadline).await;
        }
        let why = "name the disk, or the backup point, to take the snapshot of";
        let disk_id = wanted.disk.ok_or(ParameterError::Missing { parameter: "DiskId", why })?;
        let id = self.free_snapshot_id(&caller.region).await?;

        let mut tx = self.db.write().await?;
        let disk = disk::find(&mut tx, caller, disk_id).await?;
        if let Err(error) = state::begin_snapshot(&disk) {
            return Err(disk::told_backup_apart(&mut tx, error).await?);
        }
        let usage = usage_of(&wanted, disk.usage)?;
        let new = new_snapshot(id, &disk, wanted.name, usage, self.now());
        let new = Snapshot { deadline, is_instant: wanted.is_instant, ..new };
        let job = self.begin_snapshot(&mut tx, caller, disk, new, &wanted.tags).await?;
        tx.commit().await?;
        self.await_job(job).await?;
        Ok(id)
    }

    /// Writes a snapshot that is about to be taken of a disk that is ready for it, and the job that takes it.
    pub(crate) async fn begin_snapshot(
        &self,
        tx: &mut Transaction,
        caller: &Caller,
        disk: Disk,
        new: Snapshot,
        tags: &[Tag],
    ) -> Result<JobHold, ControlError> {
        self.check_snapshot_quota(tx, &disk).await?;
        let (id, disk_id) = (new.id, disk.id);
        let work = Work::CreateSnapshot { disk: disk_id, snapshot: id };
        let job = self.write_job(tx, &caller.region, &work).await?;
        tx.snapshots().insert(&Snapshot { job: Some(job), ..new }).await?;
        tx.tags().insert(Tagged::Snapshot(id), tags).await?;
        tx.disks().save(&ashlar_db::Disk { job: Some(job), ..disk }).await?;
        for resource in [Tagged::Snapshot(id), Tagged::Disk(disk_id)] {
            self.log_operation(tx, caller, resource, "CreateSnapshot", Some(job)).await?;
        }
        Ok(job)
    }

    /// Everything that the request alone can tell; gives the deadline.
    fn check_new_snapshot(&self, wanted: &CreateSnapshot) -> Result<Option<UnixMillis>, ControlError> {
        if let Some(name) = &wanted.name {
            check_name("SnapshotName", name, self.limits())?;
        }
        check_tags(&wanted.tags, self.limits())?;
        Ok(wanted.deadline.as_deref().map(|text| self.future(text)).transpose()?)
    }

    /// Refuses unless the disk may have one more snapshot.
    pub(crate) async fn check_snapshot_quota(
        &self,
        tx: &mut Transaction,
        disk: &Disk,
    ) -> Result<(), ControlError> {
        let at_most = self.limits_of(disk.account).snapshots_per_disk;
        if tx.snapshots().count_of_disk(disk.id).await? >= at_most {
            return Err(QuotaError::SnapshotsOfDisk { disk: disk.id, at_most }.into());
        }
        Ok(())
    }

    /// A deadline that lies ahead.
    fn future(&self, text: &str) -> Result<UnixMillis, ParameterError> {
        let expected = "a later ISO 8601 time with an offset, YYYY-MM-DDThh:mm:ss+00:00";
        let time = parse_iso(text).filter(|time| *time > self.now());
        time.ok_or_else(|| invalid("Deadline", text, expected))
    }

    /// Shows the caller's snapshots of a region, newest first unless asked otherwise. Unknown ids are left out.
    pub async fn describe_snapshots(
        &self,
        caller: &Caller,
        wanted: DescribeSnapshots,
    ) -> Result<Listed<SnapshotView>, ControlError> {
        let query = self.snapshot_query(caller, &wanted)?;
        let mut tx = self.db.read().await?;
        let listed = tx.snapshots().list(&query).await?;
        let id_of = |listing: &SnapshotListing| Tagged::Snapshot(listing.snapshot.id);
        let ids: Vec<Tagged> = listed.items.iter().map(id_of).collect();
        let mut tags = tx.tags().of(&ids).await?;
        let mut latest = tx.operations().latest(&ids).await?;
        let bound: Vec<SnapshotId> = listed.items.iter().map(|listing| listing.snapshot.id).collect();
        let mut images = tx.images().of_snapshots(&bound).await?;
        let mut items = Vec::with_capacity(listed.items.len());
        for listing in listed.items {
            let id = id_of(&listing);
            let SnapshotListing { snapshot, project_name, share_count, shared_since, is_copy } = listing;
            let view = SnapshotView {
                project_name,
                images: images.remove(&snapshot.id).unwrap_or_default(),
                tags: tags.remove(&id).unwrap_or_default(),
                latest_operation: latest.remove(&id),
                is_shared_by_other: snapshot.account != caller.account,
                share_count,
                shared_since,
                is_copy,
                is_locked: snapshot.is_locked(self.now()),
                copying_to: tx.snapshot_copies().destinations(snapshot.id).await?,
                snapshot,
            };
            items.push(if view.is_shared_by_other { seen_by_other(view) } else { view });
        }
        Ok(Listed { total_count: listed.total_count, items })
    }

    fn snapshot_query(
        &self,
        caller: &Caller,
        wanted: &DescribeSnapshots,
    ) -> Result<SnapshotQuery, ControlError> {
        if !wanted.snapshots.is_empty() && !wanted.filters.is_empty() {
            return Err(ParameterError::Excludes { parameter: "SnapshotIds", other: "Filters" }.into());
        }
        at_most("SnapshotIds", wanted.snapshots.len(), self.limits().ids_per_call)?;
        check_snapshot_order_field(wanted.order_field.as_deref())?;
        let mut filters = snapshot_filters(&wanted.filters, self.limits())?;
        if !wanted.snapshots.is_empty() {
            filters.push(SnapshotFilter::Id(wanted.snapshots.clone()));
        }
        Ok(SnapshotQuery {
            account: caller.account,
            region: caller.region.clone(),
            filters,
            order: order(wanted.order.as_deref())?,
            page: page(wanted.offset, wanted.limit, self.limits())?,
        })
    }

    /// Changes a snapshot's name or how long it is kept.
    pub async fn modify_snapshot_attribute(
        &self,
        caller: &Caller,
        wanted: ModifySnapshotAttribute,
    ) -> Result<(), ControlError> {
        let ModifySnapshotAttribute { snapshot: id, name, is_permanent, deadline } = wanted;
        if let Some(name) = &name {
            check_name("SnapshotName", name, self.limits())?;
        }
        let deadline = deadline.as_deref().map(|text| self.future(text)).transpose()?;
        if name.is_none() && is_permanent.is_none() && deadline.is_none() {
            let why = "name at least one attribute to change";
            return Err(ParameterError::Missing { parameter: "SnapshotName", why }.into());
        }

        let mut tx = self.db.write().await?;
        let mut snapshot = find(&mut tx, caller, id).await?;
        if deadline.is_some() {
            // It would be gone under those who rely on it.
            check_not_shared(&mut tx, &snapshot).await?;
            check_no_member(&snapshot)?;
            check_not_bound(&mut tx, id).await?;
        }
        match (is_permanent, deadline) {
            (Some(true), Some(_)) => {
                let (parameter, other) = ("IsPermanent", "Deadline");
                return Err(ParameterError::Excludes { parameter, other }.into());
            }
            // What its owner says takes the place of what a policy promised.
            (Some(true), None) => (snapshot.deadline, snapshot.promise) = (None, None),
            (Some(false) | None, Some(deadline)) => {
                (snapshot.deadline, snapshot.promise) = (Some(deadline), None);
            }
            (Some(false), None) if snapshot.is_permanent() => {
                let why = "a snapshot that is not kept for ever needs one";
                return Err(ParameterError::Missing { parameter: "Deadline", why }.into());
            }
            (Some(false) | None, None) => {}
        }
        snapshot.name = name.map_or(snapshot.name, named);
        snapshot.modified = self.now();
        tx.snapshots().save(&snapshot).await?;
        let resource = Tagged::Snapshot(id);
        self.log_operation(&mut tx, caller, resource, "ModifySnapshotAttribute", None).await?;
        Ok(tx.commit().await?)
    }

    /// Rolls a disk back to a snapshot of its own.
    pub async fn apply_snapshot(&self, caller: &Caller, wanted: ApplySnapshot) -> Result<(), ControlError> {
        instance::check_power(wanted.auto_stop_instance, wanted.auto_start_instance)?;
        let mut tx = self.db.write().await?;
        let snapshot = find(&mut tx, caller, wanted.snapshot).await?;
        let disk = disk::find(&mut tx, caller, wanted.disk).await?;
        instance::refuse_power(&disk, wanted.auto_stop_instance)?;
        let (disk, snapshot) = match state::begin_roll_back(disk, snapshot) {
            Ok(begun) => begun,
            Err(ControlError::Disk(error)) => return Err(told_apart(&mut tx, error).await?),
            Err(error) => return Err(error),
        };
        let work = Work::ApplySnapshot { disk: disk.id, snapshot: snapshot.id };
        let job = self.write_job(&mut tx, &caller.region, &work).await?;
        tx.disks().save(&ashlar_db::Disk { job: Some(job), ..disk }).await?;
        tx.snapshots().save(&Snapshot { job: Some(job), ..snapshot }).await?;
        for resource in [Tagged::Disk(wanted.disk), Tagged::Snapshot(wanted.snapshot)] {
            self.log_operation(&mut tx, caller, resource, "ApplySnapshot", Some(job)).await?;
        }
        tx.commit().await?;
        self.await_job(job).await
    }

    /// Deletes snapshots: all of them, or none. One that an image is made of is refused.
    pub async fn delete_snapshots(&self, caller: &Caller, ids: Vec<SnapshotId>) -> Result<(), ControlError> {
        check_ids("SnapshotIds", &ids, self.limits().ids_per_call)?;
        let tx = self.db.write().await?;
        self.delete_snapshots_in(tx, caller, ids, false).await
    }

    /// The same; images that are made of them go too.
    pub async fn delete_snapshots_and_images(
        &self,
        caller: &Caller,
        ids: Vec<SnapshotId>,
    ) -> Result<(), ControlError> {
        check_ids("SnapshotIds", &ids, self.limits().ids_per_call)?;
        let tx = self.db.write().await?;
        self.delete_snapshots_in(tx, caller, ids, true).await
    }

    /// The same, in a transaction that is under way.
    pub(crate) async fn delete_snapshots_in(
        &self,
        mut tx: Transaction,
        caller: &Caller,
        ids: Vec<SnapshotId>,
        with_images: bool,
    ) -> Result<(), ControlError> {
        let mut snapshots = Vec::with_capacity(ids.len());
        for id in &ids {
            snapshots.push(self.deletable(&mut tx, caller, *id, with_images).await?);
        }
        if with_images {
            for (image, _) in tx.images().of_snapshots(&ids).await?.into_values().flatten() {
                self.forget_image(&mut tx, caller, image, "DeleteSnapshots").await?;
            }
        }
        let job = self.begin_deletion(&mut tx, caller, snapshots).await?;
        tx.commit().await?;
        self.await_job(job).await
    }

    /// Refuses what is locked, what others need, and what images are made of.
    pub(crate) async fn check_may_be_deleted(
        &self,
        tx: &mut Transaction,
        snapshot: &Snapshot,
    ) -> Result<(), ControlError> {
        self.check_not_locked(snapshot)?;
        check_may_go(tx, snapshot).await?;
        check_not_bound(tx, snapshot.id).await
    }

    /// Finds a snapshot that nothing keeps from being deleted, or refuses.
    pub(crate) async fn deletable(
        &self,
        tx: &mut Transaction,
        caller: &Caller,
        id: SnapshotId,
        with_images: bool,
    ) -> Result<Snapshot, ControlError> {
        let snapshot = find(tx, caller, id).await?;
        state::snapshot_ready(&snapshot)?;
        if with_images {
            self.check_not_locked(&snapshot)?;
            check_may_go(tx, &snapshot).await?;
        } else {
            self.check_may_be_deleted(tx, &snapshot).await?;
        }
        Ok(snapshot)
    }

    /// Writes the job that deletes snapshots which nothing keeps.
    pub(crate) async fn begin_deletion(
        &self,
        tx: &mut Transaction,
        caller: &Caller,
        snapshots: Vec<Snapshot>,
    ) -> Result<JobHold, ControlError> {
        let ids = snapshots.iter().map(|snapshot| snapshot.id).collect();
        let work = Work::DeleteSnapshots { snapshots: ids, recycle: self.recycles_snapshots() };
        let job = self.write_job(tx, &caller.region, &work).await?;
        for snapshot in snapshots {
            let resource = Tagged::Snapshot(snapshot.id);
            let going = Snapshot { lifecycle: Lifecycle::Deleting, job: Some(job), ..snapshot };
            tx.snapshots().save(&going).await?;
            self.log_operation(tx, caller, resource, "DeleteSnapshots", Some(job)).await?;
        }
        Ok(job)
    }

    /// Sums up the caller's snapshots of a region.
    pub async fn snapshot_overview(&self, caller: &Caller) -> Result<SnapshotOverview, ControlError> {
        let totals = self.db.look().await?.snapshots().totals(caller.account, &caller.region).await?;
        let free_quota_bytes = self.limits_of(caller.account).free_snapshot_gib * ashlar_types::GIB_BYTES;
        Ok(SnapshotOverview {
            total_count: totals.count,
            total_bytes: totals.held_bytes,
            free_quota_bytes,
            billed_bytes: totals.held_bytes.saturating_sub(free_quota_bytes),
        })
    }

    /// Deletes the snapshots whose deadline has passed.
    pub(crate) async fn expire_snapshots(&self, leader: Leadership) -> Result<Reconciled, ControlError> {
        let expired = self.db.look().await?.snapshots().expired(self.now()).await?;
        let outlived: Vec<Outlived> = expired
            .into_iter()
            .map(|snapshot| Outlived {
                id: snapshot.id,
                owner: Caller::owner(
                    snapshot.account,
                    snapshot.zone.region(),
                    RequestId("deadline".to_owned()),
                ),
                locked_until: snapshot.locked_until,
            })
            .collect();
        // What something else keeps is found again in the next round.
        Ok(self.delete_outlived(leader, &outlived).await?.reconciled)
    }
}

/// Finds a snapshot of the caller's own, or refuses. One that is shared with the caller is seen, but not the
/// caller's to change.
pub(crate) async fn find(
    tx: &mut Transaction,
    caller: &Caller,
    id: SnapshotId,
) -> Result<Snapshot, ControlError> {
    let found = tx.snapshots().find_usable(caller.account, &caller.region, id).await?;
    match found {
        Some(snapshot) if snapshot.account == caller.account => Ok(snapshot),
        Some(_) => Err(ShareError::OfOtherAccount(id).into()),
        None => Err(SnapshotError::NotFound(id).into()),
    }
}

/// Refuses to delete what others need: accounts that it is shared with, copies under way, its group.
pub(crate) async fn check_may_go(tx: &mut Transaction, snapshot: &Snapshot) -> Result<(), ControlError> {
    check_not_needed(tx, snapshot.id).await?;
    check_not_shared(tx, snapshot).await?;
    check_no_member(snapshot)
}

/// Refuses while the snapshot is shared.
pub(crate) async fn check_not_shared(tx: &mut Transaction, snapshot: &Snapshot) -> Result<(), ControlError> {
    if tx.snapshot_shares().of_snapshot(snapshot.id).await?.is_empty() {
        return Ok(());
    }
    Err(ShareError::WithOthers(snapshot.id).into())
}

/// What a snapshot counts as. A data disk's cannot be a system disk's.
pub(crate) fn usage_of(wanted: &CreateSnapshot, of_disk: DiskUsage) -> Result<DiskUsage, ControlError> {
    let usage = wanted.disk_usage.unwrap_or(of_disk);
    if usage == DiskUsage::SystemDisk && of_disk == DiskUsage::DataDisk {
        return Err(invalid("DiskUsage", usage, "DATA_DISK for a snapshot of a data disk").into());
    }
    Ok(usage)
}

/// A snapshot of a disk that is about to be taken.
pub(crate) fn new_snapshot(
    id: SnapshotId,
    disk: &Disk,
    name: Option<String>,
    usage: DiskUsage,
    now: UnixMillis,
) -> Snapshot {
    Snapshot {
        id,
        account: disk.account,
        zone: disk.zone.clone(),
        project: disk.project,
        disk: Some(disk.id),
        name: named(name.unwrap_or_default()),
        lifecycle: Lifecycle::Live,
        state: SnapshotState::Creating,
        percent: 0,
        size_gib: disk.size_gib,
        held_bytes: 0,
        usage,
        encrypt_type: disk.encrypt_type,
        policy: None,
        is_instant: false,
        group: None,
        deadline: None,
        promise: None,
        locked_until: None,
        job: None,
        created: now,
        modified: now,
    }
}

/// What an account sees of a snapshot that is shared with it: nothing of its owner's own affairs.
fn seen_by_other(view: SnapshotView) -> SnapshotView {
    SnapshotView {
        snapshot: Snapshot { project: ProjectId(0), ..view.snapshot },
        project_name: String::new(),
        images: Vec::new(),
        tags: Vec::new(),
        latest_operation: None,
        share_count: 0,
        copying_to: Vec::new(),
        ..view
    }
}
