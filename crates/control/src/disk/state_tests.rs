//! The life of a disk as a table.
