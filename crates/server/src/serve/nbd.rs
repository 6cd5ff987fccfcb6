//! The NBD server among the other parts.

use std::sync::{Arc, Weak};
use std::time::Duration;

use ashlar_nbd::{Drained, ListenError, NbdLimits, Server, TlsServer};

use super::listeners::NbdListeners;
use crate::exports::NbdExports;
use crate::failure::Failure;

/// An NBD server that accepts connections.
pub(super) struct NbdServer(Arc<Server>);

/// Who is connected to the NBD server.
#[derive(Clone)]
pub(crate) struct NbdConnections(Weak<Server>);

impl NbdConnections {
    /// How many connections there are, those that have not agreed on an export yet included, and how many use each
    /// export.
    pub(crate) fn count(&self) -> (usize, Vec<(String, usize)>) {
        self.0
            .upgrade()
            .map_or_else(Default::default, |server| (server.session_count(), server.sessions_by_export()))
    }
}

impl NbdServer {
    /// Opens the doors. With `tls`, the files of which are good, also those that other machines can reach.
    pub(super) fn start(
        exports: NbdExports,
        tls: Option<TlsServer>,
        limits: NbdLimits,
        listeners: NbdListeners,
    ) -> Result<Self, Failure> {
        let failed = |error: ListenError| Failure::internal("cannot start the NBD server", error);
        let server = Server::new(Arc::new(exports), limits, tls).map_err(failed)?;
        for (listener, _) in listeners.unix {
            server.serve_unix(listener).map_err(failed)?;
        }
        for (listener, _) in listeners.tcp {
            server.serve_tcp(listener).map_err(failed)?;
        }
        Ok(Self(Arc::new(server)))
    }

    /// Shows who is connected, for as long as the server runs.
    pub(super) fn connections(&self) -> NbdConnections {
        NbdConnections(Arc::downgrade(&self.0))
    }

    /// Answers what was received, ends all sessions, and returns within `limit`, nearly.
    pub(super) async fn stop(self, limit: Duration) {
        let ended = tokio::task::spawn_blocking(move || self.0.shutdown(limit)).await;
        match ended {
            Ok(Drained::InGoodOrder) => {}
            Ok(Drained::Aborted { sessions }) => {
                tracing::warn!(sessions, "NBD sessions that did not end in time were cut off");
            }
            Ok(Drained::Stuck { sessions }) => {
                tracing::error!(sessions, "NBD sessions wait for a device that does not return");
            }
            Err(error) => tracing::error!(%error, "the NBD server did not stop"),
        }
    }
}
