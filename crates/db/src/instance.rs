//! Machines that disks can be attached to.

use std::net::IpAddr;

use ashlar_types::{AccountUin, InstanceId, InstanceProduct, Region, UnixMillis, Zone};
use sqlx::Row as _;

use crate::DbError;
use crate::column::{Columns, signed, text_if_any};
use crate::connect::{Connection, Row, next_sequence};
use crate::listing::{Builder, push_in, push_page};
use crate::{Listed, Page};

/// A machine that an operator registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// Whose it is.
    pub account: AccountUin,
    /// Where it stands: only disks of the same zone can be attached.
    pub zone: Zone,
    /// The product that it belongs to.
    pub product: InstanceProduct,
    /// What people call it.
    pub name: String,
    /// Its address, when it is known.
    pub ip_address: Option<IpAddr>,
    /// When it was registered.
    pub created: UnixMillis,
}

/// An instance and how many disks it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceListing {
    /// The machine.
    pub instance: Instance,
    /// Disks that are attached, being attached or being detached.
    pub disk_count: u64,
}

/// One condition of a list. The values of one condition are alternatives; conditions join with "and".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstanceFilter {
    /// `instance-id`, and the ids of a call.
    Id(Vec<InstanceId>),
    /// `zone`.
    Zone(Vec<Zone>),
    /// `instance-name`, the whole name.
    Name(Vec<String>),
    /// `private-ip-address`.
    Address(Vec<String>),
    /// `tag-key`: has a tag with one of these keys.
    TagKey(Vec<String>),
    /// `tag-value`: has a tag with one of these values.
    TagValue(Vec<String>),
    /// `tag:KEY`: its tag of this key has one of these values.
    Tag {
        /// The key.
        key: String,
        /// The values.
        values: Vec<String>,
    },
    /// No instance at all: a condition that no instance here meets.
    Nothing,
    /// Any: a condition that all here meet.
    Everything,
}

/// Which instances a call wants to see, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceQuery {
    /// Whose instances.
    pub account: AccountUin,
    /// In which region.
    pub region: Region,
    /// Of which product.
    pub product: InstanceProduct,
    /// All of these must hold.
    pub filters: Vec<InstanceFilter>,
    /// Which part.
    pub page: Page,
}

/// Queries on instances.
#[derive(Debug)]
pub struct Instances<'t>(pub(crate) &'t mut Connection);

const SELECT: &str =
    "SELECT i.*, (SELECT COUNT(*) FROM attachments a WHERE a.instance_id = i.instance_id) AS disk_count
    FROM instances i ";

impl Instances<'_> {
    /// Adds an instance. `Conflict` if the id is taken.
    pub async fn insert(&mut self, instance: &Instance) -> Result<(), DbError> {
        let sequence = next_sequence(self.0).await?;
        sqlx::query(
            "INSERT INTO instances (instance_id, sequence, uin, zone, name, ip_address, created_ms, product)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(instance.id.to_string())
        .bind(sequence)
        .bind(signed(instance.account.0))
        .bind(instance.zone.as_str())
        .bind(&instance.name)
        .bind(text_if_any(instance.ip_address.as_ref()))
        .bind(instance.created.0)
        .bind(instance.product.as_str())
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    /// The instance with this id, if it is the account's.
    pub async fn find(
        &mut self,
        account: AccountUin,
        id: InstanceId,
    ) -> Result<Option<InstanceListing>, DbError> {
        let sql = sql_of(SELECT, "WHERE i.instance_id = $1 AND i.uin = $2");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(id.to_string())
            .bind(signed(account.0))
            .fetch_optional(&mut *self.0)
            .await?;
        row.as_ref().map(listing_of).transpose()
    }

    /// The instance with this id, whoever has it.
    pub async fn find_any(&mut self, id: InstanceId) -> Result<Option<Instance>, DbError> {
        let sql = sql_of(SELECT, "WHERE i.instance_id = $1");
        let row =
            sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id.to_string()).fetch_optional(&mut *self.0).await?;
        Ok(row.as_ref().map(listing_of).transpose()?.map(|listing| listing.instance))
    }

    /// All instances of an account, newest first.
    pub async fn list(&mut self, account: AccountUin) -> Result<Vec<InstanceListing>, DbError> {
        let sql = sql_of(SELECT, "WHERE i.uin = $1 ORDER BY i.created_ms DESC, i.sequence DESC");
        let rows =
            sqlx::query(sqlx::AssertSqlSafe(sql)).bind(signed(account.0)).fetch_all(&mut *self.0).await?;
        rows.iter().map(listing_of).collect()
    }

    /// The page of instances that a query asks for.
    pub async fn page(&mut self, query: &InstanceQuery) -> Result<Listed<InstanceListing>, DbError> {
        let mut count = Builder::new("SELECT COUNT(*) FROM instances i JOIN zones z ON z.zone = i.zone");
        push_where(&mut count, query);
        let total: i64 = count.build().fetch_one(&mut *self.0).await?.try_get(0)?;
        let mut list = Builder::new(SELECT);
        list.push("JOIN zones z ON z.zone = i.zone");
        push_where(&mut list, query);
        list.push(" ORDER BY i.created_ms DESC, i.sequence DESC");
        push_page(&mut list, query.page);
        let rows = list.build().fetch_all(&mut *self.0).await?;
        let items = rows.iter().map(listing_of).collect::<Result<_, _>>()?;
        Ok(Listed { total_count: u64::try_from(total).unwrap_or(0), items })
    }

    /// Removes an instance. `Conflict` while a disk names it, `NotFound`.
    pub async fn delete(&mut self, account: AccountUin, id: InstanceId) -> Result<(), DbError> {
        let done = sqlx::query("DELETE FROM instances WHERE instance_id = $1 AND uin = $2")
            .bind(id.to_string())
            .bind(signed(account.0))
            .execute(&mut *self.0)
            .await?;
        crate::one_row(done.rows_affected(), "instance", &id)
    }
}

fn push_where(builder: &mut Builder, query: &InstanceQuery) {
    builder.push(" WHERE i.uin = ").push_bind(signed(query.account.0));
    builder.push(" AND z.region = ").push_bind(query.region.to_string());
    builder.push(" AND i.product = ").push_bind(query.product.to_string());
    for filter in &query.filters {
        match filter {
            InstanceFilter::Id(values) => push_in(builder, "i.instance_id", values, ToString::to_string),
            InstanceFilter::Zone(values) => push_in(builder, "i.zone", values, ToString::to_string),
            InstanceFilter::Name(values) => push_in(builder, "i.name", values, Clone::clone),
            InstanceFilter::Address(values) => push_in(builder, "i.ip_address", values, Clone::clone),
            InstanceFilter::TagKey(values) => push_tag(builder, None, "t.tag_key", values),
            InstanceFilter::TagValue(values) => push_tag(builder, None, "t.tag_value", values),
            InstanceFilter::Tag { key, values } => push_tag(builder, Some(key), "t.tag_value", values),
            InstanceFilter::Everything => {}
            InstanceFilter::Nothing => {
                builder.push(" AND 1 = 0");
            }
        }
    }
}

fn push_tag(builder: &mut Builder, key: Option<&String>, column: &str, values: &[String]) {
    builder.push(" AND i.instance_id IN (SELECT t.resource_id FROM tags t WHERE 1 = 1");
    if let Some(key) = key {
        builder.push(" AND t.tag_key = ").push_bind(key.clone());
    }
    push_in(builder, column, values, Clone::clone);
    builder.push(")");
}

fn sql_of(select: &'static str, rest: &'static str) -> String {
    [select, rest].concat()
}

fn listing_of(row: &Row) -> Result<InstanceListing, DbError> {
    let columns = Columns(row);
    Ok(InstanceListing {
        instance: Instance {
            id: columns.word("instance_id")?,
            account: AccountUin(columns.number("uin")?),
            zone: columns.word("zone")?,
            product: columns.word("product")?,
            name: columns.text("name")?,
            ip_address: columns.word_if_any("ip_address")?,
            created: columns.time("created_ms")?,
        },
        disk_count: columns.number("disk_count")?,
    })
}
