//! Whole calls against a database file, an in-memory pool and a clock that stands.
