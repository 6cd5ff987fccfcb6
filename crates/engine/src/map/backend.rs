//! What the map's store sees of the medium.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use redb::StorageBackend;

use super::pages::Pages;

/// The store's bytes are the file's.
#[derive(Debug)]
pub(super) struct FileBackend(pub(super) Arc<Pages>);

impl StorageBackend for FileBackend {
    fn len(&self) -> io::Result<u64> {
        self.0.length_bytes()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_length(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}

const PAGE_BYTES: u64 = 4096;

/// The store's bytes are the file's until they are changed; the changes stay in memory.
pub(super) struct OverlayBackend {
    file: Arc<Pages>,
    state: Mutex<Overlay>,
}

#[derive(Default)]
struct Overlay {
    pages: BTreeMap<u64, Box<[u8]>>,
    /// `None`: the length of the file.
    length_bytes: Option<u64>,
}

impl OverlayBackend {
    pub(super) fn new(file: Arc<Pages>) -> Self {
        Self { file, state: Mutex::default() }
    }

    /// The page as it is in the file, zeroes beyond the file's end.
    fn file_page(&self, page: u64) -> io::Result<Box<[u8]>> {
        let mut bytes = vec![0; PAGE_BYTES as usize].into_boxed_slice();
        let start = page * PAGE_BYTES;
        let end = self.file.length_bytes()?.min(start + PAGE_BYTES);
        if start < end {
            self.file.read(start, &mut bytes[..(end - start) as usize])?;
        }
        Ok(bytes)
    }
}

impl fmt::Debug for OverlayBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OverlayBackend").field("file", &self.file).finish_non_exhaustive()
    }
}

impl StorageBackend for OverlayBackend {
    fn len(&self) -> io::Result<u64> {
        self.state.lock().length_bytes.map_or_else(|| self.file.length_bytes(), Ok)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state.lock();
        let mut done = 0;
        while done < out.len() {
            let at = offset + done as u64;
            let within = (at % PAGE_BYTES) as usize;
            let count = (PAGE_BYTES as usize - within).min(out.len() - done);
            let into = &mut out[done..done + count];
            match state.pages.get(&(at / PAGE_BYTES)) {
                Some(page) => into.copy_from_slice(&page[within..within + count]),
                None => into.copy_from_slice(&self.file_page(at / PAGE_BYTES)?[within..within + count]),
            }
            done += count;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.state.lock().length_bytes = Some(len);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state.lock();
        let mut done = 0;
        while done < data.len() {
            let at = offset + done as u64;
            let within = (at % PAGE_BYTES) as usize;
            let count = (PAGE_BYTES as usize - within).min(data.len() - done);
            let page = match state.pages.entry(at / PAGE_BYTES) {
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert(self.file_page(at / PAGE_BYTES)?)
                }
            };
            page[within..within + count].copy_from_slice(&data[done..done + count]);
            done += count;
        }
        Ok(())
    }
}
