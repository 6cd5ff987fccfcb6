//! What can go wrong below the waist: a kind that callers match on, a context that people read.

use std::fmt;

/// What the caller has to know. Each kind says what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// There is no such volume or snapshot. Deleting it again is a success.
    NotFound,
    /// The id is taken. Creating it again with the same arguments is a success for a caller that repeats.
    AlreadyExists,
    /// Open devices or dependants forbid it. Close them, then try again.
    InUse,
    /// The arguments can never be right: out of range, shrinking, a write to something read-only.
    InvalidArgument,
    /// The medium is full. Deleting something mends it; nothing was lost.
    NoSpace,
    /// An earlier I/O error latched the pool: nothing is written any more. A restart recovers what was durable.
    Latched,
    /// What was read is not what was written, or the store is of a format that this build does not know.
    Corrupt,
    /// The operating system refused an I/O.
    Io,
}

/// An error below the waist.
#[derive(Debug)]
pub struct VolumeError {
    kind: ErrorKind,
    context: String,
    source: Option<std::io::Error>,
}

impl VolumeError {
    /// An error of `kind`; `context` says what was being done, with names and numbers.
    #[must_use]
    pub fn new(kind: ErrorKind, context: impl Into<String>) -> Self {
        Self { kind, context: context.into(), source: None }
    }

    /// An I/O error of the operating system met while doing `context`. `ENOSPC` and `EDQUOT` become
    /// [`ErrorKind::NoSpace`].
    #[must_use]
    pub fn io(context: impl Into<String>, source: std::io::Error) -> Self {
        let kind = match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ErrorKind::NoSpace,
            _ => ErrorKind::Io,
        };
        Self { kind, context: context.into(), source: Some(source) }
    }

    /// What the caller has to know.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What was being done.
    #[must_use]
    pub fn context(&self) -> &str {
        &self.context
    }
}

impl fmt::Display for VolumeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context)?;
        self.source.as_ref().map_or(Ok(()), |source| write!(f, ": {source}"))
    }
}

impl std::error::Error for VolumeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}
