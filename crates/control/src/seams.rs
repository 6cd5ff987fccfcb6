//! What the rules need from below: pools and exports.

use std::sync::Arc;
use std::time::Duration;

use ashlar_types::{DiskId, InstanceId, Region, SnapshotId};
use ashlar_volume::{VolumeError, VolumeStore};

/// Where the pools are. A region is a pool.
pub trait Stores: Send + Sync {
    /// The pool of a region, opened now if it is not open yet. May block.
    fn store(&self, region: &Region) -> Result<Arc<dyn VolumeStore>, VolumeError>;
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

    /// Ends what the instance has open and lets nobody open the disk any more. `InUse` if the sessions have
    /// not ended within `wait`; then the disk stays withdrawn. Withdrawing a disk that is not published is a
    /// success.
    fn withdraw(&self, disk: DiskId, wait: Duration) -> Result<(), VolumeError>;

    /// Lets the snapshot be opened for reading.
    fn publish_snapshot(&self, snapshot: SnapshotId, store: Arc<dyn VolumeStore>) -> Result<(), VolumeError>;

    /// Ends what has the snapshot open and lets nobody open it any more, as [`withdraw`](Self::withdraw).
    fn withdraw_snapshot(&self, snapshot: SnapshotId, wait: Duration) -> Result<(), VolumeError>;
}
