//! Which volumes, snapshots and layers there are, how they hang together, and which are open.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use ashlar_volume::{ErrorKind, VolumeError, VolumeId, VolumeSnapshotId};

use crate::format::{LayerId, LayerRecord, LeafIndex, NameRecord};
use crate::map::Names;
use crate::state::State;
use crate::volume::OpenVolume;

/// The names of a pool, in memory as a whole. Changes go into the pending delta in the same breath.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    pub(crate) volumes: BTreeMap<VolumeId, NameRecord>,
    pub(crate) snapshots: BTreeMap<VolumeSnapshotId, NameRecord>,
    layers: BTreeMap<LayerId, Layer>,
    pub(crate) open_volumes: HashMap<VolumeId, OpenEntry>,
    pub(crate) open_snapshots: HashMap<VolumeSnapshotId, OpenEntry>,
    /// Layers that may have to be merged or dropped.
    pub(crate) reclaim: Reclaim,
    /// Where the search for lost space stands; `None` when it is over.
    pub(crate) scrub: Option<(LayerId, LeafIndex)>,
    pub(crate) is_closed: bool,
}

/// A layer in memory.
#[derive(Debug, Clone, Default)]
struct Layer {
    parent: Option<LayerId>,
    children: BTreeSet<LayerId>,
    /// Whether a volume or snapshot refers to it.
    is_named: bool,
}

/// An open volume or snapshot and how many devices are open on it.
#[derive(Debug)]
pub(crate) struct OpenEntry {
    pub(crate) volume: Arc<OpenVolume>,
    pub(crate) count: usize,
}

/// The state of the reclaimer. All of it can be worked out again from the layers.
#[derive(Debug, Default)]
pub(crate) struct Reclaim {
    pub(crate) candidates: BTreeSet<LayerId>,
    /// Layers that were unnamed and had one child in a state that is durable.
    pub(crate) may_merge: BTreeSet<LayerId>,
    /// Leaves of the layer before this one are done.
    pub(crate) cursor: Option<(LayerId, LeafIndex)>,
}

/// What has to be done with a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Somebody needs it as it is.
    Stay,
    /// Nobody sees it.
    Drop,
    /// Only the given layer sees it.
    MergeInto(LayerId),
}

impl Catalog {
    /// The catalog of stored names.
    pub(crate) fn new(names: Names, is_clean: bool) -> Self {
        let mut catalog = Self { volumes: names.volumes, snapshots: names.snapshots, ..Self::default() };
        for (id, record) in &names.layers {
            catalog.link(*id, record.parent);
        }
        let named: Vec<_> =
            catalog.volumes.values().chain(catalog.snapshots.values()).map(|record| record.layer).collect();
        for layer in named {
            catalog.layers.entry(layer).or_default().is_named = true;
        }
        let unnamed = catalog.layers.iter().filter(|(_, layer)| !layer.is_named).map(|(id, _)| *id);
        catalog.reclaim.candidates = unnamed.collect();
        catalog.scrub = (!is_clean).then_some((LayerId(0), LeafIndex(0)));
        catalog
    }

    fn link(&mut self, id: LayerId, parent: Option<LayerId>) {
        self.layers.entry(id).or_default().parent = parent;
        if let Some(parent) = parent {
            self.layers.entry(parent).or_default().children.insert(id);
        }
    }

    /// `Latched` after [`Pool::close`](crate::Pool::close).
    pub(crate) fn check_open(&self) -> Result<(), VolumeError> {
        if self.is_closed {
            return Err(VolumeError::new(ErrorKind::Latched, "the pool is closed"));
        }
        Ok(())
    }

    pub(crate) fn volume(&self, volume: &VolumeId) -> Result<NameRecord, VolumeError> {
        self.volumes
            .get(volume)
            .copied()
            .ok_or_else(|| VolumeError::new(ErrorKind::NotFound, format!("there is no volume `{volume}`")))
    }

    pub(crate) fn snapshot(&self, snapshot: &VolumeSnapshotId) -> Result<NameRecord, VolumeError> {
        self.snapshots.get(snapshot).copied().ok_or_else(|| {
            VolumeError::new(ErrorKind::NotFound, format!("there is no snapshot `{snapshot}`"))
        })
    }

    /// `InUse` if a device is open on the volume.
    pub(crate) fn check_volume_not_open(&self, volume: &VolumeId) -> Result<(), VolumeError> {
        match self.open_volumes.get(volume) {
            Some(open) => Err(VolumeError::new(
                ErrorKind::InUse,
                format!("{} devices are open on volume `{volume}`: close them first", open.count),
            )),
            None => Ok(()),
        }
    }

    /// `AlreadyExists` if a snapshot has the name.
    pub(crate) fn check_snapshot_is_free(&self, snapshot: &VolumeSnapshotId) -> Result<(), VolumeError> {
        if self.snapshots.contains_key(snapshot) {
            return Err(VolumeError::new(
                ErrorKind::AlreadyExists,
                format!("there is a snapshot `{snapshot}` already"),
            ));
        }
        Ok(())
    }

    /// `InUse` if a device is open on the snapshot.
    pub(crate) fn check_snapshot_not_open(&self, snapshot: &VolumeSnapshotId) -> Result<(), VolumeError> {
        match self.open_snapshots.get(snapshot) {
            Some(open) => Err(VolumeError::new(
                ErrorKind::InUse,
                format!("{} devices are open on snapshot `{snapshot}`: close them first", open.count),
            )),
            None => Ok(()),
        }
    }

    /// The layers through which `top` is seen, itself first.
    pub(crate) fn chain(&self, top: LayerId) -> Vec<LayerId> {
        std::iter::successors(Some(top), |layer| self.parent(*layer)).collect()
    }

    pub(crate) fn parent(&self, layer: LayerId) -> Option<LayerId> {
        self.layers.get(&layer).and_then(|layer| layer.parent)
    }

    /// The first layer from `from` on.
    pub(crate) fn next_layer(&self, from: LayerId) -> Option<LayerId> {
        self.layers.range(from..).next().map(|(id, _)| *id)
    }

    /// Makes a new empty layer for a name.
    pub(crate) fn add_layer(&mut self, state: &mut State, parent: Option<LayerId>) -> LayerId {
        let id = state.take_layer_id();
        self.link(id, parent);
        self.layers.entry(id).or_default().is_named = true;
        state.pending.layers.insert(id, Some(LayerRecord { parent }));
        id
    }

    /// Puts a new empty layer over `parent` under a volume; the one that it had goes.
    pub(crate) fn replace_top(
        &mut self,
        state: &mut State,
        volume: &VolumeId,
        old: NameRecord,
        parent: Option<LayerId>,
    ) {
        let layer = self.add_layer(state, parent);
        self.put_volume(state, volume, Some(NameRecord { layer, ..old }));
        self.unname(old.layer);
    }

    /// Stores what a volume is now.
    pub(crate) fn put_volume(&mut self, state: &mut State, volume: &VolumeId, record: Option<NameRecord>) {
        match record {
            Some(record) => self.volumes.insert(volume.clone(), record),
            None => self.volumes.remove(volume),
        };
        state.pending.volumes.insert(volume.clone(), record);
    }

    /// Stores what a snapshot is now.
    pub(crate) fn put_snapshot(
        &mut self,
        state: &mut State,
        snapshot: &VolumeSnapshotId,
        record: Option<NameRecord>,
    ) {
        match record {
            Some(record) => self.snapshots.insert(snapshot.clone(), record),
            None => self.snapshots.remove(snapshot),
        };
        state.pending.snapshots.insert(snapshot.clone(), record);
    }

    /// The name that referred to the layer is gone.
    pub(crate) fn unname(&mut self, layer: LayerId) {
        if let Some(layer) = self.layers.get_mut(&layer) {
            layer.is_named = false;
        }
        self.reclaim.candidates.insert(layer);
    }

    /// What has to be done with a layer.
    pub(crate) fn fate(&self, layer: LayerId) -> Fate {
        let Some(layer) = self.layers.get(&layer).filter(|layer| !layer.is_named) else { return Fate::Stay };
        match (layer.children.len(), layer.children.first()) {
            (0, _) => Fate::Drop,
            (1, Some(child)) => Fate::MergeInto(*child),
            _ => Fate::Stay,
        }
    }

    /// Deletes a layer that holds nothing any more; its children hang on its parent from now on.
    pub(crate) fn remove_layer(&mut self, state: &mut State, id: LayerId) {
        let Some(layer) = self.layers.remove(&id) else { return };
        if let Some(parent) = layer.parent {
            if let Some(parent) = self.layers.get_mut(&parent) {
                parent.children.remove(&id);
            }
            self.reclaim.candidates.insert(parent);
        }
        for child in layer.children {
            self.link(child, layer.parent);
            state.pending.layers.insert(child, Some(LayerRecord { parent: layer.parent }));
        }
        state.pending.layers.insert(id, None);
        state.held_blocks.remove(&id);
        self.reclaim.candidates.remove(&id);
        self.reclaim.may_merge.remove(&id);
    }

    /// The open volume whose top layer this is.
    pub(crate) fn open_on_top(&self, layer: LayerId) -> Option<Arc<OpenVolume>> {
        self.open_volumes
            .iter()
            .find(|(name, _)| self.volumes.get(*name).is_some_and(|record| record.layer == layer))
            .map(|(_, open)| Arc::clone(&open.volume))
    }

    /// Everything that is open.
    pub(crate) fn all_open(&self) -> impl Iterator<Item = &Arc<OpenVolume>> {
        self.open_volumes.values().chain(self.open_snapshots.values()).map(|open| &open.volume)
    }
}
