//! `ashlar du --wait`: shows how deleted space comes back, until all of it is back.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use ashlar_engine::ReclaimProgress;
use serde::{Deserialize, Serialize};

use super::client::{ask, exchange};
use super::protocol::{AdminCommand, Answer};
use crate::cli::DuFlags;
use crate::config::{Environment, admin_data_dir};
use crate::failure::Failure;

/// How often the server is asked on a terminal, and for a line otherwise.
const TERMINAL_INTERVAL: Duration = Duration::from_millis(200);
const LINE_INTERVAL: Duration = Duration::from_secs(1);
/// Characters of the bar.
const BAR_CHARS: u64 = 30;
const MIB: u64 = 1 << 20;

/// How far a pool is with giving space back, as `--json` shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReclaimRecord {
    /// Layers of deleted disks and snapshots that wait to be merged or dropped.
    pub(super) layers: u64,
    /// Bytes of the blocks in them: what is dropped comes back, what is merged goes to its heir without being moved.
    pub(super) layer_bytes: u64,
    /// Bytes that nobody holds any more and that wait to be given to the file system.
    pub(super) punch_bytes: u64,
    /// Layers that were merged or dropped since the server was started.
    pub(super) layers_done: u64,
    /// Bytes that were given to the file system since the server was started.
    pub(super) punched_bytes: u64,
}

impl From<ReclaimProgress> for ReclaimRecord {
    fn from(progress: ReclaimProgress) -> Self {
        let ReclaimProgress { layers, layer_bytes, punch_bytes, layers_done, punched_bytes } = progress;
        Self { layers, layer_bytes, punch_bytes, layers_done, punched_bytes }
    }
}

impl ReclaimRecord {
    /// What there is to do, in words; none if there is nothing.
    pub(super) fn to_text(&self) -> Option<String> {
        let Self { layers, layer_bytes, punch_bytes, .. } = self;
        (*layers > 0 || *punch_bytes > 0).then(|| {
            format!(
                "gives space back: {layers} deleted layers with {} MiB to go through, {} MiB to punch",
                layer_bytes / MIB,
                punch_bytes / MIB
            )
        })
    }

    fn add(&mut self, other: &Self) {
        self.layers += other.layers;
        self.layer_bytes += other.layer_bytes;
        self.punch_bytes += other.punch_bytes;
        self.layers_done += other.layers_done;
        self.punched_bytes += other.punched_bytes;
    }

    const fn left_bytes(&self) -> u64 {
        self.layer_bytes + self.punch_bytes
    }

    const fn is_done(&self) -> bool {
        self.layers == 0 && self.punch_bytes == 0
    }
}

/// Waits if that is asked for, then shows who takes how much.
pub(crate) fn run(flags: DuFlags, environment: Environment<'_>) -> Result<(), Failure> {
    let DuFlags { wait, admin } = flags;
    if wait {
        let data_dir = admin_data_dir(admin.data_dir.clone(), environment);
        let is_terminal = std::io::stderr().is_terminal();
        let mut pace = Pace::begin();
        loop {
            let left = match ask(&data_dir, AdminCommand::ShowStatus)? {
                Answer::Status(status) => {
                    if let Some(why) = status.health.pools.iter().find_map(|pool| pool.latched.as_ref()) {
                        let message =
                            format!("no space comes back, because nothing is written any more: {why}");
                        return Err(Failure::refused(message));
                    }
                    total(status.health.pools.iter().map(|pool| &pool.reclaim))
                }
                Answer::Refused { message } => return Err(Failure::refused(message)),
                _ => return Err(Failure::refused("no status")),
            };
            if left.is_done() {
                break;
            }
            let line = pace.line(&left);
            // Standard output is for the table; a terminal that went away is no fault.
            let _ = match is_terminal {
                true => write!(std::io::stderr().lock(), "\r{line}\x1b[K"),
                false => writeln!(std::io::stderr().lock(), "{line}"),
            };
            pause(if is_terminal { TERMINAL_INTERVAL } else { LINE_INTERVAL });
        }
        if is_terminal {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
    }
    exchange(AdminCommand::ShowSpace, admin, environment)
}

fn total<'a>(records: impl Iterator<Item = &'a ReclaimRecord>) -> ReclaimRecord {
    let mut total = ReclaimRecord::default();
    records.for_each(|record| total.add(record));
    total
}

/// How fast it goes, since the first figures.
struct Pace {
    begun: Instant,
    first: Option<ReclaimRecord>,
    most_bytes: u64,
}

impl Pace {
    fn begin() -> Self {
        Self { begun: now(), first: None, most_bytes: 0 }
    }

    fn line(&mut self, left: &ReclaimRecord) -> String {
        let elapsed_ms = now().duration_since(self.begun).as_millis() as u64;
        let first = self.first.get_or_insert_with(|| left.clone());
        let punched_bytes = left.punched_bytes.saturating_sub(first.punched_bytes);
        let layers = left.layers_done.saturating_sub(first.layers_done);
        // More may be deleted meanwhile: the bar goes back then.
        self.most_bytes = self.most_bytes.max(left.left_bytes());
        line(left, self.most_bytes, (punched_bytes, layers), elapsed_ms)
    }
}

fn line(left: &ReclaimRecord, most_bytes: u64, (bytes, layers): (u64, u64), elapsed_ms: u64) -> String {
    let a_second = |count: u64| (count * 1000).checked_div(elapsed_ms).unwrap_or(0);
    let done_bytes = most_bytes.saturating_sub(left.left_bytes());
    let filled = (done_bytes * BAR_CHARS).checked_div(most_bytes).unwrap_or(0).min(BAR_CHARS) as usize;
    format!(
        "[{}{}] {} layers and {} MiB left, {} layers and {} MiB a second",
        "#".repeat(filled),
        "-".repeat(BAR_CHARS as usize - filled),
        left.layers,
        left.left_bytes() / MIB,
        a_second(layers),
        a_second(bytes) / MIB
    )
}

#[expect(clippy::disallowed_methods, reason = "a person is told how fast it goes; nothing is decided by it")]
fn now() -> Instant {
    Instant::now()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a person waits for the next figure; the server has no event for it"
)]
fn pause(interval: Duration) {
    std::thread::sleep(interval);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_what_is_left_and_how_fast_it_goes() {
        let left = ReclaimRecord {
            layers: 4,
            layer_bytes: 10 * MIB,
            punch_bytes: 5 * MIB,
            ..ReclaimRecord::default()
        };
        let shown = line(&left, 30 * MIB, (8 * MIB, 6), 2000);
        assert_eq!(
            shown,
            format!(
                "[{}{}] 4 layers and 15 MiB left, 3 layers and 4 MiB a second",
                "#".repeat(15),
                "-".repeat(15)
            )
        );
        assert!(line(&left, 0, (0, 0), 0).contains(", 0 layers and 0 MiB a second"));
    }

    #[test]
    fn nothing_to_do_is_nothing_to_say() {
        assert_eq!(
            ReclaimRecord { punched_bytes: 9, layers_done: 9, ..ReclaimRecord::default() }.to_text(),
            None
        );
        assert!(ReclaimRecord { punch_bytes: 9, ..ReclaimRecord::default() }.to_text().is_some());
        assert!(ReclaimRecord { layers: 1, ..ReclaimRecord::default() }.to_text().is_some());
    }
}
