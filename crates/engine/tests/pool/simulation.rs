//! Seeded histories on a disk that loses power, against the oracle.
//!
//! A failure names its seed; `ASHLAR_SIM_SEED=n cargo test -p ashlar-engine --test pool simulation` runs that one alone.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use ashlar_engine::simulated::{SimulatedDisk, Survival};
use ashlar_engine::{Background, FileRole, Pool, PoolOptions, check_in};
use ashlar_types::{MIB_BYTES, RandomSource, SeededRandom};
use ashlar_volume::{
    BLOCK_BYTES, BlockDevice, ErrorKind, VolumeError, VolumeId, VolumeSnapshotId, VolumeStore, ZeroMode,
};

use crate::encrypted::TestMasterKey;
use crate::oracle::{Content, World};

const HISTORIES: u64 = 20_000;
const LEAF_BYTES: u64 = 32 * MIB_BYTES;
const SIZE_BYTES_MIN: u64 = LEAF_BYTES + MIB_BYTES;
const VOLUMES_MAX: usize = 4;
const SNAPSHOTS_MAX: usize = 8;

/// Where histories write: the beginning of a volume, and the border of two leaves.
const HOT_SPOTS: [(u64, u64); 2] = [(0, 96 << 10), (LEAF_BYTES - (32 << 10), 64 << 10)];

/// One history: a pool, what it should hold, and the dice.
struct History {
    random: SeededRandom,
    master_key: TestMasterKey,
    disk: SimulatedDisk,
    options: PoolOptions,
    pool: Option<Pool>,
    devices: BTreeMap<VolumeId, Arc<dyn BlockDevice>>,
    snapshot_devices: BTreeMap<VolumeSnapshotId, Arc<dyn BlockDevice>>,
    world: World,
    /// What the pool may hold instead, because a call was cut off in the middle.
    alternative: Option<World>,
    /// Whether the power was off since the pool was last open.
    was_power_cut: bool,
    names_used: u64,
    log: Vec<String>,
}

/// Why a history stopped.
enum Stop {
    PowerCut,
    Failure(String),
}

impl From<String> for Stop {
    fn from(failure: String) -> Self {
        Self::Failure(failure)
    }
}

impl History {
    fn new(seed: u64) -> Self {
        let random = SeededRandom::new(seed);
        let master_key = TestMasterKey::new(seed);
        let is_small = random.below(10) == 0;
        let capacity_bytes = if is_small { 7 * MIB_BYTES } else { 1 << 40 };
        let options = PoolOptions {
            journal_segment_bytes: [4 << 10, 16 << 10, 64 << 10][random.below(3) as usize],
            map_cache_bytes: 256 << 10,
            leaves_cached_max: 1 + random.below(4) as usize,
            checksum_pages_cached_max: 1 + random.below(4) as usize,
            open_pages_max: [0, 1, 3, 64][random.below(4) as usize],
            reserve_bytes: 3 * MIB_BYTES,
            pending_bytes_max: if random.below(4) == 0 { 500 } else { 16 << 10 },
            background: Background::Manual,
            key_wrapper: Some(Arc::new(master_key.clone())),
            ..PoolOptions::default()
        };
        let disk = SimulatedDisk::new(capacity_bytes);
        disk.share_syncs(random.below(2) == 0);
        Self {
            random,
            master_key,
            disk,
            options,
            pool: None,
            devices: BTreeMap::new(),
            snapshot_devices: BTreeMap::new(),
            world: World::default(),
            alternative: None,
            was_power_cut: false,
            names_used: 0,
            log: Vec::new(),
        }
    }

    fn run(&mut self) -> Result<(), String> {
        for _ in 0..1 + self.random.below(4) {
            self.plan_power_cut();
            let calls = 10 + self.random.below(60);
            match self
                .open()
                .and_then(|()| (0..calls).try_for_each(|_| self.step()))
                .and_then(|()| self.shut_down())
            {
                Ok(()) => {}
                Err(Stop::PowerCut) => self.lose_power()?,
                Err(Stop::Failure(failure)) => return Err(failure),
            }
        }
        self.finish()
    }

    fn plan_power_cut(&self) {
        let range = [4, 20, 60, 200, 600][self.random.below(5) as usize];
        self.disk.cut_power_after(self.random.below(range));
    }

    /// Ends the pool somehow: closed, or just dropped as by a kill.
    fn shut_down(&mut self) -> Result<(), Stop> {
        self.devices.clear();
        self.snapshot_devices.clear();
        if self.random.below(2) == 0 {
            self.log.push("close".to_owned());
            let result = self.pool().close();
            self.pool = None;
            self.answered(result, "close")?;
            if self.disk.is_off() {
                return Err(Stop::PowerCut);
            }
            self.check_image()?;
        }
        self.pool = None;
        Ok(())
    }

    fn lose_power(&mut self) -> Result<(), String> {
        self.devices.clear();
        self.snapshot_devices.clear();
        self.pool = None;
        let survival = match self.random.below(4) {
            0 => Survival::Nothing,
            1 => Survival::Everything,
            _ => Survival::Some,
        };
        self.log.push(format!("power cut, {survival:?} survives"));
        self.disk.restart(self.random.next_u64(), survival);
        self.was_power_cut = true;
        self.check_image()
    }

    /// The files must be sound at any moment, before anybody repairs anything.
    fn check_image(&self) -> Result<(), String> {
        match check_in(Arc::new(self.disk.clone())) {
            Ok(report) if report.findings.is_empty() => Ok(()),
            Ok(report) => Err(format!("check: {:?}", report.findings)),
            Err(error) if error.kind() == ErrorKind::NotFound && self.world.volumes.is_empty() => Ok(()),
            Err(error) => Err(format!("check: {error}")),
        }
    }

    /// Opens the pool and compares it with the oracle.
    fn open(&mut self) -> Result<(), Stop> {
        self.log.push("open".to_owned());
        let opened = Pool::open_in(Arc::new(self.disk.clone()), self.options.clone());
        let pool = self.answered(opened, "open")?;
        let mut candidates = vec![self.world.clone()];
        if let Some(mut alternative) = self.alternative.clone() {
            candidates[0].touch_like(&alternative);
            alternative.touch_like(&self.world);
            candidates.push(alternative);
        }
        let mut failures = Vec::new();
        for mut world in candidates {
            match world.recover(&pool, self.was_power_cut) {
                Ok(()) => {
                    self.world = world;
                    self.alternative = None;
                    self.was_power_cut = false;
                    self.pool = Some(pool);
                    return Ok(());
                }
                Err(_) if self.disk.is_off() => return Err(Stop::PowerCut),
                Err(failure) => failures.push(failure),
            }
        }
        Err(Stop::Failure(format!("after recovery: {}", failures.join("; or "))))
    }

    /// Runs to the end without a power cut: nothing is wrong, and no space is lost.
    fn finish(&mut self) -> Result<(), String> {
        self.disk.restart(0, Survival::Everything);
        let stopped = |stop| match stop {
            Stop::PowerCut => "a power cut that nobody ordered".to_owned(),
            Stop::Failure(failure) => failure,
        };
        self.open().map_err(stopped)?;
        while self.pool().run_background_step().map_err(|error| format!("background: {error}"))? {}
        let used_bytes = self.pool().usage().map_err(|error| error.to_string())?.used_bytes;
        self.verify_all()?;
        // What was sought and found: nothing is allocated that nobody refers to.
        self.pool = None;
        let report = check_in(Arc::new(self.disk.clone())).map_err(|error| error.to_string())?;
        if report.unreferenced_bytes > 0 || report.referenced_bytes != used_bytes {
            return Err(format!("space is lost: {report:?}, used {used_bytes}"));
        }
        if self.disk.allocated_bytes(FileRole::Data) > report.referenced_bytes {
            return Err("the data file is larger than what it holds".to_owned());
        }
        self.open().map_err(stopped)?;
        self.pool().close().map_err(|error| format!("close: {error}"))?;
        self.pool = None;
        self.check_image()
    }

    fn verify_all(&mut self) -> Result<(), String> {
        let pool = self.pool.as_ref().ok_or("no pool")?;
        for (name, content) in &self.world.volumes {
            let device = pool.open_volume(name).map_err(|error| error.to_string())?;
            content.verify_live(&*device).map_err(|error| format!("volume {name}: {error}"))?;
        }
        for (name, content) in &self.world.snapshots {
            let device = pool.open_snapshot(name).map_err(|error| error.to_string())?;
            content.verify_live(&*device).map_err(|error| format!("snapshot {name}: {error}"))?;
        }
        Ok(())
    }

    fn pool(&self) -> &Pool {
        self.pool.as_ref().unwrap()
    }

    /// An error is right only after the power has failed.
    fn answered<T>(&self, result: Result<T, VolumeError>, what: &str) -> Result<T, Stop> {
        result.map_err(|error| {
            if self.disk.is_off() { Stop::PowerCut } else { Stop::Failure(format!("{what}: {error}")) }
        })
    }

    fn step(&mut self) -> Result<(), Stop> {
        match self.random.below(100) {
            0..5 => self.create_volume(),
            5..40 => self.write(),
            40..46 => self.flush(),
            46..54 => self.zero(),
            54..60 => self.create_snapshot(),
            60..63 => self.clone_volume(),
            63..66 => self.roll_back(),
            66..67 if self.random.below(4) == 0 => self.rotate_master_key(),
            66..67 => self.clear_volume(),
            67..69 => self.resize_volume(),
            69..71 => self.delete_volume(),
            71..75 => self.delete_snapshot(),
            75..76 => self.rename_snapshot(),
            76..94 => self.work_in_background(),
            94..95 => self.scrub(),
            _ => self.read(),
        }
    }

    fn work_in_background(&mut self) -> Result<(), Stop> {
        let steps = 1 + self.random.below(if self.random.below(4) == 0 { 40 } else { 3 });
        self.log.push(format!("{steps} background steps"));
        for _ in 0..steps {
            let result = self.pool().run_background_step();
            if !self.answered(result, "background")? {
                break;
            }
        }
        Ok(())
    }

    /// Reads everything, or one volume. Where the medium tells the truth there is nothing to find.
    fn scrub(&mut self) -> Result<(), Stop> {
        let volumes: Vec<_> = self.pick_volume().filter(|_| self.random.below(2) == 0).into_iter().collect();
        self.log.push(format!("scrub {volumes:?}"));
        let begun = self.pool().scrub(&volumes);
        let mut scrub = self.answered(begun, "begin a scrub")?;
        while self.answered(scrub.step(), "scrub")? {}
        match scrub.progress().damaged_blocks {
            0 => Ok(()),
            count => Err(Stop::Failure(format!("{count} damaged blocks"))),
        }
    }

    /// All keys get another master key. Cut off, the old one and the new one are kept, as the server does.
    fn rotate_master_key(&mut self) -> Result<(), Stop> {
        self.log.push("rotate the master key".to_owned());
        self.master_key.rotate();
        let result = self.pool().rewrap_keys();
        self.answered(result, "rotate the master key")?;
        self.master_key.forget_older();
        Ok(())
    }

    fn pick_volume(&self) -> Option<VolumeId> {
        let count = self.world.volumes.len() as u64;
        (count > 0).then(|| self.world.volumes.keys().nth(self.random.below(count) as usize).unwrap().clone())
    }

    fn pick_snapshot(&self) -> Option<VolumeSnapshotId> {
        let count = self.world.snapshots.len() as u64;
        (count > 0)
            .then(|| self.world.snapshots.keys().nth(self.random.below(count) as usize).unwrap().clone())
    }

    fn new_name(&mut self, kind: &str) -> String {
        self.names_used += 1;
        format!("{kind}-{}", self.names_used)
    }

    /// A device on the volume; sometimes a new one, so that volumes are both open and not.
    fn device(&mut self, volume: &VolumeId) -> Arc<dyn BlockDevice> {
        if self.random.below(8) == 0 {
            self.devices.remove(volume);
        }
        let pool = self.pool.as_ref().unwrap();
        Arc::clone(self.devices.entry(volume.clone()).or_insert_with(|| pool.open_volume(volume).unwrap()))
    }

    /// A change of names: acknowledged, it holds; cut off, it may or may not.
    fn change(
        &mut self,
        what: String,
        call: impl FnOnce(&Pool) -> Result<(), VolumeError>,
        effect: impl FnOnce(&mut World),
    ) -> Result<(), Stop> {
        self.log.push(what.clone());
        let result = call(self.pool.as_ref().unwrap());
        let mut after = self.world.clone();
        effect(&mut after);
        if result.is_err() {
            self.alternative = Some(after);
        } else {
            self.world = after;
        }
        self.answered(result, &what)
    }

    fn create_volume(&mut self) -> Result<(), Stop> {
        if self.world.volumes.len() >= VOLUMES_MAX {
            return Ok(());
        }
        let name = VolumeId::new(&self.new_name("volume")).unwrap();
        let size_bytes = SIZE_BYTES_MIN + self.random.below(4) * BLOCK_BYTES;
        let is_encrypted = self.random.below(2) == 0;
        self.change(
            format!("create {name}{}", if is_encrypted { ", encrypted" } else { "" }),
            |pool| match is_encrypted {
                true => pool.create_encrypted_volume(&name, size_bytes),
                false => pool.create_volume(&name, size_bytes),
            },
            |world| drop(world.volumes.insert(name.clone(), Content::new(size_bytes))),
        )
    }

    /// Of one volume, or of several at one moment: a power cut leaves all of the snapshots or none.
    fn create_snapshot(&mut self) -> Result<(), Stop> {
        let Some(volume) = self.pick_volume().filter(|_| self.world.snapshots.len() < SNAPSHOTS_MAX) else {
            return Ok(());
        };
        let mut volumes = vec![volume];
        if self.random.below(3) == 0 {
            volumes.extend(self.pick_volume());
            volumes.dedup();
        }
        let mut named = Vec::new();
        for volume in volumes {
            named.push((volume, VolumeSnapshotId::new(&self.new_name("snapshot")).unwrap()));
        }
        self.change(
            format!("snapshot {named:?}"),
            |pool| pool.create_snapshots(&named),
            |world| {
                // A commit makes all that was answered durable.
                for (volume, name) in &named {
                    let content = world.volumes.get_mut(volume).unwrap();
                    content.flush();
                    world.snapshots.insert(name.clone(), content.frozen());
                }
            },
        )
    }

    fn rename_snapshot(&mut self) -> Result<(), Stop> {
        let Some(snapshot) = self.pick_snapshot() else { return Ok(()) };
        self.snapshot_devices.remove(&snapshot);
        let to = VolumeSnapshotId::new(&self.new_name("snapshot")).unwrap();
        self.change(
            format!("rename {snapshot} to {to}"),
            |pool| pool.rename_snapshot(&snapshot, &to),
            |world| {
                let content = world.snapshots.remove(&snapshot).unwrap();
                world.snapshots.insert(to.clone(), content);
            },
        )
    }

    fn clone_volume(&mut self) -> Result<(), Stop> {
        let Some(from) = self.pick_snapshot().filter(|_| self.world.volumes.len() < VOLUMES_MAX) else {
            return Ok(());
        };
        let name = VolumeId::new(&self.new_name("volume")).unwrap();
        let size_bytes = self.world.snapshots[&from].size_bytes + self.random.below(2) * BLOCK_BYTES;
        self.change(
            format!("clone {from} as {name}"),
            |pool| pool.clone_volume(&name, &from, size_bytes),
            |world| drop(world.volumes.insert(name.clone(), world.snapshots[&from].grown(size_bytes))),
        )
    }

    fn roll_back(&mut self) -> Result<(), Stop> {
        let (Some(volume), Some(to)) = (self.pick_volume(), self.pick_snapshot()) else { return Ok(()) };
        let size_bytes = self.world.volumes[&volume].size_bytes;
        let of_volume = self.pool().volume(&volume).unwrap().is_encrypted;
        let of_snapshot = self.pool().snapshot(&to).unwrap().is_encrypted;
        if self.world.snapshots[&to].size_bytes > size_bytes || of_volume != of_snapshot {
            return Ok(());
        }
        self.devices.remove(&volume);
        self.change(
            format!("roll {volume} back to {to}"),
            |pool| pool.roll_back(&volume, &to),
            |world| drop(world.volumes.insert(volume.clone(), world.snapshots[&to].grown(size_bytes))),
        )
    }

    fn clear_volume(&mut self) -> Result<(), Stop> {
        let Some(volume) = self.pick_volume() else { return Ok(()) };
        let size_bytes = self.world.volumes[&volume].size_bytes;
        self.devices.remove(&volume);
        self.change(
            format!("clear {volume}"),
            |pool| pool.clear_volume(&volume),
            |world| drop(world.volumes.insert(volume.clone(), Content::new(size_bytes))),
        )
    }

    fn resize_volume(&mut self) -> Result<(), Stop> {
        let Some(volume) = self.pick_volume() else { return Ok(()) };
        let size_bytes = self.world.volumes[&volume].size_bytes + self.random.below(3) * LEAF_BYTES / 2;
        self.change(
            format!("resize {volume} to {size_bytes}"),
            |pool| pool.resize_volume(&volume, size_bytes),
            |world| world.volumes.get_mut(&volume).unwrap().size_bytes = size_bytes,
        )
    }

    fn delete_volume(&mut self) -> Result<(), Stop> {
        let Some(volume) = self.pick_volume() else { return Ok(()) };
        self.devices.remove(&volume);
        self.change(
            format!("delete {volume}"),
            |pool| pool.delete_volume(&volume),
            |world| drop(world.volumes.remove(&volume)),
        )
    }

    fn delete_snapshot(&mut self) -> Result<(), Stop> {
        let Some(snapshot) = self.pick_snapshot() else { return Ok(()) };
        self.snapshot_devices.remove(&snapshot);
        self.change(
            format!("delete {snapshot}"),
            |pool| pool.delete_snapshot(&snapshot),
            |world| drop(world.snapshots.remove(&snapshot)),
        )
    }

    fn flush(&mut self) -> Result<(), Stop> {
        let Some(volume) = self.pick_volume() else { return Ok(()) };
        self.log.push(format!("flush {volume}"));
        let result = self.device(&volume).flush();
        self.answered(result, "flush")?;
        self.world.volumes.get_mut(&volume).unwrap().flush();
        Ok(())
    }

    /// A range in a hot spot: a few blocks or some hundred KiB, aligned or not. Sometimes one block anywhere, so that
    /// maps and records grow.
    fn pick_range(&self) -> (u64, u64) {
        if self.random.below(4) == 0 {
            return (self.random.below(SIZE_BYTES_MIN / BLOCK_BYTES) * BLOCK_BYTES, BLOCK_BYTES);
        }
        let (spot_start, spot_bytes) = HOT_SPOTS[self.random.below(2) as usize];
        let length_max = if self.random.below(6) == 0 { spot_bytes } else { 4 * BLOCK_BYTES };
        let mut offset_bytes = self.random.below(spot_bytes);
        let mut length_bytes = 1 + self.random.below(length_max);
        if self.random.below(3) > 0 {
            offset_bytes -= offset_bytes % BLOCK_BYTES;
            length_bytes = length_bytes.next_multiple_of(BLOCK_BYTES);
        }
        (spot_start + offset_bytes, length_bytes.min(spot_bytes - offset_bytes))
    }

    fn write(&mut self) -> Result<(), Stop> {
        let Some(volume) = self.pick_volume() else { return Ok(()) };
        let (offset_bytes, length_bytes) = self.pick_range();
        let mut data = vec![0; length_bytes as usize];
        self.random.fill(&mut data);
        self.change_bytes(&volume, "write", (offset_bytes, length_bytes), Some(&data), |device| {
            device.write(offset_bytes, &data)
        })
    }

    fn zero(&mut self) -> Result<(), Stop> {
        let Some(volume) = self.pick_volume() else { return Ok(()) };
        let range = match self.random.below(12) {
            0 => (0, self.world.volumes[&volume].size_bytes),
            _ => self.pick_range(),
        };
        let (offset_bytes, length_bytes) = range;
        match self.random.below(4) {
            0 if length_bytes < MIB_BYTES => {
                self.change_bytes(&volume, "write zeroes", range, None, |device| {
                    device.write_zeroes(offset_bytes, length_bytes, ZeroMode::KeepAllocated)
                })
            }
            1 => self.change_bytes(&volume, "unmap", range, None, |device| {
                device.write_zeroes(offset_bytes, length_bytes, ZeroMode::MayUnmap)
            }),
            _ => self.change_bytes(&volume, "discard", range, None, |device| {
                device.discard(offset_bytes, length_bytes)
            }),
        }
    }

    fn change_bytes(
        &mut self,
        volume: &VolumeId,
        what: &str,
        (offset_bytes, length_bytes): (u64, u64),
        data: Option<&[u8]>,
        call: impl FnOnce(&dyn BlockDevice) -> Result<(), VolumeError>,
    ) -> Result<(), Stop> {
        self.log.push(format!("{what} {volume} {offset_bytes}+{length_bytes}"));
        let device = self.device(volume);
        let result = call(&*device);
        let content = self.world.volumes.get_mut(volume).unwrap();
        let before = content.clone();
        content.write(offset_bytes, length_bytes, data);
        match result {
            Err(error) if error.kind() == ErrorKind::NoSpace => {
                self.log.push("no space".to_owned());
                Ok(content.adopt_partial(&before, &*device)?)
            }
            result => self.answered(result, what),
        }
    }

    fn read(&mut self) -> Result<(), Stop> {
        if let Some(volume) = self.pick_volume() {
            let device = self.device(&volume);
            self.compare(&format!("volume {volume}"), &self.world.volumes[&volume], &*device)?;
        }
        if let Some(snapshot) = self.pick_snapshot() {
            let pool = self.pool.as_ref().unwrap();
            let opened = self
                .snapshot_devices
                .entry(snapshot.clone())
                .or_insert_with(|| pool.open_snapshot(&snapshot).unwrap());
            let device = Arc::clone(opened);
            self.compare(&format!("snapshot {snapshot}"), &self.world.snapshots[&snapshot], &*device)?;
        }
        Ok(())
    }

    fn compare(&self, what: &str, content: &Content, device: &dyn BlockDevice) -> Result<(), Stop> {
        content.verify_live(device).map_err(|failure| {
            if self.disk.is_off() { Stop::PowerCut } else { Stop::Failure(format!("{what}: {failure}")) }
        })
    }
}

/// Runs one history; a failure comes with its seed and its last steps.
fn run_history(seed: u64) -> History {
    let mut history = History::new(seed);
    let result = std::panic::catch_unwind(AssertUnwindSafe(|| history.run()));
    let failure = match result {
        Ok(Ok(())) => return history,
        Ok(Err(failure)) => failure,
        Err(_) => "a panic".to_owned(),
    };
    let last = history.log.len().saturating_sub(40);
    panic!("{failure}\nlast steps:\n  {}\nreplay: ASHLAR_SIM_SEED={seed}", history.log[last..].join("\n  "));
}

fn run_histories(part: u64, parts: u64) {
    #[expect(clippy::disallowed_methods, reason = "a person replays one history by its seed")]
    let wanted = std::env::var("ASHLAR_SIM_SEED").ok();
    if let Some(seed) = wanted {
        let seed: u64 = seed.parse().expect("ASHLAR_SIM_SEED is a number");
        if seed % parts == part {
            run_history(seed);
        }
        return;
    }
    for seed in (part..HISTORIES).step_by(parts as usize) {
        run_history(seed);
    }
}

#[test]
fn pools_survive_power_cuts_in_even_histories() {
    run_histories(0, 2);
}

#[test]
fn pools_survive_power_cuts_in_odd_histories() {
    run_histories(1, 2);
}

#[test]
fn the_same_seed_gives_the_same_history() {
    for seed in [3, 77, 1001] {
        let (first, second) = (run_history(seed), run_history(seed));
        assert_eq!(first.log, second.log);
        assert_eq!(first.disk.calls(), second.disk.calls());
    }
}
