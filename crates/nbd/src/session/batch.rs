//! Reads and writes that a session carries out together, for a device that prefers that; see `stream` for writes.

use super::stream::TakenWrite;
use super::{Input, Session, SessionError};
use crate::completion::{Batch, Work};

/// How often a session looks in vain for more of a batch: some microseconds, where the medium takes a hundred.
const LOOKS_FOR_MORE: u32 = 8;

impl Session<'_> {
    /// Receives more as long as it comes, if the batch is smaller than the one before: whoever answers many requests at once gets
    /// the next ones one by one, and a batch of the first would keep the rest waiting.
    pub(super) fn gather(&mut self, mut input: Input) -> Result<Input, SessionError> {
        let mut looks = 0;
        while input == Input::Exhausted
            && (1..self.jobs.last_batch).contains(&self.jobs.batch.len())
            && looks < LOOKS_FOR_MORE
        {
            // The end of the stream will be met again.
            if self.input.fill_now(&mut self.stream)?.is_some_and(|received| received > 0) {
                looks = 0;
                input = self.handle_input()?;
            } else {
                looks += 1;
                std::thread::yield_now();
            }
        }
        Ok(input)
    }

    /// Carries out the batch of this turn. The session itself waits for the medium: to hand the batch to a worker and be woken
    /// costs more than what could be received meanwhile is worth.
    pub(super) fn run_batch(&mut self) -> Result<(), SessionError> {
        if self.jobs.batch.is_empty() {
            return Ok(());
        }
        self.jobs.last_batch = self.jobs.batch.len();
        let (mut writes, mut reads) = (Vec::new(), Vec::new());
        for (ticket, work) in self.jobs.batch.drain(..) {
            match work {
                Work::Write { range, data } => writes.push(TakenWrite { ticket, range, data }),
                work => reads.push((ticket, work)),
            }
        }
        let written = if writes.is_empty() { Ok(()) } else { self.stream_writes(writes) };
        if !reads.is_empty() {
            self.completions.add(Batch { jobs: reads, device: &*self.device }.run());
        }
        written
    }
}
