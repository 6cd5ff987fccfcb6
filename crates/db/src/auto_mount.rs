//! What CreateDisks was told to attach and mount.

use ashlar_types::{DiskId, InstanceId, UnixMillis};

use crate::DbError;
use crate::column::Columns;
use crate::connect::Connection;

/// Where a new disk shall be attached, formatted and mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutoMount {
    /// The disk.
    pub disk: DiskId,
    /// The machine.
    pub instance: InstanceId,
    /// Where to mount it, inside the machine.
    pub mount_point: Option<String>,
    /// What to format it with.
    pub file_system_type: Option<String>,
    /// When it was asked for.
    pub created: UnixMillis,
}

/// Queries on what is to be mounted.
#[derive(Debug)]
pub struct AutoMounts<'t>(pub(crate) &'t mut Connection);

impl AutoMounts<'_> {
    /// Remembers what was asked for. `Conflict` if the disk has one.
    pub async fn insert(&mut self, wanted: &AutoMount) -> Result<(), DbError> {
        sqlx::query(
            "INSERT INTO auto_mounts (disk_id, instance_id, mount_point, file_system_type, created_ms)
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(wanted.disk.to_string())
        .bind(wanted.instance.to_string())
        .bind(wanted.mount_point.as_ref())
        .bind(wanted.file_system_type.as_ref())
        .bind(wanted.created.0)
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    /// What was asked for a disk.
    pub async fn find(&mut self, disk: DiskId) -> Result<Option<AutoMount>, DbError> {
        let row = sqlx::query("SELECT * FROM auto_mounts WHERE disk_id = $1")
            .bind(disk.to_string())
            .fetch_optional(&mut *self.0)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let columns = Columns(&row);
        Ok(Some(AutoMount {
            disk: columns.word("disk_id")?,
            instance: columns.word("instance_id")?,
            mount_point: columns.text_if_any("mount_point")?,
            file_system_type: columns.text_if_any("file_system_type")?,
            created: columns.time("created_ms")?,
        }))
    }

    /// Forgets it. Forgetting again is a success.
    pub async fn delete(&mut self, disk: DiskId) -> Result<(), DbError> {
        sqlx::query("DELETE FROM auto_mounts WHERE disk_id = $1")
            .bind(disk.to_string())
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }
}
