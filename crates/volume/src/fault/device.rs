//! A device on which planned faults happen.

use std::sync::Arc;

use super::{FaultCall, FaultInjector, Strike};
use crate::{Attempt, BlockDevice, ErrorKind, Extent, VolumeError, ZeroMode};

/// Another device with faults on the way to it. A rule's place is the name of a device; `None`: any device.
pub struct FaultyDevice {
    inner: Arc<dyn BlockDevice>,
    name: String,
    faults: Arc<FaultInjector<Option<String>>>,
}

/// What is left to do of a call.
enum Call {
    /// All of it.
    Whole,
    /// Nothing.
    Nothing,
    /// Only the first bytes.
    First(usize),
    /// All of it, elsewhere.
    Elsewhere(u64),
    /// All of it, with a bit flipped.
    Flipped { byte: usize, mask: u8 },
}

impl FaultyDevice {
    /// Puts the faults that are planned for a device of this name in front of it.
    pub fn new(
        inner: Arc<dyn BlockDevice>,
        name: impl Into<String>,
        faults: Arc<FaultInjector<Option<String>>>,
    ) -> Self {
        Self { inner, name: name.into(), faults }
    }

    fn is_here(&self, place: &Option<String>) -> bool {
        place.as_ref().is_none_or(|wanted| *wanted == self.name)
    }

    fn call(&self, call: FaultCall, offset_bytes: u64, length_bytes: u64) -> Result<Call, VolumeError> {
        let limit_bytes = self.inner.size_bytes();
        let struck =
            self.faults.strike(|place| self.is_here(place), call, offset_bytes, length_bytes, limit_bytes);
        let failed = |kind| Err(VolumeError::new(kind, format!("planned fault on `{}`", self.name)));
        match struck {
            None => Ok(Call::Whole),
            Some(Strike::Error) => failed(ErrorKind::Io),
            Some(Strike::NoSpace) => failed(ErrorKind::NoSpace),
            Some(Strike::Lost) => Ok(Call::Nothing),
            Some(Strike::Torn { kept_bytes }) => Ok(Call::First(kept_bytes)),
            Some(Strike::Misdirected { offset_bytes }) => Ok(Call::Elsewhere(offset_bytes)),
            Some(Strike::BitFlip { byte, mask }) => Ok(Call::Flipped { byte, mask }),
        }
    }

    fn discard_range(
        &self,
        offset_bytes: u64,
        length_bytes: u64,
        run: impl FnOnce(u64) -> Result<(), VolumeError>,
    ) -> Result<(), VolumeError> {
        match self.call(FaultCall::Discard, offset_bytes, length_bytes)? {
            Call::Nothing => Ok(()),
            Call::Elsewhere(other) => run(other),
            Call::Whole | Call::First(_) | Call::Flipped { .. } => run(offset_bytes),
        }
    }
}

impl BlockDevice for FaultyDevice {
    fn size_bytes(&self) -> u64 {
        self.inner.size_bytes()
    }

    fn is_read_only(&self) -> bool {
        self.inner.is_read_only()
    }

    fn read(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), VolumeError> {
        match self.call(FaultCall::Read, offset_bytes, buffer.len() as u64)? {
            Call::Elsewhere(other) => self.inner.read(other, buffer),
            Call::Flipped { byte, mask } => {
                self.inner.read(offset_bytes, buffer)?;
                Strike::flip(byte, mask, buffer);
                Ok(())
            }
            Call::Whole | Call::Nothing | Call::First(_) => self.inner.read(offset_bytes, buffer),
        }
    }

    fn try_read(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<Attempt, VolumeError> {
        if self.faults.may_pause(|place| self.is_here(place)) {
            return Ok(Attempt::WouldWait);
        }
        match self.call(FaultCall::Read, offset_bytes, buffer.len() as u64)? {
            Call::Elsewhere(other) => self.inner.try_read(other, buffer),
            Call::Flipped { byte, mask } => {
                let attempt = self.inner.try_read(offset_bytes, buffer)?;
                Strike::flip(byte, mask, buffer);
                Ok(attempt)
            }
            Call::Whole | Call::Nothing | Call::First(_) => self.inner.try_read(offset_bytes, buffer),
        }
    }

    fn prefers_batches(&self) -> bool {
        self.inner.prefers_batches()
    }

    fn write(&self, offset_bytes: u64, data: &[u8]) -> Result<(), VolumeError> {
        match self.call(FaultCall::Write, offset_bytes, data.len() as u64)? {
            Call::Whole => self.inner.write(offset_bytes, data),
            Call::Nothing => Ok(()),
            Call::First(kept_bytes) => self.inner.write(offset_bytes, &data[..kept_bytes.min(data.len())]),
            Call::Elsewhere(other) => self.inner.write(other, data),
            Call::Flipped { byte, mask } => {
                let mut flipped = data.to_vec();
                Strike::flip(byte, mask, &mut flipped);
                self.inner.write(offset_bytes, &flipped)
            }
        }
    }

    fn flush(&self) -> Result<(), VolumeError> {
        match self.call(FaultCall::Sync, 0, 0)? {
            Call::Nothing => Ok(()),
            _ => self.inner.flush(),
        }
    }

    fn discard(&self, offset_bytes: u64, length_bytes: u64) -> Result<(), VolumeError> {
        self.discard_range(offset_bytes, length_bytes, |at| self.inner.discard(at, length_bytes))
    }

    fn write_zeroes(&self, offset_bytes: u64, length_bytes: u64, mode: ZeroMode) -> Result<(), VolumeError> {
        self.discard_range(offset_bytes, length_bytes, |at| self.inner.write_zeroes(at, length_bytes, mode))
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
