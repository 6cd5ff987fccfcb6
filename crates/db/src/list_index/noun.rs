//! The two nouns that are listed, disks and snapshots: what the index is told of their rows.

use std::collections::{BTreeSet, HashMap};

use ashlar_types::AccountUin;

use super::{Entry, ListOrder, Owner, TagsOf, Which, change};
use crate::DbError;
use crate::column::Columns;
use crate::connect::{Connection, Row};
use crate::listing::Builder;

/// A noun: its table, and what its rows are listed by.
pub(crate) trait Noun {
    /// The table.
    const TABLE: &'static str;
    /// The column with the id.
    const ID: &'static str;
    /// The orders that it is listed in.
    const ORDERS: &'static [ListOrder];
    /// Selects from the table as `r` its id, `sequence`, `uin`, `region`, `created_ms`, `created_place`, and what the
    /// functions below read.
    const SELECT: &'static str;

    /// What a row is listed by that stands in it.
    fn terms(columns: &Columns<'_>) -> Result<BTreeSet<String>, DbError>;

    /// What rows are listed by that stands in other tables, by their ids.
    async fn terms_elsewhere(
        connection: &mut Connection,
        which: &Which<'_>,
    ) -> Result<HashMap<String, Vec<String>>, DbError>;

    /// Its deadline, and its place in the order by that.
    fn deadline(columns: &Columns<'_>) -> Result<(Option<i64>, Option<i64>), DbError>;
}

/// What the index knows of a row; nothing while its owner does not see it.
pub(crate) async fn entry<N: Noun>(connection: &mut Connection, id: &str) -> Result<Option<Entry>, DbError> {
    Ok(entries::<N>(connection, &Which::Id(id)).await?.pop())
}

/// The same without its tags.
pub(crate) async fn untagged<N: Noun>(
    connection: &mut Connection,
    id: &str,
) -> Result<Option<Entry>, DbError> {
    Ok(read::<N>(connection, &Which::Id(id), &TagsOf::default()).await?.pop())
}

/// Brings the index up to date with a row that was changed, given what it was without its tags.
pub(crate) async fn changed<N: Noun>(
    connection: &mut Connection,
    mut before: Option<Entry>,
    id: &str,
) -> Result<(), DbError> {
    let mut after = untagged::<N>(connection, id).await?;
    let stays = match (&before, &after) {
        (Some(before), Some(after)) => before.stands_as(after, N::ORDERS),
        (None, None) => return Ok(()),
        (None, Some(_)) | (Some(_), None) => false,
    };
    if !stays {
        // Tags come and go with the place. Otherwise they are where they were.
        let tags = TagsOf::read(connection, N::ID, N::TABLE, &Which::AnyId(id)).await?;
        for entry in before.iter_mut().chain(after.iter_mut()) {
            tags.add_to(id, &mut entry.terms);
        }
    }
    change(connection, N::ORDERS, before.as_ref(), after.as_ref()).await
}

/// What the index is told of some rows, in their order.
pub(crate) async fn entries<N: Noun>(
    connection: &mut Connection,
    which: &Which<'_>,
) -> Result<Vec<Entry>, DbError> {
    let tags = TagsOf::read(connection, N::ID, N::TABLE, which).await?;
    read::<N>(connection, which, &tags).await
}

async fn read<N: Noun>(
    connection: &mut Connection,
    which: &Which<'_>,
    tags: &TagsOf,
) -> Result<Vec<Entry>, DbError> {
    let mut elsewhere = N::terms_elsewhere(connection, which).await?;
    let mut sql = Builder::new(N::SELECT);
    which.push(&mut sql, N::ID);
    let rows = sql.build().fetch_all(connection).await?;
    let entry = |row: &Row| {
        let mut entry = entry_of::<N>(row)?;
        let id = Columns(row).text(N::ID)?;
        entry.terms.extend(elsewhere.remove(&id).unwrap_or_default());
        tags.add_to(&id, &mut entry.terms);
        Ok(entry)
    };
    rows.iter().map(entry).collect()
}

fn entry_of<N: Noun>(row: &Row) -> Result<Entry, DbError> {
    let columns = Columns(row);
    let terms = N::terms(&columns)?;
    let (deadline_ms, deadline_place) = N::deadline(&columns)?;
    Ok(Entry {
        owner: Owner { account: AccountUin(columns.number("uin")?), region: columns.word("region")? },
        created_ms: columns.signed("created_ms")?,
        deadline_ms,
        sequence: columns.signed("sequence")?,
        created_place: columns.signed_if_any("created_place")?,
        deadline_place,
        terms,
    })
}
