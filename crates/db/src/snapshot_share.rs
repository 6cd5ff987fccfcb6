//! Which accounts a snapshot is shared with.

use ashlar_types::{AccountUin, SnapshotId, UnixMillis};

use crate::DbError;
use crate::column::{Columns, signed};
use crate::connect::Connection;

/// A snapshot that another account may make disks from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotShare {
    /// The account it is shared with.
    pub account: AccountUin,
    /// Since when.
    pub created: UnixMillis,
}

/// Queries on shares of snapshots.
#[derive(Debug)]
pub struct SnapshotShares<'t>(pub(crate) &'t mut Connection);

impl SnapshotShares<'_> {
    /// Shares a snapshot with an account. A share that is there keeps its time. `Conflict` if there is no such
    /// snapshot or account.
    pub async fn insert(
        &mut self,
        snapshot: SnapshotId,
        account: AccountUin,
        now: UnixMillis,
    ) -> Result<(), DbError> {
        sqlx::query(
            "INSERT INTO snapshot_shares (snapshot_id, uin, created_ms) VALUES ($1, $2, $3)
             ON CONFLICT (snapshot_id, uin) DO NOTHING",
        )
        .bind(snapshot.to_string())
        .bind(signed(account.0))
        .bind(now.0)
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    /// Ends the share of a snapshot with an account. Ending it again is a success.
    pub async fn delete(&mut self, snapshot: SnapshotId, account: AccountUin) -> Result<(), DbError> {
        sqlx::query("DELETE FROM snapshot_shares WHERE snapshot_id = $1 AND uin = $2")
            .bind(snapshot.to_string())
            .bind(signed(account.0))
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// With whom a snapshot is shared, the oldest share first.
    pub async fn of_snapshot(&mut self, snapshot: SnapshotId) -> Result<Vec<SnapshotShare>, DbError> {
        let sql =
            "SELECT uin, created_ms FROM snapshot_shares WHERE snapshot_id = $1 ORDER BY created_ms, uin";
        let rows = sqlx::query(sql).bind(snapshot.to_string()).fetch_all(&mut *self.0).await?;
        rows.iter()
            .map(|row| {
                let columns = Columns(row);
                Ok(SnapshotShare {
                    account: AccountUin(columns.number("uin")?),
                    created: columns.time("created_ms")?,
                })
            })
            .collect()
    }
}
