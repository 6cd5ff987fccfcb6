//! One history: what users, the clock and the power do, one after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ashlar_attach::ExportName;
use ashlar_control::{
    ApplySnapshot, AttachDisks, Caller, CreateDisks, CreateSnapshot, DescribeDisks, DescribeSnapshots,
    DetachDisks, FIRST_ACCOUNT, NewInstance, Placement, RequestId, TerminateDisks, pool_expectation,
};
use ashlar_engine::simulated::{SimulatedDisk, Survival};
use ashlar_engine::{FileRole, check_in};
use ashlar_types::{
    DiskChargeType, DiskId, DiskState, DiskType, GIB_BYTES, InstanceId, ManualClock, RandomSource, Region,
    SeededRandom, SnapshotId, UnixMillis,
};
use ashlar_volume::{VolumeId, VolumeStore};
use parking_lot::Mutex;

use crate::client::Client;
use crate::keys::MasterKeys;
use crate::machine::{Ground, Machine, Stop};
use crate::oracle::Tolerance;
use crate::store::{Connection, Records, Shared};

/// 2026-01-01T00:00:00Z.
const BEGIN: UnixMillis = UnixMillis(1_767_225_600_000);
pub(crate) const REGION: &str = "ap-guangzhou";
const ZONE: &str = "ap-guangzhou-3";
const SIZE_GIB_MIN: u64 = 10;
const DISKS_MAX: usize = 4;
const SNAPSHOTS_MAX: usize = 6;
const INSTANCES_MAX: usize = 3;

/// What a history was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Where it came from.
    pub seed: u64,
    /// Equal exactly when everything that happened is equal.
    pub digest: u64,
    /// Calls of the control plane, steps of the background and of the clock.
    pub steps: u64,
    /// Requests of NBD clients.
    pub requests: u64,
    /// How often the power failed.
    pub power_cuts: u64,
    /// What happened how often, beside requests: calls, work of the background, faults.
    pub events: BTreeMap<&'static str, u64>,
}

/// Plays the history of a seed. The error says what was wrong, and what came before it.
pub fn run(seed: u64) -> Result<Report, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("start the runtime: {error}"))?;
    let mut history = History::new(seed)?;
    let result = runtime.block_on(history.play());
    let shared = history.ground.shared.lock();
    match result.err().or_else(|| shared.failure.clone()) {
        None => Ok(Report {
            seed,
            digest: shared.digest.value(),
            steps: history.steps,
            requests: shared.requests,
            power_cuts: history.power_cuts,
            events: std::mem::take(&mut history.events),
        }),
        Some(failure) => Err(format!("seed {seed}: {failure}\nlast steps:{}", shared.digest.tail())),
    }
}

/// What was answered about a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
struct DiskRecord {
    /// The machines that have it, by their ids.
    instances: BTreeSet<InstanceId>,
    shareable: bool,
    /// Whether a machine boots from it, which has it for good.
    is_system: bool,
    size_gib: u64,
}

impl DiskRecord {
    fn is_attached(&self) -> bool {
        !self.instances.is_empty()
    }
}

/// What callers know, because it was answered to them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Known {
    disks: BTreeMap<DiskId, DiskRecord>,
    snapshots: BTreeMap<SnapshotId, DiskId>,
}

/// The call that is under way. A power cut may leave either side of it.
#[derive(Debug, Clone, Default)]
struct UnderWay {
    disk: Option<DiskId>,
    snapshot: Option<SnapshotId>,
    makes: bool,
}

struct History {
    ground: Ground,
    machine: Option<Machine>,
    /// The machines that there are.
    instances: BTreeSet<InstanceId>,
    known: Known,
    under_way: UnderWay,
    steps: u64,
    power_cuts: u64,
    events: BTreeMap<&'static str, u64>,
    /// Whether a sync is for all files.
    shares_syncs: bool,
    /// Whether the medium has ever lied.
    was_faulty: bool,
    /// How many blocks it can have damaged in all lives that are over.
    damaged_ever: u64,
}

impl History {
    fn new(seed: u64) -> Result<Self, String> {
        let directory = tempfile::tempdir().map_err(|error| format!("make a directory: {error}"))?;
        let records = Arc::new(Records::new(directory.path().join("0")));
        let ground = Ground {
            records,
            master_keys: Arc::new(MasterKeys::new(seed)),
            disk: SimulatedDisk::new(1 << 40),
            clock: Arc::new(ManualClock::new(BEGIN)),
            random: Arc::new(SeededRandom::new(seed ^ 0x5eed)),
            shared: Arc::new(Mutex::new(Shared::new(seed))),
            directory,
            starts: 0,
            tolerance: Tolerance::default(),
        };
        Ok(Self {
            ground,
            machine: None,
            instances: BTreeSet::new(),
            known: Known::default(),
            under_way: UnderWay::default(),
            steps: 0,
            power_cuts: 0,
            events: BTreeMap::new(),
            shares_syncs: seed.is_multiple_of(2),
            was_faulty: false,
            damaged_ever: 0,
        })
    }

    async fn play(&mut self) -> Result<(), String> {
        for _ in 0..2 + self.below(4) {
            self.plan_power_cut();
            let goes_on = match self.live().await {
                Ok(()) => true,
                Err(Stop::PowerCut) => self.lose_power().await?,
                Err(Stop::Broken(reason)) => {
                    self.event("broken by a lie about metadata");
                    self.line(&format!("stopped by the operator: {reason}"));
                    self.lose_power().await?
                }
                Err(Stop::Failure(failure)) => return Err(failure),
            };
            self.check_failure()?;
            if !goes_on {
                return Ok(());
            }
        }
        self.finish().await
    }

    /// One life of a server: started, used, stopped.
    async fn live(&mut self) -> Result<(), Stop> {
        self.choose_lies();
        self.start().await?;
        self.arm(true);
        for _ in 0..15 + self.below(40) {
            self.rot()?;
            self.step().await?;
            self.check_failure()?;
            self.check_broken()?;
        }
        self.look_at_damage()?;
        self.check_rest().await?;
        self.line("stop");
        self.disconnect_all()?;
        // A machine that cannot be stopped in order is one that was cut off.
        self.close_machine().await?;
        if let Some(lie) = self.lie_about_metadata() {
            return Err(Stop::Broken(format!("the end of the life in which the medium lied: {lie:?}")));
        }
        self.carry_damage();
        self.next_folder()?;
        self.check_image(None)?;
        Ok(())
    }

    async fn close_machine(&mut self) -> Result<(), Stop> {
        match self.machine.take() {
            Some(machine) => machine.stop(&self.ground).await,
            None => Ok(()),
        }
    }

    /// The end of every history: nothing fails any more, and everything is in order.
    async fn finish(&mut self) -> Result<(), String> {
        self.ground.disk.restart(0, Survival::Everything);
        let text = |stop| match stop {
            Stop::PowerCut => "a power cut that nobody ordered".to_owned(),
            Stop::Broken(failure) | Stop::Failure(failure) => failure,
        };
        self.start().await.map_err(text)?;
        self.check_rest().await.map_err(text)?;
        self.disconnect_all()?;
        let Some(machine) = self.machine.take() else { return Ok(()) };
        while machine.pool.run_background_step().map_err(|error| format!("background: {error}"))? {}
        self.check_sizes(&machine).await?;
        let used_bytes = machine.pool.usage().map_err(|error| error.to_string())?.used_bytes;
        machine.stop(&self.ground).await.map_err(text)?;
        self.check_image(Some(used_bytes)).map(drop)?;
        let calls = self.ground.disk.calls();
        self.line(&format!("{calls} calls to the medium"));
        Ok(())
    }

    fn below(&self, bound: u64) -> u64 {
        self.ground.shared.lock().random.below(bound)
    }

    fn line(&self, text: &str) {
        self.ground.shared.lock().digest.line(text.to_owned());
    }

    fn check_failure(&self) -> Result<(), String> {
        self.ground.shared.lock().failure.clone().map_or(Ok(()), Err)
    }

    fn plan_power_cut(&self) {
        let range = [20, 150, 600, 2000][self.below(4) as usize];
        self.ground.disk.cut_power_after(self.below(range));
    }

    async fn start(&mut self) -> Result<(), Stop> {
        self.line("start");
        std::fs::create_dir_all(self.ground.folder())
            .map_err(|error| Stop::Failure(format!("make a folder: {error}")))?;
        // The lease of a server that died runs out.
        self.ground.clock.advance_ms(120_000);
        self.machine = Some(Machine::start(&self.ground).await?);
        self.reconcile_known().await?;
        self.check_rest().await?;
        self.mend().await?;
        self.connect_all()
    }

    /// The records go to the folder of the next start, as they were when the power failed or the server stopped.
    fn next_folder(&mut self) -> Result<(), String> {
        self.ground.starts += 1;
        let folder = self.ground.folder();
        let records = std::mem::replace(&mut self.ground.records, Arc::new(Records::new(folder.clone())));
        std::fs::create_dir_all(&folder)
            .and_then(|()| records.restore(&folder))
            .map_err(|error| format!("carry the records over: {error}"))
    }

    /// The server is gone, and what was not durable perhaps too; `false` if that is the end of the history.
    async fn lose_power(&mut self) -> Result<bool, String> {
        self.power_cuts += 1;
        self.ground.shared.lock().clients.clear();
        if let Some(machine) = self.machine.take() {
            machine.lose_power().await?;
        }
        self.next_folder()?;
        let survival = match self.below(4) {
            0 => Survival::Nothing,
            1 => Survival::Everything,
            _ => Survival::Some,
        };
        let seed = self.ground.shared.lock().random.next_u64();
        self.ground.disk.restart(seed, survival);
        self.line(&format!("power cut, {survival:?} survives"));
        let goes_on = match self.lie_about_metadata() {
            Some(lie) => self.look_at_metadata(lie)?,
            None => true,
        };
        self.carry_damage();
        if goes_on {
            let unverified_bytes = self.check_image(None)?;
            self.believe_open_pages(unverified_bytes);
        }
        Ok(goes_on)
    }

    /// The files must be sound at any moment, before anybody repairs anything.
    /// Gives the bytes that were open for changes.
    fn check_image(&self, used_bytes: Option<u64>) -> Result<u64, String> {
        // On a copy: what is planned for the disk is meant for the server.
        let report = match check_in(Arc::new(self.ground.disk.fork())) {
            Ok(report) => report,
            Err(error) if error.kind() == ashlar_volume::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(format!("check: {error}")),
        };
        // What was written where it should not can lie where nothing is, and what was lost has not extended the file. What is
        // damaged may be seen by nobody and stay for a while.
        let of_lies = ["belong to nobody", "the data file ends before chunk"];
        let stray = |finding: &&String| {
            self.was_faulty && of_lies.into_iter().any(|of_lies| finding.contains(of_lies))
        };
        let findings = report.findings.iter().filter(|finding| !stray(finding));
        let (damaged, others): (Vec<_>, Vec<_>) =
            findings.partition(|finding| finding.contains("is damaged: block"));
        if !others.is_empty() || damaged.len() as u64 > self.damaged_ever {
            return Err(format!("check: {:?}", report.findings));
        }
        match used_bytes {
            Some(used_bytes) if report.referenced_bytes != used_bytes => {
                Err(format!("space is lost: {report:?}, used {used_bytes}"))
            }
            _ if self.was_faulty => Ok(report.unverified_bytes),
            Some(used_bytes) if report.unreferenced_bytes > 0 => {
                Err(format!("space is lost: {report:?}, used {used_bytes}"))
            }
            Some(_) if self.ground.disk.allocated_bytes(FileRole::Data) > report.referenced_bytes => {
                Err("the data file is larger than what it holds".to_owned())
            }
            _ => Ok(report.unverified_bytes),
        }
    }
}

mod calls;
mod damage;
mod lighthouse;
mod metadata;
mod rest;
