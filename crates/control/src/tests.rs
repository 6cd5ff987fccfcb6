//! Whole calls against a database file, an in-memory pool and a clock that stands.

mod account;
mod disk;
mod disk_backup;
mod encryption;
mod fix_snapshot;
pub(crate) mod harness;
mod instance;
mod kept_longer;
mod leader;
mod life;
mod lighthouse;
mod limit;
mod money;
mod old_records;
mod random_calls;
mod schedule;
mod shareable;
mod signal;
mod slow_pool;
mod snapshot;
mod snapshot_copy;
mod snapshot_group;
mod snapshot_policy;
mod snapshot_recycle;
mod snapshot_share;
mod speed;
mod year;
