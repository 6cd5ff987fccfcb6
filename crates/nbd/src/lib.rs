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
//! structured replies, `base:allocation`, block sizes, several connections to one export. Not spoken: TLS and
//! extended headers, so [`check_listen_address`] refuses every address that other machines could reach.

mod address;
mod buffer;
pub mod codec;
mod completion;
mod errno;
mod exports;
mod features;
mod handshake;
mod limits;
mod patience;
mod server;
mod session;
mod session_handle;
mod socket;
mod validate;
mod workers;

pub use address::{ListenError, ListenErrorKind, check_listen_address};
pub use errno::Errno;
pub use exports::{Exports, Lease, OpenError, OpenErrorKind};
pub use limits::NbdLimits;
pub use server::{Drained, Server};
pub use session_handle::SessionHandle;
