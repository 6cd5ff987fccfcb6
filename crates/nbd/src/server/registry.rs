//! The sessions that there are.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::session_handle::SessionHandle;

/// Handshakes are looked at twice in the time that they have; one seen so often has used it up.
const SWEEPS_MAX: u8 = 3;

/// All sessions of a server.
pub(super) struct Registry {
    connections_max: usize,
    state: Mutex<State>,
    session_ended: Condvar,
    /// The first handshake has begun, or the server stops.
    handshake_or_stop: Condvar,
}

#[derive(Default)]
struct State {
    sessions: HashMap<u64, Entry>,
    next: u64,
    handshakes: usize,
    stopping: bool,
}

struct Entry {
    handle: SessionHandle,
    /// How often the handshake was looked at; `None` when it is over.
    handshake_sweeps: Option<u8>,
}

/// A session's place in the registry, given up when dropped.
pub(super) struct Place {
    registry: Arc<Registry>,
    number: u64,
    handle: SessionHandle,
}

impl Registry {
    pub(super) fn new(connections_max: usize) -> Self {
        Self {
            connections_max,
            state: Mutex::default(),
            session_ended: Condvar::new(),
            handshake_or_stop: Condvar::new(),
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
        state.sessions.insert(number, Entry { handle: handle.clone(), handshake_sweeps: Some(0) });
        state.handshakes += 1;
        if state.handshakes == 1 {
            registry.handshake_or_stop.notify_all();
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
        self.handshake_or_stop.notify_all();
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

    /// Ends clients that begin a handshake and do not end it, whether they are silent or send a byte now and
    /// then. Returns when the server stops.
    pub(super) fn abort_slow_handshakes(&self, sweep_interval: Duration) {
        let mut state = self.state.lock();
        while !state.stopping {
            if state.handshakes == 0 {
                self.handshake_or_stop.wait(&mut state);
                continue;
            }
            // Nobody notifies while there are handshakes, the end of the server apart: the interval is kept
            // however many clients come and go.
            if self.handshake_or_stop.wait_for(&mut state, sweep_interval).timed_out() {
                state.sweep();
            }
        }
    }
}

impl State {
    fn sweep(&mut self) {
        for entry in self.sessions.values_mut() {
            if let Some(sweeps) = &mut entry.handshake_sweeps {
                *sweeps += 1;
                if *sweeps == SWEEPS_MAX {
                    tracing::info!("NBD handshake took too long");
                    entry.handle.abort();
                }
            }
        }
    }

    fn end_handshake(&mut self, number: u64) {
        let entry = self.sessions.get_mut(&number);
        if entry.is_some_and(|entry| entry.handshake_sweeps.take().is_some()) {
            self.handshakes -= 1;
        }
    }
}

impl Place {
    pub(super) const fn handle(&self) -> &SessionHandle {
        &self.handle
    }

    /// The client may take its time from now on.
    pub(super) fn handshake_is_over(&self) {
        self.registry.state.lock().end_handshake(self.number);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.registry.state.lock();
        state.end_handshake(self.number);
        state.sessions.remove(&self.number);
        self.registry.session_ended.notify_all();
    }
}
