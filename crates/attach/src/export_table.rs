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

/// Which disks and snapshots may be opened now. Clones are handles of the same table; all calls may come from
/// many threads at once.
#[derive(Clone, Default)]
pub struct ExportTable {
    slots: Arc<RwLock<BTreeMap<ExportName, Arc<Slot>>>>,
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

    /// Lets the volume of `disk` in `store` be opened, for `instance`. Publishing it again for the same instance
    /// is a success. The volume need not exist yet: opening finds out.
    ///
    /// `PublishedElsewhere` if it is published for another instance; `StillOpen` if sessions of a withdrawn publication have
    /// not let go.
    pub fn publish(
        &self,
        disk: DiskId,
        instance: InstanceId,
        store: Arc<dyn VolumeStore>,
    ) -> Result<(), AttachError> {
        self.put(ExportName::Disk(disk), Some(instance), store)
    }

    /// Lets `snapshot` in `store` be opened for reading. Publishing it again is a success.
    ///
    /// `StillOpen` if sessions of a withdrawn publication have not let go.
    pub fn publish_snapshot(
        &self,
        snapshot: SnapshotId,
        store: Arc<dyn VolumeStore>,
    ) -> Result<(), AttachError> {
        self.put(ExportName::Snapshot(snapshot), None, store)
    }

    fn put(
        &self,
        name: ExportName,
        instance: Option<InstanceId>,
        store: Arc<dyn VolumeStore>,
    ) -> Result<(), AttachError> {
        let mut slots = self.slots.write();
        match slots.get(&name) {
            // Withdrawn and let go: what is left of it is in nobody's way.
            Some(old) if old.is_withdrawn() && old.session_count() == 0 => {}
            Some(old) if old.is_withdrawn() => {
                return Err(AttachError::new(
                    AttachErrorKind::StillOpen,
                    format!("export `{name}` still has {} sessions from before", old.session_count()),
                ));
            }
            Some(old) if old.instance() != instance => {
                let owner = old.instance().map_or_else(String::new, |instance| instance.to_string());
                return Err(AttachError::new(
                    AttachErrorKind::PublishedElsewhere,
                    format!("export `{name}` is published for instance `{owner}`"),
                ));
            }
            Some(_) => return Ok(()),
            None => {}
        }
        slots.insert(name, Slot::new(name, instance, store, self.limits.clone()));
        Ok(())
    }

    /// Takes the export of `disk` away: new sessions are refused at once, those there are told to finish, and
    /// to abort when most of `timeout` is over. Blocks until all have let go, at most for `timeout`. An export
    /// that is not there has let go. After `StillOpen` it may be called again.
    pub fn withdraw(&self, disk: DiskId, timeout: Duration) -> Withdrawal {
        self.take(ExportName::Disk(disk), timeout)
    }

    /// Takes the export of `snapshot` away, like [`withdraw`](Self::withdraw). Do so before deleting it.
    pub fn withdraw_snapshot(&self, snapshot: SnapshotId, timeout: Duration) -> Withdrawal {
        self.take(ExportName::Snapshot(snapshot), timeout)
    }

    fn take(&self, name: ExportName, timeout: Duration) -> Withdrawal {
        let Some(slot) = self.slots.read().get(&name).map(Arc::clone) else { return Withdrawal::LetGo };
        let withdrawal = slot.withdraw(timeout);
        if withdrawal == Withdrawal::LetGo {
            let mut slots = self.slots.write();
            // Another withdrawal may have been faster, and a new publication may be there by now.
            if slots.get(&name).is_some_and(|current| Arc::ptr_eq(current, &slot)) {
                slots.remove(&name);
            }
        }
        withdrawal
    }

    /// Opens the export that a client asks for by `name`. The first session opens the device.
    ///
    /// `NotFound` for anything that is not published; `Store` if the store cannot open it.
    pub fn open(&self, name: &str) -> Result<Lease, AttachError> {
        let name: ExportName = name.parse()?;
        let slot = self.slots.read().get(&name).map(Arc::clone);
        let absent =
            || AttachError::new(AttachErrorKind::NotFound, format!("export `{name}` does not exist"));
        slot.ok_or_else(absent)?.lease()
    }

    /// The names of all exports that can be opened, in order.
    #[must_use]
    pub fn list(&self) -> Vec<ExportName> {
        let slots = self.slots.read();
        slots.iter().filter(|(_, slot)| !slot.is_withdrawn()).map(|(name, _)| *name).collect()
    }

    /// The machine that `disk` is published for, while it is.
    #[must_use]
    pub fn instance(&self, disk: DiskId) -> Option<InstanceId> {
        let slots = self.slots.read();
        slots
            .get(&ExportName::Disk(disk))
            .filter(|slot| !slot.is_withdrawn())
            .and_then(|slot| slot.instance())
    }

    /// How many sessions use the export now.
    #[must_use]
    pub fn session_count(&self, name: ExportName) -> usize {
        self.slots.read().get(&name).map_or(0, |slot| slot.session_count())
    }
}
