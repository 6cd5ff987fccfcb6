//! Machines of Lighthouse: their disk is rolled back under them, and whoever has it open is cut off.

use ashlar_control::CreateInstanceSnapshot;
use ashlar_types::{DiskUsage, InstanceProduct};

use super::calls::caller;
use super::*;

impl History {
    /// Rolls the disk of a machine back to a snapshot of it. What lacks for that is made first: the machine, a snapshot.
    pub(super) async fn roll_machine_back(&mut self) -> Result<(), Stop> {
        let Some((machine, disk)) = self.boot_disk().await? else { return self.add_machine().await };
        let snapshots: Vec<_> =
            self.known.snapshots.iter().filter(|(_, of)| **of == disk).map(|(id, _)| *id).collect();
        if snapshots.is_empty() {
            return self.take_machine_snapshot(machine, disk).await;
        }
        let snapshot = snapshots[self.below(snapshots.len() as u64) as usize];
        self.under_way = UnderWay { disk: Some(disk), snapshot: Some(snapshot), makes: false };
        self.event("roll a machine back");
        self.line(&format!("roll the machine of {disk} back to {snapshot}"));
        // Connected, and silent: what it would write while it is cut off has no answer.
        let cut_off = self.ground.shared.lock().clients.remove(&disk.into()).unwrap_or_default();
        let caller = caller()?;
        let rolled =
            self.machine()?.control.apply_instance_snapshot(&caller, machine.into(), snapshot.into()).await;
        self.ground.answered("roll a machine back", rolled)?;
        for mut connection in cut_off {
            if matches!(connection.client.read(0), Ok(Ok(_))) {
                return Err(Stop::Failure(format!("{disk} was rolled back under a session that goes on")));
            }
        }
        self.connect(disk, machine)
    }

    /// A machine, and the disk that it boots from.
    async fn boot_disk(&self) -> Result<Option<(InstanceId, DiskId)>, Stop> {
        let wanted = DescribeDisks { limit: Some(100), ..DescribeDisks::default() };
        let disks = self.machine()?.control.describe_disks(&caller()?, wanted).await;
        let disks = self.ground.answered("describe disks", disks)?.items.into_iter();
        let inside = |disk: ashlar_db::Disk| {
            let boots = disk.usage == DiskUsage::SystemDisk && disk.state == DiskState::Attached;
            disk.instances().next().filter(|_| boots).map(|machine| (machine, disk.id))
        };
        Ok(disks.filter_map(|view| inside(view.disk)).next())
    }

    async fn add_machine(&mut self) -> Result<(), Stop> {
        // One that a power cut has left half made stays without its disk in the machine.
        let is_half_made = self.known.disks.values().any(|disk| disk.is_system);
        if is_half_made || self.known.disks.len() >= DISKS_MAX {
            return Ok(());
        }
        self.under_way.makes = true;
        self.line("add a machine of Lighthouse");
        let wanted = NewInstance {
            zone: ZONE.parse().map_err(|error| Stop::Failure(format!("{error}")))?,
            name: None,
            id: None,
            ip_address: None,
            product: InstanceProduct::Lighthouse,
            system_disk_gib: Some(20),
        };
        let added = self.machine()?.control.add_instance(FIRST_ACCOUNT, wanted).await;
        self.ground.answered("add a machine", added)?;
        let Some((machine, disk)) = self.boot_disk().await? else {
            return Err(Stop::Failure("the machine has no disk".to_owned()));
        };
        let instances = BTreeSet::from([machine]);
        self.known
            .disks
            .insert(disk, DiskRecord { instances, shareable: false, is_system: true, size_gib: 20 });
        self.connect(disk, machine)
    }

    async fn take_machine_snapshot(&mut self, machine: InstanceId, disk: DiskId) -> Result<(), Stop> {
        if self.known.snapshots.len() >= SNAPSHOTS_MAX {
            return Ok(());
        }
        self.under_way.makes = true;
        self.line(&format!("snapshot of the machine of {disk}"));
        let wanted = CreateInstanceSnapshot { instance: machine.into(), name: None, tags: vec![] };
        let made = self.machine()?.control.create_instance_snapshot(&caller()?, wanted).await;
        let snapshot = self.ground.answered("snapshot of a machine", made)?;
        self.known.snapshots.insert(snapshot.into(), disk);
        Ok(())
    }
}
