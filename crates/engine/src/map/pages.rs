//! The pages of the map's file, each compared with what was last written to it.
//!
//! The embedded store believes what it reads: a page whose write was lost or misplaced can make it give one page away twice,
//! and end the process. So it is never given such a page.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ThreadId;

use parking_lot::Mutex;

use super::sums::{PAGE_BYTES, PageSums};
use crate::file::{File, FileRole};

/// The map's file behind its checksums.
#[derive(Debug)]
pub(super) struct Pages {
    map: Arc<dyn File>,
    /// `None`: what is read is not compared with anything.
    sums: Option<PageSums>,
    /// Who must not go on with a damaged page.
    strict: Mutex<Option<ThreadId>>,
    is_damaged: AtomicBool,
}

impl Pages {
    pub(super) fn new(map: Arc<dyn File>, sums: Option<PageSums>) -> Self {
        Self { map, sums, strict: Mutex::default(), is_damaged: AtomicBool::new(false) }
    }

    /// Whether something was met that the last writes did not leave there.
    pub(super) fn is_damaged(&self) -> bool {
        self.is_damaged.load(Ordering::Acquire)
    }

    pub(super) fn set_damaged(&self) {
        self.is_damaged.store(true, Ordering::Release);
    }

    /// Runs `body`, to whose reads a damaged page is an error. The store then does no more with the file. Reads of others
    /// get zeroes, which the store can take for no page: what needs the page fails, and all else goes on. `body` must not
    /// unwind, and only one thread at a time may be in here.
    pub(super) fn strictly<T>(&self, body: impl FnOnce() -> T) -> T {
        *self.strict.lock() = Some(std::thread::current().id());
        let result = body();
        *self.strict.lock() = None;
        result
    }

    pub(super) fn length_bytes(&self) -> io::Result<u64> {
        self.map.length_bytes()
    }

    pub(super) fn read(&self, offset_bytes: u64, out: &mut [u8]) -> io::Result<()> {
        self.map.read_at(offset_bytes, out)?;
        let damaged = self.sums.as_ref().and_then(|sums| sums.first_damaged(offset_bytes, out));
        let Some(page) = damaged else { return Ok(()) };
        self.set_damaged();
        let reason = format!(
            "page {page} of `{}` is not what was last written there: a write was lost or misplaced, or the medium \
             has changed it",
            FileRole::Map.file_name()
        );
        tracing::error!("{reason}");
        if *self.strict.lock() == Some(std::thread::current().id()) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        out.fill(0);
        Ok(())
    }

    pub(super) fn write(&self, offset_bytes: u64, data: &[u8]) -> io::Result<()> {
        self.map.write_at(offset_bytes, data)?;
        if let Some(sums) = &self.sums {
            sums.note(offset_bytes, data);
        }
        Ok(())
    }

    pub(super) fn set_length(&self, length_bytes: u64) -> io::Result<()> {
        if let Some(sums) = &self.sums {
            sums.resize(length_bytes)?;
        }
        self.map.set_length(length_bytes)
    }

    /// Makes all writes durable, their checksums first. A crash between the two is harmless: the store never writes to a page
    /// that its last commit needs, so what does not match then is what nobody reads before it is written again.
    pub(super) fn sync(&self) -> io::Result<()> {
        if let Some(sums) = &self.sums {
            sums.sync()?;
        }
        self.map.sync_data()
    }
}

/// Writes the checksums of all pages as they are now, for a map that was seen to be whole.
pub(super) fn describe(map: &dyn File, sums: &Arc<dyn File>) -> io::Result<()> {
    const PIECE_BYTES: u64 = 1 << 20;
    let length_bytes = map.length_bytes()?;
    sums.set_length(0)?;
    let sums = PageSums::load(Arc::clone(sums))?;
    sums.resize(length_bytes)?;
    let mut piece = Vec::new();
    for start in (0..length_bytes).step_by(PIECE_BYTES as usize) {
        piece.resize(PIECE_BYTES.min(length_bytes - start) as usize, 0);
        map.read_at(start, &mut piece)?;
        sums.note(start, &piece);
    }
    debug_assert!(PIECE_BYTES.is_multiple_of(PAGE_BYTES));
    sums.sync()
}
