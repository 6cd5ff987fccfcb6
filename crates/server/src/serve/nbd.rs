//! The NBD server among the other parts.

use std::sync::Arc;
use std::time::Duration;

use ashlar_nbd::{Drained, ListenError, NbdLimits, Server, TlsServer};

use super::listeners::NbdListeners;
use crate::exports::NbdExports;
use crate::failure::Failure;

/// An NBD server that accepts connections.
pub(super) struct NbdServer(Arc<Server>);

impl NbdServer {
    /// Opens the doors. With `tls`, the files of which are good, also those that other machines can reach.
    pub(super) fn start(
        exports: NbdExports,
        tls: Option<TlsServer>,
        listeners: NbdListeners,
    ) -> Result<Self, Failure> {
        let failed = |error: ListenError| Failure::internal("cannot start the NBD server", error);
        let server = Server::new(Arc::new(exports), NbdLimits::default(), tls).map_err(failed)?;
        for (listener, _) in listeners.unix {
            server.serve_unix(listener).map_err(failed)?;
        }
        for (listener, _) in listeners.tcp {
            server.serve_tcp(listener).map_err(failed)?;
        }
        Ok(Self(Arc::new(server)))
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
