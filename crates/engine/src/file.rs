//! The only way to the medium: a pool sees one [`Directory`] with a handful of [`File`]s.
//!
//! Two implementations: `real` (system calls) and [`simulated`] (a disk that loses power). [`FaultyDirectory`] puts
//! planned faults in front of either. Everything above
//! is the same code on both.

use std::fmt;
use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

mod beside;
mod direct;
mod faulty;
pub(crate) mod read_ring;
mod real;
mod ring;
pub mod simulated;

pub use faulty::{FaultyDirectory, FileFaults};
pub(crate) use real::RealDirectory;

/// What a file of the pool is for; also decides its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileRole {
    /// The chunks: the bytes of all volumes.
    Data,
    /// The records of committed changes that the map does not hold yet.
    Journal,
    /// The checkpoint of all metadata.
    Map,
    /// A map that is being created. It becomes [`FileRole::Map`] when it is complete.
    MapBeingCreated,
    /// The checksums of the map's pages.
    MapSums,
    /// The wrapped data keys of encrypted volumes.
    Keys,
}

impl FileRole {
    /// The name of the file in the pool's directory.
    #[must_use]
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Journal => "journal",
            Self::Map => "map.redb",
            Self::MapBeingCreated => "map.redb.new",
            Self::MapSums => "map.sums",
            Self::Keys => "keys",
        }
    }
}

/// The directory of one pool.
pub trait Directory: Send + Sync + fmt::Debug {
    /// Whether the file exists.
    fn exists(&self, role: FileRole) -> io::Result<bool>;

    /// Opens the file for reading and writing; creates it empty where it is missing.
    fn open(&self, role: FileRole) -> io::Result<Arc<dyn File>>;

    /// Gives a file the name of another role, in place of what had it. Atomic, and durable when it returns.
    fn rename(&self, from: FileRole, to: FileRole) -> io::Result<()>;

    /// Bytes that the file system below can still give.
    fn available_bytes(&self) -> io::Result<u64>;

    /// Bytes of the whole file system below, free or taken by whomever.
    fn capacity_bytes(&self) -> io::Result<u64>;
}

/// A range of a file to be read.
#[derive(Debug)]
pub struct Part<'a> {
    /// Where it begins.
    pub offset_bytes: u64,
    /// Where it goes.
    pub buffer: &'a mut [u8],
}

/// Writes of one thread that are under way while it prepares others.
pub trait WriteQueue {
    /// Begins to write some of the data's bytes, which are copied; `false`: it is too long, or there is no room before others have
    /// ended. `number` is free: no write that is under way has it.
    fn begin(&mut self, number: usize, offset_bytes: u64, data: &[u8]) -> bool;

    /// Hands over what was begun, and says what has ended: their numbers, and whether all bytes were written. Waits for nothing, or
    /// until at least one has ended if any are under way.
    fn turn(&mut self, waits: bool, ended: &mut dyn FnMut(usize, io::Result<()>));
}

/// Writes that a medium without a queue has under way.
const DEFERRED_MAX: usize = 64;

/// A queue of a medium that has none: what was begun is written when it is waited for, or one by one, the newest first, because no order
/// is promised.
struct Deferred<'a> {
    file: &'a dyn File,
    begun: Vec<(usize, u64, Vec<u8>)>,
}

/// The medium's queue of writes, or one for a medium that has none.
pub(crate) fn write_queue(file: &dyn File) -> Box<dyn WriteQueue + '_> {
    file.write_queue().unwrap_or_else(|| Box::new(Deferred { file, begun: Vec::new() }))
}

impl WriteQueue for Deferred<'_> {
    fn begin(&mut self, number: usize, offset_bytes: u64, data: &[u8]) -> bool {
        let has_room = self.begun.len() < DEFERRED_MAX;
        if has_room {
            self.begun.push((number, offset_bytes, data.to_vec()));
        }
        has_room
    }

    fn turn(&mut self, waits: bool, ended: &mut dyn FnMut(usize, io::Result<()>)) {
        while let Some((number, offset_bytes, data)) = self.begun.pop() {
            ended(number, self.file.write_at(offset_bytes, &data));
            if !waits {
                return;
            }
        }
    }
}

/// One file of a pool. Calls may come from many threads at once.
pub trait File: Send + Sync + fmt::Debug {
    /// The length in bytes.
    fn length_bytes(&self) -> io::Result<u64>;

    /// Cuts the file or extends it with a hole.
    fn set_length(&self, length_bytes: u64) -> io::Result<()>;

    /// Fills the buffer. `UnexpectedEof` where the file ends before it.
    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Like [`read_at`](Self::read_at) if the bytes are in memory; otherwise `false`, and the buffer's content
    /// is unspecified.
    fn try_read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<bool>;

    /// The file of the system below, for whoever has reads of it under way beside each other; `None` where there is none.
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Fills several buffers, all at once where the medium can do that. After an error all of them are unspecified.
    fn read_parts(&self, parts: &mut [Part<'_>]) -> io::Result<()> {
        parts.iter_mut().try_for_each(|part| self.read_at(part.offset_bytes, part.buffer))
    }

    /// Writes several ranges that do not overlap, all at once where the medium can do that. After an error any of them may
    /// be written.
    fn write_parts(&self, parts: &[(u64, &[u8])]) -> io::Result<()> {
        parts.iter().try_for_each(|(offset_bytes, data)| self.write_at(*offset_bytes, data))
    }

    /// A queue of writes over bytes that the file has, for the calling thread; `None` where the medium has none. Dropping it waits
    /// for those under way.
    fn write_queue(&self) -> Option<Box<dyn WriteQueue + '_>> {
        None
    }

    /// Writes all bytes; extends the file where needed.
    fn write_at(&self, offset_bytes: u64, data: &[u8]) -> io::Result<()>;

    /// Whether the medium can [`write_beside`](Self::write_beside).
    fn can_write_beside(&self) -> bool {
        false
    }

    /// Writes over bytes that are durable, past every cache of the system, so that the next sync of any file of the directory
    /// makes them durable, too. Until then they are kept or lost like any others.
    fn write_beside(&self, offset_bytes: u64, data: &[u8]) -> io::Result<()> {
        let _ = (offset_bytes, data);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Lets the system begin to write a range out of its cache, where it has one. A hint: nothing is waited for.
    fn begin_write_back(&self, offset_bytes: u64, length_bytes: u64) {
        let _ = (offset_bytes, length_bytes);
    }

    /// Makes everything durable that was written before, with the length.
    fn sync_data(&self) -> io::Result<()>;

    /// Gives the space of the range back; it reads as zeroes. The length stays.
    fn punch_hole(&self, offset_bytes: u64, length_bytes: u64) -> io::Result<()>;

    /// The first allocated range that ends after `from_bytes`, clipped to begin there, if it begins before
    /// `to_bytes`.
    fn next_allocated(&self, from_bytes: u64, to_bytes: u64) -> io::Result<Option<Range<u64>>>;
}
