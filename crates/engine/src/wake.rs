//! Telling the background thread that there may be work.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Why [`Wake::wait`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    /// There may be work.
    ByBell,
    /// Nothing happened for a while.
    Idle,
    /// It is time to stop.
    ToStop,
}

/// A bell: ringing it while nobody listens is remembered.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    signal: Mutex<Signal>,
    rung: Condvar,
}

#[derive(Debug, Default)]
struct Signal {
    is_rung: bool,
    is_stopping: bool,
}

impl Wake {
    /// There may be work.
    pub(crate) fn ring(&self) {
        self.signal.lock().is_rung = true;
        self.rung.notify_one();
    }

    /// Ends [`wait`](Self::wait) for good.
    pub(crate) fn stop(&self) {
        self.signal.lock().is_stopping = true;
        self.rung.notify_all();
    }

    /// Whether [`stop`](Self::stop) was called.
    pub(crate) fn is_stopping(&self) -> bool {
        self.signal.lock().is_stopping
    }

    /// Waits for the bell, or until nobody has rung it for so long.
    pub(crate) fn wait(&self, idle: Duration) -> Woken {
        let mut signal = self.signal.lock();
        while !signal.is_rung && !signal.is_stopping {
            if self.rung.wait_for(&mut signal, idle).timed_out() {
                break;
            }
        }
        match (signal.is_stopping, std::mem::take(&mut signal.is_rung)) {
            (true, _) => Woken::ToStop,
            (false, true) => Woken::ByBell,
            (false, false) => Woken::Idle,
        }
    }
}
