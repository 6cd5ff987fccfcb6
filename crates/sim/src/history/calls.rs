//! What users and the clock ask for.

use super::*;

pub(super) fn caller() -> Result<Caller, String> {
    let request_id = RequestId("00000000-0000-4000-8000-000000000000".to_owned());
    Ok(Caller::owner(FIRST_ACCOUNT, region()?, request_id))
}

pub(super) fn region() -> Result<Region, String> {
    REGION.parse().map_err(|error| format!("{error}"))
}

impl History {
    pub(super) fn machine(&self) -> Result<&Machine, String> {
        self.machine.as_ref().ok_or_else(|| "the machine is off".to_owned())
    }

    pub(super) fn pick_disk(&self, wanted: impl Fn(&DiskRecord) -> bool) -> Option<DiskId> {
        let ids: Vec<_> =
            self.known.disks.iter().filter(|(_, disk)| wanted(disk)).map(|(id, _)| *id).collect();
        (!ids.is_empty()).then(|| ids[self.below(ids.len() as u64) as usize])
    }

    fn pick_snapshot(&self) -> Option<SnapshotId> {
        let ids: Vec<_> = self.known.snapshots.keys().copied().collect();
        (!ids.is_empty()).then(|| ids[self.below(ids.len() as u64) as usize])
    }

    pub(super) async fn step(&mut self) -> Result<(), Stop> {
        self.steps += 1;
        self.under_way = UnderWay::default();
        // Without an attached disk little can happen.
        if self.known.disks.values().all(|disk| !disk.is_attached()) && self.below(2) == 0 {
            return if self.known.disks.is_empty() { self.create_disk().await } else { self.attach().await };
        }
        match self.below(100) {
            0..8 => self.create_disk().await,
            8..15 => self.attach().await,
            15..18 => self.detach().await,
            18..27 => self.create_snapshot().await,
            27..31 => self.clone_disk().await,
            31..36 => self.roll_back().await,
            36..40 => self.delete_snapshot().await,
            40..43 => self.terminate().await,
            43..46 => self.resize().await,
            46..49 => self.pass_time().await,
            49..52 => self.rotate_master_key(),
            52..55 => self.scrub(),
            55..59 => self.roll_machine_back().await,
            59..71 => self.work_in_background(),
            _ => self.act_as_clients(),
        }
    }

    fn act_as_clients(&mut self) -> Result<(), Stop> {
        for _ in 0..1 + self.below(12) {
            self.ground.shared.lock().traffic(&self.ground.disk);
        }
        if self.ground.disk.is_off() { Err(Stop::PowerCut) } else { Ok(()) }
    }

    fn work_in_background(&mut self) -> Result<(), Stop> {
        let steps = 1 + self.below(if self.below(4) == 0 { 40 } else { 4 });
        self.line(&format!("{steps} background steps"));
        let before = self.machine()?.pool.reclaim_progress().layers_done;
        for _ in 0..steps {
            self.ground.shared.lock().note_before_lie();
            let worked = self.machine()?.pool.run_background_step();
            if !self.ground.answered("background", worked)? {
                break;
            }
        }
        let done = self.machine()?.pool.reclaim_progress().layers_done - before;
        *self.events.entry("layer merged or dropped").or_default() += done;
        Ok(())
    }

    fn rotate_master_key(&mut self) -> Result<(), Stop> {
        self.event("rotate the master key");
        self.ground.shared.lock().note_before_lie();
        self.ground.master_keys.rotate();
        let rewrapped = self.machine()?.pool.rewrap_keys();
        let count = self.ground.answered("rewrap keys", rewrapped)?;
        self.line(&format!("a new master key, {count} keys rewrapped"));
        self.ground.master_keys.forget_older();
        Ok(())
    }

    async fn pass_time(&mut self) -> Result<(), Stop> {
        self.event("time passes");
        self.line("an hour passes");
        self.ground.clock.advance_ms(3_600_000);
        let result = self.machine()?.control.reconcile().await;
        self.ground.answered("reconcile", result)?;
        self.machine()?.await_jobs(&self.ground).await
    }

    async fn create_disk(&mut self) -> Result<(), Stop> {
        if self.known.disks.len() < DISKS_MAX { self.make_disk(None, SIZE_GIB_MIN).await } else { Ok(()) }
    }

    async fn clone_disk(&mut self) -> Result<(), Stop> {
        // No disk is made of what a machine boots from.
        let is_of_machine = |id: &SnapshotId| {
            self.known.disks.get(&self.known.snapshots[id]).is_some_and(|disk| disk.is_system)
        };
        let snapshot = self.pick_snapshot().filter(|id| !is_of_machine(id));
        let Some(snapshot) = snapshot.filter(|_| self.known.disks.len() < DISKS_MAX) else {
            return Ok(());
        };
        let size_gib = {
            let shared = self.ground.shared.lock();
            shared.world.snapshots.get(&snapshot.into()).map_or(0, |content| content.size_bytes / GIB_BYTES)
        };
        self.make_disk(Some(snapshot), size_gib + self.below(2)).await
    }

    async fn make_disk(&mut self, snapshot: Option<SnapshotId>, size_gib: u64) -> Result<(), Stop> {
        self.under_way.makes = true;
        self.event(if snapshot.is_some() { "clone" } else { "create" });
        let shareable = self.below(3) == 0;
        self.line(&format!("create a disk of {size_gib} GiB from {snapshot:?}, shareable {shareable}"));
        let wanted = CreateDisks { shareable: Some(shareable), ..new_disk(snapshot, size_gib)? };
        let made = self.machine()?.control.create_disks(&caller()?, wanted).await;
        for disk in self.ground.answered("create a disk", made)? {
            let instances = BTreeSet::new();
            self.known.disks.insert(disk, DiskRecord { instances, shareable, is_system: false, size_gib });
        }
        Ok(())
    }

    async fn attach(&mut self) -> Result<(), Stop> {
        let instance = self.instance().await?;
        let may_join = |disk: &DiskRecord| {
            let has_room = disk.shareable && !disk.instances.contains(&instance) || !disk.is_attached();
            has_room && !disk.is_system
        };
        let Some(disk) = self.pick_disk(may_join) else { return Ok(()) };
        self.under_way.disk = Some(disk);
        self.event(if self.known.disks[&disk].is_attached() { "attach to another" } else { "attach" });
        self.line(&format!("attach {disk} to {instance}"));
        let wanted =
            AttachDisks { instance, disks: vec![disk], delete_with_instance: None, attach_mode: None };
        let attached = self.machine()?.control.attach_disks(&caller()?, wanted).await;
        self.ground.answered("attach", attached)?;
        self.known.disks.entry(disk).and_modify(|record| _ = record.instances.insert(instance));
        self.connect(disk, instance)
    }

    /// One of the machines, at first new ones.
    async fn instance(&mut self) -> Result<InstanceId, Stop> {
        let chosen = self.below(INSTANCES_MAX as u64) as usize;
        if let Some(instance) = self.instances.iter().nth(chosen) {
            return Ok(*instance);
        }
        let zone = ZONE.parse().map_err(|error| Stop::Failure(format!("{error}")))?;
        let wanted = NewInstance {
            zone,
            name: None,
            id: None,
            ip_address: None,
            product: ashlar_types::InstanceProduct::Cvm,
            system_disk_gib: None,
        };
        let added = self.machine()?.control.add_instance(FIRST_ACCOUNT, wanted).await;
        let instance = self.ground.answered("add an instance", added)?.id;
        self.instances.insert(instance);
        Ok(instance)
    }

    async fn detach(&mut self) -> Result<(), Stop> {
        let Some(disk) = self.pick_disk(|disk| disk.is_attached() && !disk.is_system) else { return Ok(()) };
        let inside: Vec<InstanceId> = self.known.disks[&disk].instances.iter().copied().collect();
        let instance = inside[self.below(inside.len() as u64) as usize];
        self.under_way.disk = Some(disk);
        self.event(if inside.len() > 1 { "detach from one of several" } else { "detach" });
        self.line(&format!("detach {disk} from {instance}"));
        let clients = self.part_with(disk, instance);
        if self.below(2) == 0 {
            for connection in clients {
                self.ground.answered("say goodbye", connection.client.disconnect())?;
            }
        } else {
            // The session is ended by the server; the client may find out later.
            drop(clients);
        }
        let wanted = DetachDisks { disks: vec![disk], instance: (inside.len() > 1).then_some(instance) };
        let detached = self.machine()?.control.detach_disks(&caller()?, wanted).await;
        self.ground.answered("detach", detached)?;
        self.known.disks.entry(disk).and_modify(|record| _ = record.instances.remove(&instance));
        Ok(())
    }

    /// The connections of a machine to a disk, which act no more; those of other machines go on.
    fn part_with(&mut self, disk: DiskId, instance: InstanceId) -> Vec<Connection> {
        let mut shared = self.ground.shared.lock();
        let all = shared.clients.remove(&disk.into()).unwrap_or_default();
        let (parting, staying): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|connection| connection.instance == instance);
        if !staying.is_empty() {
            shared.clients.insert(disk.into(), staying);
        }
        parting
    }

    async fn create_snapshot(&mut self) -> Result<(), Stop> {
        let Some(disk) =
            self.pick_disk(|disk| !disk.shareable).filter(|_| self.known.snapshots.len() < SNAPSHOTS_MAX)
        else {
            return Ok(());
        };
        self.under_way.makes = true;
        self.event("snapshot");
        self.line(&format!("snapshot of {disk}"));
        let wanted = CreateSnapshot { disk: Some(disk), ..CreateSnapshot::default() };
        let made = self.machine()?.control.create_snapshot(&caller()?, wanted).await;
        let snapshot = self.ground.answered("snapshot", made)?;
        self.known.snapshots.insert(snapshot, disk);
        Ok(())
    }

    async fn roll_back(&mut self) -> Result<(), Stop> {
        let Some(snapshot) = self.pick_snapshot() else { return Ok(()) };
        let disk = self.known.snapshots[&snapshot];
        if self.known.disks.get(&disk).is_none_or(|record| record.is_attached() || record.is_system) {
            return Ok(());
        }
        self.under_way = UnderWay { disk: Some(disk), snapshot: Some(snapshot), makes: false };
        self.event("roll back");
        self.line(&format!("roll {disk} back to {snapshot}"));
        let wanted = ApplySnapshot { snapshot, disk, auto_stop_instance: None, auto_start_instance: None };
        let applied = self.machine()?.control.apply_snapshot(&caller()?, wanted).await;
        self.ground.answered("roll back", applied)
    }

    async fn delete_snapshot(&mut self) -> Result<(), Stop> {
        let Some(snapshot) = self.pick_snapshot() else { return Ok(()) };
        self.delete_this(snapshot).await
    }

    pub(super) async fn delete_this(&mut self, snapshot: SnapshotId) -> Result<(), Stop> {
        self.under_way.snapshot = Some(snapshot);
        self.event("delete a snapshot");
        self.line(&format!("delete {snapshot}"));
        let deleted = self.machine()?.control.delete_snapshots(&caller()?, vec![snapshot]).await;
        self.ground.answered("delete a snapshot", deleted)?;
        self.known.snapshots.remove(&snapshot);
        Ok(())
    }

    async fn terminate(&mut self) -> Result<(), Stop> {
        let Some(disk) = self.pick_disk(|disk| !disk.is_attached() && !disk.is_system) else { return Ok(()) };
        self.under_way.disk = Some(disk);
        self.event("terminate");
        self.line(&format!("terminate {disk}"));
        let wanted = TerminateDisks { disks: vec![disk], delete_snapshot: None };
        let terminated = self.machine()?.control.terminate_disks(&caller()?, wanted).await;
        self.ground.answered("terminate", terminated)?;
        self.known.disks.remove(&disk);
        Ok(())
    }

    async fn resize(&mut self) -> Result<(), Stop> {
        let Some(disk) = self.pick_disk(|disk| !disk.is_system) else { return Ok(()) };
        self.under_way.disk = Some(disk);
        let size_gib = self.known.disks[&disk].size_gib + 1;
        self.event("resize");
        self.line(&format!("resize {disk} to {size_gib} GiB"));
        let resized = self.machine()?.control.resize_disk(&caller()?, disk, size_gib).await;
        self.ground.answered("resize", resized)?;
        self.known.disks.entry(disk).and_modify(|record| record.size_gib = size_gib);
        Ok(())
    }

    /// One or two connections of a machine to its disk, beside those of others.
    pub(super) fn connect(&mut self, disk: DiskId, instance: InstanceId) -> Result<(), Stop> {
        let socket = self.machine()?.socket.clone();
        let is_alone = self.known.disks[&disk].instances.len() == 1;
        let export = if is_alone { disk.to_string() } else { format!("{disk}@{instance}") };
        for _ in 0..1 + self.below(2) {
            let client = self.ground.answered("connect", Client::open(&socket, &export))?;
            let connection = Connection { instance, client };
            self.ground.shared.lock().clients.entry(VolumeId::from(disk)).or_default().push(connection);
        }
        Ok(())
    }

    pub(super) fn connect_all(&mut self) -> Result<(), Stop> {
        let pairs = |(id, disk): (&DiskId, &DiskRecord)| {
            disk.instances.iter().map(|instance| (*id, *instance)).collect::<Vec<_>>()
        };
        let attached: Vec<_> = self.known.disks.iter().flat_map(pairs).collect();
        attached.into_iter().try_for_each(|(disk, instance)| self.connect(disk, instance))
    }

    pub(super) fn disconnect_all(&mut self) -> Result<(), String> {
        let clients = std::mem::take(&mut self.ground.shared.lock().clients);
        for connection in clients.into_values().flatten() {
            connection.client.disconnect().map_err(|error| format!("say goodbye: {error}"))?;
        }
        Ok(())
    }
}

fn new_disk(snapshot: Option<SnapshotId>, size_gib: u64) -> Result<CreateDisks, String> {
    Ok(CreateDisks {
        placement: Placement {
            zone: ZONE.parse().map_err(|error| format!("{error}"))?,
            project: None,
            cage_id: None,
            cdc_id: None,
            dedicated_cluster_id: None,
        },
        charge_type: DiskChargeType::PostpaidByHour,
        disk_type: DiskType::CloudPremium,
        name: None,
        tags: vec![],
        snapshot,
        count: None,
        throughput_performance_mib: None,
        size_gib: Some(size_gib),
        shareable: None,
        client_token: None,
        encrypt: None,
        kms_key_id: None,
        encrypt_type: None,
        prepaid: None,
        delete_snapshot: None,
        auto_mount: None,
        backup_quota: None,
        burst_performance: None,
        policy: None,
    })
}
