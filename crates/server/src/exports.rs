//! The table of exports, as the NBD server wants to see it.

use std::sync::Arc;

use ashlar_attach::{AttachError, AttachErrorKind, ChangesSince, EndSession, ExportName, ExportTable, Lease};
use ashlar_nbd::{Changes, OpenError, OpenErrorKind, Peer, SessionHandle};
use ashlar_types::InstanceId;
use ashlar_volume::{BlockDevice, ChangeExtent, VolumeError};

use crate::config::NbdPermissions;
use crate::faults::Faults;

/// Exports by name, opened for sessions that may.
pub(crate) struct NbdExports {
    /// What is published.
    pub(crate) table: ExportTable,
    /// What clients may open that proved who they are. Programs of this machine may open everything.
    pub(crate) permissions: NbdPermissions,
    /// What shall go wrong on the way.
    pub(crate) faults: Faults,
}

impl NbdExports {
    fn may_open(&self, peer: &Peer, export: ExportName, instance: Option<InstanceId>) -> bool {
        match peer {
            Peer::Local => true,
            Peer::Identified(identity) => self.permissions.allow(&identity.names, export, instance),
        }
    }
}

impl ashlar_nbd::Exports for NbdExports {
    fn open(&self, name: &str, peer: &Peer) -> Result<Box<dyn ashlar_nbd::Lease>, OpenError> {
        // Who a disk is for is asked of what is opened, which cannot become another's.
        let opened = self.table.open_if(name, |export, instance| self.may_open(peer, export, instance));
        let error = match opened {
            Ok(lease) => {
                let device = self.faults.device(&lease.name().to_string(), lease.device());
                return Ok(Box::new(NbdLease { device, lease }));
            }
            Err(error) => error,
        };
        let may_know = match (error.kind(), name.parse::<ExportName>()) {
            (AttachErrorKind::NotAdmitted, _) => false,
            // What there is none of is told to those alone who could open it.
            (AttachErrorKind::NotFound, Ok(export)) => {
                self.may_open(peer, export.content(), export.instance())
            }
            (
                AttachErrorKind::NotFound
                | AttachErrorKind::Ambiguous
                | AttachErrorKind::StillOpen
                | AttachErrorKind::Store,
                _,
            ) => true,
        };
        if may_know {
            return Err(open_error(name, &error));
        }
        tracing::info!(export = name, client = ?peer, "an NBD client may not open the export it asked for");
        Err(OpenError::new(
            OpenErrorKind::NotAllowed,
            format!("this client may not open export `{name}`: no disk of its instances, nor listed for it"),
        ))
    }

    fn list(&self, peer: &Peer) -> Vec<String> {
        let open = self.table.list_if(|export, instance| self.may_open(peer, export, instance));
        open.iter().map(ToString::to_string).collect()
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

    fn ancestors(&self) -> Vec<String> {
        self.lease.ancestors().iter().map(ToString::to_string).collect()
    }

    fn changes_since(&self, snapshot: &str) -> Option<Arc<dyn Changes>> {
        let snapshot = snapshot.parse().ok()?;
        let is_ancestor = self.lease.ancestors().contains(&snapshot);
        is_ancestor.then(|| Arc::new(NbdChanges(self.lease.changes_since(snapshot))) as _)
    }
}

/// What changed in an export since a snapshot.
struct NbdChanges(ChangesSince);

impl Changes for NbdChanges {
    fn changes(
        &self,
        offset_bytes: u64,
        length_bytes: u64,
        extents_max: usize,
    ) -> Result<Vec<ChangeExtent>, VolumeError> {
        self.0.changes(offset_bytes, length_bytes, extents_max)
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
        AttachErrorKind::NotAdmitted => OpenError::new(OpenErrorKind::NotAllowed, error.to_string()),
        AttachErrorKind::Ambiguous | AttachErrorKind::StillOpen => {
            OpenError::new(OpenErrorKind::Unavailable, error.to_string())
        }
        AttachErrorKind::Store => {
            // The client learns that it failed; paths and causes are for the operator.
            tracing::error!(export = name, %error, "cannot open an export");
            OpenError::new(OpenErrorKind::Unavailable, "the storage behind the export cannot be opened")
        }
    }
}
