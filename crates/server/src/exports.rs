//! The table of exports, as the NBD server wants to see it.

use std::sync::Arc;

use ashlar_attach::{AttachError, AttachErrorKind, EndSession, ExportTable, Lease};
use ashlar_nbd::{OpenError, OpenErrorKind, SessionHandle};
use ashlar_volume::BlockDevice;

/// Exports by name, opened for sessions.
pub(crate) struct NbdExports(pub(crate) ExportTable);

impl ashlar_nbd::Exports for NbdExports {
    fn open(&self, name: &str) -> Result<Box<dyn ashlar_nbd::Lease>, OpenError> {
        match self.0.open(name) {
            Ok(lease) => Ok(Box::new(NbdLease(lease))),
            Err(error) => Err(open_error(name, &error)),
        }
    }

    fn list(&self) -> Vec<String> {
        self.0.list().iter().map(ToString::to_string).collect()
    }
}

struct NbdLease(Lease);

impl ashlar_nbd::Lease for NbdLease {
    fn device(&self) -> Arc<dyn BlockDevice> {
        self.0.device()
    }

    fn description(&self) -> Option<String> {
        None
    }

    fn on_withdraw(&self, session: SessionHandle) {
        self.0.on_withdraw(Arc::new(NbdSession(session)));
    }
}

/// How the table ends a session of the NBD server.
struct NbdSession(SessionHandle);

impl EndSession for NbdSession {
    fn finish(&self) {
        self.0.finish();
    }

    fn abort(&self) {
        self.0.abort();
    }
}

fn open_error(name: &str, error: &AttachError) -> OpenError {
    match error.kind() {
        AttachErrorKind::NotFound => OpenError::new(OpenErrorKind::NotFound, error.to_string()),
        AttachErrorKind::PublishedElsewhere | AttachErrorKind::StillOpen => {
            OpenError::new(OpenErrorKind::Unavailable, error.to_string())
        }
        AttachErrorKind::Store => {
            // The client learns that it failed; paths and causes are for the operator.
            tracing::error!(export = name, %error, "cannot open an export");
            OpenError::new(OpenErrorKind::Unavailable, "the storage behind the export cannot be opened")
        }
    }
}
