//! Requests that wait for a worker, and their way back to the session.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ashlar_volume::{BatchRead, BlockDevice, ErrorKind, VolumeError, ZeroMode};
use parking_lot::Mutex;

use crate::SessionHandle;
use crate::codec::ReplyTo;
use crate::contexts::{ContextSet, Contexts, Descriptors};
use crate::memory::Reservation;
use crate::validate::Range;

/// What is read ahead at a time.
const CACHE_STEP_BYTES: u64 = 128 << 10;
/// How much is read ahead, or written as zeroes, before a worker turns to the next job.
const WRITTEN_STEP_BYTES: u64 = 8 << 20;
/// How much is given back before a worker turns to the next job.
const UNMAPPED_STEP_BYTES: u64 = 8 << 30;

/// What a worker does with the device.
pub(crate) enum Work {
    /// Reads into a buffer that is long enough.
    Read { range: Range, buffer: Vec<u8> },
    /// Writes what the session has no time to wait for.
    Write { range: Range, data: Vec<u8> },
    /// Reads, so that the store has the data at hand.
    Cache { range: Range },
    /// Gives space back.
    Trim { range: Range },
    /// Writes zeroes.
    WriteZeroes { range: Range, mode: ZeroMode },
    /// Looks up what metadata contexts say.
    BlockStatus { range: Range, contexts: Contexts, set: ContextSet, extents_max: usize },
    /// Makes durable.
    Flush,
}

/// Which replies the work is for.
pub(crate) enum Ticket {
    /// One request.
    Request {
        to: ReplyTo,
        /// Where the data of a read begins.
        offset_bytes: u64,
        /// The reply waits for one more flush.
        durable: bool,
        /// Counted against the bytes that may wait.
        data_bytes: usize,
        /// What the data takes of the memory that all sessions share.
        reservation: Option<Reservation>,
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
    /// What the contexts say, by number.
    Statuses(Vec<(u32, Descriptors)>),
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

/// How far one step of a job came.
enum Step {
    Ended(Outcome),
    /// The rest is for later, after the jobs of others.
    More(Work),
}

impl Job {
    /// Does one step of the work, and tells the session when it was the last; what is left is returned. A device that
    /// panics has failed; the session hears of it, too.
    pub(crate) fn run(self) -> Option<Self> {
        let Self { ticket, work, device, completions } = self;
        let step = catch_unwind(AssertUnwindSafe(|| work.step(&*device))).unwrap_or_else(|_| Err(panicked()));
        let result = match step {
            // Nobody waits for the rest.
            Ok(Step::More(_)) if completions.session.is_aborted() => {
                Err(VolumeError::new(ErrorKind::Io, "the session was aborted"))
            }
            Ok(Step::More(work)) => return Some(Self { ticket, work, device, completions }),
            Ok(Step::Ended(outcome)) => Ok(outcome),
            Err(error) => Err(error),
        };
        // Before the session hears of it: afterwards no worker may hold the device.
        drop(device);
        completions.push(Completion { ticket, result });
        None
    }
}

/// Reads that a device is at its best with when it gets them together. The session does it.
pub(crate) struct Batch<'session> {
    pub(crate) jobs: Vec<(Ticket, Work)>,
    pub(crate) device: &'session dyn BlockDevice,
}

impl Batch<'_> {
    /// Does all of it. A device that panics has failed all of it.
    pub(crate) fn run(self) -> impl Iterator<Item = Completion> {
        let Self { jobs, device } = self;
        let (tickets, works): (Vec<Ticket>, Vec<Work>) = jobs.into_iter().unzip();
        let done = catch_unwind(AssertUnwindSafe(|| read_together(works, device)))
            .unwrap_or_else(|_| tickets.iter().map(|_| Err(panicked())).collect());
        tickets.into_iter().zip(done).map(|(ticket, result)| Completion { ticket, result })
    }
}

/// What is told of requests that were with a device when it panicked.
pub(crate) fn panicked() -> VolumeError {
    VolumeError::new(ErrorKind::Io, "the device panicked")
}

fn read_together(mut works: Vec<Work>, device: &dyn BlockDevice) -> Vec<Result<Outcome, VolumeError>> {
    let mut reads = Vec::new();
    for work in &mut works {
        if let Work::Read { range, buffer } = work {
            let buffer = &mut buffer[..range.length_bytes as usize];
            reads.push(BatchRead { offset_bytes: range.offset_bytes, buffer });
        }
    }
    let mut read = device.read_batch(&mut reads).into_iter();
    drop(reads);
    let missing = || Err(VolumeError::new(ErrorKind::Io, "the device left a request out"));
    let outcome = |work| match work {
        Work::Read { buffer, .. } => read.next().unwrap_or_else(missing).map(|()| Outcome::Data(buffer)),
        // Nothing else is read.
        _ => missing().map(|()| Outcome::Done),
    };
    works.into_iter().map(outcome).collect()
}

impl Work {
    /// Whether a device that prefers batches gets it in one.
    pub(crate) const fn joins_batches(&self) -> bool {
        matches!(self, Self::Read { .. } | Self::Write { .. })
    }

    fn step(self, device: &dyn BlockDevice) -> Result<Step, VolumeError> {
        match self {
            Self::Read { range, mut buffer } => {
                device.read(range.offset_bytes, &mut buffer[..range.length_bytes as usize])?;
                Ok(Step::Ended(Outcome::Data(buffer)))
            }
            Self::Write { range, data } => {
                device.write(range.offset_bytes, &data)?;
                Ok(Step::Ended(Outcome::Done))
            }
            Self::Cache { range } => {
                let (now, rest) = range.split(WRITTEN_STEP_BYTES);
                read_ahead(device, now)?;
                Ok(rest.map_or(Step::Ended(Outcome::Done), |range| Step::More(Self::Cache { range })))
            }
            Self::Trim { range } => {
                let (now, rest) = range.split(UNMAPPED_STEP_BYTES);
                device.discard(now.offset_bytes, now.length_bytes)?;
                Ok(rest.map_or(Step::Ended(Outcome::Done), |range| Step::More(Self::Trim { range })))
            }
            Self::WriteZeroes { range, mode } => {
                let step_bytes = match mode {
                    ZeroMode::MayUnmap => UNMAPPED_STEP_BYTES,
                    ZeroMode::KeepAllocated => WRITTEN_STEP_BYTES,
                };
                let (now, rest) = range.split(step_bytes);
                device.write_zeroes(now.offset_bytes, now.length_bytes, mode)?;
                let more = |range| Step::More(Self::WriteZeroes { range, mode });
                Ok(rest.map_or(Step::Ended(Outcome::Done), more))
            }
            Self::BlockStatus { range, contexts, set, extents_max } => {
                let statuses = contexts.describe(set, device, range, extents_max)?;
                Ok(Step::Ended(Outcome::Statuses(statuses)))
            }
            Self::Flush => device.flush().map(|()| Step::Ended(Outcome::Done)),
        }
    }
}

fn read_ahead(device: &dyn BlockDevice, range: Range) -> Result<(), VolumeError> {
    let mut scratch = vec![0; CACHE_STEP_BYTES.min(range.length_bytes) as usize];
    let mut rest = Some(range);
    while let Some((step, more)) = rest.map(|rest| rest.split(CACHE_STEP_BYTES)) {
        device.read(step.offset_bytes, &mut scratch[..step.length_bytes as usize])?;
        rest = more;
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

    /// Adds what the session has done itself, which needs no bell.
    pub(crate) fn add(&self, completions: impl Iterator<Item = Completion>) {
        self.done.lock().extend(completions);
    }

    fn push(&self, completion: Completion) {
        let is_first = {
            let mut done = self.done.lock();
            let was_empty = done.is_empty();
            done.push(completion);
            was_empty
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
