//! Scrubbing and the state of the server.

use ashlar_types::DiskId;
use clap::Args;

use super::AdminFlags;

/// The flags of `ashlar scrub`.
#[derive(Debug, Args)]
pub(crate) struct ScrubFlags {
    /// Read at most so many MB in a second [default: as much as the medium gives]
    #[arg(long, value_name = "MB/s", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rate: Option<u64>,
    /// The disks to read, with the snapshots they stand on [default: everything]
    #[arg(value_name = "DISK")]
    pub(crate) disks: Vec<DiskId>,
    /// End the scrub that runs
    #[arg(long, conflicts_with_all = ["rate", "disks"])]
    pub(crate) cancel: bool,
    /// Flags of every administrative command.
    #[command(flatten)]
    pub(crate) admin: AdminFlags,
}

/// The flags of `ashlar status`.
#[derive(Debug, Args)]
pub(crate) struct StatusFlags {
    /// Answer in the text format of Prometheus
    #[arg(long, conflicts_with = "json")]
    pub(crate) metrics: bool,
    /// Flags of every administrative command.
    #[command(flatten)]
    pub(crate) admin: AdminFlags,
}

/// The flags of `ashlar du`.
#[derive(Debug, Args)]
pub(crate) struct DuFlags {
    /// Wait until all space of what was deleted is back, and show how it goes
    #[arg(long)]
    pub(crate) wait: bool,
    /// Flags of every administrative command.
    #[command(flatten)]
    pub(crate) admin: AdminFlags,
}

/// The flags of `ashlar check`.
#[derive(Debug, Args)]
pub(crate) struct CheckFlags {
    /// Mend what follows with certainty from the rest of a pool, and say what was mended
    #[arg(long)]
    pub(crate) repair: bool,
    /// Flags of every administrative command.
    #[command(flatten)]
    pub(crate) admin: AdminFlags,
}
