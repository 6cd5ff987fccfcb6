//! Which volumes, snapshots and layers there are, how they hang together, and which are open.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use ashlar_volume::{BLOCK_BYTES, ErrorKind, HeirMark, Heirs, VolumeError, VolumeId, VolumeSnapshotId};

use crate::format::{DataKeyId, LayerId, LayerRecord, LeafIndex, NameRecord};
use crate::map::Names;
use crate::state::State;
use crate::volume::OpenVolume;

/// The mark of a pool that has just been opened: later than the default, which asks for everything.
const FIRST_MARK: HeirMark = HeirMark(1);

/// The names of a pool, in memory as a whole. Changes go into the pending delta in the same breath.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    pub(crate) volumes: BTreeMap<VolumeId, NameRecord>,
    pub(crate) snapshots: BTreeMap<VolumeSnapshotId, NameRecord>,
    layers: BTreeMap<LayerId, Layer>,
    /// How many named layers need each key. A layer's ancestors have its key too, so what is counted here is all that
    /// will ever be read again.
    key_users: BTreeMap<DataKeyId, u64>,
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
    data_key: Option<DataKeyId>,
}

/// A layer, as seen from outside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LayerView {
    pub(crate) id: LayerId,
    pub(crate) parent: Option<LayerId>,
    pub(crate) is_named: bool,
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
    /// Layers merged or dropped since the pool was opened.
    pub(crate) layers_done: u64,
    /// When each layer last took blocks of one that was merged into it.
    took_blocks: BTreeMap<LayerId, HeirMark>,
    /// The latest of these moments.
    last_mark: HeirMark,
}

/// What a new layer lies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    /// A layer, whose lineage it joins.
    Layer(LayerId),
    /// Nothing: it begins a lineage.
    Nothing {
        /// What the lineage is encrypted with, if it is.
        data_key: Option<DataKeyId>,
    },
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
            catalog.layers.entry(*id).or_default().data_key = record.data_key;
        }
        let named: Vec<_> =
            catalog.volumes.values().chain(catalog.snapshots.values()).map(|record| record.layer).collect();
        for id in named {
            let layer = catalog.layers.entry(id).or_default();
            layer.is_named = true;
            if let Some(key) = layer.data_key {
                *catalog.key_users.entry(key).or_default() += 1;
            }
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

    /// All layers, from old to new.
    pub(crate) fn layer_ids(&self) -> impl Iterator<Item = LayerId> {
        self.layers.keys().copied()
    }

    /// What people know a layer by.
    pub(crate) fn layer_name(&self, layer: LayerId) -> String {
        let volume = self.volumes.iter().find(|(_, record)| record.layer == layer);
        let snapshot = self.snapshots.iter().find(|(_, record)| record.layer == layer);
        let name = volume.map(|(name, _)| name.to_string());
        name.or_else(|| snapshot.map(|(name, _)| name.to_string()))
            .unwrap_or_else(|| format!("layer {}", layer.0))
    }

    /// Makes a new empty layer for a name, on top of another one or as the first of a lineage.
    pub(crate) fn add_layer(&mut self, state: &mut State, base: Base) -> LayerId {
        let (parent, data_key) = match base {
            Base::Layer(parent) => (Some(parent), self.data_key(parent)),
            Base::Nothing { data_key } => (None, data_key),
        };
        let id = state.take_layer_id();
        self.link(id, parent);
        let layer = self.layers.entry(id).or_default();
        layer.is_named = true;
        layer.data_key = data_key;
        if let Some(key) = data_key {
            *self.key_users.entry(key).or_default() += 1;
        }
        state.pending.layers.insert(id, Some(LayerRecord { parent, data_key }));
        id
    }

    /// Puts a new empty layer under a volume; the one that it had goes.
    pub(crate) fn replace_top(&mut self, state: &mut State, volume: &VolumeId, old: NameRecord, base: Base) {
        let layer = self.add_layer(state, base);
        self.put_volume(state, volume, Some(NameRecord { layer, ..old }));
        self.unname(state, old.layer);
    }

    /// All layers, parents before their children.
    pub(crate) fn layer_views(&self) -> impl Iterator<Item = LayerView> {
        self.layers.iter().map(|(id, layer)| LayerView {
            id: *id,
            parent: layer.parent,
            is_named: layer.is_named,
        })
    }

    /// Layers that wait to be merged or dropped.
    pub(crate) fn layers_to_reclaim(&self) -> impl Iterator<Item = LayerId> {
        self.layers.keys().copied().filter(|layer| self.fate(*layer) != Fate::Stay)
    }

    /// What a layer's blocks are encrypted with.
    pub(crate) fn data_key(&self, layer: LayerId) -> Option<DataKeyId> {
        self.layers.get(&layer).and_then(|layer| layer.data_key)
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

    /// The name that referred to the layer is gone; with the last one of a lineage goes its key.
    pub(crate) fn unname(&mut self, state: &mut State, id: LayerId) {
        if let Some(layer) = self.layers.get_mut(&id) {
            layer.is_named = false;
            if let Some(key) = layer.data_key
                && let Some(users) = self.key_users.get_mut(&key)
            {
                *users -= 1;
                if *users == 0 {
                    self.key_users.remove(&key);
                    state.pending.freed_keys.push(key);
                }
            }
        }
        self.reclaim.candidates.insert(id);
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
            let record = LayerRecord { parent: layer.parent, data_key: self.data_key(child) };
            state.pending.layers.insert(child, Some(record));
        }
        state.pending.layers.insert(id, None);
        state.held_blocks.remove(&id);
        self.reclaim.layers_done += 1;
        self.reclaim.candidates.remove(&id);
        self.reclaim.may_merge.remove(&id);
        self.reclaim.took_blocks.remove(&id);
    }

    /// Notes that a layer has taken blocks of one that is being merged into it.
    pub(crate) fn note_heir(&mut self, layer: LayerId) {
        self.reclaim.last_mark = HeirMark(self.reclaim.last_mark.max(FIRST_MARK).0 + 1);
        self.reclaim.took_blocks.insert(layer, self.reclaim.last_mark);
    }

    /// The snapshots whose layers took blocks since then, and what they hold.
    pub(crate) fn heirs(&self, state: &State, since: HeirMark) -> Heirs {
        let mark = self.reclaim.last_mark.max(FIRST_MARK);
        if since >= mark {
            return Heirs { mark, held_bytes: BTreeMap::new() };
        }
        let took = |layer| self.reclaim.took_blocks.get(layer).is_some_and(|taken| *taken > since);
        let heirs = self.snapshots.iter().filter(|(_, record)| since < FIRST_MARK || took(&record.layer));
        let held = |(name, record): (&VolumeSnapshotId, &NameRecord)| {
            (name.clone(), state.held_blocks(record.layer) * BLOCK_BYTES)
        };
        Heirs { mark, held_bytes: heirs.map(held).collect() }
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
