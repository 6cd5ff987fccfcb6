//! Second thoughts about snapshots.

use ashlar_types::SnapshotId;
use clap::Subcommand;

use super::AdminFlags;

/// What can be done with snapshots, beside the API.
#[derive(Debug, Subcommand)]
pub(crate) enum SnapshotCommand {
    /// List deleted snapshots that can be brought back; there are some if `[snapshots] recycle_days` says so.
    Deleted {
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
    /// Bring a deleted snapshot back.
    Restore {
        /// The snapshot
        id: SnapshotId,
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
    /// Keep a snapshot from being deleted by anybody before a date; this cannot be taken back.
    Lock {
        /// The snapshot
        id: SnapshotId,
        /// Until when, ISO 8601 with an offset, 2027-01-01T00:00:00+08:00
        #[arg(long)]
        until: String,
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
}
