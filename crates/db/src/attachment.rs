//! Which machines a disk is in: a record for each. A disk that is not shareable has at most one.

use ashlar_types::{DiskId, DiskState, InstanceId, Region};

use crate::DbError;
use crate::column::{Columns, parsed, signed, stored_enum};
use crate::connect::Connection;

stored_enum! {
    /// How far a machine has a disk.
    pub enum AttachmentState {
        /// The disk is on its way in: a job brings it.
        Arriving = "ARRIVING",
        /// The machine has it.
        Inside = "INSIDE",
        /// The disk is on its way out: a job takes it.
        Leaving = "LEAVING",
    }
}

/// A machine that a disk is in, or on its way into or out of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attachment {
    /// The machine.
    pub instance: InstanceId,
    /// How far it has the disk.
    pub state: AttachmentState,
}

/// As much of an attachment as its export needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskInInstance {
    /// The disk.
    pub disk: DiskId,
    /// Where its bytes are.
    pub region: Region,
    /// Where it is in its life.
    pub state: DiskState,
    /// The machine.
    pub attachment: Attachment,
}

/// Queries on attachments. They are written with their disks.
#[derive(Debug)]
pub struct Attachments<'t>(pub(crate) &'t mut Connection);

impl Attachments<'_> {
    /// A page of the attachments of all accounts, by disk and machine, and after `after`: what the exports are rebuilt from.
    /// In pages, so that a start with many disks needs little memory.
    pub async fn page(
        &mut self,
        after: Option<(DiskId, InstanceId)>,
        limit: u64,
    ) -> Result<Vec<DiskInInstance>, DbError> {
        let sql = "SELECT a.disk_id, a.instance_id, a.state AS attachment_state, d.region, d.state
             FROM attachments a JOIN disks d ON d.disk_id = a.disk_id
             WHERE (a.disk_id, a.instance_id) > ($1, $2) ORDER BY a.disk_id, a.instance_id LIMIT $3";
        let (disk, instance) =
            after.map_or_else(Default::default, |(disk, instance)| (disk.to_string(), instance.to_string()));
        let rows =
            sqlx::query(sql).bind(disk).bind(instance).bind(signed(limit)).fetch_all(&mut *self.0).await?;
        rows.iter()
            .map(|row| {
                let columns = Columns(row);
                Ok(DiskInInstance {
                    disk: columns.word("disk_id")?,
                    region: columns.word("region")?,
                    state: columns.word("state")?,
                    attachment: Attachment {
                        instance: columns.word("instance_id")?,
                        state: columns.word("attachment_state")?,
                    },
                })
            })
            .collect()
    }
}

/// What a disk is read from: all columns of the table `disks` as `d`, and its attachments in one for [`of_disk`].
macro_rules! disk_columns {
    () => {
        "d.*, (SELECT string_agg(a.position || ' ' || a.instance_id || ' ' || a.state, ',')
            FROM attachments a WHERE a.disk_id = d.disk_id) AS attachments"
    };
}
pub(crate) use disk_columns;

/// The attachments of a disk, the oldest first.
pub(crate) fn of_disk(columns: &Columns<'_>) -> Result<Vec<Attachment>, DbError> {
    let Some(text) = columns.text_if_any("attachments")? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for one in text.split(',') {
        let mut words = one.split(' ');
        let mut word = || words.next().unwrap_or_default();
        let position: u64 = parsed("position", word())?;
        let instance = parsed("instance_id", word())?;
        found.push((position, Attachment { instance, state: parsed("state", word())? }));
    }
    found.sort_by_key(|(position, _)| *position);
    Ok(found.into_iter().map(|(_, attachment)| attachment).collect())
}

/// Writes the attachments of a disk: these and no others.
pub(crate) async fn write(
    connection: &mut Connection,
    disk: &str,
    attachments: &[Attachment],
) -> Result<(), DbError> {
    sqlx::query("DELETE FROM attachments WHERE disk_id = $1").bind(disk).execute(&mut *connection).await?;
    for (position, attachment) in attachments.iter().enumerate() {
        sqlx::query(
            "INSERT INTO attachments (disk_id, instance_id, position, state) VALUES ($1, $2, $3, $4)",
        )
        .bind(disk)
        .bind(attachment.instance.to_string())
        .bind(signed(position as u64))
        .bind(attachment.state.as_str())
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ashlar_types::AccountUin;
    use sqlx::SqlitePool;
    use sqlx::sqlite::SqliteConnectOptions;

    use super::*;
    use crate::{Db, DiskFilter, DiskOrderField, DiskQuery, Order, Page};

    /// The version before attachments were records.
    const BEFORE: i64 = 15;

    #[tokio::test]
    async fn the_machines_of_an_older_database_become_attachments() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.db");
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let pool = SqlitePool::connect_with(options.foreign_keys(false)).await.unwrap();
        sqlx::migrate!("./migrations").run_to(BEFORE, &pool).await.unwrap();
        for sql in [
            "INSERT INTO instances (instance_id, sequence, uin, zone, name, ip_address, created_ms)
                VALUES ('ins-00000001', 1, 7, 'ap-guangzhou-1', 'one', '10.0.0.1', 0)",
            "INSERT INTO disks (disk_id, sequence, uin, region, zone, project_id, name, disk_type, disk_usage,
                charge_type, size_gib, lifecycle, state, instance_id, portable, delete_with_instance, delete_snapshot,
                throughput_performance_mib, burst_performance, backup_quota, migrating, migrate_percent,
                rollback_percent, error_prompt, created_ms)
             SELECT 'disk-0000000' || n, 1 + n, 7, 'ap-guangzhou', 'ap-guangzhou-1', 0, '', 'CLOUD_SSD', 'DATA_DISK',
                'POSTPAID_BY_HOUR', 20, 'LIVE', state, CASE WHEN n > 1 THEN 'ins-00000001' END, TRUE, FALSE, FALSE,
                0, FALSE, 0, FALSE, 0, 0, '', 0
             FROM (SELECT 1 AS n, 'UNATTACHED' AS state UNION ALL SELECT 2, 'ATTACHED'
                UNION ALL SELECT 3, 'ATTACHING' UNION ALL SELECT 4, 'DETACHING' UNION ALL SELECT 5, 'EXPANDING')",
            "INSERT INTO projects (uin, project_id, name) VALUES (7, 0, 'default')",
        ] {
            sqlx::query(sql).execute(&pool).await.unwrap();
        }
        pool.close().await;

        let db = Db::open(&path).await.unwrap();
        let instance: InstanceId = "ins-00000001".parse().unwrap();
        let query = DiskQuery {
            account: AccountUin(7),
            region: "ap-guangzhou".parse().unwrap(),
            filters: vec![DiskFilter::Instance(vec![instance])],
            order_field: DiskOrderField::CreateTime,
            order: Order::Ascending,
            page: Page { offset: 0, limit: 10 },
        };
        let mut tx = db.read().await.unwrap();
        let listed = tx.disks().list(&query).await.unwrap();
        let of_each: Vec<_> = listed.items.iter().map(|found| found.disk.attachments.clone()).collect();
        let so_far = |state| vec![Attachment { instance, state }];
        let (inside, arriving, leaving) =
            (AttachmentState::Inside, AttachmentState::Arriving, AttachmentState::Leaving);
        assert_eq!(of_each, [so_far(inside), so_far(arriving), so_far(leaving), so_far(inside)]);
        assert_eq!(listed.total_count, 4);
        assert!(listed.items.iter().all(|found| !found.disk.shareable));
        let page = tx.attachments().page(None, 3).await.unwrap();
        let last = page.last().map(|found| (found.disk, found.attachment.instance));
        assert_eq!((page.len(), tx.attachments().page(last, 3).await.unwrap().len()), (3, 1));
        assert_eq!(tx.instances().find(AccountUin(7), instance).await.unwrap().unwrap().disk_count, 4);
    }
}
