//! What scheduled snapshot policies have coming.

use ashlar_types::SnapshotPolicyId;
use clap::{Args, Subcommand};

use super::AdminFlags;

/// What is done with schedules; without anything, they are shown.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ScheduleArguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Option<ScheduleCommand>,
    /// Flags of every administrative command.
    #[command(flatten)]
    pub(crate) admin: AdminFlags,
}

/// What can be done with schedules.
#[derive(Debug, Subcommand)]
pub(crate) enum ScheduleCommand {
    /// Keep policies from working: their owner sees them as ISOLATED, and cannot change or bind them.
    Isolate(ScheduleTarget),
    /// Let policies work again, unless their account owes money.
    Release(ScheduleTarget),
}

/// Which policies are meant.
#[derive(Debug, Args)]
pub(crate) struct ScheduleTarget {
    /// Policies, asp-xxxxxxxx
    #[arg(required_unless_present = "account")]
    pub(crate) policies: Vec<SnapshotPolicyId>,
    /// All policies that this account has now
    #[arg(long, value_name = "UIN")]
    pub(crate) account: Option<u64>,
    /// Flags of every administrative command.
    #[command(flatten)]
    pub(crate) admin: AdminFlags,
}
