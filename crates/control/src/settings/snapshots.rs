//! What becomes of deleted snapshots.

use serde::Deserialize;

/// What becomes of deleted snapshots.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SnapshotSettings {
    /// How long a deleted snapshot can be brought back, in days. 0: it is gone at once.
    pub recycle_days: u64,
}

impl SnapshotSettings {
    pub(crate) fn recycle_ms(&self) -> i64 {
        i64::try_from(self.recycle_days).unwrap_or(i64::MAX).saturating_mul(24 * 3600 * 1000)
    }
}
