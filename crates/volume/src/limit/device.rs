//! A device behind a limiter.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Limiter, Pace};
use crate::{BatchRead, BatchWrite, BlockDevice, Extent, ReadAttempt, VolumeError, ZeroMode};

/// Reads and writes that took their turn and then had to be left to a thread that may wait. More than sessions can have in
/// flight; beyond, what a session that went away left behind is forgotten.
const PAID_MAX: usize = 4096;

/// A device whose requests wait for their turn.
///
/// The wait is on the thread that calls [`try_read`](BlockDevice::try_read), [`write`](BlockDevice::write) or
/// [`await_turn`](BlockDevice::await_turn), so a disk that is used up holds up its own sessions and no shared worker.
pub struct LimitedDevice {
    inner: Arc<dyn BlockDevice>,
    limiter: Arc<Limiter>,
    pace: Arc<dyn Pace>,
    paid: Mutex<HashMap<(u64, usize), u32>>,
}

impl LimitedDevice {
    /// `inner` behind `limiter`.
    #[must_use]
    pub fn new(inner: Arc<dyn BlockDevice>, limiter: Arc<Limiter>, pace: Arc<dyn Pace>) -> Self {
        Self { inner, limiter, pace, paid: Mutex::default() }
    }

    fn take_turn(&self, length_bytes: u64) {
        let now_ns = self.pace.now_ns();
        let turn_ns = self.limiter.reserve(length_bytes, now_ns);
        if turn_ns > now_ns {
            self.pace.wait_until(turn_ns);
        }
    }

    fn take_turn_unless_paid(&self, offset_bytes: u64, length: usize) {
        if !self.was_paid((offset_bytes, length)) {
            self.take_turn(length as u64);
        }
    }

    fn note_paid(&self, read: (u64, usize)) {
        let mut paid = self.paid.lock();
        if paid.len() >= PAID_MAX {
            paid.clear();
        }
        *paid.entry(read).or_default() += 1;
    }

    fn was_paid(&self, read: (u64, usize)) -> bool {
        let mut paid = self.paid.lock();
        let Some(count) = paid.get_mut(&read) else { return false };
        *count -= 1;
        if *count == 0 {
            paid.remove(&read);
        }
        true
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
        self.take_turn_unless_paid(offset_bytes, buffer.len());
        self.inner.read(offset_bytes, buffer)
    }

    fn try_read(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<ReadAttempt, VolumeError> {
        self.take_turn(buffer.len() as u64);
        let attempt = self.inner.try_read(offset_bytes, buffer)?;
        match attempt {
            ReadAttempt::Done => {}
            ReadAttempt::WouldWait => self.note_paid((offset_bytes, buffer.len())),
        }
        Ok(attempt)
    }

    fn prefers_batches(&self) -> bool {
        self.inner.prefers_batches()
    }

    fn await_turn(&self, offset_bytes: u64, length_bytes: u64) {
        self.take_turn(length_bytes);
        self.note_paid((offset_bytes, length_bytes as usize));
    }

    fn read_batch(&self, reads: &mut [BatchRead<'_>]) -> Vec<Result<(), VolumeError>> {
        reads.iter().for_each(|read| self.take_turn_unless_paid(read.offset_bytes, read.buffer.len()));
        self.inner.read_batch(reads)
    }

    fn write_batch(&self, writes: &[BatchWrite<'_>]) -> Vec<Result<(), VolumeError>> {
        writes.iter().for_each(|write| self.take_turn_unless_paid(write.offset_bytes, write.data.len()));
        self.inner.write_batch(writes)
    }

    fn write(&self, offset_bytes: u64, data: &[u8]) -> Result<(), VolumeError> {
        self.take_turn_unless_paid(offset_bytes, data.len());
        self.inner.write(offset_bytes, data)
    }

    fn write_part(&self, offset_bytes: u64, data: &[u8], request_bytes: u64) -> Result<(), VolumeError> {
        if request_bytes > 0 {
            self.take_turn(request_bytes);
        }
        self.inner.write_part(offset_bytes, data, request_bytes)
    }

    fn flush(&self) -> Result<(), VolumeError> {
        self.inner.flush()
    }

    /// A request, but no bytes: it moves none.
    fn discard(&self, offset_bytes: u64, length_bytes: u64) -> Result<(), VolumeError> {
        self.take_turn(0);
        self.inner.discard(offset_bytes, length_bytes)
    }

    fn write_zeroes(&self, offset_bytes: u64, length_bytes: u64, mode: ZeroMode) -> Result<(), VolumeError> {
        self.take_turn(match mode {
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
