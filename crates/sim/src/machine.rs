//! What dies with the power: the pool, the records' connections, the control plane, the NBD server.

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ashlar_attach::{AttachErrorKind, EndSession, ExportTable, Lease};
use ashlar_control::{Control, ControlParts, Settings};
use ashlar_db::Db;
use ashlar_engine::simulated::SimulatedDisk;
use ashlar_engine::{Background, Directory, FaultyDirectory, KeyWrapper, Pool, PoolOptions};
use ashlar_nbd::{NbdLimits, OpenError, OpenErrorKind, Peer, Server, SessionHandle};
use ashlar_types::{Clock, MIB_BYTES, ManualClock, RandomSource, SeededRandom};
use ashlar_volume::BlockDevice;
use parking_lot::Mutex;

use crate::history::REGION;
use crate::keys::MasterKeys;
use crate::oracle::Tolerance;
use crate::store::{Records, Shared, SimStore, SimStores};

/// How often a running job is looked at before it counts as stuck; each look lets the job go on.
const LOOKS_MAX: u32 = 20_000_000;

/// What survives a power cut, beside the disk: the clock, the dice of the server, the records.
pub(crate) struct Ground {
    pub(crate) disk: SimulatedDisk,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) random: Arc<SeededRandom>,
    pub(crate) shared: Arc<Mutex<Shared>>,
    pub(crate) directory: tempfile::TempDir,
    /// Each start has its own folder.
    pub(crate) starts: u32,
    /// What the operator keeps of the disks' keys.
    pub(crate) master_keys: Arc<MasterKeys>,
    /// The records of the present start.
    pub(crate) records: Arc<Records>,
    /// What the medium may have damaged before.
    pub(crate) tolerance: Tolerance,
}

/// A server that runs.
pub(crate) struct Machine {
    pub(crate) control: Control,
    pub(crate) db: Db,
    pub(crate) exports: ExportTable,
    pub(crate) pool: Arc<Pool>,
    records: Arc<Records>,
    pub(crate) socket: PathBuf,
    server: Server,
}

/// Why something did not happen.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The power has failed.
    PowerCut,
    /// Something was refused with this reason after the medium has lied about metadata: an operator stops the server.
    Broken(String),
    /// Something is wrong.
    Failure(String),
}

impl From<String> for Stop {
    fn from(failure: String) -> Self {
        Self::Failure(failure)
    }
}

impl Ground {
    pub(crate) fn folder(&self) -> PathBuf {
        self.directory.path().join(self.starts.to_string())
    }

    /// An error is right only after the power has failed, or after a lie about metadata; then it has a reason.
    pub(crate) fn answered<T, E: std::fmt::Display>(
        &self,
        what: &str,
        result: Result<T, E>,
    ) -> Result<T, Stop> {
        result.map_err(|error| {
            let reason = format!("{what}: {error}");
            let has_lied = self.shared.lock().lies.told_of_metadata().is_some();
            match () {
                () if self.disk.is_off() => Stop::PowerCut,
                () if has_lied && error.to_string().len() >= 10 => Stop::Broken(reason),
                () => Stop::Failure(reason),
            }
        })
    }

    pub(crate) fn options(&self) -> PoolOptions {
        PoolOptions {
            journal_segment_bytes: 16 << 10,
            map_cache_bytes: 256 << 10,
            leaves_cached_max: 4,
            checksum_pages_cached_max: 4,
            open_pages_max: 2,
            reserve_bytes: 3 * MIB_BYTES,
            pending_bytes_max: 2000,
            background: Background::Manual,
            key_wrapper: Some(Arc::clone(&self.master_keys) as Arc<dyn KeyWrapper>),
            ..PoolOptions::default()
        }
    }

    fn medium(&self) -> Arc<dyn Directory> {
        let disk = Arc::new(self.disk.clone());
        match &self.shared.lock().lies.faults {
            Some(faults) => Arc::new(FaultyDirectory::new(disk, Arc::clone(faults))),
            None => disk,
        }
    }

    /// Opens the pool and compares it with the oracle.
    fn open_pool(&self) -> Result<Arc<Pool>, Stop> {
        let opened = Pool::open_in(self.medium(), self.options());
        let pool = self.answered("open the pool", opened)?;
        let mut shared = self.shared.lock();
        let candidates = shared.candidates();
        let mut failures = Vec::new();
        for mut world in candidates {
            match world.recover(&pool, self.tolerance) {
                _ if self.disk.is_off() => return Err(Stop::PowerCut),
                Ok(damaged) => {
                    if !damaged.is_empty() {
                        shared.digest.line(format!("damaged: {damaged:?}"));
                    }
                    shared.world = world;
                    shared.alternative = None;
                    return Ok(Arc::new(pool));
                }
                Err(failure) => failures.push(failure),
            }
        }
        Err(Stop::Failure(format!("after recovery: {}", failures.join("; or "))))
    }
}

impl Machine {
    /// Starts a server on what there is. Every job that the last one left has ended when this returns.
    pub(crate) async fn start(ground: &Ground) -> Result<Self, Stop> {
        let pool = ground.open_pool()?;
        let folder = ground.folder();
        let records = Arc::clone(&ground.records);
        let region = REGION.parse().map_err(|error| Stop::Failure(format!("{error}")))?;
        let store = Arc::new(SimStore {
            pool: Arc::clone(&pool),
            disk: ground.disk.clone(),
            shared: Arc::clone(&ground.shared),
            records: Arc::clone(&records),
        });
        let path = folder.join("control.db");
        let db =
            Db::open(&path).await.map_err(|error| Stop::Failure(format!("open the records: {error}")))?;
        let exports = ExportTable::new();
        let mut settings = Settings::default();
        settings.limits.jobs_at_once = 1;
        let control = Control::new(ControlParts {
            db: db.clone(),
            stores: Arc::new(SimStores { region, store }),
            exports: Arc::new(exports.clone()),
            clock: Arc::clone(&ground.clock) as Arc<dyn Clock>,
            random: Arc::clone(&ground.random) as Arc<dyn RandomSource>,
            settings,
            server_name: "simulated".to_owned(),
        });
        let socket = folder.join("nbd.sock");
        let server = listen(exports.clone(), &socket).map_err(Stop::Failure)?;
        let machine = Self { control, db, exports, pool, records, socket, server };
        let started = async {
            machine.control.ensure_first_records().await?;
            machine.control.start().await
        };
        let result = started.await;
        match ground.answered("start", result) {
            Ok(()) => {}
            Err(stop) => return Err(machine.broken_off(stop).await),
        }
        match machine.await_jobs(ground).await {
            Ok(()) => Ok(machine),
            Err(stop) => Err(machine.broken_off(stop).await),
        }
    }

    /// A start in which the power failed: what it wrote to the records up to then stays.
    async fn broken_off(self, stop: Stop) -> Stop {
        match stop {
            Stop::PowerCut => match self.lose_power().await {
                Ok(()) => Stop::PowerCut,
                Err(failure) => Stop::Failure(failure),
            },
            other => other,
        }
    }

    /// Waits until the journal names no unfinished job.
    pub(crate) async fn await_jobs(&self, ground: &Ground) -> Result<(), Stop> {
        let text = |error: ashlar_db::DbError| Stop::Failure(format!("read the jobs: {error}"));
        for look in 0..LOOKS_MAX {
            if ground.disk.is_off() {
                return Err(Stop::PowerCut);
            }
            let unfinished = self.db.read().await.map_err(text)?.jobs().unfinished().await.map_err(text)?;
            if unfinished.is_empty() {
                return Ok(());
            }
            if look % 1000 == 999 {
                // A job whose way back was blocked waits for the next look of the reconciler.
                ground.answered("reconcile", self.control.reconcile().await)?;
            }
            tokio::task::yield_now().await;
        }
        Err(Stop::Failure("a job does not end".to_owned()))
    }

    /// The end without a goodbye. The records are what they were when the power failed.
    pub(crate) async fn lose_power(self) -> Result<(), String> {
        self.records.keep().map_err(|error| format!("keep the records: {error}"))?;
        self.server.shutdown(Duration::from_secs(20));
        self.control.shutdown().await;
        Ok(())
    }

    /// The orderly end.
    pub(crate) async fn stop(self, ground: &Ground) -> Result<(), Stop> {
        self.server.shutdown(Duration::from_secs(20));
        self.control.shutdown().await;
        let closed = self.pool.close();
        self.records.keep().map_err(|error| Stop::Failure(format!("keep the records: {error}")))?;
        ground.answered("close the pool", closed)
    }
}

fn listen(exports: ExportTable, socket: &Path) -> Result<Server, String> {
    let limits = NbdLimits::default();
    let server =
        Server::new(Arc::new(SimExports(exports)), limits, None).map_err(|error| error.to_string())?;
    let listener = UnixListener::bind(socket).map_err(|error| format!("bind the socket: {error}"))?;
    server.serve_unix(listener).map_err(|error| error.to_string())?;
    Ok(server)
}

/// The table of exports, as the NBD server wants to see it.
struct SimExports(ExportTable);

impl ashlar_nbd::Exports for SimExports {
    fn open(&self, name: &str, _: &Peer) -> Result<Box<dyn ashlar_nbd::Lease>, OpenError> {
        match self.0.open(name) {
            Ok(lease) => Ok(Box::new(SimLease(lease))),
            Err(error) if error.kind() == AttachErrorKind::NotFound => {
                Err(OpenError::new(OpenErrorKind::NotFound, error.to_string()))
            }
            Err(error) => Err(OpenError::new(OpenErrorKind::Unavailable, error.to_string())),
        }
    }

    fn list(&self, _: &Peer) -> Vec<String> {
        self.0.list().iter().map(ToString::to_string).collect()
    }
}

struct SimLease(Lease);

impl ashlar_nbd::Lease for SimLease {
    fn device(&self) -> Arc<dyn BlockDevice> {
        self.0.device()
    }

    fn description(&self) -> Option<String> {
        None
    }

    fn on_withdraw(&self, session: SessionHandle) {
        self.0.on_withdraw(Arc::new(SimSession(session)));
    }
}

struct SimSession(SessionHandle);

impl EndSession for SimSession {
    fn finish(&self) {
        self.0.finish();
    }

    fn abort(&self) {
        self.0.abort();
    }
}
