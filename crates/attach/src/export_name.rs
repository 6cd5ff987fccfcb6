//! The name of an export.

use std::fmt;
use std::str::FromStr;

use ashlar_types::{DiskId, SnapshotId};

use crate::{AttachError, AttachErrorKind};

/// What a client asks for: the id of a disk (read and write) or of a snapshot (read only).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ExportName {
    /// An attached disk.
    Disk(DiskId),
    /// A snapshot.
    Snapshot(SnapshotId),
}

impl fmt::Display for ExportName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk(disk) => disk.fmt(f),
            Self::Snapshot(snapshot) => snapshot.fmt(f),
        }
    }
}

impl FromStr for ExportName {
    type Err = AttachError;

    /// Text that is no id names nothing that exists: `NotFound`.
    fn from_str(text: &str) -> Result<Self, AttachError> {
        let disk = text.parse().map(Self::Disk);
        disk.or_else(|_| text.parse().map(Self::Snapshot)).map_err(|_| {
            AttachError::new(
                AttachErrorKind::NotFound,
                format!(
                    "export `{}` does not exist: expected the id of a disk or snapshot",
                    text.escape_debug()
                ),
            )
        })
    }
}
