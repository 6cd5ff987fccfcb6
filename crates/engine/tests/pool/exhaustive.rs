//! Every history of up to four operations, cut off at every call to the medium.
//!
//! The alphabet has every kind of change, and their effects meet: two blocks of one chunk, one snapshot after the other, a
//! rollback, a clone, a second volume, deletions that merge, growth, background work, a scrub, another master key. The volume is
//! encrypted. The calls of all operations but the last were cut off in a shorter history, so a
//! history is cut only in its last operation and in the close that may follow it.

use std::sync::Arc;

use ashlar_engine::simulated::{SimulatedDisk, Survival};
use ashlar_engine::{Background, Pool, PoolOptions, check_in};
use ashlar_types::MIB_BYTES;
use ashlar_volume::{BLOCK_BYTES, BlockDevice, VolumeError, VolumeId, VolumeSnapshotId, VolumeStore};

use crate::encrypted::TestMasterKey;
use crate::oracle::{Content, World};

const LENGTH_MAX: u32 = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    WriteFirst,
    WriteSecond,
    Flush,
    DiscardFirst,
    Snapshot,
    RollBack,
    DeleteSnapshot,
    Background,
    Create,
    Clone,
    Resize,
    Scrub,
    RotateMasterKey,
}

const ALPHABET: [Operation; 13] = [
    Operation::WriteFirst,
    Operation::WriteSecond,
    Operation::Flush,
    Operation::DiscardFirst,
    Operation::Snapshot,
    Operation::RollBack,
    Operation::DeleteSnapshot,
    Operation::Background,
    Operation::Create,
    Operation::Clone,
    Operation::Resize,
    Operation::Scrub,
    Operation::RotateMasterKey,
];

fn options(master_key: &TestMasterKey) -> PoolOptions {
    PoolOptions {
        key_wrapper: Some(Arc::new(master_key.clone())),
        journal_segment_bytes: 4 << 10,
        map_cache_bytes: 256 << 10,
        leaves_cached_max: 2,
        checksum_pages_cached_max: 1,
        open_pages_max: 1,
        reserve_bytes: MIB_BYTES,
        pending_bytes_max: 16 << 10,
        background: Background::Manual,
        ..PoolOptions::default()
    }
}

fn volume() -> VolumeId {
    VolumeId::new("disk").unwrap()
}

fn snapshot(number: usize) -> VolumeSnapshotId {
    VolumeSnapshotId::new(&format!("snap-{number}")).unwrap()
}

/// An open pool with one volume, and what it should hold.
struct Run {
    disk: SimulatedDisk,
    master_key: TestMasterKey,
    pool: Option<Pool>,
    device: Option<Arc<dyn BlockDevice>>,
    world: World,
    /// What it may hold instead after an operation that was cut off.
    alternative: Option<World>,
    changes: u8,
    snapshots: usize,
}

impl Run {
    /// From a pool that was made, has one volume, and was killed.
    fn begin(template: &SimulatedDisk) -> Self {
        let disk = template.fork();
        let master_key = TestMasterKey::new(1);
        let pool = Pool::open_in(Arc::new(disk.clone()), options(&master_key)).unwrap();
        let mut world = World::default();
        world.volumes.insert(volume(), Content::new(MIB_BYTES));
        let device = Some(pool.open_volume(&volume()).unwrap());
        Self {
            disk,
            master_key,
            pool: Some(pool),
            device,
            world,
            alternative: None,
            changes: 0,
            snapshots: 0,
        }
    }

    fn device(&mut self) -> Arc<dyn BlockDevice> {
        let pool = self.pool.as_ref().unwrap();
        Arc::clone(self.device.get_or_insert_with(|| pool.open_volume(&volume()).unwrap()))
    }

    /// Runs an operation; an error is right only when the power is off. `None`: there is nothing to do it to.
    fn apply(&mut self, operation: Operation) -> Option<Result<(), VolumeError>> {
        match operation {
            Operation::WriteFirst => Some(self.write(0)),
            Operation::WriteSecond => Some(self.write(1)),
            Operation::DiscardFirst => {
                let result = self.device().discard(0, BLOCK_BYTES);
                self.content().write(0, BLOCK_BYTES, None);
                Some(result)
            }
            Operation::Flush => {
                let result = self.device().flush();
                if result.is_ok() {
                    self.content().flush();
                }
                Some(result)
            }
            Operation::Background => {
                let result = self.pool.as_ref().unwrap().run_background_step();
                Some(result.map(drop))
            }
            Operation::Snapshot => {
                let name = snapshot(self.snapshots);
                self.snapshots += 1;
                let mut after = self.world.clone();
                let content = after.volumes.get_mut(&volume()).unwrap();
                content.flush();
                let frozen = content.frozen();
                after.snapshots.insert(name.clone(), frozen);
                let result = self.pool.as_ref().unwrap().create_snapshot(&volume(), &name);
                Some(self.changed(result, after))
            }
            Operation::RollBack => {
                let (name, content) = self.world.snapshots.last_key_value()?;
                let (name, content) = (name.clone(), content.clone());
                self.device = None;
                let mut after = self.world.clone();
                after.volumes.insert(volume(), content.grown(self.content().size_bytes));
                let result = self.pool.as_ref().unwrap().roll_back(&volume(), &name);
                Some(self.changed(result, after))
            }
            Operation::DeleteSnapshot => {
                let name = self.world.snapshots.keys().next()?.clone();
                let mut after = self.world.clone();
                after.snapshots.remove(&name);
                let result = self.pool.as_ref().unwrap().delete_snapshot(&name);
                Some(self.changed(result, after))
            }
            Operation::Create => {
                let name = VolumeId::new(&format!("other-{}", self.world.volumes.len())).unwrap();
                let mut after = self.world.clone();
                after.volumes.insert(name.clone(), Content::new(MIB_BYTES));
                let result = self.pool.as_ref().unwrap().create_encrypted_volume(&name, MIB_BYTES);
                Some(self.changed(result, after))
            }
            Operation::Clone => {
                let (from, content) = self.world.snapshots.first_key_value()?;
                let (from, size_bytes) = (from.clone(), content.size_bytes);
                let name = VolumeId::new(&format!("clone-{}", self.world.volumes.len())).unwrap();
                let mut after = self.world.clone();
                after.volumes.insert(name.clone(), content.grown(size_bytes));
                let result = self.pool.as_ref().unwrap().clone_volume(&name, &from, size_bytes);
                Some(self.changed(result, after))
            }
            Operation::Resize => {
                let size_bytes = self.content().size_bytes + MIB_BYTES;
                let mut after = self.world.clone();
                after.volumes.get_mut(&volume()).unwrap().size_bytes = size_bytes;
                let result = self.pool.as_ref().unwrap().resize_volume(&volume(), size_bytes);
                Some(self.changed(result, after))
            }
            Operation::Scrub => Some(self.scrub()),
            Operation::RotateMasterKey => {
                self.master_key.rotate();
                let result = self.pool.as_ref().unwrap().rewrap_keys().map(drop);
                if result.is_ok() {
                    self.master_key.forget_older();
                }
                Some(result)
            }
        }
    }

    fn scrub(&self) -> Result<(), VolumeError> {
        let mut scrub = self.pool.as_ref().unwrap().scrub(&[])?;
        while scrub.step()? {}
        assert_eq!(scrub.progress().damaged_blocks, 0);
        Ok(())
    }

    fn content(&mut self) -> &mut Content {
        self.world.volumes.get_mut(&volume()).unwrap()
    }

    fn write(&mut self, block: u64) -> Result<(), VolumeError> {
        self.changes += 1;
        let data = [self.changes; BLOCK_BYTES as usize];
        let result = self.device().write(block * BLOCK_BYTES, &data);
        self.content().write(block * BLOCK_BYTES, BLOCK_BYTES, Some(&data));
        result
    }

    fn changed(&mut self, result: Result<(), VolumeError>, after: World) -> Result<(), VolumeError> {
        match result {
            Ok(()) => self.world = after,
            Err(_) => self.alternative = Some(after),
        }
        result
    }

    /// After the power failed: the files are sound, and the pool holds what it may.
    fn assert_recovers(mut self, survival: Survival, seed: u64, history: &[Operation], call: u64) {
        self.device = None;
        self.pool = None;
        self.disk.restart(seed, survival);
        let shown = || format!("{history:?} cut off at call {call} of its last step, {survival:?} survives");
        let report = check_in(Arc::new(self.disk.clone())).unwrap();
        assert!(report.findings.is_empty(), "{}: {:?}", shown(), report.findings);
        let pool = Pool::open_in(Arc::new(self.disk.clone()), options(&self.master_key)).unwrap();
        let mut failures = Vec::new();
        for mut world in [Some(self.world), self.alternative].into_iter().flatten() {
            match world.recover(&pool, true) {
                Ok(()) => return,
                Err(failure) => failures.push(failure),
            }
        }
        panic!("{}: {}", shown(), failures.join("; or "));
    }
}

/// Cuts the last operation off at each of its calls. `false` if it has nothing to do there.
fn cut_everywhere(template: &SimulatedDisk, history: &[Operation]) -> bool {
    let Some((last, before)) = history.split_last() else { return true };
    for call in 0_u64.. {
        for (survival, seed) in [(Survival::Nothing, 0), (Survival::Some, call + 1)] {
            let mut run = Run::begin(template);
            for operation in before {
                let Some(result) = run.apply(*operation) else { return false };
                result.unwrap();
            }
            run.disk.cut_power_after(call);
            let Some(result) = run.apply(*last) else { return false };
            let was_cut = run.disk.is_off();
            assert!(result.is_ok() || was_cut, "{history:?}: {result:?}");
            run.assert_recovers(survival, seed, history, call);
            if !was_cut {
                // The operation takes no more calls than that.
                return true;
            }
        }
    }
    true
}

/// All histories whose first operation is in `firsts`, on a disk whose syncs are for one file or for all.
fn enumerate(firsts: &[Operation], shares_syncs: bool) {
    let template = SimulatedDisk::new(1 << 40);
    template.share_syncs(shares_syncs);
    let pool = Pool::open_in(Arc::new(template.clone()), options(&TestMasterKey::new(1))).unwrap();
    pool.create_encrypted_volume(&volume(), MIB_BYTES).unwrap();
    drop(pool);
    template.restart(0, Survival::Nothing);
    // Sharing is about the commits of first writes. What neither writes nor stands between writes is the same without it.
    let next = |operation: &Operation| !shares_syncs || !LAST.contains(operation);
    let alphabet: Vec<Operation> = ALPHABET.into_iter().filter(next).collect();
    let mut histories: Vec<Vec<Operation>> = firsts.iter().map(|first| vec![*first]).collect();
    for length in 1..=LENGTH_MAX {
        // What has nothing to do at its end has no continuation either.
        histories.retain(|history| cut_everywhere(&template, history));
        if length < LENGTH_MAX {
            let longer = |history: &Vec<Operation>| {
                let history = history.clone();
                let next = alphabet.clone().into_iter();
                next.map(move |next| history.iter().copied().chain([next]).collect::<Vec<_>>())
            };
            histories = histories.iter().flat_map(longer).collect();
        }
    }
    assert!(histories.len() > 100 * firsts.len(), "{} histories", histories.len());
}

const WRITES: [Operation; 2] = [Operation::WriteFirst, Operation::WriteSecond];
const OTHERS: [Operation; 6] = [
    Operation::Flush,
    Operation::DiscardFirst,
    Operation::Snapshot,
    Operation::Background,
    Operation::RollBack,
    Operation::DeleteSnapshot,
];
const LAST: [Operation; 5] =
    [Operation::Create, Operation::Clone, Operation::Resize, Operation::Scrub, Operation::RotateMasterKey];

#[test]
fn histories_that_begin_with_a_write_survive_every_cut() {
    enumerate(&WRITES, false);
}

#[test]
fn histories_that_begin_with_a_write_survive_every_cut_where_syncs_are_shared() {
    enumerate(&WRITES, true);
}

#[test]
fn histories_that_begin_otherwise_survive_every_cut() {
    enumerate(&OTHERS, false);
}

#[test]
fn histories_that_begin_otherwise_survive_every_cut_where_syncs_are_shared() {
    enumerate(&OTHERS, true);
}

#[test]
fn histories_that_begin_with_volumes_and_keys_survive_every_cut() {
    enumerate(&LAST, false);
}
