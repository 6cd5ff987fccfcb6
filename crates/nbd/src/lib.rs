//! The NBD server: any [`BlockDevice`](ashlar_volume::BlockDevice) to any NBD client.
//!
//! The order of reading, outside in: [`Server`] listens and gives each connection a thread; `handshake` agrees
//! with the client on an export and on features; `session` is the loop of the transmission phase. `validate` is
//! the only place where a request is judged. `codec` turns bytes into values and back, and does nothing else.
//!
//! Why threads and not tasks: a page-cache hit costs about a microsecond, a hop between threads many. A session
//! parses all requests of one receive, answers at once what needs no waiting, and sends all answers with
//! one call. What would wait (a cold read, a flush, giving space back) goes to a small pool of workers and is
//! answered out of order; see `workers`.
//!
//! The protocol: <https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md>. Spoken here: fixed newstyle,
//! TLS, structured replies, extended headers, block status with payload, `base:allocation` and a context of changed
//! blocks, block sizes, several connections to one export. An address that other machines can reach is served with
//! TLS and a client identity only; without a certificate or keys [`check_listen_address`] refuses it.

mod address;
mod buffer;
pub mod codec;
mod completion;
mod contexts;
mod errno;
mod exports;
mod features;
mod handshake;
mod limits;
mod memory;
mod patience;
mod seats;
mod server;
mod session;
mod session_handle;
mod socket;
mod stream;
mod tls;
mod validate;
mod workers;

pub use address::{ListenError, ListenErrorKind, check_listen_address};
pub use contexts::Changes;
pub use errno::Errno;
pub use exports::{Exports, Identity, IdentityKind, Lease, OpenError, OpenErrorKind, Peer};
pub use limits::NbdLimits;
pub use server::{Drained, Server};
pub use session_handle::SessionHandle;
pub use tls::{CertificateFiles, TlsError, TlsFiles, TlsServer};
