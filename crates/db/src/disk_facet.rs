//! Facets: how many live disks there are of each combination of what disks are filtered by.

use ashlar_types::{AccountUin, Region};

use crate::DbError;
use crate::column::{Columns, signed};
use crate::connect::Connection;
use crate::disk::{DiskFilter, DiskQuery};
use crate::listing::{Builder, push_in, push_in_numbers};
use crate::{Disk, Lifecycle};

/// A facet that a list wants.
pub(crate) struct Facet {
    pub(crate) id: i64,
    pub(crate) disk_count: u64,
    /// Whether its disks have a deadline: what is paid in advance does, nothing else.
    pub(crate) has_deadline: bool,
}

/// Counts a disk where it belongs now; call it after its row is written.
pub(crate) async fn recount(connection: &mut Connection, disk: &Disk) -> Result<(), DbError> {
    let id = disk.id.to_string();
    let counted: Option<i64> = sqlx::query_scalar("SELECT facet_id FROM disks WHERE disk_id = $1")
        .bind(&id)
        .fetch_one(&mut *connection)
        .await?;
    let wanted = match disk.lifecycle {
        Lifecycle::Live => Some(of(connection, disk).await?),
        Lifecycle::Creating | Lifecycle::Deleting | Lifecycle::Recycled => None,
    };
    if counted == wanted {
        return Ok(());
    }
    sqlx::query("UPDATE disks SET facet_id = $2 WHERE disk_id = $1")
        .bind(&id)
        .bind(wanted)
        .execute(&mut *connection)
        .await?;
    if let Some(facet) = counted {
        count(connection, facet, -1).await?;
    }
    if let Some(facet) = wanted {
        count(connection, facet, 1).await?;
    }
    Ok(())
}

/// Takes a disk out of its facet; call it before its row is deleted.
pub(crate) async fn forget(connection: &mut Connection, id: &str) -> Result<(), DbError> {
    let counted: Option<Option<i64>> = sqlx::query_scalar("SELECT facet_id FROM disks WHERE disk_id = $1")
        .bind(id)
        .fetch_optional(&mut *connection)
        .await?;
    match counted.flatten() {
        Some(facet) => count(connection, facet, -1).await,
        None => Ok(()),
    }
}

async fn count(connection: &mut Connection, facet: i64, change: i64) -> Result<(), DbError> {
    sqlx::query("UPDATE disk_facets SET disk_count = disk_count + $2 WHERE facet_id = $1")
        .bind(facet)
        .bind(change)
        .execute(connection)
        .await?;
    Ok(())
}

/// The facet of a live disk, made if there is none yet.
async fn of(connection: &mut Connection, disk: &Disk) -> Result<i64, DbError> {
    let find =
        "SELECT facet_id FROM disk_facets WHERE uin = $1 AND region = $2 AND zone = $3 AND project_id = $4
            AND disk_type = $5 AND disk_usage = $6 AND charge_type = $7 AND state = $8 AND portable = $9";
    let make = "INSERT INTO disk_facets (uin, region, zone, project_id, disk_type, disk_usage, charge_type, state,
            portable, disk_count, facet_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, (SELECT COALESCE(MAX(facet_id), 0) + 1 FROM disk_facets))
         RETURNING facet_id";
    let region = disk.zone.region();
    for sql in [find, make] {
        let found: Option<i64> = sqlx::query_scalar(sql)
            .bind(signed(disk.account.0))
            .bind(region.as_str())
            .bind(disk.zone.as_str())
            .bind(signed(disk.project.0))
            .bind(disk.disk_type.as_str())
            .bind(disk.usage.as_str())
            .bind(disk.charge_type.as_str())
            .bind(disk.state.as_str())
            .bind(disk.portable)
            .fetch_optional(&mut *connection)
            .await?;
        if let Some(facet) = found {
            return Ok(facet);
        }
    }
    Err(DbError::new(crate::DbErrorKind::Corrupt, "a new facet has no number"))
}

/// The facets of an account in a region that meet all conditions, and have any disks.
pub(crate) async fn matching(connection: &mut Connection, query: &DiskQuery) -> Result<Vec<Facet>, DbError> {
    let mut sql = Builder::new("SELECT facet_id, disk_count, charge_type FROM disk_facets d WHERE d.uin = ");
    sql.push_bind(signed(query.account.0));
    sql.push(" AND d.region = ").push_bind(query.region.to_string()).push(" AND d.disk_count > 0");
    for filter in &query.filters {
        push_facet_filter(&mut sql, filter);
    }
    sql.push(" ORDER BY facet_id");
    let rows = sql.build().fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let columns = Columns(row);
            Ok(Facet {
                id: columns.signed("facet_id")?,
                disk_count: columns.number("disk_count")?,
                has_deadline: columns.text("charge_type")? == "PREPAID",
            })
        })
        .collect()
}

/// How many live disks an account has in a region.
pub(crate) async fn count_all(
    connection: &mut Connection,
    account: AccountUin,
    region: &Region,
) -> Result<u64, DbError> {
    let sql =
        "SELECT CAST(COALESCE(SUM(disk_count), 0) AS BIGINT) FROM disk_facets WHERE uin = $1 AND region = $2";
    let count: i64 =
        sqlx::query_scalar(sql).bind(signed(account.0)).bind(region.as_str()).fetch_one(connection).await?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Appends a condition on a column that facets have too. False for the other conditions.
pub(crate) fn push_facet_filter(builder: &mut Builder, filter: &DiskFilter) -> bool {
    match filter {
        DiskFilter::Usage(values) => push_in(builder, "d.disk_usage", values, ToString::to_string),
        DiskFilter::ChargeType(values) => push_in(builder, "d.charge_type", values, ToString::to_string),
        DiskFilter::Portable(values) => {
            let truth = "CASE WHEN d.portable THEN 1 ELSE 0 END";
            push_in_numbers(builder, truth, values, |value| i64::from(*value));
        }
        DiskFilter::Project(values) => {
            push_in_numbers(builder, "d.project_id", values, |value| signed(value.0));
        }
        DiskFilter::Type(values) => push_in(builder, "d.disk_type", values, ToString::to_string),
        DiskFilter::State(values) => push_in(builder, "d.state", values, ToString::to_string),
        DiskFilter::Zone(values) => push_in(builder, "d.zone", values, ToString::to_string),
        DiskFilter::Nothing => {
            builder.push(" AND 1 = 0");
        }
        DiskFilter::Id(_)
        | DiskFilter::Name(_)
        | DiskFilter::Instance(_)
        | DiskFilter::InstanceAddress(_)
        | DiskFilter::InstanceName(_)
        | DiskFilter::TagKey(_)
        | DiskFilter::TagValue(_)
        | DiskFilter::Tag { .. } => return false,
    }
    true
}
