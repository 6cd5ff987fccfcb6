//! Snapshots before a fix.

use ashlar_types::InstanceId;
use clap::Args;

use super::{AdminFlags, instance_id};

/// The flags of `ashlar fix-snapshot`.
#[derive(Debug, Args)]
pub(crate) struct FixSnapshotFlags {
    /// The machine, ins-xxxxxxxx or lhins-xxxxxxxx
    #[arg(long, value_name = "ID", value_parser = instance_id)]
    pub(crate) instance: InstanceId,
    /// What is going to be fixed: the name of the snapshots, at most 60 characters
    #[arg(long, value_name = "TEXT")]
    pub(crate) name: String,
    /// Flags of every administrative command.
    #[command(flatten)]
    pub(crate) admin: AdminFlags,
}
