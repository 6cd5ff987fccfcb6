//! What snapshots are listed by for their owners, and what the index of lists is told of them.

use std::collections::{BTreeSet, HashMap};

use ashlar_types::SnapshotType;

use crate::column::{Columns, signed};
use crate::connect::Connection;
use crate::list_index::{Condition, ListOrder, Noun, Owner, Which, flag, tag_term, term, terms, with_ids};
use crate::{DbError, SnapshotFilter};

/// The term of snapshots of disks that were in machines of Lighthouse.
const OF_LIGHTHOUSE: &str = "lighthouse";

/// Snapshots, as their owners list them.
pub(crate) struct ListedSnapshots;

impl Noun for ListedSnapshots {
    const TABLE: &'static str = "snapshots";
    const ID: &'static str = "snapshot_id";
    const ORDERS: &'static [ListOrder] = &ListOrder::SNAPSHOTS;
    const SELECT: &'static str =
        "SELECT r.snapshot_id, r.sequence, r.uin, r.region, r.zone, r.project_id, r.name, r.state, r.disk_usage,
            r.disk_id, CASE WHEN r.encrypt_type IS NULL THEN FALSE ELSE TRUE END AS is_encrypted, r.created_ms,
            r.created_place, r.lighthouse_instance_id
         FROM snapshots r";

    fn terms(columns: &Columns<'_>) -> Result<BTreeSet<String>, DbError> {
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
        Ok(terms)
    }

    /// Nowhere.
    async fn terms_elsewhere(
        _: &mut Connection,
        _: &Which<'_>,
    ) -> Result<HashMap<String, Vec<String>>, DbError> {
        Ok(HashMap::new())
    }

    /// They are not listed by it.
    fn deadline(_: &Columns<'_>) -> Result<(Option<i64>, Option<i64>), DbError> {
        Ok((None, None))
    }
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
