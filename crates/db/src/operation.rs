//! The log of operations: what was done to a disk or a snapshot, and how it ended.

use std::collections::HashMap;

use ashlar_types::{AccountUin, UnixMillis};

use crate::column::{Columns, signed, stored_enum};
use crate::connect::{Connection, next_sequence};
use crate::listing::{Builder, push_in};
use crate::{DbError, JobId, Tagged};

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

/// Queries on the log of operations.
#[derive(Debug)]
pub struct Operations<'t>(pub(crate) &'t mut Connection);

impl Operations<'_> {
    /// Adds an entry.
    pub async fn insert(&mut self, operation: &Operation) -> Result<(), DbError> {
        let sequence = next_sequence(self.0).await?;
        sqlx::query(
            "INSERT INTO operations (sequence, resource_id, uin, operation, state, request_id, detail, job_id,
                started_ms, ended_ms)
             VALUES ($1, $2, $3, $4, $5, $6, '', $7, $8, $9)",
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
    /// or a snapshot that exists stays.
    pub async fn forget(&mut self, before: UnixMillis, at_most: u64) -> Result<u64, DbError> {
        let done = sqlx::query(
            "DELETE FROM operations WHERE sequence IN (
                SELECT o.sequence FROM operations o WHERE o.started_ms < $1 AND o.ended_ms IS NOT NULL AND (
                    EXISTS (SELECT 1 FROM operations n
                        WHERE n.resource_id = o.resource_id AND n.sequence > o.sequence)
                    OR NOT EXISTS (SELECT 1 FROM disks d WHERE d.disk_id = o.resource_id
                        UNION ALL SELECT 1 FROM snapshots s WHERE s.snapshot_id = o.resource_id))
                ORDER BY o.started_ms LIMIT $2)",
        )
        .bind(before.0)
        .bind(signed(at_most))
        .execute(&mut *self.0)
        .await?;
        Ok(done.rows_affected())
    }

    /// The newest entry of each of these resources; those without one are left out.
    pub async fn latest(
        &mut self,
        resources: &[Tagged],
    ) -> Result<HashMap<Tagged, LatestOperation>, DbError> {
        let names: HashMap<String, Tagged> =
            resources.iter().map(|resource| (resource.to_string(), *resource)).collect();
        let mut query = Builder::new(
            "SELECT resource_id, operation, state, request_id FROM operations o
             WHERE o.sequence = (SELECT MAX(n.sequence) FROM operations n WHERE n.resource_id = o.resource_id)",
        );
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
