//! Lists of disks that were asked for lately. A list holds until anything at all is committed to the database, so a
//! read sees every write before it; what is saved is the work of the many polls between two writes.

use std::collections::HashMap;
use std::sync::Arc;

use ashlar_db::{DiskListing, LatestOperation, Listed, Tag};
use ashlar_types::SnapshotPolicyId;
use parking_lot::Mutex;

/// Disks that are remembered, of all lists together: about a kilobyte each.
const DISKS_MAX: usize = 50_000;

/// A disk and what a list shows beside it, apart from what the clock changes.
#[derive(Debug, Clone)]
pub(super) struct ListedDisk {
    pub(super) listing: DiskListing,
    pub(super) tags: Vec<Tag>,
    pub(super) latest: Option<LatestOperation>,
    pub(super) policies: Option<Vec<SnapshotPolicyId>>,
}

/// The lists.
#[derive(Default)]
pub(crate) struct DiskLists {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The number of the database's state that the lists were read at.
    changes: i64,
    lists: HashMap<String, Arc<Listed<ListedDisk>>>,
    disks: usize,
}

impl DiskLists {
    /// The list of this query, if nothing was changed since it was read.
    pub(super) fn find(&self, query: &str, changes: i64) -> Option<Arc<Listed<ListedDisk>>> {
        let state = self.state.lock();
        if state.changes != changes {
            return None;
        }
        state.lists.get(query).map(Arc::clone)
    }

    /// Remembers a list that was read after `changes` was asked for.
    pub(super) fn remember(&self, query: String, changes: i64, list: Arc<Listed<ListedDisk>>) {
        let mut state = self.state.lock();
        let count = list.items.len() + 1;
        if changes != state.changes || state.disks + count > DISKS_MAX {
            state.changes = changes;
            state.lists.clear();
            state.disks = 0;
        }
        state.disks += count;
        state.lists.insert(query, list);
    }
}
