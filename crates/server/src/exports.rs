//! The table of exports, as the rules and the NBD server want to see it.

use std::sync::Arc;
use std::time::Duration;

use ashlar_attach::{AttachError, AttachErrorKind, EndSession, ExportTable, Lease, Withdrawal};
use ashlar_nbd::{OpenError, OpenErrorKind, SessionHandle};
use ashlar_types::{DiskId, InstanceId, SnapshotId};
use ashlar_volume::{BlockDevice, ErrorKind, VolumeError, VolumeStore};

/// The rules' view: disks and snapshots come and go.
pub(crate) struct ControlExports(pub(crate) ExportTable);

impl ashlar_control::Exports for ControlExports {
    fn publish(
        &self,
        disk: DiskId,
        instance: InstanceId,
        store: Arc<dyn VolumeStore>,
    ) -> Result<(), VolumeError> {
        self.0.publish(disk, instance, store).map_err(volume_error)
    }

    fn withdraw(&self, disk: DiskId, wait: Duration) -> Result<(), VolumeError> {
        let_go(&disk, self.0.withdraw(disk, wait))
    }

    fn publish_snapshot(&self, snapshot: SnapshotId, store: Arc<dyn VolumeStore>) -> Result<(), VolumeError> {
        self.0.publish_snapshot(snapshot, store).map_err(volume_error)
    }

    fn withdraw_snapshot(&self, snapshot: SnapshotId, wait: Duration) -> Result<(), VolumeError> {
        let_go(&snapshot, self.0.withdraw_snapshot(snapshot, wait))
    }
}

fn let_go(name: &dyn std::fmt::Display, withdrawal: Withdrawal) -> Result<(), VolumeError> {
    match withdrawal {
        Withdrawal::LetGo => Ok(()),
        Withdrawal::StillOpen { sessions } => Err(VolumeError::new(
            ErrorKind::InUse,
            format!("{sessions} sessions still hold the export {name}"),
        )),
    }
}

fn volume_error(error: AttachError) -> VolumeError {
    let kind = match error.kind() {
        AttachErrorKind::NotFound => ErrorKind::NotFound,
        AttachErrorKind::PublishedElsewhere | AttachErrorKind::StillOpen => ErrorKind::InUse,
        AttachErrorKind::Store => ErrorKind::Io,
    };
    VolumeError::new(kind, error.to_string())
}

/// The NBD server's view: names are opened for sessions.
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
