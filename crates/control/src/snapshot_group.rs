//! Groups of snapshots: several disks of one instance, frozen at one moment.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use ashlar_db::{
    Disk, Lifecycle, Listed, Snapshot, SnapshotGroup, SnapshotGroupQuery, Tag, Tagged, Transaction,
};
use ashlar_types::{
    DiskId, DiskState, DiskUsage, ImageId, InstanceId, SnapshotGroupId, SnapshotGroupState, SnapshotId,
};

use crate::caller::Caller;
use crate::control::Control;
use crate::disk::{self, named, state, told_apart};
use crate::error::{ControlError, DiskError, ParameterError};
use crate::filter::{Filter, check_ids, check_name, check_tags, invalid, page, snapshot_group_filters};
use crate::image::check_not_bound;
use crate::instance;
use crate::job::{GroupMember, JobHold, Work};
use crate::snapshot;
use crate::snapshot_copy::check_not_needed;

/// A group of snapshots forbids it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotGroupError {
    /// The account has no such group in this region.
    NotFound(SnapshotGroupId),
    /// It is being taken or rolled back, or a disk of it is in an instance that runs.
    State {
        /// The group.
        group: SnapshotGroupId,
        /// What is in the way, and what to do about it.
        why: String,
    },
    /// Its disks are in several instances.
    SeveralInstances(SnapshotGroupId),
    /// The snapshot is not of the group, or the disk not the snapshot's.
    NotOfGroup {
        /// The group.
        group: SnapshotGroupId,
        /// The snapshot.
        snapshot: SnapshotId,
        /// The disk that was named with it.
        disk: DiskId,
    },
    /// A snapshot goes with its group.
    Member {
        /// The snapshot.
        snapshot: SnapshotId,
        /// The group.
        group: SnapshotGroupId,
    },
}

impl fmt::Display for SnapshotGroupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(group) => write!(f, "The snapshot group `{group}` does not exist."),
            Self::State { group, why } => {
                write!(f, "The snapshot group `{group}` does not support this operation now: {why}.")
            }
            Self::SeveralInstances(group) => write!(
                f,
                "The disks of the snapshot group `{group}` are attached to several instances: detach them first."
            ),
            Self::NotOfGroup { group, snapshot, disk } => write!(
                f,
                "The value `{snapshot}`, `{disk}` of the parameter `ApplyDisks` is not valid: expected a snapshot of \
                 the group `{group}` and the disk that it was taken from."
            ),
            Self::Member { snapshot, group } => write!(
                f,
                "The snapshot `{snapshot}` belongs to the snapshot group `{group}` and is kept as long as the group: \
                 delete the group instead."
            ),
        }
    }
}

/// What CreateSnapshotGroup asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CreateSnapshotGroup {
    /// The disks, all attached to one instance.
    pub disks: Vec<DiskId>,
    /// The name; its snapshots are called NAME_0, NAME_1 and so on. Default: "Unnamed".
    pub name: Option<String>,
    /// Tags for the group and for each of its snapshots.
    pub tags: Vec<Tag>,
}

/// What DescribeSnapshotGroups asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DescribeSnapshotGroups {
    /// Groups that meet all of these.
    pub filters: Vec<Filter>,
    /// How many to leave out. Default: 0.
    pub offset: Option<u64>,
    /// How many to show, 1 to 100. Default: 20.
    pub limit: Option<u64>,
}

/// What ApplySnapshotGroup asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplySnapshotGroup {
    /// The group.
    pub group: SnapshotGroupId,
    /// Which of its snapshots to roll back to, each with its disk.
    pub targets: Vec<(SnapshotId, DiskId)>,
    /// Whether to shut the instance down before.
    pub auto_stop_instance: Option<bool>,
    /// Whether to start the instance afterwards; only together with the other.
    pub auto_start_instance: Option<bool>,
}

/// What DeleteSnapshotGroup asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteSnapshotGroups {
    /// The groups.
    pub groups: Vec<SnapshotGroupId>,
    /// Whether images that are made of their snapshots go too. Default: such images are in the way.
    pub with_images: Option<bool>,
}

/// A group as DescribeSnapshotGroups shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotGroupView {
    /// The group itself.
    pub group: SnapshotGroup,
    /// Its snapshots, in the order of the disks in the call that took it.
    pub snapshots: Vec<Snapshot>,
    /// The images that are made of any of its snapshots, each once, with its name.
    pub images: Vec<(ImageId, String)>,
}

impl Control {
    /// Takes snapshots of several disks of one instance at one moment, and gives the id of their group.
    ///
    /// A write that is in one of the snapshots has every write in them that was answered before it began, on
    /// any of the disks.
    pub async fn create_snapshot_group(
        &self,
        caller: &Caller,
        wanted: CreateSnapshotGroup,
    ) -> Result<SnapshotGroupId, ControlError> {
        check_ids("DiskIds", &wanted.disks, self.limits_of(caller.account).disks_per_instance)?;
        check_tags(&wanted.tags, &self.limits_of(caller.account))?;
        let name = named(wanted.name.unwrap_or_default());
        let member_name = |index: usize| format!("{name}_{index}");
        // The longest of the names that follow from it has to fit too.
        check_name(
            "SnapshotGroupName",
            &member_name(wanted.disks.len() - 1),
            &self.limits_of(caller.account),
        )?;
        let id = self.free_group_id().await?;
        let snapshot_ids = self.free_snapshot_ids(&caller.region, wanted.disks.len()).await?;

        let mut tx = self.db.write().await?;
        let disks = disk::find_all(&mut tx, caller, &wanted.disks).await?;
        check_one_instance(&disks)?;
        for disk in &disks {
            if let Err(error) = state::begin_snapshot(disk) {
                return Err(told_apart(&mut tx, error).await?);
            }
            self.check_snapshot_quota(&mut tx, disk).await?;
        }
        let pairs = wanted.disks.iter().zip(&snapshot_ids);
        let members =
            pairs.map(|(disk, snapshot)| GroupMember { disk: *disk, snapshot: *snapshot }).collect();
        let job = self.write_job(&mut tx, &caller.region, &Work::CreateSnapshotGroup { members }).await?;
        let group = SnapshotGroup {
            id,
            account: caller.account,
            region: caller.region.clone(),
            name: name.clone(),
            lifecycle: Lifecycle::Live,
            state: SnapshotGroupState::Creating,
            percent: 0,
            job: Some(job),
            created: self.now(),
            modified: self.now(),
        };
        tx.snapshot_groups().insert(&group).await?;
        tx.tags().insert(Tagged::SnapshotGroup(id), &wanted.tags).await?;
        self.log_operation(&mut tx, caller, Tagged::SnapshotGroup(id), "CreateSnapshotGroup", Some(job))
            .await?;
        for (index, (disk, snapshot_id)) in disks.into_iter().zip(snapshot_ids).enumerate() {
            let (usage, disk_id) = (disk.usage, disk.id);
            let name = Some(member_name(index));
            let snapshot = snapshot::new_snapshot(snapshot_id, &disk, name, usage, self.now());
            tx.snapshots().insert(&Snapshot { group: Some(id), job: Some(job), ..snapshot }).await?;
            tx.tags().insert(Tagged::Snapshot(snapshot_id), &wanted.tags).await?;
            tx.disks().save(&Disk { job: Some(job), ..disk }).await?;
            for resource in [Tagged::Snapshot(snapshot_id), Tagged::Disk(disk_id)] {
                self.log_operation(&mut tx, caller, resource, "CreateSnapshotGroup", Some(job)).await?;
            }
        }
        tx.commit().await?;
        self.await_job(job).await?;
        Ok(id)
    }

    /// Shows the caller's groups of a region, newest first.
    pub async fn describe_snapshot_groups(
        &self,
        caller: &Caller,
        wanted: DescribeSnapshotGroups,
    ) -> Result<Listed<SnapshotGroupView>, ControlError> {
        let query = SnapshotGroupQuery {
            account: caller.account,
            region: caller.region.clone(),
            filters: snapshot_group_filters(&wanted.filters, &self.limits_of(caller.account))?,
            page: page(wanted.offset, wanted.limit, &self.limits_of(caller.account))?,
        };
        let mut tx = self.db.read().await?;
        let listed = tx.snapshot_groups().list(&query).await?;
        let mut items = Vec::with_capacity(listed.items.len());
        for group in listed.items {
            let snapshots = tx.snapshots().of_group(group.id).await?;
            let members: Vec<SnapshotId> = snapshots.iter().map(|snapshot| snapshot.id).collect();
            let images = each_once(tx.images().of_snapshots(&members).await?, &members);
            items.push(SnapshotGroupView { group, snapshots, images });
        }
        Ok(Listed { total_count: listed.total_count, items })
    }

    /// Rolls disks back to their snapshots of a group: all of them at one moment, or none.
    pub async fn apply_snapshot_group(
        &self,
        caller: &Caller,
        wanted: ApplySnapshotGroup,
    ) -> Result<(), ControlError> {
        let (snapshot_ids, disk_ids): (Vec<_>, Vec<_>) = wanted.targets.iter().copied().unzip();
        check_ids("ApplyDisks.SnapshotId", &snapshot_ids, self.limits_of(caller.account).ids_per_call)?;
        check_ids("ApplyDisks.DiskId", &disk_ids, self.limits_of(caller.account).ids_per_call)?;
        instance::check_power(wanted.auto_stop_instance, wanted.auto_start_instance)?;

        let mut tx = self.db.write().await?;
        let group = find_ready(&mut tx, caller, wanted.group).await?;
        let mut begun = Vec::with_capacity(wanted.targets.len());
        for (snapshot_id, disk_id) in &wanted.targets {
            let snapshot = snapshot::find(&mut tx, caller, *snapshot_id).await;
            let is_of_group =
                |snapshot: &Snapshot| snapshot.group == Some(group.id) && snapshot.disk == Some(*disk_id);
            let Some(snapshot) = snapshot.ok().filter(is_of_group) else {
                let (group, snapshot, disk) = (group.id, *snapshot_id, *disk_id);
                return Err(SnapshotGroupError::NotOfGroup { group, snapshot, disk }.into());
            };
            begun.push((disk::find(&mut tx, caller, *disk_id).await?, snapshot));
        }
        let instances: BTreeSet<InstanceId> = begun.iter().flat_map(|(disk, _)| disk.instances()).collect();
        if instances.len() > 1 {
            return Err(SnapshotGroupError::SeveralInstances(group.id).into());
        }
        let mut rolling = Vec::with_capacity(begun.len());
        for (disk, snapshot) in begun {
            instance::refuse_power(&disk, wanted.auto_stop_instance)?;
            if disk.state == DiskState::Attached {
                let why =
                    format!("the disk `{}` is attached to a running instance: detach it first", disk.id);
                return Err(SnapshotGroupError::State { group: group.id, why }.into());
            }
            match state::begin_roll_back(disk, snapshot) {
                Ok(begun) => rolling.push(begun),
                Err(error) => return Err(in_group(group.id, &error)),
            }
        }
        self.commit_roll_back(tx, caller, group, rolling).await
    }

    async fn commit_roll_back(
        &self,
        mut tx: Transaction,
        caller: &Caller,
        group: SnapshotGroup,
        rolling: Vec<(Disk, Snapshot)>,
    ) -> Result<(), ControlError> {
        let member =
            |(disk, snapshot): &(Disk, Snapshot)| GroupMember { disk: disk.id, snapshot: snapshot.id };
        let work = Work::ApplySnapshotGroup { members: rolling.iter().map(member).collect() };
        let job = self.write_job(&mut tx, &caller.region, &work).await?;
        self.hold_group(&mut tx, caller, group, SnapshotGroupState::Rollbacking, "ApplySnapshotGroup", job)
            .await?;
        for (disk, snapshot) in rolling {
            let resources = [Tagged::Disk(disk.id), Tagged::Snapshot(snapshot.id)];
            tx.disks().save(&Disk { job: Some(job), ..disk }).await?;
            tx.snapshots().save(&Snapshot { job: Some(job), ..snapshot }).await?;
            for resource in resources {
                self.log_operation(&mut tx, caller, resource, "ApplySnapshotGroup", Some(job)).await?;
            }
        }
        tx.commit().await?;
        self.await_job(job).await
    }

    async fn hold_group(
        &self,
        tx: &mut Transaction,
        caller: &Caller,
        group: SnapshotGroup,
        state: SnapshotGroupState,
        operation: &str,
        job: JobHold,
    ) -> Result<(), ControlError> {
        let resource = Tagged::SnapshotGroup(group.id);
        tx.snapshot_groups()
            .save(&SnapshotGroup { state, job: Some(job), modified: self.now(), ..group })
            .await?;
        self.log_operation(tx, caller, resource, operation, Some(job)).await
    }

    /// Deletes groups with all their snapshots: all of them, or none. One that an image is made of is refused,
    /// unless the images are to go too.
    pub async fn delete_snapshot_groups(
        &self,
        caller: &Caller,
        wanted: DeleteSnapshotGroups,
    ) -> Result<(), ControlError> {
        check_ids("SnapshotGroupIds", &wanted.groups, self.limits_of(caller.account).ids_per_call)?;
        let mut tx = self.db.write().await?;
        let mut groups = Vec::with_capacity(wanted.groups.len());
        let mut members = Vec::new();
        for id in wanted.groups {
            let group = find_ready(&mut tx, caller, id).await?;
            for snapshot in tx.snapshots().of_group(id).await? {
                self.check_member_may_go(&mut tx, &snapshot).await.map_err(|error| in_group(id, &error))?;
                if wanted.with_images != Some(true) {
                    check_not_bound(&mut tx, snapshot.id).await?;
                }
                members.push(snapshot);
            }
            groups.push(group);
        }
        let ids: Vec<SnapshotId> = members.iter().map(|snapshot| snapshot.id).collect();
        for (image, _) in each_once(tx.images().of_snapshots(&ids).await?, &ids) {
            self.forget_image(&mut tx, caller, image, "DeleteSnapshotGroup").await?;
        }
        let work = Work::DeleteSnapshots { snapshots: ids, recycle: self.recycles_snapshots() };
        let job = self.write_job(&mut tx, &caller.region, &work).await?;
        for snapshot in members {
            let resource = Tagged::Snapshot(snapshot.id);
            let going = Snapshot { lifecycle: Lifecycle::Deleting, job: Some(job), ..snapshot };
            tx.snapshots().save(&going).await?;
            self.log_operation(&mut tx, caller, resource, "DeleteSnapshotGroup", Some(job)).await?;
        }
        for group in groups {
            let state = group.state;
            let going = SnapshotGroup { lifecycle: Lifecycle::Deleting, ..group };
            self.hold_group(&mut tx, caller, going, state, "DeleteSnapshotGroup", job).await?;
        }
        tx.commit().await?;
        self.await_job(job).await
    }

    async fn check_member_may_go(
        &self,
        tx: &mut Transaction,
        snapshot: &Snapshot,
    ) -> Result<(), ControlError> {
        state::snapshot_ready(snapshot)?;
        self.check_not_locked(snapshot)?;
        check_not_needed(tx, snapshot.id).await?;
        snapshot::check_not_shared(tx, snapshot).await
    }
}

/// The images of snapshots, in the order of these; an image that is made of several comes once.
fn each_once(
    mut images: HashMap<SnapshotId, Vec<(ImageId, String)>>,
    snapshots: &[SnapshotId],
) -> Vec<(ImageId, String)> {
    let mut seen = BTreeSet::new();
    let in_order = snapshots.iter().filter_map(|snapshot| images.remove(snapshot)).flatten();
    in_order.filter(|(image, _)| seen.insert(*image)).collect()
}

impl SnapshotGroupView {
    /// Whether a system disk is among its disks.
    #[must_use]
    pub fn contains_root(&self) -> bool {
        self.snapshots.iter().any(|snapshot| snapshot.usage == DiskUsage::SystemDisk)
    }
}

/// Refuses unless all of the disks are in one instance.
fn check_one_instance(disks: &[Disk]) -> Result<(), ControlError> {
    let mut common: Option<InstanceId> = None;
    for disk in disks {
        let Some(instance) = disk.instance().filter(|_| disk.state != DiskState::Attaching) else {
            let why = "a snapshot group is taken of disks that are attached to one instance";
            return Err(DiskError::NotInInstance { disk: disk.id, why }.into());
        };
        if common.is_some_and(|common| common != instance) {
            let expected = "disks that are attached to one instance";
            return Err(invalid("DiskIds", disk.id, expected).into());
        }
        common = Some(instance);
    }
    Ok(())
}

/// What is wrong with a member is the state of the group.
fn in_group(group: SnapshotGroupId, error: &ControlError) -> ControlError {
    let text = error.to_string();
    SnapshotGroupError::State { group, why: text.trim_end_matches('.').to_owned() }.into()
}

async fn find_ready(
    tx: &mut Transaction,
    caller: &Caller,
    id: SnapshotGroupId,
) -> Result<SnapshotGroup, ControlError> {
    let found = tx.snapshot_groups().find(caller.account, &caller.region, id).await?;
    let group = found.ok_or(SnapshotGroupError::NotFound(id))?;
    if group.state == SnapshotGroupState::Normal && group.job.is_none() {
        return Ok(group);
    }
    let why = format!("it is busy (state {}), try again later", group.state);
    Err(SnapshotGroupError::State { group: id, why }.into())
}

/// Refuses what would take a snapshot out of its group.
pub(crate) fn check_no_member(snapshot: &Snapshot) -> Result<(), ControlError> {
    let Snapshot { id: snapshot, group, .. } = *snapshot;
    group.map_or(Ok(()), |group| Err(SnapshotGroupError::Member { snapshot, group }.into()))
}

/// `SnapshotGroupId` and `SnapshotGroupIds` name groups together.
pub fn merged_group_ids(
    one: Option<SnapshotGroupId>,
    more: Option<Vec<SnapshotGroupId>>,
) -> Result<Vec<SnapshotGroupId>, ParameterError> {
    let mut ids = more.unwrap_or_default();
    ids.extend(one.filter(|id| !ids.contains(id)));
    if ids.is_empty() {
        let why = "name at least one group in SnapshotGroupId or SnapshotGroupIds";
        return Err(ParameterError::Missing { parameter: "SnapshotGroupId", why });
    }
    Ok(ids)
}
