//! The transmission phase of one connection.
//!
//! One turn of the loop: receive what there is, carry out every complete request in it, take what workers
//! have finished, send all replies with one call. A request is either answered in its turn or becomes a job
//! for a worker. Requests that change data by a payload are carried out here; the only waiting here is that
//! of the page cache, of a batch for a device that prefers batches, and for a client that has one request out at a time
//! ([company]) that of its reads. While no job is out, a turn is two system calls beside those of the device and of
//! [patience](crate::patience). A turn that carried out a batch waits for nothing: more may have come meanwhile.

mod answers;
mod batch;
mod company;
mod payload;
mod reads;
mod reply;
mod stream;

use std::fmt;
use std::io;
use std::sync::Arc;

use ashlar_volume::{Attempt, BlockDevice, VolumeError};

use crate::NbdLimits;
use crate::buffer::{RECEIVE_BYTES, ReceiveBuffer};
use crate::codec::{Command, ProtocolError, ReplyTo, Request};
use crate::completion::{Completion, Completions, Job, Ticket, Work};
use crate::contexts::Contexts;
use crate::errno::CommandError;
use crate::features::Features;
use crate::memory::{Memory, Reservation, SHARE_BYTES};
use crate::patience::{Lookout, Patience};
use crate::session_handle::SessionHandle;
use crate::socket::wait;
use crate::stream::Stream;
use crate::validate::{Operation, Range, validate};
use crate::workers::Workers;

use company::Company;
use payload::{PART_BYTES, Payload};
use reads::{ReadManner, Reads};
use reply::Replies;

/// The most extents of one context in one reply. The client asks again for what is left.
const EXTENTS_MAX: usize = 1024;

/// So many replies are sent before the turn is over: the client makes its next requests of them while the session is busy with
/// the rest. Random writes at depth 32 gain 7 %, and no more with 8 or 4.
const REPLIES_PER_SEND: usize = 16;

/// Why a session ended before its time.
#[derive(Debug)]
pub(crate) enum SessionError {
    /// The client broke the protocol.
    Protocol(ProtocolError),
    /// The connection failed.
    Connection(io::Error),
    /// TLS could not be begun.
    Tls(String),
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(error) => write!(f, "protocol error: {error}"),
            Self::Connection(error) => write!(f, "connection failed: {error}"),
            Self::Tls(text) => f.write_str(text),
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

/// What a session serves.
pub(crate) struct Served<'server> {
    pub(crate) export: &'server str,
    pub(crate) device: Arc<dyn BlockDevice>,
    pub(crate) features: Features,
    pub(crate) contexts: Contexts,
}

/// What all sessions of a server share.
#[derive(Clone, Copy)]
pub(crate) struct Shared<'server> {
    pub(crate) limits: &'server NbdLimits,
    pub(crate) workers: &'server Workers,
    pub(crate) memory: &'server Memory,
    pub(crate) lookout: &'server Lookout,
}

/// One connection in the transmission phase.
pub(crate) struct Session<'server> {
    handle: SessionHandle,
    stream: Stream,
    export: &'server str,
    device: Arc<dyn BlockDevice>,
    /// Asked once: it never changes.
    prefers_batches: bool,
    features: Features,
    contexts: Contexts,
    shared: Shared<'server>,
    input: ReceiveBuffer,
    /// A payload that is taken in pieces.
    payload: Option<Payload>,
    company: Company,
    /// Those that wait for the medium without a worker.
    reads: Reads,
    /// With reads under way.
    patience: Patience,
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
    flushing: Vec<ReplyTo>,
    /// Requests for the next flush. One flush of a session runs at a time and answers all that came before
    /// it: a client that flushes much keeps one worker busy, not all.
    flush_next: Vec<ReplyTo>,
    /// Reads and writes of this turn for a device that prefers them together.
    batch: Vec<(Ticket, Work)>,
    /// How many the last batch had.
    last_batch: usize,
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
    /// Other sessions hold the memory that the next request needs; the bell rings when there is some.
    Starved,
    /// The client has said goodbye.
    Disconnect,
}

impl Input {
    /// A complete request has been received that may not be carried out yet.
    const fn is_held_back(self) -> bool {
        matches!(self, Self::Blocked | Self::Starved)
    }
}

impl<'server> Session<'server> {
    pub(crate) fn new(
        handle: SessionHandle,
        stream: Stream,
        served: Served<'server>,
        shared: Shared<'server>,
    ) -> Self {
        let Served { export, device, features, contexts } = served;
        Self {
            stream,
            export,
            prefers_batches: device.prefers_batches(),
            device,
            features,
            contexts,
            shared,
            input: ReceiveBuffer::new(),
            payload: None,
            company: Company::default(),
            reads: Reads::default(),
            patience: Patience::default(),
            replies: Replies::new(features.style),
            completions: Completions::new(handle.clone()),
            jobs: Jobs::default(),
            handle,
        }
    }

    /// Serves until the client or the server ends the session. No worker holds the device when it returns.
    pub(crate) fn run(mut self) -> Result<(), SessionError> {
        let served = self.serve();
        let drained = self.drain();
        self.stream.close();
        served.and(drained)
    }

    fn serve(&mut self) -> Result<(), SessionError> {
        loop {
            let input = self.handle_input().and_then(|input| self.gather(input));
            self.company.end_turn();
            // Also when the client broke the protocol: what is counted must be answered for.
            let had_batch = !self.jobs.batch.is_empty();
            let ran = self.run_batch();
            let input = input?;
            ran?;
            self.start_flush();
            self.handle_completions()?;
            self.replies.send(&mut self.stream)?;
            // A batch may have received requests, or made room for one that was held back; reads that left their queue are the
            // next batch. Nothing would come to remind the session of either.
            let has_more = had_batch || !self.jobs.batch.is_empty();
            if has_more && input != Input::Disconnect && !self.handle.is_aborted() {
                continue;
            }
            let is_over = input == Input::Disconnect || self.handle.is_finishing();
            if is_over && (!input.is_held_back() || self.handle.is_aborted()) {
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
            if !self.jobs.batch.is_empty() {
                let ran = self.run_batch();
                result = result.and(ran);
                continue;
            }
            wait(self.handle.socket(), self.handle.bell(), false)?;
        }
        result.and_then(|()| Ok(self.replies.send(&mut self.stream)?))
    }

    /// Waits for bytes, completions or memory. False at the end of the stream.
    fn wait_for_input(&mut self, input: Input) -> Result<bool, SessionError> {
        let is_held_back = input.is_held_back();
        if !is_held_back && self.reads.are_under_way() {
            match self.look_beside_reads()? {
                Some(Found::Ended) => return Ok(true),
                Some(Found::Input(received)) => return self.took(received),
                None => {}
            }
        }
        let waits_for_others = self.jobs.requests > 0 || input == Input::Starved;
        if waits_for_others
            && (is_held_back || !self.stream.has_buffered())
            && !wait(self.handle.socket(), self.handle.bell(), !is_held_back)?
        {
            return Ok(true);
        }
        if is_held_back {
            // What held it back is over, perhaps, and the client may be waiting for its answer.
            return Ok(true);
        }
        self.handle.set_waits_for_client(!self.is_between_requests());
        let received = self.input.fill(&mut self.stream, self.shared.lookout);
        self.handle.set_waits_for_client(false);
        self.took(received?)
    }

    fn is_between_requests(&self) -> bool {
        self.input.pending().is_empty() && self.payload.is_none()
    }

    /// Looks for ends of reads and for bytes, as long as it seems worth it.
    fn look_beside_reads(&mut self) -> Result<Option<Found>, SessionError> {
        let mut patience = std::mem::take(&mut self.patience);
        let found = patience.wait(self.shared.lookout, || {
            if self.handle_ended_reads()? {
                return Ok(Some(Found::Ended));
            }
            Ok(self.input.fill_now(&mut self.stream)?.map(Found::Input))
        });
        self.patience = patience;
        found
    }

    /// Goes on after bytes were received, none at the end of the stream. False where it is over.
    fn took(&mut self, received: usize) -> Result<bool, SessionError> {
        if received > 0 {
            self.handle.add_moved(received);
            return Ok(true);
        }
        if self.is_between_requests() || self.handle.is_finishing() {
            Ok(false)
        } else {
            Err(ProtocolError::Truncated.into())
        }
    }

    /// Carries out every complete request that was received.
    fn handle_input(&mut self) -> Result<Input, SessionError> {
        let header_bytes = self.features.style.request_bytes();
        loop {
            if let Some(mut payload) = self.payload.take()
                && !self.take_payload(&mut payload)?
            {
                self.payload = Some(payload);
                return Ok(Input::Exhausted);
            }
            let Some(request) = Request::decode(self.features.style, self.input.pending())? else {
                self.input.make_room(header_bytes);
                return Ok(Input::Exhausted);
            };
            let payload_bytes = request.payload_bytes(self.features.style)?;
            let message_bytes = header_bytes + payload_bytes;
            if message_bytes > RECEIVE_BYTES || self.is_better_in_parts(&request, payload_bytes) {
                if self.has_too_many_waiting() {
                    return Ok(Input::Blocked);
                }
                self.input.consume(header_bytes);
                self.payload = Some(self.begin_payload(&request, payload_bytes));
                continue;
            }
            if self.input.pending().len() < message_bytes {
                self.input.make_room(message_bytes);
                return Ok(Input::Exhausted);
            }
            if Command::from_wire(request.command) == Some(Command::Disconnect) {
                return Ok(Input::Disconnect);
            }
            let reservation = match self.make_way(&request) {
                Way::Free(reservation) => reservation,
                Way::Blocked => return Ok(Input::Blocked),
                Way::Starved => return Ok(Input::Starved),
            };
            self.handle_request(&request, message_bytes, reservation)?;
            self.input.consume(message_bytes);
            if self.replies.waiting() >= REPLIES_PER_SEND {
                self.replies.send(&mut self.stream)?;
            }
        }
    }

    /// Whether a payload that would fit the buffer is written as it arrives. What goes to a worker or into a batch must come
    /// as a whole.
    fn is_better_in_parts(&self, request: &Request, payload_bytes: usize) -> bool {
        payload_bytes > PART_BYTES
            && !self.prefers_batches
            && Command::from_wire(request.command) == Some(Command::Write)
    }

    /// What becomes of a payload that is not taken as a whole.
    fn begin_payload(&self, request: &Request, payload_bytes: usize) -> Payload {
        let to = reply_to(request);
        match validate(request, &[], self.features, self.device.size_bytes()) {
            Ok(Operation::Write { range, durable }) => Payload::write(to, range, durable),
            // Only a write can be right with so long a payload.
            Ok(_) => Payload::skip(to, payload_bytes, CommandError::unexpected_payload()),
            Err(error) => Payload::skip(to, payload_bytes, error),
        }
    }

    const fn has_too_many_waiting(&self) -> bool {
        self.jobs.requests > 0 && self.jobs.requests >= self.shared.limits.waiting_requests_max
    }

    /// Whether carrying out `request` could exceed what one connection, or all together, may have waiting.
    fn make_way(&self, request: &Request) -> Way {
        let Shared { limits, memory, .. } = self.shared;
        let holds_data = match Command::from_wire(request.command) {
            Some(Command::Read) => true,
            Some(Command::Write) => self.prefers_batches,
            _ => false,
        };
        // What is longer than a payload may be is refused.
        let data_bytes = if holds_data { request.length_bytes.min(u32::MAX.into()) as usize } else { 0 };
        let waiting_bytes = self.jobs.data_bytes.saturating_add(data_bytes);
        let is_too_much = self.jobs.requests > 0 && waiting_bytes > limits.waiting_bytes_max;
        if is_too_much || self.has_too_many_waiting() {
            return Way::Blocked;
        }
        if data_bytes == 0 || waiting_bytes <= SHARE_BYTES {
            return Way::Free(None);
        }
        memory
            .reserve(data_bytes, &self.handle)
            .map_or(Way::Starved, |reservation| Way::Free(Some(reservation)))
    }

    fn handle_request(
        &mut self,
        request: &Request,
        message_bytes: usize,
        reservation: Option<Reservation>,
    ) -> Result<(), SessionError> {
        let to = reply_to(request);
        let is_alone = self.jobs.requests == 0
            && self.input.pending().len() == message_bytes
            && !self.stream.has_buffered();
        let may_wait = self.company.note(is_alone);
        let payload = &self.input.pending()[self.features.style.request_bytes()..message_bytes];
        let operation = match validate(request, payload, self.features, self.device.size_bytes()) {
            Ok(operation) => operation,
            Err(error) => {
                tracing::debug!(export = self.export, %error.message, "request refused");
                return self.refuse(to, &error);
            }
        };
        let job =
            |durable| Ticket::Request { to, offset_bytes: 0, durable, data_bytes: 0, reservation: None };
        match operation {
            Operation::Read { range, may_fragment } => {
                return self.read(to, range, ReadManner { may_fragment, may_wait }, reservation);
            }
            Operation::Write { range, durable } => {
                return self.write(to, range, durable, may_wait, reservation);
            }
            Operation::Flush => self.flush_later(to),
            Operation::Trim { range, durable } => self.submit(job(durable), Work::Trim { range }),
            Operation::Cache { range } => self.submit(job(false), Work::Cache { range }),
            Operation::WriteZeroes { range, mode, durable } => {
                self.submit(job(durable), Work::WriteZeroes { range, mode });
            }
            Operation::BlockStatus { range, contexts: set, only_one } => {
                let extents_max = if only_one { 1 } else { EXTENTS_MAX };
                let contexts = self.contexts.clone();
                self.submit(job(false), Work::BlockStatus { range, contexts, set, extents_max });
            }
        }
        Ok(())
    }

    fn write(
        &mut self,
        to: ReplyTo,
        range: Range,
        durable: bool,
        may_wait: bool,
        reservation: Option<Reservation>,
    ) -> Result<(), SessionError> {
        let start = self.features.style.request_bytes();
        let payload = &self.input.pending()[start..start + range.length_bytes as usize];
        let attempt = if may_wait {
            self.device.write(range.offset_bytes, payload).map(|()| Attempt::Done)
        } else if self.prefers_batches {
            self.device.await_turn(range.offset_bytes, range.length_bytes);
            Ok(Attempt::WouldWait)
        } else {
            self.device.try_write(range.offset_bytes, payload)
        };
        match attempt {
            Ok(Attempt::Done) if durable => self.flush_later(to),
            Ok(Attempt::Done) => self.replies.success(to, &mut self.stream)?,
            Ok(Attempt::WouldWait) => {
                let (data, offset_bytes) = (payload.to_vec(), range.offset_bytes);
                let ticket =
                    Ticket::Request { to, offset_bytes, durable, data_bytes: data.len(), reservation };
                self.submit(ticket, Work::Write { range, data });
            }
            Err(error) => self.fail(to, &error)?,
        }
        Ok(())
    }

    fn flush_later(&mut self, to: ReplyTo) {
        self.jobs.requests += 1;
        self.jobs.flush_next.push(to);
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

    fn send_to_worker(&mut self, ticket: Ticket, work: Work) {
        if self.prefers_batches && work.joins_batches() {
            self.jobs.batch.push((ticket, work));
            return;
        }
        let (device, completions) = (Arc::clone(&self.device), Arc::clone(&self.completions));
        self.shared.workers.submit(Job { ticket, work, device, completions });
    }

    /// Answers with an error of the device.
    fn fail(&mut self, to: ReplyTo, error: &VolumeError) -> Result<(), SessionError> {
        let answer = self.failure(error);
        self.refuse(to, &answer)
    }

    /// What the client is told of an error of the device. The operator hears of it, too.
    fn failure(&self, error: &VolumeError) -> CommandError {
        tracing::warn!(export = self.export, kind = ?error.kind(), %error, "request failed");
        CommandError::from(error)
    }

    fn refuse(&mut self, to: ReplyTo, error: &CommandError) -> Result<(), SessionError> {
        Ok(self.replies.error(to, error, &mut self.stream)?)
    }
}

/// What a session has looked for.
enum Found {
    /// So many bytes; none at the end of the stream.
    Input(usize),
    /// Reads have ended, and their replies lie in the buffer.
    Ended,
}

/// Whether a request may be carried out now.
enum Way {
    Free(Option<Reservation>),
    Blocked,
    Starved,
}

const fn reply_to(request: &Request) -> ReplyTo {
    ReplyTo { cookie: request.cookie, offset_bytes: request.offset_bytes }
}
