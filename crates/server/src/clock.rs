//! The one place that reads the machine's clocks.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ashlar_types::{Clock, UnixMillis};
use ashlar_volume::limit::Pace;
use parking_lot::{Condvar, Mutex};

/// The system's wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the seam behind which the wall clock lies")]
    fn now(&self) -> UnixMillis {
        let millis = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            // A clock set before 1970: negative milliseconds.
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |millis| -millis),
        };
        UnixMillis(millis)
    }
}

/// The system's clock, moved by as much as a tester wants. It goes on by itself.
#[derive(Debug, Default)]
pub(crate) struct TestClock {
    moved_ms: AtomicI64,
}

impl TestClock {
    /// Moves it, backwards too.
    pub(crate) fn advance_ms(&self, duration_ms: i64) {
        self.moved_ms.fetch_add(duration_ms, Ordering::SeqCst);
    }

    /// Sets it.
    pub(crate) fn set(&self, time: UnixMillis) {
        self.moved_ms.store(time.0.saturating_sub(SystemClock.now().0), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> UnixMillis {
        SystemClock.now().plus_ms(self.moved_ms.load(Ordering::SeqCst))
    }
}

/// The steady clock, as limits wait for it.
#[derive(Debug)]
pub(crate) struct SteadyPace {
    began: Instant,
    nobody: (Mutex<()>, Condvar),
}

impl SteadyPace {
    /// A pace that begins now.
    pub(crate) fn new() -> Self {
        Self { began: steady_now(), nobody: (Mutex::new(()), Condvar::new()) }
    }
}

impl Pace for SteadyPace {
    fn now_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Nobody notifies: this is a wait for a point in time, and there is no other event to wait for.
    fn wait_until(&self, at_ns: u64) {
        let until = self.began + Duration::from_nanos(at_ns);
        let (lock, condvar) = &self.nobody;
        let mut guard = lock.lock();
        while !condvar.wait_until(&mut guard, until).timed_out() {}
    }
}

/// A point on the steady clock, for measuring how long something took.
#[expect(clippy::disallowed_methods, reason = "durations in log lines are measured, not decided on")]
pub(crate) fn steady_now() -> Instant {
    Instant::now()
}
