//! `ashlar clock …`: both ends of the exchange.

use std::sync::Arc;

use ashlar_control::{Control, parse_iso, wire_time_iso};
use ashlar_types::Clock as _;
use serde::{Deserialize, Serialize};

use super::protocol::{AdminCommand, Answer};
use crate::cli::{AdminFlags, ClockCommand};
use crate::clock::TestClock;
use crate::serve::reconcilers::Reconcilers;

/// How often the reconcilers run at most for one move of the clock: what one brings on its way may be due for the next.
const ROUNDS_MAX: u32 = 20;

/// What can be asked for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum ClockOrder {
    /// The time.
    Show,
    /// Move it.
    Advance {
        /// By so much, in milliseconds; backwards below 0.
        duration_ms: i64,
    },
    /// Set it.
    Set {
        /// To this time, ISO 8601.
        time: String,
    },
}

/// The clock, as `--json` shows it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ClockRecord {
    /// The time now, ISO 8601.
    time: String,
    /// What was due and is brought on its way.
    items: u64,
}

impl ClockRecord {
    /// A line for people.
    pub(crate) fn to_text(&self) -> String {
        format!("{} ({} things were due)", self.time, self.items)
    }
}

/// The request of a command line.
pub(crate) fn request(command: ClockCommand) -> (AdminCommand, AdminFlags) {
    let (order, admin) = match command {
        ClockCommand::Show { admin } => (ClockOrder::Show, admin),
        ClockCommand::Advance { duration, admin } => (ClockOrder::Advance { duration_ms: duration }, admin),
        ClockCommand::Set { time, admin } => (ClockOrder::Set { time }, admin),
    };
    (AdminCommand::Clock(order), admin)
}

/// Does what is asked.
pub(crate) async fn obey(
    clock: Option<&Arc<TestClock>>,
    control: &Control,
    reconcilers: &Reconcilers,
    order: ClockOrder,
) -> Result<Answer, String> {
    let Some(clock) = clock else {
        return Err(
            "this server goes by the system's clock: start one with --test-clock to move it".to_owned()
        );
    };
    match order {
        ClockOrder::Show => return Ok(answer(clock, 0)),
        ClockOrder::Advance { duration_ms } => clock.advance_ms(duration_ms),
        ClockOrder::Set { time } => {
            let expected = "an ISO 8601 time with an offset, 2027-01-01T03:00:00+08:00";
            clock.set(parse_iso(&time).ok_or_else(|| format!("time `{time}`: expected {expected}"))?);
        }
    }
    let mut items = 0;
    for _ in 0..ROUNDS_MAX {
        let moved = reconcilers.round().await;
        control.jobs_idle().await;
        items += moved;
        if moved == 0 {
            break;
        }
    }
    Ok(answer(clock, items))
}

fn answer(clock: &TestClock, items: u64) -> Answer {
    Answer::Clock(ClockRecord { time: wire_time_iso(clock.now()), items })
}
