//! Bills.

use ashlar_types::AccountUin;
use clap::Args;

use super::{AdminFlags, money};

/// What a bill is asked for with.
#[derive(Debug, Args)]
pub(crate) struct BillFlags {
    /// From when on, ISO 8601 with an offset, 2026-11-01T00:00:00+08:00
    #[arg(long)]
    pub(crate) from: String,
    /// Until when
    #[arg(long)]
    pub(crate) to: String,
    /// Of this account [default: all]
    #[arg(long, value_parser = money::account)]
    pub(crate) account: Option<AccountUin>,
    /// Broken down by account, project, or tag:KEY
    #[arg(long, default_value = "account", value_name = "account|project|tag:KEY")]
    pub(crate) by: String,
    /// Flags of every administrative command.
    #[command(flatten)]
    pub(crate) admin: AdminFlags,
}
