//! The calls that control makes: each changes the catalog in memory and the pending delta, then commits.

use std::collections::BTreeSet;
use std::sync::Arc;

use ashlar_volume::{
    BLOCK_BYTES, BlockDevice, ChangeExtent, ChangeQuery, ErrorKind, SnapshotInfo, StoreUsage, VolumeError,
    VolumeId, VolumeInfo, VolumeSnapshotId, VolumeStore,
};

use crate::catalog::{Catalog, OpenEntry};
use crate::device::{DeviceName, PoolDevice};
use crate::format::{NameRecord, VOLUME_BYTES_MAX};
use crate::pool::{Inner, Pool};
use crate::state::State;
use crate::volume::OpenVolume;

impl Inner {
    /// Runs `change` on the catalog and the pending delta, then makes it durable. Where it refuses, it must have
    /// changed nothing.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut Catalog, &mut State) -> Result<T, VolumeError>,
    ) -> Result<T, VolumeError> {
        self.core.latch.check()?;
        let result = {
            let mut catalog = self.catalog.lock();
            catalog.check_open()?;
            change(&mut catalog, &mut self.core.state.write())?
        };
        self.core.commit()?;
        self.core.wake.ring();
        Ok(result)
    }

    /// A device is gone.
    pub(crate) fn release_device(&self, name: &DeviceName) {
        let mut catalog = self.catalog.lock();
        match name {
            DeviceName::Volume(name) => release(&mut catalog.open_volumes, name),
            DeviceName::Snapshot(name) => release(&mut catalog.open_snapshots, name),
        }
    }
}

fn release<K: std::hash::Hash + Eq>(open: &mut std::collections::HashMap<K, OpenEntry>, name: &K) {
    if let Some(entry) = open.get_mut(name) {
        entry.count -= 1;
        if entry.count == 0 {
            open.remove(name);
        }
    }
}

fn check_size(size_bytes: u64) -> Result<(), VolumeError> {
    if size_bytes >= BLOCK_BYTES && size_bytes.is_multiple_of(BLOCK_BYTES) && size_bytes <= VOLUME_BYTES_MAX {
        return Ok(());
    }
    Err(VolumeError::new(
        ErrorKind::InvalidArgument,
        format!(
            "size_bytes {size_bytes}: expected a multiple of {BLOCK_BYTES} from {BLOCK_BYTES} to {VOLUME_BYTES_MAX}"
        ),
    ))
}

/// `InvalidArgument` for a name given twice in one call.
fn check_once<'a>(kind: &str, names: impl Iterator<Item = &'a str>) -> Result<(), VolumeError> {
    let mut seen = BTreeSet::new();
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

fn check_volume_is_free(catalog: &Catalog, volume: &VolumeId) -> Result<(), VolumeError> {
    if catalog.volumes.contains_key(volume) {
        return Err(VolumeError::new(
            ErrorKind::AlreadyExists,
            format!("there is a volume `{volume}` already"),
        ));
    }
    Ok(())
}

impl VolumeStore for Pool {
    fn create_volume(&self, volume: &VolumeId, size_bytes: u64) -> Result<(), VolumeError> {
        check_size(size_bytes)?;
        self.inner.change(|catalog, state| {
            check_volume_is_free(catalog, volume)?;
            let layer = catalog.add_layer(state, None);
            catalog.put_volume(state, volume, Some(NameRecord { size_bytes, layer }));
            Ok(())
        })
    }

    fn clone_volume(
        &self,
        volume: &VolumeId,
        from: &VolumeSnapshotId,
        size_bytes: u64,
    ) -> Result<(), VolumeError> {
        check_size(size_bytes)?;
        self.inner.change(|catalog, state| {
            let origin = catalog.snapshot(from)?;
            check_volume_is_free(catalog, volume)?;
            if size_bytes < origin.size_bytes {
                return Err(VolumeError::new(
                    ErrorKind::InvalidArgument,
                    format!(
                        "size_bytes {size_bytes}: snapshot `{from}` has {}, which is the least",
                        origin.size_bytes
                    ),
                ));
            }
            let layer = catalog.add_layer(state, Some(origin.layer));
            catalog.put_volume(state, volume, Some(NameRecord { size_bytes, layer }));
            Ok(())
        })
    }

    fn resize_volume(&self, volume: &VolumeId, size_bytes: u64) -> Result<(), VolumeError> {
        check_size(size_bytes)?;
        let open = self.inner.change(|catalog, state| {
            let old = catalog.volume(volume)?;
            if size_bytes < old.size_bytes {
                return Err(VolumeError::new(
                    ErrorKind::InvalidArgument,
                    format!(
                        "size_bytes {size_bytes}: volume `{volume}` has {} and cannot shrink",
                        old.size_bytes
                    ),
                ));
            }
            if size_bytes > old.size_bytes {
                catalog.put_volume(state, volume, Some(NameRecord { size_bytes, ..old }));
            }
            Ok(catalog.open_volumes.get(volume).map(|open| Arc::clone(&open.volume)))
        })?;
        // Devices see the new size when it is durable: their users act on it at once.
        if let Some(open) = open {
            open.grow(size_bytes);
        }
        Ok(())
    }

    fn delete_volume(&self, volume: &VolumeId) -> Result<(), VolumeError> {
        self.inner.change(|catalog, state| {
            let old = catalog.volume(volume)?;
            catalog.check_volume_not_open(volume)?;
            catalog.put_volume(state, volume, None);
            catalog.unname(old.layer);
            Ok(())
        })
    }

    fn create_snapshots(&self, snapshots: &[(VolumeId, VolumeSnapshotId)]) -> Result<(), VolumeError> {
        check_once("volume", snapshots.iter().map(|(volume, _)| volume.as_str()))?;
        check_once("snapshot", snapshots.iter().map(|(_, snapshot)| snapshot.as_str()))?;
        let inner = &self.inner;
        inner.core.latch.check()?;
        {
            let mut catalog = inner.catalog.lock();
            catalog.check_open()?;
            let mut frozen = Vec::with_capacity(snapshots.len());
            for (volume, snapshot) in snapshots {
                frozen.push(catalog.volume(volume)?);
                catalog.check_snapshot_is_free(snapshot)?;
            }
            let open = |(volume, _): &(VolumeId, _)| {
                catalog.open_volumes.get(volume).map(|open| Arc::clone(&open.volume))
            };
            let open: Vec<_> = snapshots.iter().map(open).collect();
            // From here on no call is under way on any of them: this is their common moment. Only who has the
            // catalog holds more than one volume, so two such calls cannot wait for each other.
            let mut held: Vec<_> = open.iter().map(|open| open.as_ref().map(|open| open.hold())).collect();
            let mut state = inner.core.state.write();
            for (((volume, snapshot), frozen), held) in snapshots.iter().zip(frozen).zip(&mut held) {
                let layer = catalog.add_layer(&mut state, Some(frozen.layer));
                catalog.put_snapshot(&mut state, snapshot, Some(frozen));
                catalog.put_volume(&mut state, volume, Some(NameRecord { layer, ..frozen }));
                if let Some(held) = held {
                    held.push_layer(layer);
                }
            }
        }
        inner.core.commit()
    }

    fn rename_snapshot(&self, snapshot: &VolumeSnapshotId, to: &VolumeSnapshotId) -> Result<(), VolumeError> {
        self.inner.change(|catalog, state| {
            let record = catalog.snapshot(snapshot)?;
            catalog.check_snapshot_not_open(snapshot)?;
            catalog.check_snapshot_is_free(to)?;
            catalog.put_snapshot(state, snapshot, None);
            catalog.put_snapshot(state, to, Some(record));
            Ok(())
        })
    }

    fn delete_snapshot(&self, snapshot: &VolumeSnapshotId) -> Result<(), VolumeError> {
        self.inner.change(|catalog, state| {
            let old = catalog.snapshot(snapshot)?;
            catalog.check_snapshot_not_open(snapshot)?;
            catalog.put_snapshot(state, snapshot, None);
            catalog.unname(old.layer);
            Ok(())
        })
    }

    fn roll_back_volumes(&self, targets: &[(VolumeId, VolumeSnapshotId)]) -> Result<(), VolumeError> {
        check_once("volume", targets.iter().map(|(volume, _)| volume.as_str()))?;
        self.inner.change(|catalog, state| {
            let mut records = Vec::with_capacity(targets.len());
            for (volume, to) in targets {
                let (old, origin) = (catalog.volume(volume)?, catalog.snapshot(to)?);
                if origin.size_bytes > old.size_bytes {
                    return Err(VolumeError::new(
                        ErrorKind::InvalidArgument,
                        format!(
                            "snapshot `{to}` has {} bytes, volume `{volume}` only {}: enlarge the volume first",
                            origin.size_bytes, old.size_bytes
                        ),
                    ));
                }
                catalog.check_volume_not_open(volume)?;
                records.push((volume, old, origin.layer));
            }
            for (volume, old, parent) in records {
                catalog.replace_top(state, volume, old, Some(parent));
            }
            Ok(())
        })
    }

    fn clear_volume(&self, volume: &VolumeId) -> Result<(), VolumeError> {
        self.inner.change(|catalog, state| {
            let old = catalog.volume(volume)?;
            catalog.check_volume_not_open(volume)?;
            catalog.replace_top(state, volume, old, None);
            Ok(())
        })
    }

    fn open_volume(&self, volume: &VolumeId) -> Result<Arc<dyn BlockDevice>, VolumeError> {
        let mut catalog = self.inner.catalog.lock();
        let record = catalog.volume(volume)?;
        let chain = catalog.chain(record.layer);
        let core = &self.inner.core;
        let entry = catalog.open_volumes.entry(volume.clone()).or_insert_with(|| OpenEntry {
            volume: OpenVolume::new(Arc::clone(core), volume.to_string(), false, record.size_bytes, chain),
            count: 0,
        });
        entry.count += 1;
        let opened = Arc::clone(&entry.volume);
        if catalog.is_closed {
            opened.close();
        }
        Ok(Arc::new(PoolDevice::new(Arc::clone(&self.inner), opened, DeviceName::Volume(volume.clone()))))
    }

    fn open_snapshot(&self, snapshot: &VolumeSnapshotId) -> Result<Arc<dyn BlockDevice>, VolumeError> {
        let mut catalog = self.inner.catalog.lock();
        let record = catalog.snapshot(snapshot)?;
        let chain = catalog.chain(record.layer);
        let core = &self.inner.core;
        let entry = catalog.open_snapshots.entry(snapshot.clone()).or_insert_with(|| OpenEntry {
            volume: OpenVolume::new(Arc::clone(core), snapshot.to_string(), true, record.size_bytes, chain),
            count: 0,
        });
        entry.count += 1;
        let opened = Arc::clone(&entry.volume);
        Ok(Arc::new(PoolDevice::new(Arc::clone(&self.inner), opened, DeviceName::Snapshot(snapshot.clone()))))
    }

    fn volume(&self, volume: &VolumeId) -> Result<VolumeInfo, VolumeError> {
        let catalog = self.inner.catalog.lock();
        let record = catalog.volume(volume)?;
        let held_blocks = self.inner.core.state.read().held_blocks(record.layer);
        Ok(VolumeInfo {
            size_bytes: record.size_bytes,
            exclusive_bytes: held_blocks * BLOCK_BYTES,
            open_count: catalog.open_volumes.get(volume).map_or(0, |open| open.count),
        })
    }

    fn snapshot(&self, snapshot: &VolumeSnapshotId) -> Result<SnapshotInfo, VolumeError> {
        let catalog = self.inner.catalog.lock();
        let record = catalog.snapshot(snapshot)?;
        let held_blocks = self.inner.core.state.read().held_blocks(record.layer);
        Ok(SnapshotInfo {
            size_bytes: record.size_bytes,
            held_bytes: held_blocks * BLOCK_BYTES,
            open_count: catalog.open_snapshots.get(snapshot).map_or(0, |open| open.count),
        })
    }

    fn changes(&self, query: &ChangeQuery) -> Result<Vec<ChangeExtent>, VolumeError> {
        self.inner.changes(query)
    }

    fn volumes(&self) -> Result<Vec<VolumeId>, VolumeError> {
        Ok(self.inner.catalog.lock().volumes.keys().cloned().collect())
    }

    fn snapshots(&self) -> Result<Vec<VolumeSnapshotId>, VolumeError> {
        Ok(self.inner.catalog.lock().snapshots.keys().cloned().collect())
    }

    fn usage(&self) -> Result<StoreUsage, VolumeError> {
        let used_blocks: u64 = self.inner.core.state.read().held_blocks.values().sum();
        Ok(StoreUsage {
            used_bytes: used_blocks * BLOCK_BYTES,
            available_bytes: self.inner.core.space.available_bytes()?,
        })
    }
}
