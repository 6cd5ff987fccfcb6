//! The ledger: what accounts were charged and paid back, and what they have left.

use ashlar_types::{AccountUin, Money, ProjectId, Region, UnixMillis};

use crate::column::{Columns, signed, stored_enum};
use crate::connect::{Connection, Row, next_sequence};
use crate::listing::{Builder, Page, push_page};
use crate::{DbError, JobId, Listed};

stored_enum! {
    /// What an entry is for.
    pub enum LedgerKind {
        /// A prepaid resource was bought.
        Purchase = "PURCHASE",
        /// Its paid time was made longer.
        Renewal = "RENEWAL",
        /// It was made larger for the rest of its paid time.
        Resize = "RESIZE",
        /// It got another medium for the rest of its paid time.
        ChangeType = "CHANGE_TYPE",
        /// It got extra performance for the rest of its paid time.
        ExtraPerformance = "EXTRA_PERFORMANCE",
        /// It got more backup points for the rest of its paid time.
        BackupQuota = "BACKUP_QUOTA",
        /// It was used for some time and is paid afterwards.
        Usage = "USAGE",
        /// Its extra performance was had for some time and is paid afterwards.
        ExtraPerformanceUsage = "EXTRA_PERFORMANCE_USAGE",
        /// Its backup points beyond the first could be used for some time and are paid afterwards.
        BackupQuotaUsage = "BACKUP_QUOTA_USAGE",
        /// Snapshots beyond the free tier were kept for some time.
        SnapshotUsage = "SNAPSHOT_USAGE",
        /// It was given back before its paid time was over.
        Refund = "REFUND",
        /// What was charged for an operation that failed.
        Reversal = "REVERSAL",
        /// An administrator set the balance.
        Balance = "BALANCE",
    }
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Whose money it is.
    pub account: AccountUin,
    /// The project that the resource was counted to.
    pub project: Option<ProjectId>,
    /// Where the resource is.
    pub region: Option<Region>,
    /// What it is for, such as `disk-xxxxxxxx`; empty for a change of the balance.
    pub resource: String,
    /// What it is for.
    pub kind: LedgerKind,
    /// What the account pays; negative when it is paid back.
    pub amount: Money,
    /// The time that it pays for.
    pub period: Option<(UnixMillis, UnixMillis)>,
    /// The job that it is paid back with if the job fails.
    pub job: Option<JobId>,
    /// The request that asked for it; empty when the clock did.
    pub request_id: String,
    /// When it was written.
    pub created: UnixMillis,
}

/// Queries on the ledger and on balances.
#[derive(Debug)]
pub struct Ledger<'t>(pub(crate) &'t mut Connection);

impl Ledger<'_> {
    /// Writes an entry and takes its amount from the balance. False, and nothing is changed, when the balance
    /// does not reach.
    pub async fn book(&mut self, entry: &LedgerEntry) -> Result<bool, DbError> {
        let taken = sqlx::query(
            "UPDATE balances SET balance_micros = balance_micros - $2
             WHERE uin = $1 AND (balance_micros >= $2 OR $2 <= 0)",
        )
        .bind(signed(entry.account.0))
        .bind(entry.amount.0)
        .execute(&mut *self.0)
        .await?
        .rows_affected();
        if taken == 0 && self.balance(entry.account).await?.is_some() {
            return Ok(false);
        }
        self.insert(entry, false).await?;
        Ok(true)
    }

    /// Writes an entry and takes its amount from the balance, also below zero: for what was used already.
    pub async fn owe(&mut self, entry: &LedgerEntry) -> Result<(), DbError> {
        sqlx::query("UPDATE balances SET balance_micros = balance_micros - $2 WHERE uin = $1")
            .bind(signed(entry.account.0))
            .bind(entry.amount.0)
            .execute(&mut *self.0)
            .await?;
        // Use is not paid back: no refund looks at it.
        self.insert(entry, true).await
    }

    async fn insert(&mut self, entry: &LedgerEntry, closed: bool) -> Result<(), DbError> {
        let sequence = next_sequence(self.0).await?;
        sqlx::query(
            "INSERT INTO ledger (sequence, uin, project_id, region, resource_id, kind, amount_micros, from_ms,
                until_ms, closed, job_id, request_id, created_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        )
        .bind(sequence)
        .bind(signed(entry.account.0))
        .bind(entry.project.map(|project| signed(project.0)))
        .bind(entry.region.as_ref().map(Region::as_str))
        .bind(&entry.resource)
        .bind(entry.kind.as_str())
        .bind(entry.amount.0)
        .bind(entry.period.map(|(from, _)| from.0))
        .bind(entry.period.map(|(_, until)| until.0))
        .bind(closed)
        .bind(entry.job.map(JobId::signed))
        .bind(&entry.request_id)
        .bind(entry.created.0)
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    /// What the account has left; none when it has no limit.
    pub async fn balance(&mut self, account: AccountUin) -> Result<Option<Money>, DbError> {
        let sql = "SELECT balance_micros FROM balances WHERE uin = $1";
        let found: Option<i64> =
            sqlx::query_scalar(sql).bind(signed(account.0)).fetch_optional(&mut *self.0).await?;
        Ok(found.map(Money))
    }

    /// Limits the account to a balance, or takes the limit away. The change is an entry of its own, so that the
    /// entries since an account was limited sum up to what it has left.
    pub async fn set_balance(
        &mut self,
        account: AccountUin,
        balance: Option<Money>,
        now: UnixMillis,
    ) -> Result<(), DbError> {
        let before = self.balance(account).await?.unwrap_or_default();
        sqlx::query("DELETE FROM balances WHERE uin = $1")
            .bind(signed(account.0))
            .execute(&mut *self.0)
            .await?;
        if let Some(balance) = balance {
            sqlx::query("INSERT INTO balances (uin, balance_micros) VALUES ($1, $2)")
                .bind(signed(account.0))
                .bind(balance.0)
                .execute(&mut *self.0)
                .await?;
        }
        let entry = LedgerEntry {
            account,
            project: None,
            region: None,
            resource: String::new(),
            kind: LedgerKind::Balance,
            amount: before.plus(balance.unwrap_or_default().negated()),
            period: None,
            job: None,
            request_id: String::new(),
            created: now,
        };
        self.insert(&entry, true).await
    }

    /// The entries that still pay for time of a resource after `now`.
    pub async fn paying(&mut self, resource: &str, now: UnixMillis) -> Result<Vec<LedgerEntry>, DbError> {
        let sql = "SELECT * FROM ledger WHERE resource_id = $1 AND closed = FALSE AND until_ms > $2
             ORDER BY sequence";
        let rows = sqlx::query(sql).bind(resource).bind(now.0).fetch_all(&mut *self.0).await?;
        rows.iter().map(entry_of).collect()
    }

    /// Settles everything that was paid for a resource: no later refund counts it again.
    pub async fn close(&mut self, resource: &str) -> Result<(), DbError> {
        sqlx::query("UPDATE ledger SET closed = TRUE WHERE resource_id = $1 AND closed = FALSE")
            .bind(resource)
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// Pays back what was charged for a job that failed. Once: the job ends in the same transaction.
    pub async fn reverse_job(&mut self, job: JobId, now: UnixMillis) -> Result<(), DbError> {
        let rows = sqlx::query("SELECT * FROM ledger WHERE job_id = $1 ORDER BY sequence")
            .bind(job.signed())
            .fetch_all(&mut *self.0)
            .await?;
        for row in &rows {
            let entry = entry_of(row)?;
            let amount = entry.amount.negated();
            sqlx::query("UPDATE balances SET balance_micros = balance_micros - $2 WHERE uin = $1")
                .bind(signed(entry.account.0))
                .bind(amount.0)
                .execute(&mut *self.0)
                .await?;
            let reversal =
                LedgerEntry { kind: LedgerKind::Reversal, amount, job: None, created: now, ..entry };
            self.insert(&reversal, true).await?;
        }
        sqlx::query("UPDATE ledger SET closed = TRUE WHERE job_id = $1")
            .bind(job.signed())
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// A page of an account's entries, newest first.
    pub async fn list(&mut self, account: AccountUin, page: Page) -> Result<Listed<LedgerEntry>, DbError> {
        let total: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM ledger WHERE uin = $1")
            .bind(signed(account.0))
            .fetch_one(&mut *self.0)
            .await?;
        let mut query = Builder::new("SELECT * FROM ledger WHERE uin = ");
        query.push_bind(signed(account.0)).push(" ORDER BY sequence DESC");
        push_page(&mut query, page);
        let rows = query.build().fetch_all(&mut *self.0).await?;
        let items = rows.iter().map(entry_of).collect::<Result<_, _>>()?;
        Ok(Listed { total_count: u64::try_from(total).unwrap_or(0), items })
    }
}

fn entry_of(row: &Row) -> Result<LedgerEntry, DbError> {
    let columns = Columns(row);
    let (from, until) = (columns.time_if_any("from_ms")?, columns.time_if_any("until_ms")?);
    Ok(LedgerEntry {
        account: AccountUin(columns.number("uin")?),
        project: columns.number_if_any("project_id")?.map(ProjectId),
        region: columns.word_if_any("region")?,
        resource: columns.text("resource_id")?,
        kind: columns.word("kind")?,
        amount: Money(columns.signed("amount_micros")?),
        period: from.zip(until),
        job: columns.number_if_any("job_id")?.map(JobId),
        request_id: columns.text("request_id")?,
        created: columns.time("created_ms")?,
    })
}
