//! The index of lists: how many rows meet any conditions, and which of them make a page, without looking at each.
//!
//! Rows that are listed in some order stand in blocks, each a stretch of that order with room for 4096 rows. A row has
//! a place in its block. For each term (what rows are listed by, such as `zone=ap-guangzhou-1`) a table keeps which
//! places of each block have it. Conditions are unions and intersections of these sets; counting them gives the total
//! and tells which blocks a page is in, however far down the list, and only those are walked.
//!
//! The index changes in the transaction that changes a row: [`change`] is told what the row was and what it is.

mod block;
mod noun;
mod places;
mod search;
mod term;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeSet, HashMap};

use ashlar_types::{AccountUin, Region};

use crate::DbError;
use crate::column::{Columns, signed};
use crate::connect::{Connection, next_sequences};
use crate::listing::{Builder, push_in, push_in_numbers, push_page};

pub(crate) use noun::{Noun, changed, entries, entry, untagged};
pub(crate) use places::{PLACES, Places};
pub(crate) use search::{Condition, Found, search};
pub(crate) use term::{TagsOf, flag, tag_term, term, terms, with_ids};

/// An order in which rows are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListOrder {
    /// Live disks as they were made.
    DisksByCreation,
    /// Live disks with a deadline, by it.
    DisksByDeadline,
    /// Live snapshots as they were made.
    SnapshotsByCreation,
}

impl ListOrder {
    /// The orders that disks are listed in.
    pub(crate) const DISKS: [ListOrder; 2] = [ListOrder::DisksByCreation, ListOrder::DisksByDeadline];
    /// The order that snapshots are listed in.
    pub(crate) const SNAPSHOTS: [ListOrder; 1] = [ListOrder::SnapshotsByCreation];

    /// Its number in the tables.
    const fn number(self) -> i64 {
        match self {
            ListOrder::DisksByCreation => 0,
            ListOrder::DisksByDeadline => 1,
            ListOrder::SnapshotsByCreation => 2,
        }
    }

    pub(crate) const fn table(self) -> &'static str {
        match self {
            ListOrder::DisksByCreation | ListOrder::DisksByDeadline => "disks",
            ListOrder::SnapshotsByCreation => "snapshots",
        }
    }

    /// The column with the place of a row.
    pub(crate) const fn place(self) -> &'static str {
        match self {
            ListOrder::DisksByCreation | ListOrder::SnapshotsByCreation => "created_place",
            ListOrder::DisksByDeadline => "deadline_place",
        }
    }

    /// Which rows it lists, of the table as `r`.
    const fn condition(self) -> &'static str {
        match self {
            ListOrder::DisksByCreation | ListOrder::SnapshotsByCreation => "r.lifecycle = 'LIVE'",
            ListOrder::DisksByDeadline => "r.lifecycle = 'LIVE' AND r.deadline_ms IS NOT NULL",
        }
    }

    /// What it sorts by, of the table as `r`.
    const fn columns(self) -> &'static [&'static str] {
        match self {
            ListOrder::DisksByCreation | ListOrder::SnapshotsByCreation => &["r.created_ms", "r.sequence"],
            ListOrder::DisksByDeadline => &["r.deadline_ms", "r.created_ms", "r.sequence"],
        }
    }
}

/// Where a row stands in an order. Orders by creation have no deadline: 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) deadline_ms: i64,
    pub(crate) created_ms: i64,
    pub(crate) sequence: i64,
}

impl Key {
    /// The first key after this one.
    const fn next(self) -> Key {
        Key { sequence: self.sequence + 1, ..self }
    }
}

/// Whose list it is, and of which region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) account: AccountUin,
    pub(crate) region: Region,
}

/// What the index knows of a row that is listed.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) owner: Owner,
    pub(crate) created_ms: i64,
    pub(crate) deadline_ms: Option<i64>,
    pub(crate) sequence: i64,
    pub(crate) created_place: Option<i64>,
    pub(crate) deadline_place: Option<i64>,
    pub(crate) terms: BTreeSet<String>,
}

impl Entry {
    fn key(&self, order: ListOrder) -> Option<Key> {
        let deadline_ms = match order {
            ListOrder::DisksByCreation | ListOrder::SnapshotsByCreation => 0,
            ListOrder::DisksByDeadline => self.deadline_ms?,
        };
        Some(Key { deadline_ms, created_ms: self.created_ms, sequence: self.sequence })
    }

    /// Whether it stands in some orders where another stands or is to stand.
    pub(crate) fn stands_as(&self, other: &Entry, orders: &[ListOrder]) -> bool {
        let is_same = |order: &ListOrder| self.key(*order) == other.key(*order);
        let has_spot = |order: &ListOrder| self.key(*order).is_none() || self.spot(*order).is_some();
        orders.iter().all(|order| is_same(order) && has_spot(order))
    }

    fn spot(&self, order: ListOrder) -> Option<Spot> {
        let place = match order {
            ListOrder::DisksByCreation | ListOrder::SnapshotsByCreation => self.created_place,
            ListOrder::DisksByDeadline => self.deadline_place,
        };
        place.map(Spot::of)
    }
}

/// A block and a place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) block: i64,
    pub(crate) place: usize,
}

impl Spot {
    const ROOM: i64 = PLACES as i64;

    /// From the number in a row.
    pub(crate) fn of(number: i64) -> Self {
        Self { block: number.div_euclid(Self::ROOM), place: number.rem_euclid(Self::ROOM) as usize }
    }

    pub(crate) const fn number(self) -> i64 {
        self.block * Self::ROOM + self.place as i64
    }
}

/// Which rows are meant.
pub(crate) enum Which<'a> {
    /// The row with this id, if its owner sees it.
    Id(&'a str),
    /// The row with this id.
    AnyId(&'a str),
    /// So many of a stretch of an order.
    Stretch(&'a Stretch<'a>, usize),
}

impl Which<'_> {
    /// Appends ` WHERE`, its conditions on the table as `r`, and the order if there is one.
    pub(crate) fn push(&self, sql: &mut Builder, id_column: &str) {
        match self {
            Which::Id(id) => {
                sql.push(" WHERE r.lifecycle = 'LIVE' AND r.")
                    .push(id_column)
                    .push(" = ")
                    .push_bind((*id).to_owned());
            }
            Which::AnyId(id) => {
                sql.push(" WHERE r.").push(id_column).push(" = ").push_bind((*id).to_owned());
            }
            Which::Stretch(stretch, limit) => {
                stretch.push(sql);
                push_order(sql, stretch.order, crate::Order::Ascending);
                push_page(sql, crate::Page { offset: 0, limit: *limit as u64 });
            }
        }
    }
}

/// A stretch of an order.
pub(crate) struct Stretch<'a> {
    pub(crate) order: ListOrder,
    pub(crate) owner: &'a Owner,
    /// From here on.
    pub(crate) from: Option<Key>,
    /// And before this.
    pub(crate) until: Option<Key>,
    /// Only rows that have a place, or only those that have none.
    pub(crate) has_place: Option<bool>,
}

impl Stretch<'_> {
    /// Appends ` WHERE` and its conditions on the order's table as `r`.
    pub(crate) fn push(&self, sql: &mut Builder) {
        sql.push(" WHERE r.uin = ").push_bind(signed(self.owner.account.0));
        sql.push(" AND r.region = ").push_bind(self.owner.region.to_string());
        sql.push(" AND ").push(self.order.condition());
        for (key, relation) in [(self.from, " >= "), (self.until, " < ")] {
            if let Some(key) = key {
                sql.push(" AND (").push(self.order.columns().join(", ")).push(")").push(relation).push("(");
                push_key(sql, self.order, key);
                sql.push(")");
            }
        }
        if let Some(has_place) = self.has_place {
            sql.push(" AND r.").push(self.order.place());
            sql.push(if has_place { " IS NOT NULL" } else { " IS NULL" });
        }
    }
}

/// Appends the parts of a key as an order's columns are.
fn push_key(sql: &mut Builder, order: ListOrder, key: Key) {
    let parts = [key.deadline_ms, key.created_ms, key.sequence];
    let mut list = sql.separated(", ");
    for part in &parts[parts.len() - order.columns().len()..] {
        list.push_bind(*part);
    }
}

/// Appends ` ORDER BY` and what an order sorts by.
fn push_order(sql: &mut Builder, order: ListOrder, direction: crate::Order) {
    let columns: Vec<String> =
        order.columns().iter().map(|column| format!("{column}{}", direction.sql())).collect();
    sql.push(" ORDER BY ").push(columns.join(", "));
}

/// Brings some orders up to date with a row: what it was listed by and what it is, if it is listed.
pub(crate) async fn change(
    connection: &mut Connection,
    orders: &[ListOrder],
    before: Option<&Entry>,
    after: Option<&Entry>,
) -> Result<(), DbError> {
    for order in orders.iter().copied() {
        let stood = before.and_then(|entry| Some((entry, entry.key(order)?, entry.spot(order)?)));
        let stands = after.and_then(|entry| Some((entry, entry.key(order)?)));
        match (stood, stands) {
            (Some((before, old_key, spot)), Some((after, key))) if old_key == key => {
                let gone: Vec<&String> = before.terms.difference(&after.terms).collect();
                let come: Vec<&String> = after.terms.difference(&before.terms).collect();
                mark(connection, order, &after.owner, spot, &gone, &come).await?;
            }
            (stood, stands) => {
                if let Some((before, _, spot)) = stood {
                    block::take_out(connection, order, before, spot).await?;
                    block::set_place(connection, order, before.sequence, None).await?;
                }
                if let Some((after, key)) = stands {
                    block::put_in(connection, order, after, key).await?;
                }
            }
        }
    }
    Ok(())
}

/// Takes a row out of some orders that is about to be deleted.
pub(crate) async fn forget(
    connection: &mut Connection,
    orders: &[ListOrder],
    before: Option<&Entry>,
) -> Result<(), DbError> {
    let Some(before) = before else { return Ok(()) };
    for order in orders.iter().copied() {
        if let Some(spot) = before.spot(order) {
            block::take_out(connection, order, before, spot).await?;
        }
    }
    Ok(())
}

/// Puts all rows that are listed into an index that has none of them, in as few writes as there are blocks and terms.
pub(crate) async fn build(connection: &mut Connection) -> Result<(), DbError> {
    let built: i64 = sqlx::query_scalar("SELECT value FROM counters WHERE name = 'list_index'")
        .fetch_one(&mut *connection)
        .await?;
    if built != 0 {
        return Ok(());
    }
    for order in ListOrder::DISKS.into_iter().chain(ListOrder::SNAPSHOTS) {
        let mut sql = Builder::new("SELECT DISTINCT r.uin, r.region FROM ");
        sql.push(order.table()).push(" r WHERE ").push(order.condition());
        for row in sql.build().fetch_all(&mut *connection).await? {
            let columns = Columns(&row);
            let owner =
                Owner { account: AccountUin(columns.number("uin")?), region: columns.word("region")? };
            block::build(connection, order, &owner).await?;
        }
    }
    sqlx::query("UPDATE counters SET value = 1 WHERE name = 'list_index'").execute(connection).await?;
    Ok(())
}

/// Takes terms from a place, and gives it others.
async fn mark(
    connection: &mut Connection,
    order: ListOrder,
    owner: &Owner,
    spot: Spot,
    gone: &[&String],
    come: &[&String],
) -> Result<(), DbError> {
    if gone.is_empty() && come.is_empty() {
        return Ok(());
    }
    let wanted: Vec<&String> = gone.iter().chain(come).copied().collect();
    let mut sql = Builder::new(
        "SELECT t.term, t.term_id, m.places FROM list_terms t LEFT JOIN list_marks m
            ON m.term_id = t.term_id AND m.list_order = ",
    );
    sql.push_bind(order.number()).push(" AND m.block = ").push_bind(spot.block);
    sql.push(" WHERE t.uin = ").push_bind(signed(owner.account.0));
    sql.push(" AND t.region = ").push_bind(owner.region.to_string());
    push_in(&mut sql, "t.term", &wanted, |term| (*term).clone());
    let (mut ids, mut marked) = (HashMap::new(), HashMap::new());
    for row in sql.build().fetch_all(&mut *connection).await? {
        let columns = Columns(&row);
        let id = columns.signed("term_id")?;
        ids.insert(columns.text("term")?, id);
        if let Some(bytes) = columns.bytes_if_any("places")? {
            marked.insert(id, Places::decode(&bytes)?);
        }
    }
    make_terms(connection, owner, come, &mut ids).await?;
    let (mut kept, mut emptied) = (Vec::new(), Vec::new());
    for (terms, is_coming) in [(gone, false), (come, true)] {
        for (term, id) in terms.iter().filter_map(|term| Some((*term, ids.get(term.as_str())?))) {
            let mut places = marked.remove(id).unwrap_or(Places::NONE);
            match is_coming {
                true => places.insert(spot.place),
                false => places.remove(spot.place),
            }
            match places.is_empty() {
                true => emptied.push((*id, term::is_common(term))),
                false => kept.push((*id, places)),
            }
        }
    }
    write_marks(connection, order, spot.block, &kept).await?;
    delete_marks(connection, order, spot.block, &emptied).await
}

/// The numbers of those of these terms that there are.
async fn term_ids(
    connection: &mut Connection,
    owner: &Owner,
    terms: &[&String],
) -> Result<HashMap<String, i64>, DbError> {
    let mut ids = HashMap::with_capacity(terms.len());
    for terms in terms.chunks(BATCH) {
        let mut sql = Builder::new("SELECT term_id, term FROM list_terms WHERE uin = ");
        sql.push_bind(signed(owner.account.0)).push(" AND region = ").push_bind(owner.region.to_string());
        push_in(&mut sql, "term", terms, |term| (*term).clone());
        for row in sql.build().fetch_all(&mut *connection).await? {
            let columns = Columns(&row);
            ids.insert(columns.text("term")?, columns.signed("term_id")?);
        }
    }
    Ok(ids)
}

/// Gives numbers to those of these terms that have none.
async fn make_terms(
    connection: &mut Connection,
    owner: &Owner,
    terms: &[&String],
    ids: &mut HashMap<String, i64>,
) -> Result<(), DbError> {
    let missing: Vec<&String> =
        terms.iter().filter(|term| !ids.contains_key(term.as_str())).copied().collect();
    for missing in missing.chunks(BATCH) {
        let last = next_sequences(connection, missing.len()).await?;
        let numbered: Vec<(i64, &String)> = (0..).zip(missing).map(|(at, term)| (last - at, *term)).collect();
        let mut sql = Builder::new("INSERT INTO list_terms (term_id, uin, region, term) ");
        sql.push_values(&numbered, |mut row, (id, term)| {
            row.push_bind(*id)
                .push_bind(signed(owner.account.0))
                .push_bind(owner.region.to_string())
                .push_bind((*term).clone());
        });
        sql.build().execute(&mut *connection).await?;
        ids.extend(numbered.into_iter().map(|(id, term)| (term.clone(), id)));
    }
    Ok(())
}

async fn write_marks(
    connection: &mut Connection,
    order: ListOrder,
    block: i64,
    marks: &[(i64, Places)],
) -> Result<(), DbError> {
    for marks in marks.chunks(BATCH) {
        let mut sql = Builder::new("INSERT INTO list_marks (term_id, list_order, block, places) ");
        sql.push_values(marks, |mut row, (term, places)| {
            row.push_bind(*term).push_bind(order.number()).push_bind(block).push_bind(places.encode());
        });
        sql.push(" ON CONFLICT (term_id, list_order, block) DO UPDATE SET places = excluded.places");
        sql.build().execute(&mut *connection).await?;
    }
    Ok(())
}

/// Forgets what places of a block have these terms, and those that nothing has any more, but for common ones: there are
/// few of these, and they are soon needed again.
async fn delete_marks(
    connection: &mut Connection,
    order: ListOrder,
    block: i64,
    terms: &[(i64, bool)],
) -> Result<(), DbError> {
    if terms.is_empty() {
        return Ok(());
    }
    let mut sql = Builder::new("DELETE FROM list_marks WHERE list_order = ");
    sql.push_bind(order.number()).push(" AND block = ").push_bind(block);
    push_in_numbers(&mut sql, "term_id", terms, |(term, _)| *term);
    sql.build().execute(&mut *connection).await?;
    let rare: Vec<i64> = terms.iter().filter(|(_, is_common)| !is_common).map(|(term, _)| *term).collect();
    if !rare.is_empty() {
        let mut sql = Builder::new(
            "DELETE FROM list_terms
             WHERE NOT EXISTS (SELECT 1 FROM list_marks m WHERE m.term_id = list_terms.term_id)",
        );
        push_in_numbers(&mut sql, "term_id", &rare, |term| *term);
        sql.build().execute(connection).await?;
    }
    Ok(())
}

/// So many rows are written or asked for in one statement.
const BATCH: usize = 5000;
