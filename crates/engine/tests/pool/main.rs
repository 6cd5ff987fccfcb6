//! The engine seen from outside: the contract of volumes, real files, and seeded simulations of power cuts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside #[test] functions reports by panicking too"
)]

mod contract;
mod direct;
mod encrypted;
mod exhaustive;
mod faults;
mod integrity;
mod oracle;
mod queue;
mod real_files;
mod reclaim;
mod simulation;
mod streams;
