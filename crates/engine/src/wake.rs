//! Telling the background thread that there may be work.

use parking_lot::{Condvar, Mutex};

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

    /// Waits for the bell; `false` when it is time to stop.
    pub(crate) fn wait(&self) -> bool {
        let mut signal = self.signal.lock();
        while !signal.is_rung && !signal.is_stopping {
            self.rung.wait(&mut signal);
        }
        signal.is_rung = false;
        !signal.is_stopping
    }
}
