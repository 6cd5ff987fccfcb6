//! One connection, unix or TCP, and the bell that other threads ring to wake its session.

use std::io::{self, IoSlice};
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{
    set_socket_keepalive, set_socket_send_buffer_size, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl,
};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, recv, send, sendmsg, shutdown};

/// Room for a large reply on its way. Systems usually grant less.
const SEND_BUFFER_BYTES: usize = 1 << 20;

/// A connected stream socket.
pub(crate) struct Socket(OwnedFd);

impl Socket {
    pub(crate) fn new(connection: OwnedFd) -> Self {
        // As much as the system grants: each time a send finds no room costs two switches of threads, a
        // tenth of the processor time of large reads and more. It works with less, too, so a refusal is no error.
        let _ = set_socket_send_buffer_size(&connection, SEND_BUFFER_BYTES);
        Self(connection)
    }

    /// Waits for bytes; 0 is the end of the stream.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match recv(&self.0, &mut *buffer, RecvFlags::empty()) {
                Ok((received, _)) => return Ok(received),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes bytes that are there already; `None` where there are none. 0 is the end of the stream.
    pub(crate) fn receive_now(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match recv(&self.0, &mut *buffer, RecvFlags::DONTWAIT) {
            Ok((received, _)) => Ok(Some(received)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends all of `bytes`.
    pub(crate) fn send_all(&self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match send(&self.0, rest, SendFlags::NOSIGNAL) {
                Ok(sent) => rest = &rest[sent..],
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Sends as much of `head` and then `tail` as the system takes at once; `None` where that is nothing.
    pub(crate) fn send_now(&self, head: &[u8], tail: &[u8]) -> io::Result<Option<usize>> {
        let pieces = [IoSlice::new(head), IoSlice::new(tail)];
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let sent = if tail.is_empty() {
            send(&self.0, head, flags)
        } else {
            sendmsg(&self.0, &pieces, &mut SendAncillaryBuffer::default(), flags)
        };
        match sent {
            Ok(sent) => Ok(Some(sent)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The peer can send nothing more; a waiting receive ends.
    pub(crate) fn shut_down_receiving(&self) {
        self.shut_down(Shutdown::Read);
    }

    /// The connection is over in both directions; waiting calls end.
    pub(crate) fn shut_down_both(&self) {
        self.shut_down(Shutdown::Both);
    }

    fn shut_down(&self, how: Shutdown) {
        // The peer may have been faster; then there is nothing left to shut down.
        let _ = shutdown(&self.0, how);
    }
}

/// Wakes a session that waits in [`wait`].
pub(crate) struct Bell(OwnedFd);

impl Bell {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    pub(crate) fn ring(&self) {
        // The one error of this write is a counter that is full; then the bell is ringing already.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    fn silence(&self) {
        // Nothing to read means that it does not ring.
        let _ = rustix::io::read(&self.0, &mut [0_u8; 8]);
    }
}

/// A socket that listens, not blocking.
pub(crate) enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Listener {
    /// Waits for a connection; `None` when the bell rings. After an error that another call would meet again at
    /// once, a moment has passed.
    pub(crate) fn accept(&self, bell: &Bell) -> io::Result<Option<OwnedFd>> {
        loop {
            let mut events = [PollFd::new(&bell.0, PollFlags::IN), PollFd::new(self, PollFlags::IN)];
            poll_without_end(&mut events)?;
            if !events[0].revents().is_empty() {
                return Ok(None);
            }
            match self.accept_now() {
                Ok(connection) => return Ok(Some(connection)),
                // The client was gone again, or another accept was faster.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    let moment = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
                    poll(&mut [PollFd::new(&bell.0, PollFlags::IN)], Some(&moment))?;
                    return Err(error);
                }
            }
        }
    }

    fn accept_now(&self) -> io::Result<OwnedFd> {
        match self {
            Self::Unix(listener) => {
                let (connection, _) = listener.accept()?;
                connection.set_nonblocking(false)?;
                Ok(connection.into())
            }
            Self::Tcp(listener) => {
                let (connection, _) = listener.accept()?;
                connection.set_nonblocking(false)?;
                connection.set_nodelay(true)?;
                let connection = OwnedFd::from(connection);
                notice_dead_peers(&connection)?;
                Ok(connection)
            }
        }
    }
}

/// A client whose machine or network is gone says nothing. After two minutes of silence the system asks, and ends the
/// connection when nobody answers.
fn notice_dead_peers(connection: &OwnedFd) -> io::Result<()> {
    set_socket_keepalive(connection, true)?;
    set_tcp_keepidle(connection, Duration::from_secs(60))?;
    set_tcp_keepintvl(connection, Duration::from_secs(15))?;
    set_tcp_keepcnt(connection, 4)?;
    Ok(())
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(listener) => listener.as_fd(),
            Self::Tcp(listener) => listener.as_fd(),
        }
    }
}

fn poll_without_end(events: &mut [PollFd<'_>]) -> io::Result<()> {
    loop {
        match poll(events, None) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits until the bell rings or, where `for_input`, the socket has bytes or its end; says the latter.
pub(crate) fn wait(socket: &Socket, bell: &Bell, for_input: bool) -> io::Result<bool> {
    let mut events = [PollFd::new(&bell.0, PollFlags::IN), PollFd::new(&socket.0, PollFlags::IN)];
    let watched = if for_input { &mut events[..] } else { &mut events[..1] };
    poll_without_end(watched)?;
    if !events[0].revents().is_empty() {
        bell.silence();
    }
    Ok(for_input && !events[1].revents().is_empty())
}
