//! The transmission phase of one connection.
//!
//! One turn of the loop: receive what there is, carry out every complete request in it, take what workers
//! have finished, send all replies with one call. A request is either answered in its turn or becomes a job
//! for a worker. Requests that change data by a payload are carried out here; the only waiting here is that
//! of the page cache. While no job is out, a turn is two system calls beside those of the device and of
//! [patience](crate::patience).

mod reply;

use std::fmt;
use std::io;
use std::sync::Arc;

use ashlar_volume::{BlockDevice, ReadAttempt, VolumeError};

use crate::NbdLimits;
use crate::buffer::{PIECE_BYTES, ReceiveBuffer};
use crate::codec::{Command, ProtocolError, REQUEST_BYTES, Request};
use crate::completion::{Completion, Completions, Job, Outcome, Ticket, Work};
use crate::errno::CommandError;
use crate::features::Features;
use crate::session_handle::SessionHandle;
use crate::socket::wait;
use crate::validate::{Operation, Range, validate};
use crate::workers::Workers;

use reply::Replies;

/// The most extents in one reply. The client asks again for what is left.
const EXTENTS_MAX: usize = 1024;

/// Why a session ended before its time.
#[derive(Debug)]
pub(crate) enum SessionError {
    /// The client broke the protocol.
    Protocol(ProtocolError),
    /// The connection failed.
    Connection(io::Error),
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(error) => write!(f, "protocol error: {error}"),
            Self::Connection(error) => write!(f, "connection failed: {error}"),
        }
    }
}

impl From<ProtocolError> for SessionError {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

impl From<io::Error> for SessionError {
    fn from(error: io::Error) -> Self {
        Self::Connection(error)
    }
}

/// One connection in the transmission phase.
pub(crate) struct Session<'server> {
    handle: SessionHandle,
    export: &'server str,
    device: Arc<dyn BlockDevice>,
    features: Features,
    limits: &'server NbdLimits,
    workers: &'server Workers,
    input: ReceiveBuffer,
    replies: Replies,
    completions: Arc<Completions>,
    jobs: Jobs,
}

/// What is with the workers.
#[derive(Default)]
struct Jobs {
    /// Requests whose replies wait for workers.
    requests: usize,
    /// The data that they hold.
    data_bytes: usize,
    /// Requests that the running flush answers. Empty exactly while no flush runs.
    flushing: Vec<u64>,
    /// Requests for the next flush. One flush of a session runs at a time and answers all that came before
    /// it: a client that flushes much keeps one worker busy, not all.
    flush_next: Vec<u64>,
    /// Completions being handled; kept for its memory.
    taken: Vec<Completion>,
    /// Buffers of reads that are done, for the next ones.
    spare_buffers: Vec<Vec<u8>>,
}

/// What a turn found in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    /// Everything complete has been carried out.
    Exhausted,
    /// As many requests wait for workers as may.
    Blocked,
    /// The client has said goodbye.
    Disconnect,
}

impl<'server> Session<'server> {
    pub(crate) fn new(
        handle: SessionHandle,
        export: &'server str,
        device: Arc<dyn BlockDevice>,
        features: Features,
        limits: &'server NbdLimits,
        workers: &'server Workers,
    ) -> Self {
        Self {
            export,
            device,
            features,
            limits,
            workers,
            input: ReceiveBuffer::new(),
            replies: Replies::new(features.structured_replies),
            completions: Completions::new(handle.clone()),
            jobs: Jobs::default(),
            handle,
        }
    }

    /// Serves until the client or the server ends the session. No worker holds the device when it returns.
    pub(crate) fn run(mut self) -> Result<(), SessionError> {
        let served = self.serve();
        let drained = self.drain();
        served.and(drained)
    }

    fn serve(&mut self) -> Result<(), SessionError> {
        loop {
            let input = self.handle_input()?;
            self.start_flush();
            self.handle_completions()?;
            self.replies.send(self.handle.socket())?;
            let is_over = input == Input::Disconnect || self.handle.is_finishing();
            if is_over && input != Input::Blocked {
                return Ok(());
            }
            if !self.wait_for_input(input)? {
                return Ok(());
            }
        }
    }

    /// Answers what is with the workers. A connection that fails meanwhile does not spare the waiting.
    fn drain(&mut self) -> Result<(), SessionError> {
        let mut result = Ok(());
        loop {
            self.start_flush();
            // Before waiting: whoever came here may have heard the bell and not looked what it rang for.
            let sent = self.handle_completions();
            result = result.and(sent);
            if self.jobs.requests == 0 {
                break;
            }
            wait(self.handle.socket(), self.handle.bell(), false)?;
        }
        result.and_then(|()| Ok(self.replies.send(self.handle.socket())?))
    }

    /// Waits for bytes or completions. False at the end of the stream.
    fn wait_for_input(&mut self, input: Input) -> Result<bool, SessionError> {
        let socket = self.handle.socket();
        if self.jobs.requests > 0 && !wait(socket, self.handle.bell(), input != Input::Blocked)? {
            return Ok(true);
        }
        if input == Input::Blocked {
            // What blocked it has been answered, and the client may be waiting for what was held back.
            return Ok(true);
        }
        if self.input.fill(socket)? > 0 {
            return Ok(true);
        }
        let in_good_order = self.input.pending().is_empty() || self.handle.is_finishing();
        if in_good_order { Ok(false) } else { Err(ProtocolError::Truncated.into()) }
    }

    /// Carries out every complete request that was received.
    fn handle_input(&mut self) -> Result<Input, SessionError> {
        loop {
            let Some(header) = self.input.pending().first_chunk::<REQUEST_BYTES>() else {
                self.input.make_room(REQUEST_BYTES);
                return Ok(Input::Exhausted);
            };
            let request = Request::decode(header)?;
            let message_bytes = REQUEST_BYTES + request.payload_bytes()?;
            if self.input.pending().len() < message_bytes {
                self.input.make_room(message_bytes);
                return Ok(Input::Exhausted);
            }
            if Command::from_wire(request.command) == Some(Command::Disconnect) {
                return Ok(Input::Disconnect);
            }
            if self.is_blocked(&request) {
                return Ok(Input::Blocked);
            }
            self.handle_request(&request)?;
            self.input.consume(message_bytes);
        }
    }

    /// Whether carrying out `request` could exceed what one connection may have waiting.
    fn is_blocked(&self, request: &Request) -> bool {
        let holds_data = Command::from_wire(request.command) == Some(Command::Read);
        let data_bytes = if holds_data { request.length_bytes as usize } else { 0 };
        self.jobs.requests > 0
            && (self.jobs.requests >= self.limits.waiting_requests_max
                || self.jobs.data_bytes.saturating_add(data_bytes) > self.limits.waiting_bytes_max)
    }

    fn handle_request(&mut self, request: &Request) -> Result<(), SessionError> {
        let cookie = request.cookie;
        let operation = match validate(request, self.features, self.device.size_bytes()) {
            Ok(operation) => operation,
            Err(error) => {
                tracing::debug!(export = self.export, %error.message, "request refused");
                return self.refuse(cookie, &error);
            }
        };
        let job = |durable| Ticket::Request { cookie, offset_bytes: 0, durable, data_bytes: 0 };
        match operation {
            Operation::Read { range, may_fragment } => return self.read(cookie, range, may_fragment),
            Operation::Write { range, durable } => return self.write(cookie, range, durable),
            Operation::Flush => self.flush_later(cookie),
            Operation::Trim { range, durable } => self.submit(job(durable), Work::Trim { range }),
            Operation::Cache { range } => self.submit(job(false), Work::Cache { range }),
            Operation::WriteZeroes { range, mode, durable } => {
                self.submit(job(durable), Work::WriteZeroes { range, mode });
            }
            Operation::BlockStatus { range, only_one } => {
                let extents_max = if only_one { 1 } else { EXTENTS_MAX };
                self.submit(job(false), Work::BlockStatus { range, extents_max });
            }
        }
        Ok(())
    }

    /// Reads at once what needs no waiting, in pieces where the reply may have several.
    fn read(&mut self, cookie: u64, range: Range, may_fragment: bool) -> Result<(), SessionError> {
        if !may_fragment && range.length_bytes as usize > PIECE_BYTES {
            self.read_later(cookie, range);
            return Ok(());
        }
        let mut rest = range;
        while rest.length_bytes > 0 {
            let piece = Range { length_bytes: rest.length_bytes.min(PIECE_BYTES as u32), ..rest };
            let is_last = piece.length_bytes == rest.length_bytes;
            let device = &*self.device;
            let read = |buffer: &mut [u8]| device.try_read(piece.offset_bytes, buffer);
            let socket = self.handle.socket();
            match self.replies.data_at_once(cookie, piece, is_last, may_fragment, socket, read)? {
                Ok(ReadAttempt::Done) => {}
                Ok(ReadAttempt::WouldWait) => {
                    self.read_later(cookie, rest);
                    return Ok(());
                }
                Err(error) => return self.fail(cookie, &error),
            }
            rest.offset_bytes += u64::from(piece.length_bytes);
            rest.length_bytes -= piece.length_bytes;
        }
        Ok(())
    }

    fn read_later(&mut self, cookie: u64, range: Range) {
        let data_bytes = range.length_bytes as usize;
        let mut buffer = self.jobs.spare_buffers.pop().unwrap_or_default();
        if buffer.len() < data_bytes {
            buffer = vec![0; data_bytes];
        }
        let ticket = Ticket::Request { cookie, offset_bytes: range.offset_bytes, durable: false, data_bytes };
        self.submit(ticket, Work::Read { range, buffer });
    }

    fn write(&mut self, cookie: u64, range: Range, durable: bool) -> Result<(), SessionError> {
        let payload = &self.input.pending()[REQUEST_BYTES..REQUEST_BYTES + range.length_bytes as usize];
        match self.device.write(range.offset_bytes, payload) {
            Ok(()) if durable => self.flush_later(cookie),
            Ok(()) => self.replies.success(cookie, self.handle.socket())?,
            Err(error) => self.fail(cookie, &error)?,
        }
        Ok(())
    }

    fn flush_later(&mut self, cookie: u64) {
        self.jobs.requests += 1;
        self.jobs.flush_next.push(cookie);
    }

    /// Starts a flush for all requests that want one, unless one is running.
    fn start_flush(&mut self) {
        if self.jobs.flushing.is_empty() && !self.jobs.flush_next.is_empty() {
            std::mem::swap(&mut self.jobs.flushing, &mut self.jobs.flush_next);
            self.send_to_worker(Ticket::Flush, Work::Flush);
        }
    }

    fn submit(&mut self, ticket: Ticket, work: Work) {
        self.jobs.requests += 1;
        if let Ticket::Request { data_bytes, .. } = ticket {
            self.jobs.data_bytes += data_bytes;
        }
        self.send_to_worker(ticket, work);
    }

    fn send_to_worker(&self, ticket: Ticket, work: Work) {
        let (device, completions) = (Arc::clone(&self.device), Arc::clone(&self.completions));
        self.workers.submit(Job { ticket, work, device, completions });
    }

    /// Answers what workers have finished. All of it is accounted for, even if the connection fails.
    fn handle_completions(&mut self) -> Result<(), SessionError> {
        if self.jobs.requests == 0 {
            return Ok(());
        }
        let mut taken = std::mem::take(&mut self.jobs.taken);
        self.completions.take(&mut taken);
        let mut result = Ok(());
        for completion in taken.drain(..) {
            let answered = self.handle_completion(completion);
            result = result.and(answered);
        }
        self.jobs.taken = taken;
        self.start_flush();
        result
    }

    fn handle_completion(&mut self, completion: Completion) -> Result<(), SessionError> {
        let Completion { ticket, result } = completion;
        match ticket {
            Ticket::Flush => self.answer_flushed(result.map(|_| ())),
            Ticket::Request { cookie, offset_bytes, durable, data_bytes } => {
                self.jobs.requests -= 1;
                self.jobs.data_bytes -= data_bytes;
                match result {
                    Ok(Outcome::Done) if durable => self.flush_later(cookie),
                    Ok(Outcome::Done) => self.replies.success(cookie, self.handle.socket())?,
                    Ok(Outcome::Data(buffer)) => {
                        let data = &buffer[..data_bytes];
                        self.replies.data(cookie, offset_bytes, data, self.handle.socket())?;
                        self.keep_buffer(buffer);
                    }
                    Ok(Outcome::Extents(extents)) => {
                        self.replies.block_status(cookie, &extents, self.handle.socket())?;
                    }
                    Err(error) => self.fail(cookie, &error)?,
                }
                Ok(())
            }
        }
    }

    fn answer_flushed(&mut self, flushed: Result<(), VolumeError>) -> Result<(), SessionError> {
        let mut cookies = std::mem::take(&mut self.jobs.flushing);
        self.jobs.requests -= cookies.len();
        let mut result = Ok(());
        for cookie in cookies.drain(..) {
            let answered = match &flushed {
                Ok(()) => self.replies.success(cookie, self.handle.socket()).map_err(SessionError::from),
                Err(error) => self.fail(cookie, error),
            };
            result = result.and(answered);
        }
        self.jobs.flushing = cookies;
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

    /// Answers with an error of the device, which the operator hears of, too.
    fn fail(&mut self, cookie: u64, error: &VolumeError) -> Result<(), SessionError> {
        tracing::warn!(export = self.export, kind = ?error.kind(), %error, "request failed");
        self.refuse(cookie, &CommandError::from(error))
    }

    fn refuse(&mut self, cookie: u64, error: &CommandError) -> Result<(), SessionError> {
        Ok(self.replies.error(cookie, error, self.handle.socket())?)
    }
}
