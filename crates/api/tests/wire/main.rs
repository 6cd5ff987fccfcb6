//! The wire from outside: raw requests in, raw answers out, against an API that only records what it is
//! called with.

// One of the tests writes a whole disk as JSON.
#![recursion_limit = "256"]
// Helpers of tests are tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cases;
mod encodings;
mod examples;
mod malformed;
mod order;
mod recorder;
mod schema;
mod signatures;
mod support;
