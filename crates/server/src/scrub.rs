//! Scrubbing: reading all that pools hold while they are in use, one scrub at a time, as fast as was allowed.

use std::sync::Arc;
use std::time::Duration;

use ashlar_control::Control;
use ashlar_engine::{Pool, Scrub, ScrubProgress};
use ashlar_types::{Clock, UnixMillis};
use ashlar_volume::{VolumeError, VolumeId, VolumeStore};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::pools::Pools;
use crate::stop::Stop;

/// Bytes that are read before the rate is looked at: more would be felt by others, fewer would cost thread changes.
const STEP_BYTES: u64 = 4 << 20;
const HOUR_MS: i64 = 3600 * 1000;

/// When the server scrubs by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ScrubSettings {
    /// Hours from the end of one scrub to the beginning of the next; 0: never.
    pub(crate) interval_hours: u32,
    /// The most that is read in a second, in MB; 0: as much as the medium gives.
    pub(crate) rate_mb: u64,
}

impl Default for ScrubSettings {
    fn default() -> Self {
        Self { interval_hours: 0, rate_mb: 50 }
    }
}

/// Where a scrub stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ScrubState {
    /// None ran since the server was started.
    #[default]
    Idle,
    Running,
    Finished,
    /// Somebody ended it.
    Cancelled,
    /// The metadata could not be read, or the server stopped.
    Failed,
}

/// The scrub that runs, or the last one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ScrubRecord {
    pub(crate) state: ScrubState,
    /// Bytes that there were to read when it began.
    pub(crate) total_bytes: u64,
    /// Bytes that were read.
    pub(crate) done_bytes: u64,
    /// Damaged blocks that were found.
    pub(crate) damaged_blocks: u64,
    /// Why it failed.
    pub(crate) failure: Option<String>,
}

/// Runs scrubs. Clones are one.
#[derive(Clone)]
pub(crate) struct Scrubber {
    pools: Arc<Pools>,
    control: Control,
    clock: Arc<dyn Clock>,
    shared: Arc<Mutex<Shared>>,
    stop: Stop,
}

#[derive(Default)]
struct Shared {
    record: ScrubRecord,
    is_cancelled: bool,
}

impl Scrubber {
    pub(crate) fn new(pools: Arc<Pools>, control: Control, clock: Arc<dyn Clock>, stop: Stop) -> Self {
        Self { pools, control, clock, shared: Arc::default(), stop }
    }

    /// The scrub that runs, or the last one.
    pub(crate) fn record(&self) -> ScrubRecord {
        self.shared.lock().record.clone()
    }

    /// Ends the scrub that runs; `false` if none does.
    pub(crate) fn cancel(&self) -> bool {
        let mut shared = self.shared.lock();
        shared.is_cancelled = shared.record.state == ScrubState::Running;
        shared.is_cancelled
    }

    /// Begins a scrub of some disks, or of everything. A refusal is a line for people.
    pub(crate) fn start(&self, disks: &[VolumeId], rate_mb: u64) -> Result<(), String> {
        let scrubs = self.begin(disks)?;
        let this = self.clone();
        tokio::spawn(async move { this.run(scrubs, rate_mb).await });
        Ok(())
    }

    /// May block shortly. Whoever gets the scrubs has to run them.
    fn begin(&self, disks: &[VolumeId]) -> Result<Vec<Scrub>, String> {
        let mut shared = self.shared.lock();
        if shared.record.state == ScrubState::Running {
            return Err("a scrub is running: wait for it, or end it with `ashlar scrub --cancel`".to_owned());
        }
        let pools: Vec<Arc<Pool>> = self.pools.open_pools().into_iter().map(|(_, pool)| pool).collect();
        let has = |pool: &Pool, disk: &VolumeId| pool.volume(disk).is_ok();
        if let Some(unknown) = disks.iter().find(|disk| !pools.iter().any(|pool| has(pool, disk))) {
            return Err(format!("there is no disk `{unknown}` in any pool"));
        }
        let mut scrubs = Vec::new();
        for pool in pools {
            let here: Vec<_> = disks.iter().filter(|disk| has(&pool, disk)).cloned().collect();
            if disks.is_empty() || !here.is_empty() {
                scrubs.push(pool.scrub(&here).map_err(|error| error.to_string())?);
            }
        }
        let total_bytes = scrubs.iter().map(|scrub| scrub.progress().total_bytes).sum();
        let record = ScrubRecord { state: ScrubState::Running, total_bytes, ..ScrubRecord::default() };
        *shared = Shared { record, is_cancelled: false };
        Ok(scrubs)
    }

    async fn run(&self, scrubs: Vec<Scrub>, rate_mb: u64) {
        let mut before = ScrubProgress::default();
        let mut outcome = ScrubState::Finished;
        let mut failure = None;
        for scrub in scrubs {
            let (progress, result) = self.run_one(scrub, before, rate_mb).await;
            before.done_bytes += progress.done_bytes;
            before.damaged_blocks += progress.damaged_blocks;
            match result {
                Ok(true) => {}
                Ok(false) => outcome = ScrubState::Cancelled,
                Err(error) => {
                    outcome = ScrubState::Failed;
                    failure = Some(error);
                }
            }
            if outcome == ScrubState::Cancelled {
                break;
            }
        }
        let mut shared = self.shared.lock();
        shared.record.state = outcome;
        shared.record.failure = failure;
        let ScrubRecord { done_bytes, damaged_blocks, .. } = shared.record;
        // Disks show what was found.
        self.control.wake_reconcilers();
        tracing::info!(?outcome, done_bytes, damaged_blocks, "the scrub has ended");
    }

    /// Runs one to its end; `false` if it was ended before.
    async fn run_one(
        &self,
        mut scrub: Scrub,
        before: ScrubProgress,
        rate_mb: u64,
    ) -> (ScrubProgress, Result<bool, String>) {
        let mut stop = self.stop.clone();
        loop {
            let begun = self.clock.now();
            let done_before = scrub.progress().done_bytes;
            let stepped = tokio::task::spawn_blocking(move || {
                let result = read_some(&mut scrub);
                (scrub, result)
            });
            let (stepped, result) = match stepped.await {
                Ok(stepped) => stepped,
                Err(error) => return (before, Err(error.to_string())),
            };
            scrub = stepped;
            let progress = scrub.progress();
            let is_cancelled = {
                let mut shared = self.shared.lock();
                shared.record.done_bytes = before.done_bytes + progress.done_bytes;
                shared.record.damaged_blocks = before.damaged_blocks + progress.damaged_blocks;
                shared.is_cancelled
            };
            match result {
                Ok(true) if is_cancelled || stop.is_wanted() => return (progress, Ok(false)),
                Ok(true) => {}
                Ok(false) => return (progress, Ok(true)),
                Err(error) => return (progress, Err(error.to_string())),
            }
            let pause = pause(progress.done_bytes - done_before, rate_mb, self.clock.now().0 - begun.0);
            if !pause.is_zero() {
                let _ = timeout(pause, stop.wanted()).await;
            }
        }
    }

    /// Scrubs everything as often as was set, until the server stops.
    pub(crate) async fn run_scheduled(self, settings: ScrubSettings) {
        if settings.interval_hours == 0 {
            return;
        }
        let mut stop = self.stop.clone();
        let interval_ms = i64::from(settings.interval_hours) * HOUR_MS;
        let mut last = self.pools.last_scrub();
        loop {
            let wait_ms = wait_ms(last, interval_ms, self.clock.now());
            let wait = Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0));
            if timeout(wait, stop.wanted()).await.is_ok() {
                return;
            }
            match self.begin(&[]) {
                Ok(scrubs) => self.run(scrubs, settings.rate_mb).await,
                Err(reason) => tracing::debug!(reason, "the scheduled scrub waits"),
            }
            if stop.is_wanted() {
                return;
            }
            last = Some(self.clock.now());
            self.pools.note_scrub(self.clock.now());
        }
    }
}

/// How long until the next scheduled scrub. One that was missed comes at once; a clock that was set back delays
/// nothing beyond the interval.
fn wait_ms(last: Option<UnixMillis>, interval_ms: i64, now: UnixMillis) -> i64 {
    last.map_or(0, |last| last.plus_ms(interval_ms).0.saturating_sub(now.0)).clamp(0, interval_ms)
}

/// How long to wait after so many bytes, of which the reading has taken some time.
fn pause(bytes: u64, rate_mb: u64, taken_ms: i64) -> Duration {
    if rate_mb == 0 {
        return Duration::ZERO;
    }
    let due_ms = bytes / (rate_mb * 1000);
    Duration::from_millis(due_ms.saturating_sub(u64::try_from(taken_ms).unwrap_or(0)))
}

fn read_some(scrub: &mut Scrub) -> Result<bool, VolumeError> {
    let until = scrub.progress().done_bytes + STEP_BYTES;
    while scrub.progress().done_bytes < until {
        if !scrub.step()? {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_kept_by_waiting_for_what_reading_has_not_taken() {
        assert_eq!(pause(50_000_000, 50, 200), Duration::from_millis(800));
        assert_eq!(pause(50_000_000, 50, 2000), Duration::ZERO, "the medium is slower");
        assert_eq!(pause(50_000_000, 50, -5), Duration::from_secs(1), "a clock that was set back");
        assert_eq!(pause(50_000_000, 0, 0), Duration::ZERO, "no limit");
    }

    #[test]
    fn a_scheduled_scrub_waits_for_its_interval() {
        let now = UnixMillis(1_000_000);
        assert_eq!(wait_ms(None, 5000, now), 0, "the first one");
        assert_eq!(wait_ms(Some(UnixMillis(999_000)), 5000, now), 4000);
        assert_eq!(wait_ms(Some(UnixMillis(1)), 5000, now), 0, "missed while the server was down");
        assert_eq!(wait_ms(Some(UnixMillis(9_000_000)), 5000, now), 5000, "the clock was set back");
    }
}
