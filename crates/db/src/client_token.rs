//! Client tokens: the same create call sent twice makes disks once.

use ashlar_types::{AccountUin, DiskId, Region, UnixMillis};

use crate::column::{Columns, parsed, signed};
use crate::connect::Connection;
use crate::{DbError, JobId};

/// What a token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientToken {
    /// The text that the client chose.
    pub token: String,
    /// The request it came with, in one canonical spelling.
    pub request: String,
    /// The disks that the request made.
    pub disks: Vec<DiskId>,
    /// The job that makes them.
    pub job: JobId,
}

/// Queries on client tokens.
#[derive(Debug)]
pub struct ClientTokens<'t>(pub(crate) &'t mut Connection);

impl ClientTokens<'_> {
    /// Remembers a token. `Conflict` if the account has used it in the region.
    pub async fn insert(
        &mut self,
        account: AccountUin,
        region: &Region,
        token: &ClientToken,
        created: UnixMillis,
    ) -> Result<(), DbError> {
        let disks: Vec<String> = token.disks.iter().map(ToString::to_string).collect();
        sqlx::query(
            "INSERT INTO client_tokens (uin, region, token, request, disk_ids, job_id, created_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(signed(account.0))
        .bind(region.as_str())
        .bind(&token.token)
        .bind(&token.request)
        .bind(disks.join(","))
        .bind(token.job.signed())
        .bind(created.0)
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    /// What the account's token stands for in the region, if it was used.
    pub async fn find(
        &mut self,
        account: AccountUin,
        region: &Region,
        token: &str,
    ) -> Result<Option<ClientToken>, DbError> {
        let row = sqlx::query("SELECT * FROM client_tokens WHERE uin = $1 AND region = $2 AND token = $3")
            .bind(signed(account.0))
            .bind(region.as_str())
            .bind(token)
            .fetch_optional(&mut *self.0)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let columns = Columns(&row);
        let disks = columns.text("disk_ids")?;
        Ok(Some(ClientToken {
            token: columns.text("token")?,
            request: columns.text("request")?,
            disks: disks.split(',').map(|id| parsed("disk_ids", id)).collect::<Result<_, _>>()?,
            job: JobId(columns.number("job_id")?),
        }))
    }

    /// Forgets the token of a create call that failed, so that the client may try again with it.
    pub async fn delete_of_job(&mut self, job: JobId) -> Result<(), DbError> {
        sqlx::query("DELETE FROM client_tokens WHERE job_id = $1")
            .bind(job.signed())
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// Forgets the tokens that were made before this time, and tells how many.
    pub async fn forget(&mut self, before: UnixMillis) -> Result<u64, DbError> {
        let done = sqlx::query("DELETE FROM client_tokens WHERE created_ms < $1")
            .bind(before.0)
            .execute(&mut *self.0)
            .await?;
        Ok(done.rows_affected())
    }
}
