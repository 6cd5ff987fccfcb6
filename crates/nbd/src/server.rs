//! Listening, one thread a connection, and ending it all in good order.

mod registry;

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use crate::address::{ListenError, check_listen_address};
use crate::exports::Exports;
use crate::handshake::{Agreement, Host, shake_hands};
use crate::limits::NbdLimits;
use crate::memory::Memory;
use crate::patience::Lookout;
use crate::seats::Seats;
use crate::session::{self, Served, Session, SessionError};
use crate::session_handle::SessionHandle;
use crate::socket::{Bell, Listener, Socket};
use crate::stream::Stream;
use crate::tls::{TlsPolicy, TlsServer};
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
    tls: Option<TlsServer>,
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
    memory: Memory,
    seats: Seats,
    lookout: Lookout,
    registry: Arc<Registry>,
}

impl Server {
    /// A server of `exports` that listens nowhere yet. With `tls` it offers TLS everywhere, and can listen on addresses
    /// that demand it.
    pub fn new(
        exports: Arc<dyn Exports>,
        limits: NbdLimits,
        tls: Option<TlsServer>,
    ) -> Result<Self, ListenError> {
        let registry = Arc::new(Registry::new(&limits));
        let (watched, sweep_interval) = (Arc::clone(&registry), limits.handshake_timeout / 2);
        thread::Builder::new()
            .name("nbd-watch".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || watched.abort_slow_clients(sweep_interval))
            .map_err(|error| ListenError::io("cannot start the thread that watches clients", error))?;
        let workers = Workers::new(&limits);
        let memory = Memory::new(limits.waiting_bytes_total_max);
        let seats = Seats::new(limits.connections_per_export_max);
        let shared = Arc::new(Shared {
            exports,
            limits,
            workers,
            memory,
            seats,
            lookout: Lookout::default(),
            registry,
        });
        Ok(Self { shared, tls, listeners: Mutex::default() })
    }

    /// Accepts connections of a unix socket from now on.
    pub fn serve_unix(&self, listener: UnixListener) -> Result<(), ListenError> {
        listener
            .set_nonblocking(true)
            .map_err(|error| ListenError::io("cannot prepare the unix socket for accepting", error))?;
        self.serve(Listener::Unix(listener), self.offered())
    }

    /// Like [`serve_unix`](Self::serve_unix), but nothing is said before TLS. `NotLoopback` where there is no TLS.
    pub fn serve_unix_with_tls_only(&self, listener: UnixListener) -> Result<(), ListenError> {
        let tls = self.tls.clone().ok_or_else(ListenError::no_tls)?;
        listener
            .set_nonblocking(true)
            .map_err(|error| ListenError::io("cannot prepare the unix socket for accepting", error))?;
        self.serve(Listener::Unix(listener), TlsPolicy::Required(tls))
    }

    /// Serves a connection that somebody else has accepted.
    pub fn adopt(&self, connection: UnixStream) {
        self.shared.start_session(connection.into(), self.offered());
    }

    fn offered(&self) -> TlsPolicy {
        self.tls.clone().map_or(TlsPolicy::Off, TlsPolicy::Offered)
    }

    /// Accepts connections of a TCP socket from now on. If other machines can reach it, TLS is demanded; `NotLoopback`
    /// where there is none.
    pub fn serve_tcp(&self, listener: TcpListener) -> Result<(), ListenError> {
        let address = listener
            .local_addr()
            .map_err(|error| ListenError::io("cannot tell the address of the TCP socket", error))?;
        let policy = match &self.tls {
            Some(tls) if !address.ip().to_canonical().is_loopback() => TlsPolicy::Required(tls.clone()),
            Some(_) => self.offered(),
            None => {
                check_listen_address(address)?;
                TlsPolicy::Off
            }
        };
        listener
            .set_nonblocking(true)
            .map_err(|error| ListenError::io(format!("cannot prepare {address} for accepting"), error))?;
        self.serve(Listener::Tcp(listener), policy)
    }

    fn serve(&self, listener: Listener, policy: TlsPolicy) -> Result<(), ListenError> {
        let bell = Bell::new().map_err(|error| ListenError::io("cannot make an event descriptor", error))?;
        let bell = Arc::new(bell);
        let (shared, rung) = (Arc::clone(&self.shared), Arc::clone(&bell));
        let thread = thread::Builder::new()
            .name("nbd-listen".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || shared.accept_until(&listener, &rung, &policy))
            .map_err(|error| ListenError::io("cannot start the thread that accepts", error))?;
        self.listeners.lock().push(ListenerThread { bell, thread });
        Ok(())
    }

    /// How many connections there are now.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.shared.registry.count()
    }

    /// How many sessions each export has, by name. Those without any are left out.
    #[must_use]
    pub fn sessions_by_export(&self) -> Vec<(String, usize)> {
        self.shared.seats.counts()
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
    fn accept_until(self: &Arc<Self>, listener: &Listener, bell: &Bell, policy: &TlsPolicy) {
        loop {
            match listener.accept(bell) {
                Ok(Some(connection)) => self.start_session(connection, policy.clone()),
                Ok(None) => return,
                // Out of descriptors or memory, most likely; `accept` has waited a moment.
                Err(error) => tracing::warn!(%error, "cannot accept an NBD connection"),
            }
        }
    }

    fn start_session(self: &Arc<Self>, connection: OwnedFd, policy: TlsPolicy) {
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
            .spawn(move || shared.run_session(place, &policy));
        if let Err(error) = spawned {
            tracing::warn!(%error, "connection refused: no thread");
        }
    }

    fn run_session(&self, place: Place, policy: &TlsPolicy) {
        match self.serve_client(&place, policy) {
            Ok(()) => tracing::debug!("NBD session ended"),
            Err(error) => tracing::info!(%error, "NBD session broken off"),
        }
        // The peer learns of the end now, not when the last handle is dropped.
        place.handle().socket().shut_down_both();
    }

    fn serve_client(&self, place: &Place, policy: &TlsPolicy) -> Result<(), SessionError> {
        let mut stream = Stream::new(place.handle().clone());
        let host = Host { exports: &*self.exports, seats: &self.seats, tls: policy };
        let Some(agreement) = shake_hands(place.handle(), &mut stream, host)? else {
            stream.close();
            return Ok(());
        };
        place.handshake_is_over();
        let Agreement { export, lease, seat, features, contexts } = agreement;
        tracing::debug!(export, "NBD session begins");
        let served = Served { export: &export, device: lease.device(), features, contexts };
        let shared = session::Shared {
            limits: &self.limits,
            workers: &self.workers,
            memory: &self.memory,
            lookout: &self.lookout,
        };
        let result = Session::new(place.handle().clone(), stream, served, shared).run();
        // Last, when neither the session nor a worker holds the device.
        drop(lease);
        drop(seat);
        result
    }
}
