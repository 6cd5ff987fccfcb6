//! Snapshots that were taken of machines before they were fixed.

use ashlar_types::{AccountUin, DiskId, InstanceId, InstanceProduct, Region, SnapshotId, UnixMillis};
use sqlx::Row as _;

use crate::column::{Columns, signed};
use crate::connect::{Connection, next_sequence};
use crate::listing::{Builder, push_in, push_page};
use crate::{DbError, Instance, Listed, Page};

/// A snapshot that a fix took, and the machine as it was then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixSnapshot {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// What it is called.
    pub name: String,
    /// The disk that it was taken from.
    pub disk: DiskId,
    /// Where it is.
    pub region: Region,
    /// When it was taken.
    pub created: UnixMillis,
    /// The machine.
    pub instance: InstanceId,
    /// The product of the machine.
    pub product: InstanceProduct,
    /// The UUID of the machine.
    pub quuid: String,
    /// The name of the machine.
    pub host_name: String,
    /// The address of the machine, if it was known.
    pub host_ip: Option<String>,
}

/// Which of them a call wants to see: newest fix first, the disks of one in the order in which they were taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixSnapshotQuery {
    /// Whose.
    pub account: AccountUin,
    /// Of these machines, by UUID.
    pub quuids: Vec<String>,
    /// Only those of each machine's latest fix.
    pub latest: bool,
    /// Which part.
    pub page: Page,
}

/// Queries on the snapshots of fixes.
#[derive(Debug)]
pub struct FixSnapshots<'t>(pub(crate) &'t mut Connection);

/// Those that can be used now.
const READY: &str = "FROM fix_snapshots f JOIN snapshots s ON s.snapshot_id = f.snapshot_id
    WHERE s.lifecycle = 'LIVE' AND s.state <> 'CREATING'";

impl FixSnapshots<'_> {
    /// Notes that these snapshots were taken of a machine by one fix.
    pub async fn insert(
        &mut self,
        instance: &Instance,
        quuid: &str,
        snapshots: &[SnapshotId],
    ) -> Result<(), DbError> {
        let fix = next_sequence(self.0).await?;
        for snapshot in snapshots {
            sqlx::query(
                "INSERT INTO fix_snapshots (snapshot_id, fix, uin, instance_id, product, quuid, host_name, host_ip)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            )
            .bind(snapshot.to_string())
            .bind(fix)
            .bind(signed(instance.account.0))
            .bind(instance.id.to_string())
            .bind(instance.product.as_str())
            .bind(quuid)
            .bind(&instance.name)
            .bind(instance.ip_address.map(|address| address.to_string()))
            .execute(&mut *self.0)
            .await?;
        }
        Ok(())
    }

    /// The page that a query asks for.
    pub async fn list(&mut self, query: &FixSnapshotQuery) -> Result<Listed<FixSnapshot>, DbError> {
        let mut count = Builder::new("SELECT COUNT(*) ");
        push_where(&mut count, query);
        let total: i64 = count.build().fetch_one(&mut *self.0).await?.try_get(0)?;
        let mut list = Builder::new("SELECT f.*, s.name, s.disk_id, s.region, s.created_ms ");
        push_where(&mut list, query);
        list.push(" ORDER BY f.fix DESC, s.sequence");
        push_page(&mut list, query.page);
        let rows = list.build().fetch_all(&mut *self.0).await?;
        let item = |row| {
            let columns = Columns(row);
            Ok(FixSnapshot {
                snapshot: columns.word("snapshot_id")?,
                name: columns.text("name")?,
                disk: columns.word("disk_id")?,
                region: columns.word("region")?,
                created: columns.time("created_ms")?,
                instance: columns.word("instance_id")?,
                product: columns.word("product")?,
                quuid: columns.text("quuid")?,
                host_name: columns.text("host_name")?,
                host_ip: columns.word_if_any("host_ip")?,
            })
        };
        let items = rows.iter().map(item).collect::<Result<_, DbError>>()?;
        Ok(Listed { total_count: u64::try_from(total).unwrap_or(0), items })
    }

    /// How many of these machines have one that was taken at a time or later.
    pub async fn machines_since(
        &mut self,
        account: AccountUin,
        quuids: &[String],
        since: UnixMillis,
    ) -> Result<u64, DbError> {
        let mut query = Builder::new("SELECT COUNT(DISTINCT f.quuid) AS count ");
        query.push(READY).push(" AND f.uin = ").push_bind(signed(account.0));
        query.push(" AND s.created_ms >= ").push_bind(since.0);
        push_in(&mut query, "f.quuid", quuids, Clone::clone);
        Columns(&query.build().fetch_one(&mut *self.0).await?).number("count")
    }
}

fn push_where(builder: &mut Builder, query: &FixSnapshotQuery) {
    builder.push(READY).push(" AND f.uin = ").push_bind(signed(query.account.0));
    push_in(builder, "f.quuid", &query.quuids, Clone::clone);
    if query.latest {
        builder.push(
            " AND f.fix = (SELECT MAX(l.fix) FROM fix_snapshots l JOIN snapshots t ON t.snapshot_id = l.snapshot_id
                WHERE l.uin = f.uin AND l.quuid = f.quuid AND t.lifecycle = 'LIVE' AND t.state <> 'CREATING')",
        );
    }
}
