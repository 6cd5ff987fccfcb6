//! `ashlar serve`: puts the parts together, waits for a signal, takes them apart in order.
//!
//! The order of starting: addresses, pools and records, exports and unfinished jobs, then the doors open. The
//! order of stopping is the other way round, so that nothing is called that is gone already.

mod encryption;
mod greeting;
mod listeners;
pub(crate) mod nbd;
pub(crate) mod reconcilers;
mod room;
mod tls;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ashlar_api::{Gateway, GatewayConfig};
use ashlar_attach::ExportTable;
use ashlar_control::{Control, ControlError, ControlParts, FirstKey, pool_expectation};
use ashlar_db::Db;
use ashlar_types::{Clock, Region};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::access::ControlKeys;
use crate::admin::listener::Administrator;
use crate::cli::ServeFlags;
use crate::clock::{SteadyPace, SystemClock, TestClock};
use crate::config::{Environment, Settings};
use crate::data_dir::{AdminEnv, DataDir};
use crate::exports::NbdExports;
use crate::failure::Failure;
use crate::pools::Pools;
use crate::random::OsRandom;
use crate::scrub::Scrubber;
use crate::serve::encryption::Encryption;
use crate::serve::listeners::{Listeners, nbd_addresses};
use crate::serve::nbd::NbdServer;
use crate::serve::reconcilers::Reconcilers;
use crate::serve::tls::Tls;
use crate::service::Service;
use crate::stop::{Signals, StopSender};
use crate::unix_socket::SocketFile;
use crate::{admin, http, logging, output, stop};

/// Threads of the runtime. Calls wait for the disk and the database on threads of their own.
const WORKER_THREADS: usize = 2;

/// Threads that may wait for a pool at the same time.
const BLOCKING_THREADS_MAX: usize = 32;

/// No code of ours recurses; the deepest stack is that of decoding a request. Builds that are not optimized have frames
/// many times as large: there CreateSnapshot of a backup point needs more than a mebibyte.
const THREAD_STACK_BYTES: usize = if cfg!(debug_assertions) { 8 << 20 } else { 1 << 20 };

/// How long calls under way may take after a signal.
const CALLS_TIMEOUT: Duration = Duration::from_secs(4);

/// How long NBD requests under way may take after a signal.
const NBD_TIMEOUT: Duration = Duration::from_secs(2);

/// When a stop that hangs is cut short. What was flushed or answered is durable whichever way the process ends.
const STOP_TIMEOUT: Duration = Duration::from_secs(9);

/// Runs a server until it is told to stop.
pub(crate) fn run(flags: ServeFlags, environment: Environment<'_>) -> Result<(), Failure> {
    let settings = Settings::load(flags, environment)?;
    let tls = Tls::read(&settings)?;
    let nbd = nbd_addresses(&settings.nbd_listen, tls.nbd.is_some())?;
    let data_dir = DataDir::create_or_lock(&settings.data_dir)?;
    let listeners = Listeners::bind(&settings, nbd, &data_dir)?;
    if settings.test_clock {
        listeners.refuse_other_machines("--test-clock")?;
    }
    logging::start(settings.json_log, settings.log.clone())?;
    raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_stack_size(THREAD_STACK_BYTES)
        .enable_all()
        .build()
        .map_err(|error| Failure::internal("cannot start the runtime", error))?;
    let result = runtime.block_on(serve(settings, tls, data_dir, listeners));
    // A thread that still waits for a broken disk must not hold up the end.
    runtime.shutdown_timeout(Duration::from_millis(200));
    result
}

/// Every connection takes descriptors, and shells hand out 1,024 of them by default.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "cannot raise the limit of open files; connections may be refused");
    }
}

async fn serve(settings: Settings, tls: Tls, data_dir: DataDir, listeners: Listeners) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let running = tokio::select! {
        running = Running::start(settings, tls, &data_dir, listeners) => running?,
        // Nothing was let in yet, and what was begun is as after a crash: sound.
        signal = signals.next() => {
            tracing::info!(signal, "stopped before it was ready");
            return Ok(());
        }
    };
    let signal = signals.next().await;
    tracing::info!(signal, "stopping");
    tokio::select! {
        stopped = timeout(STOP_TIMEOUT, running.stop()) => {
            stopped.unwrap_or_else(|_| stop_at_once("the stop took too long: cut short"))
        }
        signal = signals.next() => stop_at_once(&format!("a second {signal}: stopped at once")),
    }
}

/// Ends the process as a crash would: whatever holds the stop up must not be waited for, not even to drop it.
fn stop_at_once(why: &str) -> ! {
    let failure = Failure::refused(why);
    output::failure(&failure);
    std::process::exit(failure.exit_code().into());
}

/// A server whose doors are open.
struct Running {
    stop: StopSender,
    doors: JoinSet<()>,
    nbd: NbdServer,
    control: Control,
    pools: Arc<Pools>,
    _socket_files: Vec<SocketFile>,
}

impl Running {
    async fn start(
        settings: Settings,
        tls: Tls,
        data_dir: &DataDir,
        listeners: Listeners,
    ) -> Result<Self, Failure> {
        let random = Arc::new(OsRandom::open()?);
        let pool_options = settings.pool_options();
        let encryption = Arc::new(Encryption::load(settings.master_key, data_dir, random.clone())?);
        let keys = Arc::clone(&encryption.keys);
        let pools = Arc::new(Pools::new(data_dir.pools(), pool_options, settings.faults.clone(), keys));
        open_present_pools(&pools, data_dir, &encryption).await?;
        let first_master_key = encryption.make_first_key();
        let limits = settings.control.limits.clone();
        let exports = match settings.control.enforce_performance {
            true => ExportTable::with_limits(Arc::new(SteadyPace::new())),
            false => ExportTable::new(),
        };
        let test_clock = settings.test_clock.then(|| Arc::new(TestClock::default()));
        let clock: Arc<dyn Clock> = match &test_clock {
            Some(clock) => clock.clone(),
            None => Arc::new(SystemClock),
        };
        let db = Db::open(&data_dir.database())
            .await
            .map_err(|error| Failure::internal("cannot open the records", error))?;
        refuse_missing_pools(&db, data_dir).await?;
        let control = Control::new(ControlParts {
            db,
            stores: pools.clone(),
            exports: Arc::new(exports.clone()),
            clock: clock.clone(),
            random: random.clone(),
            settings: settings.control,
            // The data directory is locked: whoever had its lease before is gone.
            server_name: "local".to_owned(),
        });
        let first = control.ensure_first_records().await.map_err(start_failed)?;
        let regions: BTreeSet<Region> = control.regions().await.map_err(start_failed)?.into_iter().collect();
        let default_region = known_region(settings.default_region, &regions)?;
        write_admin_env(data_dir, &first, &default_region, &listeners.endpoint)?;
        control.start().await.map_err(start_failed)?;

        let config = GatewayConfig { regions, default_region, rate_limits: settings.rate_limits };
        let reconcilers = Reconcilers::new(control.clone(), clock);
        // Signatures and rates go by the system's clock whatever the rules go by: clients sign with theirs.
        let keys = ControlKeys(control.clone());
        let gateway = Arc::new(Gateway::new(
            Service::new(control.clone()),
            keys,
            config,
            Arc::new(SystemClock),
            random,
        ));
        let Listeners { api, endpoint, nbd, admin, socket_files } = listeners;
        let (nbd_text, nbd_uri) = (nbd.to_text(), nbd.example_uri());
        let (stop, stopped) = stop::channel();
        let scrubber = Scrubber::new(pools.clone(), control.clone(), Arc::new(SystemClock), stopped.clone());
        let permissions = settings.nbd_tls.map(|tls| tls.permissions).unwrap_or_default();
        let exports = NbdExports { table: exports, permissions, faults: settings.faults };
        let nbd = NbdServer::start(exports, tls.nbd, settings.nbd_limits, nbd)?;
        let administrator = Administrator {
            nbd: nbd.connections(),
            control: control.clone(),
            account: first.account.uin,
            reconcilers: reconcilers.clone(),
            test_clock,
            rotation: Arc::new(encryption.rotation(data_dir, &pools)),
            pools: pools.clone(),
            scrubber: scrubber.clone(),
            limits: limits.clone(),
        };
        let mut doors = JoinSet::new();
        let proxies = settings.trusted_proxies;
        doors.spawn(http::serve(async_tcp(api)?, tls.api, proxies, gateway, stopped.clone()));
        doors.spawn(admin::listener::run(async_unix(admin)?, administrator, stopped.clone()));
        doors.spawn(room::watch(Arc::clone(&pools), limits, stopped.clone()));
        doors.spawn(reconcilers.run(stopped));
        doors.spawn(scrubber.run_scheduled(settings.scrub));

        tracing::info!(endpoint, nbd = nbd_text, data_dir = %data_dir.path().display(), "ready");
        output::line(&greeting::ready(&endpoint, &nbd_text));
        if first.created {
            greeting::first_steps(data_dir.path(), &nbd_uri).iter().for_each(|line| output::line(line));
        }
        first_master_key.iter().flatten().for_each(|line| output::line(line));
        Ok(Self { stop, doors, nbd, control, pools, _socket_files: socket_files })
    }

    /// Closes the doors, lets what is under way finish, and closes records and pools.
    async fn stop(mut self) -> Result<(), Failure> {
        self.stop.stop();
        let doors = async { while self.doors.join_next().await.is_some() {} };
        if timeout(CALLS_TIMEOUT, doors).await.is_err() {
            tracing::warn!("calls that did not end in time are cut off; their jobs go on at the next start");
            self.doors.abort_all();
        }
        self.nbd.stop(NBD_TIMEOUT).await;
        self.control.shutdown().await;
        let pools = self.pools.clone();
        match tokio::task::spawn_blocking(move || pools.close()).await {
            Ok(Ok(())) => {
                tracing::info!("stopped");
                Ok(())
            }
            Ok(Err(error)) => Err(Failure::internal("a pool did not close cleanly", error)),
            Err(error) => Err(Failure::internal("a pool did not close", error)),
        }
    }
}

/// Recovers the pools that are there, so that the first call does not wait for it.
async fn open_present_pools(
    pools: &Arc<Pools>,
    data_dir: &DataDir,
    encryption: &Arc<Encryption>,
) -> Result<(), Failure> {
    let regions = data_dir.pool_regions()?;
    let (pools, encryption) = (Arc::clone(pools), Arc::clone(encryption));
    let opened = tokio::task::spawn_blocking(move || {
        regions.iter().try_for_each(|region| {
            pools.pool(region).map(drop).map_err(|error| encryption.refusal(region, error))
        })
    });
    opened.await.unwrap_or_else(|error| Err(Failure::internal("opening the pools broke off", error)))
}

/// A pool that is gone must not be made anew without a word: its disks would come up empty.
async fn refuse_missing_pools(db: &Db, data_dir: &DataDir) -> Result<(), Failure> {
    let mut transaction = db.read().await.map_err(|error| start_failed(error.into()))?;
    let regions = transaction.places().regions().await.map_err(|error| start_failed(error.into()))?;
    drop(transaction);
    let present = data_dir.pool_regions()?;
    for region in regions.iter().filter(|region| !present.contains(region)) {
        let expected = pool_expectation(db, region).await.map_err(start_failed)?;
        let (disks, snapshots) = (expected.volumes.len(), expected.snapshots.len());
        if disks + snapshots > 0 {
            let pool = data_dir.pools().join(region.as_str());
            return Err(Failure::setup(format!(
                "{} is missing, with {disks} disks and {snapshots} snapshots on record: put it back; \
                 to go on without their content, make it as an empty directory",
                pool.display()
            )));
        }
    }
    Ok(())
}

fn start_failed(error: ControlError) -> Failure {
    Failure::internal("cannot start from the records", error)
}

fn known_region(wanted: Region, regions: &BTreeSet<Region>) -> Result<Region, Failure> {
    if regions.contains(&wanted) {
        return Ok(wanted);
    }
    let known: Vec<_> = regions.iter().map(Region::as_str).collect();
    Err(Failure::setup(format!(
        "default_region `{wanted}` does not exist: choose one of {}",
        known.join(", ")
    )))
}

fn write_admin_env(
    data_dir: &DataDir,
    first: &FirstKey,
    region: &Region,
    endpoint: &str,
) -> Result<(), Failure> {
    let FirstKey { key, .. } = first;
    data_dir.write_admin_env(&AdminEnv {
        secret_id: &key.secret_id,
        secret_key: &key.secret_key,
        region,
        endpoint,
    })
}

fn async_tcp(listener: std::net::TcpListener) -> Result<TcpListener, Failure> {
    let made = listener.set_nonblocking(true).and_then(|()| TcpListener::from_std(listener));
    made.map_err(|error| Failure::internal("cannot listen for API calls", error))
}

fn async_unix(listener: std::os::unix::net::UnixListener) -> Result<UnixListener, Failure> {
    let made = listener.set_nonblocking(true).and_then(|()| UnixListener::from_std(listener));
    made.map_err(|error| Failure::internal("cannot listen for administrative commands", error))
}
