//! What the outside holds of an open volume or snapshot.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use ashlar_volume::{
    Attempt, BatchRead, BlockDevice, Extent, ReadQueue, VolumeError, VolumeId, VolumeSnapshotId, WriteSource,
    ZeroMode,
};

use crate::pool::Inner;
use crate::volume::OpenVolume;

/// What a device is open on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DeviceName {
    Volume(VolumeId),
    Snapshot(VolumeSnapshotId),
}

/// A device; counts as open until it is dropped.
#[derive(Debug)]
pub(crate) struct PoolDevice {
    pool: Arc<Inner>,
    volume: Arc<OpenVolume>,
    name: DeviceName,
}

impl PoolDevice {
    /// A device that the catalog has already counted.
    pub(crate) const fn new(pool: Arc<Inner>, volume: Arc<OpenVolume>, name: DeviceName) -> Self {
        Self { pool, volume, name }
    }
}

impl Drop for PoolDevice {
    fn drop(&mut self) {
        self.pool.release_device(&self.name);
    }
}

impl BlockDevice for PoolDevice {
    fn size_bytes(&self) -> u64 {
        self.volume.size_bytes()
    }

    fn is_read_only(&self) -> bool {
        self.volume.is_read_only()
    }

    fn read(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), VolumeError> {
        self.volume.read(offset_bytes, buffer)
    }

    fn try_read(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<Attempt, VolumeError> {
        self.volume.try_read(offset_bytes, buffer)
    }

    fn read_queue(&self, bell: BorrowedFd<'_>) -> Option<Box<dyn ReadQueue>> {
        self.volume.read_queue(bell)
    }

    fn prefers_batches(&self) -> bool {
        self.volume.prefers_batches()
    }

    fn read_batch(&self, reads: &mut [BatchRead<'_>]) -> Vec<Result<(), VolumeError>> {
        self.volume.read_batch(reads)
    }

    fn write_stream(&self, source: &mut dyn WriteSource) {
        self.volume.write_stream(source);
    }

    fn takes_more_writes(&self) -> bool {
        self.volume.prefers_batches()
    }

    fn write(&self, offset_bytes: u64, data: &[u8]) -> Result<(), VolumeError> {
        self.volume.write(offset_bytes, data)
    }

    fn try_write(&self, offset_bytes: u64, data: &[u8]) -> Result<Attempt, VolumeError> {
        self.volume.try_write(offset_bytes, data)
    }

    fn flush(&self) -> Result<(), VolumeError> {
        self.volume.flush()
    }

    fn discard(&self, offset_bytes: u64, length_bytes: u64) -> Result<(), VolumeError> {
        self.volume.discard(offset_bytes, length_bytes)
    }

    fn write_zeroes(&self, offset_bytes: u64, length_bytes: u64, mode: ZeroMode) -> Result<(), VolumeError> {
        self.volume.write_zeroes(offset_bytes, length_bytes, mode)
    }

    fn extents(
        &self,
        offset_bytes: u64,
        length_bytes: u64,
        extents_max: usize,
    ) -> Result<Vec<Extent>, VolumeError> {
        self.volume.extents(offset_bytes, length_bytes, extents_max)
    }
}
