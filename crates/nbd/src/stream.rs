//! The two ways in which a session's bytes travel: as they are, or through TLS.
//!
//! Sending tries without waiting first. Where the client does not take its bytes at once, the session says so in its
//! handle while it waits, so that the server can end a client that holds it up for too long.

use std::io::{self, Read, Write};

use openssl::ssl::{ErrorCode, ShutdownResult, SslStream};

use crate::exports::Identity;
use crate::session::SessionError;
use crate::session_handle::SessionHandle;
use crate::tls::TlsPolicy;

/// What is sent at a time while the client is slow: what moves is to be seen.
const SLOW_STEP_BYTES: usize = 128 << 10;
/// Two records of TLS.
const WIRE_INPUT_BYTES: usize = 36 << 10;
/// Records that are sent with one call.
const WIRE_OUTPUT_BYTES: usize = 256 << 10;

/// Where a session's bytes come from and go to.
pub(crate) enum Stream {
    Plain(SessionHandle),
    Tls(Box<SslStream<Wire>>),
}

impl Stream {
    pub(crate) const fn new(session: SessionHandle) -> Self {
        Self::Plain(session)
    }

    /// Goes over to TLS, and says who the client is.
    pub(crate) fn start_tls(&mut self, policy: &TlsPolicy) -> Result<Identity, SessionError> {
        let Self::Plain(session) = self else {
            return Err(SessionError::Tls("TLS within TLS".to_owned()));
        };
        let (stream, identity) = policy.accept(Wire::new(session.clone()))?;
        *self = Self::Tls(Box::new(stream));
        Ok(identity)
    }

    /// Waits for bytes; 0 is the end of the stream.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(session) => session.socket().receive(buffer),
            Self::Tls(stream) => match receive_tls(stream, buffer, true)? {
                Some(received) => Ok(received),
                None => Err(io::ErrorKind::WouldBlock.into()),
            },
        }
    }

    /// Takes bytes that are there already; `None` where there are none. 0 is the end of the stream.
    pub(crate) fn receive_now(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self {
            Self::Plain(session) => session.socket().receive_now(buffer),
            Self::Tls(stream) => receive_tls(stream, buffer, false),
        }
    }

    /// Whether bytes have been received that the socket does not show any more.
    pub(crate) fn has_buffered(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.ssl().pending() > 0 || !stream.get_ref().pending().is_empty(),
        }
    }

    /// Whether bytes travel as they are.
    pub(crate) const fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// Sends what the client takes at once; how much that was.
    pub(crate) fn send_now(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(session) if !bytes.is_empty() => {
                Ok(session.socket().send_now(bytes, &[])?.unwrap_or(0))
            }
            // What is encrypted has to be sent.
            Self::Plain(_) | Self::Tls(_) => Ok(0),
        }
    }

    /// Sends all of `bytes`.
    pub(crate) fn send_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.send_all_of_two(bytes, &[])
    }

    /// Sends `head` and `tail` as if they were one piece.
    pub(crate) fn send_all_of_two(&mut self, head: &[u8], tail: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(session) => send_plain(session, head, tail),
            Self::Tls(stream) => {
                stream.write_all(head)?;
                stream.write_all(tail)?;
                stream.get_mut().send_output()
            }
        }
    }

    /// Says goodbye where the way of travelling has a word for it. A client that does not listen is not waited for.
    pub(crate) fn close(&mut self) {
        if let Self::Tls(stream) = self {
            let said = matches!(stream.shutdown(), Ok(ShutdownResult::Sent | ShutdownResult::Received));
            if said {
                let wire = stream.get_mut();
                let output = std::mem::take(&mut wire.output);
                // The session is over either way.
                let _ = wire.session.socket().send_now(&output, &[]);
            }
        }
    }
}

fn send_plain(session: &SessionHandle, head: &[u8], tail: &[u8]) -> io::Result<()> {
    let length = head.len() + tail.len();
    if length == 0 {
        return Ok(());
    }
    let sent = session.socket().send_now(head, tail)?.unwrap_or(0);
    if sent == length {
        return Ok(());
    }
    session.set_waits_for_client(true);
    let result = send_slowly(session, head.get(sent..).unwrap_or_default())
        .and_then(|()| send_slowly(session, &tail[sent.saturating_sub(head.len())..]));
    session.set_waits_for_client(false);
    result
}

fn send_slowly(session: &SessionHandle, bytes: &[u8]) -> io::Result<()> {
    for step in bytes.chunks(SLOW_STEP_BYTES) {
        session.socket().send_all(step)?;
        session.add_moved(step.len());
    }
    Ok(())
}

/// Takes what has arrived. `None` where that is nothing and `wait` is false.
fn receive_tls(stream: &mut SslStream<Wire>, buffer: &mut [u8], wait: bool) -> io::Result<Option<usize>> {
    stream.get_mut().wait = wait;
    let Some(mut received) = read_record(stream, buffer)? else { return Ok(None) };
    // Later records that are here already spare a wait that would not see them.
    stream.get_mut().wait = false;
    while received > 0
        && received < buffer.len()
        && (stream.ssl().pending() > 0 || !stream.get_ref().pending().is_empty())
    {
        match read_record(stream, &mut buffer[received..])? {
            // The end will be met again by the next call.
            None | Some(0) => break,
            Some(more) => received += more,
        }
    }
    Ok(Some(received))
}

fn read_record(stream: &mut SslStream<Wire>, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    match stream.ssl_read(buffer) {
        Ok(received) => Ok(Some(received)),
        Err(error) if error.code() == ErrorCode::WANT_READ => Ok(None),
        Err(error) if error.code() == ErrorCode::ZERO_RETURN => Ok(Some(0)),
        Err(_) if stream.get_ref().has_ended => Ok(Some(0)),
        Err(error) => Err(error.into_io_error().unwrap_or_else(io::Error::other)),
    }
}

/// The socket below TLS. Small reads and writes of the library are gathered, so that a batch of replies
/// remains one call of the system.
pub(crate) struct Wire {
    session: SessionHandle,
    /// Whether reading waits for bytes.
    wait: bool,
    has_ended: bool,
    input: Box<[u8]>,
    start: usize,
    end: usize,
    output: Vec<u8>,
}

impl Wire {
    fn new(session: SessionHandle) -> Self {
        let input = vec![0; WIRE_INPUT_BYTES].into_boxed_slice();
        Self { session, wait: true, has_ended: false, input, start: 0, end: 0, output: Vec::new() }
    }

    fn pending(&self) -> &[u8] {
        &self.input[self.start..self.end]
    }

    fn send_output(&mut self) -> io::Result<()> {
        let result = send_plain(&self.session, &self.output, &[]);
        self.output.clear();
        // A burst of large replies leaves no large buffer behind.
        self.output.shrink_to(WIRE_OUTPUT_BYTES);
        result
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.output.is_empty() {
            self.send_output()?;
        }
        if self.start == self.end {
            let received = if self.wait {
                self.session.socket().receive(&mut self.input)?
            } else {
                let received = self.session.socket().receive_now(&mut self.input)?;
                received.ok_or(io::ErrorKind::WouldBlock)?
            };
            self.has_ended |= received == 0;
            (self.start, self.end) = (0, received);
        }
        let count = buffer.len().min(self.end - self.start);
        buffer[..count].copy_from_slice(&self.input[self.start..self.start + count]);
        self.start += count;
        Ok(count)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.extend_from_slice(bytes);
        if self.output.len() >= WIRE_OUTPUT_BYTES {
            self.send_output()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send_output()
    }
}
