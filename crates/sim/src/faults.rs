//! One planned fault under a whole pool with an NBD client above it: what comes of it.
//!
//! A fault may cost what its kind allows, and nothing else: a request gets an errno, a start is refused with a reason. Every
//! byte that is read must be one that was written there, and as new as was promised.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ashlar_engine::simulated::{SimulatedDisk, Survival};
use ashlar_engine::{Background, Directory, FaultyDirectory, FileFaults, FileRole, Pool, PoolOptions};
use ashlar_nbd::{Exports, Lease, NbdLimits, OpenError, OpenErrorKind, Peer, Server, SessionHandle};
use ashlar_types::MIB_BYTES;
use ashlar_volume::fault::{FaultCall, FaultInjector, FaultKind, FaultPlan, FaultRule, FaultyDevice, Pause};
use ashlar_volume::{
    BLOCK_BYTES, BlockDevice, ErrorKind, VolumeError, VolumeId, VolumeSnapshotId, VolumeStore,
};

use crate::client::{Client, Command};
use crate::keys::MasterKeys;
use crate::oracle::{Tag, block_bytes, tag_of};

/// The errors that the protocol documents for a medium that failed, is full, or goes away.
const DOCUMENTED: [u32; 3] = [5, 28, 108];
/// The blocks that are used: some in each of two chunks.
const BLOCKS: [u64; 8] = [0, 1, 2, 15, 16, 17, 18, 40];
const SIZE_BYTES: u64 = MIB_BYTES;

/// Where a fault is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A file of the pool.
    File(FileRole),
    /// The device of the export.
    Device,
}

/// One cell of the matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// Where.
    pub place: Place,
    /// To which call.
    pub call: FaultCall,
    /// What happens.
    pub kind: FaultKind,
    /// To which of the calls, counted from 1; `None`: to all of them.
    pub number: Option<u64>,
}

/// What came of a fault.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How often it happened.
    pub strikes: u64,
    /// Requests and calls that were answered with an error.
    pub errors: u64,
    /// Starts that were refused.
    pub refusals: u64,
}

/// Slow calls are counted, not waited for.
#[derive(Default)]
struct Waits(AtomicU64);

impl Pause for Waits {
    fn pause(&self, _duration: Duration) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Plays a cell. The error says which byte was wrong, or what else may not be.
pub fn play(cell: Cell) -> Result<Outcome, String> {
    Run::new(cell)?.play()
}

/// Plays the first start of a pool with a fault in it: it is refused with a reason, or there is a pool. On a mended medium
/// the next start succeeds or is refused with a reason, and what was acknowledged is there.
pub fn play_first_start(cell: Cell) -> Result<Outcome, String> {
    let mut run = Run::empty(cell)?;
    let faulty = FaultyDirectory::new(Arc::new(run.disk.clone()), Arc::clone(&run.files));
    let mut is_made = false;
    if let Some(pool) = run.open(Arc::new(faulty))? {
        is_made = run.store_call(pool.create_encrypted_volume(&volume()?, SIZE_BYTES));
        run.store_call(pool.close());
    }
    run.outcome.strikes = run.files.strikes();
    let is_loud = matches!(cell.kind, FaultKind::Error | FaultKind::NoSpace | FaultKind::Slow(_));
    run.disk.restart(1, Survival::Everything);
    let Some(pool) = run.open(Arc::new(run.disk.clone()))? else {
        // What failed aloud has not spoiled anything.
        return if is_loud { Err("a medium in order is refused".to_owned()) } else { Ok(run.outcome) };
    };
    match pool.open_volume(&volume()?) {
        Err(error) if is_made && is_loud => Err(format!("the volume is lost: {error}")),
        _ => Ok(run.outcome),
    }
}

/// What a block may show.
#[derive(Debug, Clone)]
struct Values {
    /// Its value at the last acknowledged flush, then each later one, the newest last.
    all: Vec<Tag>,
    /// Where the last one begins that was acknowledged: while the pool is open nothing older may be seen.
    live: usize,
}

impl Values {
    fn new(tag: Tag) -> Self {
        Self { all: vec![tag], live: 0 }
    }

    fn push(&mut self, tag: Tag, acknowledged: bool) {
        self.all.push(tag);
        if acknowledged {
            self.live = self.all.len() - 1;
        }
    }

    fn flush(&mut self) {
        self.all.drain(..self.live);
        self.live = 0;
    }
}

/// What all blocks may show.
type Blocks = BTreeMap<u64, Values>;

struct Run {
    disk: SimulatedDisk,
    files: Arc<FileFaults>,
    devices: Arc<FaultInjector<Option<String>>>,
    blocks: Blocks,
    /// What the snapshot shows, where it was taken.
    snapshot: Option<Blocks>,
    snapshot_may_be: bool,
    next_tag: Tag,
    outcome: Outcome,
    directory: tempfile::TempDir,
}

fn options() -> PoolOptions {
    PoolOptions {
        key_wrapper: Some(Arc::new(MasterKeys::new(1))),
        journal_segment_bytes: 16 << 10,
        map_cache_bytes: 256 << 10,
        reserve_bytes: MIB_BYTES,
        background: Background::Manual,
        ..PoolOptions::default()
    }
}

fn volume() -> Result<VolumeId, String> {
    VolumeId::new("disk").map_err(|error| error.to_string())
}

fn snapshot_id() -> Result<VolumeSnapshotId, String> {
    VolumeSnapshotId::new("snap").map_err(|error| error.to_string())
}

impl Run {
    /// A medium on which nothing is.
    fn empty(cell: Cell) -> Result<Self, String> {
        Self::on(SimulatedDisk::new(1 << 40), Blocks::new(), cell)
    }

    /// A pool with a volume that was written to and closed cleanly, before anything goes wrong.
    fn new(cell: Cell) -> Result<Self, String> {
        let text = |error: VolumeError| error.to_string();
        let disk = SimulatedDisk::new(1 << 40);
        let pool = Pool::open_in(Arc::new(disk.clone()), options()).map_err(text)?;
        // What lies on the medium makes no difference to what may come of a fault.
        let is_encrypted =
            cell.place == Place::File(FileRole::Keys) || cell.number.is_some_and(|n| n % 2 == 1);
        if is_encrypted {
            pool.create_encrypted_volume(&volume()?, SIZE_BYTES).map_err(text)?;
        } else {
            pool.create_volume(&volume()?, SIZE_BYTES).map_err(text)?;
        }
        let device = pool.open_volume(&volume()?).map_err(text)?;
        let mut blocks: Blocks = BLOCKS.into_iter().map(|block| (block, Values::new(0))).collect();
        for (at, block) in BLOCKS.into_iter().enumerate().take(6) {
            let tag = at as u64 + 1;
            device.write(block * BLOCK_BYTES, &block_bytes(tag)).map_err(text)?;
            blocks.insert(block, Values::new(tag));
        }
        device.flush().map_err(text)?;
        drop(device);
        pool.close().map_err(text)?;
        drop(pool);
        Self::on(disk, blocks, cell)
    }

    fn on(disk: SimulatedDisk, blocks: Blocks, cell: Cell) -> Result<Self, String> {
        let numbers = cell.number.map_or(1..=u64::MAX, |number| number..=number);
        let (mut file_rules, mut device_rules) = (Vec::new(), Vec::new());
        match cell.place {
            Place::File(role) => file_rules.push(FaultRule::always(role, cell.call, cell.kind).at(numbers)),
            Place::Device => device_rules.push(FaultRule::always(None, cell.call, cell.kind).at(numbers)),
        }
        let seed = cell.number.unwrap_or(0);
        let pause = Arc::new(Waits::default());
        Ok(Self {
            disk,
            files: Arc::new(FaultInjector::new(FaultPlan { seed, rules: file_rules }, pause.clone())),
            devices: Arc::new(FaultInjector::new(FaultPlan { seed, rules: device_rules }, pause)),
            blocks,
            snapshot: None,
            snapshot_may_be: false,
            next_tag: 100,
            outcome: Outcome::default(),
            directory: tempfile::tempdir().map_err(|error| error.to_string())?,
        })
    }

    fn play(mut self) -> Result<Outcome, String> {
        let faulty = FaultyDirectory::new(Arc::new(self.disk.clone()), Arc::clone(&self.files));
        if let Some(pool) = self.open(Arc::new(faulty))? {
            self.use_pool(&pool)?;
            // Latched or not, what it says last must be a documented kind of error.
            self.store_call(pool.close());
        }
        self.outcome.strikes = self.files.strikes() + self.devices.strikes();
        // The same medium in order again, as after a restart on a mended machine.
        self.disk.restart(1, Survival::Everything);
        if let Some(pool) = self.open(Arc::new(self.disk.clone()))? {
            match pool.open_volume(&volume()?) {
                Ok(device) => BLOCKS
                    .into_iter()
                    .try_for_each(|block| self.verify(&*device, block, "after a restart", &self.blocks))?,
                // A key that is damaged cannot be guessed: the disk is refused, with a reason.
                Err(error) if error.kind() == ErrorKind::Corrupt => self.outcome.errors += 1,
                Err(error) => return Err(format!("reopen the volume: {error}")),
            }
            self.verify_snapshot(&pool, "after a restart")?;
        }
        Ok(self.outcome)
    }

    /// Opens the pool; a refusal must come with a reason.
    fn open(&mut self, directory: Arc<dyn Directory>) -> Result<Option<Pool>, String> {
        match catch_unwind(AssertUnwindSafe(|| Pool::open_in(directory, options()))) {
            Ok(Ok(pool)) => Ok(Some(pool)),
            Ok(Err(error)) if error.to_string().len() < 10 => {
                Err(format!("a refusal without a reason: {error}"))
            }
            Ok(Err(_)) => {
                self.outcome.refusals += 1;
                Ok(None)
            }
            Err(_) => Err("the opening panicked".to_owned()),
        }
    }

    fn use_pool(&mut self, pool: &Pool) -> Result<(), String> {
        let inner = match pool.open_volume(&volume()?) {
            Ok(inner) => inner,
            Err(_) => {
                self.outcome.errors += 1;
                return Ok(());
            }
        };
        let device = Arc::new(FaultyDevice::new(inner, "disk", Arc::clone(&self.devices)));
        let socket = self.directory.path().join("nbd.sock");
        let listener = std::os::unix::net::UnixListener::bind(&socket).map_err(|error| error.to_string())?;
        let server = Server::new(Arc::new(OneExport(device)), NbdLimits::default(), None);
        let server = server.map_err(|error| error.to_string())?;
        server.serve_unix(listener).map_err(|error| error.to_string())?;
        let text = |error: std::io::Error| format!("the session failed: {error}");
        let mut client = Client::open(&socket, "disk").map_err(text)?;
        let result = self.script(pool, &mut client);
        drop(client);
        server.shutdown(Duration::from_secs(20));
        result?;
        self.roll_back(pool)
    }

    /// Everything that a client and the control plane do to a disk, twice: with its first snapshot and after it.
    fn script(&mut self, pool: &Pool, client: &mut Client) -> Result<(), String> {
        self.read_all(client, "at first")?;
        self.write(client, &[0, 1], false)?;
        self.write(client, &[18], false)?;
        self.flush(client)?;
        self.read_all(client, "after a flush")?;
        self.discard(client, Command::Trim, 2)?;
        self.discard(client, Command::WriteZeroes, 16)?;
        self.write(client, &[40], true)?;
        self.snapshot_may_be = true;
        let frozen = self.blocks.clone();
        if self.store_call(pool.create_snapshot(&volume()?, &snapshot_id()?)) {
            self.snapshot = Some(frozen);
            // It is durable, and so is what it froze.
            self.blocks.values_mut().for_each(Values::flush);
        }
        self.write(client, &[0, 15], false)?;
        self.flush(client)?;
        self.background(pool)?;
        self.read_all(client, "after the snapshot")?;
        self.verify_snapshot(pool, "while the pool is open")?;
        self.clone_it(pool)?;
        if self.snapshot.is_some() && self.store_call(pool.delete_snapshot(&snapshot_id()?)) {
            (self.snapshot, self.snapshot_may_be) = (None, false);
        }
        self.background(pool)?;
        // Keys are made and destroyed beside it.
        let other = VolumeId::new("other").map_err(|error| error.to_string())?;
        if self.store_call(pool.create_encrypted_volume(&other, SIZE_BYTES)) {
            self.store_call(pool.delete_volume(&other));
        }
        self.write(client, &[17, 18], false)?;
        self.flush(client)?;
        self.store_call(pool.resize_volume(&volume()?, SIZE_BYTES + MIB_BYTES));
        self.scrub(pool)?;
        if pool.rewrap_keys().is_err() {
            self.outcome.errors += 1;
        }
        self.read_all(client, "at last")
    }

    /// A copy of the snapshot shows what the snapshot shows, as long as there is one.
    fn clone_it(&mut self, pool: &Pool) -> Result<(), String> {
        let clone = VolumeId::new("clone").map_err(|error| error.to_string())?;
        let Some(content) = self.snapshot.clone() else { return Ok(()) };
        if !self.store_call(pool.clone_volume(&clone, &snapshot_id()?, SIZE_BYTES)) {
            return Ok(());
        }
        if let Ok(device) = pool.open_volume(&clone) {
            for block in BLOCKS {
                self.verify(&*device, block, "in a clone", &content)?;
            }
        }
        self.store_call(pool.delete_volume(&clone));
        Ok(())
    }

    /// Reads everything. What a scrub cannot read it tells, and goes on, or it ends with an error.
    fn scrub(&mut self, pool: &Pool) -> Result<(), String> {
        let scrubbed = catch_unwind(AssertUnwindSafe(|| {
            let mut scrub = pool.scrub(&[])?;
            while scrub.step()? {}
            Ok::<_, VolumeError>(scrub.progress().damaged_blocks)
        }));
        match scrubbed {
            Ok(Ok(damaged_blocks)) => self.outcome.errors += damaged_blocks,
            Ok(Err(_)) => self.outcome.errors += 1,
            Err(_) => return Err("the scrub panicked".to_owned()),
        }
        Ok(())
    }

    /// Takes a snapshot, changes blocks, and goes back: every block shows what it showed, or what it was changed to where the
    /// way back failed.
    fn roll_back(&mut self, pool: &Pool) -> Result<(), String> {
        let back = VolumeSnapshotId::new("back").map_err(|error| error.to_string())?;
        if !self.store_call(pool.create_snapshot(&volume()?, &back)) {
            return Ok(());
        }
        self.blocks.values_mut().for_each(Values::flush);
        let before: Vec<(u64, Vec<Tag>)> =
            self.blocks.iter().map(|(block, values)| (*block, values.all[values.live..].to_vec())).collect();
        if let Ok(device) = pool.open_volume(&volume()?) {
            for block in [0, 16] {
                self.next_tag += 1;
                let result = device.write(block * BLOCK_BYTES, &block_bytes(self.next_tag));
                let is_done = self.store_call(result);
                self.note(block, self.next_tag, is_done);
            }
        }
        let is_done = self.store_call(pool.roll_back(&volume()?, &back));
        for (block, tags) in before {
            let Some(values) = self.blocks.get_mut(&block) else { continue };
            if is_done {
                *values = Values { all: tags, live: 0 };
            } else {
                values.all.splice(0..0, tags);
                values.live = 0;
            }
        }
        if let Ok(device) = pool.open_volume(&volume()?) {
            for block in BLOCKS {
                self.verify(&*device, block, "after the way back", &self.blocks)?;
            }
        }
        Ok(())
    }

    /// Whether a call of the store succeeded. One that failed may have happened or not; nothing is asked of it again.
    fn store_call(&mut self, result: Result<(), VolumeError>) -> bool {
        if result.is_err() {
            self.outcome.errors += 1;
        }
        result.is_ok()
    }

    fn background(&mut self, pool: &Pool) -> Result<(), String> {
        for _ in 0..100 {
            match catch_unwind(AssertUnwindSafe(|| pool.run_background_step())) {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => return Ok(()),
                Ok(Err(_)) => {
                    self.outcome.errors += 1;
                    return Ok(());
                }
                Err(_) => return Err("the background panicked".to_owned()),
            }
        }
        Ok(())
    }

    /// Notes an answer; anything but success and a documented error is wrong.
    fn answer(&mut self, what: &str, errno: u32) -> Result<bool, String> {
        if errno != 0 {
            self.outcome.errors += 1;
        }
        if errno == 0 || DOCUMENTED.contains(&errno) {
            Ok(errno == 0)
        } else {
            Err(format!("{what}: errno {errno} is not documented"))
        }
    }

    fn write(&mut self, client: &mut Client, blocks: &[u64], durable: bool) -> Result<(), String> {
        let mut writes = Vec::new();
        for block in blocks {
            self.next_tag += 1;
            writes.push((*block, block_bytes(self.next_tag)));
        }
        let errors = client.write(&writes, durable).map_err(|error| format!("write: {error}"))?;
        for (at, (block, errno)) in blocks.iter().zip(errors).enumerate() {
            let tag = self.next_tag + 1 - blocks.len() as u64 + at as u64;
            let is_done = self.answer("write", errno)?;
            self.note(*block, tag, is_done);
            if durable && is_done {
                self.settle(*block);
            }
        }
        Ok(())
    }

    fn discard(&mut self, client: &mut Client, command: Command, block: u64) -> Result<(), String> {
        let errno = client.call(command, block, 1).map_err(|error| format!("{command:?}: {error}"))?;
        let is_done = self.answer("discard", errno)?;
        self.note(block, 0, is_done);
        Ok(())
    }

    fn note(&mut self, block: u64, tag: Tag, is_done: bool) {
        if let Some(values) = self.blocks.get_mut(&block) {
            values.push(tag, is_done);
        }
    }

    fn settle(&mut self, block: u64) {
        if let Some(values) = self.blocks.get_mut(&block) {
            values.flush();
        }
    }

    fn flush(&mut self, client: &mut Client) -> Result<(), String> {
        let errno = client.call(Command::Flush, 0, 0).map_err(|error| format!("flush: {error}"))?;
        if self.answer("flush", errno)? {
            self.blocks.values_mut().for_each(Values::flush);
        }
        Ok(())
    }

    fn read_all(&mut self, client: &mut Client, when: &str) -> Result<(), String> {
        for block in BLOCKS {
            match client.read(block).map_err(|error| format!("read: {error}"))? {
                Ok(bytes) => check(&self.blocks, block, &bytes, when, true)?,
                Err(errno) => drop(self.answer("read", errno)?),
            }
        }
        Ok(())
    }

    fn verify(
        &self,
        device: &dyn BlockDevice,
        block: u64,
        when: &str,
        wanted: &Blocks,
    ) -> Result<(), String> {
        let mut bytes = vec![0; BLOCK_BYTES as usize];
        match device.read(block * BLOCK_BYTES, &mut bytes) {
            Ok(()) => check(wanted, block, &bytes, when, false),
            Err(_) => Ok(()),
        }
    }

    fn verify_snapshot(&self, pool: &Pool, when: &str) -> Result<(), String> {
        match (pool.open_snapshot(&snapshot_id()?), &self.snapshot) {
            (Ok(device), Some(content)) => {
                BLOCKS.into_iter().try_for_each(|block| self.verify(&*device, block, when, content))
            }
            (Ok(_), None) if !self.snapshot_may_be => Err(format!("{when}: a deleted snapshot is there")),
            (Err(error), Some(_)) if error.kind() == ErrorKind::NotFound && self.snapshot_is_firm() => {
                Err(format!("{when}: the snapshot is lost"))
            }
            _ => Ok(()),
        }
    }

    /// Whether the snapshot was acknowledged and no deletion of it was tried.
    fn snapshot_is_firm(&self) -> bool {
        self.outcome.errors == 0
    }
}

/// The bytes must be one of the values that the block may have; `is_live`: in the pool that answered the writes.
fn check(wanted: &Blocks, block: u64, bytes: &[u8], when: &str, is_live: bool) -> Result<(), String> {
    let values = wanted.get(&block).ok_or_else(|| format!("block {block} is not used"))?;
    let possible = if is_live { &values.all[values.live..] } else { &values.all[..] };
    match tag_of(bytes) {
        Some(tag) if possible.contains(&tag) => Ok(()),
        seen => Err(format!("{when} block {block} shows {seen:?}, possible: {possible:?}: silent damage")),
    }
}

/// An NBD server's exports that are one device.
struct OneExport(Arc<FaultyDevice>);

impl Exports for OneExport {
    fn open(&self, name: &str, _peer: &Peer) -> Result<Box<dyn Lease>, OpenError> {
        match name {
            "disk" => Ok(Box::new(OneLease(Arc::clone(&self.0)))),
            _ => Err(OpenError::new(OpenErrorKind::NotFound, "there is only `disk`")),
        }
    }

    fn list(&self, _peer: &Peer) -> Vec<String> {
        vec!["disk".to_owned()]
    }
}

struct OneLease(Arc<FaultyDevice>);

impl Lease for OneLease {
    fn device(&self) -> Arc<dyn BlockDevice> {
        Arc::clone(&self.0) as Arc<dyn BlockDevice>
    }

    fn description(&self) -> Option<String> {
        None
    }

    fn on_withdraw(&self, _session: SessionHandle) {}
}
