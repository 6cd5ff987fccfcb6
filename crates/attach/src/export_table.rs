//! Every export by name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ashlar_types::{DiskId, InstanceId, SnapshotId};
use ashlar_volume::VolumeStore;
use ashlar_volume::limit::{Limits, Pace};
use parking_lot::RwLock;

use crate::limit_table::LimitTable;
use crate::slot::Slot;
use crate::{AttachError, AttachErrorKind, ExportName, Lease, Withdrawal};

/// What there is one slot for: a disk for one machine, or a snapshot.
type Key = (ExportName, Option<InstanceId>);

/// Which disks and snapshots may be opened now. Clones are handles of the same table; all calls may come from
/// many threads at once.
#[derive(Clone, Default)]
pub struct ExportTable {
    slots: Arc<RwLock<BTreeMap<Key, Arc<Slot>>>>,
    limits: Option<Arc<LimitTable>>,
}

impl ExportTable {
    /// A table without exports.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A table whose disks are no faster than [`limit`](Self::limit) says.
    #[must_use]
    pub fn with_limits(pace: Arc<dyn Pace>) -> Self {
        Self { limits: Some(Arc::new(LimitTable::new(pace))), ..Self::default() }
    }

    /// Says how fast `disk` may be from now on, for whoever has it open and whoever opens it. A disk that is opened
    /// before anything was said of it has no limit. Without effect in a table without limits.
    pub fn limit(&self, disk: DiskId, limits: Limits) {
        if let Some(table) = &self.limits {
            table.set(disk, limits);
        }
    }

    /// How fast `disk` may be, if anything was said.
    #[must_use]
    pub fn limits(&self, disk: DiskId) -> Option<Limits> {
        self.limits.as_ref().and_then(|table| table.get(disk))
    }

    /// Lets the volume of `disk` in `store` be opened, for `instance`. Publishing it again is a success. The volume need not
    /// exist yet: opening finds out. Which machines may have a disk, and how many, is not decided here.
    ///
    /// `StillOpen` if sessions of a withdrawn publication for this instance have not let go.
    pub fn publish(
        &self,
        disk: DiskId,
        instance: InstanceId,
        store: Arc<dyn VolumeStore>,
    ) -> Result<(), AttachError> {
        self.put((ExportName::Disk(disk), Some(instance)), store)
    }

    /// Lets `snapshot` in `store` be opened for reading. Publishing it again is a success.
    ///
    /// `StillOpen` if sessions of a withdrawn publication have not let go.
    pub fn publish_snapshot(
        &self,
        snapshot: SnapshotId,
        store: Arc<dyn VolumeStore>,
    ) -> Result<(), AttachError> {
        self.put((ExportName::Snapshot(snapshot), None), store)
    }

    fn put(&self, key: Key, store: Arc<dyn VolumeStore>) -> Result<(), AttachError> {
        let mut slots = self.slots.write();
        match slots.get(&key) {
            // Withdrawn and let go: what is left of it is in nobody's way.
            Some(old) if old.is_withdrawn() && old.session_count() == 0 => {}
            Some(old) if old.is_withdrawn() => {
                let (name, count) = (name_of(&key), old.session_count());
                return Err(AttachError::new(
                    AttachErrorKind::StillOpen,
                    format!("export `{name}` still has {count} sessions from before"),
                ));
            }
            Some(_) => return Ok(()),
            None => {}
        }
        slots.insert(key, Slot::new(key.0, key.1, store, self.limits.clone()));
        Ok(())
    }

    /// Takes the export of `disk` for `instance` away: new sessions are refused at once, those there are told to finish,
    /// and to abort when most of `timeout` is over. Blocks until all have let go, at most for `timeout`. An export
    /// that is not there has let go. After `StillOpen` it may be called again. What other machines have open stays.
    pub fn withdraw(&self, disk: DiskId, instance: InstanceId, timeout: Duration) -> Withdrawal {
        self.take((ExportName::Disk(disk), Some(instance)), timeout)
    }

    /// Takes the export of `snapshot` away, like [`withdraw`](Self::withdraw). Do so before deleting it.
    pub fn withdraw_snapshot(&self, snapshot: SnapshotId, timeout: Duration) -> Withdrawal {
        self.take((ExportName::Snapshot(snapshot), None), timeout)
    }

    fn take(&self, key: Key, timeout: Duration) -> Withdrawal {
        let Some(slot) = self.slots.read().get(&key).map(Arc::clone) else { return Withdrawal::LetGo };
        let withdrawal = slot.withdraw(timeout);
        if withdrawal == Withdrawal::LetGo {
            let mut slots = self.slots.write();
            // Another withdrawal may have been faster, and a new publication may be there by now.
            if slots.get(&key).is_some_and(|current| Arc::ptr_eq(current, &slot)) {
                slots.remove(&key);
            }
        }
        withdrawal
    }

    /// Opens the export that a client asks for by `name`. The first session opens the device.
    ///
    /// `NotFound` for anything that is not published; `Ambiguous` for a disk in several machines when the name says not as
    /// which of them; `Store` if the store cannot open it.
    pub fn open(&self, name: &str) -> Result<Lease, AttachError> {
        self.open_if(name, |_, _| true)
    }

    /// The same for a client that may open only what is admitted, told what it is and for which machine. The name of a
    /// disk is enough where the client may open it as one machine alone.
    ///
    /// `NotAdmitted` if it is published, and nothing of it is admitted.
    pub fn open_if(
        &self,
        name: &str,
        admits: impl Fn(ExportName, Option<InstanceId>) -> bool,
    ) -> Result<Lease, AttachError> {
        let name: ExportName = name.parse()?;
        let refused = |kind, why: &str| Err(AttachError::new(kind, format!("export `{name}` {why}")));
        let published = self.published(name);
        if published.is_empty() {
            return refused(AttachErrorKind::NotFound, "does not exist");
        }
        let mut admitted = published.iter().filter(|(key, _)| admits(key.0, key.1));
        match (admitted.next(), admitted.next()) {
            (None, _) => refused(AttachErrorKind::NotAdmitted, "is not for this client"),
            (Some((_, slot)), None) => slot.lease(),
            (Some((first, _)), Some(_)) => {
                let why = format!(
                    "is in several machines: say as which one it is opened, as in `{}`",
                    name_of(first)
                );
                refused(AttachErrorKind::Ambiguous, &why)
            }
        }
    }

    /// What can be opened under this name.
    fn published(&self, name: ExportName) -> Vec<(Key, Arc<Slot>)> {
        let slots = self.slots.read();
        let of_content = slots.range((name.content(), None)..).take_while(|(key, _)| key.0 == name.content());
        let wanted = of_content.filter(|(key, slot)| {
            !slot.is_withdrawn() && name.instance().is_none_or(|instance| key.1 == Some(instance))
        });
        wanted.map(|(key, slot)| (*key, Arc::clone(slot))).collect()
    }

    /// The names of all exports that can be opened, in order.
    #[must_use]
    pub fn list(&self) -> Vec<ExportName> {
        self.list_if(|_, _| true)
    }

    /// The names under which [`open_if`](Self::open_if) opens what is admitted, in order.
    #[must_use]
    pub fn list_if(&self, admits: impl Fn(ExportName, Option<InstanceId>) -> bool) -> Vec<ExportName> {
        let slots = self.slots.read();
        let open = slots.iter().filter(|(key, slot)| !slot.is_withdrawn() && admits(key.0, key.1));
        let keys: Vec<Key> = open.map(|(key, _)| *key).collect();
        let of_one_content = keys.chunk_by(|one, other| one.0 == other.0);
        of_one_content.flat_map(|keys| keys.iter().map(|key| shown(key, keys.len()))).collect()
    }

    /// The machines that `disk` is published for now, in order.
    #[must_use]
    pub fn instances(&self, disk: DiskId) -> Vec<InstanceId> {
        self.published(ExportName::Disk(disk)).into_iter().filter_map(|(key, _)| key.1).collect()
    }

    /// How many sessions use the export now: that of a disk for all machines, if the name says none.
    #[must_use]
    pub fn session_count(&self, name: ExportName) -> usize {
        let slots = self.slots.read();
        let of_content = slots.range((name.content(), None)..).take_while(|(key, _)| key.0 == name.content());
        let wanted =
            of_content.filter(|(key, _)| name.instance().is_none_or(|instance| key.1 == Some(instance)));
        wanted.map(|(_, slot)| slot.session_count()).sum()
    }
}

/// The full name of a slot.
fn name_of(key: &Key) -> ExportName {
    match *key {
        (ExportName::Disk(disk), Some(instance)) => ExportName::DiskIn(disk, instance),
        (content, _) => content,
    }
}

/// The shortest name that is clear where there are so many of the same content.
fn shown(key: &Key, count: usize) -> ExportName {
    if count == 1 { key.0 } else { name_of(key) }
}
