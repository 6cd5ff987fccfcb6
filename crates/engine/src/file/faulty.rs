//! A directory on whose files planned faults happen.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use ashlar_volume::fault::{FaultCall, FaultInjector, Strike};
use rustix::io::Errno;

use super::{Directory, File, FileRole};

/// The faults of a pool's files. A rule's place is what a file is for.
pub type FileFaults = FaultInjector<FileRole>;

/// Another directory with faults on the way to its files.
#[derive(Debug)]
pub struct FaultyDirectory {
    inner: Arc<dyn Directory>,
    faults: Arc<FileFaults>,
}

impl FaultyDirectory {
    /// Puts planned faults in front of a directory.
    pub fn new(inner: Arc<dyn Directory>, faults: Arc<FileFaults>) -> Self {
        Self { inner, faults }
    }
}

impl Directory for FaultyDirectory {
    fn exists(&self, role: FileRole) -> io::Result<bool> {
        self.inner.exists(role)
    }

    fn open(&self, role: FileRole) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(FaultyFile { inner: self.inner.open(role)?, role, faults: Arc::clone(&self.faults) }))
    }

    fn rename(&self, from: FileRole, to: FileRole) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn available_bytes(&self) -> io::Result<u64> {
        self.inner.available_bytes()
    }

    fn capacity_bytes(&self) -> io::Result<u64> {
        self.inner.capacity_bytes()
    }
}

#[derive(Debug)]
struct FaultyFile {
    inner: Arc<dyn File>,
    role: FileRole,
    faults: Arc<FileFaults>,
}

impl FaultyFile {
    /// What is to be done to a call; the errors that a fault is are answered already.
    fn strike(&self, call: FaultCall, offset_bytes: u64, length_bytes: u64) -> io::Result<Option<Strike>> {
        let is_here = |place: &FileRole| *place == self.role;
        match self.faults.strike(is_here, call, offset_bytes, length_bytes, u64::MAX) {
            Some(Strike::Error) => Err(Errno::IO.into()),
            Some(Strike::NoSpace) => Err(Errno::NOSPC.into()),
            other => Ok(other),
        }
    }
}

impl File for FaultyFile {
    fn length_bytes(&self) -> io::Result<u64> {
        self.inner.length_bytes()
    }

    fn set_length(&self, length_bytes: u64) -> io::Result<()> {
        match self.strike(FaultCall::Resize, 0, length_bytes)? {
            Some(Strike::Lost) => Ok(()),
            _ => self.inner.set_length(length_bytes),
        }
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        match self.strike(FaultCall::Read, offset_bytes, buffer.len() as u64)? {
            Some(Strike::Misdirected { offset_bytes: other }) => self.inner.read_at(other, buffer),
            Some(Strike::BitFlip { byte, mask }) => {
                self.inner.read_at(offset_bytes, buffer)?;
                Strike::flip(byte, mask, buffer);
                Ok(())
            }
            _ => self.inner.read_at(offset_bytes, buffer),
        }
    }

    fn try_read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<bool> {
        if self.faults.may_pause(|place| *place == self.role) {
            return Ok(false);
        }
        match self.strike(FaultCall::Read, offset_bytes, buffer.len() as u64)? {
            Some(Strike::Misdirected { offset_bytes: other }) => self.inner.try_read_at(other, buffer),
            Some(Strike::BitFlip { byte, mask }) => {
                let is_done = self.inner.try_read_at(offset_bytes, buffer)?;
                Strike::flip(byte, mask, buffer);
                Ok(is_done)
            }
            _ => self.inner.try_read_at(offset_bytes, buffer),
        }
    }

    fn write_at(&self, offset_bytes: u64, data: &[u8]) -> io::Result<()> {
        match self.strike(FaultCall::Write, offset_bytes, data.len() as u64)? {
            Some(Strike::Lost) => Ok(()),
            Some(Strike::Torn { kept_bytes }) => {
                self.inner.write_at(offset_bytes, &data[..kept_bytes.min(data.len())])
            }
            Some(Strike::Misdirected { offset_bytes: other }) => self.inner.write_at(other, data),
            Some(Strike::BitFlip { byte, mask }) => {
                let mut flipped = data.to_vec();
                Strike::flip(byte, mask, &mut flipped);
                self.inner.write_at(offset_bytes, &flipped)
            }
            _ => self.inner.write_at(offset_bytes, data),
        }
    }

    fn begin_write_back(&self, offset_bytes: u64, length_bytes: u64) {
        self.inner.begin_write_back(offset_bytes, length_bytes);
    }

    fn can_write_beside(&self) -> bool {
        self.inner.can_write_beside()
    }

    fn write_beside(&self, offset_bytes: u64, data: &[u8]) -> io::Result<()> {
        match self.strike(FaultCall::Write, offset_bytes, data.len() as u64)? {
            Some(Strike::Lost) => Ok(()),
            // Not in the units of direct transfers.
            Some(Strike::Torn { kept_bytes }) => {
                self.inner.write_at(offset_bytes, &data[..kept_bytes.min(data.len())])
            }
            Some(Strike::Misdirected { offset_bytes: other }) => self.inner.write_beside(other, data),
            Some(Strike::BitFlip { byte, mask }) => {
                let mut flipped = data.to_vec();
                Strike::flip(byte, mask, &mut flipped);
                self.inner.write_beside(offset_bytes, &flipped)
            }
            _ => self.inner.write_beside(offset_bytes, data),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        match self.strike(FaultCall::Sync, 0, 0)? {
            Some(Strike::Lost) => Ok(()),
            _ => self.inner.sync_data(),
        }
    }

    fn punch_hole(&self, offset_bytes: u64, length_bytes: u64) -> io::Result<()> {
        match self.strike(FaultCall::Discard, offset_bytes, length_bytes)? {
            Some(Strike::Lost) => Ok(()),
            Some(Strike::Misdirected { offset_bytes: other }) => self.inner.punch_hole(other, length_bytes),
            _ => self.inner.punch_hole(offset_bytes, length_bytes),
        }
    }

    fn next_allocated(&self, from_bytes: u64, to_bytes: u64) -> io::Result<Option<Range<u64>>> {
        self.inner.next_allocated(from_bytes, to_bytes)
    }
}
