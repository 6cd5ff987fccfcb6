//! The server over the in-memory store, against a client of raw bytes and against the stock clients.
#![allow(unreachable_pub, reason = "no module of a test binary is reachable from outside")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "the helpers of tests report by panicking, and name what they skip"
)]

mod certificates;
mod client;
mod extended;
mod fixture;
mod handshake;
mod lifecycle;
mod random_requests;
mod requests;
mod slow_clients;
mod stock_clients;
mod stock_tls;
mod tls;
mod transmission_flags;
mod waiting;
