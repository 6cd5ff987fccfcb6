//! Limits that differ from the configuration's for one account.

use std::collections::BTreeMap;

use ashlar_types::AccountUin;

use crate::DbError;
use crate::column::{Columns, signed};
use crate::connect::Connection;

/// Queries on the limits of single accounts.
#[derive(Debug)]
pub struct LimitOverrides<'t>(pub(crate) &'t mut Connection);

impl LimitOverrides<'_> {
    /// All of them, by account and name.
    pub async fn all(&mut self) -> Result<BTreeMap<AccountUin, BTreeMap<String, u64>>, DbError> {
        let rows =
            sqlx::query("SELECT uin, name, value FROM limit_overrides").fetch_all(&mut *self.0).await?;
        let mut found: BTreeMap<AccountUin, BTreeMap<String, u64>> = BTreeMap::new();
        for row in &rows {
            let columns = Columns(row);
            let account = AccountUin(columns.number("uin")?);
            found.entry(account).or_default().insert(columns.text("name")?, columns.number("value")?);
        }
        Ok(found)
    }

    /// Sets a limit of an account; none gives it the configuration's again.
    pub async fn set(&mut self, account: AccountUin, name: &str, value: Option<u64>) -> Result<(), DbError> {
        sqlx::query("DELETE FROM limit_overrides WHERE uin = $1 AND name = $2")
            .bind(signed(account.0))
            .bind(name)
            .execute(&mut *self.0)
            .await?;
        if let Some(value) = value {
            sqlx::query("INSERT INTO limit_overrides (uin, name, value) VALUES ($1, $2, $3)")
                .bind(signed(account.0))
                .bind(name)
                .bind(signed(value))
                .execute(&mut *self.0)
                .await?;
        }
        Ok(())
    }
}
