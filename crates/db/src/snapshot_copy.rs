//! Copies of snapshots between regions: where each came from, and how far it is.

use ashlar_types::{AccountUin, DiskId, Region, SnapshotId};

use crate::DbError;
use crate::column::{Columns, signed, text_if_any};
use crate::connect::{Connection, Row};

/// What a copy builds on: a snapshot that the destination has already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyBase {
    /// It, in the source's region.
    pub source: SnapshotId,
    /// Its copy, in the destination.
    pub copy: SnapshotId,
}

/// A snapshot that was copied from another region, or is being copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotCopy {
    /// The copy.
    pub snapshot: SnapshotId,
    /// What is copied. It may be gone when the copy is done.
    pub source: SnapshotId,
    /// Where from.
    pub source_region: Region,
    /// Where to.
    pub destination: Region,
    /// The disk at the beginning of the lineage, whatever regions lie between.
    pub origin: DiskId,
    /// What the copy builds on; none for the first of a lineage.
    pub base: Option<CopyBase>,
    /// Whether it is done.
    pub is_done: bool,
    /// How far the step under way is, as an offset of the disk.
    pub cursor_bytes: u64,
    /// How many bytes were looked at, first to copy them, then to compare them.
    pub seen_bytes: u64,
    /// How many bytes one of these steps has to look at.
    pub total_bytes: u64,
    /// How many bytes had to be written in the destination.
    pub moved_bytes: u64,
}

/// Queries on copies of snapshots.
#[derive(Debug)]
pub struct SnapshotCopies<'t>(pub(crate) &'t mut Connection);

impl SnapshotCopies<'_> {
    /// Adds a copy. `Conflict` if the snapshot is one already.
    pub async fn insert(&mut self, copy: &SnapshotCopy) -> Result<(), DbError> {
        sqlx::query(
            "INSERT INTO snapshot_copies (snapshot_id, source_snapshot_id, source_region, destination_region,
                origin_disk_id, base_source_id, base_copy_id, is_done, cursor_bytes, seen_bytes, total_bytes,
                moved_bytes)
             VALUES ($1, $2, $3, $4, $5, NULL, NULL, FALSE, 0, 0, 0, 0)",
        )
        .bind(copy.snapshot.to_string())
        .bind(copy.source.to_string())
        .bind(copy.source_region.as_str())
        .bind(copy.destination.as_str())
        .bind(copy.origin.to_string())
        .execute(&mut *self.0)
        .await?;
        // One list of the changeable columns, in `save`.
        self.save(copy).await
    }

    /// Writes everything that can change while a copy is under way. `NotFound`.
    pub async fn save(&mut self, copy: &SnapshotCopy) -> Result<(), DbError> {
        let done = sqlx::query(
            "UPDATE snapshot_copies SET base_source_id = $2, base_copy_id = $3, is_done = $4, cursor_bytes = $5,
                seen_bytes = $6, total_bytes = $7, moved_bytes = $8
             WHERE snapshot_id = $1",
        )
        .bind(copy.snapshot.to_string())
        .bind(text_if_any(copy.base.map(|base| base.source).as_ref()))
        .bind(text_if_any(copy.base.map(|base| base.copy).as_ref()))
        .bind(copy.is_done)
        .bind(signed(copy.cursor_bytes))
        .bind(signed(copy.seen_bytes))
        .bind(signed(copy.total_bytes))
        .bind(signed(copy.moved_bytes))
        .execute(&mut *self.0)
        .await?;
        crate::one_row(done.rows_affected(), "snapshot copy", &copy.snapshot)
    }

    /// Forgets that a snapshot was copied. Forgetting it again is a success.
    pub async fn delete(&mut self, snapshot: SnapshotId) -> Result<(), DbError> {
        sqlx::query("DELETE FROM snapshot_copies WHERE snapshot_id = $1")
            .bind(snapshot.to_string())
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// Where a snapshot was copied from; none for one that was taken here.
    pub async fn find(&mut self, snapshot: SnapshotId) -> Result<Option<SnapshotCopy>, DbError> {
        let row = sqlx::query("SELECT * FROM snapshot_copies WHERE snapshot_id = $1")
            .bind(snapshot.to_string())
            .fetch_optional(&mut *self.0)
            .await?;
        row.as_ref().map(copy_of).transpose()
    }

    /// To which regions a snapshot is being copied, by name.
    pub async fn destinations(&mut self, source: SnapshotId) -> Result<Vec<Region>, DbError> {
        let sql = "SELECT DISTINCT destination_region FROM snapshot_copies
             WHERE source_snapshot_id = $1 AND is_done = FALSE ORDER BY destination_region";
        let rows = sqlx::query(sql).bind(source.to_string()).fetch_all(&mut *self.0).await?;
        rows.iter().map(|row| Columns(row).word("destination_region")).collect()
    }

    /// How many copies of a disk's lineage an account has in a region.
    pub async fn count(
        &mut self,
        account: AccountUin,
        origin: DiskId,
        destination: &Region,
    ) -> Result<u64, DbError> {
        let sql = "SELECT COUNT(*) AS count FROM snapshot_copies c JOIN snapshots s ON s.snapshot_id = c.snapshot_id
             WHERE c.origin_disk_id = $1 AND c.destination_region = $2 AND s.uin = $3";
        let row = sqlx::query(sql)
            .bind(origin.to_string())
            .bind(destination.as_str())
            .bind(signed(account.0))
            .fetch_one(&mut *self.0)
            .await?;
        Columns(&row).number("count")
    }

    /// Whether a copy that is under way reads the snapshot or builds on it.
    pub async fn needs(&mut self, snapshot: SnapshotId) -> Result<bool, DbError> {
        let sql = "SELECT 1 FROM snapshot_copies
             WHERE is_done = FALSE AND (source_snapshot_id = $1 OR base_source_id = $1 OR base_copy_id = $1) LIMIT 1";
        let row = sqlx::query(sql).bind(snapshot.to_string()).fetch_optional(&mut *self.0).await?;
        Ok(row.is_some())
    }

    /// What a copy from a disk's lineage could build on, the newest source first: snapshots of the account that lie
    /// idle in the source's region and whose copies lie idle in the destination.
    pub async fn bases(
        &mut self,
        origin: DiskId,
        source_region: &Region,
        destination: &Region,
        limit: u64,
    ) -> Result<Vec<CopyBase>, DbError> {
        let sql = "SELECT c.source_snapshot_id, c.snapshot_id
             FROM snapshot_copies c
             JOIN snapshots s ON s.snapshot_id = c.source_snapshot_id
             JOIN snapshots d ON d.snapshot_id = c.snapshot_id
             WHERE c.origin_disk_id = $1 AND c.destination_region = $2 AND c.source_region = $3 AND c.is_done = TRUE
                AND s.lifecycle = 'LIVE' AND s.state = 'NORMAL' AND d.lifecycle = 'LIVE' AND d.state = 'NORMAL'
             ORDER BY s.created_ms DESC, s.sequence DESC LIMIT $4";
        let rows = sqlx::query(sql)
            .bind(origin.to_string())
            .bind(destination.as_str())
            .bind(source_region.as_str())
            .bind(signed(limit))
            .fetch_all(&mut *self.0)
            .await?;
        rows.iter()
            .map(|row| {
                let columns = Columns(row);
                Ok(CopyBase {
                    source: columns.word("source_snapshot_id")?,
                    copy: columns.word("snapshot_id")?,
                })
            })
            .collect()
    }
}

fn copy_of(row: &Row) -> Result<SnapshotCopy, DbError> {
    let columns = Columns(row);
    let base = columns.word_if_any("base_source_id")?.zip(columns.word_if_any("base_copy_id")?);
    Ok(SnapshotCopy {
        snapshot: columns.word("snapshot_id")?,
        source: columns.word("source_snapshot_id")?,
        source_region: columns.word("source_region")?,
        destination: columns.word("destination_region")?,
        origin: columns.word("origin_disk_id")?,
        base: base.map(|(source, copy)| CopyBase { source, copy }),
        is_done: columns.flag("is_done")?,
        cursor_bytes: columns.number("cursor_bytes")?,
        seen_bytes: columns.number("seen_bytes")?,
        total_bytes: columns.number("total_bytes")?,
        moved_bytes: columns.number("moved_bytes")?,
    })
}
