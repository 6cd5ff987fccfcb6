//! The log of operations: what was done to a disk or a snapshot, and how it ended.

use std::collections::HashMap;

use ashlar_types::{AccountUin, UnixMillis, UserUin};
use sqlx::Row as _;

use crate::column::{Columns, signed, stored_enum};
use crate::connect::{Connection, next_sequence};
use crate::listing::{Builder, push_in, push_page};
use crate::{DbError, JobId, Listed, Page, Tagged};

stored_enum! {
    /// How an operation stands. The words are those of `DiskOperationLog.OperationState`.
    pub enum OperationState {
        /// Under way.
        Processing = "PROCESSING",
        /// Done.
        Success = "SUCCESS",
        /// Not done; everything is as before.
        Failed = "FAILED",
    }
}

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// What it was done to.
    pub resource: Tagged,
    /// Whose resource it is.
    pub account: AccountUin,
    /// Who did it: the account, or one of its users.
    pub operator: UserUin,
    /// The name of the action.
    pub operation: String,
    /// How it stands.
    pub state: OperationState,
    /// The request that asked for it.
    pub request_id: String,
    /// The job that does it; none when it was done at once.
    pub job: Option<JobId>,
    /// When it began.
    pub started: UnixMillis,
    /// When it ended.
    pub ended: Option<UnixMillis>,
}

/// The newest entry of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LatestOperation {
    /// The name of the action.
    pub operation: String,
    /// How it stands.
    pub state: OperationState,
    /// The request that asked for it.
    pub request_id: String,
}

/// An entry of the log, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedOperation {
    /// The id of what it was done to, which may be gone.
    pub resource: String,
    /// Who did it: the account, or one of its users.
    pub operator: UserUin,
    /// The name of the action.
    pub operation: String,
    /// How it stands.
    pub state: OperationState,
    /// What asked for it: a request, or a policy by its id.
    pub request_id: String,
    /// When it began.
    pub started: UnixMillis,
    /// When it ended.
    pub ended: Option<UnixMillis>,
}

/// Which entries a call wants to see, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationQuery {
    /// Whose.
    pub account: AccountUin,
    /// Of these resources.
    pub resources: Vec<Tagged>,
    /// Of these actions.
    pub operations: Vec<String>,
    /// Begun at this time or later.
    pub from: Option<UnixMillis>,
    /// Begun at this time or before.
    pub to: Option<UnixMillis>,
    /// Which part.
    pub page: Page,
}

/// The operations that take a snapshot or roll a disk back to it, as a list in SQL.
const CONTENT_OPERATIONS: &str =
    "'CreateSnapshot', 'CreateSnapshotGroup', 'ApplySnapshot', 'ApplySnapshotGroup'";

/// Queries on the log of operations.
#[derive(Debug)]
pub struct Operations<'t>(pub(crate) &'t mut Connection);

impl Operations<'_> {
    /// Adds an entry.
    pub async fn insert(&mut self, operation: &Operation) -> Result<(), DbError> {
        let sequence = next_sequence(self.0).await?;
        sqlx::query(
            "INSERT INTO operations (sequence, resource_id, uin, operation, state, request_id, detail, job_id,
                started_ms, ended_ms, operator_uin)
             VALUES ($1, $2, $3, $4, $5, $6, '', $7, $8, $9, $10)",
        )
        .bind(sequence)
        .bind(operation.resource.to_string())
        .bind(signed(operation.account.0))
        .bind(&operation.operation)
        .bind(operation.state.as_str())
        .bind(&operation.request_id)
        .bind(operation.job.map(JobId::signed))
        .bind(operation.started.0)
        .bind(operation.ended.map(|ended| ended.0))
        .bind(signed(operation.operator.0))
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    /// Ends the entries of a job; `detail` says why it failed.
    pub async fn end_of_job(
        &mut self,
        job: JobId,
        state: OperationState,
        detail: &str,
        now: UnixMillis,
    ) -> Result<(), DbError> {
        sqlx::query("UPDATE operations SET state = $2, detail = $3, ended_ms = $4 WHERE job_id = $1")
            .bind(job.signed())
            .bind(state.as_str())
            .bind(detail)
            .bind(now.0)
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// Forgets ended entries from before this time, at most so many, and tells how many. The newest one of a disk
    /// or a snapshot that exists stays, and so does the newest one that tells how a snapshot was taken or rolled back.
    pub async fn forget(&mut self, before: UnixMillis, at_most: u64) -> Result<u64, DbError> {
        let mut query = Builder::new(
            "DELETE FROM operations WHERE sequence IN (
                SELECT o.sequence FROM operations o WHERE o.started_ms < ",
        );
        query.push_bind(before.0).push(
            " AND o.ended_ms IS NOT NULL AND (
                    EXISTS (SELECT 1 FROM operations n
                        WHERE n.resource_id = o.resource_id AND n.sequence > o.sequence
                            AND (o.resource_id NOT LIKE 'snap-%' OR o.operation NOT IN (",
        );
        query.push(CONTENT_OPERATIONS).push(") OR n.operation IN (").push(CONTENT_OPERATIONS).push(
            ")))
                    OR NOT EXISTS (SELECT 1 FROM disks d WHERE d.disk_id = o.resource_id
                        UNION ALL SELECT 1 FROM snapshots s WHERE s.snapshot_id = o.resource_id))
                ORDER BY o.started_ms LIMIT ",
        );
        query.push_bind(signed(at_most)).push(")");
        Ok(query.build().execute(&mut *self.0).await?.rows_affected())
    }

    /// The page of the log that a query asks for.
    pub async fn list(&mut self, query: &OperationQuery) -> Result<Listed<LoggedOperation>, DbError> {
        let mut count = Builder::new("SELECT COUNT(*) FROM operations o");
        push_where(&mut count, query);
        let total: i64 = count.build().fetch_one(&mut *self.0).await?.try_get(0)?;

        let mut list = Builder::new("SELECT o.* FROM operations o");
        push_where(&mut list, query);
        list.push(" ORDER BY o.sequence DESC");
        push_page(&mut list, query.page);
        let rows = list.build().fetch_all(&mut *self.0).await?;
        let entry = |row| {
            let columns = Columns(row);
            Ok(LoggedOperation {
                resource: columns.text("resource_id")?,
                operator: UserUin(match columns.number_if_any("operator_uin")? {
                    Some(operator) => operator,
                    None => columns.number("uin")?,
                }),
                operation: columns.text("operation")?,
                state: columns.word("state")?,
                request_id: columns.text("request_id")?,
                started: columns.time("started_ms")?,
                ended: columns.time_if_any("ended_ms")?,
            })
        };
        let items = rows.iter().map(entry).collect::<Result<_, DbError>>()?;
        Ok(Listed { total_count: u64::try_from(total).unwrap_or(0), items })
    }

    /// The newest entry of each of these resources; those without one are left out.
    pub async fn latest(
        &mut self,
        resources: &[Tagged],
    ) -> Result<HashMap<Tagged, LatestOperation>, DbError> {
        self.newest(resources, None).await
    }

    /// The newest entry of each of these resources that tells how a snapshot was taken or rolled back.
    pub async fn latest_of_content(
        &mut self,
        resources: &[Tagged],
    ) -> Result<HashMap<Tagged, LatestOperation>, DbError> {
        self.newest(resources, Some(CONTENT_OPERATIONS)).await
    }

    async fn newest(
        &mut self,
        resources: &[Tagged],
        operations: Option<&'static str>,
    ) -> Result<HashMap<Tagged, LatestOperation>, DbError> {
        let names: HashMap<String, Tagged> =
            resources.iter().map(|resource| (resource.to_string(), *resource)).collect();
        let mut query = Builder::new(
            "SELECT resource_id, operation, state, request_id FROM operations o
             WHERE o.sequence = (SELECT MAX(n.sequence) FROM operations n WHERE n.resource_id = o.resource_id",
        );
        if let Some(operations) = operations {
            query.push(" AND n.operation IN (").push(operations).push(")");
        }
        query.push(")");
        push_in(&mut query, "o.resource_id", resources, ToString::to_string);
        let rows = query.build().fetch_all(&mut *self.0).await?;

        let mut found = HashMap::new();
        for row in &rows {
            let columns = Columns(row);
            if let Some(resource) = names.get(&columns.text("resource_id")?) {
                let latest = LatestOperation {
                    operation: columns.text("operation")?,
                    state: columns.word("state")?,
                    request_id: columns.text("request_id")?,
                };
                found.insert(*resource, latest);
            }
        }
        Ok(found)
    }
}

fn push_where(builder: &mut Builder, query: &OperationQuery) {
    builder.push(" WHERE o.uin = ").push_bind(signed(query.account.0));
    push_in(builder, "o.resource_id", &query.resources, ToString::to_string);
    push_in(builder, "o.operation", &query.operations, Clone::clone);
    if let Some(from) = query.from {
        builder.push(" AND o.started_ms >= ").push_bind(from.0);
    }
    if let Some(to) = query.to {
        builder.push(" AND o.started_ms <= ").push_bind(to.0);
    }
}
