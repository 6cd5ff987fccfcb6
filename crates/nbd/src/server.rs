//! Listening, one thread a connection, and ending it all in good order.

mod registry;

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use crate::address::{ListenError, check_listen_address};
use crate::exports::Exports;
use crate::handshake::{Agreement, shake_hands};
use crate::limits::NbdLimits;
use crate::session::{Session, SessionError};
use crate::session_handle::SessionHandle;
use crate::socket::{Bell, Listener, Socket};
use crate::workers::{STACK_BYTES, Workers};

use registry::{Place, Registry};

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Every request that was received was answered, and every thread has ended.
    InGoodOrder,
    /// Sessions were cut off; every thread has ended.
    Aborted {
        /// Sessions that had not ended in time.
        sessions: usize,
    },
    /// A device does not return: threads are left that wait for it.
    Stuck {
        /// Sessions that are left.
        sessions: usize,
    },
}

/// An NBD server. Dropping it cuts all sessions off; [`shutdown`](Self::shutdown) ends them in good order.
pub struct Server {
    shared: Arc<Shared>,
    listeners: Mutex<Vec<ListenerThread>>,
}

struct ListenerThread {
    bell: Arc<Bell>,
    thread: thread::JoinHandle<()>,
}

struct Shared {
    exports: Arc<dyn Exports>,
    limits: NbdLimits,
    workers: Workers,
    registry: Arc<Registry>,
}

impl Server {
    /// A server of `exports` that listens nowhere yet.
    pub fn new(exports: Arc<dyn Exports>, limits: NbdLimits) -> Result<Self, ListenError> {
        let registry = Arc::new(Registry::new(limits.connections_max));
        let (watched, sweep_interval) = (Arc::clone(&registry), limits.handshake_timeout / 2);
        thread::Builder::new()
            .name("nbd-handshakes".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || watched.abort_slow_handshakes(sweep_interval))
            .map_err(|error| ListenError::io("cannot start the thread that watches handshakes", error))?;
        let workers = Workers::new(&limits);
        let shared = Arc::new(Shared { exports, limits, workers, registry });
        Ok(Self { shared, listeners: Mutex::default() })
    }

    /// Accepts connections of a unix socket from now on.
    pub fn serve_unix(&self, listener: UnixListener) -> Result<(), ListenError> {
        listener
            .set_nonblocking(true)
            .map_err(|error| ListenError::io("cannot prepare the unix socket for accepting", error))?;
        self.serve(Listener::Unix(listener))
    }

    /// Accepts connections of a TCP socket from now on. `NotLoopback` if other machines could reach it.
    pub fn serve_tcp(&self, listener: TcpListener) -> Result<(), ListenError> {
        let address = listener
            .local_addr()
            .map_err(|error| ListenError::io("cannot tell the address of the TCP socket", error))?;
        check_listen_address(address)?;
        listener
            .set_nonblocking(true)
            .map_err(|error| ListenError::io(format!("cannot prepare {address} for accepting"), error))?;
        self.serve(Listener::Tcp(listener))
    }

    fn serve(&self, listener: Listener) -> Result<(), ListenError> {
        let bell = Bell::new().map_err(|error| ListenError::io("cannot make an event descriptor", error))?;
        let bell = Arc::new(bell);
        let (shared, rung) = (Arc::clone(&self.shared), Arc::clone(&bell));
        let thread = thread::Builder::new()
            .name("nbd-listen".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || shared.accept_until(&listener, &rung))
            .map_err(|error| ListenError::io("cannot start the thread that accepts", error))?;
        self.listeners.lock().push(ListenerThread { bell, thread });
        Ok(())
    }

    /// How many connections there are now.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.shared.registry.count()
    }

    /// Stops accepting, has every session answer what it received and end, and cuts off those that have not
    /// when three quarters of `timeout` are over. Returns within `timeout`, nearly: a device that does not return
    /// cannot be hurried. May be called again.
    pub fn shutdown(&self, timeout: Duration) -> Drained {
        for listener in self.listeners.lock().drain(..) {
            listener.bell.ring();
            if listener.thread.join().is_err() {
                tracing::error!("the thread that accepts connections panicked");
            }
        }
        let in_good_order = timeout / 4 * 3;
        let late = self.shared.registry.finish_all(in_good_order);
        let left = if late == 0 { 0 } else { self.shared.registry.abort_all(timeout - in_good_order) };
        let workers_ended = left == 0 && self.shared.workers.stop(timeout - in_good_order);
        match (late, left) {
            (0, 0) if workers_ended => Drained::InGoodOrder,
            (_, 0) if workers_ended => Drained::Aborted { sessions: late },
            (_, left) => Drained::Stuck { sessions: left },
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown(Duration::ZERO);
    }
}

impl Shared {
    /// Accepts connections until the bell rings.
    fn accept_until(self: &Arc<Self>, listener: &Listener, bell: &Bell) {
        loop {
            match listener.accept(bell) {
                Ok(Some(connection)) => self.start_session(connection),
                Ok(None) => return,
                // Out of descriptors or memory, most likely; `accept` has waited a moment.
                Err(error) => tracing::warn!(%error, "cannot accept an NBD connection"),
            }
        }
    }

    fn start_session(self: &Arc<Self>, connection: OwnedFd) {
        let bell = match Bell::new() {
            Ok(bell) => bell,
            Err(error) => return tracing::warn!(%error, "connection refused: no event descriptor"),
        };
        let handle = SessionHandle::new(Socket::new(connection), bell);
        let Some(place) = Registry::enter(&self.registry, handle) else {
            return tracing::warn!(
                connections_max = self.limits.connections_max,
                "connection refused: too many"
            );
        };
        let shared = Arc::clone(self);
        let spawned = thread::Builder::new()
            .name("nbd-session".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || shared.run_session(place));
        if let Err(error) = spawned {
            tracing::warn!(%error, "connection refused: no thread");
        }
    }

    fn run_session(&self, place: Place) {
        match self.serve_client(&place) {
            Ok(()) => tracing::debug!("NBD session ended"),
            Err(error) => tracing::info!(%error, "NBD session broken off"),
        }
        // The peer learns of the end now, not when the last handle is dropped.
        place.handle().socket().shut_down_both();
    }

    fn serve_client(&self, place: &Place) -> Result<(), SessionError> {
        let Some(agreement) = shake_hands(place.handle(), &*self.exports)? else { return Ok(()) };
        place.handshake_is_over();
        let Agreement { export, lease, features } = agreement;
        tracing::debug!(export, "NBD session begins");
        let (handle, device) = (place.handle().clone(), lease.device());
        let session = Session::new(handle, &export, device, features, &self.limits, &self.workers);
        let result = session.run();
        // Last, when neither the session nor a worker holds the device.
        drop(lease);
        result
    }
}
