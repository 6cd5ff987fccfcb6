//! What rows are listed by, in words.

use std::collections::{BTreeSet, HashMap};

use super::{Condition, ListOrder, Owner, Spot, Which};
use crate::DbError;
use crate::column::{Columns, signed};
use crate::connect::Connection;
use crate::listing::{Builder, push_in};

/// Has this for that: `zone=ap-guangzhou-1`.
pub(crate) fn term(what: &str, value: &str) -> String {
    format!("{what}={value}")
}

/// The same of each of some values.
pub(crate) fn terms<T: ToString>(what: &str, values: &[T]) -> Vec<String> {
    values.iter().map(|value| term(what, &value.to_string())).collect()
}

/// Is it so?
pub(crate) fn flag(what: &str, value: bool) -> String {
    term(what, if value { "true" } else { "false" })
}

/// A key can hold any character: its length tells it from the value.
pub(crate) fn tag_term(key: &str, value: &str) -> String {
    format!("tag={}:{key}={value}", key.len())
}

/// Whether it has one of few values.
pub(super) fn is_common(term: &str) -> bool {
    const RARE: [&str; 9] = [
        "name",
        "disk_id",
        "instance_id",
        "lighthouse_instance_id",
        "instance_name",
        "ip_address",
        "tag",
        "tag_key",
        "tag_value",
    ];
    let what = term.split('=').next().unwrap_or(term);
    !RARE.contains(&what)
}

/// The tags of some rows of a table, by the ids of these.
#[derive(Default)]
pub(crate) struct TagsOf(HashMap<String, Vec<(String, String)>>);

impl TagsOf {
    pub(crate) async fn read(
        connection: &mut Connection,
        id_column: &str,
        table: &str,
        which: &Which<'_>,
    ) -> Result<Self, DbError> {
        let mut sql =
            Builder::new("SELECT t.resource_id, t.tag_key, t.tag_value FROM tags t WHERE t.resource_id IN (");
        sql.push("SELECT r.").push(id_column).push(" FROM ").push(table).push(" r");
        which.push(&mut sql, id_column);
        sql.push(")");
        let mut tags: HashMap<String, Vec<(String, String)>> = HashMap::new();
        for row in sql.build().fetch_all(connection).await? {
            let columns = Columns(&row);
            let tag = (columns.text("tag_key")?, columns.text("tag_value")?);
            tags.entry(columns.text("resource_id")?).or_default().push(tag);
        }
        Ok(Self(tags))
    }

    /// Adds what a row is listed by for its tags.
    pub(crate) fn add_to(&self, id: &str, terms: &mut BTreeSet<String>) {
        for (key, value) in self.0.get(id).into_iter().flatten() {
            terms.insert(term("tag_key", key));
            terms.insert(term("tag_value", value));
            terms.insert(tag_term(key, value));
        }
    }
}

/// The rows with these ids, where they stand in an order.
pub(crate) async fn with_ids<T: ToString>(
    connection: &mut Connection,
    order: ListOrder,
    owner: &Owner,
    id_column: &str,
    ids: &[T],
) -> Result<Condition, DbError> {
    let place = order.place();
    let mut sql = Builder::new("SELECT r.");
    sql.push(place).push(" AS place FROM ").push(order.table()).push(" r WHERE r.").push(place);
    sql.push(" IS NOT NULL AND r.uin = ").push_bind(signed(owner.account.0));
    sql.push(" AND r.region = ").push_bind(owner.region.to_string());
    push_in(&mut sql, &format!("r.{id_column}"), ids, ToString::to_string);
    let rows = sql.build().fetch_all(connection).await?;
    let spots: Result<Vec<Spot>, DbError> =
        rows.iter().map(|row| Ok(Spot::of(Columns(row).signed("place")?))).collect();
    Ok(Condition::In(spots?))
}
