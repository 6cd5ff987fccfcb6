//! Where jobs and clients meet: the pool as the control plane sees it, with clients that act around each change and
//! an oracle that notes what was changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ashlar_control::Stores;
use ashlar_engine::Pool;
use ashlar_engine::simulated::SimulatedDisk;
use ashlar_types::{InstanceId, RandomSource, Region, SeededRandom};
use ashlar_volume::{
    Attempt, BlockDevice, ChangeExtent, ChangeQuery, ContentName, DamageReport, ErrorKind, Extent, HeirMark,
    Heirs, SnapshotInfo, StoreUsage, VolumeError, VolumeId, VolumeInfo, VolumeSnapshotId, VolumeStore,
    ZeroMode,
};
use parking_lot::Mutex;

use crate::client::{Client, Command};
use crate::digest::Digest;
use crate::lies::Lies;
use crate::oracle::{Content, Tag, World, block_bytes, tag_of};

/// What the protocol answers for a block that is not what was written.
const EIO: u32 = 5;
/// What it answers of a medium that failed, is full, or goes away.
const DOCUMENTED: [u32; 3] = [EIO, 28, 108];

/// The blocks that clients touch: the beginning, and the border of two leaves.
const SPOTS: [(u64, u64); 2] = [(0, 24), (8190, 4)];

/// A connection of one of the machines that have a disk.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) instance: InstanceId,
    pub(crate) client: Client,
}

/// What the whole world shares.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) random: SeededRandom,
    pub(crate) digest: Digest,
    pub(crate) world: World,
    /// What the pool may hold instead, because a change was cut off in the middle.
    pub(crate) alternative: Option<World>,
    /// The connections to each attached disk.
    pub(crate) clients: BTreeMap<VolumeId, Vec<Connection>>,
    /// The first thing that was wrong.
    pub(crate) failure: Option<String>,
    pub(crate) requests: u64,
    /// How the medium lies in this life of the server.
    pub(crate) lies: Lies,
    /// What the world was before the call in which the medium lied about metadata.
    pub(crate) before_lie: Option<World>,
    /// Why an operator stops the server: an answer to a client after a lie about metadata.
    pub(crate) broken: Option<String>,
    /// The damaged blocks that clients have met: what they held, and where.
    damaged_met: BTreeSet<(Tag, u64)>,
    next_tag: Tag,
}

impl Shared {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: SeededRandom::new(seed),
            digest: Digest::new(),
            world: World::default(),
            alternative: None,
            clients: BTreeMap::new(),
            failure: None,
            requests: 0,
            lies: Lies::default(),
            before_lie: None,
            broken: None,
            damaged_met: BTreeSet::new(),
            next_tag: 0,
        }
    }

    /// A value that nothing has had yet.
    pub(crate) fn new_tag(&mut self) -> Tag {
        self.next_tag += 1;
        self.next_tag
    }

    /// A life of the server begins. Nothing is damaged yet.
    pub(crate) fn begin_lies(&mut self, lies: Lies) {
        self.lies = lies;
        self.before_lie = None;
        self.broken = None;
        self.damaged_met.clear();
    }

    /// Something may be written now: keeps the world as it is, as long as the medium has not lied about metadata.
    pub(crate) fn note_before_lie(&mut self) {
        if self.lies.metadata.is_some() && self.lies.told_of_metadata().is_none() {
            self.before_lie = Some(self.world.clone());
        }
    }

    /// The worlds that the pool may hold after a power cut.
    pub(crate) fn candidates(&self) -> Vec<World> {
        let mut candidates = vec![self.world.clone()];
        if let Some(mut alternative) = self.alternative.clone() {
            candidates[0].touch_like(&alternative);
            alternative.touch_like(&self.world);
            candidates.push(alternative);
        }
        candidates
    }

    /// An errno of a client's request after a lie about metadata; `false` if there was no lie, or it is not documented.
    fn is_errno_of_lie(&mut self, what: &str, error: u32) -> bool {
        let is_of_lie = DOCUMENTED.contains(&error) && self.lies.told_of_metadata().is_some();
        if is_of_lie {
            self.broken.get_or_insert_with(|| format!("{what}: errno {error}"));
        }
        is_of_lie
    }

    /// A client could not read a block. A value lies in one place, whoever shows it, so what was met twice counts once.
    fn meet_damage(&mut self, name: &VolumeId, block: u64) -> Result<(), String> {
        let wanted = content(&mut self.world, name)?.current(block);
        self.damaged_met.insert((wanted, block));
        let (met, most) = (self.damaged_met.len() as u64, self.lies.damaged_max());
        if met > most {
            return Err(format!("block {block} is an error: {met} damaged blocks, {most} are possible"));
        }
        Ok(())
    }

    pub(crate) fn fail(&mut self, failure: String) {
        self.failure.get_or_insert(failure);
    }

    /// One thing that a client of some attached disk does.
    pub(crate) fn traffic(&mut self, disk: &SimulatedDisk) {
        let count = self.clients.len() as u64;
        if count == 0 || disk.is_off() || self.broken.is_some() {
            return;
        }
        self.note_before_lie();
        let chosen = self.random.below(count) as usize;
        let Some(name) = self.clients.keys().nth(chosen).cloned() else { return };
        let Some(mut connections) = self.clients.remove(&name) else { return };
        let at = self.random.below(connections.len() as u64) as usize;
        if let Some(connection) = connections.get_mut(at)
            && let Err(failure) = self.act(disk, &name, &mut connection.client)
        {
            self.fail(format!("{name}: {failure}"));
        }
        self.clients.insert(name, connections);
    }

    fn act(&mut self, disk: &SimulatedDisk, name: &VolumeId, client: &mut Client) -> Result<(), String> {
        self.requests += 1;
        let (start, length) = SPOTS[self.random.below(2) as usize];
        let block = start + self.random.below(length);
        let blocks = 1 + self.random.below(4.min(start + length - block));
        let text = |error: std::io::Error| format!("the session failed: {error}");
        let error = match self.random.below(20) {
            0..9 => {
                let durable = self.random.below(6) == 0;
                let mut writes = Vec::new();
                for at in block..block + blocks {
                    self.next_tag += 1;
                    writes.push((at, block_bytes(self.next_tag)));
                }
                let errors = client.write(&writes, durable).map_err(text)?;
                let first = self.next_tag + 1 - writes.len() as u64;
                self.digest
                    .line(format!("{name} write {block}+{blocks} from {first} fua {durable}: {errors:?}"));
                let content = content(&mut self.world, name)?;
                for (at, error) in errors.iter().enumerate() {
                    content.write(block + at as u64, first + at as u64);
                    if durable && *error == 0 {
                        content.settle(block + at as u64);
                    }
                }
                errors.into_iter().max().unwrap_or(0)
            }
            9..12 => {
                let error = client.call(Command::Flush, 0, 0).map_err(text)?;
                self.digest.line(format!("{name} flush: {error}"));
                if error == 0 {
                    content(&mut self.world, name)?.flush();
                }
                error
            }
            12..15 => {
                let command = if self.random.below(2) == 0 { Command::Trim } else { Command::WriteZeroes };
                let error = client.call(command, block, blocks).map_err(text)?;
                self.digest.line(format!("{name} {command:?} {block}+{blocks}: {error}"));
                let content = content(&mut self.world, name)?;
                (block..block + blocks).for_each(|at| content.write(at, 0));
                error
            }
            _ => match client.read(block).map_err(text)? {
                Ok(bytes) => {
                    let seen = tag_of(&bytes);
                    self.digest.line(format!("{name} read {block}: {seen:?}"));
                    let wanted = content(&mut self.world, name)?.current(block);
                    if seen != Some(wanted) {
                        return Err(format!("block {block} shows {seen:?} instead of {wanted}"));
                    }
                    0
                }
                Err(EIO) if !disk.is_off() => {
                    self.digest.line(format!("{name} read {block}: damaged"));
                    if self.is_errno_of_lie("read", EIO) {
                        return Ok(());
                    }
                    self.meet_damage(name, block)?;
                    0
                }
                Err(error) => error,
            },
        };
        if error == 0 || disk.is_off() || self.is_errno_of_lie("request", error) {
            Ok(())
        } else {
            Err(format!("errno {error} while nothing is wrong"))
        }
    }
}

fn content<'a>(world: &'a mut World, name: &VolumeId) -> Result<&'a mut Content, String> {
    world.volumes.get_mut(name).ok_or_else(|| format!("{name} is attached but not in the pool"))
}

/// The name and the bytes of a file of the database.
type RecordFile = (String, Vec<u8>);

/// The state of the records when the power failed.
#[derive(Debug)]
pub(crate) struct Records {
    /// Where the database lies.
    directory: PathBuf,
    /// Its copy of the moment of the power cut; it is taken once.
    kept: Mutex<Option<Vec<RecordFile>>>,
}

impl Records {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory, kept: Mutex::default() }
    }

    /// Keeps the database as it is now, between two transactions, unless it was kept already.
    pub(crate) fn keep(&self) -> std::io::Result<()> {
        let mut kept = self.kept.lock();
        if kept.is_some() {
            return Ok(());
        }
        let mut files = Vec::new();
        for name in ["control.db", "control.db-wal"] {
            let path = self.directory.join(name);
            if path.exists() {
                files.push((name.to_owned(), std::fs::read(path)?));
            }
        }
        *kept = Some(files);
        Ok(())
    }

    /// Puts what was kept in place of whatever happened to the database since, in another directory.
    pub(crate) fn restore(&self, into: &Path) -> std::io::Result<()> {
        self.keep()?;
        for (name, bytes) in self.kept.lock().take().unwrap_or_default() {
            std::fs::write(into.join(name), bytes)?;
        }
        Ok(())
    }
}

/// The pool, with traffic around every change.
pub(crate) struct SimStore {
    pub(crate) pool: Arc<Pool>,
    pub(crate) disk: SimulatedDisk,
    pub(crate) shared: Arc<Mutex<Shared>>,
    pub(crate) records: Arc<Records>,
}

impl SimStore {
    /// A change of names: acknowledged, it holds; cut off, it may or may not.
    fn change(
        &self,
        what: String,
        call: impl FnOnce(&Pool) -> Result<(), VolumeError>,
        effect: impl FnOnce(&mut World),
    ) -> Result<(), VolumeError> {
        let mut shared = self.shared.lock();
        for _ in 0..shared.random.below(3) {
            shared.traffic(&self.disk);
        }
        if self.disk.is_off() {
            return self.gone();
        }
        shared.note_before_lie();
        let result = call(&self.pool);
        let shown = result.as_ref().map_err(VolumeError::kind);
        shared.digest.line(format!("{what}: {shown:?}"));
        let mut after = shared.world.clone();
        if result.is_ok() {
            effect(&mut after);
            shared.world = after;
        } else if self.disk.is_off() || shared.lies.told_of_metadata().is_some() {
            effect(&mut after);
            shared.alternative = Some(after);
        }
        for _ in 0..shared.random.below(2) {
            shared.traffic(&self.disk);
        }
        if self.disk.is_off() { self.gone() } else { result }
    }

    /// The machine has lost power: whatever the control plane still writes never was.
    fn gone(&self) -> Result<(), VolumeError> {
        self.records.keep().map_err(|error| VolumeError::io("keep the records", error))?;
        Err(VolumeError::new(ErrorKind::Io, "the power is off"))
    }
}

/// One pool for every region.
pub(crate) struct SimStores {
    pub(crate) region: Region,
    pub(crate) store: Arc<SimStore>,
}

impl Stores for SimStores {
    fn store(&self, _region: &Region) -> Result<Arc<dyn VolumeStore>, VolumeError> {
        Ok(Arc::clone(&self.store) as Arc<dyn VolumeStore>)
    }

    fn encryption_key(&self) -> Option<String> {
        Some("kms-simulate".to_owned())
    }

    fn open_stores(&self) -> Vec<(Region, Arc<dyn VolumeStore>)> {
        vec![(self.region.clone(), Arc::clone(&self.store) as Arc<dyn VolumeStore>)]
    }
}

impl VolumeStore for SimStore {
    fn create_volume(&self, volume: &VolumeId, size_bytes: u64) -> Result<(), VolumeError> {
        // Whether a volume is encrypted makes no difference to anybody above the pool.
        let is_encrypted = self.shared.lock().random.below(3) == 0;
        self.change(
            format!("create {volume}, encrypted {is_encrypted}"),
            |pool| match is_encrypted {
                true => pool.create_encrypted_volume(volume, size_bytes),
                false => pool.create_volume(volume, size_bytes),
            },
            |world| drop(world.volumes.insert(volume.clone(), Content::new(size_bytes))),
        )
    }

    fn create_encrypted_volume(&self, volume: &VolumeId, size_bytes: u64) -> Result<(), VolumeError> {
        self.change(
            format!("create {volume}, encrypted"),
            |pool| pool.create_encrypted_volume(volume, size_bytes),
            |world| drop(world.volumes.insert(volume.clone(), Content::new(size_bytes))),
        )
    }

    fn clone_volume(
        &self,
        volume: &VolumeId,
        from: &VolumeSnapshotId,
        size_bytes: u64,
    ) -> Result<(), VolumeError> {
        self.change(
            format!("clone {from} as {volume}"),
            |pool| pool.clone_volume(volume, from, size_bytes),
            |world| {
                if let Some(origin) = world.snapshots.get(from) {
                    world.volumes.insert(volume.clone(), origin.grown(size_bytes));
                }
            },
        )
    }

    fn resize_volume(&self, volume: &VolumeId, size_bytes: u64) -> Result<(), VolumeError> {
        self.change(
            format!("resize {volume} to {size_bytes}"),
            |pool| pool.resize_volume(volume, size_bytes),
            |world| {
                if let Some(content) = world.volumes.get_mut(volume) {
                    content.size_bytes = size_bytes;
                }
            },
        )
    }

    fn delete_volume(&self, volume: &VolumeId) -> Result<(), VolumeError> {
        self.change(
            format!("delete {volume}"),
            |pool| pool.delete_volume(volume),
            |world| drop(world.volumes.remove(volume)),
        )
    }

    fn create_snapshots(&self, snapshots: &[(VolumeId, VolumeSnapshotId)]) -> Result<(), VolumeError> {
        self.change(
            format!("snapshot {snapshots:?}"),
            |pool| pool.create_snapshots(snapshots),
            |world| {
                for (volume, snapshot) in snapshots {
                    if let Some(content) = world.volumes.get_mut(volume) {
                        content.flush();
                        let frozen = content.frozen();
                        world.snapshots.insert(snapshot.clone(), frozen);
                    }
                }
            },
        )
    }

    fn rename_snapshot(&self, snapshot: &VolumeSnapshotId, to: &VolumeSnapshotId) -> Result<(), VolumeError> {
        self.change(
            format!("rename {snapshot} to {to}"),
            |pool| pool.rename_snapshot(snapshot, to),
            |world| {
                if let Some(content) = world.snapshots.remove(snapshot) {
                    world.snapshots.insert(to.clone(), content);
                }
            },
        )
    }

    fn delete_snapshot(&self, snapshot: &VolumeSnapshotId) -> Result<(), VolumeError> {
        self.change(
            format!("delete {snapshot}"),
            |pool| pool.delete_snapshot(snapshot),
            |world| drop(world.snapshots.remove(snapshot)),
        )
    }

    fn roll_back_volumes(&self, targets: &[(VolumeId, VolumeSnapshotId)]) -> Result<(), VolumeError> {
        self.change(
            format!("roll back {targets:?}"),
            |pool| pool.roll_back_volumes(targets),
            |world| {
                for (volume, snapshot) in targets {
                    if let (Some(content), Some(to)) =
                        (world.volumes.get_mut(volume), world.snapshots.get(snapshot))
                    {
                        *content = to.grown(content.size_bytes);
                    }
                }
            },
        )
    }

    fn clear_volume(&self, volume: &VolumeId) -> Result<(), VolumeError> {
        self.change(
            format!("clear {volume}"),
            |pool| pool.clear_volume(volume),
            |world| {
                if let Some(content) = world.volumes.get_mut(volume) {
                    *content = Content::new(content.size_bytes);
                }
            },
        )
    }

    fn open_volume(&self, volume: &VolumeId) -> Result<Arc<dyn BlockDevice>, VolumeError> {
        let inner = self.pool.open_volume(volume)?;
        Ok(Arc::new(Watched { inner, disk: self.disk.clone(), records: Arc::clone(&self.records) }))
    }

    fn open_snapshot(&self, snapshot: &VolumeSnapshotId) -> Result<Arc<dyn BlockDevice>, VolumeError> {
        self.pool.open_snapshot(snapshot)
    }

    fn volume(&self, volume: &VolumeId) -> Result<VolumeInfo, VolumeError> {
        self.pool.volume(volume)
    }

    fn snapshot(&self, snapshot: &VolumeSnapshotId) -> Result<SnapshotInfo, VolumeError> {
        self.pool.snapshot(snapshot)
    }

    fn ancestors(&self, of: &ContentName) -> Result<Vec<VolumeSnapshotId>, VolumeError> {
        self.pool.ancestors(of)
    }

    fn changes(&self, query: &ChangeQuery) -> Result<Vec<ChangeExtent>, VolumeError> {
        self.pool.changes(query)
    }

    fn volumes(&self) -> Result<Vec<VolumeId>, VolumeError> {
        self.pool.volumes()
    }

    fn snapshots(&self) -> Result<Vec<VolumeSnapshotId>, VolumeError> {
        self.pool.snapshots()
    }

    fn heirs(&self, since: HeirMark) -> Result<Heirs, VolumeError> {
        self.pool.heirs(since)
    }

    fn usage(&self) -> Result<StoreUsage, VolumeError> {
        self.pool.usage()
    }

    fn damage(&self) -> Result<DamageReport, VolumeError> {
        self.pool.damage()
    }
}

/// An open device. A call in which the power fails is the moment at which the records are kept.
struct Watched {
    inner: Arc<dyn BlockDevice>,
    disk: SimulatedDisk,
    records: Arc<Records>,
}

impl Watched {
    fn watch<T>(&self, result: Result<T, VolumeError>) -> Result<T, VolumeError> {
        if self.disk.is_off() {
            self.records.keep().map_err(|error| VolumeError::io("keep the records", error))?;
        }
        result
    }
}

impl BlockDevice for Watched {
    fn size_bytes(&self) -> u64 {
        self.inner.size_bytes()
    }

    fn is_read_only(&self) -> bool {
        self.inner.is_read_only()
    }

    fn read(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), VolumeError> {
        self.watch(self.inner.read(offset_bytes, buffer))
    }

    fn try_read(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<Attempt, VolumeError> {
        self.watch(self.inner.try_read(offset_bytes, buffer))
    }

    fn write(&self, offset_bytes: u64, data: &[u8]) -> Result<(), VolumeError> {
        self.watch(self.inner.write(offset_bytes, data))
    }

    fn flush(&self) -> Result<(), VolumeError> {
        self.watch(self.inner.flush())
    }

    fn discard(&self, offset_bytes: u64, length_bytes: u64) -> Result<(), VolumeError> {
        self.watch(self.inner.discard(offset_bytes, length_bytes))
    }

    fn write_zeroes(&self, offset_bytes: u64, length_bytes: u64, mode: ZeroMode) -> Result<(), VolumeError> {
        self.watch(self.inner.write_zeroes(offset_bytes, length_bytes, mode))
    }

    fn extents(
        &self,
        offset_bytes: u64,
        length_bytes: u64,
        extents_max: usize,
    ) -> Result<Vec<Extent>, VolumeError> {
        self.watch(self.inner.extents(offset_bytes, length_bytes, extents_max))
    }
}
