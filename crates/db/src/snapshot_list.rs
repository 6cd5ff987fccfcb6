//! Lists of snapshots: an account's own, and those that others share with it, in one order.
//!
//! The index of lists knows the account's own. Those that are shared with it are few: all that match are read, and put
//! among the own ones of the page and around it.

#[cfg(test)]
mod many;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use ashlar_types::SnapshotType;

use crate::column::{Columns, signed};
use crate::connect::Connection;
use crate::list_index::{Found, ListOrder, Owner, search};
use crate::listing::{Builder, push_in, push_in_numbers};
use crate::snapshot::{SnapshotFilter, SnapshotListing, SnapshotQuery, listing_of};
use crate::snapshot_terms;
use crate::{DbError, Listed, Order, Page};

/// Where a snapshot stands in the list: when it was made, and its sequence number.
type Key = (i64, i64);

pub(crate) async fn list(
    connection: &mut Connection,
    query: &SnapshotQuery,
) -> Result<Listed<SnapshotListing>, DbError> {
    let owner = Owner { account: query.account, region: query.region.clone() };
    let mut conditions = Vec::with_capacity(query.filters.len());
    for filter in &query.filters {
        let order = ListOrder::SnapshotsByCreation;
        conditions.extend(snapshot_terms::condition(connection, order, &owner, filter).await?);
    }
    let own = search(connection, ListOrder::SnapshotsByCreation, &owner, &conditions).await?;
    let shared = shared(connection, query).await?;
    let total_count = own.total() + shared.len() as u64;
    let sequences = match shared.is_empty() {
        true => own.page(connection, query.order, query.page).await?,
        false => merged(connection, query, &own, shared).await?,
    };
    Ok(Listed { total_count, items: rows(connection, query, &sequences).await? })
}

/// A page of both. An own snapshot has as many more before it as shared ones are older or newer, so the page is among
/// the own ones from that many before it on.
async fn merged(
    connection: &mut Connection,
    query: &SnapshotQuery,
    own: &Found<'_>,
    shared: Vec<Key>,
) -> Result<Vec<i64>, DbError> {
    let before = query.page.offset.min(shared.len() as u64);
    let around = Page { offset: query.page.offset - before, limit: query.page.limit.saturating_add(before) };
    let sequences = own.page(connection, query.order, around).await?;
    let mut all = keys(connection, &sequences).await?;
    all.extend(shared);
    all.sort_unstable();
    if query.order == Order::Descending {
        all.reverse();
    }
    // Shared ones before all own ones that were read count as if they were next to them: they are before the page.
    let page = all.into_iter().skip(before as usize).take(query.page.limit as usize);
    Ok(page.map(|(_, sequence)| sequence).collect())
}

async fn keys(connection: &mut Connection, sequences: &[i64]) -> Result<Vec<Key>, DbError> {
    let mut sql = Builder::new("SELECT s.created_ms, s.sequence FROM snapshots s WHERE 1 = 1");
    push_in_numbers(&mut sql, "s.sequence", sequences, |sequence| *sequence);
    keys_of(connection, sql).await
}

/// The snapshots of others that the query asks for.
async fn shared(connection: &mut Connection, query: &SnapshotQuery) -> Result<Vec<Key>, DbError> {
    let mut sql = Builder::new(
        "SELECT s.created_ms, s.sequence FROM snapshot_shares h JOIN snapshots s ON s.snapshot_id = h.snapshot_id
         WHERE h.uin = ",
    );
    sql.push_bind(signed(query.account.0));
    sql.push(" AND s.region = ").push_bind(query.region.to_string());
    sql.push(" AND s.lifecycle = 'LIVE'");
    for filter in &query.filters {
        push_filter(&mut sql, filter);
    }
    #[cfg(test)]
    crate::list_index::tests::many::note(&sql);
    keys_of(connection, sql).await
}

async fn keys_of(connection: &mut Connection, mut sql: Builder) -> Result<Vec<Key>, DbError> {
    let rows = sql.build().fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let columns = Columns(row);
            Ok((columns.signed("created_ms")?, columns.signed("sequence")?))
        })
        .collect()
}

/// Appends a condition on what another account shares.
fn push_filter(sql: &mut Builder, filter: &SnapshotFilter) {
    let is_met = match filter {
        SnapshotFilter::Id(values) => return push_in(sql, "s.snapshot_id", values, ToString::to_string),
        SnapshotFilter::Name(values) => return push_in(sql, "s.name", values, Clone::clone),
        SnapshotFilter::State(values) => return push_in(sql, "s.state", values, ToString::to_string),
        SnapshotFilter::Usage(values) => return push_in(sql, "s.disk_usage", values, ToString::to_string),
        SnapshotFilter::Disk(values) => return push_in(sql, "s.disk_id", values, ToString::to_string),
        SnapshotFilter::Zone(values) => return push_in(sql, "s.zone", values, ToString::to_string),
        SnapshotFilter::Encrypt(values) => {
            let truth = "CASE WHEN s.encrypt_type IS NULL THEN 0 ELSE 1 END";
            return push_in_numbers(sql, truth, values, |value| i64::from(*value));
        }
        SnapshotFilter::LighthouseInstance(values) => {
            return push_in(sql, "s.lighthouse_instance_id", values, ToString::to_string);
        }
        SnapshotFilter::Type(values) => values.contains(&SnapshotType::Shared),
        // Projects and tags are the owner's own affair: to others a snapshot is in the default project.
        SnapshotFilter::Project(values) => values.iter().any(|project| project.0 == 0),
        SnapshotFilter::Lighthouse
        | SnapshotFilter::TagKey(_)
        | SnapshotFilter::TagValue(_)
        | SnapshotFilter::Tag { .. } => false,
    };
    if !is_met {
        sql.push(" AND 1 = 0");
    }
}

/// The snapshots with these numbers, in their order.
async fn rows(
    connection: &mut Connection,
    query: &SnapshotQuery,
    sequences: &[i64],
) -> Result<Vec<SnapshotListing>, DbError> {
    if sequences.is_empty() {
        return Ok(Vec::new());
    }
    let account = signed(query.account.0);
    let mut sql = Builder::new(
        "SELECT s.*, p.name AS project_name,
            (SELECT COUNT(*) FROM snapshot_shares h WHERE h.snapshot_id = s.snapshot_id) AS share_count,
            (SELECT MIN(h.created_ms) FROM snapshot_shares h WHERE h.snapshot_id = s.snapshot_id AND (s.uin = ",
    );
    sql.push_bind(account).push(" OR h.uin = ").push_bind(account);
    sql.push(
        ")) AS shared_since_ms,
            EXISTS (SELECT 1 FROM snapshot_copies c WHERE c.snapshot_id = s.snapshot_id) AS is_copy
         FROM snapshots s JOIN projects p ON p.uin = s.uin AND p.project_id = s.project_id WHERE 1 = 1",
    );
    push_in_numbers(&mut sql, "s.sequence", sequences, |sequence| *sequence);
    #[cfg(test)]
    crate::list_index::tests::many::note(&sql);
    let rows = sql.build().fetch_all(connection).await?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in &rows {
        found.insert(Columns(row).signed("sequence")?, listing_of(row)?);
    }
    Ok(sequences.iter().filter_map(|sequence| found.remove(sequence)).collect())
}
