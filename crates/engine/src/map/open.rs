//! Creating, opening and closing the map, and its pages' checksums.

use std::sync::Arc;

use ashlar_volume::{ErrorKind, VolumeError};
use redb::Database;

use super::pages::{self, Pages};
use super::sums::PageSums;
use super::{Map, backend, guarded, is_closed, map_error};
use crate::delta::Delta;
use crate::file::{Directory, File, FileRole};
use crate::format::Superblock;
use crate::recovery::open_file;

/// Memory for the one reading of a map whose pages are to be described.
const DESCRIBING_CACHE_BYTES: usize = 16 << 20;

const MISMATCH: &str = "pages of `map.redb` do not match their checksums";

impl Drop for Map {
    /// Closes the embedded store: with a commit of its own if nothing of the map is damaged, without otherwise.
    fn drop(&mut self) {
        let Some(database) = self.database.take() else { return };
        let is_damaged = self.pages.is_damaged();
        let closed = self.pages.strictly(|| {
            guarded("close the map", || {
                if is_damaged {
                    abandon(database);
                }
                Ok(())
            })
        });
        if let Err(error) = closed {
            tracing::warn!(%error, "the map was not closed in good order");
        }
    }
}

/// Closes the embedded store as if the process ended here. It writes nothing while a thread unwinds.
fn abandon(database: Database) {
    let _closed_by_unwinding = database;
    std::panic::resume_unwind(Box::new("the map is damaged"));
}

impl Map {
    /// Writes the map of an empty pool, in a file that is not yet the map.
    pub(crate) fn create(
        directory: &dyn Directory,
        superblock: Superblock,
        cache_bytes: usize,
    ) -> Result<(), VolumeError> {
        const CONTEXT: &str = "create the map";
        let io = |error| VolumeError::io(CONTEXT, error);
        let file = open_file(directory, FileRole::MapBeingCreated)?;
        file.set_length(0).map_err(io)?;
        file.sync_data().map_err(io)?;
        let sums = open_file(directory, FileRole::MapSums)?;
        sums.set_length(0).map_err(io)?;
        let sums = PageSums::load(sums).map_err(io)?;
        let map = Self::open_pages(Pages::new(file, Some(sums)), cache_bytes)?;
        map.apply(&Delta::default(), superblock)
    }

    /// Opens the map. `Corrupt`: a page of it that opening takes is not what was written.
    ///
    /// Where that is the fault of `map.sums`, because it is missing or somebody else has opened the map, it is written anew.
    pub(crate) fn open(directory: &dyn Directory, cache_bytes: usize) -> Result<Self, VolumeError> {
        let io = |error| VolumeError::io("read `map.sums`", error);
        let file = open_file(directory, FileRole::Map)?;
        let sums_file = open_file(directory, FileRole::MapSums)?;
        let length_bytes = file.length_bytes().map_err(io)?;
        let open = || {
            let sums = PageSums::load(Arc::clone(&sums_file)).map_err(io)?;
            let covers = sums.covers(length_bytes);
            let pages = Pages::new(Arc::clone(&file), Some(sums));
            Ok::<_, VolumeError>(covers.then(|| Self::open_pages(pages, cache_bytes)))
        };
        match open()? {
            None => tracing::info!("`map.sums` is missing or too short: reading the whole map to write it"),
            Some(Err(error)) if error.kind() == ErrorKind::Corrupt && Self::sums_are_wrong(directory)? => {
                tracing::warn!("`map.sums` does not fit `map.redb`, which is whole: writing it anew");
            }
            Some(opened) => return opened,
        }
        Self::describe(directory)?;
        let sums = PageSums::load(sums_file).map_err(io)?;
        Self::open_pages(Pages::new(file, Some(sums)), cache_bytes)
    }

    /// Opens the map without changing its file: what opening it writes stays in memory.
    pub(crate) fn open_read_only(directory: &dyn Directory, cache_bytes: usize) -> Result<Self, VolumeError> {
        const CONTEXT: &str = "look at `map.sums`";
        let io = |error| VolumeError::io(CONTEXT, error);
        let file = open_file(directory, FileRole::Map)?;
        let has_sums = directory.exists(FileRole::MapSums).map_err(io)?;
        let sums = has_sums.then(|| open_file(directory, FileRole::MapSums)).transpose()?;
        let sums = sums.map(PageSums::load).transpose().map_err(io)?;
        let length_bytes = file.length_bytes().map_err(io)?;
        Self::open_overlay(Pages::new(file, sums.filter(|sums| sums.covers(length_bytes))), cache_bytes)
    }

    /// Writes `map.sums` anew. `Corrupt`, and nothing is changed, unless the store's own checksums prove the map whole.
    pub(crate) fn describe(directory: &dyn Directory) -> Result<(), VolumeError> {
        let file = open_file(directory, FileRole::Map)?;
        if !Self::is_whole(Arc::clone(&file))? {
            return Err(VolumeError::new(ErrorKind::Corrupt, MISMATCH));
        }
        let sums = open_file(directory, FileRole::MapSums)?;
        pages::describe(&*file, &sums).map_err(|error| VolumeError::io("write `map.sums`", error))
    }

    /// Whether it is `map.sums` that is damaged: the map is whole, and yet not what its pages' checksums say.
    pub(crate) fn sums_are_wrong(directory: &dyn Directory) -> Result<bool, VolumeError> {
        let compared =
            Self::open_read_only(directory, DESCRIBING_CACHE_BYTES).and_then(|mut map| map.is_intact());
        match compared {
            Ok(true) => Ok(false),
            Err(error) if error.kind() != ErrorKind::Corrupt => Err(error),
            Ok(false) | Err(_) => Self::is_whole(open_file(directory, FileRole::Map)?),
        }
    }

    /// What the store's own checksums say of the map.
    fn is_whole(file: Arc<dyn File>) -> Result<bool, VolumeError> {
        Self::open_overlay(Pages::new(file, None), DESCRIBING_CACHE_BYTES)?.is_intact()
    }

    fn open_overlay(pages: Pages, cache_bytes: usize) -> Result<Self, VolumeError> {
        let pages = Arc::new(pages);
        Self::open_backend(backend::OverlayBackend::new(Arc::clone(&pages)), pages, cache_bytes)
    }

    pub(super) fn open_pages(pages: Pages, cache_bytes: usize) -> Result<Self, VolumeError> {
        let pages = Arc::new(pages);
        Self::open_backend(backend::FileBackend(Arc::clone(&pages)), pages, cache_bytes)
    }

    fn open_backend(
        backend: impl redb::StorageBackend,
        pages: Arc<Pages>,
        cache_bytes: usize,
    ) -> Result<Self, VolumeError> {
        const CONTEXT: &str = "open the map";
        let mut builder = Database::builder();
        builder.set_cache_size(cache_bytes);
        let database = pages.strictly(|| {
            guarded(CONTEXT, || {
                builder.create_with_backend(backend).map_err(|error| map_error(CONTEXT, error.into()))
            })
        })?;
        Ok(Self { database: Some(database), pages })
    }

    /// Whether every page holds what its checksum says. Reads the whole file; a map that is opened for
    /// writing may be repaired by it.
    pub(crate) fn is_intact(&mut self) -> Result<bool, VolumeError> {
        let database = &mut self.database;
        let verified = guarded("verify the map", || {
            let database = database.as_mut().ok_or_else(is_closed)?;
            database.check_integrity().map_err(|error| map_error("verify the map", error.into()))
        });
        if !matches!(verified, Ok(true)) {
            self.pages.set_damaged();
        }
        Ok(verified? && !self.pages.is_damaged())
    }
}
