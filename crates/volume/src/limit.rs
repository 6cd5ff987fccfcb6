//! Limits: a device that is as fast as its disk promises, and no faster.
//!
//! A [`Limiter`] is the promise of one disk, shared by all who have it open and changed while they do. It keeps no
//! queue: each request reserves its turn on a virtual time line and waits for it, so turns are taken in the order of
//! the calls and nobody is starved. [`LimitedDevice`] asks it before each request. A device without limits is not
//! wrapped at all and pays nothing.
//!
//! An idle disk saves a little time (`SLACK_NS`), so that a client that sends in small bursts reaches its rate. With
//! a burst speed it saves its unused baseline up to [`Limits::credit_ns`] and spends it up to that speed.

mod device;
mod queue;
#[cfg(test)]
mod tests;
mod turns;

use parking_lot::Mutex;

pub use device::LimitedDevice;

/// What an idle disk saves without a burst speed, and above a burst speed: a tenth of a second's worth.
const SLACK_NS: u64 = 100_000_000;

const SECOND_NS: u64 = 1_000_000_000;

/// The time that limits count by: monotonic, and one can wait for it. A parameter, so that tests need no time.
pub trait Pace: Send + Sync {
    /// Nanoseconds since some point; never goes back.
    fn now_ns(&self) -> u64;

    /// Blocks until [`now_ns`](Self::now_ns) is at least `at_ns`.
    fn wait_until(&self, at_ns: u64);
}

/// How fast a disk may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speed {
    /// Requests a second, reads and writes together.
    pub iops: u64,
    /// Bytes a second, reads and writes together.
    pub bytes_per_second: u64,
}

/// What a disk promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// What it can do all the time.
    pub baseline: Speed,
    /// What it can do on saved credit.
    pub burst: Option<Speed>,
    /// How long an idle disk saves credit for its burst speed.
    pub credit_ns: u64,
}

/// A rate on a virtual time line.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// When everything that was reserved would be done at this rate.
    done_ns: u64,
}

impl Bucket {
    /// Reserves `units` at `rate` a second, where at most `depth_ns` of idle time count; gives the turn.
    fn reserve(&mut self, now_ns: u64, units: u64, rate: u64, depth_ns: u64) -> u64 {
        let cost_ns = u128::from(units) * u128::from(SECOND_NS) / u128::from(rate.max(1));
        let cost_ns = u64::try_from(cost_ns).unwrap_or(u64::MAX);
        let from_ns = self.done_ns.max(now_ns.saturating_sub(depth_ns));
        self.done_ns = from_ns.saturating_add(cost_ns);
        self.done_ns
    }
}

#[derive(Debug)]
struct State {
    limits: Limits,
    requests: Bucket,
    bytes: Bucket,
    peak_requests: Bucket,
    peak_bytes: Bucket,
}

/// The promise of one disk.
#[derive(Debug)]
pub struct Limiter {
    state: Mutex<State>,
}

impl Limiter {
    /// A limiter that has saved nothing yet.
    #[must_use]
    pub fn new(limits: Limits, now_ns: u64) -> Self {
        let fresh = Bucket { done_ns: now_ns };
        let state = State { limits, requests: fresh, bytes: fresh, peak_requests: fresh, peak_bytes: fresh };
        Self { state: Mutex::new(state) }
    }

    /// What holds now.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.state.lock().limits
    }

    /// Changes what holds from now on. Turns that are reserved stay; a burst speed begins without credit.
    pub fn set(&self, limits: Limits, now_ns: u64) {
        let mut state = self.state.lock();
        if state.limits.burst.is_none() && limits.burst.is_some() {
            state.requests.done_ns = state.requests.done_ns.max(now_ns);
            state.bytes.done_ns = state.bytes.done_ns.max(now_ns);
        }
        state.limits = limits;
    }

    /// Reserves the turn of a request of so many bytes.
    pub fn reserve(&self, length_bytes: u64, now_ns: u64) -> u64 {
        let mut state = self.state.lock();
        let Limits { baseline, burst, credit_ns } = state.limits;
        let depth_ns = if burst.is_some() { credit_ns.max(SLACK_NS) } else { SLACK_NS };
        let turn_ns = state.requests.reserve(now_ns, 1, baseline.iops, depth_ns);
        let bytes_ns = state.bytes.reserve(now_ns, length_bytes, baseline.bytes_per_second, depth_ns);
        let turn_ns = turn_ns.max(bytes_ns);
        let Some(peak) = burst else { return turn_ns };
        let requests_ns = state.peak_requests.reserve(now_ns, 1, peak.iops, SLACK_NS);
        let bytes_ns = state.peak_bytes.reserve(now_ns, length_bytes, peak.bytes_per_second, SLACK_NS);
        turn_ns.max(requests_ns).max(bytes_ns)
    }
}
