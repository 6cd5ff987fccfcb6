//! Writes that join others while the medium is busy with them, for a device that takes them as they come.
//!
//! While writes are under way the device holds locks. So the session then does nothing that could wait: it takes what the client has
//! sent and sends what the client takes at once; a request that is anything but a small write ends the stream and waits for its end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ashlar_volume::{BatchWrite, VolumeError, WriteSource};

use super::{Session, SessionError, Way, reply_to};
use crate::codec::{Command, Request};
use crate::completion::{Completion, Outcome, Ticket, panicked};
use crate::validate::{Operation, Range, validate};

/// The longest write that joins. Longer ones keep the medium busy by themselves.
const JOINING_BYTES_MAX: usize = 16 << 10;

/// A write of the session's batch.
pub(super) struct TakenWrite {
    pub(super) ticket: Ticket,
    pub(super) range: Range,
    pub(super) data: Vec<u8>,
}

/// What a session finds at the beginning of its input.
enum Next {
    /// A write that may join, in a message of so many bytes.
    Write { ticket: Ticket, range: Range, message_bytes: usize },
    /// No complete request.
    Nothing,
    /// Something else.
    Other,
}

/// The writes of a stream: first those of the session's batch, then what comes.
struct Incoming<'a, 'server> {
    session: &'a mut Session<'server>,
    batch: std::vec::IntoIter<TakenWrite>,
    /// The data of the write that was given last, if it is of the batch.
    data: Vec<u8>,
    /// The message of the write that was given last, if it lies in the input.
    message_bytes: usize,
    /// By number; those that have not ended.
    tickets: Vec<Option<Ticket>>,
    takes_more: bool,
    result: Result<(), SessionError>,
}

impl Session<'_> {
    /// Carries out the writes, and such as come meanwhile. All of them are accounted for, even if the connection fails.
    pub(super) fn stream_writes(&mut self, writes: Vec<TakenWrite>) -> Result<(), SessionError> {
        // Later nobody may wait for the client, and replies have to fit the buffer.
        let sent = self.replies.send(&mut self.stream).map_err(SessionError::from);
        let device = Arc::clone(&self.device);
        // In the middle of a long payload what comes is no request, and at the end of the session nothing new is taken.
        let may_take = self.payload.is_none() && !self.handle.is_finishing();
        let takes_more = sent.is_ok() && may_take && device.takes_more_writes() && self.stream.is_plain();
        let mut incoming = Incoming {
            session: self,
            batch: writes.into_iter(),
            data: Vec::new(),
            message_bytes: 0,
            tickets: Vec::new(),
            takes_more,
            result: sent,
        };
        while incoming.batch.len() > 0 {
            let finished = catch_unwind(AssertUnwindSafe(|| device.write_stream(&mut incoming)));
            incoming.account_for_rest(finished.is_err());
        }
        incoming.result
    }

    /// Looks at the next request without carrying it out.
    fn next_write(&mut self) -> Next {
        let style = self.features.style;
        let Ok(request) = Request::decode(style, self.input.pending()) else { return Next::Other };
        let Some(request) = request else {
            self.input.make_room(style.request_bytes());
            return Next::Nothing;
        };
        let length = request.length_bytes as usize;
        if Command::from_wire(request.command) != Some(Command::Write) || length > JOINING_BYTES_MAX {
            return Next::Other;
        }
        let message_bytes = style.request_bytes() + length;
        if self.input.pending().len() < message_bytes {
            self.input.make_room(message_bytes);
            return Next::Nothing;
        }
        self.ticket_of(&request, message_bytes).unwrap_or(Next::Other)
    }

    fn ticket_of(&mut self, request: &Request, message_bytes: usize) -> Option<Next> {
        let payload = &self.input.pending()[self.features.style.request_bytes()..message_bytes];
        let operation = validate(request, payload, self.features, self.device.size_bytes());
        let Ok(Operation::Write { range, durable }) = operation else { return None };
        let Way::Free(reservation) = self.make_way(request) else { return None };
        self.company.note(false);
        let data_bytes = range.length();
        self.jobs.requests += 1;
        self.jobs.data_bytes += data_bytes;
        let (to, offset_bytes) = (reply_to(request), range.offset_bytes);
        let ticket = Ticket::Request { to, offset_bytes, durable, data_bytes, reservation };
        Some(Next::Write { ticket, range, message_bytes })
    }

    /// Sends and receives without waiting; whether something came.
    fn exchange_now(&mut self) -> Result<bool, SessionError> {
        self.replies.send_now(&mut self.stream)?;
        // The end of the stream will be met again.
        let received = self.input.fill_now(&mut self.stream)?.unwrap_or(0);
        self.handle.add_moved(received);
        Ok(received > 0)
    }
}

impl Incoming<'_, '_> {
    /// The next write of the input.
    fn join(&mut self) -> Option<Range> {
        while self.takes_more {
            match self.session.next_write() {
                Next::Write { ticket, range, message_bytes } => {
                    self.message_bytes = message_bytes;
                    self.tickets.push(Some(ticket));
                    return Some(range);
                }
                Next::Other => self.takes_more = false,
                Next::Nothing => match self.session.exchange_now() {
                    Ok(true) => {}
                    Ok(false) => return None,
                    Err(error) => self.fail(error),
                },
            }
        }
        None
    }

    fn fail(&mut self, error: SessionError) {
        self.takes_more = false;
        if self.result.is_ok() {
            self.result = Err(error);
        }
    }

    /// The stream is over: what was taken and has not ended never will.
    fn account_for_rest(&mut self, has_panicked: bool) {
        self.session.input.consume(std::mem::take(&mut self.message_bytes));
        let reason = || {
            if has_panicked { panicked() } else { VolumeError::io("write", std::io::ErrorKind::Other.into()) }
        };
        if has_panicked {
            self.tickets.extend(self.batch.by_ref().map(|write| Some(write.ticket)));
        }
        for number in 0..self.tickets.len() {
            if self.tickets[number].is_some() {
                self.ended(number, Err(reason()));
            }
        }
        self.tickets.clear();
    }
}

impl WriteSource for Incoming<'_, '_> {
    fn next(&mut self) -> Option<BatchWrite<'_>> {
        self.session.input.consume(std::mem::take(&mut self.message_bytes));
        if let Some(TakenWrite { ticket, range, data }) = self.batch.next() {
            self.tickets.push(Some(ticket));
            self.data = data;
            return Some(BatchWrite { offset_bytes: range.offset_bytes, data: &self.data });
        }
        let range = self.join()?;
        let start = self.session.features.style.request_bytes();
        let data = &self.session.input.pending()[start..start + range.length()];
        Some(BatchWrite { offset_bytes: range.offset_bytes, data })
    }

    fn ended(&mut self, number: usize, result: Result<(), VolumeError>) {
        let Some(ticket) = self.tickets.get_mut(number).and_then(Option::take) else { return };
        let completion = Completion { ticket, result: result.map(|()| Outcome::Done) };
        if let Err(error) = self.session.handle_completion(completion) {
            self.fail(error);
        }
    }
}
