//! Backup points: their rows, and every way to list them.

use ashlar_types::{AccountUin, DiskBackupId, DiskBackupState, DiskId, DiskUsage, Region, UnixMillis};
use sqlx::Row as _;

use crate::column::{Columns, signed};
use crate::connect::{Connection, Row, next_sequence};
use crate::listing::{Builder, push_in, push_page};
use crate::{DbError, JobId, Lifecycle, Listed, Order, Page};

/// A backup point of a disk. It goes with its disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskBackup {
    /// Its id.
    pub id: DiskBackupId,
    /// Whose it is.
    pub account: AccountUin,
    /// Where its bytes are.
    pub region: Region,
    /// The disk it was made of.
    pub disk: DiskId,
    /// System or data disk.
    pub usage: DiskUsage,
    /// The size of its disk when it was made, in GiB.
    pub size_gib: u64,
    /// Whether its disk is encrypted.
    pub is_encrypted: bool,
    /// What its owner calls it, at most 100 characters.
    pub name: String,
    /// Whether its owner sees it.
    pub lifecycle: Lifecycle,
    /// Where it is in its life.
    pub state: DiskBackupState,
    /// How far making it is, 0 to 100.
    pub percent: u64,
    /// The job that works on it. While there is one, nothing else may change the backup point.
    pub job: Option<JobId>,
    /// When it was made.
    pub created: UnixMillis,
}

/// One condition of a list. The values of one condition are alternatives; conditions join with "and".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskBackupFilter {
    /// `disk-backup-id`, and the ids of a call.
    Id(Vec<DiskBackupId>),
    /// `disk-id`.
    Disk(Vec<DiskId>),
    /// `disk-usage`.
    Usage(Vec<DiskUsage>),
}

/// Which backup points a call wants to see, sorted by create time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskBackupQuery {
    /// Whose backup points.
    pub account: AccountUin,
    /// In which region.
    pub region: Region,
    /// All of these must hold.
    pub filters: Vec<DiskBackupFilter>,
    /// In which direction.
    pub order: Order,
    /// Which part.
    pub page: Page,
}

/// Queries on backup points.
#[derive(Debug)]
pub struct DiskBackups<'t>(pub(crate) &'t mut Connection);

impl DiskBackups<'_> {
    /// Adds a backup point. `Conflict` if the id is taken.
    pub async fn insert(&mut self, backup: &DiskBackup) -> Result<(), DbError> {
        let sequence = next_sequence(self.0).await?;
        sqlx::query(
            "INSERT INTO disk_backups (disk_backup_id, sequence, uin, region, disk_id, disk_usage, size_gib,
                is_encrypted, name, created_ms, lifecycle, state, percent, job_id)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, '', '', 0, NULL)",
        )
        .bind(backup.id.to_string())
        .bind(sequence)
        .bind(signed(backup.account.0))
        .bind(backup.region.as_str())
        .bind(backup.disk.to_string())
        .bind(backup.usage.as_str())
        .bind(signed(backup.size_gib))
        .bind(backup.is_encrypted)
        .bind(&backup.name)
        .bind(backup.created.0)
        .execute(&mut *self.0)
        .await?;
        // One list of the changeable columns, in `save`.
        self.save(backup).await
    }

    /// Writes everything that can change in a backup point's life. `NotFound`.
    pub async fn save(&mut self, backup: &DiskBackup) -> Result<(), DbError> {
        let done = sqlx::query(
            "UPDATE disk_backups SET lifecycle = $2, state = $3, percent = $4, job_id = $5
             WHERE disk_backup_id = $1",
        )
        .bind(backup.id.to_string())
        .bind(backup.lifecycle.as_str())
        .bind(backup.state.as_str())
        .bind(signed(backup.percent))
        .bind(backup.job.map(JobId::signed))
        .execute(&mut *self.0)
        .await?;
        crate::one_row(done.rows_affected(), "backup point", &backup.id)
    }

    /// Removes a backup point. Removing it again is a success.
    pub async fn delete(&mut self, id: DiskBackupId) -> Result<(), DbError> {
        sqlx::query("DELETE FROM disk_backups WHERE disk_backup_id = $1")
            .bind(id.to_string())
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// The live backup point with this id, if it is the account's and in the region.
    pub async fn find(
        &mut self,
        account: AccountUin,
        region: &Region,
        id: DiskBackupId,
    ) -> Result<Option<DiskBackup>, DbError> {
        let sql = "SELECT * FROM disk_backups
             WHERE disk_backup_id = $1 AND uin = $2 AND region = $3 AND lifecycle = 'LIVE'";
        let row = sqlx::query(sql)
            .bind(id.to_string())
            .bind(signed(account.0))
            .bind(region.as_str())
            .fetch_optional(&mut *self.0)
            .await?;
        row.as_ref().map(backup_of).transpose()
    }

    /// Whether any backup point, seen or not, has this id.
    pub async fn exists(&mut self, id: DiskBackupId) -> Result<bool, DbError> {
        let row = sqlx::query("SELECT 1 FROM disk_backups WHERE disk_backup_id = $1")
            .bind(id.to_string())
            .fetch_optional(&mut *self.0)
            .await?;
        Ok(row.is_some())
    }

    /// The live backup points of a disk, oldest first.
    pub async fn of_disk(&mut self, disk: DiskId) -> Result<Vec<DiskBackup>, DbError> {
        let sql = "SELECT * FROM disk_backups WHERE disk_id = $1 AND lifecycle = 'LIVE' ORDER BY sequence";
        let rows = sqlx::query(sql).bind(disk.to_string()).fetch_all(&mut *self.0).await?;
        rows.iter().map(backup_of).collect()
    }

    /// The backup points that a job works on, seen or not, by id.
    pub async fn of_job(&mut self, job: JobId) -> Result<Vec<DiskBackup>, DbError> {
        let rows = sqlx::query("SELECT * FROM disk_backups WHERE job_id = $1 ORDER BY disk_backup_id")
            .bind(job.signed())
            .fetch_all(&mut *self.0)
            .await?;
        rows.iter().map(backup_of).collect()
    }

    /// All backup points of a region, seen or not, by id: what `check` compares with the pool.
    pub async fn of_region(&mut self, region: &Region) -> Result<Vec<DiskBackup>, DbError> {
        let rows = sqlx::query("SELECT * FROM disk_backups WHERE region = $1 ORDER BY disk_backup_id")
            .bind(region.as_str())
            .fetch_all(&mut *self.0)
            .await?;
        rows.iter().map(backup_of).collect()
    }

    /// The page of live backup points that a query asks for.
    pub async fn list(&mut self, query: &DiskBackupQuery) -> Result<Listed<DiskBackup>, DbError> {
        let mut count = Builder::new("SELECT COUNT(*) FROM disk_backups b");
        push_where(&mut count, query);
        let total: i64 = count.build().fetch_one(&mut *self.0).await?.try_get(0)?;

        let mut list = Builder::new("SELECT b.* FROM disk_backups b");
        push_where(&mut list, query);
        let direction = query.order.sql();
        list.push(" ORDER BY b.created_ms").push(direction).push(", b.sequence").push(direction);
        push_page(&mut list, query.page);
        let rows = list.build().fetch_all(&mut *self.0).await?;
        let items = rows.iter().map(backup_of).collect::<Result<_, _>>()?;
        Ok(Listed { total_count: u64::try_from(total).unwrap_or(0), items })
    }
}

fn push_where(builder: &mut Builder, query: &DiskBackupQuery) {
    builder.push(" WHERE b.uin = ").push_bind(signed(query.account.0));
    builder.push(" AND b.region = ").push_bind(query.region.to_string());
    builder.push(" AND b.lifecycle = 'LIVE'");
    for filter in &query.filters {
        match filter {
            DiskBackupFilter::Id(values) => push_in(builder, "b.disk_backup_id", values, ToString::to_string),
            DiskBackupFilter::Disk(values) => push_in(builder, "b.disk_id", values, ToString::to_string),
            DiskBackupFilter::Usage(values) => push_in(builder, "b.disk_usage", values, ToString::to_string),
        }
    }
}

fn backup_of(row: &Row) -> Result<DiskBackup, DbError> {
    let columns = Columns(row);
    Ok(DiskBackup {
        id: columns.word("disk_backup_id")?,
        account: AccountUin(columns.number("uin")?),
        region: columns.word("region")?,
        disk: columns.word("disk_id")?,
        usage: columns.word("disk_usage")?,
        size_gib: columns.number("size_gib")?,
        is_encrypted: columns.flag("is_encrypted")?,
        name: columns.text("name")?,
        lifecycle: columns.word("lifecycle")?,
        state: columns.word("state")?,
        percent: columns.number("percent")?,
        job: columns.number_if_any("job_id")?.map(JobId),
        created: columns.time("created_ms")?,
    })
}
