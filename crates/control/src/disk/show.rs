//! A disk as an administrator sees it: also what no client can see.

use ashlar_db::AutoMount;
use ashlar_types::{AccountUin, DiskId, Money, Region};
use ashlar_volume::limit::Limits;

use super::{DescribeDisks, DiskView};
use crate::caller::{Caller, RequestId};
use crate::control::Control;
use crate::error::{ControlError, DiskError};

/// Everything about a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskReport {
    /// As its owner sees it.
    pub view: DiskView,
    /// What CreateDisks was told to mount; nothing has carried it out.
    pub auto_mount: Option<AutoMount>,
    /// What was paid in advance for time that still lies ahead.
    pub paid_ahead: Money,
    /// How fast it may be.
    pub performance: Limits,
    /// Whether anything keeps it from being faster.
    pub enforced: bool,
}

impl Control {
    /// Shows a disk of any account, wherever it is.
    pub async fn disk_report(&self, id: DiskId) -> Result<DiskReport, ControlError> {
        let mut tx = self.db.read().await?;
        let found = tx.disks().owner(id).await?;
        let (account, region): (AccountUin, Region) = found.ok_or(DiskError::NotFound(id))?;
        let auto_mount = tx.auto_mounts().find(id).await?;
        let now = self.now();
        let mut paid_ahead = Money::ZERO;
        for entry in tx.ledger().paying(&id.to_string(), now).await? {
            if let Some((from, until)) = entry.period {
                let share = entry.amount.share(until.0 - now.0.max(from.0), until.0 - from.0);
                paid_ahead = paid_ahead.plus(share);
            }
        }
        drop(tx);
        let caller = Caller::owner(account, region, RequestId(String::new()));
        let wanted = DescribeDisks {
            disks: vec![id],
            return_bind_auto_snapshot_policy: Some(true),
            ..DescribeDisks::default()
        };
        let listed = self.describe_disks(&caller, wanted).await?;
        let view = listed.items.into_iter().next().ok_or(DiskError::NotFound(id))?;
        let performance = self.settings.performance_of(&view.disk);
        let enforced = self.settings.enforce_performance;
        Ok(DiskReport { view, auto_mount, paid_ahead, performance, enforced })
    }
}
