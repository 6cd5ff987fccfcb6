//! Random right and wrong calls against a model that knows nothing of jobs, tables or pools.

use std::collections::BTreeMap;

use ashlar_types::{DiskId, DiskState, InstanceId, RandomSource as _, SeededRandom, SnapshotId};

use super::harness::{World, caller, new_disks};
use crate::*;

const HISTORIES: u64 = 12;
const CALLS: usize = 70;
const SNAPSHOTS_PER_DISK: usize = 3;
const DISKS_PER_INSTANCE: usize = 2;
const INSTANCES_PER_DISK: usize = 2;

#[derive(Debug, Clone, PartialEq)]
struct ModelDisk {
    gib: u64,
    /// By the order in which it came into them.
    instances: Vec<InstanceId>,
    shareable: bool,
    recycled: bool,
    prepaid: bool,
    byte: u8,
    source: Option<SnapshotId>,
}

#[derive(Debug, Clone, PartialEq)]
struct ModelSnapshot {
    disk: DiskId,
    gib: u64,
    byte: u8,
}

/// What a client believes.
#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    disks: BTreeMap<DiskId, ModelDisk>,
    snapshots: BTreeMap<SnapshotId, ModelSnapshot>,
}

#[derive(Debug, Clone)]
enum Call {
    Create { gib: u64, prepaid: bool, shareable: bool, from: Option<SnapshotId> },
    Attach(Vec<DiskId>, InstanceId),
    Detach(Vec<DiskId>, Option<InstanceId>),
    Resize(DiskId, u64),
    Terminate(Vec<DiskId>),
    Initialize(Vec<DiskId>),
    Snapshot(DiskId),
    Apply(SnapshotId, DiskId),
    Delete(Vec<SnapshotId>),
    Write(DiskId, u8),
    Restart,
}

struct Player {
    random: SeededRandom,
    /// The last is elsewhere, the others are in the disks' zone.
    instances: [InstanceId; 4],
}

impl Player {
    fn chance(&self, of: u64) -> bool {
        self.random.below(of) == 0
    }

    /// One of the ids, or now and then one that does not exist.
    fn pick<T: Copy>(&self, ids: impl ExactSizeIterator<Item = T>, missing: T) -> T {
        let at = self.random.below(ids.len().max(1) as u64) as usize;
        let ids: Vec<T> = ids.collect();
        if self.chance(12) { missing } else { ids.get(at).copied().unwrap_or(missing) }
    }

    fn disk(&self, model: &Model) -> DiskId {
        self.pick(model.disks.keys().copied(), "disk-zzzzzzzz".parse().unwrap())
    }

    fn disks(&self, model: &Model) -> Vec<DiskId> {
        let mut disks: Vec<_> = (0..=self.random.below(2)).map(|_| self.disk(model)).collect();
        disks.dedup();
        disks
    }

    fn snapshot(&self, model: &Model) -> SnapshotId {
        self.pick(model.snapshots.keys().copied(), "snap-zzzzzzzz".parse().unwrap())
    }

    fn call(&self, model: &Model) -> Call {
        let near = self.random.below(3) as usize;
        let instance = self.instances[if self.chance(6) { 3 } else { near }];
        if model.disks.len() < 2 && !self.chance(4) {
            let (prepaid, shareable) = (self.chance(3), self.chance(2));
            return Call::Create { gib: 10, prepaid, shareable, from: None };
        }
        match self.random.below(24) {
            0..4 => Call::Create {
                gib: 9 + self.random.below(4),
                prepaid: self.chance(3),
                shareable: self.chance(2),
                from: self.chance(3).then(|| self.snapshot(model)),
            },
            4..8 => Call::Attach(self.disks(model), instance),
            8..11 => Call::Detach(self.disks(model), self.chance(3).then_some(instance)),
            11..13 => Call::Resize(self.disk(model), 9 + self.random.below(6)),
            13 => Call::Terminate(self.disks(model)),
            14 => Call::Initialize(self.disks(model)),
            15..18 => Call::Snapshot(self.disk(model)),
            18..20 => Call::Apply(self.snapshot(model), self.disk(model)),
            20 => Call::Delete(vec![self.snapshot(model)]),
            21..23 => Call::Write(self.disk(model), self.random.below(250) as u8 + 1),
            _ if self.chance(4) => Call::Restart,
            _ => Call::Write(self.disk(model), 0),
        }
    }
}

impl Model {
    fn free(&self, id: &DiskId) -> Option<&ModelDisk> {
        self.disks.get(id).filter(|disk| disk.instances.is_empty() && !disk.recycled)
    }

    /// Whether the call is right, and what it makes of the model; new ids are filled in by the answer.
    fn after(&self, call: &Call, near: &[InstanceId]) -> Option<Model> {
        let mut next = self.clone();
        match call {
            Call::Create { gib, from, .. } => {
                let least = match from {
                    Some(from) => self.snapshots.get(from)?.gib,
                    None => 0,
                };
                (*gib >= least.max(10)).then_some(next)
            }
            Call::Attach(ids, instance) => {
                let inside = self.disks.values().filter(|disk| disk.instances.contains(instance)).count();
                let may_join = |id: &DiskId| {
                    let disk = self.disks.get(id).filter(|disk| disk.shareable && !disk.recycled);
                    disk.is_some_and(|disk| {
                        !disk.instances.contains(instance) && disk.instances.len() < INSTANCES_PER_DISK
                    })
                };
                let fits = inside + ids.len() <= DISKS_PER_INSTANCE
                    && near.contains(instance)
                    && ids.iter().all(|id| self.free(id).is_some() || may_join(id));
                for disk in next.disks.iter_mut().filter(|(id, _)| ids.contains(id)) {
                    disk.1.instances.push(*instance);
                }
                fits.then_some(next)
            }
            Call::Detach(ids, from) => {
                let mut common = *from;
                for id in ids {
                    let inside = &mut next.disks.get_mut(id)?.instances;
                    let leaves = match (common, &from) {
                        (Some(leaves), Some(_)) => leaves,
                        _ => *inside.first().filter(|_| inside.len() == 1)?,
                    };
                    inside.contains(&leaves).then_some(())?;
                    common.is_none_or(|common| common == leaves).then_some(())?;
                    inside.retain(|instance| *instance != leaves);
                    common = Some(leaves);
                }
                Some(next)
            }
            Call::Resize(id, gib) => {
                let disk = next.disks.get_mut(id).filter(|disk| !disk.recycled && disk.gib < *gib)?;
                disk.gib = *gib;
                Some(next)
            }
            Call::Terminate(ids) => {
                for id in ids {
                    let disk = next.disks.get_mut(id).filter(|disk| disk.instances.is_empty())?;
                    if disk.prepaid && !disk.recycled {
                        disk.recycled = true;
                    } else {
                        next.disks.remove(id);
                    }
                }
                Some(next)
            }
            Call::Initialize(ids) => {
                for id in ids {
                    self.free(id).filter(|disk| !disk.shareable)?;
                    let disk = next.disks.get_mut(id)?;
                    disk.byte = match disk.source {
                        Some(source) => self.snapshots.get(&source)?.byte,
                        None => 0,
                    };
                }
                Some(next)
            }
            Call::Snapshot(id) => {
                let taken = self.snapshots.values().filter(|snapshot| snapshot.disk == *id).count();
                let ready = self.disks.get(id).is_some_and(|disk| !disk.recycled && !disk.shareable);
                (ready && taken < SNAPSHOTS_PER_DISK).then_some(next)
            }
            Call::Apply(snapshot, id) => {
                let snapshot = self.snapshots.get(snapshot).filter(|snapshot| snapshot.disk == *id)?;
                self.free(id)?;
                next.disks.get_mut(id)?.byte = snapshot.byte;
                Some(next)
            }
            Call::Delete(ids) => ids.iter().all(|id| next.snapshots.remove(id).is_some()).then_some(next),
            Call::Write(id, byte) => {
                next.disks.get_mut(id)?.byte = *byte;
                Some(next)
            }
            Call::Restart => Some(next),
        }
    }

    /// What the service shows.
    async fn of(world: &World) -> Self {
        let mut seen = Self::default();
        for view in world.disks().await.items {
            let disk = view.disk;
            let shown = ModelDisk {
                gib: disk.size_gib,
                instances: disk.instances().collect(),
                shareable: disk.shareable,
                recycled: disk.state == DiskState::ToRecycle,
                prepaid: disk.deadline.is_some(),
                byte: world.read(disk.id),
                source: disk.source_snapshot,
            };
            assert_eq!(disk.state == DiskState::Attached, !disk.attachments.is_empty());
            seen.disks.insert(disk.id, shown);
        }
        for view in world.snapshots().await.items {
            let snapshot = view.snapshot;
            let mut block = [0; 1];
            let device =
                ashlar_volume::VolumeStore::open_snapshot(&world.store(), &snapshot.id.into()).unwrap();
            device.read(0, &mut block).unwrap();
            let shown =
                ModelSnapshot { disk: snapshot.disk.unwrap(), gib: snapshot.size_gib, byte: block[0] };
            seen.snapshots.insert(snapshot.id, shown);
        }
        seen
    }
}

/// Makes the call; fills ids that it gave into the model that it should have led to.
async fn play(world: &World, call: &Call, next: &mut Model) -> Result<(), ControlError> {
    let control = &world.control;
    match call {
        Call::Create { gib, prepaid, shareable, from } => {
            let period =
                DiskChargePrepaid { period_months: 1, renew_flag: None, cur_instance_deadline: None };
            let charge_type = if *prepaid { "PREPAID" } else { "POSTPAID_BY_HOUR" };
            let wanted = CreateDisks {
                charge_type: charge_type.parse().unwrap(),
                prepaid: prepaid.then_some(period),
                size_gib: Some(*gib),
                shareable: Some(*shareable),
                snapshot: *from,
                ..new_disks()
            };
            let id = control.create_disks(&caller(), wanted).await?[0];
            let byte = from.and_then(|from| next.snapshots.get(&from)).map_or(0, |snapshot| snapshot.byte);
            let disk = ModelDisk {
                gib: *gib,
                instances: Vec::new(),
                shareable: *shareable,
                recycled: false,
                prepaid: *prepaid,
                byte,
                source: *from,
            };
            next.disks.insert(id, disk);
            Ok(())
        }
        Call::Attach(disks, instance) => {
            let (instance, disks) = (*instance, disks.clone());
            let wanted = AttachDisks { instance, disks, delete_with_instance: None, attach_mode: None };
            control.attach_disks(&caller(), wanted).await
        }
        Call::Detach(disks, instance) => {
            let wanted = DetachDisks { disks: disks.clone(), instance: *instance };
            control.detach_disks(&caller(), wanted).await
        }
        Call::Resize(disk, gib) => control.resize_disk(&caller(), *disk, *gib).await,
        Call::Terminate(disks) => {
            let wanted = TerminateDisks { disks: disks.clone(), delete_snapshot: None };
            control.terminate_disks(&caller(), wanted).await
        }
        Call::Initialize(disks) => control.initialize_disks(&caller(), disks.clone()).await,
        Call::Snapshot(disk) => {
            let wanted = CreateSnapshot { disk: Some(*disk), ..CreateSnapshot::default() };
            let id = control.create_snapshot(&caller(), wanted).await?;
            let of = next.disks[disk].clone();
            next.snapshots.insert(id, ModelSnapshot { disk: *disk, gib: of.gib, byte: of.byte });
            Ok(())
        }
        Call::Apply(snapshot, disk) => world.apply(*snapshot, *disk).await,
        Call::Delete(snapshots) => control.delete_snapshots(&caller(), snapshots.clone()).await,
        Call::Write(disk, byte) => {
            world.write(*disk, *byte);
            Ok(())
        }
        Call::Restart => Ok(()),
    }
}

#[tokio::test]
async fn random_calls_do_what_the_model_says_and_nothing_else() {
    for seed in 0..HISTORIES {
        let limits = Limits {
            snapshots_per_disk: SNAPSHOTS_PER_DISK as u64,
            disks_per_instance: DISKS_PER_INSTANCE as u64,
            instances_per_disk: INSTANCES_PER_DISK as u64,
            ..Limits::default()
        };
        let mut world = World::with(Settings { limits, ..Settings::default() }, None, seed).await;
        let zones = ["ap-guangzhou-3", "ap-guangzhou-3", "ap-guangzhou-3", "ap-guangzhou-4"];
        let mut instances = [InstanceId::random(&SeededRandom::new(0)); 4];
        for (instance, zone) in instances.iter_mut().zip(zones) {
            *instance = world.instance(zone).await;
        }
        let player = Player { random: SeededRandom::new(seed ^ 0xa5a5), instances };
        let mut model = Model::default();
        let mut done = 0;
        for _ in 0..CALLS {
            let call = player.call(&model);
            let mut expected = model.after(&call, &instances[..3]);
            if let (Call::Write(..), None) = (&call, &expected) {
                continue;
            }
            let mut next = expected.take().inspect(|_| done += 1);
            let answer = play(&world, &call, next.as_mut().unwrap_or(&mut model.clone())).await;
            assert_eq!(answer.is_ok(), next.is_some(), "seed {seed}: {call:?}: {answer:?}");
            if let (Call::Restart, _) = (&call, &next) {
                world = world.restarted().await;
            }
            model = next.unwrap_or(model);
            assert_eq!(Model::of(&world).await, model, "seed {seed}: after {call:?}");
            world.check_rest().await;
        }
        assert!(done > CALLS / 5, "seed {seed}: only {done} calls were right, the history tells little");
    }
}
