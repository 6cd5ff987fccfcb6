//! A pool: a directory with volumes in it, open for use.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::JoinHandle;

use ashlar_volume::VolumeError;
use parking_lot::{Condvar, Mutex, RwLock};

use crate::allocator::Allocator;
use crate::catalog::Catalog;
use crate::checksums::{Checksums, PageState};
use crate::commit::{Checkpoint, Group};
use crate::core::{Core, Dirt, Latch, ResolvedLeaves, Space};
use crate::damage::Damage;
use crate::delta::Delta;
use crate::file::{Directory, FaultyDirectory, FileFaults, FileRole, RealDirectory};
use crate::intent::{Closing, Intents};
use crate::journal::Journal;
use crate::keys::Keys;
use crate::map::{Contents, Map};
use crate::options::{Background, PoolOptions};
use crate::recovery;
use crate::state::State;
use crate::wake::Wake;

/// A local store of volumes: the engine's [`VolumeStore`](ashlar_volume::VolumeStore).
///
/// Dropping it without [`close`](Self::close) is what a crash is: nothing durable is lost, the next opening takes
/// a little longer.
#[derive(Debug)]
pub struct Pool {
    pub(crate) inner: Arc<Inner>,
    background: Mutex<Option<JoinHandle<()>>>,
}

/// What devices and the background thread share with the pool.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) core: Arc<Core>,
    pub(crate) catalog: Mutex<Catalog>,
    /// Keeps the directory locked.
    _directory: Arc<dyn Directory>,
}

impl Pool {
    /// Opens the pool in a directory; makes one where there is none.
    ///
    /// `InUse`: another process has it. `Corrupt`: it is not a pool of a known format, or is damaged.
    /// `InvalidArgument`: an option is out of its range, or the wrapper's master key is not the one that the pool's
    /// encrypted volumes need. `Io`, `NoSpace`.
    pub fn open(directory: &Path, options: PoolOptions) -> Result<Self, VolumeError> {
        let directory = RealDirectory::open(directory)?.with_data_cache(options.data_cache);
        Self::open_in(Arc::new(directory), options)
    }

    /// The same with planned faults on the way to the files. For tests of what stands on a pool.
    pub fn open_with_faults(
        directory: &Path,
        options: PoolOptions,
        faults: Arc<FileFaults>,
    ) -> Result<Self, VolumeError> {
        let directory = RealDirectory::open(directory)?.with_data_cache(options.data_cache);
        Self::open_in(Arc::new(FaultyDirectory::new(Arc::new(directory), faults)), options)
    }

    /// Opens the pool on any medium, such as a [`SimulatedDisk`](crate::simulated::SimulatedDisk).
    pub fn open_in(directory: Arc<dyn Directory>, options: PoolOptions) -> Result<Self, VolumeError> {
        if !recovery::is_created(&*directory)? {
            recovery::create(&*directory, &options)?;
        }
        let background = options.background;
        let inner = Arc::new(Inner::open(directory, options)?);
        let thread = match background {
            Background::Thread => Some(inner.start_thread()?),
            Background::Manual => None,
        };
        Ok(Self { inner, background: Mutex::new(thread) })
    }

    /// Writes everything into the map and marks the pool as cleanly closed. Devices that are still open refuse to change
    /// anything from now on; so does the pool.
    pub fn close(&self) -> Result<(), VolumeError> {
        self.stop_thread();
        let is_closed = std::mem::replace(&mut self.inner.catalog.lock().is_closed, true);
        if is_closed { Ok(()) } else { self.inner.close() }
    }

    /// Wraps the keys of all encrypted volumes with the master key that wraps now; gives how many were not yet. Moves no
    /// data and may run beside everything else. Broken off at any point, it leaves every key open to the old or the new
    /// master key, and can be repeated.
    pub fn rewrap_keys(&self) -> Result<u64, VolumeError> {
        let core = &self.inner.core;
        core.latch.check()?;
        core.keys.rewrap()
    }

    /// Does one small piece of background work; `false` when there is none. For [`Background::Manual`].
    pub fn run_background_step(&self) -> Result<bool, VolumeError> {
        self.inner.run_background_step()
    }

    fn stop_thread(&self) {
        self.inner.core.wake.stop();
        if let Some(thread) = self.background.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the pool's background thread panicked");
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.stop_thread();
    }
}

impl Inner {
    fn open(directory: Arc<dyn Directory>, options: PoolOptions) -> Result<Self, VolumeError> {
        let map = Map::open(&*directory, options.map_cache_bytes)?;
        let durable = recovery::read(&*directory, &map)?;
        let is_clean = recovery::was_clean(&durable);
        // Before anything is changed: a wrong master key must leave the pool as it was.
        let keys = Keys::open(
            recovery::open_file(&*directory, FileRole::Keys)?,
            options.key_wrapper.clone(),
            &durable.contents.names.data_keys(),
        )?;
        let superblock = recovery::settle(&*directory, &map, &durable)?;
        if !is_clean {
            tracing::info!(
                records = durable.tail.records,
                "the pool was not closed: its journal was replayed"
            );
        }
        let Contents { names, allocation, intents, damage } = durable.contents;
        let (free, high_water) = allocation.free_and_high_water();
        let checksums = Checksums::new(high_water, options.checksum_pages_cached_max);
        // A page without chunks has nothing to work out: its intent just ends.
        let (stale, empty): (BTreeSet<_>, BTreeSet<_>) =
            intents.into_iter().partition(|page| page.0 < checksums.pages_end());
        stale.iter().for_each(|page| checksums.slot(*page).set_state(PageState::Stale));
        let pending =
            Delta { intents: empty.into_iter().map(|page| (page, false)).collect(), ..Delta::default() };
        let state = State {
            checkpoint: None,
            committed: Delta::default(),
            committing: VecDeque::new(),
            pending,
            held_blocks: names.held_blocks.clone(),
            allocator: Allocator::new(free, high_water, is_clean),
            next_layer: superblock.next_layer,
            keys_to_destroy: Vec::new(),
        };
        let journal = Journal::new(
            recovery::open_file(&*directory, FileRole::Journal)?,
            superblock.journal_segment_bytes,
            superblock.generation,
            superblock.applied_sequence,
        );
        let core = Core {
            keys,
            data: recovery::open_file(&*directory, FileRole::Data)?,
            map,
            journal: Mutex::new(journal),
            landed: Condvar::new(),
            state: RwLock::new(state),
            moves: RwLock::new(()),
            checkpointing: Mutex::new(()),
            group: Group::default(),
            latch: Latch::default(),
            // The process before may have left changes that only the page cache has.
            dirt: Dirt::unknown(),
            pending_bytes: AtomicUsize::new(0),
            space: Space::new(Arc::clone(&directory), options.reserve_bytes),
            resolved_leaves: ResolvedLeaves::new(options.leaves_cached_max),
            checksums,
            intents: Intents::new(stale),
            damage: Damage::new(damage),
            wake: Wake::default(),
            options,
        };
        Ok(Self {
            core: Arc::new(core),
            catalog: Mutex::new(Catalog::new(names, is_clean)),
            _directory: directory,
        })
    }

    fn start_thread(self: &Arc<Self>) -> Result<JoinHandle<()>, VolumeError> {
        let inner = Arc::clone(self);
        self.core.wake.ring();
        std::thread::Builder::new()
            .name("pool-background".to_owned())
            .spawn(move || inner.run_background())
            .map_err(|error| VolumeError::io("start the pool's background thread", error))
    }

    fn close(&self) -> Result<(), VolumeError> {
        let open: Vec<_> = self.catalog.lock().all_open().cloned().collect();
        open.iter().for_each(|volume| volume.close());
        self.core.complete_known_pages()?;
        while self.core.close_pages(Closing::All)? {}
        self.core.commit()?;
        while self.punch_step()? {}
        // The holes must be durable before the map vouches for them.
        self.core.mark_data_dirty(0);
        self.core.commit()?;
        let is_clean = self.catalog.lock().scrub.is_none() && self.core.state.read().allocator.is_settled();
        self.core.checkpoint(if is_clean { Checkpoint::CleanClose } else { Checkpoint::Committed })
    }
}
