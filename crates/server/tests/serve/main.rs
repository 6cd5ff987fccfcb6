//! The binary from outside: started in a temporary directory, called over HTTP, its unix socket and its
//! command line, ended by signals.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test, what cannot be is a failure")]

mod call;
mod clock;
mod configured;
mod encryption;
mod faults;
mod first_start;
mod harness;
mod instances;
mod nbd;
mod refusals;
mod restart;
