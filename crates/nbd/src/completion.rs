//! Requests that wait for a worker, and their way back to the session.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ashlar_volume::{BlockDevice, ErrorKind, Extent, VolumeError, ZeroMode};
use parking_lot::Mutex;

use crate::SessionHandle;
use crate::validate::Range;

/// What a worker does with the device.
pub(crate) enum Work {
    /// Reads into a buffer that is long enough.
    Read { range: Range, buffer: Vec<u8> },
    /// Reads, so that the store has the data at hand.
    Cache { range: Range },
    /// Gives space back.
    Trim { range: Range },
    /// Writes zeroes.
    WriteZeroes { range: Range, mode: ZeroMode },
    /// Looks up extents.
    BlockStatus { range: Range, extents_max: usize },
    /// Makes durable.
    Flush,
}

/// Which replies the work is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ticket {
    /// One request.
    Request {
        cookie: u64,
        /// Where the data of a read begins.
        offset_bytes: u64,
        /// The reply waits for one more flush.
        durable: bool,
        /// Counted against the bytes that may wait.
        data_bytes: usize,
    },
    /// All requests that wait for the flush that is running.
    Flush,
}

/// What came out of the work.
pub(crate) enum Outcome {
    /// It is done.
    Done,
    /// The data of a read: as many bytes of the buffer as the ticket says.
    Data(Vec<u8>),
    /// Extents.
    Extents(Vec<Extent>),
}

/// Work for a worker.
pub(crate) struct Job {
    pub(crate) ticket: Ticket,
    pub(crate) work: Work,
    pub(crate) device: Arc<dyn BlockDevice>,
    pub(crate) completions: Arc<Completions>,
}

/// Work that is done, or failed.
pub(crate) struct Completion {
    pub(crate) ticket: Ticket,
    pub(crate) result: Result<Outcome, VolumeError>,
}

impl Job {
    /// Does the work and tells the session. A device that panics has failed; the session hears of it, too.
    pub(crate) fn run(self) {
        let Self { ticket, work, device, completions } = self;
        let result = catch_unwind(AssertUnwindSafe(|| work.run(&*device)))
            .unwrap_or_else(|_| Err(VolumeError::new(ErrorKind::Io, "the device panicked")));
        // Before the session hears of it: afterwards no worker may hold the device.
        drop(device);
        completions.push(Completion { ticket, result });
    }
}

impl Work {
    fn run(self, device: &dyn BlockDevice) -> Result<Outcome, VolumeError> {
        match self {
            Self::Read { range, mut buffer } => {
                device.read(range.offset_bytes, &mut buffer[..range.length_bytes as usize])?;
                return Ok(Outcome::Data(buffer));
            }
            Self::Cache { range } => read_ahead(device, range)?,
            Self::Trim { range } => device.discard(range.offset_bytes, u64::from(range.length_bytes))?,
            Self::WriteZeroes { range, mode } => {
                device.write_zeroes(range.offset_bytes, u64::from(range.length_bytes), mode)?;
            }
            Self::BlockStatus { range, extents_max } => {
                let length_bytes = u64::from(range.length_bytes);
                return device.extents(range.offset_bytes, length_bytes, extents_max).map(Outcome::Extents);
            }
            Self::Flush => device.flush()?,
        }
        Ok(Outcome::Done)
    }
}

fn read_ahead(device: &dyn BlockDevice, range: Range) -> Result<(), VolumeError> {
    const STEP_BYTES: u64 = 128 << 10;
    let mut scratch = vec![0; STEP_BYTES.min(u64::from(range.length_bytes)) as usize];
    let end = range.offset_bytes + u64::from(range.length_bytes);
    let mut at = range.offset_bytes;
    while at < end {
        let step = STEP_BYTES.min(end - at);
        device.read(at, &mut scratch[..step as usize])?;
        at += step;
    }
    Ok(())
}

/// Completions on their way to one session.
pub(crate) struct Completions {
    done: Mutex<Vec<Completion>>,
    session: SessionHandle,
}

impl Completions {
    pub(crate) fn new(session: SessionHandle) -> Arc<Self> {
        Arc::new(Self { done: Mutex::default(), session })
    }

    fn push(&self, completion: Completion) {
        let is_first = {
            let mut done = self.done.lock();
            done.push(completion);
            done.len() == 1
        };
        // Later ones are found together with the first.
        if is_first {
            self.session.bell().ring();
        }
    }

    /// Moves all completions to `into`, which must be empty.
    pub(crate) fn take(&self, into: &mut Vec<Completion>) {
        debug_assert!(into.is_empty(), "completions would be mixed up");
        std::mem::swap(&mut *self.done.lock(), into);
    }
}
