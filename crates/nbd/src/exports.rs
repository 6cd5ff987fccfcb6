//! What the server serves: named devices that somebody else keeps.

use std::fmt;
use std::sync::Arc;

use ashlar_volume::BlockDevice;

use crate::SessionHandle;
use crate::contexts::Changes;

/// Who asks for exports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// A program of this machine, by a unix socket or loopback without TLS.
    Local,
    /// A client that proved by TLS who it is.
    Identified(Identity),
}

/// How a client proved who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IdentityKind {
    /// By a certificate that the configured authority signed.
    Certificate,
    /// By knowing a key that was shared before.
    PreSharedKey,
}

/// A client that proved who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// By what.
    pub kind: IdentityKind,
    /// The names it goes by: the name of its key, or the common name and the alternative DNS names of its
    /// certificate. At least one.
    pub names: Vec<String>,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names.join(", "))
    }
}

/// Where the server finds devices by the name that a client asks for.
pub trait Exports: Send + Sync {
    /// Opens the export for one session. Clients may ask for any text of at most 4096 bytes, also for none.
    fn open(&self, name: &str, peer: &Peer) -> Result<Box<dyn Lease>, OpenError>;

    /// The names that a client may be told of.
    fn list(&self, peer: &Peer) -> Vec<String>;
}

/// The right of one session to use a device. Dropping it says that the session is over and that no clone of the
/// device is left with the server.
pub trait Lease: Send {
    /// The device.
    fn device(&self) -> Arc<dyn BlockDevice>;

    /// What the client is told beside the name, for people to read.
    fn description(&self) -> Option<String>;

    /// Called once, before the first request: `session` is how to end the session when the export goes away.
    fn on_withdraw(&self, session: SessionHandle);

    /// The snapshots that the device can be compared with, by name. A device without a past has none.
    fn ancestors(&self) -> Vec<String> {
        Vec::new()
    }

    /// The changes since a snapshot; `None` unless it is one of the [ancestors](Self::ancestors).
    fn changes_since(&self, _snapshot: &str) -> Option<Arc<dyn Changes>> {
        None
    }
}

/// Why an export could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OpenErrorKind {
    /// There is no export of this name.
    NotFound,
    /// It is there, but cannot be opened now.
    Unavailable,
    /// The client may not open it.
    NotAllowed,
}

/// An export that could not be opened. The text is shown to the client.
#[derive(Debug)]
pub struct OpenError {
    kind: OpenErrorKind,
    message: String,
}

impl OpenError {
    /// An error of `kind`; `message` is for the client.
    #[must_use]
    pub fn new(kind: OpenErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// Why.
    #[must_use]
    pub const fn kind(&self) -> OpenErrorKind {
        self.kind
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for OpenError {}
