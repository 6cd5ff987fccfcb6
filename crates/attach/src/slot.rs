//! One export: its device while anybody uses it, and the sessions that do.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ashlar_types::{InstanceId, SnapshotId};
use ashlar_volume::{
    BlockDevice, ChangeExtent, ChangeQuery, ContentName, VolumeError, VolumeSnapshotId, VolumeStore,
};
use parking_lot::{Condvar, Mutex};

use crate::limit_table::LimitTable;
use crate::{AttachError, AttachErrorKind, ExportName};

/// How a session is told to end. Both are called from other threads, `finish` first; neither may block.
pub trait EndSession: Send + Sync {
    /// Take no new request, answer the ones received, then let go.
    fn finish(&self);

    /// Let go now, answered or not.
    fn abort(&self);
}

/// How a withdrawal ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withdrawal {
    /// No session holds the device: the volume can be deleted or rolled back.
    LetGo,
    /// The export is gone for newcomers, but so many sessions had not let go in time.
    StillOpen {
        /// Leases that are still held.
        sessions: usize,
    },
}

/// An export that was published.
pub(crate) struct Slot {
    name: ExportName,
    /// The machine that a disk is for; nobody for a snapshot. Each of several machines has a slot and a device of its own;
    /// all devices of a volume are views of the same bytes.
    instance: Option<InstanceId>,
    store: Arc<dyn VolumeStore>,
    limits: Option<Arc<LimitTable>>,
    state: Mutex<SlotState>,
    session_ended: Condvar,
}

#[derive(Default)]
struct SlotState {
    withdrawn: bool,
    /// Open exactly while there are leases.
    device: Option<Arc<dyn BlockDevice>>,
    next_lease: u64,
    /// The leases that are out, with the way to end each one that has told it.
    leases: HashMap<u64, Option<Arc<dyn EndSession>>>,
}

impl Slot {
    pub(crate) fn new(
        name: ExportName,
        instance: Option<InstanceId>,
        store: Arc<dyn VolumeStore>,
        limits: Option<Arc<LimitTable>>,
    ) -> Arc<Self> {
        let (state, session_ended) = (Mutex::default(), Condvar::new());
        Arc::new(Self { name, instance, store, limits, state, session_ended })
    }

    pub(crate) fn is_withdrawn(&self) -> bool {
        self.state.lock().withdrawn
    }

    pub(crate) fn session_count(&self) -> usize {
        self.state.lock().leases.len()
    }

    /// A lease for one more session. The first opens the device.
    pub(crate) fn lease(self: &Arc<Self>) -> Result<Lease, AttachError> {
        let mut state = self.state.lock();
        if state.withdrawn {
            return Err(AttachError::new(
                AttachErrorKind::NotFound,
                format!("export `{}` is being withdrawn", self.name),
            ));
        }
        let device = match &state.device {
            Some(device) => Arc::clone(device),
            None => self.open_device()?,
        };
        state.device = Some(Arc::clone(&device));
        let number = state.next_lease;
        state.next_lease += 1;
        state.leases.insert(number, None);
        Ok(Lease { device, seat: Seat { slot: Arc::clone(self), number } })
    }

    fn content(&self) -> ContentName {
        match self.name {
            ExportName::Disk(disk) | ExportName::DiskIn(disk, _) => ContentName::Volume(disk.into()),
            ExportName::Snapshot(snapshot) => ContentName::Snapshot(snapshot.into()),
        }
    }

    fn open_device(&self) -> Result<Arc<dyn BlockDevice>, AttachError> {
        let opened = match self.name {
            ExportName::Disk(disk) | ExportName::DiskIn(disk, _) => self.store.open_volume(&disk.into()),
            ExportName::Snapshot(snapshot) => self.store.open_snapshot(&snapshot.into()),
        };
        let opened = opened
            .map_err(|error| AttachError::store(format!("cannot open export `{}`", self.name), error))?;
        Ok(match (&self.limits, self.name) {
            (Some(limits), ExportName::Disk(disk) | ExportName::DiskIn(disk, _)) => limits.wrap(disk, opened),
            (Some(_), ExportName::Snapshot(_)) | (None, _) => opened,
        })
    }

    /// Refuses new leases and ends the sessions of the old ones. Three quarters of `timeout` are for ending
    /// in good order; those left then are aborted and have the last quarter.
    pub(crate) fn withdraw(&self, timeout: Duration) -> Withdrawal {
        self.state.lock().withdrawn = true;
        let in_good_order = timeout / 4 * 3;
        self.sessions().iter().for_each(|session| session.finish());
        if self.wait_until_free(in_good_order) > 0 {
            self.sessions().iter().for_each(|session| session.abort());
        }
        match self.wait_until_free(timeout - in_good_order) {
            0 => Withdrawal::LetGo,
            sessions => Withdrawal::StillOpen { sessions },
        }
    }

    fn sessions(&self) -> Vec<Arc<dyn EndSession>> {
        self.state.lock().leases.values().flatten().map(Arc::clone).collect()
    }

    fn wait_until_free(&self, timeout: Duration) -> usize {
        let mut state = self.state.lock();
        self.session_ended.wait_while_for(&mut state, |state| !state.leases.is_empty(), timeout);
        state.leases.len()
    }
}

/// The right of one session to use an export's device. Dropping it says that the session is over; whoever
/// cloned the device drops the clone before.
pub struct Lease {
    // The order matters: fields are dropped from the top, and who waits for the seat to be given up expects
    // the device to be closed.
    device: Arc<dyn BlockDevice>,
    seat: Seat,
}

impl Lease {
    /// The device. A disk's may be written, a snapshot's may not.
    #[must_use]
    pub fn device(&self) -> Arc<dyn BlockDevice> {
        Arc::clone(&self.device)
    }

    /// What was opened.
    #[must_use]
    pub fn name(&self) -> ExportName {
        self.seat.slot.name
    }

    /// The machine that what was opened is for; nobody for a snapshot.
    #[must_use]
    pub fn instance(&self) -> Option<InstanceId> {
        self.seat.slot.instance
    }

    /// The snapshots that what was opened can be compared with. A store that cannot tell has none; it says so when it
    /// is asked for the data.
    #[must_use]
    pub fn ancestors(&self) -> Vec<SnapshotId> {
        let slot = &self.seat.slot;
        let names = slot.store.ancestors(&slot.content()).unwrap_or_default();
        // A store may keep snapshots that are nobody's but its own.
        names.iter().filter_map(|name| name.as_str().parse().ok()).collect()
    }

    /// What changed since a snapshot, for as long as the caller likes: the store is asked each time.
    #[must_use]
    pub fn changes_since(&self, since: SnapshotId) -> ChangesSince {
        let slot = &self.seat.slot;
        ChangesSince { store: Arc::clone(&slot.store), of: slot.content(), since: since.into() }
    }

    /// Says how the session is ended when the export is withdrawn. When that has happened already, `session`
    /// is told to finish at once.
    pub fn on_withdraw(&self, session: Arc<dyn EndSession>) {
        let withdrawn = {
            let mut state = self.seat.slot.state.lock();
            state.leases.insert(self.seat.number, Some(Arc::clone(&session)));
            state.withdrawn
        };
        if withdrawn {
            session.finish();
        }
    }
}

/// The way to ask what changed in an export since one snapshot.
pub struct ChangesSince {
    store: Arc<dyn VolumeStore>,
    of: ContentName,
    since: VolumeSnapshotId,
}

impl ChangesSince {
    /// See [`VolumeStore::changes`].
    pub fn changes(
        &self,
        offset_bytes: u64,
        length_bytes: u64,
        extents_max: usize,
    ) -> Result<Vec<ChangeExtent>, VolumeError> {
        let (of, since) = (self.of.clone(), Some(self.since.clone()));
        self.store.changes(&ChangeQuery { of, since, offset_bytes, length_bytes, extents_max })
    }
}

/// A place among the leases of a slot.
struct Seat {
    slot: Arc<Slot>,
    number: u64,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.slot.state.lock();
        state.leases.remove(&self.number);
        if state.leases.is_empty() {
            state.device = None;
            self.slot.session_ended.notify_all();
        }
    }
}
