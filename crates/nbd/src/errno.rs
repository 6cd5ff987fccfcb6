//! The errors that a command can end with.

use std::borrow::Cow;

use ashlar_volume::{ErrorKind, VolumeError};

/// The error numbers of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Errno {
    /// The export is read-only.
    NotPermitted = 1,
    /// The medium failed, or what it holds is damaged.
    Io = 5,
    /// The request can never be right.
    Invalid = 22,
    /// No space is left, or the write lies beyond the end.
    NoSpace = 28,
    /// The range is longer than the operation takes.
    Overflow = 75,
    /// The operation is not supported in the way that was asked for.
    NotSupported = 95,
    /// The export or the server is going away.
    Shutdown = 108,
}

/// A command that failed: it gets an error reply, and the session goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandError {
    pub(crate) errno: Errno,
    /// For people; sent where structured replies were agreed on.
    pub(crate) message: Cow<'static, str>,
}

impl CommandError {
    pub(crate) fn new(errno: Errno, message: impl Into<Cow<'static, str>>) -> Self {
        Self { errno, message: message.into() }
    }

    pub(crate) fn unexpected_payload() -> Self {
        Self::new(Errno::Invalid, "a payload that does not go with the command")
    }
}

impl From<&VolumeError> for CommandError {
    /// The client is told the kind; paths and causes are for the operator's log.
    fn from(error: &VolumeError) -> Self {
        match error.kind() {
            ErrorKind::NoSpace => Self::new(Errno::NoSpace, "the pool is full"),
            ErrorKind::InvalidArgument => Self::new(Errno::Invalid, "the device refused the arguments"),
            ErrorKind::NotFound => Self::new(Errno::Shutdown, "the export is gone"),
            ErrorKind::Latched => Self::new(Errno::Io, "an earlier I/O error latched the pool read-only"),
            ErrorKind::Corrupt => Self::new(Errno::Io, "the data is damaged"),
            // The last two are never the answer to I/O on an open device.
            ErrorKind::Io | ErrorKind::AlreadyExists | ErrorKind::InUse => {
                Self::new(Errno::Io, "the medium failed")
            }
        }
    }
}
