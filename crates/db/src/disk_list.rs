//! Lists of disks: the total, and one page in a stable order, however many disks there are.
//!
//! The index of lists tells both. Disks without a deadline come last in either direction: they are a list of their own
//! behind those that have one.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use crate::attachment::disk_columns;
use crate::column::Columns;
use crate::connect::Connection;
use crate::disk::{DiskListing, DiskOrderField, DiskQuery, listing_of};
use crate::disk_terms::{self, HAS_DEADLINE};
use crate::list_index::{Condition, ListOrder, Owner, search};
use crate::listing::{Builder, push_in_numbers};
use crate::{DbError, Listed, Page};

pub(crate) async fn list(
    connection: &mut Connection,
    query: &DiskQuery,
) -> Result<Listed<DiskListing>, DbError> {
    let owner = Owner { account: query.account, region: query.region.clone() };
    let (total_count, sequences) = match query.order_field {
        DiskOrderField::CreateTime => {
            let conditions = conditions(connection, query, &owner, ListOrder::DisksByCreation).await?;
            let found = search(connection, ListOrder::DisksByCreation, &owner, &conditions).await?;
            (found.total(), found.page(connection, query.order, query.page).await?)
        }
        DiskOrderField::Deadline => by_deadline(connection, query, &owner).await?,
    };
    Ok(Listed { total_count, items: rows(connection, &sequences).await? })
}

async fn by_deadline(
    connection: &mut Connection,
    query: &DiskQuery,
    owner: &Owner,
) -> Result<(u64, Vec<i64>), DbError> {
    let with = conditions(connection, query, owner, ListOrder::DisksByDeadline).await?;
    let with = search(connection, ListOrder::DisksByDeadline, owner, &with).await?;
    let mut without = conditions(connection, query, owner, ListOrder::DisksByCreation).await?;
    without.push(Condition::NoneOf(vec![HAS_DEADLINE.to_owned()]));
    let without = search(connection, ListOrder::DisksByCreation, owner, &without).await?;

    let mut sequences = with.page(connection, query.order, query.page).await?;
    let rest = Page {
        offset: query.page.offset.saturating_sub(with.total()),
        limit: query.page.limit - sequences.len() as u64,
    };
    sequences.extend(without.page(connection, query.order, rest).await?);
    Ok((with.total() + without.total(), sequences))
}

async fn conditions(
    connection: &mut Connection,
    query: &DiskQuery,
    owner: &Owner,
    order: ListOrder,
) -> Result<Vec<Condition>, DbError> {
    let mut conditions = Vec::with_capacity(query.filters.len() + 1);
    for filter in &query.filters {
        conditions.push(disk_terms::condition(connection, order, owner, filter).await?);
    }
    Ok(conditions)
}

/// The disks with these numbers, in their order.
async fn rows(connection: &mut Connection, sequences: &[i64]) -> Result<Vec<DiskListing>, DbError> {
    if sequences.is_empty() {
        return Ok(Vec::new());
    }
    let mut list = Builder::new(concat!(
        "SELECT ",
        disk_columns!(),
        ", p.name AS project_name,
            (SELECT COUNT(*) FROM snapshots s
                WHERE s.disk_id = d.disk_id AND s.lifecycle = 'LIVE') AS snapshot_count,
            (SELECT CAST(COALESCE(SUM(s.held_bytes), 0) AS BIGINT) FROM snapshots s
                WHERE s.disk_id = d.disk_id AND s.lifecycle = 'LIVE') AS snapshot_bytes,
            (SELECT COUNT(*) FROM disk_backups b
                WHERE b.disk_id = d.disk_id AND b.lifecycle = 'LIVE') AS backup_count
         FROM disks d JOIN projects p ON p.uin = d.uin AND p.project_id = d.project_id
         WHERE 1 = 1",
    ));
    push_in_numbers(&mut list, "d.sequence", sequences, |sequence| *sequence);
    let rows = list.build().fetch_all(connection).await?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in &rows {
        found.insert(Columns(row).signed("sequence")?, listing_of(row)?);
    }
    Ok(sequences.iter().filter_map(|sequence| found.remove(sequence)).collect())
}
