//! Machines that disks can be attached to.

use std::net::IpAddr;

use ashlar_types::{AccountUin, InstanceId, UnixMillis, Zone};

use crate::DbError;
use crate::column::{Columns, signed, text_if_any};
use crate::connect::{Connection, Row, next_sequence};

/// A machine that an operator registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// Whose it is.
    pub account: AccountUin,
    /// Where it stands: only disks of the same zone can be attached.
    pub zone: Zone,
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

/// Queries on instances.
#[derive(Debug)]
pub struct Instances<'t>(pub(crate) &'t mut Connection);

const SELECT: &str =
    "SELECT i.*, (SELECT COUNT(*) FROM disks d WHERE d.instance_id = i.instance_id) AS disk_count
    FROM instances i ";

impl Instances<'_> {
    /// Adds an instance. `Conflict` if the id is taken.
    pub async fn insert(&mut self, instance: &Instance) -> Result<(), DbError> {
        let sequence = next_sequence(self.0).await?;
        sqlx::query(
            "INSERT INTO instances (instance_id, sequence, uin, zone, name, ip_address, created_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(instance.id.to_string())
        .bind(sequence)
        .bind(signed(instance.account.0))
        .bind(instance.zone.as_str())
        .bind(&instance.name)
        .bind(text_if_any(instance.ip_address.as_ref()))
        .bind(instance.created.0)
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

    /// All instances of an account, newest first.
    pub async fn list(&mut self, account: AccountUin) -> Result<Vec<InstanceListing>, DbError> {
        let sql = sql_of(SELECT, "WHERE i.uin = $1 ORDER BY i.created_ms DESC, i.sequence DESC");
        let rows =
            sqlx::query(sqlx::AssertSqlSafe(sql)).bind(signed(account.0)).fetch_all(&mut *self.0).await?;
        rows.iter().map(listing_of).collect()
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
            name: columns.text("name")?,
            ip_address: columns.word_if_any("ip_address")?,
            created: columns.time("created_ms")?,
        },
        disk_count: columns.number("disk_count")?,
    })
}
