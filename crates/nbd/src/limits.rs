//! What clients can make the server spend.

use std::time::Duration;

/// The bounds of a server. Together they bound its memory and threads, whatever clients do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NbdLimits {
    /// Connections at one time, each a thread; one more is closed at once. Default: 4096.
    pub connections_max: usize,
    /// How long a client may take to agree on an export. It is ended after one to one and a half of it.
    /// Default: 10 s.
    pub handshake_timeout: Duration,
    /// Requests of one connection that wait for a worker or are with one. While there are so many, the
    /// connection is not read. Default: 128.
    pub waiting_requests_max: usize,
    /// Bytes of data that such requests hold. A single request is always let through. Default: 64 MiB.
    pub waiting_bytes_max: usize,
    /// Workers that read, discard and look up extents. They start when needed. Default: 16.
    pub io_workers_max: usize,
    /// Workers that flush; apart from the others, so that no flush holds up a read. Default: 8.
    pub flush_workers_max: usize,
}

impl Default for NbdLimits {
    fn default() -> Self {
        Self {
            connections_max: 4096,
            handshake_timeout: Duration::from_secs(10),
            waiting_requests_max: 128,
            waiting_bytes_max: 64 << 20,
            io_workers_max: 16,
            flush_workers_max: 8,
        }
    }
}
