//! A whole store in memory: the oracle that every real store is compared with, and a real store for tests
//! that need one without files.
//!
//! It is slow and obvious on purpose. A volume is a map from block number to block; a snapshot is a copy
//! of that map. Blocks are shared by reference count, and the count alone says who owns what.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{
    BLOCK_BYTES, BlockDevice, ChangeExtent, ChangeQuery, ContentName, ErrorKind, SnapshotInfo, StoreUsage,
    VolumeError, VolumeId, VolumeInfo, VolumeSnapshotId, VolumeStore,
};

mod changes;
mod content;
mod device;
#[cfg(test)]
mod tests;

use content::Content;
use device::{ModelDevice, Target};

/// What a store made by [`ModelStore::new`] can hold: 1 TiB.
const DEFAULT_CAPACITY_BYTES: u64 = 1 << 40;

/// A [`VolumeStore`] in memory. Clones are handles of the same store. Nothing survives the last one.
///
/// Space comes back at once, so [`VolumeStore::usage`] is exact at any time.
#[derive(Clone)]
pub struct ModelStore {
    state: Arc<Mutex<State>>,
}

/// All volumes and snapshots. One lock over everything: every call is atomic.
struct State {
    volumes: BTreeMap<VolumeId, Volume>,
    snapshots: BTreeMap<VolumeSnapshotId, Snapshot>,
    /// Each block holds one clone, so its count is the number of blocks in the store, plus one.
    census: Arc<()>,
    capacity_blocks: u64,
    flush_count: u64,
}

struct Volume {
    size_bytes: u64,
    content: Content,
    open_count: usize,
    is_encrypted: bool,
    /// The youngest living snapshot whose content this volume started from or was frozen under.
    parent: Option<VolumeSnapshotId>,
}

struct Snapshot {
    size_bytes: u64,
    content: Content,
    open_count: usize,
    is_encrypted: bool,
    /// The living snapshot before this one in its lineage.
    parent: Option<VolumeSnapshotId>,
}

impl State {
    fn used_blocks(&self) -> u64 {
        Arc::strong_count(&self.census) as u64 - 1
    }

    fn available_blocks(&self) -> u64 {
        self.capacity_blocks.saturating_sub(self.used_blocks())
    }

    fn volume(&self, id: &VolumeId) -> Result<&Volume, VolumeError> {
        self.volumes.get(id).ok_or_else(|| not_found("volume", id.as_str()))
    }

    fn volume_mut(&mut self, id: &VolumeId) -> Result<&mut Volume, VolumeError> {
        self.volumes.get_mut(id).ok_or_else(|| not_found("volume", id.as_str()))
    }

    /// The volume, provided that no device is open on it.
    fn closed_volume_mut(&mut self, id: &VolumeId) -> Result<&mut Volume, VolumeError> {
        let volume = self.volume_mut(id)?;
        if volume.open_count > 0 {
            return Err(in_use("volume", id.as_str(), volume.open_count));
        }
        Ok(volume)
    }

    fn snapshot(&self, id: &VolumeSnapshotId) -> Result<&Snapshot, VolumeError> {
        self.snapshots.get(id).ok_or_else(|| not_found("snapshot", id.as_str()))
    }

    /// Everything that hangs on `snapshot` hangs on `parent` from now on.
    fn replace_parent(&mut self, snapshot: &VolumeSnapshotId, parent: Option<&VolumeSnapshotId>) {
        let volumes = self.volumes.values_mut().map(|volume| &mut volume.parent);
        let snapshots = self.snapshots.values_mut().map(|younger| &mut younger.parent);
        for held in volumes.chain(snapshots).filter(|held| held.as_ref() == Some(snapshot)) {
            *held = parent.cloned();
        }
    }

    fn snapshot_mut(&mut self, id: &VolumeSnapshotId) -> Result<&mut Snapshot, VolumeError> {
        self.snapshots.get_mut(id).ok_or_else(|| not_found("snapshot", id.as_str()))
    }
}

fn not_found(kind: &str, name: &str) -> VolumeError {
    VolumeError::new(ErrorKind::NotFound, format!("{kind} `{name}` does not exist"))
}

fn already_exists(kind: &str, name: &str) -> VolumeError {
    VolumeError::new(ErrorKind::AlreadyExists, format!("{kind} `{name}` exists already"))
}

fn in_use(kind: &str, name: &str, open_count: usize) -> VolumeError {
    VolumeError::new(ErrorKind::InUse, format!("{kind} `{name}` is open {open_count} times"))
}

/// `InvalidArgument` for a name given twice in one call.
fn check_once<'a>(kind: &str, names: impl Iterator<Item = &'a str>) -> Result<(), VolumeError> {
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(VolumeError::new(
                ErrorKind::InvalidArgument,
                format!("{kind} `{name}` is given twice"),
            ));
        }
    }
    Ok(())
}

fn check_size(volume: &VolumeId, size_bytes: u64) -> Result<(), VolumeError> {
    if size_bytes == 0 || !size_bytes.is_multiple_of(BLOCK_BYTES) {
        return Err(VolumeError::new(
            ErrorKind::InvalidArgument,
            format!("volume `{volume}`: size {size_bytes} is not a positive multiple of {BLOCK_BYTES} bytes"),
        ));
    }
    Ok(())
}

impl ModelStore {
    /// An empty store with room for 1 TiB of blocks.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity_bytes(DEFAULT_CAPACITY_BYTES)
    }

    /// An empty store with room for `capacity_bytes`, rounded down to whole blocks.
    #[must_use]
    pub fn with_capacity_bytes(capacity_bytes: u64) -> Self {
        let state = State {
            volumes: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            census: Arc::new(()),
            capacity_blocks: capacity_bytes / BLOCK_BYTES,
            flush_count: 0,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// How many flushes there were, of all devices.
    #[must_use]
    pub fn flush_count(&self) -> u64 {
        self.lock().flush_count
    }

    fn create(&self, volume: &VolumeId, size_bytes: u64, is_encrypted: bool) -> Result<(), VolumeError> {
        check_size(volume, size_bytes)?;
        match self.lock().volumes.entry(volume.clone()) {
            Entry::Occupied(_) => Err(already_exists("volume", volume.as_str())),
            Entry::Vacant(place) => {
                let content = Content::new();
                place.insert(Volume { size_bytes, content, open_count: 0, is_encrypted, parent: None });
                Ok(())
            }
        }
    }

    /// A panic of another thread cannot leave the state half changed in a way that matters to a test that
    /// has failed already, so poison is ignored.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ModelStore {
    fn default() -> Self {
        Self::new()
    }
}

impl VolumeStore for ModelStore {
    fn create_volume(&self, volume: &VolumeId, size_bytes: u64) -> Result<(), VolumeError> {
        self.create(volume, size_bytes, false)
    }

    /// Nothing is stored outside of memory, so there is nothing to encrypt; all else holds.
    fn create_encrypted_volume(&self, volume: &VolumeId, size_bytes: u64) -> Result<(), VolumeError> {
        self.create(volume, size_bytes, true)
    }

    fn clone_volume(
        &self,
        volume: &VolumeId,
        from: &VolumeSnapshotId,
        size_bytes: u64,
    ) -> Result<(), VolumeError> {
        check_size(volume, size_bytes)?;
        let mut state = self.lock();
        let snapshot = state.snapshot(from)?;
        if size_bytes < snapshot.size_bytes {
            return Err(VolumeError::new(
                ErrorKind::InvalidArgument,
                format!(
                    "volume `{volume}`: size {size_bytes} is smaller than snapshot `{from}` of {} bytes",
                    snapshot.size_bytes
                ),
            ));
        }
        let (content, is_encrypted) = (snapshot.content.clone(), snapshot.is_encrypted);
        match state.volumes.entry(volume.clone()) {
            Entry::Occupied(_) => Err(already_exists("volume", volume.as_str())),
            Entry::Vacant(place) => {
                let parent = Some(from.clone());
                place.insert(Volume { size_bytes, content, open_count: 0, is_encrypted, parent });
                Ok(())
            }
        }
    }

    fn resize_volume(&self, volume: &VolumeId, size_bytes: u64) -> Result<(), VolumeError> {
        check_size(volume, size_bytes)?;
        let mut state = self.lock();
        let held = state.volume_mut(volume)?;
        if size_bytes < held.size_bytes {
            return Err(VolumeError::new(
                ErrorKind::InvalidArgument,
                format!("volume `{volume}`: cannot shrink from {} to {size_bytes} bytes", held.size_bytes),
            ));
        }
        held.size_bytes = size_bytes;
        Ok(())
    }

    fn delete_volume(&self, volume: &VolumeId) -> Result<(), VolumeError> {
        let mut state = self.lock();
        state.closed_volume_mut(volume)?;
        state.volumes.remove(volume);
        Ok(())
    }

    fn create_snapshots(&self, snapshots: &[(VolumeId, VolumeSnapshotId)]) -> Result<(), VolumeError> {
        check_once("volume", snapshots.iter().map(|(volume, _)| volume.as_str()))?;
        check_once("snapshot", snapshots.iter().map(|(_, snapshot)| snapshot.as_str()))?;
        let mut state = self.lock();
        for (volume, snapshot) in snapshots {
            state.volume(volume)?;
            if state.snapshots.contains_key(snapshot) {
                return Err(already_exists("snapshot", snapshot.as_str()));
            }
        }
        for (volume, snapshot) in snapshots {
            let source = state.volume(volume)?;
            let frozen = Snapshot {
                size_bytes: source.size_bytes,
                content: source.content.clone(),
                open_count: 0,
                is_encrypted: source.is_encrypted,
                parent: source.parent.clone(),
            };
            state.snapshots.insert(snapshot.clone(), frozen);
            state.volume_mut(volume)?.parent = Some(snapshot.clone());
        }
        Ok(())
    }

    fn rename_snapshot(&self, snapshot: &VolumeSnapshotId, to: &VolumeSnapshotId) -> Result<(), VolumeError> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let held = state.snapshot(snapshot)?;
        if held.open_count > 0 {
            return Err(in_use("snapshot", snapshot.as_str(), held.open_count));
        }
        if state.snapshots.contains_key(to) {
            return Err(already_exists("snapshot", to.as_str()));
        }
        if let Some(held) = state.snapshots.remove(snapshot) {
            state.snapshots.insert(to.clone(), held);
        }
        state.replace_parent(snapshot, Some(to));
        Ok(())
    }

    fn delete_snapshot(&self, snapshot: &VolumeSnapshotId) -> Result<(), VolumeError> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let held = state.snapshot(snapshot)?;
        if held.open_count > 0 {
            return Err(in_use("snapshot", snapshot.as_str(), held.open_count));
        }
        let grandparent = held.parent.clone();
        state.snapshots.remove(snapshot);
        state.replace_parent(snapshot, grandparent.as_ref());
        Ok(())
    }

    fn roll_back_volumes(&self, targets: &[(VolumeId, VolumeSnapshotId)]) -> Result<(), VolumeError> {
        check_once("volume", targets.iter().map(|(volume, _)| volume.as_str()))?;
        let mut state = self.lock();
        for (volume, to) in targets {
            let snapshot = state.snapshot(to)?;
            let (snapshot_bytes, is_encrypted) = (snapshot.size_bytes, snapshot.is_encrypted);
            let held = state.closed_volume_mut(volume)?;
            if snapshot_bytes > held.size_bytes {
                return Err(VolumeError::new(
                    ErrorKind::InvalidArgument,
                    format!(
                        "snapshot `{to}` of {snapshot_bytes} bytes is larger than volume `{volume}` of {} bytes",
                        held.size_bytes
                    ),
                ));
            }
            if is_encrypted != held.is_encrypted {
                return Err(VolumeError::new(
                    ErrorKind::InvalidArgument,
                    format!("one of snapshot `{to}` and volume `{volume}` is encrypted and the other is not"),
                ));
            }
        }
        for (volume, to) in targets {
            let content = state.snapshot(to)?.content.clone();
            let held = state.volume_mut(volume)?;
            held.content = content;
            held.parent = Some(to.clone());
        }
        Ok(())
    }

    fn clear_volume(&self, volume: &VolumeId) -> Result<(), VolumeError> {
        let mut state = self.lock();
        let held = state.closed_volume_mut(volume)?;
        held.content = Content::new();
        held.parent = None;
        Ok(())
    }

    fn open_volume(&self, volume: &VolumeId) -> Result<Arc<dyn BlockDevice>, VolumeError> {
        self.lock().volume_mut(volume)?.open_count += 1;
        Ok(Arc::new(ModelDevice::new(self.clone(), Target::Volume(volume.clone()))))
    }

    fn open_snapshot(&self, snapshot: &VolumeSnapshotId) -> Result<Arc<dyn BlockDevice>, VolumeError> {
        self.lock().snapshot_mut(snapshot)?.open_count += 1;
        Ok(Arc::new(ModelDevice::new(self.clone(), Target::Snapshot(snapshot.clone()))))
    }

    fn volume(&self, volume: &VolumeId) -> Result<VolumeInfo, VolumeError> {
        let state = self.lock();
        let held = state.volume(volume)?;
        Ok(VolumeInfo {
            size_bytes: held.size_bytes,
            exclusive_bytes: held.content.unshared_blocks() * BLOCK_BYTES,
            open_count: held.open_count,
            is_encrypted: held.is_encrypted,
        })
    }

    fn snapshot(&self, snapshot: &VolumeSnapshotId) -> Result<SnapshotInfo, VolumeError> {
        let state = self.lock();
        let held = state.snapshot(snapshot)?;
        let parent = held.parent.as_ref().and_then(|parent| state.snapshots.get(parent));
        Ok(SnapshotInfo {
            size_bytes: held.size_bytes,
            held_bytes: held.content.blocks_not_in(parent.map(|parent| &parent.content)) * BLOCK_BYTES,
            open_count: held.open_count,
            is_encrypted: held.is_encrypted,
        })
    }

    fn ancestors(&self, of: &ContentName) -> Result<Vec<VolumeSnapshotId>, VolumeError> {
        self.lock().ancestors(of)
    }

    fn changes(&self, query: &ChangeQuery) -> Result<Vec<ChangeExtent>, VolumeError> {
        self.lock().changes(query)
    }

    fn volumes(&self) -> Result<Vec<VolumeId>, VolumeError> {
        Ok(self.lock().volumes.keys().cloned().collect())
    }

    fn snapshots(&self) -> Result<Vec<VolumeSnapshotId>, VolumeError> {
        Ok(self.lock().snapshots.keys().cloned().collect())
    }

    fn usage(&self) -> Result<StoreUsage, VolumeError> {
        let state = self.lock();
        Ok(StoreUsage {
            used_bytes: state.used_blocks() * BLOCK_BYTES,
            available_bytes: state.available_blocks() * BLOCK_BYTES,
            capacity_bytes: state.capacity_blocks * BLOCK_BYTES,
        })
    }
}
