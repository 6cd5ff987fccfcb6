//! Snapshots: their rows, and every way to list them.

use std::collections::BTreeMap;

use ashlar_types::{
    AccountUin, DiskId, DiskUsage, InstanceId, ProjectId, Region, SnapshotGroupId, SnapshotId,
    SnapshotPolicyId, SnapshotPromise, SnapshotState, SnapshotType, UnixMillis, Zone,
};

use crate::column::{Columns, parsed, signed, text_if_any};
use crate::connect::{Connection, Row, next_sequence};
use crate::list_index::{self, Entry, ListOrder, changed, entry, untagged};
use crate::listing::{Builder, push_in};
use crate::snapshot_terms::ListedSnapshots;
use crate::{DbError, EncryptType, JobId, Lifecycle, Listed, Order, Page};

/// A snapshot of a cloud disk. It outlives its disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its id.
    pub id: SnapshotId,
    /// Whose it is.
    pub account: AccountUin,
    /// Where its bytes are.
    pub zone: Zone,
    /// The project it is counted to.
    pub project: ProjectId,
    /// The disk it was taken from, which may be gone; none for a copy from another region.
    pub disk: Option<DiskId>,
    /// What its owner calls it, at most 60 bytes.
    pub name: String,
    /// Whether its owner sees it.
    pub lifecycle: Lifecycle,
    /// Where it is in its life.
    pub state: SnapshotState,
    /// How far taking it is, 0 to 100.
    pub percent: u64,
    /// The size of its disk when it was taken, in GiB.
    pub size_gib: u64,
    /// Bytes of blocks that it holds itself.
    pub held_bytes: u64,
    /// System or data disk.
    pub usage: DiskUsage,
    /// How its bytes are encrypted, if they are: as its disk's.
    pub encrypt_type: Option<EncryptType>,
    /// The policy that took it, which may be gone; none if a person did.
    pub policy: Option<SnapshotPolicyId>,
    /// When it is deleted by itself; none is kept for ever, unless there is a promise.
    /// Whether it was asked for as an instant snapshot.
    pub is_instant: bool,
    /// The group it was taken with.
    pub group: Option<SnapshotGroupId>,
    /// When it is deleted by itself; none is kept for ever.
    pub deadline: Option<UnixMillis>,
    /// The promise of the policy that took it, where that depends on later snapshots.
    pub promise: Option<SnapshotPromise>,
    /// Until when nobody can delete it.
    pub locked_until: Option<UnixMillis>,
    /// The job that works on it. While there is one, nothing else may change the snapshot.
    pub job: Option<JobId>,
    /// When it was made.
    pub created: UnixMillis,
    /// When it was last changed.
    pub modified: UnixMillis,
}

impl Snapshot {
    /// Whether nobody can delete it at a time.
    #[must_use]
    pub fn is_locked(&self, now: UnixMillis) -> bool {
        self.locked_until.is_some_and(|until| now < until)
    }

    /// Whether it is kept until somebody deletes it.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        self.deadline.is_none() && self.promise.is_none()
    }
}

/// A snapshot and what a list shows beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotListing {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// The name of its project.
    pub project_name: String,
    /// With how many accounts it is shared.
    pub share_count: u64,
    /// Since when it is shared: with anybody for its owner, with the asking account for others.
    pub shared_since: Option<UnixMillis>,
    /// Whether it was copied from another region.
    pub is_copy: bool,
}

/// One condition of a list. The values of one condition are alternatives; conditions join with "and".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotFilter {
    /// `snapshot-id`, and the ids of a call.
    Id(Vec<SnapshotId>),
    /// `snapshot-name`, the whole name.
    Name(Vec<String>),
    /// `snapshot-state`.
    State(Vec<SnapshotState>),
    /// `disk-usage`.
    Usage(Vec<DiskUsage>),
    /// `project-id`.
    Project(Vec<ProjectId>),
    /// `disk-id`.
    Disk(Vec<DiskId>),
    /// `zone`.
    Zone(Vec<Zone>),
    /// `encrypt`: whether its disk is encrypted.
    Encrypt(Vec<bool>),
    /// `snapshot-type`: the account's own, or shared with it.
    Type(Vec<SnapshotType>),
    /// The account's own, of disks of machines of Lighthouse.
    Lighthouse,
    /// `instance-id`: of the disks of these machines of Lighthouse.
    LighthouseInstance(Vec<InstanceId>),
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
}

/// Which snapshots a call wants to see, sorted by create time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotQuery {
    /// Whose snapshots.
    pub account: AccountUin,
    /// In which region.
    pub region: Region,
    /// All of these must hold.
    pub filters: Vec<SnapshotFilter>,
    /// In which direction.
    pub order: Order,
    /// Which part.
    pub page: Page,
}

/// The sum over an account's snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotTotals {
    /// How many there are.
    pub count: u64,
    /// Bytes of blocks that they hold together.
    pub held_bytes: u64,
}

/// Snapshots whose deadline has passed.
pub(crate) const EXPIRED: &str = "SELECT * FROM snapshots
     WHERE deadline_ms <= $1 AND lifecycle = 'LIVE' AND state = 'NORMAL' AND job_id IS NULL
     ORDER BY deadline_ms, snapshot_id";

/// Snapshots that have lain in the recycle bin since a time.
pub(crate) const RECYCLED: &str = "SELECT * FROM snapshots
     WHERE recycled_ms <= $1 AND lifecycle = 'RECYCLED' AND job_id IS NULL ORDER BY recycled_ms, sequence";

/// Queries on snapshots.
#[derive(Debug)]
pub struct Snapshots<'t>(pub(crate) &'t mut Connection);

impl Snapshots<'_> {
    /// Adds a snapshot. `Conflict` if the id is taken. One of a disk that is in a machine of Lighthouse is noted as such,
    /// whatever takes it.
    pub async fn insert(&mut self, snapshot: &Snapshot) -> Result<(), DbError> {
        let sequence = next_sequence(self.0).await?;
        sqlx::query(
            "INSERT INTO snapshots (snapshot_id, sequence, uin, region, zone, disk_id, size_gib, disk_usage,
                created_ms, snapshot_policy_id, encrypt_type, is_instant, snapshot_group_id, project_id, name,
                lifecycle, state, percent, held_bytes, deadline_ms, job_id, modified_ms, lighthouse_instance_id)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 0, '', '', '', 0, 0, NULL, NULL, 0,
                (SELECT i.instance_id FROM attachments a JOIN instances i ON i.instance_id = a.instance_id
                    WHERE a.disk_id = $6 AND i.product = 'lighthouse'))",
        )
        .bind(snapshot.id.to_string())
        .bind(sequence)
        .bind(signed(snapshot.account.0))
        .bind(snapshot.zone.region().as_str())
        .bind(snapshot.zone.as_str())
        .bind(text_if_any(snapshot.disk.as_ref()).unwrap_or_default())
        .bind(signed(snapshot.size_gib))
        .bind(snapshot.usage.as_str())
        .bind(snapshot.created.0)
        .bind(text_if_any(snapshot.policy.as_ref()))
        .bind(snapshot.encrypt_type.map(EncryptType::as_str))
        .bind(snapshot.is_instant)
        .bind(text_if_any(snapshot.group.as_ref()))
        .execute(&mut *self.0)
        .await?;
        // One list of the changeable columns, in `write`. Nobody has seen the row yet.
        self.write(snapshot, None).await
    }

    /// Writes everything that can change in a snapshot's life. `NotFound`.
    pub async fn save(&mut self, snapshot: &Snapshot) -> Result<(), DbError> {
        let id = snapshot.id.to_string();
        let before = untagged::<ListedSnapshots>(self.0, &id).await?;
        self.write(snapshot, before).await
    }

    async fn write(&mut self, snapshot: &Snapshot, before: Option<Entry>) -> Result<(), DbError> {
        let id = snapshot.id.to_string();
        let done = sqlx::query(
            "UPDATE snapshots SET project_id = $2, name = $3, lifecycle = $4, state = $5, percent = $6,
                held_bytes = $7, deadline_ms = $8, job_id = $9, modified_ms = $10, promise = $11, locked_until_ms = $12,
                recycled_ms = CASE WHEN $4 = 'RECYCLED' THEN recycled_ms END
             WHERE snapshot_id = $1",
        )
        .bind(&id)
        .bind(signed(snapshot.project.0))
        .bind(&snapshot.name)
        .bind(snapshot.lifecycle.as_str())
        .bind(snapshot.state.as_str())
        .bind(signed(snapshot.percent))
        .bind(signed(snapshot.held_bytes))
        .bind(snapshot.deadline.map(|deadline| deadline.0))
        .bind(snapshot.job.map(JobId::signed))
        .bind(snapshot.modified.0)
        .bind(text_if_any(snapshot.promise.as_ref()))
        .bind(snapshot.locked_until.map(|until| until.0))
        .execute(&mut *self.0)
        .await?;
        crate::one_row(done.rows_affected(), "snapshot", &snapshot.id)?;
        changed::<ListedSnapshots>(self.0, before, &id).await
    }

    /// Notes how many bytes a snapshot holds; nothing happens when it is gone.
    pub async fn set_held_bytes(&mut self, id: SnapshotId, held_bytes: u64) -> Result<(), DbError> {
        sqlx::query("UPDATE snapshots SET held_bytes = $2 WHERE snapshot_id = $1")
            .bind(id.to_string())
            .bind(signed(held_bytes))
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// Removes a snapshot. Removing it again is a success.
    pub async fn delete(&mut self, id: SnapshotId) -> Result<(), DbError> {
        let id = id.to_string();
        let before = entry::<ListedSnapshots>(self.0, &id).await?;
        list_index::forget(self.0, &ListOrder::SNAPSHOTS, before.as_ref()).await?;
        sqlx::query("DELETE FROM snapshots WHERE snapshot_id = $1").bind(id).execute(&mut *self.0).await?;
        Ok(())
    }

    /// The live snapshot with this id, if it is the account's and in the region.
    pub async fn find(
        &mut self,
        account: AccountUin,
        region: &Region,
        id: SnapshotId,
    ) -> Result<Option<Snapshot>, DbError> {
        let sql = "SELECT * FROM snapshots WHERE snapshot_id = $1 AND uin = $2 AND region = $3 AND lifecycle = 'LIVE'";
        let row = sqlx::query(sql)
            .bind(id.to_string())
            .bind(signed(account.0))
            .bind(region.as_str())
            .fetch_optional(&mut *self.0)
            .await?;
        row.as_ref().map(|row| snapshot_of(&Columns(row))).transpose()
    }

    /// The same, if its disk was in a machine of Lighthouse.
    pub async fn find_of_lighthouse(
        &mut self,
        account: AccountUin,
        region: &Region,
        id: SnapshotId,
    ) -> Result<Option<Snapshot>, DbError> {
        let sql = "SELECT * FROM snapshots WHERE snapshot_id = $1 AND uin = $2 AND region = $3 AND lifecycle = 'LIVE'
                AND lighthouse_instance_id IS NOT NULL";
        let row = sqlx::query(sql)
            .bind(id.to_string())
            .bind(signed(account.0))
            .bind(region.as_str())
            .fetch_optional(&mut *self.0)
            .await?;
        row.as_ref().map(|row| snapshot_of(&Columns(row))).transpose()
    }

    /// The live snapshot with this id, if it is in the region and the account's own or shared with it.
    pub async fn find_usable(
        &mut self,
        account: AccountUin,
        region: &Region,
        id: SnapshotId,
    ) -> Result<Option<Snapshot>, DbError> {
        let sql = "SELECT * FROM snapshots s
             WHERE s.snapshot_id = $1 AND s.region = $3 AND s.lifecycle = 'LIVE' AND (s.uin = $2 OR EXISTS
                (SELECT 1 FROM snapshot_shares h WHERE h.snapshot_id = s.snapshot_id AND h.uin = $2))";
        let row = sqlx::query(sql)
            .bind(id.to_string())
            .bind(signed(account.0))
            .bind(region.as_str())
            .fetch_optional(&mut *self.0)
            .await?;
        row.as_ref().map(|row| snapshot_of(&Columns(row))).transpose()
    }

    /// The live snapshots of a group, oldest first.
    pub async fn of_group(&mut self, group: SnapshotGroupId) -> Result<Vec<Snapshot>, DbError> {
        let sql =
            "SELECT * FROM snapshots WHERE snapshot_group_id = $1 AND lifecycle = 'LIVE' ORDER BY sequence";
        let rows = sqlx::query(sql).bind(group.to_string()).fetch_all(&mut *self.0).await?;
        rows.iter().map(|row| snapshot_of(&Columns(row))).collect()
    }

    /// The live snapshot with this id, whoever has it.
    pub async fn find_live(&mut self, id: SnapshotId) -> Result<Option<Snapshot>, DbError> {
        self.find_in(id, Lifecycle::Live).await
    }

    /// The snapshot with this id in the recycle bin, whoever had it.
    pub async fn find_recycled(&mut self, id: SnapshotId) -> Result<Option<Snapshot>, DbError> {
        self.find_in(id, Lifecycle::Recycled).await
    }

    async fn find_in(&mut self, id: SnapshotId, lifecycle: Lifecycle) -> Result<Option<Snapshot>, DbError> {
        let row = sqlx::query("SELECT * FROM snapshots WHERE snapshot_id = $1 AND lifecycle = $2")
            .bind(id.to_string())
            .bind(lifecycle.as_str())
            .fetch_optional(&mut *self.0)
            .await?;
        row.as_ref().map(|row| snapshot_of(&Columns(row))).transpose()
    }

    /// Notes when a snapshot went into the recycle bin. Forgotten when it leaves it.
    pub async fn note_recycled(&mut self, id: SnapshotId, now: UnixMillis) -> Result<(), DbError> {
        sqlx::query("UPDATE snapshots SET recycled_ms = $2 WHERE snapshot_id = $1")
            .bind(id.to_string())
            .bind(now.0)
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// The idle snapshots that went into the recycle bin at a time or before, each with the time, the longest there first.
    pub async fn recycled_before(
        &mut self,
        time: UnixMillis,
    ) -> Result<Vec<(Snapshot, UnixMillis)>, DbError> {
        let rows = sqlx::query(RECYCLED).bind(time.0).fetch_all(&mut *self.0).await?;
        rows.iter()
            .map(|row| {
                let columns = Columns(row);
                Ok((snapshot_of(&columns)?, columns.time("recycled_ms")?))
            })
            .collect()
    }

    /// Whether any snapshot, seen or not, has this id.
    pub async fn exists(&mut self, id: SnapshotId) -> Result<bool, DbError> {
        let row = sqlx::query("SELECT 1 FROM snapshots WHERE snapshot_id = $1")
            .bind(id.to_string())
            .fetch_optional(&mut *self.0)
            .await?;
        Ok(row.is_some())
    }

    /// The live snapshots of a disk, oldest first.
    pub async fn of_disk(&mut self, disk: DiskId) -> Result<Vec<Snapshot>, DbError> {
        let sql =
            "SELECT * FROM snapshots WHERE disk_id = $1 AND lifecycle = 'LIVE' ORDER BY created_ms, sequence";
        let rows = sqlx::query(sql).bind(disk.to_string()).fetch_all(&mut *self.0).await?;
        rows.iter().map(|row| snapshot_of(&Columns(row))).collect()
    }

    /// How many live snapshots a disk has.
    pub async fn count_of_disk(&mut self, disk: DiskId) -> Result<u64, DbError> {
        let sql = "SELECT COUNT(*) AS count FROM snapshots WHERE disk_id = $1 AND lifecycle = 'LIVE'";
        let row = sqlx::query(sql).bind(disk.to_string()).fetch_one(&mut *self.0).await?;
        Columns(&row).number("count")
    }

    /// The bytes that each of these snapshots is known to hold; one that is not on record is left out.
    pub async fn held_bytes(&mut self, ids: &[SnapshotId]) -> Result<BTreeMap<SnapshotId, u64>, DbError> {
        let mut sql = Builder::new("SELECT snapshot_id, held_bytes FROM snapshots WHERE 1 = 1");
        push_in(&mut sql, "snapshot_id", ids, ToString::to_string);
        let rows = sql.build().fetch_all(&mut *self.0).await?;
        let held = |row| {
            let columns = Columns(row);
            Ok((columns.word("snapshot_id")?, columns.number("held_bytes")?))
        };
        rows.iter().map(held).collect()
    }

    /// The snapshots that a job works on, seen or not, by id.
    pub async fn of_job(&mut self, job: JobId) -> Result<Vec<Snapshot>, DbError> {
        let rows = sqlx::query("SELECT * FROM snapshots WHERE job_id = $1 ORDER BY snapshot_id")
            .bind(job.signed())
            .fetch_all(&mut *self.0)
            .await?;
        rows.iter().map(|row| snapshot_of(&Columns(row))).collect()
    }

    /// All snapshots of a region, seen or not, by id: what `check` compares with the pool.
    pub async fn of_region(&mut self, region: &Region) -> Result<Vec<Snapshot>, DbError> {
        let rows = sqlx::query("SELECT * FROM snapshots WHERE region = $1 ORDER BY snapshot_id")
            .bind(region.as_str())
            .fetch_all(&mut *self.0)
            .await?;
        rows.iter().map(|row| snapshot_of(&Columns(row))).collect()
    }

    /// A page of the snapshots that can be opened, of all accounts, by id and after `after`, each with its region:
    /// what the exports are rebuilt from.
    pub async fn openable(
        &mut self,
        after: Option<SnapshotId>,
        limit: u64,
    ) -> Result<Vec<(SnapshotId, Region)>, DbError> {
        let sql = "SELECT snapshot_id, region FROM snapshots
             WHERE lifecycle = 'LIVE' AND state NOT IN ('CREATING', 'COPYING_FROM_REMOTE', 'CHECKING_COPIED')
                AND snapshot_id > $1 ORDER BY snapshot_id LIMIT $2";
        let rows = sqlx::query(sql)
            .bind(after.map_or_else(String::new, |id| id.to_string()))
            .bind(signed(limit))
            .fetch_all(&mut *self.0)
            .await?;
        rows.iter()
            .map(|row| {
                let columns = Columns(row);
                Ok((columns.word("snapshot_id")?, columns.word("region")?))
            })
            .collect()
    }

    /// The live, idle snapshots whose time is over, of all accounts.
    pub async fn expired(&mut self, now: UnixMillis) -> Result<Vec<Snapshot>, DbError> {
        let rows = sqlx::query(EXPIRED).bind(now.0).fetch_all(&mut *self.0).await?;
        rows.iter().map(|row| snapshot_of(&Columns(row))).collect()
    }

    /// The sum over the live snapshots of an account in a region.
    pub async fn totals(&mut self, account: AccountUin, region: &Region) -> Result<SnapshotTotals, DbError> {
        let sql = "SELECT COUNT(*) AS count, CAST(COALESCE(SUM(held_bytes), 0) AS BIGINT) AS held_bytes
             FROM snapshots WHERE uin = $1 AND region = $2 AND lifecycle = 'LIVE'";
        let row =
            sqlx::query(sql).bind(signed(account.0)).bind(region.as_str()).fetch_one(&mut *self.0).await?;
        let columns = Columns(&row);
        Ok(SnapshotTotals { count: columns.number("count")?, held_bytes: columns.number("held_bytes")? })
    }

    /// The page of live snapshots that a query asks for: the account's own and those shared with it.
    pub async fn list(&mut self, query: &SnapshotQuery) -> Result<Listed<SnapshotListing>, DbError> {
        crate::snapshot_list::list(self.0, query).await
    }
}

pub(crate) fn listing_of(row: &Row) -> Result<SnapshotListing, DbError> {
    let columns = Columns(row);
    Ok(SnapshotListing {
        snapshot: snapshot_of(&columns)?,
        project_name: columns.text("project_name")?,
        share_count: columns.number("share_count")?,
        shared_since: columns.time_if_any("shared_since_ms")?,
        is_copy: columns.flag("is_copy")?,
    })
}

fn snapshot_of(columns: &Columns<'_>) -> Result<Snapshot, DbError> {
    Ok(Snapshot {
        id: columns.word("snapshot_id")?,
        account: AccountUin(columns.number("uin")?),
        zone: columns.word("zone")?,
        project: ProjectId(columns.number("project_id")?),
        disk: match columns.text("disk_id")?.as_str() {
            "" => None,
            text => Some(parsed("disk_id", text)?),
        },
        name: columns.text("name")?,
        lifecycle: columns.word("lifecycle")?,
        state: columns.word("state")?,
        percent: columns.number("percent")?,
        size_gib: columns.number("size_gib")?,
        held_bytes: columns.number("held_bytes")?,
        usage: columns.word("disk_usage")?,
        encrypt_type: columns.word_if_any("encrypt_type")?,
        policy: columns.word_if_any("snapshot_policy_id")?,
        is_instant: columns.flag("is_instant")?,
        group: columns.word_if_any("snapshot_group_id")?,
        deadline: columns.time_if_any("deadline_ms")?,
        promise: columns.word_if_any("promise")?,
        locked_until: columns.time_if_any("locked_until_ms")?,
        job: columns.number_if_any("job_id")?.map(JobId),
        created: columns.time("created_ms")?,
        modified: columns.time("modified_ms")?,
    })
}
