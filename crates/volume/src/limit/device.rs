//! A device behind a limiter.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use super::queue::LimitedReads;
use super::turns::Turns;
use super::{Limiter, Pace};
use crate::{
    Attempt, BatchRead, BatchWrite, BlockDevice, Extent, ReadQueue, VolumeError, WriteSource, ZeroMode,
};

/// A device whose requests wait for their turn.
///
/// The wait is on the thread that calls [`try_read`](BlockDevice::try_read), [`write`](BlockDevice::write) or
/// [`await_turn`](BlockDevice::await_turn), or that begins a read in a queue, so a disk that is used up holds up its own
/// sessions and no shared worker.
pub struct LimitedDevice {
    inner: Arc<dyn BlockDevice>,
    turns: Arc<Turns>,
}

impl LimitedDevice {
    /// `inner` behind `limiter`.
    #[must_use]
    pub fn new(inner: Arc<dyn BlockDevice>, limiter: Arc<Limiter>, pace: Arc<dyn Pace>) -> Self {
        Self { inner, turns: Arc::new(Turns::new(limiter, pace)) }
    }
}

impl BlockDevice for LimitedDevice {
    fn size_bytes(&self) -> u64 {
        self.inner.size_bytes()
    }

    fn is_read_only(&self) -> bool {
        self.inner.is_read_only()
    }

    fn read(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), VolumeError> {
        self.turns.take_unless_paid(offset_bytes, buffer.len());
        self.inner.read(offset_bytes, buffer)
    }

    fn try_read(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<Attempt, VolumeError> {
        self.turns.take(buffer.len() as u64);
        let attempt = self.inner.try_read(offset_bytes, buffer)?;
        match attempt {
            Attempt::Done => {}
            Attempt::WouldWait => self.turns.note_paid((offset_bytes, buffer.len())),
        }
        Ok(attempt)
    }

    fn read_queue(&self, bell: BorrowedFd<'_>) -> Option<Box<dyn ReadQueue>> {
        let inner = self.inner.read_queue(bell)?;
        Some(Box::new(LimitedReads::new(inner, Arc::clone(&self.turns))))
    }

    fn prefers_batches(&self) -> bool {
        self.inner.prefers_batches()
    }

    fn await_turn(&self, offset_bytes: u64, length_bytes: u64) {
        self.turns.take(length_bytes);
        self.turns.note_paid((offset_bytes, length_bytes as usize));
    }

    fn read_batch(&self, reads: &mut [BatchRead<'_>]) -> Vec<Result<(), VolumeError>> {
        reads.iter().for_each(|read| self.turns.take_unless_paid(read.offset_bytes, read.buffer.len()));
        self.inner.read_batch(reads)
    }

    fn write_stream(&self, source: &mut dyn WriteSource) {
        self.inner.write_stream(&mut Paying { source, turns: &self.turns });
    }

    fn write(&self, offset_bytes: u64, data: &[u8]) -> Result<(), VolumeError> {
        self.turns.take_unless_paid(offset_bytes, data.len());
        self.inner.write(offset_bytes, data)
    }

    fn write_part(&self, offset_bytes: u64, data: &[u8], request_bytes: u64) -> Result<(), VolumeError> {
        if request_bytes > 0 {
            self.turns.take(request_bytes);
        }
        self.inner.write_part(offset_bytes, data, request_bytes)
    }

    fn flush(&self) -> Result<(), VolumeError> {
        self.inner.flush()
    }

    /// A request, but no bytes: it moves none.
    fn discard(&self, offset_bytes: u64, length_bytes: u64) -> Result<(), VolumeError> {
        self.turns.take(0);
        self.inner.discard(offset_bytes, length_bytes)
    }

    fn write_zeroes(&self, offset_bytes: u64, length_bytes: u64, mode: ZeroMode) -> Result<(), VolumeError> {
        self.turns.take(match mode {
            ZeroMode::MayUnmap => 0,
            ZeroMode::KeepAllocated => length_bytes,
        });
        self.inner.write_zeroes(offset_bytes, length_bytes, mode)
    }

    fn extents(
        &self,
        offset_bytes: u64,
        length_bytes: u64,
        extents_max: usize,
    ) -> Result<Vec<Extent>, VolumeError> {
        self.inner.extents(offset_bytes, length_bytes, extents_max)
    }
}

/// Writes that take their turns before they begin. A wait in a stream holds up what is under way: who streams pays beforehand
/// ([`BlockDevice::await_turn`]).
struct Paying<'a> {
    source: &'a mut dyn WriteSource,
    turns: &'a Turns,
}

impl WriteSource for Paying<'_> {
    fn next(&mut self) -> Option<BatchWrite<'_>> {
        let write = self.source.next()?;
        self.turns.take_unless_paid(write.offset_bytes, write.data.len());
        Some(write)
    }

    fn ended(&mut self, number: usize, result: Result<(), VolumeError>) {
        self.source.ended(number, result);
    }
}
