//! What disks are listed by, and what the index of lists is told of them.

use std::collections::{BTreeSet, HashMap};

use ashlar_types::AccountUin;

use crate::DbError;
use crate::column::{Columns, signed};
use crate::connect::{Connection, Row};
use crate::disk::DiskFilter;
use crate::list_index::{
    self, Condition, Entry, ListOrder, Owner, TagsOf, Which, flag, tag_term, term, terms, with_ids,
};
use crate::listing::Builder;

/// The term of disks with a deadline.
pub(crate) const HAS_DEADLINE: &str = "deadline";

/// What the index knows of a disk; nothing while its owner does not see it.
pub(crate) async fn entry(connection: &mut Connection, id: &str) -> Result<Option<Entry>, DbError> {
    Ok(entries(connection, &Which::Id(id)).await?.pop())
}

/// The same without its tags.
pub(crate) async fn untagged(connection: &mut Connection, id: &str) -> Result<Option<Entry>, DbError> {
    Ok(read(connection, &Which::Id(id), &TagsOf::default()).await?.pop())
}

/// Brings the index up to date with a disk whose row was changed, given what it was without its tags.
pub(crate) async fn changed(
    connection: &mut Connection,
    mut before: Option<Entry>,
    id: &str,
) -> Result<(), DbError> {
    let mut after = untagged(connection, id).await?;
    let stays = match (&before, &after) {
        (Some(before), Some(after)) => before.stands_as(after, &ListOrder::DISKS),
        (None, None) => return Ok(()),
        (None, Some(_)) | (Some(_), None) => false,
    };
    if !stays {
        // Tags come and go with the place. Otherwise they are where they were.
        let tags = TagsOf::read(connection, "disk_id", "disks", &Which::AnyId(id)).await?;
        for entry in before.iter_mut().chain(after.iter_mut()) {
            tags.add_to(id, &mut entry.terms);
        }
    }
    list_index::change(connection, &ListOrder::DISKS, before.as_ref(), after.as_ref()).await
}

/// What some disks are listed by for the machines they are in, by the ids of the disks.
struct MachinesOf(HashMap<String, Vec<String>>);

impl MachinesOf {
    async fn read(connection: &mut Connection, which: &Which<'_>) -> Result<Self, DbError> {
        let mut sql = Builder::new(
            "SELECT a.disk_id, i.instance_id, i.name AS instance_name, i.ip_address
             FROM attachments a JOIN instances i ON i.instance_id = a.instance_id
             WHERE a.disk_id IN (SELECT r.disk_id FROM disks r",
        );
        which.push(&mut sql, "disk_id");
        sql.push(")");
        let mut machines: HashMap<String, Vec<String>> = HashMap::new();
        for row in sql.build().fetch_all(connection).await? {
            let columns = Columns(&row);
            let terms = machines.entry(columns.text("disk_id")?).or_default();
            for column in ["instance_id", "instance_name", "ip_address"] {
                terms.extend(columns.text_if_any(column)?.map(|value| term(column, &value)));
            }
        }
        Ok(Self(machines))
    }
}

/// What the index is told of some disks, in their order.
pub(crate) async fn entries(connection: &mut Connection, which: &Which<'_>) -> Result<Vec<Entry>, DbError> {
    let tags = TagsOf::read(connection, "disk_id", "disks", which).await?;
    read(connection, which, &tags).await
}

async fn read(connection: &mut Connection, which: &Which<'_>, tags: &TagsOf) -> Result<Vec<Entry>, DbError> {
    let mut machines = MachinesOf::read(connection, which).await?;
    let mut sql = Builder::new(
        "SELECT r.disk_id, r.sequence, r.uin, r.region, r.zone, r.project_id, r.name, r.disk_type, r.disk_usage,
            r.charge_type, r.state, r.portable, r.deadline_ms, r.created_ms, r.created_place, r.deadline_place
         FROM disks r",
    );
    which.push(&mut sql, "disk_id");
    let rows = sql.build().fetch_all(connection).await?;
    rows.iter().map(|row| entry_of(row, tags, &mut machines)).collect()
}

fn entry_of(row: &Row, tags: &TagsOf, machines: &mut MachinesOf) -> Result<Entry, DbError> {
    let columns = Columns(row);
    let deadline_ms = columns.signed_if_any("deadline_ms")?;
    let mut terms = BTreeSet::new();
    for column in ["disk_usage", "charge_type", "name", "disk_type", "state", "zone"] {
        terms.insert(term(column, &columns.text(column)?));
    }
    terms.insert(term("project_id", &columns.signed("project_id")?.to_string()));
    terms.insert(flag("portable", columns.flag("portable")?));
    let id = columns.text("disk_id")?;
    terms.extend(machines.0.remove(&id).unwrap_or_default());
    if deadline_ms.is_some() {
        terms.insert(HAS_DEADLINE.to_owned());
    }
    tags.add_to(&id, &mut terms);
    Ok(Entry {
        owner: Owner { account: AccountUin(columns.number("uin")?), region: columns.word("region")? },
        created_ms: columns.signed("created_ms")?,
        deadline_ms,
        sequence: columns.signed("sequence")?,
        created_place: columns.signed_if_any("created_place")?,
        deadline_place: columns.signed_if_any("deadline_place")?,
        terms,
    })
}

/// A condition of a list as one on terms; ids are looked up where they stand in the order.
pub(crate) async fn condition(
    connection: &mut Connection,
    order: ListOrder,
    owner: &Owner,
    filter: &DiskFilter,
) -> Result<Condition, DbError> {
    Ok(Condition::AnyOf(match filter {
        DiskFilter::Id(ids) => return with_ids(connection, order, owner, "disk_id", ids).await,
        DiskFilter::Usage(values) => terms("disk_usage", values),
        DiskFilter::ChargeType(values) => terms("charge_type", values),
        DiskFilter::Portable(values) => values.iter().map(|value| flag("portable", *value)).collect(),
        DiskFilter::Project(values) => {
            values.iter().map(|value| term("project_id", &signed(value.0).to_string())).collect()
        }
        DiskFilter::Name(values) => terms("name", values),
        DiskFilter::Type(values) => terms("disk_type", values),
        DiskFilter::State(values) => terms("state", values),
        DiskFilter::Instance(values) => terms("instance_id", values),
        DiskFilter::Zone(values) => terms("zone", values),
        DiskFilter::InstanceAddress(values) => terms("ip_address", values),
        DiskFilter::InstanceName(values) => terms("instance_name", values),
        DiskFilter::TagKey(values) => terms("tag_key", values),
        DiskFilter::TagValue(values) => terms("tag_value", values),
        DiskFilter::Tag { key, values } => values.iter().map(|value| tag_term(key, value)).collect(),
        DiskFilter::Nothing => Vec::new(),
    }))
}
