//! `ashlar scrub`: begins a scrub in the server and shows how it goes.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use super::client::ask;
use super::health::scrub_line;
use super::protocol::{AdminCommand, Answer};
use crate::cli::ScrubFlags;
use crate::config::{Environment, admin_data_dir};
use crate::failure::Failure;
use crate::output;
use crate::scrub::{ScrubRecord, ScrubState};

/// How often the server is asked on a terminal, and for a line otherwise.
const TERMINAL_INTERVAL: Duration = Duration::from_millis(200);
const LINE_INTERVAL: Duration = Duration::from_secs(5);
/// Characters of the bar.
const BAR_CHARS: u64 = 30;

/// Runs the command. Damage is a refusal (exit 1).
pub(crate) fn run(flags: ScrubFlags, environment: Environment<'_>) -> Result<(), Failure> {
    let ScrubFlags { rate, disks, cancel, admin } = flags;
    let data_dir = admin_data_dir(admin.data_dir, environment);
    if cancel {
        ask(&data_dir, AdminCommand::CancelScrub).and_then(done)?;
        return Ok(());
    }
    let disks = disks.iter().map(ToString::to_string).collect();
    ask(&data_dir, AdminCommand::StartScrub { disks, rate_mb: rate.unwrap_or(0) }).and_then(done)?;
    let is_terminal = std::io::stderr().is_terminal() && !admin.json;
    let record = loop {
        let record = match ask(&data_dir, AdminCommand::ShowStatus)? {
            Answer::Status(status) => status.health.scrub,
            other => return Err(done(other).err().unwrap_or_else(|| Failure::refused("no status"))),
        };
        if is_terminal {
            // A terminal that went away is no fault.
            let _ = write!(std::io::stderr().lock(), "\r{}\x1b[K", bar(&record));
        }
        if record.state != ScrubState::Running {
            break record;
        }
        if !is_terminal && !admin.json {
            output::line(&scrub_line(&record));
        }
        pause(if is_terminal || admin.json { TERMINAL_INTERVAL } else { LINE_INTERVAL });
    };
    if is_terminal {
        let _ = writeln!(std::io::stderr().lock());
    }
    if admin.json {
        let json =
            serde_json::to_string(&record).map_err(|error| Failure::internal("cannot write JSON", error))?;
        output::line(&json);
    } else {
        output::line(&scrub_line(&record));
    }
    match (record.state, record.damaged_blocks) {
        (ScrubState::Finished, 0) => Ok(()),
        (ScrubState::Finished, blocks) => {
            Err(Failure::refused(format!("{blocks} damaged blocks; `ashlar status` says whose they are")))
        }
        _ => Err(Failure::refused("the scrub did not come to its end")),
    }
}

fn done(answer: Answer) -> Result<(), Failure> {
    match answer {
        Answer::Refused { message } => Err(Failure::refused(message)),
        _ => Ok(()),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a person waits for the next figure; the server has no event for it"
)]
fn pause(interval: Duration) {
    std::thread::sleep(interval);
}

fn bar(record: &ScrubRecord) -> String {
    let filled = (record.done_bytes * BAR_CHARS).checked_div(record.total_bytes).unwrap_or(BAR_CHARS);
    let filled = filled.min(BAR_CHARS) as usize;
    format!("[{}{}] {}", "#".repeat(filled), "-".repeat(BAR_CHARS as usize - filled), scrub_line(record))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fills_up_and_never_beyond() {
        let mut record =
            ScrubRecord { state: ScrubState::Running, total_bytes: 100, ..ScrubRecord::default() };
        for (done_bytes, filled) in [(0, 0), (50, 15), (100, 30), (300, 30)] {
            record.done_bytes = done_bytes;
            assert_eq!(bar(&record).matches('#').count(), filled, "{done_bytes}");
            assert_eq!(bar(&record).matches('-').count(), 30 - filled, "{done_bytes}");
        }
        record.total_bytes = 0;
        assert!(bar(&record).contains("100 %"), "nothing to read");
    }
}
