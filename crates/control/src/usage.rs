//! What is paid afterwards: hourly use of disks and snapshots goes into the ledger; bills come out of it.
//!
//! An hour is charged when it is over, at what the disk is then; what is left of the last one when the disk goes or is
//! paid in advance from now on. Use is owed whether the balance reaches or not: an account below zero can make
//! nothing that costs, and its scheduled policies rest until it has paid.

use ashlar_db::{BillBy, BillLine, Disk, LedgerEntry, LedgerKind, Transaction, UsedSnapshots};
use ashlar_types::{AccountUin, DiskChargeType, GIB_BYTES, Money, UnixMillis};

use crate::control::Control;
use crate::error::ControlError;
use crate::leader::Leadership;
use crate::price::Priced;
use crate::reconcile::Reconciled;

const HOUR_MS: i64 = 3600 * 1000;

/// Disks of one transaction.
const DISKS_AT_ONCE: u64 = 500;

impl Control {
    /// Writes the hours that are over into the ledger.
    pub(crate) async fn charge_usage(&self, leader: Leadership) -> Result<Reconciled, ControlError> {
        let now = self.now();
        let interval_ms = self.settings.billing.usage_interval_ms();
        let hour = UnixMillis(now.0.div_euclid(interval_ms) * interval_ms);
        let mut items = 0;
        loop {
            if self.db.look().await?.usage().due_disks(hour, 1).await?.is_empty() {
                break;
            }
            let Some(mut tx) = self.write_as(leader).await? else { return Ok(Reconciled::default()) };
            for used in tx.usage().due_disks(hour, DISKS_AT_ONCE).await? {
                self.charge_disk(&mut tx, &used.disk, used.from, hour).await?;
                items += 1;
            }
            tx.commit().await?;
        }
        for used in self.db.look().await?.usage().due_snapshots(hour).await? {
            let Some(mut tx) = self.write_as(leader).await? else { break };
            items += self.charge_snapshots(&mut tx, &used, hour).await?;
            tx.commit().await?;
        }
        Ok(Reconciled { items, failures: 0 })
    }

    /// Charges what is left of the use of a disk that is not paid afterwards any more.
    pub(crate) async fn charge_rest(&self, tx: &mut Transaction, disk: &Disk) -> Result<(), ControlError> {
        if disk.charge_type != DiskChargeType::PostpaidByHour {
            return Ok(());
        }
        let Some(from) = tx.usage().charged_until(disk.id).await? else { return Ok(()) };
        self.charge_disk(tx, disk, from, self.now()).await
    }

    async fn charge_disk(
        &self,
        tx: &mut Transaction,
        disk: &Disk,
        from: UnixMillis,
        until: UnixMillis,
    ) -> Result<(), ControlError> {
        // A clock that was set back charges nothing twice.
        if until <= from {
            return Ok(());
        }
        let hourly = self.settings.prices.hour(&Priced::of(disk));
        for (kind, amount) in [
            (LedgerKind::Usage, hourly.space),
            (LedgerKind::ExtraPerformanceUsage, hourly.extra_performance),
            (LedgerKind::BackupQuotaUsage, hourly.backup_quota),
        ] {
            let entry = LedgerEntry {
                account: disk.account,
                project: Some(disk.project),
                region: Some(disk.zone.region()),
                resource: disk.id.to_string(),
                kind,
                amount: for_time(amount.discounted, until.0 - from.0),
                period: Some((from, until)),
                job: None,
                request_id: String::new(),
                created: self.now(),
            };
            if entry.amount > Money::ZERO {
                tx.ledger().owe(&entry).await?;
            }
        }
        Ok(tx.usage().set_charged(disk.id, until).await?)
    }

    async fn charge_snapshots(
        &self,
        tx: &mut Transaction,
        used: &UsedSnapshots,
        hour: UnixMillis,
    ) -> Result<u64, ControlError> {
        let (account, region) = (used.account, &used.region);
        tx.usage().set_snapshots_charged(account, region, hour).await?;
        let free_bytes = self.limits_of(account).free_snapshot_gib * GIB_BYTES;
        let billed_bytes = used.held_bytes.saturating_sub(free_bytes);
        // Whoever has not been looked at before starts now.
        let Some(from) = used.from.filter(|from| *from < hour && billed_bytes > 0) else { return Ok(0) };
        let rate = i128::from(self.settings.prices.snapshot_gib_hour.0);
        let billionths = rate * i128::from(billed_bytes) * i128::from(hour.0 - from.0)
            / (i128::from(GIB_BYTES) * i128::from(HOUR_MS));
        let entry = LedgerEntry {
            account,
            project: None,
            region: Some(region.clone()),
            resource: "snapshots".to_owned(),
            kind: LedgerKind::SnapshotUsage,
            amount: Money::from_billionths(billionths),
            period: Some((from, hour)),
            job: None,
            request_id: String::new(),
            created: self.now(),
        };
        if entry.amount > Money::ZERO {
            tx.ledger().owe(&entry).await?;
        }
        Ok(1)
    }

    /// Stops the policies of accounts that owe money, and lets them go on when it is paid.
    pub(crate) async fn isolate_policies(&self, leader: Leadership) -> Result<Reconciled, ControlError> {
        let Some(mut tx) = self.write_as(leader).await? else { return Ok(Reconciled::default()) };
        let items = tx.usage().isolate_policies(self.now()).await?;
        if items > 0 {
            tx.commit().await?;
            // When they fire next is worked out by another one, which has had its turn.
            self.wake_reconcilers();
        }
        Ok(Reconciled { items, failures: 0 })
    }

    /// What was charged and paid back in `from..until`.
    pub async fn bill(
        &self,
        from: UnixMillis,
        until: UnixMillis,
        account: Option<AccountUin>,
        by: &BillBy,
    ) -> Result<Vec<BillLine>, ControlError> {
        Ok(self.db.read().await?.usage().bill(from, until, account, by).await?)
    }
}

/// What an hourly amount comes to for a time, rounded to the nearest millionth.
fn for_time(hourly: Money, time_ms: i64) -> Money {
    Money::from_billionths(i128::from(hourly.0) * 1000 * i128::from(time_ms) / i128::from(HOUR_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_costs_its_price_and_parts_their_share() {
        for (hourly, time_ms, expected) in [
            (40_000, HOUR_MS, 40_000),
            (40_000, HOUR_MS / 4, 10_000),
            (1, HOUR_MS / 3, 0),
            (3, HOUR_MS / 2, 2),
        ] {
            assert_eq!(for_time(Money(hourly), time_ms), Money(expected));
        }
        assert_eq!(for_time(Money(40_000), 24 * HOUR_MS), Money(960_000));
    }
}
