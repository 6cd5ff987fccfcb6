//! The journal of jobs: work that was promised, written in the same transaction as the promise.

use ashlar_types::{Region, UnixMillis};

use crate::DbError;
use crate::column::{Columns, signed, stored_enum};
use crate::connect::{Connection, Row, next_sequence};

/// The number of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(pub u64);

impl JobId {
    pub(crate) fn signed(self) -> i64 {
        signed(self.0)
    }
}

impl std::fmt::Display for JobId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.0, f)
    }
}

stored_enum! {
    /// Where a job is.
    pub enum JobPhase {
        /// Doing what was asked.
        Forward = "FORWARD",
        /// Taking back what was done, after a step failed.
        Undo = "UNDO",
        /// Ended: done.
        Succeeded = "SUCCEEDED",
        /// Ended: taken back.
        Failed = "FAILED",
    }
}

/// A job in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRecord {
    /// Its number.
    pub id: JobId,
    /// The region whose pool it works on.
    pub region: Region,
    /// What sort of job it is, for people who look into the table.
    pub kind: String,
    /// What to do, in the words of the rules (JSON).
    pub work: String,
    /// Where it is.
    pub phase: JobPhase,
    /// The step to run next.
    pub step: String,
    /// Why it is being taken back, or why it failed.
    pub error: Option<String>,
}

/// A job that is about to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob<'a> {
    /// The region whose pool it works on.
    pub region: &'a Region,
    /// What sort of job it is.
    pub kind: &'a str,
    /// What to do.
    pub work: &'a str,
    /// The first step.
    pub step: &'a str,
}

/// Queries on jobs.
#[derive(Debug)]
pub struct Jobs<'t>(pub(crate) &'t mut Connection);

impl Jobs<'_> {
    /// Writes a job and gives its number.
    pub async fn insert(&mut self, job: &NewJob<'_>, now: UnixMillis) -> Result<JobId, DbError> {
        let sequence = next_sequence(self.0).await?;
        sqlx::query(
            "INSERT INTO jobs (job_id, region, kind, work, phase, step, error, created_ms, ended_ms)
             VALUES ($1, $2, $3, $4, $5, $6, NULL, $7, NULL)",
        )
        .bind(sequence)
        .bind(job.region.as_str())
        .bind(job.kind)
        .bind(job.work)
        .bind(JobPhase::Forward.as_str())
        .bind(job.step)
        .bind(now.0)
        .execute(&mut *self.0)
        .await?;
        Ok(JobId(sequence.unsigned_abs()))
    }

    /// The job with this number, while it is remembered.
    pub async fn find(&mut self, id: JobId) -> Result<Option<JobRecord>, DbError> {
        let row = sqlx::query("SELECT * FROM jobs WHERE job_id = $1")
            .bind(id.signed())
            .fetch_optional(&mut *self.0)
            .await?;
        row.as_ref().map(job_of).transpose()
    }

    /// The numbers of all jobs that have not ended, oldest first.
    pub async fn unfinished(&mut self) -> Result<Vec<JobId>, DbError> {
        let rows = sqlx::query("SELECT job_id FROM jobs WHERE ended_ms IS NULL ORDER BY job_id")
            .fetch_all(&mut *self.0)
            .await?;
        rows.iter().map(|row| Ok(JobId(Columns(row).number("job_id")?))).collect()
    }

    /// Notes the step to run next. `NotFound`.
    pub async fn advance(&mut self, id: JobId, phase: JobPhase, step: &str) -> Result<(), DbError> {
        let done = sqlx::query("UPDATE jobs SET phase = $2, step = $3 WHERE job_id = $1")
            .bind(id.signed())
            .bind(phase.as_str())
            .bind(step)
            .execute(&mut *self.0)
            .await?;
        crate::one_row(done.rows_affected(), "job", &id)
    }

    /// Notes why a job is being taken back. `NotFound`.
    pub async fn note_error(&mut self, id: JobId, error: &str) -> Result<(), DbError> {
        let done = sqlx::query("UPDATE jobs SET error = $2 WHERE job_id = $1")
            .bind(id.signed())
            .bind(error)
            .execute(&mut *self.0)
            .await?;
        crate::one_row(done.rows_affected(), "job", &id)
    }

    /// Ends a job and lets go of everything it held. `NotFound`.
    pub async fn end(&mut self, id: JobId, phase: JobPhase, now: UnixMillis) -> Result<(), DbError> {
        for sql in [
            "UPDATE disks SET job_id = NULL WHERE job_id = $1",
            "UPDATE snapshots SET job_id = NULL WHERE job_id = $1",
            "UPDATE disk_backups SET job_id = NULL WHERE job_id = $1",
            "UPDATE snapshot_groups SET job_id = NULL WHERE job_id = $1",
        ] {
            sqlx::query(sql).bind(id.signed()).execute(&mut *self.0).await?;
        }
        let done = sqlx::query("UPDATE jobs SET phase = $2, ended_ms = $3 WHERE job_id = $1")
            .bind(id.signed())
            .bind(phase.as_str())
            .bind(now.0)
            .execute(&mut *self.0)
            .await?;
        crate::one_row(done.rows_affected(), "job", &id)
    }

    /// What is in a state that only a job can end, and has no unfinished job: each thing with what it is in the middle of.
    /// There is none unless somebody has changed the records by hand, or a rule is broken.
    pub async fn orphans(&mut self, region: &Region) -> Result<Vec<(String, String)>, DbError> {
        let mut found = Vec::new();
        for (kind, sql) in [
            ("disk", orphans_of!("disks", "disk_id", "'ATTACHING', 'DETACHING', 'EXPANDING', 'ROLLBACKING'")),
            (
                "snapshot",
                orphans_of!(
                    "snapshots",
                    "snapshot_id",
                    "'CREATING', 'ROLLBACKING', 'COPYING_FROM_REMOTE', 'CHECKING_COPIED'"
                ),
            ),
            ("backup point", orphans_of!("disk_backups", "disk_backup_id", "'CREATING', 'ROLLBACKING'")),
            (
                "group of snapshots",
                orphans_of!("snapshot_groups", "snapshot_group_id", "'CREATING', 'ROLLBACKING'"),
            ),
        ] {
            for row in sqlx::query(sql).bind(region.as_str()).fetch_all(&mut *self.0).await? {
                let columns = Columns(&row);
                let (lifecycle, state) = (columns.text("lifecycle")?, columns.text("state")?);
                let middle = if lifecycle == "LIVE" { state } else { lifecycle };
                found.push((format!("the {kind} {}", columns.text("id")?), middle));
            }
        }
        Ok(found)
    }

    /// Forgets jobs that ended before a time.
    pub async fn forget_ended(&mut self, before: UnixMillis) -> Result<u64, DbError> {
        let done =
            sqlx::query("DELETE FROM jobs WHERE ended_ms < $1").bind(before.0).execute(&mut *self.0).await?;
        Ok(done.rows_affected())
    }
}

/// The query for things of one table that are in the middle of something without a job that could end it.
macro_rules! orphans_of {
    ($table:literal, $id:literal, $states:literal) => {
        concat!(
            "SELECT r.",
            $id,
            " AS id, r.lifecycle, r.state FROM ",
            $table,
            " r
             LEFT JOIN jobs j ON j.job_id = r.job_id AND j.ended_ms IS NULL
             WHERE r.region = $1 AND j.job_id IS NULL
                AND (r.lifecycle IN ('CREATING', 'DELETING') OR r.state IN (",
            $states,
            ") OR r.job_id IS NOT NULL)
             ORDER BY 1"
        )
    };
}
use orphans_of;

fn job_of(row: &Row) -> Result<JobRecord, DbError> {
    let columns = Columns(row);
    Ok(JobRecord {
        id: JobId(columns.number("job_id")?),
        region: columns.word("region")?,
        kind: columns.text("kind")?,
        work: columns.text("work")?,
        phase: columns.word("phase")?,
        step: columns.text("step")?,
        error: columns.text_if_any("error")?,
    })
}
