//! What becomes of disks whose paid time is over, and how use is charged.

use serde::Deserialize;

use super::SettingsError;

/// What becomes of disks whose paid time is over, and how use is charged.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BillingSettings {
    /// How long an isolated disk is kept and can be renewed before it is deleted, in days.
    pub recycle_days: u64,
    /// Whether a last snapshot is taken of a disk before it is deleted, and kept for ever. `Disk.BackupDisk` shows it.
    pub final_snapshot: bool,
    /// How often what is paid afterwards is written into the ledger, in hours.
    pub usage_interval_hours: u64,
}

impl Default for BillingSettings {
    fn default() -> Self {
        Self { recycle_days: 7, final_snapshot: false, usage_interval_hours: 1 }
    }
}

impl BillingSettings {
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        if (1..=24 * 31).contains(&self.usage_interval_hours) {
            return Ok(());
        }
        Err(SettingsError {
            key: "billing.usage_interval_hours".to_owned(),
            value: self.usage_interval_hours.to_string(),
            expected: "1 to 744".to_owned(),
        })
    }

    pub(crate) fn usage_interval_ms(&self) -> i64 {
        i64::try_from(self.usage_interval_hours.max(1)).unwrap_or(i64::MAX).saturating_mul(3600 * 1000)
    }

    pub(crate) fn recycle_ms(&self) -> i64 {
        i64::try_from(self.recycle_days).unwrap_or(i64::MAX).saturating_mul(24 * 3600 * 1000)
    }
}
