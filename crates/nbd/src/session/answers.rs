//! What comes back from workers and from the device's queue, and becomes replies.

use ashlar_volume::VolumeError;

use super::{Session, SessionError};
use crate::completion::{Completion, Outcome, Ticket};

impl Session<'_> {
    /// Answers what workers have finished. All of it is accounted for, even if the connection fails.
    pub(super) fn handle_completions(&mut self) -> Result<(), SessionError> {
        if self.jobs.requests == 0 {
            return Ok(());
        }
        let mut taken = std::mem::take(&mut self.jobs.taken);
        self.completions.take(&mut taken);
        let mut result = self.handle_ended_reads().map(|_| ());
        for completion in taken.drain(..) {
            let answered = self.handle_completion(completion);
            result = result.and(answered);
        }
        self.jobs.taken = taken;
        self.start_flush();
        result
    }

    /// Answers reads that have ended; those that have to go another way begin again with a worker. Whether there
    /// were any.
    pub(super) fn handle_ended_reads(&mut self) -> Result<bool, SessionError> {
        let Self { reads, jobs, replies, stream, .. } = self;
        let (mut result, mut again, mut any) = (Ok(()), Vec::new(), false);
        reads.turn(|read, bytes| {
            jobs.requests -= 1;
            jobs.data_bytes -= read.range.length();
            any = true;
            match bytes {
                Some(bytes) if result.is_ok() => {
                    result = replies.data(read.to, read.range.offset_bytes, bytes, stream);
                }
                Some(_) => {}
                None => again.push(read),
            }
        });
        again.into_iter().for_each(|read| self.read_by_worker(read));
        result?;
        Ok(any)
    }

    pub(super) fn handle_completion(&mut self, completion: Completion) -> Result<(), SessionError> {
        let Completion { ticket, result } = completion;
        match ticket {
            Ticket::Flush => self.answer_flushed(result.map(|_| ())),
            Ticket::Request { to, offset_bytes, durable, data_bytes, reservation } => {
                self.jobs.requests -= 1;
                self.jobs.data_bytes -= data_bytes;
                match result {
                    Ok(Outcome::Done) if durable => self.flush_later(to),
                    Ok(Outcome::Done) => self.replies.success(to, &mut self.stream)?,
                    Ok(Outcome::Data(buffer)) => {
                        let data = &buffer[..data_bytes];
                        self.replies.data(to, offset_bytes, data, &mut self.stream)?;
                        self.keep_buffer(buffer);
                    }
                    Ok(Outcome::Statuses(statuses)) => {
                        self.replies.block_status(to, &statuses, &mut self.stream)?;
                    }
                    Err(error) => self.fail(to, &error)?,
                }
                // The memory is held until the data has been sent, or lies in the reply buffer.
                drop(reservation);
                Ok(())
            }
        }
    }

    fn answer_flushed(&mut self, flushed: Result<(), VolumeError>) -> Result<(), SessionError> {
        let mut waiting = std::mem::take(&mut self.jobs.flushing);
        self.jobs.requests -= waiting.len();
        let mut result = Ok(());
        for to in waiting.drain(..) {
            let answered = match &flushed {
                Ok(()) => self.replies.success(to, &mut self.stream).map_err(SessionError::from),
                Err(error) => self.fail(to, error),
            };
            result = result.and(answered);
        }
        self.jobs.flushing = waiting;
        result
    }

    /// Keeps a small buffer for the next read that waits. Large ones are rare, and go.
    fn keep_buffer(&mut self, buffer: Vec<u8>) {
        const KEPT_MAX: usize = 32;
        const KEPT_BYTES_MAX: usize = 16 << 10;
        if self.jobs.spare_buffers.len() < KEPT_MAX && buffer.len() <= KEPT_BYTES_MAX {
            self.jobs.spare_buffers.push(buffer);
        }
    }
}
