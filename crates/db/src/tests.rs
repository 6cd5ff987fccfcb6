//! The queries against a file of their own.
