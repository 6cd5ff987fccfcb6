//! Accounts, the keys that speak for them, and their projects.

use ashlar_types::{AccountUin, AppId, ProjectId, SecretId, UnixMillis};

use crate::DbError;
use crate::column::{Columns, signed};
use crate::connect::Connection;

/// An owner of resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The account's number.
    pub uin: AccountUin,
    /// The account's second number.
    pub app_id: AppId,
    /// When it was made.
    pub created: UnixMillis,
}

/// A key that signs requests.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// The public half.
    pub secret_id: SecretId,
    /// The secret half.
    pub secret_key: String,
    /// Whose key it is.
    pub account: AccountUin,
    /// The account's second number.
    pub app_id: AppId,
    /// Whether it may be used.
    pub enabled: bool,
}

impl std::fmt::Debug for ApiKey {
    /// Without the secret: this may reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiKey")
            .field("secret_id", &self.secret_id)
            .field("account", &self.account)
            .field("enabled", &self.enabled)
            .finish_non_exhaustive()
    }
}

/// Queries on accounts.
#[derive(Debug)]
pub struct Accounts<'t>(pub(crate) &'t mut Connection);

impl Accounts<'_> {
    /// All accounts, by number.
    pub async fn list(&mut self) -> Result<Vec<Account>, DbError> {
        let rows = sqlx::query("SELECT uin, app_id, created_ms FROM accounts ORDER BY uin")
            .fetch_all(&mut *self.0)
            .await?;
        rows.iter()
            .map(|row| {
                let columns = Columns(row);
                Ok(Account {
                    uin: AccountUin(columns.number("uin")?),
                    app_id: AppId(columns.number("app_id")?),
                    created: columns.time("created_ms")?,
                })
            })
            .collect()
    }

    /// Whether there is an account of this number.
    pub async fn exists(&mut self, uin: AccountUin) -> Result<bool, DbError> {
        let row = sqlx::query("SELECT 1 FROM accounts WHERE uin = $1")
            .bind(signed(uin.0))
            .fetch_optional(&mut *self.0)
            .await?;
        Ok(row.is_some())
    }

    /// Adds an account. `Conflict` if a number is taken.
    pub async fn insert(&mut self, account: &Account) -> Result<(), DbError> {
        sqlx::query("INSERT INTO accounts (uin, app_id, created_ms) VALUES ($1, $2, $3)")
            .bind(signed(account.uin.0))
            .bind(signed(account.app_id.0))
            .bind(account.created.0)
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// Adds a key. `Conflict` if its id is taken or the account is missing.
    pub async fn insert_key(&mut self, key: &ApiKey, created: UnixMillis) -> Result<(), DbError> {
        sqlx::query(
            "INSERT INTO api_keys (secret_id, secret_key, uin, enabled, created_ms) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(key.secret_id.as_str())
        .bind(&key.secret_key)
        .bind(signed(key.account.0))
        .bind(key.enabled)
        .bind(created.0)
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    /// The key with this id, enabled or not.
    pub async fn key(&mut self, secret_id: &SecretId) -> Result<Option<ApiKey>, DbError> {
        let sql = "SELECT k.secret_id, k.secret_key, k.uin, k.enabled, a.app_id
             FROM api_keys k JOIN accounts a ON a.uin = k.uin WHERE k.secret_id = $1";
        let row = sqlx::query(sql).bind(secret_id.as_str()).fetch_optional(&mut *self.0).await?;
        row.as_ref().map(|row| key_of(&Columns(row))).transpose()
    }

    /// All keys of an account, oldest first.
    pub async fn keys(&mut self, account: AccountUin) -> Result<Vec<ApiKey>, DbError> {
        let sql = "SELECT k.secret_id, k.secret_key, k.uin, k.enabled, a.app_id
             FROM api_keys k JOIN accounts a ON a.uin = k.uin WHERE k.uin = $1
             ORDER BY k.created_ms, k.secret_id";
        let rows = sqlx::query(sql).bind(signed(account.0)).fetch_all(&mut *self.0).await?;
        rows.iter().map(|row| key_of(&Columns(row))).collect()
    }

    /// Adds a project. `Conflict` if the account has one of this number.
    pub async fn insert_project(
        &mut self,
        account: AccountUin,
        project: ProjectId,
        name: &str,
    ) -> Result<(), DbError> {
        sqlx::query("INSERT INTO projects (uin, project_id, name) VALUES ($1, $2, $3)")
            .bind(signed(account.0))
            .bind(signed(project.0))
            .bind(name)
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// Whether the account has the project.
    pub async fn has_project(&mut self, account: AccountUin, project: ProjectId) -> Result<bool, DbError> {
        let row = sqlx::query("SELECT 1 FROM projects WHERE uin = $1 AND project_id = $2")
            .bind(signed(account.0))
            .bind(signed(project.0))
            .fetch_optional(&mut *self.0)
            .await?;
        Ok(row.is_some())
    }
}

fn key_of(columns: &Columns<'_>) -> Result<ApiKey, DbError> {
    Ok(ApiKey {
        secret_id: columns.word("secret_id")?,
        secret_key: columns.text("secret_key")?,
        account: AccountUin(columns.number("uin")?),
        app_id: AppId(columns.number("app_id")?),
        enabled: columns.flag("enabled")?,
    })
}
