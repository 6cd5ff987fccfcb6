//! `ashlar schedule`: what scheduled snapshot policies have coming, and what they could not have.

use ashlar_control::{Control, ControlError, ScheduleState, wire_time_iso};
use serde::{Deserialize, Serialize};

use super::protocol::Answer;

/// A policy's schedule, as `--json` shows it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ScheduleRecord {
    policy_id: String,
    name: String,
    account: u64,
    region: String,
    state: String,
    activated: bool,
    /// When it fires next, ISO 8601; null while it is not at work.
    next_trigger: Option<String>,
    /// Snapshots that it has ordered and that are not taken yet.
    pending: u64,
    /// When it last could not have a snapshot, and why.
    failed: Option<String>,
    failure: Option<String>,
}

impl ScheduleRecord {
    fn new(state: ScheduleState) -> Self {
        let (failed, failure) = state.failure.unzip();
        Self {
            policy_id: state.policy.to_string(),
            name: state.name,
            account: state.account.0,
            region: state.region.to_string(),
            state: state.state.to_string(),
            activated: state.activated,
            next_trigger: state.next_trigger.map(wire_time_iso),
            pending: state.pending,
            failed: failed.map(wire_time_iso),
            failure,
        }
    }
}

/// Does what is asked.
pub(crate) async fn show(control: &Control) -> Result<Answer, String> {
    let states = control.schedules().await.map_err(|error: ControlError| error.to_string())?;
    Ok(Answer::Schedules(states.into_iter().map(ScheduleRecord::new).collect()))
}

/// A table for people.
pub(crate) fn to_text(schedules: &[ScheduleRecord]) -> String {
    if schedules.is_empty() {
        return "no scheduled snapshot policies".to_owned();
    }
    let mut lines = vec![format!(
        "{:<13}  {:<8}  {:<6}  {:<25}  {:>7}  LAST FAILURE",
        "POLICY", "STATE", "ACTIVE", "NEXT", "PENDING"
    )];
    lines.extend(schedules.iter().map(|one| {
        let failure = one.failed.as_deref().zip(one.failure.as_deref());
        format!(
            "{:<13}  {:<8}  {:<6}  {:<25}  {:>7}  {}",
            one.policy_id,
            one.state,
            one.activated,
            one.next_trigger.as_deref().unwrap_or("-"),
            one.pending,
            failure.map_or_else(|| "-".to_owned(), |(time, why)| format!("{time} {why}")),
        )
    }));
    lines.join("\n")
}
