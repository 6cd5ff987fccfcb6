//! What meets conditions: how many rows, and which make a page.

use std::collections::HashMap;

use super::block::{self, Block};
use super::{Key, ListOrder, Owner, Places, Spot, Stretch, push_order, term_ids};
use crate::column::Columns;
use crate::connect::Connection;
use crate::listing::{Builder, push_in_numbers, push_page};
use crate::{DbError, Order, Page};

/// Up to so many matches of a block are looked up one by one; more are found by walking along it.
const LOOKED_UP_MAX: u64 = 256;
/// So many are looked up in one statement, or a block's more.
const LOOKED_UP_TOGETHER: usize = 4096;

/// What rows have to meet.
pub(crate) enum Condition {
    /// They have one of these terms.
    AnyOf(Vec<String>),
    /// They have none of these terms.
    NoneOf(Vec<String>),
    /// They stand in one of these places.
    In(Vec<Spot>),
}

/// What was found in an order.
pub(crate) struct Found<'a> {
    order: ListOrder,
    owner: &'a Owner,
    blocks: Vec<Matches>,
}

/// The matches in one block.
struct Matches {
    block: i64,
    first: Key,
    next: Option<Key>,
    places: Places,
    count: u64,
    /// Whether all rows of the block match.
    is_whole: bool,
}

/// A part of the matches of a block.
#[derive(Clone, Copy)]
struct Part<'f> {
    matches: &'f Matches,
    page: Page,
}

/// The rows of an order that meet all conditions.
pub(crate) async fn search<'a>(
    connection: &mut Connection,
    order: ListOrder,
    owner: &'a Owner,
    conditions: &[Condition],
) -> Result<Found<'a>, DbError> {
    let blocks = block::all(connection, order, owner).await?;
    let marks = Marks::read(connection, order, owner, conditions).await?;
    let mut found = Vec::with_capacity(blocks.len());
    for (at, Block { number, first, places: all }) in blocks.iter().enumerate() {
        let mut places = all.clone();
        for condition in conditions {
            marks.apply(*number, condition, &mut places);
        }
        let count = places.count();
        if count > 0 {
            let next = blocks.get(at + 1).map(|next| next.first);
            let is_whole = places == *all;
            found.push(Matches { block: *number, first: *first, next, places, count, is_whole });
        }
    }
    Ok(Found { order, owner, blocks: found })
}

/// The places of the terms that conditions speak of.
struct Marks {
    ids: HashMap<String, i64>,
    places: HashMap<(i64, i64), Places>,
}

impl Marks {
    async fn read(
        connection: &mut Connection,
        order: ListOrder,
        owner: &Owner,
        conditions: &[Condition],
    ) -> Result<Self, DbError> {
        let terms: Vec<&String> = conditions
            .iter()
            .flat_map(|condition| match condition {
                Condition::AnyOf(terms) | Condition::NoneOf(terms) => terms.as_slice(),
                Condition::In(_) => &[],
            })
            .collect();
        let ids = term_ids(connection, owner, &terms).await?;
        let numbers: Vec<i64> = ids.values().copied().collect();
        if numbers.is_empty() {
            return Ok(Self { ids, places: HashMap::new() });
        }
        let mut sql = Builder::new("SELECT term_id, block, places FROM list_marks WHERE list_order = ");
        sql.push_bind(order.number());
        push_in_numbers(&mut sql, "term_id", &numbers, |id| *id);
        #[cfg(test)]
        super::tests::many::note(&sql);
        let rows = sql.build().fetch_all(connection).await?;
        let mut places = HashMap::with_capacity(rows.len());
        for row in &rows {
            let columns = Columns(row);
            let at = (columns.signed("term_id")?, columns.signed("block")?);
            places.insert(at, Places::decode(&columns.bytes("places")?)?);
        }
        Ok(Self { ids, places })
    }

    /// Leaves of some places of a block those that meet a condition.
    fn apply(&self, block: i64, condition: &Condition, places: &mut Places) {
        match condition {
            Condition::AnyOf(terms) => places.keep(&self.any(block, terms)),
            Condition::NoneOf(terms) => places.leave_out(&self.any(block, terms)),
            Condition::In(spots) => {
                let mut wanted = Places::NONE;
                spots.iter().filter(|spot| spot.block == block).for_each(|spot| wanted.insert(spot.place));
                places.keep(&wanted);
            }
        }
    }

    fn any(&self, block: i64, terms: &[String]) -> Places {
        let mut any = Places::NONE;
        let ids = terms.iter().filter_map(|term| self.ids.get(term));
        ids.filter_map(|id| self.places.get(&(*id, block))).for_each(|places| any.add(places));
        any
    }
}

impl Found<'_> {
    /// How many there are.
    pub(crate) fn total(&self) -> u64 {
        self.blocks.iter().map(|matches| matches.count).sum()
    }

    /// The sequence numbers of a page.
    pub(crate) async fn page(
        &self,
        connection: &mut Connection,
        direction: Order,
        page: Page,
    ) -> Result<Vec<i64>, DbError> {
        let parts = self.parts(direction, page);
        let (few, many): (Vec<Part<'_>>, Vec<Part<'_>>) =
            parts.iter().partition(|part| part.matches.count <= LOOKED_UP_MAX);
        let mut found = self.look_up(connection, direction, &few).await?;
        for part in many {
            found.insert(part.matches.block, self.walk(connection, direction, part).await?);
        }
        Ok(parts.iter().filter_map(|part| found.remove(&part.matches.block)).flatten().collect())
    }

    /// Which matches of which blocks make a page.
    fn parts(&self, direction: Order, page: Page) -> Vec<Part<'_>> {
        let (mut skip, mut wanted) = (page.offset, page.limit);
        let mut parts = Vec::new();
        let in_order: Vec<&Matches> = match direction {
            Order::Ascending => self.blocks.iter().collect(),
            Order::Descending => self.blocks.iter().rev().collect(),
        };
        for matches in in_order {
            let offset = skip.min(matches.count);
            let limit = wanted.min(matches.count - offset);
            skip -= offset;
            wanted -= limit;
            if limit > 0 {
                parts.push(Part { matches, page: Page { offset, limit } });
            }
        }
        parts
    }

    /// Finds matches that are few in their blocks by their places.
    async fn look_up(
        &self,
        connection: &mut Connection,
        direction: Order,
        parts: &[Part<'_>],
    ) -> Result<HashMap<i64, Vec<i64>>, DbError> {
        let mut found: HashMap<i64, Vec<i64>> = HashMap::new();
        let mut numbers = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            let block = part.matches.block;
            numbers.extend(part.matches.places.iter().map(|place| Spot { block, place }.number()));
            // A block's are never parted: one statement has them in their order.
            if numbers.len() < LOOKED_UP_TOGETHER && at + 1 < parts.len() {
                continue;
            }
            let mut sql = Builder::new("SELECT r.sequence, r.");
            sql.push(self.order.place())
                .push(" AS place FROM ")
                .push(self.order.table())
                .push(" r WHERE 1 = 1");
            push_in_numbers(&mut sql, &format!("r.{}", self.order.place()), &numbers, |number| *number);
            push_order(&mut sql, self.order, direction);
            #[cfg(test)]
            super::tests::many::note(&sql);
            for row in sql.build().fetch_all(&mut *connection).await? {
                let columns = Columns(&row);
                let block = Spot::of(columns.signed("place")?).block;
                found.entry(block).or_default().push(columns.signed("sequence")?);
            }
            numbers.clear();
        }
        for Part { matches, page } in parts {
            if let Some(sequences) = found.get_mut(&matches.block) {
                // Both fit: a block has few rows.
                let (offset, limit) = (page.offset as usize, page.limit as usize);
                *sequences = sequences.iter().skip(offset).take(limit).copied().collect();
            }
        }
        Ok(found)
    }

    /// Walks along a block to a part of its matches.
    async fn walk(
        &self,
        connection: &mut Connection,
        direction: Order,
        Part { matches, page }: Part<'_>,
    ) -> Result<Vec<i64>, DbError> {
        let Self { order, owner, .. } = *self;
        let mut sql = Builder::new("SELECT r.sequence FROM ");
        sql.push(order.table()).push(" r");
        Stretch { order, owner, from: Some(matches.first), until: matches.next, has_place: None }
            .push(&mut sql);
        if !matches.is_whole {
            let base = Spot { block: matches.block, place: 0 }.number();
            sql.push(" AND substr(").push_bind(matches.places.bytes());
            sql.push(", CAST(r.")
                .push(order.place())
                .push(" - ")
                .push_bind(base)
                .push(" + 1 AS INTEGER), 1) = ");
            sql.push_bind(vec![1_u8]);
        }
        push_order(&mut sql, order, direction);
        push_page(&mut sql, page);
        #[cfg(test)]
        super::tests::many::note(&sql);
        let rows = sql.build().fetch_all(connection).await?;
        rows.iter().map(|row| Columns(row).signed("sequence")).collect()
    }
}
