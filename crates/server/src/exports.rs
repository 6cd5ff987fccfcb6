//! The table of exports, as the NBD server wants to see it.

use std::sync::Arc;

use ashlar_attach::{AttachError, AttachErrorKind, EndSession, ExportTable, Lease};
use ashlar_nbd::{OpenError, OpenErrorKind, SessionHandle};
use ashlar_volume::BlockDevice;

use crate::faults::Faults;

/// Exports by name, opened for sessions.
pub(crate) struct NbdExports {
    /// What is published.
    pub(crate) table: ExportTable,
    /// What shall go wrong on the way.
    pub(crate) faults: Faults,
}

impl ashlar_nbd::Exports for NbdExports {
    fn open(&self, name: &str) -> Result<Box<dyn ashlar_nbd::Lease>, OpenError> {
        match self.table.open(name) {
            Ok(lease) => {
                let device = self.faults.device(name, lease.device());
                Ok(Box::new(NbdLease { device, lease }))
            }
            Err(error) => Err(open_error(name, &error)),
        }
    }

    fn list(&self) -> Vec<String> {
        self.table.list().iter().map(ToString::to_string).collect()
    }
}

/// The device goes before the lease, which says that nobody has it any more.
struct NbdLease {
    device: Arc<dyn BlockDevice>,
    lease: Lease,
}

impl ashlar_nbd::Lease for NbdLease {
    fn device(&self) -> Arc<dyn BlockDevice> {
        Arc::clone(&self.device)
    }

    fn description(&self) -> Option<String> {
        None
    }

    fn on_withdraw(&self, session: SessionHandle) {
        self.lease.on_withdraw(Arc::new(NbdSession(session)));
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
