//! Reads: at once where that can be, else in the device's own queue, else by a worker.

use ashlar_volume::{Attempt, BlockDevice, ReadQueue};

use super::{Session, SessionError};
use crate::buffer::PIECE_BYTES;
use crate::codec::ReplyTo;
use crate::completion::{Ticket, Work};
use crate::memory::Reservation;
use crate::session_handle::SessionHandle;
use crate::validate::Range;

/// A read whose reply waits.
pub(super) struct WaitingRead {
    pub(super) to: ReplyTo,
    pub(super) range: Range,
    pub(super) reservation: Option<Reservation>,
}

/// The queue of a session, made when first wanted.
#[derive(Default)]
pub(super) struct Reads {
    queue: Option<Box<dyn ReadQueue>>,
    was_asked_for: bool,
    /// By the queue's number.
    waiting: Vec<Option<WaitingRead>>,
    under_way: usize,
}

impl Reads {
    /// Begins a read; given back where it has to go another way.
    pub(super) fn begin(
        &mut self,
        device: &dyn BlockDevice,
        handle: &SessionHandle,
        read: WaitingRead,
    ) -> Result<(), WaitingRead> {
        if !self.was_asked_for {
            self.was_asked_for = true;
            self.queue = device.read_queue(handle.bell().as_fd());
        }
        let number =
            self.queue.as_mut().and_then(|queue| queue.begin(read.range.offset_bytes, read.range.length()));
        let Some(number) = number else { return Err(read) };
        if self.waiting.len() <= number {
            self.waiting.resize_with(number + 1, || None);
        }
        self.waiting[number] = Some(read);
        self.under_way += 1;
        Ok(())
    }

    /// Whether some are under way.
    pub(super) const fn are_under_way(&self) -> bool {
        self.under_way > 0
    }

    /// Hands over what was begun, and gives what has ended with its bytes, or without where it has to go another way.
    pub(super) fn turn(&mut self, mut ended: impl FnMut(WaitingRead, Option<&[u8]>)) {
        let Self { queue, waiting, under_way, .. } = self;
        if *under_way == 0 {
            return;
        }
        if let Some(queue) = queue {
            queue.turn(&mut |number, bytes| {
                if let Some(read) = waiting.get_mut(number).and_then(Option::take) {
                    *under_way -= 1;
                    ended(read, bytes);
                }
            });
        }
    }
}

/// How a read is answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReadManner {
    /// The reply may have several chunks.
    pub(super) may_fragment: bool,
    /// The session may wait for the medium.
    pub(super) may_wait: bool,
}

impl Session<'_> {
    /// Reads at once what needs no waiting, or whatever may be waited for, in pieces where the reply may have several.
    pub(super) fn read(
        &mut self,
        to: ReplyTo,
        range: Range,
        manner: ReadManner,
        reservation: Option<Reservation>,
    ) -> Result<(), SessionError> {
        let ReadManner { may_fragment, may_wait } = manner;
        if !may_fragment && range.length_bytes > PIECE_BYTES as u64 {
            self.read_later(to, range, reservation);
            return Ok(());
        }
        let mut rest = range;
        while rest.length_bytes > 0 {
            let piece = Range { length_bytes: rest.length_bytes.min(PIECE_BYTES as u64), ..rest };
            let is_last = piece.length_bytes == rest.length_bytes;
            let device = &*self.device;
            let read = |buffer: &mut [u8]| match device.try_read(piece.offset_bytes, buffer) {
                Ok(Attempt::WouldWait) if may_wait => {
                    device.read(piece.offset_bytes, buffer).map(|()| Attempt::Done)
                }
                attempt => attempt,
            };
            match self.replies.data_at_once(to, piece, is_last, may_fragment, &mut self.stream, read)? {
                Ok(Attempt::Done) => {}
                Ok(Attempt::WouldWait) => {
                    self.read_later(to, rest, reservation);
                    return Ok(());
                }
                Err(error) => return self.fail(to, &error),
            }
            rest.offset_bytes += piece.length_bytes;
            rest.length_bytes -= piece.length_bytes;
        }
        Ok(())
    }

    /// Reads what the medium has to be waited for: in the device's own queue, else by a worker.
    fn read_later(&mut self, to: ReplyTo, range: Range, reservation: Option<Reservation>) {
        let read = WaitingRead { to, range, reservation };
        match self.reads.begin(&*self.device, &self.handle, read) {
            Ok(()) => {
                self.jobs.requests += 1;
                self.jobs.data_bytes += range.length();
            }
            Err(read) => self.read_by_worker(read),
        }
    }

    pub(super) fn read_by_worker(&mut self, read: WaitingRead) {
        let WaitingRead { to, range, reservation } = read;
        let data_bytes = range.length();
        let mut buffer = self.jobs.spare_buffers.pop().unwrap_or_default();
        if buffer.len() < data_bytes {
            buffer = vec![0; data_bytes];
        }
        let offset_bytes = range.offset_bytes;
        let ticket = Ticket::Request { to, offset_bytes, durable: false, data_bytes, reservation };
        self.submit(ticket, Work::Read { range, buffer });
    }
}
