//! What the rules need from below: pools and exports.

use std::sync::Arc;
use std::time::Duration;

use ashlar_attach::{AttachError, AttachErrorKind, ExportTable, Withdrawal};
use ashlar_types::{DiskId, InstanceId, Region, SnapshotId};
use ashlar_volume::limit::Limits;
use ashlar_volume::{ErrorKind, VolumeError, VolumeStore};

/// Where the pools are. A region is a pool.
pub trait Stores: Send + Sync {
    /// The pool of a region, opened now if it is not open yet. May block.
    fn store(&self, region: &Region) -> Result<Arc<dyn VolumeStore>, VolumeError>;

    /// The name of the master key that protects new encrypted disks; none if there is no such key, and disks cannot be
    /// encrypted.
    fn encryption_key(&self) -> Option<String>;

    /// The pools that are open, and their regions.
    fn open_stores(&self) -> Vec<(Region, Arc<dyn VolumeStore>)> {
        Vec::new()
    }
}

/// Where disks are put into machines. Every call may be repeated. May block.
pub trait Exports: Send + Sync {
    /// Lets the instance open the disk. Publishing again is a success.
    fn publish(
        &self,
        disk: DiskId,
        instance: InstanceId,
        store: Arc<dyn VolumeStore>,
    ) -> Result<(), VolumeError>;

    /// Ends what the instance has open and lets it open the disk no more; other instances keep it. `InUse` if the
    /// sessions have not ended within `wait`; then the disk stays withdrawn. Withdrawing a disk that is not published is
    /// a success.
    fn withdraw(&self, disk: DiskId, instance: InstanceId, wait: Duration) -> Result<(), VolumeError>;

    /// Says how fast the disk may be, from now on and for whoever has it open. To be said before it is published.
    fn limit(&self, disk: DiskId, limits: Limits);

    /// Lets the snapshot be opened for reading.
    fn publish_snapshot(&self, snapshot: SnapshotId, store: Arc<dyn VolumeStore>) -> Result<(), VolumeError>;

    /// Ends what has the snapshot open and lets nobody open it any more, as [`withdraw`](Self::withdraw).
    fn withdraw_snapshot(&self, snapshot: SnapshotId, wait: Duration) -> Result<(), VolumeError>;
}

impl Exports for ExportTable {
    fn limit(&self, disk: DiskId, limits: Limits) {
        ExportTable::limit(self, disk, limits);
    }

    fn publish(
        &self,
        disk: DiskId,
        instance: InstanceId,
        store: Arc<dyn VolumeStore>,
    ) -> Result<(), VolumeError> {
        ExportTable::publish(self, disk, instance, store).map_err(|error| refused(&error))
    }

    fn withdraw(&self, disk: DiskId, instance: InstanceId, wait: Duration) -> Result<(), VolumeError> {
        let_go(&disk, ExportTable::withdraw(self, disk, instance, wait))
    }

    fn publish_snapshot(&self, snapshot: SnapshotId, store: Arc<dyn VolumeStore>) -> Result<(), VolumeError> {
        ExportTable::publish_snapshot(self, snapshot, store).map_err(|error| refused(&error))
    }

    fn withdraw_snapshot(&self, snapshot: SnapshotId, wait: Duration) -> Result<(), VolumeError> {
        let_go(&snapshot, ExportTable::withdraw_snapshot(self, snapshot, wait))
    }
}

fn refused(error: &AttachError) -> VolumeError {
    let kind = match error.kind() {
        AttachErrorKind::NotFound | AttachErrorKind::NotAdmitted => ErrorKind::NotFound,
        AttachErrorKind::Ambiguous | AttachErrorKind::StillOpen => ErrorKind::InUse,
        AttachErrorKind::Store => ErrorKind::Io,
    };
    VolumeError::new(kind, error.to_string())
}

fn let_go(name: &dyn std::fmt::Display, withdrawal: Withdrawal) -> Result<(), VolumeError> {
    match withdrawal {
        Withdrawal::LetGo => Ok(()),
        Withdrawal::StillOpen { sessions } => {
            Err(VolumeError::new(ErrorKind::InUse, format!("`{name}` is still open in {sessions} sessions")))
        }
    }
}
