//! The pools of the regions, each opened at its first use.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use ashlar_engine::{Pool, PoolOptions, ReclaimProgress, SpaceReport};
use ashlar_types::{Region, UnixMillis};
use ashlar_volume::{ErrorKind, StoreUsage, VolumeError, VolumeStore};
use parking_lot::Mutex;

use crate::faults::Faults;
use crate::master_key::MasterKeys;

/// Who takes how much of a pool, how full it is, and how far it is with giving space back.
type PoolSpaces = (Region, SpaceReport, StoreUsage, ReclaimProgress);

/// The pools under `pools/` of a data directory.
pub(crate) struct Pools {
    directory: PathBuf,
    options: PoolOptions,
    faults: Faults,
    master_keys: Arc<MasterKeys>,
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
    pub(crate) fn new(
        directory: PathBuf,
        options: PoolOptions,
        faults: Faults,
        master_keys: Arc<MasterKeys>,
    ) -> Self {
        Self { directory, options, faults, master_keys, state: Mutex::default() }
    }

    /// How full each open pool is. May block.
    pub(crate) fn usages(&self) -> Vec<(Region, Result<StoreUsage, VolumeError>)> {
        self.open_pools().into_iter().map(|(region, pool)| (region, pool.usage())).collect()
    }

    /// Who takes how much in each open pool. May block for a while.
    pub(crate) fn spaces(&self) -> Result<Vec<PoolSpaces>, VolumeError> {
        let space = |(region, pool): (Region, Arc<Pool>)| {
            Ok((region, pool.space()?, pool.usage()?, pool.reclaim_progress()))
        };
        self.open_pools().into_iter().map(space).collect()
    }

    /// Wraps the data keys of all pools with the master key that wraps now; gives how many were not yet. Every pool of
    /// the data directory is open since the start.
    pub(crate) fn rewrap_keys(&self) -> Result<u64, VolumeError> {
        self.open_pools().iter().map(|(_, pool)| pool.rewrap_keys()).sum()
    }

    /// The pool of a region, made and opened if need be. May block.
    ///
    /// `Latched` after [`close`](Self::close), `InvalidArgument` if its encrypted disks need another master key, `NoSpace`,
    /// `Io`, `Corrupt`.
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
        let key_wrapper = Some(self.master_keys.for_pool(region.as_str()));
        let options = PoolOptions { key_wrapper, ..self.options.clone() };
        let pool = Arc::new(match self.faults.files() {
            Some(faults) => Pool::open_with_faults(&path, options, faults)?,
            None => Pool::open(&path, options)?,
        });
        tracing::debug!(%region, "opened the pool");
        state.open.insert(region.clone(), pool.clone());
        Ok(pool)
    }

    /// The pools that are open.
    pub(crate) fn open_pools(&self) -> Vec<(Region, Arc<Pool>)> {
        self.state.lock().open.iter().map(|(region, pool)| (region.clone(), Arc::clone(pool))).collect()
    }

    /// When the last scheduled scrub ended, if it is known.
    pub(crate) fn last_scrub(&self) -> Option<UnixMillis> {
        let text = std::fs::read_to_string(self.last_scrub_path()).ok()?;
        text.trim().parse().ok().map(UnixMillis)
    }

    /// Remembers when a scheduled scrub ended. If that is lost, the next one comes early.
    pub(crate) fn note_scrub(&self, time: UnixMillis) {
        if let Err(error) = std::fs::write(self.last_scrub_path(), time.0.to_string()) {
            tracing::warn!(%error, "cannot remember the time of the scrub");
        }
    }

    fn last_scrub_path(&self) -> PathBuf {
        self.directory.with_file_name("last-scrub")
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

    fn encryption_key(&self) -> Option<String> {
        self.master_keys.key_id().map(str::to_owned)
    }

    fn open_stores(&self) -> Vec<(Region, Arc<dyn VolumeStore>)> {
        self.open_pools().into_iter().map(|(region, pool)| (region, pool as Arc<dyn VolumeStore>)).collect()
    }
}
