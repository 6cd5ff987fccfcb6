//! The sessions that there are.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::limits::NbdLimits;
use crate::session_handle::SessionHandle;

/// Handshakes are looked at twice in the time that they have; one seen so often has used it up.
const SWEEPS_MAX: u8 = 3;

/// All sessions of a server.
pub(super) struct Registry {
    connections_max: usize,
    /// How often a session that waits for its client is looked at before the client must have moved enough.
    stall_sweeps_max: u32,
    stall_bytes_min: u64,
    state: Mutex<State>,
    session_ended: Condvar,
    /// The first session has begun, or the server stops.
    session_or_stop: Condvar,
}

#[derive(Default)]
struct State {
    sessions: HashMap<u64, Entry>,
    next: u64,
    stopping: bool,
}

struct Entry {
    handle: SessionHandle,
    /// How often the handshake was looked at; `None` when it is over.
    handshake_sweeps: Option<u8>,
    /// While the session waits for its client: how often that was seen, and what had moved when it was first seen.
    stalled: Option<(u32, u64)>,
}

/// A session's place in the registry, given up when dropped.
pub(super) struct Place {
    registry: Arc<Registry>,
    number: u64,
    handle: SessionHandle,
}

impl Registry {
    pub(super) fn new(limits: &NbdLimits) -> Self {
        let sweep_ms = (limits.handshake_timeout / 2).as_millis().max(1);
        let stall_sweeps = limits.stall_timeout.as_millis().div_ceil(sweep_ms);
        Self {
            connections_max: limits.connections_max,
            stall_sweeps_max: u32::try_from(stall_sweeps).unwrap_or(u32::MAX).max(1),
            stall_bytes_min: limits.stall_bytes_min,
            state: Mutex::default(),
            session_ended: Condvar::new(),
            session_or_stop: Condvar::new(),
        }
    }

    /// A place for one more session, its handshake before it; `None` if there are too many or the server stops.
    pub(super) fn enter(registry: &Arc<Self>, handle: SessionHandle) -> Option<Place> {
        let mut state = registry.state.lock();
        if state.stopping || state.sessions.len() >= registry.connections_max {
            return None;
        }
        let number = state.next;
        state.next += 1;
        let entry = Entry { handle: handle.clone(), handshake_sweeps: Some(0), stalled: None };
        state.sessions.insert(number, entry);
        if state.sessions.len() == 1 {
            registry.session_or_stop.notify_all();
        }
        drop(state);
        Some(Place { registry: Arc::clone(registry), number, handle })
    }

    pub(super) fn count(&self) -> usize {
        self.state.lock().sessions.len()
    }

    /// Lets no session in any more, and has all finish. How many are left after `timeout`.
    pub(super) fn finish_all(&self, timeout: Duration) -> usize {
        let mut state = self.state.lock();
        state.stopping = true;
        self.session_or_stop.notify_all();
        state.sessions.values().for_each(|entry| entry.handle.finish());
        self.session_ended.wait_while_for(&mut state, |state| !state.sessions.is_empty(), timeout);
        state.sessions.len()
    }

    /// Has all sessions abort. How many are left after `timeout`.
    pub(super) fn abort_all(&self, timeout: Duration) -> usize {
        let mut state = self.state.lock();
        state.sessions.values().for_each(|entry| entry.handle.abort());
        self.session_ended.wait_while_for(&mut state, |state| !state.sessions.is_empty(), timeout);
        state.sessions.len()
    }

    /// Ends clients that begin a handshake and do not end it, and those that keep the server waiting in the middle of
    /// a request or reply, whether they are silent or move a byte now and then. Returns when the server stops.
    pub(super) fn abort_slow_clients(&self, sweep_interval: Duration) {
        let mut state = self.state.lock();
        while !state.stopping {
            if state.sessions.is_empty() {
                self.session_or_stop.wait(&mut state);
                continue;
            }
            // Of those who come and go, only the first wakes this early: the interval is kept, nearly, however many
            // there are.
            if self.session_or_stop.wait_for(&mut state, sweep_interval).timed_out() {
                self.sweep_all(&mut state);
            }
        }
    }

    fn sweep_all(&self, state: &mut State) {
        state.sessions.values_mut().for_each(|entry| self.sweep(entry));
    }

    fn sweep(&self, entry: &mut Entry) {
        if let Some(sweeps) = &mut entry.handshake_sweeps {
            *sweeps += 1;
            if *sweeps == SWEEPS_MAX {
                tracing::info!("NBD handshake took too long");
                entry.handle.abort();
            }
            return;
        }
        let Some(moved_bytes) = entry.handle.moved_bytes_waiting() else {
            entry.stalled = None;
            return;
        };
        let (sweeps, before_bytes) = entry.stalled.get_or_insert((0, moved_bytes));
        *sweeps += 1;
        if *sweeps <= self.stall_sweeps_max {
            return;
        }
        if moved_bytes - *before_bytes < self.stall_bytes_min {
            tracing::info!("an NBD client kept the server waiting for too long");
            entry.handle.abort();
        }
        entry.stalled = None;
    }
}

impl Place {
    pub(super) const fn handle(&self) -> &SessionHandle {
        &self.handle
    }

    /// The client may take its time from now on.
    pub(super) fn handshake_is_over(&self) {
        if let Some(entry) = self.registry.state.lock().sessions.get_mut(&self.number) {
            entry.handshake_sweeps = None;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.registry.state.lock();
        state.sessions.remove(&self.number);
        self.registry.session_ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::socket::{Bell, Socket};

    /// A registry that looks twice before a stalled client must have moved 1,000 bytes, with one session past its
    /// handshake.
    fn registry_with_a_session() -> (Arc<Registry>, Place) {
        let limits = NbdLimits {
            handshake_timeout: Duration::from_secs(2),
            stall_timeout: Duration::from_secs(2),
            stall_bytes_min: 1000,
            ..NbdLimits::default()
        };
        let registry = Arc::new(Registry::new(&limits));
        let (socket, _) = UnixStream::pair().unwrap();
        let handle = SessionHandle::new(Socket::new(socket.into()), Bell::new().unwrap());
        let place = Registry::enter(&registry, handle).unwrap();
        (registry, place)
    }

    fn sweep(registry: &Registry, times: usize) {
        (0..times).for_each(|_| registry.sweep_all(&mut registry.state.lock()));
    }

    #[test]
    fn a_handshake_has_its_time() {
        let (registry, place) = registry_with_a_session();
        sweep(&registry, 2);
        assert!(!place.handle().is_aborted());
        sweep(&registry, 1);
        assert!(place.handle().is_aborted());
    }

    #[test]
    fn a_client_that_keeps_the_server_waiting_and_moves_too_little_is_ended() {
        let (registry, place) = registry_with_a_session();
        place.handshake_is_over();
        place.handle().set_waits_for_client(true);
        sweep(&registry, 2);
        place.handle().add_moved(999);
        assert!(!place.handle().is_aborted());
        sweep(&registry, 1);
        assert!(place.handle().is_aborted());
    }

    #[test]
    fn a_slow_client_that_moves_enough_is_left_alone() {
        let (registry, place) = registry_with_a_session();
        place.handshake_is_over();
        place.handle().set_waits_for_client(true);
        for _ in 0..100 {
            place.handle().add_moved(1000);
            sweep(&registry, 1);
        }
        assert!(!place.handle().is_aborted());
    }

    #[test]
    fn a_client_that_is_between_requests_may_be_silent_for_ever() {
        let (registry, place) = registry_with_a_session();
        place.handshake_is_over();
        sweep(&registry, 100);
        // Waits that are each over in time do not add up.
        for _ in 0..100 {
            place.handle().set_waits_for_client(true);
            sweep(&registry, 2);
            place.handle().set_waits_for_client(false);
            sweep(&registry, 1);
        }
        assert!(!place.handle().is_aborted());
    }
}
