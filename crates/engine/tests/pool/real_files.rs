//! Pools of real files.
