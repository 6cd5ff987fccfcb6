//! What an operator or a test can choose of a pool.

use std::sync::Arc;

use crate::keys::KeyWrapper;

/// Who does the work that nobody waits for: checkpoints, merging of deleted snapshots, giving space back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Background {
    /// A thread of the pool.
    Thread,
    /// The caller, by [`Pool::run_background_step`](crate::Pool::run_background_step). For simulations.
    Manual,
}

/// What keeps recently used data in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DataCache {
    /// The kernel's page cache.
    #[default]
    Page,
    /// Nobody: every transfer goes to the medium (O_DIRECT, io_uring). For media as fast as memory, and for machines whose
    /// guests cache themselves.
    Direct,
}

/// Settings of a pool. `Default` is right for a server.
#[derive(Debug, Clone)]
pub struct PoolOptions {
    /// Bytes of each of the journal's two segments; a multiple of 4096 up to 1 GiB. Counts when the pool is
    /// created.
    pub journal_segment_bytes: u64,
    /// Bytes of memory for pages of the map.
    pub map_cache_bytes: usize,
    /// Resolved leaves to keep in memory; each describes 32 MiB of an open volume and takes 8 to 12 KiB.
    pub leaves_cached_max: usize,
    /// Pages of checksums to keep in memory; each describes 3.75 MiB of the data file and takes 4 KiB.
    pub checksum_pages_cached_max: usize,
    /// Pages of checksums that may be open for changes in place; what was changed in them is kept in memory. After a crash the
    /// checksums of so many times 3.75 MiB are worked out again, in the background. Who writes at random over more than
    /// these waits for a sync wherever a page is opened.
    pub open_pages_max: usize,
    /// Bytes of the file system that volumes may not fill, so that the metadata can still be committed.
    pub reserve_bytes: u64,
    /// Bytes of uncommitted metadata at which a write commits by itself.
    pub pending_bytes_max: usize,
    /// What keeps recently used data in memory.
    pub data_cache: DataCache,
    /// Who does the background work.
    pub background: Background,
    /// Wraps the keys of encrypted volumes; without it none can be made or opened.
    pub key_wrapper: Option<Arc<dyn KeyWrapper>>,
}

/// Memory for the map when nobody says otherwise.
const CACHE_BYTES_DEFAULT: usize = 256 << 20;

impl PoolOptions {
    /// Settings with so many bytes of memory for all that describes where blocks are: pages of the map, resolved
    /// leaves, checksums.
    #[must_use]
    pub fn with_cache_bytes(cache_bytes: usize) -> Self {
        const LEAF_BYTES_MAX: usize = 12 << 10;
        const CHECKSUM_PAGE_BYTES_MAX: usize = 4 << 10;
        // Checksums take most, as there is a KiB of them for a MiB of data: five sixteenths. Three are left for what hangs on
        // these: the places of pages that are not in memory, changes that wait for a checkpoint and what a checkpoint writes,
        // and what the allocator of the process wastes.
        let quarter_bytes = cache_bytes / 4;
        let checksum_pages_cached_max = (5 * quarter_bytes / 4 / CHECKSUM_PAGE_BYTES_MAX).max(1);
        Self {
            map_cache_bytes: quarter_bytes,
            leaves_cached_max: (quarter_bytes / LEAF_BYTES_MAX).max(1),
            checksum_pages_cached_max,
            journal_segment_bytes: 8 << 20,
            open_pages_max: 3 * checksum_pages_cached_max / 4,
            reserve_bytes: 64 << 20,
            pending_bytes_max: 1 << 20,
            data_cache: DataCache::Page,
            background: Background::Thread,
            key_wrapper: None,
        }
    }
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self::with_cache_bytes(CACHE_BYTES_DEFAULT)
    }
}
