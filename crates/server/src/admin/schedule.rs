//! `ashlar schedule …`: what scheduled snapshot policies have coming, what they could not have, and which of them the
//! operator stops. Both ends of the exchange.

use ashlar_control::{Control, ControlError, IsolateSnapshotPolicies, ScheduleState, wire_time_iso};
use ashlar_types::{AccountUin, SnapshotPolicyId};
use serde::{Deserialize, Serialize};

use super::protocol::{AdminCommand, Answer};
use crate::cli::{AdminFlags, ScheduleArguments, ScheduleCommand, ScheduleTarget};

/// What can be asked for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum ScheduleOrder {
    /// All of them.
    Show,
    /// Stop policies, or let them go on.
    Isolate {
        /// These.
        policies: Vec<String>,
        /// All that this account has.
        account: Option<u64>,
        /// Whether they are to be stopped.
        isolated: bool,
    },
}

/// The request of a command line.
pub(crate) fn request(arguments: ScheduleArguments) -> (AdminCommand, AdminFlags) {
    let isolate = |target: ScheduleTarget, isolated: bool| {
        let ScheduleTarget { policies, account, admin } = target;
        let policies = policies.iter().map(ToString::to_string).collect();
        (ScheduleOrder::Isolate { policies, account, isolated }, admin)
    };
    let (order, admin) = match arguments.command {
        None => (ScheduleOrder::Show, arguments.admin),
        Some(ScheduleCommand::Isolate(target)) => isolate(target, true),
        Some(ScheduleCommand::Release(target)) => isolate(target, false),
    };
    (AdminCommand::Schedule(order), admin)
}

/// A policy's schedule, as `--json` shows it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ScheduleRecord {
    policy_id: String,
    name: String,
    account: u64,
    region: String,
    state: String,
    /// Whether the operator keeps it from working; the other reason for ISOLATED is a debt.
    isolated_by_operator: bool,
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
            isolated_by_operator: state.isolated_by_operator,
            activated: state.activated,
            next_trigger: state.next_trigger.map(wire_time_iso),
            pending: state.pending,
            failed: failed.map(wire_time_iso),
            failure,
        }
    }
}

/// Does what is asked.
pub(crate) async fn obey(control: &Control, order: ScheduleOrder) -> Result<Answer, String> {
    let states = match order {
        ScheduleOrder::Show => control.schedules().await,
        ScheduleOrder::Isolate { policies, account, isolated } => {
            let policies = policies.iter().map(|id| id.parse()).collect::<Result<Vec<SnapshotPolicyId>, _>>();
            let policies = policies.map_err(|error| error.to_string())?;
            let account = account.map(AccountUin);
            let wanted = IsolateSnapshotPolicies { policies, account, isolated };
            control.isolate_snapshot_policies(wanted).await
        }
    };
    let states = states.map_err(|error: ControlError| error.to_string())?;
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
