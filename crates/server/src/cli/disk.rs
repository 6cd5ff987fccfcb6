//! Disks as an administrator sees them.

use ashlar_types::DiskId;
use clap::Subcommand;

use super::AdminFlags;

/// What can be done with disks.
#[derive(Debug, Subcommand)]
pub(crate) enum DiskCommand {
    /// Show everything about a disk of any account.
    Show {
        /// The disk
        id: DiskId,
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
}
