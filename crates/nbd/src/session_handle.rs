//! Ending a session from outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::socket::{Bell, Socket};

/// Ends one session. Clones end the same one. Nothing here blocks, and ending a session twice does no harm.
#[derive(Clone)]
pub struct SessionHandle(Arc<Connection>);

struct Connection {
    socket: Socket,
    bell: Bell,
    finishing: AtomicBool,
}

impl SessionHandle {
    pub(crate) fn new(socket: Socket, bell: Bell) -> Self {
        Self(Arc::new(Connection { socket, bell, finishing: AtomicBool::new(false) }))
    }

    /// Takes no new request; the ones received are answered, then the session ends. A client that does not
    /// take its answers can hold this up.
    pub fn finish(&self) {
        self.0.finishing.store(true, Ordering::Release);
        self.0.socket.shut_down_receiving();
        self.0.bell.ring();
    }

    /// Ends the session now. Requests that are with a worker are still carried out, unanswered.
    pub fn abort(&self) {
        self.0.finishing.store(true, Ordering::Release);
        self.0.socket.shut_down_both();
        self.0.bell.ring();
    }

    pub(crate) fn is_finishing(&self) -> bool {
        self.0.finishing.load(Ordering::Acquire)
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.0.socket
    }

    pub(crate) fn bell(&self) -> &Bell {
        &self.0.bell
    }
}
