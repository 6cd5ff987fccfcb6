//! The administrative commands: a client in the command line, a listener in the server, one protocol.
//!
//! One line of JSON goes each way over the unix socket in the data directory, then the connection ends. Who
//! may open the socket may administrate: it belongs to the user who runs the server, with mode 0600.

pub(crate) mod access;
pub(crate) mod bill;
pub(crate) mod client;
pub(crate) mod clock;
pub(crate) mod disk;
pub(crate) mod fix_snapshot;
pub(crate) mod health;
pub(crate) mod listener;
pub(crate) mod money;
pub(crate) mod protocol;
pub(crate) mod reclaim;
pub(crate) mod schedule;
pub(crate) mod scrub;
pub(crate) mod snapshot;
pub(crate) mod space;
pub(crate) mod status;

use ashlar_control::Instance;
use ashlar_types::{InstanceProduct, LighthouseInstanceId};

/// The id of an instance, as its product writes it.
pub(crate) fn shown_id(instance: &Instance) -> String {
    match instance.product {
        InstanceProduct::Cvm => instance.id.to_string(),
        InstanceProduct::Lighthouse => LighthouseInstanceId::from(instance.id).to_string(),
    }
}
