//! Ending a session from outside, and what the outside can see of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::socket::{Bell, Socket};

/// Ends one session. Clones end the same one. Nothing here blocks, and ending a session twice does no harm.
#[derive(Clone)]
pub struct SessionHandle(Arc<Connection>);

struct Connection {
    socket: Socket,
    bell: Bell,
    finishing: AtomicBool,
    aborted: AtomicBool,
    /// The session waits for its client in the middle of a request or of a reply.
    waits_for_client: AtomicBool,
    /// Bytes that moved during such waits.
    moved_bytes: AtomicU64,
}

impl SessionHandle {
    pub(crate) fn new(socket: Socket, bell: Bell) -> Self {
        Self(Arc::new(Connection {
            socket,
            bell,
            finishing: AtomicBool::new(false),
            aborted: AtomicBool::new(false),
            waits_for_client: AtomicBool::new(false),
            moved_bytes: AtomicU64::new(0),
        }))
    }

    /// Takes no new request; the ones received are answered, then the session ends. A client that does not
    /// take its answers can hold this up.
    pub fn finish(&self) {
        self.0.finishing.store(true, Ordering::Release);
        self.0.socket.shut_down_receiving();
        self.0.bell.ring();
    }

    /// Ends the session now. Requests that are with a worker are still carried out, or given up between two steps,
    /// unanswered.
    pub fn abort(&self) {
        self.0.finishing.store(true, Ordering::Release);
        self.0.aborted.store(true, Ordering::Release);
        self.0.socket.shut_down_both();
        self.0.bell.ring();
    }

    pub(crate) fn is_finishing(&self) -> bool {
        self.0.finishing.load(Ordering::Acquire)
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.0.aborted.load(Ordering::Acquire)
    }

    /// Says whether the client keeps the session from going on.
    pub(crate) fn set_waits_for_client(&self, waits: bool) {
        self.0.waits_for_client.store(waits, Ordering::Relaxed);
    }

    /// Bytes that have moved while the session waited for the client; `None` when it does not.
    pub(crate) fn moved_bytes_waiting(&self) -> Option<u64> {
        let waits = self.0.waits_for_client.load(Ordering::Relaxed);
        waits.then(|| self.0.moved_bytes.load(Ordering::Relaxed))
    }

    pub(crate) fn add_moved(&self, bytes: usize) {
        self.0.moved_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.0.socket
    }

    pub(crate) fn bell(&self) -> &Bell {
        &self.0.bell
    }
}
