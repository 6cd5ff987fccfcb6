//! Blocks: where rows stand, how a full block becomes two, how a whole order is put into blocks.

use std::collections::HashMap;

use super::{
    Entry, Key, ListOrder, Owner, PLACES, Places, Spot, Stretch, Which, make_terms, mark, push_order,
    term_ids, write_marks,
};
use crate::column::{Columns, signed};
use crate::connect::{Connection, Row, next_sequence};
use crate::disk_terms::ListedDisks;
use crate::listing::Builder;
use crate::snapshot_terms::ListedSnapshots;
use crate::{DbError, Order};

/// A block and which of its places are taken.
pub(crate) struct Block {
    pub(crate) number: i64,
    pub(crate) first: Key,
    pub(crate) places: Places,
}

const SELECT: &str =
    "SELECT r.block, r.first_deadline_ms, r.first_created_ms, r.first_sequence, r.places FROM list_blocks r";
const KEY: &str = "(r.first_deadline_ms, r.first_created_ms, r.first_sequence)";

/// How many rows a block takes.
#[cfg(not(test))]
const fn room() -> usize {
    PLACES
}

/// Less where a test wants to see many blocks.
#[cfg(test)]
fn room() -> usize {
    super::tests::ROOM.get().unwrap_or(PLACES)
}

/// All blocks of an order, in it.
pub(crate) async fn all(
    connection: &mut Connection,
    order: ListOrder,
    owner: &Owner,
) -> Result<Vec<Block>, DbError> {
    let mut sql = of_owner(order, owner);
    push_block_order(&mut sql, Order::Ascending);
    sql.build().fetch_all(connection).await?.iter().map(block_of).collect()
}

fn of_owner(order: ListOrder, owner: &Owner) -> Builder {
    let mut sql = Builder::new(SELECT);
    sql.push(" WHERE r.uin = ").push_bind(signed(owner.account.0));
    sql.push(" AND r.region = ").push_bind(owner.region.to_string());
    sql.push(" AND r.list_order = ").push_bind(order.number());
    sql
}

fn push_block_order(sql: &mut Builder, direction: Order) {
    let direction = direction.sql();
    for (at, column) in ["r.first_deadline_ms", "r.first_created_ms", "r.first_sequence"].iter().enumerate() {
        sql.push(if at == 0 { " ORDER BY " } else { ", " }).push(column).push(direction);
    }
}

fn block_of(row: &Row) -> Result<Block, DbError> {
    let columns = Columns(row);
    let first = Key {
        deadline_ms: columns.signed("first_deadline_ms")?,
        created_ms: columns.signed("first_created_ms")?,
        sequence: columns.signed("first_sequence")?,
    };
    Ok(Block { number: columns.signed("block")?, first, places: Places::decode(&columns.bytes("places")?)? })
}

/// Gives a row that has none a place where it belongs, and marks it.
pub(super) async fn put_in(
    connection: &mut Connection,
    order: ListOrder,
    entry: &Entry,
    key: Key,
) -> Result<(), DbError> {
    let block = loop {
        let Some(block) = block_for(connection, order, &entry.owner, key).await? else {
            break insert(connection, order, &entry.owner, key, Places::NONE).await?;
        };
        if block.places.first_free(room()).is_some() {
            break block;
        }
        match successor(connection, order, &entry.owner, key).await? {
            Some(spot) if spot.block == block.number => {
                split(connection, order, &entry.owner, &block).await?;
            }
            // Beyond all that stand in it: rows mostly come in order, and leave full blocks behind.
            Some(_) | None => break insert(connection, order, &entry.owner, key, Places::NONE).await?,
        }
    };
    let Block { number, first, mut places } = block;
    let place = places.first_free(room()).unwrap_or(0);
    places.insert(place);
    let spot = Spot { block: number, place };
    update(connection, &Block { number, first: first.min(key), places }).await?;
    set_place(connection, order, entry.sequence, Some(spot)).await?;
    let terms: Vec<&String> = entry.terms.iter().collect();
    mark(connection, order, &entry.owner, spot, &[], &terms).await
}

/// Takes a row from its place.
pub(super) async fn take_out(
    connection: &mut Connection,
    order: ListOrder,
    entry: &Entry,
    spot: Spot,
) -> Result<(), DbError> {
    let terms: Vec<&String> = entry.terms.iter().collect();
    mark(connection, order, &entry.owner, spot, &terms, &[]).await?;
    let mut sql = Builder::new(SELECT);
    sql.push(" WHERE r.block = ").push_bind(spot.block);
    let Some(row) = sql.build().fetch_optional(&mut *connection).await? else { return Ok(()) };
    let mut block = block_of(&row)?;
    block.places.remove(spot.place);
    match block.places.is_empty() {
        true => delete(connection, block.number).await,
        false => update(connection, &block).await,
    }
}

/// The block that a key belongs to: the last that begins before it, or the first of all.
async fn block_for(
    connection: &mut Connection,
    order: ListOrder,
    owner: &Owner,
    key: Key,
) -> Result<Option<Block>, DbError> {
    let mut sql = of_owner(order, owner);
    sql.push(" AND ").push(KEY).push(" <= (");
    sql.push_bind(key.deadline_ms).push(", ").push_bind(key.created_ms).push(", ").push_bind(key.sequence);
    sql.push(")");
    push_block_order(&mut sql, Order::Descending);
    sql.push(" LIMIT 1");
    if let Some(row) = sql.build().fetch_optional(&mut *connection).await? {
        return Ok(Some(block_of(&row)?));
    }
    let mut sql = of_owner(order, owner);
    push_block_order(&mut sql, Order::Ascending);
    sql.push(" LIMIT 1");
    sql.build().fetch_optional(connection).await?.as_ref().map(block_of).transpose()
}

/// Where the row stands that comes next after a key.
async fn successor(
    connection: &mut Connection,
    order: ListOrder,
    owner: &Owner,
    key: Key,
) -> Result<Option<Spot>, DbError> {
    let mut sql = Builder::new("SELECT r.");
    sql.push(order.place()).push(" AS place FROM ").push(order.table()).push(" r");
    let stretch = Stretch { order, owner, from: Some(key.next()), until: None, has_place: Some(true) };
    stretch.push(&mut sql);
    push_order(&mut sql, order, Order::Ascending);
    sql.push(" LIMIT 1");
    let row = sql.build().fetch_optional(connection).await?;
    row.map(|row| Ok(Spot::of(Columns(&row).signed("place")?))).transpose()
}

/// Makes two blocks of a full one.
async fn split(
    connection: &mut Connection,
    order: ListOrder,
    owner: &Owner,
    block: &Block,
) -> Result<(), DbError> {
    let until = all(connection, order, owner)
        .await?
        .iter()
        .map(|other| other.first)
        .find(|first| *first > block.first);
    let stretch = Stretch { order, owner, from: Some(block.first), until, has_place: Some(true) };
    let entries = entries(connection, &stretch, room()).await?;
    let terms: Vec<&String> = entries.iter().flat_map(|entry| &entry.terms).collect();
    let mut ids: Vec<i64> = term_ids(connection, owner, &terms).await?.into_values().collect();
    ids.sort_unstable();
    // The terms are needed again at once: only the marks go.
    for ids in ids.chunks(super::BATCH) {
        let mut sql = Builder::new("DELETE FROM list_marks WHERE list_order = ");
        sql.push_bind(order.number()).push(" AND block = ").push_bind(block.number);
        crate::listing::push_in_numbers(&mut sql, "term_id", ids, |id| *id);
        sql.build().execute(&mut *connection).await?;
    }
    delete(connection, block.number).await?;
    let (lower, upper) = entries.split_at(entries.len() / 2);
    let middle = upper.first().and_then(|entry| entry.key(order));
    let halves = [(Some(block.first), middle, lower), (middle, until, upper)];
    for (from, until, entries) in halves {
        write(connection, &Stretch { order, owner, from, until, has_place: Some(true) }, entries).await?;
    }
    Ok(())
}

/// Puts all rows of an order into blocks; none has a place yet.
pub(super) async fn build(
    connection: &mut Connection,
    order: ListOrder,
    owner: &Owner,
) -> Result<(), DbError> {
    let mut from = None;
    loop {
        let stretch = Stretch { order, owner, from, until: None, has_place: Some(false) };
        let entries = entries(connection, &stretch, room()).await?;
        let Some(last) = entries.last().and_then(|entry| entry.key(order)) else { return Ok(()) };
        let until = Some(last.next());
        write(connection, &Stretch { order, owner, from, until, has_place: Some(false) }, &entries).await?;
        from = until;
    }
}

/// Writes a block of the rows of a stretch, and their places in it, in their order.
async fn write(connection: &mut Connection, stretch: &Stretch<'_>, entries: &[Entry]) -> Result<(), DbError> {
    let Stretch { order, owner, .. } = *stretch;
    let Some(first) = entries.first().and_then(|entry| entry.key(order)) else { return Ok(()) };
    let (mut taken, mut marks) = (Places::NONE, HashMap::<&String, Places>::new());
    for (place, entry) in entries.iter().enumerate() {
        taken.insert(place);
        for term in &entry.terms {
            marks.entry(term).or_insert(Places::NONE).insert(place);
        }
    }
    let block = insert(connection, order, owner, first, taken).await?.number;
    let mut sql = Builder::new("UPDATE ");
    sql.push(order.table()).push(" SET ").push(order.place()).push(" = n.place FROM (SELECT r.sequence, ");
    sql.push_bind(Spot { block, place: 0 }.number()).push(" - 1 + ROW_NUMBER() OVER (");
    push_order(&mut sql, order, Order::Ascending);
    sql.push(") AS place FROM ").push(order.table()).push(" r");
    stretch.push(&mut sql);
    sql.push(") AS n WHERE ").push(order.table()).push(".sequence = n.sequence");
    sql.build().execute(&mut *connection).await?;

    let mut terms: Vec<&String> = marks.keys().copied().collect();
    terms.sort_unstable();
    let mut ids = term_ids(connection, owner, &terms).await?;
    make_terms(connection, owner, &terms, &mut ids).await?;
    let mut marks: Vec<(i64, Places)> =
        marks.into_iter().filter_map(|(term, places)| Some((*ids.get(term)?, places))).collect();
    marks.sort_unstable_by_key(|(id, _)| *id);
    write_marks(connection, order, block, &marks).await
}

/// What the index is told of the first rows of a stretch, in its order.
async fn entries(
    connection: &mut Connection,
    stretch: &Stretch<'_>,
    limit: usize,
) -> Result<Vec<Entry>, DbError> {
    match stretch.order {
        ListOrder::DisksByCreation | ListOrder::DisksByDeadline => {
            super::entries::<ListedDisks>(connection, &Which::Stretch(stretch, limit)).await
        }
        ListOrder::SnapshotsByCreation => {
            super::entries::<ListedSnapshots>(connection, &Which::Stretch(stretch, limit)).await
        }
    }
}

async fn insert(
    connection: &mut Connection,
    order: ListOrder,
    owner: &Owner,
    first: Key,
    places: Places,
) -> Result<Block, DbError> {
    // Never a number again: rows that move from a block into its halves must not meet their old places.
    let number = next_sequence(connection).await?;
    let sql = "INSERT INTO list_blocks (block, uin, region, list_order, first_deadline_ms, first_created_ms,
            first_sequence, places)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    sqlx::query(sql)
        .bind(number)
        .bind(signed(owner.account.0))
        .bind(owner.region.as_str())
        .bind(order.number())
        .bind(first.deadline_ms)
        .bind(first.created_ms)
        .bind(first.sequence)
        .bind(places.encode())
        .execute(connection)
        .await?;
    Ok(Block { number, first, places })
}

async fn update(connection: &mut Connection, block: &Block) -> Result<(), DbError> {
    sqlx::query(
        "UPDATE list_blocks SET first_deadline_ms = $2, first_created_ms = $3, first_sequence = $4, places = $5
         WHERE block = $1",
    )
    .bind(block.number)
    .bind(block.first.deadline_ms)
    .bind(block.first.created_ms)
    .bind(block.first.sequence)
    .bind(block.places.encode())
    .execute(connection)
    .await?;
    Ok(())
}

async fn delete(connection: &mut Connection, block: i64) -> Result<(), DbError> {
    sqlx::query("DELETE FROM list_blocks WHERE block = $1").bind(block).execute(connection).await?;
    Ok(())
}

/// Notes in a row where it stands.
pub(super) async fn set_place(
    connection: &mut Connection,
    order: ListOrder,
    sequence: i64,
    spot: Option<Spot>,
) -> Result<(), DbError> {
    let mut sql = Builder::new("UPDATE ");
    sql.push(order.table()).push(" SET ").push(order.place()).push(" = ").push_bind(spot.map(Spot::number));
    sql.push(" WHERE sequence = ").push_bind(sequence);
    sql.build().execute(connection).await?;
    Ok(())
}
