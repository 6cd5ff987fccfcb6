//! The name of an export.

use std::fmt;
use std::str::FromStr;

use ashlar_types::{DiskId, InstanceId, SnapshotId};

use crate::{AttachError, AttachErrorKind};

/// What a client asks for: the id of a disk (read and write) or of a snapshot (read only). A disk that is in several
/// machines is asked for with the machine that asks: `disk-xxxxxxxx@ins-xxxxxxxx`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ExportName {
    /// An attached disk.
    Disk(DiskId),
    /// A disk as one of the machines that it is attached to.
    DiskIn(DiskId, InstanceId),
    /// A snapshot.
    Snapshot(SnapshotId),
}

impl ExportName {
    /// What it is, whoever asks for it.
    #[must_use]
    pub const fn content(self) -> Self {
        match self {
            Self::Disk(disk) | Self::DiskIn(disk, _) => Self::Disk(disk),
            Self::Snapshot(_) => self,
        }
    }

    /// The machine that asks for it, if the name says that.
    #[must_use]
    pub const fn instance(self) -> Option<InstanceId> {
        match self {
            Self::DiskIn(_, instance) => Some(instance),
            Self::Disk(_) | Self::Snapshot(_) => None,
        }
    }
}

impl fmt::Display for ExportName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk(disk) => disk.fmt(f),
            Self::DiskIn(disk, instance) => write!(f, "{disk}@{instance}"),
            Self::Snapshot(snapshot) => snapshot.fmt(f),
        }
    }
}

impl FromStr for ExportName {
    type Err = AttachError;

    /// Text that is no id names nothing that exists: `NotFound`.
    fn from_str(text: &str) -> Result<Self, AttachError> {
        let unknown = || {
            AttachError::new(
                AttachErrorKind::NotFound,
                format!(
                    "export `{}` does not exist: expected the id of a disk or snapshot, or DISK@INSTANCE",
                    text.escape_debug()
                ),
            )
        };
        if let Some((disk, instance)) = text.split_once('@') {
            let disk = disk.parse().map_err(|_| unknown())?;
            return Ok(Self::DiskIn(disk, instance.parse().map_err(|_| unknown())?));
        }
        let disk = text.parse().map(Self::Disk);
        disk.or_else(|_| text.parse().map(Self::Snapshot)).map_err(|_| unknown())
    }
}
