//! The calls that control makes: each changes the catalog in memory and the pending delta, then commits.

use std::collections::BTreeSet;
use std::sync::Arc;

use ashlar_volume::{
    BLOCK_BYTES, BlockDevice, ChangeExtent, ChangeQuery, ContentName, DamageReport, ErrorKind, HeirMark,
    Heirs, SnapshotInfo, StoreUsage, VolumeError, VolumeId, VolumeInfo, VolumeSnapshotId, VolumeStore,
};

use crate::catalog::{Base, Catalog, OpenEntry};
use crate::device::{DeviceName, PoolDevice};
use crate::format::{DataKeyId, NameRecord, VOLUME_BYTES_MAX};
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
        self.core.destroy_freed_keys()?;
        self.core.wake.ring();
        Ok(result)
    }

    /// Runs `change` with a new key; where it refuses, the key goes again.
    fn with_new_key(
        &self,
        change: impl FnOnce(DataKeyId) -> Result<(), VolumeError>,
    ) -> Result<(), VolumeError> {
        self.core.latch.check()?;
        let key = self.core.keys.create().inspect_err(|error| self.latch_unless_harmless(error))?;
        change(key).inspect_err(|error| {
            // After an error of the commit the change may be durable: the next opening knows whether it is.
            if self.core.latch.check().is_ok()
                && let Err(error) = self.core.keys.destroy(&[key])
            {
                self.core.latch.set(&error);
            }
            tracing::debug!(%error, "a new data key was not needed");
        })
    }

    fn latch_unless_harmless(&self, error: &VolumeError) {
        if error.kind() == ErrorKind::Io {
            self.core.latch.set(error);
        }
    }

    fn open_layers(
        &self,
        name: &dyn std::fmt::Display,
        is_read_only: bool,
        record: NameRecord,
        catalog: &Catalog,
    ) -> Result<Arc<OpenVolume>, VolumeError> {
        let cipher = catalog.data_key(record.layer).map(|key| self.core.keys.cipher(key)).transpose()?;
        let chain = catalog.chain(record.layer);
        let core = Arc::clone(&self.core);
        Ok(OpenVolume::new(core, name.to_string(), is_read_only, record.size_bytes, chain, cipher))
    }

    fn create_volume(
        &self,
        volume: &VolumeId,
        size_bytes: u64,
        data_key: Option<DataKeyId>,
    ) -> Result<(), VolumeError> {
        check_size(size_bytes)?;
        self.change(|catalog, state| {
            check_volume_is_free(catalog, volume)?;
            let layer = catalog.add_layer(state, Base::Nothing { data_key });
            catalog.put_volume(state, volume, Some(NameRecord { size_bytes, layer }));
            Ok(())
        })
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
        self.inner.create_volume(volume, size_bytes, None)
    }

    fn create_encrypted_volume(&self, volume: &VolumeId, size_bytes: u64) -> Result<(), VolumeError> {
        check_size(size_bytes)?;
        check_volume_is_free(&self.inner.catalog.lock(), volume)?;
        self.inner.with_new_key(|key| self.inner.create_volume(volume, size_bytes, Some(key)))
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
            let layer = catalog.add_layer(state, Base::Layer(origin.layer));
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
            catalog.unname(state, old.layer);
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
                let layer = catalog.add_layer(&mut state, Base::Layer(frozen.layer));
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
            catalog.unname(state, old.layer);
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
                if catalog.data_key(origin.layer).is_some() != catalog.data_key(old.layer).is_some() {
                    return Err(VolumeError::new(
                        ErrorKind::InvalidArgument,
                        format!("one of snapshot `{to}` and volume `{volume}` is encrypted and the other is not"),
                    ));
                }
                catalog.check_volume_not_open(volume)?;
                records.push((volume, old, origin.layer));
            }
            for (volume, old, parent) in records {
                catalog.replace_top(state, volume, old, Base::Layer(parent));
            }
            Ok(())
        })
    }

    fn clear_volume(&self, volume: &VolumeId) -> Result<(), VolumeError> {
        let is_encrypted = {
            let catalog = self.inner.catalog.lock();
            let layer = catalog.volume(volume)?.layer;
            catalog.check_volume_not_open(volume)?;
            catalog.data_key(layer).is_some()
        };
        let clear = |data_key: Option<DataKeyId>| {
            self.inner.change(|catalog, state| {
                let old = catalog.volume(volume)?;
                catalog.check_volume_not_open(volume)?;
                if catalog.data_key(old.layer).is_some() != is_encrypted {
                    let context = format!("volume `{volume}` was replaced by another one meanwhile");
                    return Err(VolumeError::new(ErrorKind::InUse, context));
                }
                catalog.replace_top(state, volume, old, Base::Nothing { data_key });
                Ok(())
            })
        };
        // A new key: the old one goes as soon as no snapshot needs it.
        if is_encrypted { self.inner.with_new_key(|key| clear(Some(key))) } else { clear(None) }
    }

    fn open_volume(&self, volume: &VolumeId) -> Result<Arc<dyn BlockDevice>, VolumeError> {
        let mut catalog = self.inner.catalog.lock();
        let record = catalog.volume(volume)?;
        if !catalog.open_volumes.contains_key(volume) {
            let opened = self.inner.open_layers(volume, false, record, &catalog)?;
            catalog.open_volumes.insert(volume.clone(), OpenEntry { volume: opened, count: 0 });
        }
        let Some(entry) = catalog.open_volumes.get_mut(volume) else {
            return Err(VolumeError::new(ErrorKind::NotFound, format!("volume `{volume}` vanished")));
        };
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
        if !catalog.open_snapshots.contains_key(snapshot) {
            let opened = self.inner.open_layers(snapshot, true, record, &catalog)?;
            catalog.open_snapshots.insert(snapshot.clone(), OpenEntry { volume: opened, count: 0 });
        }
        let Some(entry) = catalog.open_snapshots.get_mut(snapshot) else {
            return Err(VolumeError::new(ErrorKind::NotFound, format!("snapshot `{snapshot}` vanished")));
        };
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
            is_encrypted: catalog.data_key(record.layer).is_some(),
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
            is_encrypted: catalog.data_key(record.layer).is_some(),
        })
    }

    fn ancestors(&self, of: &ContentName) -> Result<Vec<VolumeSnapshotId>, VolumeError> {
        self.inner.ancestors(of)
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

    fn heirs(&self, since: HeirMark) -> Result<Heirs, VolumeError> {
        let catalog = self.inner.catalog.lock();
        Ok(catalog.heirs(&self.inner.core.state.read(), since))
    }

    fn usage(&self) -> Result<StoreUsage, VolumeError> {
        let used_blocks: u64 = self.inner.core.state.read().held_blocks.values().sum();
        Ok(StoreUsage {
            used_bytes: used_blocks * BLOCK_BYTES,
            available_bytes: self.inner.core.space.available_bytes()?,
            capacity_bytes: self.inner.core.space.capacity_bytes()?,
        })
    }

    fn damage(&self) -> Result<DamageReport, VolumeError> {
        self.inner.damage_report()
    }
}
