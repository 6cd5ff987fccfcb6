//! Groups of snapshots that were taken at one moment.

use ashlar_types::{AccountUin, Region, SnapshotGroupId, SnapshotGroupState, SnapshotId, UnixMillis};
use sqlx::Row as _;

use crate::column::{Columns, signed};
use crate::connect::{Connection, Row, next_sequence};
use crate::listing::{Builder, push_in, push_page};
use crate::{DbError, JobId, Lifecycle, Listed, Page};

/// A group of snapshots. Its members are snapshots like others, which name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotGroup {
    /// Its id.
    pub id: SnapshotGroupId,
    /// Whose it is.
    pub account: AccountUin,
    /// Where its bytes are.
    pub region: Region,
    /// What its owner calls it.
    pub name: String,
    /// Whether its owner sees it.
    pub lifecycle: Lifecycle,
    /// Where it is in its life.
    pub state: SnapshotGroupState,
    /// How far taking it is, 0 to 100.
    pub percent: u64,
    /// The job that works on it. While there is one, nothing else may change the group.
    pub job: Option<JobId>,
    /// When it was taken.
    pub created: UnixMillis,
    /// When it was last changed.
    pub modified: UnixMillis,
}

/// One condition of a list. The values of one condition are alternatives; conditions join with "and".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotGroupFilter {
    /// `snapshot-group-id`.
    Id(Vec<SnapshotGroupId>),
    /// `snapshot-group-state`.
    State(Vec<SnapshotGroupState>),
    /// `snapshot-group-name`, the whole name.
    Name(Vec<String>),
    /// `snapshot-id`: has one of these members.
    Member(Vec<SnapshotId>),
}

/// Which groups a call wants to see, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotGroupQuery {
    /// Whose groups.
    pub account: AccountUin,
    /// In which region.
    pub region: Region,
    /// All of these must hold.
    pub filters: Vec<SnapshotGroupFilter>,
    /// Which part.
    pub page: Page,
}

/// Queries on groups of snapshots.
#[derive(Debug)]
pub struct SnapshotGroups<'t>(pub(crate) &'t mut Connection);

impl SnapshotGroups<'_> {
    /// Adds a group. `Conflict` if the id is taken.
    pub async fn insert(&mut self, group: &SnapshotGroup) -> Result<(), DbError> {
        let sequence = next_sequence(self.0).await?;
        sqlx::query(
            "INSERT INTO snapshot_groups (snapshot_group_id, sequence, uin, region, name, created_ms,
                lifecycle, state, percent, job_id, modified_ms)
             VALUES ($1, $2, $3, $4, $5, $6, '', '', 0, NULL, 0)",
        )
        .bind(group.id.to_string())
        .bind(sequence)
        .bind(signed(group.account.0))
        .bind(group.region.as_str())
        .bind(&group.name)
        .bind(group.created.0)
        .execute(&mut *self.0)
        .await?;
        // One list of the changeable columns, in `save`.
        self.save(group).await
    }

    /// Writes everything that can change in a group's life. `NotFound`.
    pub async fn save(&mut self, group: &SnapshotGroup) -> Result<(), DbError> {
        let done = sqlx::query(
            "UPDATE snapshot_groups SET lifecycle = $2, state = $3, percent = $4, job_id = $5, modified_ms = $6
             WHERE snapshot_group_id = $1",
        )
        .bind(group.id.to_string())
        .bind(group.lifecycle.as_str())
        .bind(group.state.as_str())
        .bind(signed(group.percent))
        .bind(group.job.map(JobId::signed))
        .bind(group.modified.0)
        .execute(&mut *self.0)
        .await?;
        crate::one_row(done.rows_affected(), "snapshot group", &group.id)
    }

    /// Removes a group, whose members must be gone. Removing it again is a success.
    pub async fn delete(&mut self, id: SnapshotGroupId) -> Result<(), DbError> {
        sqlx::query("DELETE FROM snapshot_groups WHERE snapshot_group_id = $1")
            .bind(id.to_string())
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// The live group with this id, if it is the account's and in the region.
    pub async fn find(
        &mut self,
        account: AccountUin,
        region: &Region,
        id: SnapshotGroupId,
    ) -> Result<Option<SnapshotGroup>, DbError> {
        let sql = "SELECT * FROM snapshot_groups
             WHERE snapshot_group_id = $1 AND uin = $2 AND region = $3 AND lifecycle = 'LIVE'";
        let row = sqlx::query(sql)
            .bind(id.to_string())
            .bind(signed(account.0))
            .bind(region.as_str())
            .fetch_optional(&mut *self.0)
            .await?;
        row.as_ref().map(group_of).transpose()
    }

    /// Whether any group, seen or not, has this id.
    pub async fn exists(&mut self, id: SnapshotGroupId) -> Result<bool, DbError> {
        let row = sqlx::query("SELECT 1 FROM snapshot_groups WHERE snapshot_group_id = $1")
            .bind(id.to_string())
            .fetch_optional(&mut *self.0)
            .await?;
        Ok(row.is_some())
    }

    /// The groups that a job works on, seen or not, by id.
    pub async fn of_job(&mut self, job: JobId) -> Result<Vec<SnapshotGroup>, DbError> {
        let rows = sqlx::query("SELECT * FROM snapshot_groups WHERE job_id = $1 ORDER BY snapshot_group_id")
            .bind(job.signed())
            .fetch_all(&mut *self.0)
            .await?;
        rows.iter().map(group_of).collect()
    }

    /// The page of live groups that a query asks for.
    pub async fn list(&mut self, query: &SnapshotGroupQuery) -> Result<Listed<SnapshotGroup>, DbError> {
        let mut count = Builder::new("SELECT COUNT(*) FROM snapshot_groups g");
        push_where(&mut count, query);
        let total: i64 = count.build().fetch_one(&mut *self.0).await?.try_get(0)?;

        let mut list = Builder::new("SELECT g.* FROM snapshot_groups g");
        push_where(&mut list, query);
        list.push(" ORDER BY g.created_ms DESC, g.sequence DESC");
        push_page(&mut list, query.page);
        let rows = list.build().fetch_all(&mut *self.0).await?;
        let items = rows.iter().map(group_of).collect::<Result<_, _>>()?;
        Ok(Listed { total_count: u64::try_from(total).unwrap_or(0), items })
    }
}

fn push_where(builder: &mut Builder, query: &SnapshotGroupQuery) {
    builder.push(" WHERE g.uin = ").push_bind(signed(query.account.0));
    builder.push(" AND g.region = ").push_bind(query.region.to_string());
    builder.push(" AND g.lifecycle = 'LIVE'");
    for filter in &query.filters {
        match filter {
            SnapshotGroupFilter::Id(values) => {
                push_in(builder, "g.snapshot_group_id", values, ToString::to_string);
            }
            SnapshotGroupFilter::State(values) => push_in(builder, "g.state", values, ToString::to_string),
            SnapshotGroupFilter::Name(values) => push_in(builder, "g.name", values, Clone::clone),
            SnapshotGroupFilter::Member(values) => {
                builder.push(
                    " AND g.snapshot_group_id IN (SELECT s.snapshot_group_id FROM snapshots s WHERE s.lifecycle = 'LIVE'",
                );
                push_in(builder, "s.snapshot_id", values, ToString::to_string);
                builder.push(")");
            }
        }
    }
}

fn group_of(row: &Row) -> Result<SnapshotGroup, DbError> {
    let columns = Columns(row);
    Ok(SnapshotGroup {
        id: columns.word("snapshot_group_id")?,
        account: AccountUin(columns.number("uin")?),
        region: columns.word("region")?,
        name: columns.text("name")?,
        lifecycle: columns.word("lifecycle")?,
        state: columns.word("state")?,
        percent: columns.number("percent")?,
        job: columns.number_if_any("job_id")?.map(JobId),
        created: columns.time("created_ms")?,
        modified: columns.time("modified_ms")?,
    })
}
