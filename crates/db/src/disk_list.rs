//! Lists of disks: the total, and one page in a stable order, however many disks there are.
//!
//! A list whose conditions are all those of facets takes its total from their counts and its page from a walk over an
//! index that holds everything the walk needs; a page of the second half is walked to from the other end. Few disks are
//! sorted instead: walking past all others to find them would take longer. Any other condition (ids, names, instances,
//! tags) has an index of its own, and what it finds is counted and sorted.
//!
//! Deadlines: disks without one come last in either direction. They are a walk of their own, because no index has them
//! in that order.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use sqlx::Row as _;

use crate::column::{Columns, signed};
use crate::connect::Connection;
use crate::disk::{DiskFilter, DiskListing, DiskOrderField, DiskQuery, listing_of};
use crate::disk_facet::{Facet, count_all, matching, push_facet_filter};
use crate::listing::{Builder, push_in, push_in_numbers, push_page};
use crate::{DbError, Listed, Order, Page};

/// So many disks are sorted in a few milliseconds. Measured: a page of 20,000 takes 15 ms either way.
const SORTED_MAX: u64 = 20_000;

pub(crate) async fn list(
    connection: &mut Connection,
    query: &DiskQuery,
) -> Result<Listed<DiskListing>, DbError> {
    let by_facets = query.filters.iter().all(|filter| push_facet_filter(&mut Builder::new(""), filter));
    let (total_count, sequences) = match by_facets {
        true => page_of_facets(connection, query).await?,
        false => page_of_matches(connection, query).await?,
    };
    Ok(Listed { total_count, items: rows(connection, &sequences).await? })
}

/// A walk: the disks of some facets, all with a deadline or all without one where that matters.
struct Walk<'a> {
    query: &'a DiskQuery,
    facets: Vec<&'a Facet>,
    /// Whether these are all the disks of the account in the region.
    is_everything: bool,
    by_deadline: bool,
}

async fn page_of_facets(connection: &mut Connection, query: &DiskQuery) -> Result<(u64, Vec<i64>), DbError> {
    let facets = matching(connection, query).await?;
    let total = sum(facets.iter());
    let is_everything =
        query.filters.is_empty() || total == count_all(connection, query.account, &query.region).await?;
    let walks = match query.order_field {
        DiskOrderField::CreateTime => {
            vec![Walk { query, facets: facets.iter().collect(), is_everything, by_deadline: false }]
        }
        DiskOrderField::Deadline => {
            let (with, without): (Vec<_>, Vec<_>) = facets.iter().partition(|facet| facet.has_deadline);
            vec![
                Walk { query, facets: with, is_everything, by_deadline: true },
                Walk { query, facets: without, is_everything: false, by_deadline: false },
            ]
        }
    };
    let (mut skip, mut wanted) = (query.page.offset, query.page.limit);
    let mut sequences = Vec::new();
    for walk in walks {
        let there = sum(walk.facets.iter().copied());
        let (from, count) = (skip.min(there), wanted.min(there.saturating_sub(skip)));
        skip -= from;
        wanted -= count;
        if count > 0 {
            sequences.extend(walk.part(connection, there, from, count).await?);
        }
    }
    Ok((total, sequences))
}

fn sum<'a>(facets: impl Iterator<Item = &'a Facet>) -> u64 {
    facets.map(|facet| facet.disk_count).sum()
}

impl Walk<'_> {
    /// `count` disks after the first `from` of the `total` that there are; there are so many.
    async fn part(
        &self,
        connection: &mut Connection,
        total: u64,
        from: u64,
        count: u64,
    ) -> Result<Vec<i64>, DbError> {
        let from_end = total - from - count;
        let is_backwards = from_end < from;
        let (order, offset) = match (self.query.order, is_backwards) {
            (order, false) => (order, from),
            (Order::Ascending, true) => (Order::Descending, from_end),
            (Order::Descending, true) => (Order::Ascending, from_end),
        };
        let mut sql = self.sql(total);
        let direction = order.sql();
        sql.push(" ORDER BY ");
        if self.by_deadline {
            sql.push("d.deadline_ms").push(direction).push(", ");
        }
        sql.push("d.created_ms").push(direction).push(", d.sequence").push(direction);
        push_page(&mut sql, Page { offset, limit: count });
        let mut sequences = fetch(connection, sql).await?;
        if is_backwards {
            sequences.reverse();
        }
        Ok(sequences)
    }

    fn sql(&self, total: u64) -> Builder {
        let ids: Vec<i64> = self.facets.iter().map(|facet| facet.id).collect();
        if !self.is_everything && total <= SORTED_MAX || ids.len() == 1 && !self.by_deadline {
            let mut sql = Builder::new("SELECT d.sequence FROM disks d WHERE 1 = 1");
            push_in_numbers(&mut sql, "d.facet_id", &ids, |id| *id);
            return sql;
        }
        let mut sql = Builder::new("SELECT d.sequence FROM disks d WHERE d.uin = ");
        sql.push_bind(signed(self.query.account.0));
        sql.push(" AND d.region = ").push_bind(self.query.region.to_string());
        sql.push(" AND d.lifecycle = 'LIVE'");
        if self.by_deadline {
            sql.push(" AND d.deadline_ms IS NOT NULL");
        }
        if !self.is_everything {
            // As an expression, so that the index of facets is no candidate: this is a walk along the order.
            push_in_numbers(&mut sql, "(d.facet_id + 0)", &ids, |id| *id);
        }
        sql
    }
}

/// A page of what conditions with an index of their own find.
async fn page_of_matches(connection: &mut Connection, query: &DiskQuery) -> Result<(u64, Vec<i64>), DbError> {
    let mut count = Builder::new("SELECT COUNT(*) FROM disks d");
    push_where(&mut count, query);
    #[cfg(test)]
    tests::note(&count);
    let total: i64 = count.build().fetch_one(&mut *connection).await?.try_get(0)?;
    let total = u64::try_from(total).unwrap_or(0);
    if total <= query.page.offset {
        return Ok((total, Vec::new()));
    }
    let mut sql = Builder::new("SELECT d.sequence FROM disks d");
    push_where(&mut sql, query);
    push_order(&mut sql, query);
    push_page(&mut sql, query.page);
    Ok((total, fetch(connection, sql).await?))
}

async fn fetch(connection: &mut Connection, mut sql: Builder) -> Result<Vec<i64>, DbError> {
    #[cfg(test)]
    tests::note(&sql);
    let rows = sql.build().fetch_all(connection).await?;
    rows.iter().map(|row| Columns(row).signed("sequence")).collect()
}

/// The disks with these numbers, in their order.
async fn rows(connection: &mut Connection, sequences: &[i64]) -> Result<Vec<DiskListing>, DbError> {
    if sequences.is_empty() {
        return Ok(Vec::new());
    }
    let mut list = Builder::new(
        "SELECT d.*, p.name AS project_name,
            (SELECT COUNT(*) FROM snapshots s
                WHERE s.disk_id = d.disk_id AND s.lifecycle = 'LIVE') AS snapshot_count,
            (SELECT CAST(COALESCE(SUM(s.held_bytes), 0) AS BIGINT) FROM snapshots s
                WHERE s.disk_id = d.disk_id AND s.lifecycle = 'LIVE') AS snapshot_bytes,
            (SELECT COUNT(*) FROM disk_backups b
                WHERE b.disk_id = d.disk_id AND b.lifecycle = 'LIVE') AS backup_count
         FROM disks d JOIN projects p ON p.uin = d.uin AND p.project_id = d.project_id
         WHERE 1 = 1",
    );
    push_in_numbers(&mut list, "d.sequence", sequences, |sequence| *sequence);
    let rows = list.build().fetch_all(connection).await?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in &rows {
        found.insert(Columns(row).signed("sequence")?, listing_of(row)?);
    }
    Ok(sequences.iter().filter_map(|sequence| found.remove(sequence)).collect())
}

fn push_where(builder: &mut Builder, query: &DiskQuery) {
    // As expressions where another condition finds few disks, so that no index of all disks is a candidate.
    let (uin, region) = match query.filters.iter().any(finds_few) {
        true => ("(d.uin + 0)", "(d.region || '')"),
        false => ("d.uin", "d.region"),
    };
    builder.push(" WHERE ").push(uin).push(" = ").push_bind(signed(query.account.0));
    builder.push(" AND ").push(region).push(" = ").push_bind(query.region.to_string());
    builder.push(" AND d.lifecycle = 'LIVE'");
    for filter in &query.filters {
        push_filter(builder, filter);
    }
}

/// Whether a condition has an index of its own that does not begin with the owner.
const fn finds_few(filter: &DiskFilter) -> bool {
    match filter {
        DiskFilter::Id(_)
        | DiskFilter::Instance(_)
        | DiskFilter::InstanceAddress(_)
        | DiskFilter::InstanceName(_)
        | DiskFilter::TagKey(_)
        | DiskFilter::TagValue(_)
        | DiskFilter::Tag { .. } => true,
        DiskFilter::Name(_)
        | DiskFilter::Usage(_)
        | DiskFilter::ChargeType(_)
        | DiskFilter::Portable(_)
        | DiskFilter::Project(_)
        | DiskFilter::Type(_)
        | DiskFilter::State(_)
        | DiskFilter::Zone(_)
        | DiskFilter::Nothing => false,
    }
}

fn push_filter(builder: &mut Builder, filter: &DiskFilter) {
    match filter {
        DiskFilter::Id(values) => push_in(builder, "d.disk_id", values, ToString::to_string),
        DiskFilter::Name(values) => push_in(builder, "d.name", values, Clone::clone),
        DiskFilter::Instance(values) => push_in(builder, "d.instance_id", values, ToString::to_string),
        DiskFilter::InstanceAddress(values) => push_instance(builder, "i.ip_address", values),
        DiskFilter::InstanceName(values) => push_instance(builder, "i.name", values),
        DiskFilter::TagKey(values) => push_tag(builder, None, "t.tag_key", values),
        DiskFilter::TagValue(values) => push_tag(builder, None, "t.tag_value", values),
        DiskFilter::Tag { key, values } => push_tag(builder, Some(key), "t.tag_value", values),
        DiskFilter::Usage(_)
        | DiskFilter::ChargeType(_)
        | DiskFilter::Portable(_)
        | DiskFilter::Project(_)
        | DiskFilter::Type(_)
        | DiskFilter::State(_)
        | DiskFilter::Zone(_)
        | DiskFilter::Nothing => {
            push_facet_filter(builder, filter);
        }
    }
}

fn push_instance(builder: &mut Builder, column: &str, values: &[String]) {
    builder.push(" AND d.instance_id IN (SELECT i.instance_id FROM instances i WHERE 1 = 1");
    push_in(builder, column, values, Clone::clone);
    builder.push(")");
}

fn push_tag(builder: &mut Builder, key: Option<&String>, column: &str, values: &[String]) {
    builder.push(" AND d.disk_id IN (SELECT t.resource_id FROM tags t WHERE 1 = 1");
    if let Some(key) = key {
        builder.push(" AND t.tag_key = ").push_bind(key.clone());
    }
    push_in(builder, column, values, Clone::clone);
    builder.push(")");
}

fn push_order(builder: &mut Builder, query: &DiskQuery) {
    let direction = query.order.sql();
    builder.push(" ORDER BY ");
    match query.order_field {
        DiskOrderField::CreateTime => {}
        DiskOrderField::Deadline => {
            builder.push("d.deadline_ms").push(direction).push(" NULLS LAST, ");
        }
    }
    builder.push("d.created_ms").push(direction).push(", d.sequence").push(direction);
}
