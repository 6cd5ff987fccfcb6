//! The memory that all sessions together may hold for requests that wait.
//!
//! Each session has a small share of its own, so that no client can starve the others; what exceeds it comes out of a
//! pot that all share.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::session_handle::SessionHandle;

/// What a session may hold without asking.
pub(crate) const SHARE_BYTES: usize = 1 << 20;

/// The pot. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Memory {
    total_bytes: usize,
    pot: Arc<Mutex<Pot>>,
}

struct Pot {
    left_bytes: usize,
    /// Sessions that asked in vain; they are woken when something comes back.
    waiting: Vec<SessionHandle>,
}

/// A part of the pot, given back when dropped.
pub(crate) struct Reservation {
    bytes: usize,
    memory: Memory,
}

impl Memory {
    pub(crate) fn new(total_bytes: usize) -> Self {
        Self { total_bytes, pot: Arc::new(Mutex::new(Pot { left_bytes: total_bytes, waiting: Vec::new() })) }
    }

    /// Takes `bytes` out of the pot, or has `session` woken when it is worth asking again. Whoever wants more than the
    /// whole pot gets through when nobody else has any of it.
    pub(crate) fn reserve(&self, bytes: usize, session: &SessionHandle) -> Option<Reservation> {
        let bytes = bytes.min(self.total_bytes);
        let mut pot = self.pot.lock();
        if pot.left_bytes < bytes {
            pot.waiting.push(session.clone());
            return None;
        }
        pot.left_bytes -= bytes;
        drop(pot);
        Some(Reservation { bytes, memory: self.clone() })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let waiting = {
            let mut pot = self.memory.pot.lock();
            pot.left_bytes += self.bytes;
            std::mem::take(&mut pot.waiting)
        };
        waiting.iter().for_each(|session| session.bell().ring());
    }
}
