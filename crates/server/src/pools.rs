//! The pools of the regions, each opened at its first use.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use ashlar_engine::{Pool, PoolOptions};
use ashlar_types::Region;
use ashlar_volume::{ErrorKind, VolumeError, VolumeStore};
use parking_lot::Mutex;

use crate::faults::Faults;

/// The pools under `pools/` of a data directory.
pub(crate) struct Pools {
    directory: PathBuf,
    faults: Faults,
    state: Mutex<PoolsState>,
}

#[derive(Default)]
struct PoolsState {
    open: BTreeMap<Region, Arc<Pool>>,
    /// After closing, nothing is opened any more.
    closed: bool,
}

impl Pools {
    /// Pools in `directory`, none of them open yet.
    pub(crate) fn new(directory: PathBuf, faults: Faults) -> Self {
        Self { directory, faults, state: Mutex::default() }
    }

    /// The pool of a region, made and opened if need be. May block.
    ///
    /// `Latched` after [`close`](Self::close), `NoSpace`, `Io`, `Corrupt`.
    pub(crate) fn pool(&self, region: &Region) -> Result<Arc<Pool>, VolumeError> {
        // Held while opening: a second caller must wait for the pool, not open it again.
        let mut state = self.state.lock();
        if let Some(pool) = state.open.get(region) {
            return Ok(pool.clone());
        }
        if state.closed {
            return Err(VolumeError::new(ErrorKind::Latched, "the pools are closed: the server is stopping"));
        }
        let path = self.directory.join(region.as_str());
        std::fs::create_dir_all(&path)
            .map_err(|error| VolumeError::io(format!("cannot make the pool {}", path.display()), error))?;
        let options = PoolOptions::default();
        let pool = Arc::new(match self.faults.files() {
            Some(faults) => Pool::open_with_faults(&path, options, faults)?,
            None => Pool::open(&path, options)?,
        });
        tracing::debug!(%region, "opened the pool");
        state.open.insert(region.clone(), pool.clone());
        Ok(pool)
    }

    /// Closes every pool cleanly. What is written afterwards is refused.
    pub(crate) fn close(&self) -> Result<(), VolumeError> {
        let pools = {
            let mut state = self.state.lock();
            state.closed = true;
            std::mem::take(&mut state.open)
        };
        let mut result = Ok(());
        for (region, pool) in pools {
            if let Err(error) = pool.close() {
                tracing::error!(%region, %error, "the pool did not close cleanly; the next start recovers it");
                result = Err(error);
            }
        }
        result
    }
}

impl ashlar_control::Stores for Pools {
    fn store(&self, region: &Region) -> Result<Arc<dyn VolumeStore>, VolumeError> {
        self.pool(region).map(|pool| pool as Arc<dyn VolumeStore>)
    }
}
