//! What the records expect to find in a pool: one side of an off-line check.

use std::collections::BTreeSet;

use ashlar_db::{Db, Lifecycle};
use ashlar_types::{DiskId, Region, SnapshotId, SnapshotState};

use crate::error::ControlError;

/// What the records expect to find in the pool of a region. Whatever else the pool holds is stray.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolExpectation {
    /// Disks whose volume must be there.
    pub volumes: BTreeSet<DiskId>,
    /// Snapshots that must be there.
    pub snapshots: BTreeSet<SnapshotId>,
    /// Disks that an unfinished job is making or deleting: their volume may be there.
    pub volumes_in_flux: BTreeSet<DiskId>,
    /// Snapshots that an unfinished job is making or deleting: they may be there.
    pub snapshots_in_flux: BTreeSet<SnapshotId>,
}

/// Reads what the records expect to find in the pool of `region`.
pub async fn pool_expectation(db: &Db, region: &Region) -> Result<PoolExpectation, ControlError> {
    let mut tx = db.read().await?;
    let mut expected = PoolExpectation::default();
    for (disk, lifecycle) in tx.disks().of_region(region).await? {
        match lifecycle {
            Lifecycle::Live => expected.volumes.insert(disk),
            Lifecycle::Creating | Lifecycle::Deleting => expected.volumes_in_flux.insert(disk),
        };
    }
    for snapshot in tx.snapshots().of_region(region).await? {
        match (snapshot.lifecycle, snapshot.state) {
            (Lifecycle::Creating | Lifecycle::Deleting, _) | (Lifecycle::Live, SnapshotState::Creating) => {
                expected.snapshots_in_flux.insert(snapshot.id)
            }
            (
                Lifecycle::Live,
                SnapshotState::Normal
                | SnapshotState::Rollbacking
                | SnapshotState::CopyingFromRemote
                | SnapshotState::CheckingCopied
                | SnapshotState::ToRecycle,
            ) => expected.snapshots.insert(snapshot.id),
        };
    }
    Ok(expected)
}
