//! Planned faults in the running server: `ashlar serve --fault-plan FILE`, which only debug builds have.

#[cfg(debug_assertions)]
mod plan;

use std::sync::Arc;

use ashlar_engine::FileFaults;
use ashlar_volume::BlockDevice;
use ashlar_volume::fault::{FaultInjector, FaultyDevice};

/// The faults of a server; by default none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    files: Option<Arc<FileFaults>>,
    devices: Option<Arc<FaultInjector<Option<String>>>>,
}

impl Faults {
    /// What goes wrong with the files of the pools.
    pub(crate) fn files(&self) -> Option<Arc<FileFaults>> {
        self.files.clone()
    }

    /// The device of an export, with its faults in front of it.
    pub(crate) fn device(&self, export: &str, device: Arc<dyn BlockDevice>) -> Arc<dyn BlockDevice> {
        match &self.devices {
            Some(faults) => Arc::new(FaultyDevice::new(device, export, Arc::clone(faults))),
            None => device,
        }
    }
}
