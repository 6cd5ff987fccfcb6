//! What must hold whenever no call is under way.

use ashlar_control::Reconciler;
use ashlar_types::{DiskUsage, InstanceProduct};
use ashlar_volume::VolumeStore as _;

use super::calls::{caller, region};
use super::*;

impl History {
    /// What the records say now.
    async fn described(&self) -> Result<Known, Stop> {
        let machine = self.machine.as_ref().ok_or_else(|| "the machine is off".to_owned())?;
        let wanted = DescribeDisks { limit: Some(100), ..DescribeDisks::default() };
        let disks = machine.control.describe_disks(&caller()?, wanted).await;
        let mut known = Known::default();
        for view in self.ground.answered("describe disks", disks)?.items {
            let disk = view.disk;
            let record = DiskRecord {
                instances: disk.instances().collect(),
                shareable: disk.shareable,
                is_system: disk.usage == DiskUsage::SystemDisk,
                size_gib: disk.size_gib,
            };
            match disk.state {
                DiskState::Attached if record.is_attached() => {}
                DiskState::Unattached if !record.is_attached() => {}
                other => return Err(Stop::Failure(format!("{} rests in {other}: {record:?}", disk.id))),
            }
            known.disks.insert(disk.id, record);
        }
        let wanted = DescribeSnapshots { limit: Some(100), ..DescribeSnapshots::default() };
        let snapshots = machine.control.describe_snapshots(&caller()?, wanted).await;
        for view in self.ground.answered("describe snapshots", snapshots)?.items {
            // Nothing is copied between regions here: every snapshot has its disk.
            known.snapshots.extend(view.snapshot.disk.map(|disk| (view.snapshot.id, disk)));
        }
        Ok(known)
    }

    /// After a start: what was answered is there; of the call that was cut off either side may be.
    pub(super) async fn reconcile_known(&mut self) -> Result<(), Stop> {
        let mut found = self.described().await?;
        let UnderWay { disk, snapshot, makes } = std::mem::take(&mut self.under_way);
        if let Some(machine) = self.machine.as_ref() {
            let instances = machine.control.list_instances(FIRST_ACCOUNT).await;
            let instances = self.ground.answered("list instances", instances)?;
            let others = instances.iter().filter(|listed| listed.instance.product == InstanceProduct::Cvm);
            let ids: BTreeSet<_> = others.map(|listed| listed.instance.id).collect();
            if let Some(lost) = self.instances.difference(&ids).next() {
                return Err(Stop::Failure(format!("instance {lost} is lost")));
            }
            self.instances = ids;
        }
        let after = found.clone();
        let new_disks: Vec<_> =
            found.disks.keys().filter(|id| !self.known.disks.contains_key(id)).copied().collect();
        let new_snapshots: Vec<_> =
            found.snapshots.keys().filter(|id| !self.known.snapshots.contains_key(id)).copied().collect();
        if new_disks.len() + new_snapshots.len() > usize::from(makes) {
            return Err(Stop::Failure(format!("nobody made {new_disks:?} {new_snapshots:?}")));
        }
        found.disks.retain(|id, _| !new_disks.contains(id));
        found.snapshots.retain(|id, _| !new_snapshots.contains(id));
        let mut expected = self.known.clone();
        if let Some(disk) = disk {
            expected.disks.remove(&disk);
            found.disks.remove(&disk);
        }
        if let Some(snapshot) = snapshot {
            expected.snapshots.remove(&snapshot);
            found.snapshots.remove(&snapshot);
        }
        if expected != found {
            return Err(Stop::Failure(format!("after a start {found:?} instead of {expected:?}")));
        }
        self.known = after;
        Ok(())
    }

    /// Records, pool and exports agree with each other and with what was answered.
    pub(super) async fn check_rest(&self) -> Result<(), Stop> {
        let machine = self.machine.as_ref().ok_or_else(|| "the machine is off".to_owned())?;
        machine.await_jobs(&self.ground).await?;
        let found = self.described().await?;
        if found != self.known {
            return Err(Stop::Failure(format!("described {found:?}, answered {:?}", self.known)));
        }
        let expected = pool_expectation(&machine.db, &region()?).await;
        let expected = self.ground.answered("read what the pool should hold", expected)?;
        let shared = self.ground.shared.lock();
        let is_settled = expected.volumes_in_flux.is_empty() && expected.snapshots_in_flux.is_empty();
        let agrees = expected.volumes.iter().eq(shared.world.volumes.keys())
            && expected.snapshots.iter().eq(shared.world.snapshots.keys());
        if !is_settled || !agrees {
            return Err(Stop::Failure(format!(
                "the records expect {expected:?}, the pool has {:?}",
                shared.world
            )));
        }
        for (disk, record) in &self.known.disks {
            let size_bytes = shared.world.volumes[&VolumeId::from(*disk)].size_bytes;
            if size_bytes != record.size_gib * GIB_BYTES {
                return Err(Stop::Failure(format!(
                    "{disk} has {size_bytes} bytes, not {} GiB",
                    record.size_gib
                )));
            }
        }
        let exported: BTreeSet<_> = machine.exports.list().into_iter().collect();
        let names = |(disk, record): (&DiskId, &DiskRecord)| {
            let names = record.instances.iter().map(|instance| match record.instances.len() {
                1 => ExportName::Disk(*disk),
                _ => ExportName::DiskIn(*disk, *instance),
            });
            names.collect::<Vec<_>>()
        };
        let attached = self.known.disks.iter().flat_map(names);
        let wanted: BTreeSet<_> = attached
            .chain(self.known.snapshots.keys().map(|snapshot| ExportName::Snapshot(*snapshot)))
            .collect();
        if exported != wanted {
            return Err(Stop::Failure(format!("exports {exported:?} instead of {wanted:?}")));
        }
        Ok(())
    }
    /// Once the pool has handed everything on, the records say of each snapshot what it holds there.
    pub(super) async fn check_sizes(&self, machine: &Machine) -> Result<(), String> {
        let control = &machine.control;
        let leader = control.lead().await.map_err(|error| error.to_string())?;
        let leader = leader.ok_or_else(|| "the only server does not lead".to_owned())?;
        let noted = control.run_reconciler(Reconciler::SnapshotSizes, leader).await;
        noted.map_err(|error| format!("note sizes: {error}"))?;
        let ids: Vec<_> = self.known.snapshots.keys().copied().collect();
        let mut tx = machine.db.read().await.map_err(|error| error.to_string())?;
        let known = tx.snapshots().held_bytes(&ids).await.map_err(|error| error.to_string())?;
        for (id, held_bytes) in known {
            let held = machine.pool.snapshot(&id.into()).map_err(|error| error.to_string())?;
            if held.held_bytes != held_bytes {
                return Err(format!("{id} holds {} bytes, its record says {held_bytes}", held.held_bytes));
            }
        }
        Ok(())
    }
}
