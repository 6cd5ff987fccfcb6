//! What is remembered about one-time codes: which keys proved to have the device, and who guesses.
//!
//! Lost with the process, which asks for a code once more and forgets guesses.

use std::collections::HashMap;

use ashlar_db::Holder;
use ashlar_types::{SecretId, UnixMillis};
use parking_lot::Mutex;

/// How long a good code is good for, in milliseconds.
pub(super) const WINDOW_MS: i64 = 30 * 60 * 1000;

/// So many wrong codes lock a device's codes for [`LOCK_MS`].
const FAILURES_MAX: u32 = 5;

const LOCK_MS: i64 = 5 * 60 * 1000;

/// Whether what was proved at `time` still counts.
pub(super) fn is_fresh(time: UnixMillis, now: UnixMillis) -> bool {
    (0..WINDOW_MS).contains(&(now.0 - time.0))
}

/// Windows and failures.
#[derive(Debug, Default)]
pub(crate) struct SecondFactor {
    opened: Mutex<HashMap<SecretId, UnixMillis>>,
    failures: Mutex<HashMap<Holder, (u32, UnixMillis)>>,
}

impl SecondFactor {
    pub(super) fn open_window(&self, key: &SecretId, now: UnixMillis) {
        let mut opened = self.opened.lock();
        opened.retain(|_, time| is_fresh(*time, now));
        opened.insert(key.clone(), now);
    }

    pub(super) fn is_open(&self, key: &SecretId, now: UnixMillis) -> bool {
        self.opened.lock().get(key).is_some_and(|time| is_fresh(*time, now))
    }

    /// After a device was enrolled or removed, nothing that was proved counts any more.
    pub(crate) fn close_all(&self) {
        self.opened.lock().clear();
    }

    pub(super) fn is_locked(&self, holder: Holder, now: UnixMillis) -> bool {
        let failures = self.failures.lock();
        failures.get(&holder).is_some_and(|(count, last)| *count >= FAILURES_MAX && now.0 - last.0 < LOCK_MS)
    }

    pub(super) fn failed(&self, holder: Holder, now: UnixMillis) {
        let mut failures = self.failures.lock();
        let (count, last) = failures.entry(holder).or_insert((0, now));
        *count = if now.0 - last.0 < LOCK_MS { *count + 1 } else { 1 };
        *last = now;
    }

    pub(super) fn succeeded(&self, holder: Holder) {
        self.failures.lock().remove(&holder);
    }
}
