//! What disks are listed by, and what the index of lists is told of them.

use std::collections::{BTreeSet, HashMap};

use crate::DbError;
use crate::column::{Columns, signed};
use crate::connect::Connection;
use crate::disk::DiskFilter;
use crate::list_index::{Condition, ListOrder, Noun, Owner, Which, flag, tag_term, term, terms, with_ids};
use crate::listing::Builder;

/// The term of disks with a deadline.
pub(crate) const HAS_DEADLINE: &str = "deadline";

/// Disks, as they are listed.
pub(crate) struct ListedDisks;

impl Noun for ListedDisks {
    const TABLE: &'static str = "disks";
    const ID: &'static str = "disk_id";
    const ORDERS: &'static [ListOrder] = &ListOrder::DISKS;
    const SELECT: &'static str =
        "SELECT r.disk_id, r.sequence, r.uin, r.region, r.zone, r.project_id, r.name, r.disk_type, r.disk_usage,
            r.charge_type, r.state, r.portable, r.deadline_ms, r.created_ms, r.created_place, r.deadline_place
         FROM disks r";

    fn terms(columns: &Columns<'_>) -> Result<BTreeSet<String>, DbError> {
        let mut terms = BTreeSet::new();
        for column in ["disk_usage", "charge_type", "name", "disk_type", "state", "zone"] {
            terms.insert(term(column, &columns.text(column)?));
        }
        terms.insert(term("project_id", &columns.signed("project_id")?.to_string()));
        terms.insert(flag("portable", columns.flag("portable")?));
        if columns.signed_if_any("deadline_ms")?.is_some() {
            terms.insert(HAS_DEADLINE.to_owned());
        }
        Ok(terms)
    }

    /// The machines that they are in.
    async fn terms_elsewhere(
        connection: &mut Connection,
        which: &Which<'_>,
    ) -> Result<HashMap<String, Vec<String>>, DbError> {
        let mut sql = Builder::new(
            "SELECT a.disk_id, i.instance_id, i.name AS instance_name, i.ip_address
             FROM attachments a JOIN instances i ON i.instance_id = a.instance_id
             WHERE a.disk_id IN (SELECT r.disk_id FROM disks r",
        );
        which.push(&mut sql, Self::ID);
        sql.push(")");
        let mut machines: HashMap<String, Vec<String>> = HashMap::new();
        for row in sql.build().fetch_all(connection).await? {
            let columns = Columns(&row);
            let terms = machines.entry(columns.text("disk_id")?).or_default();
            for column in ["instance_id", "instance_name", "ip_address"] {
                terms.extend(columns.text_if_any(column)?.map(|value| term(column, &value)));
            }
        }
        Ok(machines)
    }

    fn deadline(columns: &Columns<'_>) -> Result<(Option<i64>, Option<i64>), DbError> {
        Ok((columns.signed_if_any("deadline_ms")?, columns.signed_if_any("deadline_place")?))
    }
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
