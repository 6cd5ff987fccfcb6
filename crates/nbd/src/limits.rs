//! What clients can make the server spend.

use std::time::Duration;

/// The bounds of a server. Together they bound its memory and threads, whatever clients do.
///
/// The most that requests and replies take is about 1.7 MiB for each connection, 1 MiB more where reads of it wait
/// for the medium, and `waiting_bytes_total_max` for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NbdLimits {
    /// Connections at one time, each a thread; one more is closed at once. Default: 1024.
    pub connections_max: usize,
    /// Connections to one export at one time; one more is refused. Default: 128.
    pub connections_per_export_max: usize,
    /// How long a client may take to agree on an export, with TLS and without. It is ended after one to one and a
    /// half of it. Default: 10 s.
    pub handshake_timeout: Duration,
    /// How long a client may keep the server waiting in the middle of a request or of a reply while it moves less than
    /// `stall_bytes_min`. It is ended after one to two of it. A client that is between requests may be silent for
    /// ever. Default: 30 s.
    pub stall_timeout: Duration,
    /// What a client moves at least in `stall_timeout` while the server waits for it. Default: 256 KiB.
    pub stall_bytes_min: u64,
    /// Requests of one connection that wait for a worker or are with one. While there are so many, the
    /// connection is not read. Default: 128.
    pub waiting_requests_max: usize,
    /// Bytes of data that such requests hold. A single request is always let through. Default: 64 MiB.
    pub waiting_bytes_max: usize,
    /// Bytes of data that such requests of all connections hold together, beside 1 MiB for each connection.
    /// Default: 512 MiB.
    pub waiting_bytes_total_max: usize,
    /// Workers that discard, look up extents, and read what a device's own queue does not. They start when needed. Default: 16.
    pub io_workers_max: usize,
    /// Workers that flush; apart from the others, so that no flush holds up a read. Default: 8.
    pub flush_workers_max: usize,
}

impl Default for NbdLimits {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            connections_per_export_max: 128,
            handshake_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            stall_bytes_min: 256 << 10,
            waiting_requests_max: 128,
            waiting_bytes_max: 64 << 20,
            waiting_bytes_total_max: 512 << 20,
            io_workers_max: 16,
            flush_workers_max: 8,
        }
    }
}
