//! What snapshots are listed by for their owners, and what the index of lists is told of them.

use std::collections::BTreeSet;

use ashlar_types::{AccountUin, SnapshotType};

use crate::column::{Columns, signed};
use crate::connect::{Connection, Row};
use crate::list_index::{
    self, Condition, Entry, ListOrder, Owner, TagsOf, Which, flag, tag_term, term, terms, with_ids,
};
use crate::listing::Builder;
use crate::{DbError, SnapshotFilter};

/// The term of snapshots of disks that were in machines of Lighthouse.
const OF_LIGHTHOUSE: &str = "lighthouse";

/// What the index knows of a snapshot; nothing while its owner does not see it.
pub(crate) async fn entry(connection: &mut Connection, id: &str) -> Result<Option<Entry>, DbError> {
    Ok(entries(connection, &Which::Id(id)).await?.pop())
}

/// The same without its tags.
pub(crate) async fn untagged(connection: &mut Connection, id: &str) -> Result<Option<Entry>, DbError> {
    Ok(read(connection, &Which::Id(id), &TagsOf::default()).await?.pop())
}

/// Brings the index up to date with a snapshot whose row was changed, given what it was without its tags.
pub(crate) async fn changed(
    connection: &mut Connection,
    mut before: Option<Entry>,
    id: &str,
) -> Result<(), DbError> {
    let mut after = untagged(connection, id).await?;
    let stays = match (&before, &after) {
        (Some(before), Some(after)) => before.stands_as(after, &ListOrder::SNAPSHOTS),
        (None, None) => return Ok(()),
        (None, Some(_)) | (Some(_), None) => false,
    };
    if !stays {
        // Tags come and go with the place. Otherwise they are where they were.
        let tags = TagsOf::read(connection, "snapshot_id", "snapshots", &Which::AnyId(id)).await?;
        for entry in before.iter_mut().chain(after.iter_mut()) {
            tags.add_to(id, &mut entry.terms);
        }
    }
    list_index::change(connection, &ListOrder::SNAPSHOTS, before.as_ref(), after.as_ref()).await
}

/// What the index is told of some snapshots, in their order.
pub(crate) async fn entries(connection: &mut Connection, which: &Which<'_>) -> Result<Vec<Entry>, DbError> {
    let tags = TagsOf::read(connection, "snapshot_id", "snapshots", which).await?;
    read(connection, which, &tags).await
}

async fn read(connection: &mut Connection, which: &Which<'_>, tags: &TagsOf) -> Result<Vec<Entry>, DbError> {
    let mut sql = Builder::new(
        "SELECT r.snapshot_id, r.sequence, r.uin, r.region, r.zone, r.project_id, r.name, r.state, r.disk_usage,
            r.disk_id, CASE WHEN r.encrypt_type IS NULL THEN FALSE ELSE TRUE END AS is_encrypted, r.created_ms,
            r.created_place, r.lighthouse_instance_id
         FROM snapshots r",
    );
    which.push(&mut sql, "snapshot_id");
    let rows = sql.build().fetch_all(connection).await?;
    rows.iter().map(|row| entry_of(row, tags)).collect()
}

fn entry_of(row: &Row, tags: &TagsOf) -> Result<Entry, DbError> {
    let columns = Columns(row);
    let mut terms = BTreeSet::new();
    for column in ["name", "state", "disk_usage", "disk_id", "zone"] {
        terms.insert(term(column, &columns.text(column)?));
    }
    terms.insert(term("project_id", &columns.signed("project_id")?.to_string()));
    terms.insert(flag("encrypt", columns.flag("is_encrypted")?));
    if let Some(instance) = columns.text_if_any("lighthouse_instance_id")? {
        terms.insert(OF_LIGHTHOUSE.to_owned());
        terms.insert(term("lighthouse_instance_id", &instance));
    }
    tags.add_to(&columns.text("snapshot_id")?, &mut terms);
    Ok(Entry {
        owner: Owner { account: AccountUin(columns.number("uin")?), region: columns.word("region")? },
        created_ms: columns.signed("created_ms")?,
        deadline_ms: None,
        sequence: columns.signed("sequence")?,
        created_place: columns.signed_if_any("created_place")?,
        deadline_place: None,
        terms,
    })
}

/// A condition of a list on the account's own snapshots as one on terms; none if all of them meet it.
pub(crate) async fn condition(
    connection: &mut Connection,
    order: ListOrder,
    owner: &Owner,
    filter: &SnapshotFilter,
) -> Result<Option<Condition>, DbError> {
    Ok(Some(Condition::AnyOf(match filter {
        SnapshotFilter::Id(ids) => {
            return with_ids(connection, order, owner, "snapshot_id", ids).await.map(Some);
        }
        SnapshotFilter::Type(values) if values.contains(&SnapshotType::Private) => return Ok(None),
        SnapshotFilter::Type(_) => Vec::new(),
        SnapshotFilter::Name(values) => terms("name", values),
        SnapshotFilter::State(values) => terms("state", values),
        SnapshotFilter::Usage(values) => terms("disk_usage", values),
        SnapshotFilter::Project(values) => {
            values.iter().map(|value| term("project_id", &signed(value.0).to_string())).collect()
        }
        SnapshotFilter::Disk(values) => terms("disk_id", values),
        SnapshotFilter::Zone(values) => terms("zone", values),
        SnapshotFilter::Encrypt(values) => values.iter().map(|value| flag("encrypt", *value)).collect(),
        SnapshotFilter::Lighthouse => vec![OF_LIGHTHOUSE.to_owned()],
        SnapshotFilter::LighthouseInstance(values) => terms("lighthouse_instance_id", values),
        SnapshotFilter::TagKey(values) => terms("tag_key", values),
        SnapshotFilter::TagValue(values) => terms("tag_value", values),
        SnapshotFilter::Tag { key, values } => values.iter().map(|value| tag_term(key, value)).collect(),
    })))
}
