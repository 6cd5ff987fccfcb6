//! Disks: their rows, and every way to list them.

use ashlar_types::{
    AccountUin, DiskChargeType, DiskId, DiskState, DiskType, DiskUsage, InstanceId, ProjectId, Region,
    RenewFlag, SnapshotId, UnixMillis, Zone,
};

use crate::attachment::{self, Attachment, disk_columns};
use crate::column::{Columns, signed, stored_enum, text_if_any};
use crate::connect::{Connection, Row, next_sequence};
use crate::disk_terms::ListedDisks;
use crate::list_index::{self, Entry, ListOrder, changed, entry, untagged};
use crate::{DbError, JobId, Listed, Order, Page};

stored_enum! {
    /// Whether users see a resource. What is not live is its job's alone.
    pub enum Lifecycle {
        /// Being made: its job makes it live or forgets it.
        Creating = "CREATING",
        /// Seen by its owner.
        Live = "LIVE",
        /// Being deleted: gone for its owner, its job takes the bytes away.
        Deleting = "DELETING",
        /// Deleted, and kept for a while so that it can be brought back. Snapshots only.
        Recycled = "RECYCLED",
    }
}

stored_enum! {
    /// The generation of a disk's encryption.
    pub enum EncryptType {
        /// The first.
        V1 = "ENCRYPT_V1",
        /// The second.
        V2 = "ENCRYPT_V2",
    }
}

/// A cloud disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Its id.
    pub id: DiskId,
    /// Whose it is.
    pub account: AccountUin,
    /// Where its bytes are.
    pub zone: Zone,
    /// The project it is counted to.
    pub project: ProjectId,
    /// What its owner calls it, at most 60 bytes.
    pub name: String,
    /// The medium.
    pub disk_type: DiskType,
    /// System or data disk.
    pub usage: DiskUsage,
    /// How it is paid.
    pub charge_type: DiskChargeType,
    /// What happens at the deadline; prepaid disks only.
    pub renew_flag: Option<RenewFlag>,
    /// For how many months it was paid; prepaid disks only.
    pub period_months: Option<u64>,
    /// When the paid time ends; prepaid disks only.
    pub deadline: Option<UnixMillis>,
    /// Its size in GiB.
    pub size_gib: u64,
    /// Whether its owner sees it.
    pub lifecycle: Lifecycle,
    /// Where it is in its life.
    pub state: DiskState,
    /// Whether several machines may have it at once. Never changes.
    pub shareable: bool,
    /// The machines it is in, or on its way into or out of, the first to come first.
    pub attachments: Vec<Attachment>,
    /// The machine it came into last.
    pub last_instance: Option<InstanceId>,
    /// Whether it can be detached and attached at will.
    pub portable: bool,
    /// Whether it goes when its machine goes.
    pub delete_with_instance: bool,
    /// Whether its snapshots go when it goes, unless they are kept for ever.
    pub delete_snapshot: bool,
    /// The snapshot it was made from.
    pub source_snapshot: Option<SnapshotId>,
    /// How it is encrypted, if it is. Never changes.
    pub encrypt_type: Option<EncryptType>,
    /// Throughput beyond the baseline in MiB/s.
    pub throughput_performance_mib: u64,
    /// Whether it may go beyond its baseline on saved credit.
    pub burst_performance: bool,
    /// How many backup points it may have.
    pub backup_quota: u64,
    /// Whether its type is being changed.
    pub migrating: bool,
    /// How far the last change of type is, 0 to 100; 0 when there was none.
    pub migrate_percent: u64,
    /// How far the last rollback is, 0 to 100; 0 when there was none.
    pub rollback_percent: u64,
    /// Why the last operation failed; empty when it did not.
    pub error_prompt: String,
    /// The job that works on it. While there is one, nothing else may change the disk.
    pub job: Option<JobId>,
    /// When it was made.
    pub created: UnixMillis,
}

impl Disk {
    /// The machine it is in, or on its way into or out of; of several the first to come.
    #[must_use]
    pub fn instance(&self) -> Option<InstanceId> {
        self.attachments.first().map(|attachment| attachment.instance)
    }

    /// The machines it is in, or on its way into or out of, the first to come first.
    pub fn instances(&self) -> impl Iterator<Item = InstanceId> {
        self.attachments.iter().map(|attachment| attachment.instance)
    }
}

/// A disk and what a list shows beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskListing {
    /// The disk.
    pub disk: Disk,
    /// The name of its project.
    pub project_name: String,
    /// How many snapshots there are of it.
    pub snapshot_count: u64,
    /// How many bytes its snapshots hold together.
    pub snapshot_bytes: u64,
    /// How many backup points there are of it.
    pub backup_count: u64,
}

/// One condition of a list. The values of one condition are alternatives; conditions join with "and".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskFilter {
    /// `disk-id`, and the ids of a call.
    Id(Vec<DiskId>),
    /// `disk-usage`.
    Usage(Vec<DiskUsage>),
    /// `disk-charge-type`.
    ChargeType(Vec<DiskChargeType>),
    /// `portable`.
    Portable(Vec<bool>),
    /// `project-id`.
    Project(Vec<ProjectId>),
    /// `disk-name`, the whole name.
    Name(Vec<String>),
    /// `disk-type`.
    Type(Vec<DiskType>),
    /// `disk-state`.
    State(Vec<DiskState>),
    /// `instance-id`.
    Instance(Vec<InstanceId>),
    /// `zone`.
    Zone(Vec<Zone>),
    /// `instance-ip-address`.
    InstanceAddress(Vec<String>),
    /// `instance-name`, the whole name.
    InstanceName(Vec<String>),
    /// `tag-key`: has a tag with one of these keys.
    TagKey(Vec<String>),
    /// `tag-value`: has a tag with one of these values.
    TagValue(Vec<String>),
    /// `tag:KEY`: its tag of this key has one of these values.
    Tag {
        /// The key.
        key: String,
        /// The values.
        values: Vec<String>,
    },
    /// No disk at all: a condition on something that no disk of this build can have.
    Nothing,
}

/// What a list of disks is sorted by. Ties fall to the create time, then to the order of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskOrderField {
    /// When the disk was made.
    CreateTime,
    /// When the paid time ends; disks without a deadline come last in either direction.
    Deadline,
}

/// Which disks a call wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskQuery {
    /// Whose disks.
    pub account: AccountUin,
    /// In which region.
    pub region: Region,
    /// All of these must hold.
    pub filters: Vec<DiskFilter>,
    /// What to sort by.
    pub order_field: DiskOrderField,
    /// In which direction.
    pub order: Order,
    /// Which part.
    pub page: Page,
}

/// Disks whose paid time is over and that something can be done about.
pub(crate) const EXPIRED: &str = concat!(
    "SELECT ",
    disk_columns!(),
    " FROM disks d
     WHERE deadline_ms <= $1 AND lifecycle = 'LIVE' AND job_id IS NULL AND state IN ('UNATTACHED', 'ATTACHED')
     ORDER BY deadline_ms, disk_id"
);

/// Disks that have been isolated since a time.
pub(crate) const ISOLATED: &str = concat!(
    "SELECT ",
    disk_columns!(),
    " FROM disks d
     WHERE isolated_ms <= $1 AND lifecycle = 'LIVE' AND state = 'TORECYCLE' AND job_id IS NULL
     ORDER BY isolated_ms, disk_id"
);

/// Queries on disks.
#[derive(Debug)]
pub struct Disks<'t>(pub(crate) &'t mut Connection);

impl Disks<'_> {
    /// Adds a disk. `Conflict` if the id is taken.
    pub async fn insert(&mut self, disk: &Disk) -> Result<(), DbError> {
        let sequence = next_sequence(self.0).await?;
        sqlx::query(
            "INSERT INTO disks (disk_id, sequence, uin, region, zone, disk_usage, source_snapshot_id, created_ms,
                encrypt_type, shareable,
                project_id, name, disk_type, charge_type, renew_flag, period_months, deadline_ms, size_gib,
                lifecycle, state, last_instance_id, portable, delete_with_instance, delete_snapshot,
                throughput_performance_mib, burst_performance, backup_quota, migrating,
                migrate_percent, rollback_percent, error_prompt, job_id)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, '', '', '', NULL, NULL, NULL, 0, '', '', NULL,
                FALSE, FALSE, FALSE, 0, FALSE, 0, FALSE, 0, 0, '', NULL)",
        )
        .bind(disk.id.to_string())
        .bind(sequence)
        .bind(signed(disk.account.0))
        .bind(disk.zone.region().as_str())
        .bind(disk.zone.as_str())
        .bind(disk.usage.as_str())
        .bind(text_if_any(disk.source_snapshot.as_ref()))
        .bind(disk.created.0)
        .bind(disk.encrypt_type.map(EncryptType::as_str))
        .bind(disk.shareable)
        .execute(&mut *self.0)
        .await?;
        // One list of the changeable columns, in `write`. Nobody has seen the row yet.
        self.write(disk, None).await
    }

    /// Writes everything that can change in a disk's life. `NotFound`.
    pub async fn save(&mut self, disk: &Disk) -> Result<(), DbError> {
        let id = disk.id.to_string();
        let before = untagged::<ListedDisks>(self.0, &id).await?;
        self.write(disk, before).await
    }

    async fn write(&mut self, disk: &Disk, before: Option<Entry>) -> Result<(), DbError> {
        let id = disk.id.to_string();
        let done = sqlx::query(
            "UPDATE disks SET project_id = $2, name = $3, disk_type = $4, charge_type = $5, renew_flag = $6,
                period_months = $7, deadline_ms = $8, size_gib = $9, lifecycle = $10, state = $11,
                last_instance_id = $12, portable = $13, delete_with_instance = $14, delete_snapshot = $15,
                throughput_performance_mib = $16, burst_performance = $17, backup_quota = $18, migrating = $19,
                migrate_percent = $20, rollback_percent = $21, error_prompt = $22, job_id = $23,
                isolated_ms = CASE WHEN $11 = 'TORECYCLE' THEN isolated_ms END
             WHERE disk_id = $1",
        )
        .bind(&id)
        .bind(signed(disk.project.0))
        .bind(&disk.name)
        .bind(disk.disk_type.as_str())
        .bind(disk.charge_type.as_str())
        .bind(disk.renew_flag.map(RenewFlag::as_str))
        .bind(disk.period_months.map(signed))
        .bind(disk.deadline.map(|deadline| deadline.0))
        .bind(signed(disk.size_gib))
        .bind(disk.lifecycle.as_str())
        .bind(disk.state.as_str())
        .bind(text_if_any(disk.last_instance.as_ref()))
        .bind(disk.portable)
        .bind(disk.delete_with_instance)
        .bind(disk.delete_snapshot)
        .bind(signed(disk.throughput_performance_mib))
        .bind(disk.burst_performance)
        .bind(signed(disk.backup_quota))
        .bind(disk.migrating)
        .bind(signed(disk.migrate_percent))
        .bind(signed(disk.rollback_percent))
        .bind(&disk.error_prompt)
        .bind(disk.job.map(JobId::signed))
        .execute(&mut *self.0)
        .await?;
        crate::one_row(done.rows_affected(), "disk", &disk.id)?;
        attachment::write(self.0, &id, &disk.attachments).await?;
        changed::<ListedDisks>(self.0, before, &id).await
    }

    /// Removes a disk. Removing it again is a success.
    pub async fn delete(&mut self, id: DiskId) -> Result<(), DbError> {
        let id = id.to_string();
        let before = entry::<ListedDisks>(self.0, &id).await?;
        list_index::forget(self.0, &ListOrder::DISKS, before.as_ref()).await?;
        sqlx::query("DELETE FROM disks WHERE disk_id = $1").bind(id).execute(&mut *self.0).await?;
        Ok(())
    }

    /// The live disk with this id, if it is the account's and in the region.
    pub async fn find(
        &mut self,
        account: AccountUin,
        region: &Region,
        id: DiskId,
    ) -> Result<Option<Disk>, DbError> {
        let sql = concat!(
            "SELECT ",
            disk_columns!(),
            " FROM disks d WHERE disk_id = $1 AND uin = $2 AND region = $3 AND lifecycle = 'LIVE'"
        );
        let row = sqlx::query(sql)
            .bind(id.to_string())
            .bind(signed(account.0))
            .bind(region.as_str())
            .fetch_optional(&mut *self.0)
            .await?;
        row.as_ref().map(|row| disk_of(&Columns(row))).transpose()
    }

    /// Whose live disk this is, and where.
    pub async fn owner(&mut self, id: DiskId) -> Result<Option<(AccountUin, Region)>, DbError> {
        let row = sqlx::query("SELECT uin, region FROM disks WHERE disk_id = $1 AND lifecycle = 'LIVE'")
            .bind(id.to_string())
            .fetch_optional(&mut *self.0)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let columns = Columns(&row);
        Ok(Some((AccountUin(columns.number("uin")?), columns.word("region")?)))
    }

    /// Whether any disk, seen or not, has this id.
    pub async fn exists(&mut self, id: DiskId) -> Result<bool, DbError> {
        let row = sqlx::query("SELECT 1 FROM disks WHERE disk_id = $1")
            .bind(id.to_string())
            .fetch_optional(&mut *self.0)
            .await?;
        Ok(row.is_some())
    }

    /// The disks that a job works on, seen or not, by id.
    pub async fn of_job(&mut self, job: JobId) -> Result<Vec<Disk>, DbError> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            disk_columns!(),
            " FROM disks d WHERE job_id = $1 ORDER BY disk_id"
        ))
        .bind(job.signed())
        .fetch_all(&mut *self.0)
        .await?;
        rows.iter().map(|row| disk_of(&Columns(row))).collect()
    }

    /// All disks of a region, seen or not, by id: what `check` compares with the pool.
    pub async fn of_region(&mut self, region: &Region) -> Result<Vec<(DiskId, Lifecycle)>, DbError> {
        let rows = sqlx::query("SELECT disk_id, lifecycle FROM disks WHERE region = $1 ORDER BY disk_id")
            .bind(region.as_str())
            .fetch_all(&mut *self.0)
            .await?;
        rows.iter()
            .map(|row| {
                let columns = Columns(row);
                Ok((columns.word("disk_id")?, columns.word("lifecycle")?))
            })
            .collect()
    }

    /// The live, idle prepaid disks that are in use or could be and whose paid time has ended. Of all accounts.
    pub async fn expired(&mut self, now: UnixMillis) -> Result<Vec<Disk>, DbError> {
        let rows = sqlx::query(EXPIRED).bind(now.0).fetch_all(&mut *self.0).await?;
        rows.iter().map(|row| disk_of(&Columns(row))).collect()
    }

    /// Notes when a disk was isolated. Forgotten when it is saved in another state.
    pub async fn note_isolated(&mut self, id: DiskId, now: UnixMillis) -> Result<(), DbError> {
        sqlx::query("UPDATE disks SET isolated_ms = $2 WHERE disk_id = $1")
            .bind(id.to_string())
            .bind(now.0)
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// The live, idle disks that were isolated at a time or before, each with the time. Of all accounts.
    pub async fn isolated_before(&mut self, time: UnixMillis) -> Result<Vec<(Disk, UnixMillis)>, DbError> {
        let rows = sqlx::query(ISOLATED).bind(time.0).fetch_all(&mut *self.0).await?;
        rows.iter()
            .map(|row| {
                let columns = Columns(row);
                Ok((disk_of(&columns)?, columns.time("isolated_ms")?))
            })
            .collect()
    }

    /// The page of live disks that a query asks for.
    pub async fn list(&mut self, query: &DiskQuery) -> Result<Listed<DiskListing>, DbError> {
        crate::disk_list::list(self.0, query).await
    }
}

pub(crate) fn listing_of(row: &Row) -> Result<DiskListing, DbError> {
    let columns = Columns(row);
    Ok(DiskListing {
        disk: disk_of(&columns)?,
        project_name: columns.text("project_name")?,
        snapshot_count: columns.number("snapshot_count")?,
        snapshot_bytes: columns.number("snapshot_bytes")?,
        backup_count: columns.number("backup_count")?,
    })
}

pub(crate) fn disk_of(columns: &Columns<'_>) -> Result<Disk, DbError> {
    Ok(Disk {
        id: columns.word("disk_id")?,
        account: AccountUin(columns.number("uin")?),
        zone: columns.word("zone")?,
        project: ProjectId(columns.number("project_id")?),
        name: columns.text("name")?,
        disk_type: columns.word("disk_type")?,
        usage: columns.word("disk_usage")?,
        charge_type: columns.word("charge_type")?,
        renew_flag: columns.word_if_any("renew_flag")?,
        period_months: columns.number_if_any("period_months")?,
        deadline: columns.time_if_any("deadline_ms")?,
        size_gib: columns.number("size_gib")?,
        lifecycle: columns.word("lifecycle")?,
        state: columns.word("state")?,
        shareable: columns.flag("shareable")?,
        attachments: attachment::of_disk(columns)?,
        last_instance: columns.word_if_any("last_instance_id")?,
        portable: columns.flag("portable")?,
        delete_with_instance: columns.flag("delete_with_instance")?,
        delete_snapshot: columns.flag("delete_snapshot")?,
        source_snapshot: columns.word_if_any("source_snapshot_id")?,
        encrypt_type: columns.word_if_any("encrypt_type")?,
        throughput_performance_mib: columns.number("throughput_performance_mib")?,
        burst_performance: columns.flag("burst_performance")?,
        backup_quota: columns.number("backup_quota")?,
        migrating: columns.flag("migrating")?,
        migrate_percent: columns.number("migrate_percent")?,
        rollback_percent: columns.number("rollback_percent")?,
        error_prompt: columns.text("error_prompt")?,
        job: columns.number_if_any("job_id")?.map(JobId),
        created: columns.time("created_ms")?,
    })
}
