//! What can go wrong with an export.

use std::fmt;

use ashlar_volume::VolumeError;

/// What the caller has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttachErrorKind {
    /// No such export: the disk is not attached, or the snapshot does not exist.
    NotFound,
    /// It is there, but not for who asks.
    NotAdmitted,
    /// The disk is in several machines, and the name does not say as which of them it is to be opened.
    Ambiguous,
    /// Sessions of an earlier publication have not let go yet. Withdraw again, then try again.
    StillOpen,
    /// The store refused to open the device; the source says why.
    Store,
}

/// An error of an export.
#[derive(Debug)]
pub struct AttachError {
    kind: AttachErrorKind,
    context: String,
    source: Option<VolumeError>,
}

impl AttachError {
    pub(crate) fn new(kind: AttachErrorKind, context: impl Into<String>) -> Self {
        Self { kind, context: context.into(), source: None }
    }

    pub(crate) fn store(context: impl Into<String>, source: VolumeError) -> Self {
        Self { kind: AttachErrorKind::Store, context: context.into(), source: Some(source) }
    }

    /// What the caller has to know.
    #[must_use]
    pub const fn kind(&self) -> AttachErrorKind {
        self.kind
    }
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context)?;
        self.source.as_ref().map_or(Ok(()), |source| write!(f, ": {source}"))
    }
}

impl std::error::Error for AttachError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}
