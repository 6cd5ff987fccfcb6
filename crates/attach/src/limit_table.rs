//! How fast each disk may be.

use std::collections::HashMap;
use std::sync::Arc;

use ashlar_types::DiskId;
use ashlar_volume::BlockDevice;
use ashlar_volume::limit::{LimitedDevice, Limiter, Limits, Pace};
use parking_lot::Mutex;

/// The limiters of all disks that were told one. They outlast publications, so that credit that was saved is not
/// lost when a machine lets a disk go for a moment.
pub(crate) struct LimitTable {
    pace: Arc<dyn Pace>,
    limiters: Mutex<HashMap<DiskId, Arc<Limiter>>>,
}

impl LimitTable {
    pub(crate) fn new(pace: Arc<dyn Pace>) -> Self {
        Self { pace, limiters: Mutex::default() }
    }

    /// Makes the disk's limiter, or changes it for whoever has the disk open.
    pub(crate) fn set(&self, disk: DiskId, limits: Limits) {
        let now_ns = self.pace.now_ns();
        let mut limiters = self.limiters.lock();
        match limiters.get(&disk) {
            Some(limiter) => limiter.set(limits, now_ns),
            None => {
                limiters.insert(disk, Arc::new(Limiter::new(limits, now_ns)));
            }
        }
    }

    /// What the disk was told last.
    pub(crate) fn get(&self, disk: DiskId) -> Option<Limits> {
        self.limiters.lock().get(&disk).map(|limiter| limiter.limits())
    }

    /// The device behind the disk's limiter; itself when the disk has none.
    pub(crate) fn wrap(&self, disk: DiskId, device: Arc<dyn BlockDevice>) -> Arc<dyn BlockDevice> {
        let limiter = self.limiters.lock().get(&disk).map(Arc::clone);
        match limiter {
            Some(limiter) => Arc::new(LimitedDevice::new(device, limiter, Arc::clone(&self.pace))),
            None => device,
        }
    }
}
