//! What the records expect to find in a pool: one side of an off-line check.

use std::collections::BTreeSet;

use ashlar_db::{Db, Lifecycle};
use ashlar_types::{DiskBackupState, Region, SnapshotState};
use ashlar_volume::{VolumeId, VolumeSnapshotId};

use crate::error::ControlError;

/// What the records expect to find in the pool of a region. Whatever else the pool holds is stray.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolExpectation {
    /// Volumes that must be there: those of disks.
    pub volumes: BTreeSet<VolumeId>,
    /// Snapshots that must be there: those of snapshots and of backup points.
    pub snapshots: BTreeSet<VolumeSnapshotId>,
    /// Volumes that an unfinished job is making or deleting: they may be there.
    pub volumes_in_flux: BTreeSet<VolumeId>,
    /// Snapshots that an unfinished job is making or deleting: they may be there.
    pub snapshots_in_flux: BTreeSet<VolumeSnapshotId>,
}

/// Reads what the records expect to find in the pool of `region`.
pub async fn pool_expectation(db: &Db, region: &Region) -> Result<PoolExpectation, ControlError> {
    let mut tx = db.read().await?;
    let mut expected = PoolExpectation::default();
    for (disk, lifecycle) in tx.disks().of_region(region).await? {
        match lifecycle {
            Lifecycle::Live => expected.volumes.insert(disk.into()),
            Lifecycle::Creating | Lifecycle::Deleting | Lifecycle::Recycled => {
                expected.volumes_in_flux.insert(disk.into())
            }
        };
    }
    for snapshot in tx.snapshots().of_region(region).await? {
        match (snapshot.lifecycle, snapshot.state) {
            (Lifecycle::Live, SnapshotState::CopyingFromRemote | SnapshotState::CheckingCopied) => {
                // Put together in a volume of its own name.
                expected.volumes_in_flux.insert(snapshot.id.into());
                expected.snapshots_in_flux.insert(snapshot.id.into())
            }
            (Lifecycle::Creating | Lifecycle::Deleting, _) | (Lifecycle::Live, SnapshotState::Creating) => {
                expected.snapshots_in_flux.insert(snapshot.id.into())
            }
            (Lifecycle::Recycled, _) => expected.snapshots.insert(snapshot.id.into()),
            (
                Lifecycle::Live,
                SnapshotState::Normal | SnapshotState::Rollbacking | SnapshotState::ToRecycle,
            ) => expected.snapshots.insert(snapshot.id.into()),
        };
    }
    for backup in tx.disk_backups().of_region(region).await? {
        match (backup.lifecycle, backup.state) {
            (Lifecycle::Live, DiskBackupState::Normal | DiskBackupState::Rollbacking) => {
                expected.snapshots.insert(backup.id.into())
            }
            (Lifecycle::Creating | Lifecycle::Deleting | Lifecycle::Recycled, _)
            | (Lifecycle::Live, DiskBackupState::Creating) => {
                expected.snapshots_in_flux.insert(backup.id.into())
            }
        };
    }
    Ok(expected)
}
