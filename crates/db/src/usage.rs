//! What is paid afterwards: up to when it is in the ledger, and the bills that come of it.

use ashlar_types::{AccountUin, DiskId, Money, ProjectId, Region, UnixMillis};

use crate::attachment::disk_columns;
use crate::column::{Columns, signed};
use crate::connect::Connection;
use crate::disk::disk_of;
use crate::{DbError, Disk, LedgerKind};

/// A disk whose use is not in the ledger yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedDisk {
    /// The disk.
    pub disk: Disk,
    /// From when on its use is to be charged.
    pub from: UnixMillis,
}

/// The snapshots of an account in a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedSnapshots {
    /// Whose.
    pub account: AccountUin,
    /// Where.
    pub region: Region,
    /// Bytes of blocks that they hold together.
    pub held_bytes: u64,
    /// From when on they are to be charged; none when nobody has looked before.
    pub from: Option<UnixMillis>,
}

/// How a bill is broken down, beside account and kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BillBy {
    /// By nothing else.
    Account,
    /// By project.
    Project,
    /// By the value of the tag with this key. Resources that are gone have no tags any more.
    Tag(String),
}

/// A line of a bill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillLine {
    /// Whose money it is.
    pub account: AccountUin,
    /// The project, where the bill is broken down by it.
    pub project: Option<ProjectId>,
    /// The value of the tag, where the bill is broken down by it.
    pub tag_value: Option<String>,
    /// What it is for.
    pub kind: LedgerKind,
    /// What the account pays; negative when it is paid back.
    pub amount: Money,
}

/// When an entry belongs into a bill. Never later than when it was written.
const BILLED: &str = "CASE WHEN l.kind LIKE '%USAGE' THEN l.from_ms ELSE l.created_ms END";

/// Disks whose use up to a time is not in the ledger: each half is a range of an index.
pub(crate) const DUE_DISKS: &str = concat!(
    "SELECT ",
    disk_columns!(),
    ", charged_ms AS from_ms FROM disks d
     WHERE charge_type = 'POSTPAID_BY_HOUR' AND charged_ms < $1 AND lifecycle = 'LIVE'
     UNION ALL SELECT ",
    disk_columns!(),
    ", created_ms AS from_ms FROM disks d
     WHERE charge_type = 'POSTPAID_BY_HOUR' AND charged_ms IS NULL AND created_ms < $1 AND lifecycle = 'LIVE'
     LIMIT $2"
);

/// What snapshots hold that are not in the ledger up to a time. The few pairs of account and region come first:
/// snapshots are only looked through where an hour is over.
pub(crate) const DUE_SNAPSHOTS: &str = "SELECT * FROM (
        SELECT a.uin, r.region, c.charged_ms, (SELECT CAST(SUM(s.held_bytes) AS BIGINT) FROM snapshots s
            WHERE s.uin = a.uin AND s.region = r.region AND s.lifecycle = 'LIVE') AS held_bytes
        FROM accounts a CROSS JOIN regions r
        LEFT JOIN snapshot_charges c ON c.uin = a.uin AND c.region = r.region
        WHERE c.charged_ms IS NULL OR c.charged_ms < $1) due
     WHERE held_bytes IS NOT NULL ORDER BY uin, region";

/// Queries on usage.
#[derive(Debug)]
pub struct Usage<'t>(pub(crate) &'t mut Connection);

impl Usage<'_> {
    /// Live disks that are paid afterwards and whose use up to a time is not in the ledger, at most `limit`, in any order.
    pub async fn due_disks(&mut self, until: UnixMillis, limit: u64) -> Result<Vec<UsedDisk>, DbError> {
        let rows = sqlx::query(DUE_DISKS).bind(until.0).bind(signed(limit)).fetch_all(&mut *self.0).await?;
        rows.iter()
            .map(|row| {
                let columns = Columns(row);
                Ok(UsedDisk { disk: disk_of(&columns)?, from: columns.time("from_ms")? })
            })
            .collect()
    }

    /// From when on the use of a disk is to be charged; none when the disk is gone.
    pub async fn charged_until(&mut self, disk: DiskId) -> Result<Option<UnixMillis>, DbError> {
        let sql = "SELECT COALESCE(charged_ms, created_ms) AS from_ms FROM disks WHERE disk_id = $1";
        let row = sqlx::query(sql).bind(disk.to_string()).fetch_optional(&mut *self.0).await?;
        row.map(|row| Columns(&row).time("from_ms")).transpose()
    }

    /// Notes up to when the use of a disk is in the ledger.
    pub async fn set_charged(&mut self, disk: DiskId, until: UnixMillis) -> Result<(), DbError> {
        sqlx::query("UPDATE disks SET charged_ms = $2 WHERE disk_id = $1")
            .bind(disk.to_string())
            .bind(until.0)
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// The snapshots of all accounts by region, where they are not charged up to a time yet.
    pub async fn due_snapshots(&mut self, until: UnixMillis) -> Result<Vec<UsedSnapshots>, DbError> {
        let rows = sqlx::query(DUE_SNAPSHOTS).bind(until.0).fetch_all(&mut *self.0).await?;
        rows.iter()
            .map(|row| {
                let columns = Columns(row);
                Ok(UsedSnapshots {
                    account: AccountUin(columns.number("uin")?),
                    region: columns.word("region")?,
                    held_bytes: columns.number("held_bytes")?,
                    from: columns.time_if_any("charged_ms")?,
                })
            })
            .collect()
    }

    /// Notes up to when the snapshots of an account in a region are in the ledger.
    pub async fn set_snapshots_charged(
        &mut self,
        account: AccountUin,
        region: &Region,
        until: UnixMillis,
    ) -> Result<(), DbError> {
        sqlx::query(
            "INSERT INTO snapshot_charges (uin, region, charged_ms) VALUES ($1, $2, $3)
             ON CONFLICT (uin, region) DO UPDATE SET charged_ms = excluded.charged_ms",
        )
        .bind(signed(account.0))
        .bind(region.as_str())
        .bind(until.0)
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    /// What belongs to `from..until`, of one account or all, without changes of balances: use by when it began,
    /// everything else by when it was charged or paid back.
    pub async fn bill(
        &mut self,
        from: UnixMillis,
        until: UnixMillis,
        account: Option<AccountUin>,
        by: &BillBy,
    ) -> Result<Vec<BillLine>, DbError> {
        let (tag, project, value) = match by {
            BillBy::Account => (None, "NULL", "NULL"),
            BillBy::Project => (None, "l.project_id", "NULL"),
            BillBy::Tag(key) => (Some(key.clone()), "NULL", "t.tag_value"),
        };
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT l.uin, {project} AS project_id, {value} AS tag_value, l.kind,
                CAST(SUM(l.amount_micros) AS BIGINT) AS amount_micros
             FROM ledger l LEFT JOIN tags t ON t.resource_id = l.resource_id AND t.tag_key = $4
             WHERE l.created_ms >= $1 AND {BILLED} >= $1 AND {BILLED} < $2 AND l.kind <> 'BALANCE' AND (l.uin = $3 OR $3 = 0)
             GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
        ));
        let rows = sqlx::query(sql)
            .bind(from.0)
            .bind(until.0)
            .bind(account.map_or(0, |account| signed(account.0)))
            .bind(tag)
            .fetch_all(&mut *self.0)
            .await?;
        rows.iter()
            .map(|row| {
                let columns = Columns(row);
                Ok(BillLine {
                    account: AccountUin(columns.number("uin")?),
                    project: columns.number_if_any("project_id")?.map(ProjectId),
                    tag_value: columns.text_if_any("tag_value")?,
                    kind: columns.word("kind")?,
                    amount: Money(columns.signed("amount_micros")?),
                })
            })
            .collect()
    }

    /// Stops the policies of accounts that owe money and those that the operator stops, and lets others go on from `now`.
    /// Gives how many policies changed.
    pub async fn isolate_policies(&mut self, now: UnixMillis) -> Result<u64, DbError> {
        let stop = "UPDATE snapshot_policies SET state = 'ISOLATED', next_trigger_ms = NULL
             WHERE state = 'NORMAL'
                AND (isolated_by_operator OR uin IN (SELECT uin FROM balances WHERE balance_micros < 0))";
        let resume = "UPDATE snapshot_policies SET state = 'NORMAL', next_trigger_ms = NULL, handled_ms = $1
             WHERE state = 'ISOLATED' AND NOT isolated_by_operator
                AND uin NOT IN (SELECT uin FROM balances WHERE balance_micros < 0)";
        let stopped = sqlx::query(stop).execute(&mut *self.0).await?.rows_affected();
        let resumed = sqlx::query(resume).bind(now.0).execute(&mut *self.0).await?.rows_affected();
        Ok(stopped + resumed)
    }
}
