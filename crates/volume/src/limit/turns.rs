//! Whose turn was taken already.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Limiter, Pace};

/// Reads and writes that took their turn and then had to be left to a thread that may wait, or to a queue. More than sessions can
/// have in flight; beyond, what a session that went away left behind is forgotten.
const PAID_MAX: usize = 4096;

/// The turns of one device, and those that were taken ahead.
pub(super) struct Turns {
    limiter: Arc<Limiter>,
    pace: Arc<dyn Pace>,
    paid: Mutex<HashMap<(u64, usize), u32>>,
}

impl Turns {
    pub(super) fn new(limiter: Arc<Limiter>, pace: Arc<dyn Pace>) -> Self {
        Self { limiter, pace, paid: Mutex::default() }
    }

    /// Waits for the turn of a request of so many bytes.
    pub(super) fn take(&self, length_bytes: u64) {
        let now_ns = self.pace.now_ns();
        let turn_ns = self.limiter.reserve(length_bytes, now_ns);
        if turn_ns > now_ns {
            self.pace.wait_until(turn_ns);
        }
    }

    /// The same, unless this request has taken its turn before.
    pub(super) fn take_unless_paid(&self, offset_bytes: u64, length: usize) {
        if !self.was_paid((offset_bytes, length)) {
            self.take(length as u64);
        }
    }

    /// A request has taken its turn, and will come again.
    pub(super) fn note_paid(&self, request: (u64, usize)) {
        let mut paid = self.paid.lock();
        if paid.len() >= PAID_MAX {
            paid.clear();
        }
        *paid.entry(request).or_default() += 1;
    }

    fn was_paid(&self, request: (u64, usize)) -> bool {
        let mut paid = self.paid.lock();
        let Some(count) = paid.get_mut(&request) else { return false };
        *count -= 1;
        if *count == 0 {
            paid.remove(&request);
        }
        true
    }
}
