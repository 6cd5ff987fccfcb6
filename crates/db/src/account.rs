//! Accounts, the keys that speak for them, and their projects.

use ashlar_types::{AccountUin, AppId, ProjectId, SecretId, UnixMillis, UserUin};

use crate::column::{Columns, signed};
use crate::connect::Connection;
use crate::listing::{Builder, push_page};
use crate::{DbError, Listed, Page};

/// An owner of resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The account's number.
    pub uin: AccountUin,
    /// The account's second number.
    pub app_id: AppId,
    /// What people call it.
    pub name: String,
    /// Whether its keys may be used.
    pub enabled: bool,
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
    /// The account that it acts for.
    pub account: AccountUin,
    /// The user whose key it is; none for the account's own.
    pub user: Option<UserUin>,
    /// Whether it may be used.
    pub enabled: bool,
    /// When it was made.
    pub created: UnixMillis,
}

impl std::fmt::Debug for ApiKey {
    /// Without the secret: this may reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiKey")
            .field("secret_id", &self.secret_id)
            .field("account", &self.account)
            .field("user", &self.user)
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
        let rows = sqlx::query("SELECT * FROM accounts ORDER BY uin").fetch_all(&mut *self.0).await?;
        rows.iter().map(|row| account_of(&Columns(row))).collect()
    }

    /// The account of this number.
    pub async fn find(&mut self, account: AccountUin) -> Result<Option<Account>, DbError> {
        let row = sqlx::query("SELECT * FROM accounts WHERE uin = $1")
            .bind(signed(account.0))
            .fetch_optional(&mut *self.0)
            .await?;
        row.as_ref().map(|row| account_of(&Columns(row))).transpose()
    }

    /// The greatest number that an account or a user has; 0 where there is none.
    pub async fn last_number(&mut self) -> Result<u64, DbError> {
        let sql = "SELECT MAX(COALESCE((SELECT MAX(uin) FROM accounts), 0),
                              COALESCE((SELECT MAX(user_uin) FROM users), 0)) AS last";
        let row = sqlx::query(sql).fetch_one(&mut *self.0).await?;
        Columns(&row).number("last")
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
        sqlx::query(
            "INSERT INTO accounts (uin, app_id, name, enabled, created_ms) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(signed(account.uin.0))
        .bind(signed(account.app_id.0))
        .bind(&account.name)
        .bind(account.enabled)
        .bind(account.created.0)
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    /// Lets an account's keys be used, or not. `NotFound`.
    pub async fn set_enabled(&mut self, account: AccountUin, enabled: bool) -> Result<(), DbError> {
        let done = sqlx::query("UPDATE accounts SET enabled = $2 WHERE uin = $1")
            .bind(signed(account.0))
            .bind(enabled)
            .execute(&mut *self.0)
            .await?;
        crate::one_row(done.rows_affected(), "account", &account)
    }

    /// Adds a key. `Conflict` if its id is taken or the account or user is missing.
    pub async fn insert_key(&mut self, key: &ApiKey) -> Result<(), DbError> {
        sqlx::query(
            "INSERT INTO api_keys (secret_id, secret_key, uin, user_uin, enabled, created_ms)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(key.secret_id.as_str())
        .bind(&key.secret_key)
        .bind(signed(key.account.0))
        .bind(key.user.map(|user| signed(user.0)))
        .bind(key.enabled)
        .bind(key.created.0)
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    /// The key with this id, enabled or not.
    pub async fn key(&mut self, secret_id: &SecretId) -> Result<Option<ApiKey>, DbError> {
        let row = sqlx::query("SELECT * FROM api_keys WHERE secret_id = $1")
            .bind(secret_id.as_str())
            .fetch_optional(&mut *self.0)
            .await?;
        row.as_ref().map(|row| key_of(&Columns(row))).transpose()
    }

    /// The keys of an account itself, or of one of its users, oldest first.
    pub async fn keys(&mut self, account: AccountUin, user: Option<UserUin>) -> Result<Vec<ApiKey>, DbError> {
        let mut query = Builder::new("SELECT * FROM api_keys WHERE uin = ");
        query.push_bind(signed(account.0));
        match user {
            Some(user) => query.push(" AND user_uin = ").push_bind(signed(user.0)),
            None => query.push(" AND user_uin IS NULL"),
        };
        query.push(" ORDER BY created_ms, secret_id");
        let rows = query.build().fetch_all(&mut *self.0).await?;
        rows.iter().map(|row| key_of(&Columns(row))).collect()
    }

    /// Lets a key be used, or not. `NotFound`.
    pub async fn set_key_enabled(
        &mut self,
        account: AccountUin,
        secret_id: &SecretId,
        enabled: bool,
    ) -> Result<(), DbError> {
        let done = sqlx::query("UPDATE api_keys SET enabled = $3 WHERE uin = $1 AND secret_id = $2")
            .bind(signed(account.0))
            .bind(secret_id.as_str())
            .bind(enabled)
            .execute(&mut *self.0)
            .await?;
        crate::one_row(done.rows_affected(), "key", secret_id)
    }

    /// Removes a key for good. `NotFound`.
    pub async fn delete_key(&mut self, account: AccountUin, secret_id: &SecretId) -> Result<(), DbError> {
        let done = sqlx::query("DELETE FROM api_keys WHERE uin = $1 AND secret_id = $2")
            .bind(signed(account.0))
            .bind(secret_id.as_str())
            .execute(&mut *self.0)
            .await?;
        crate::one_row(done.rows_affected(), "key", secret_id)
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

    /// A page of the account's projects, by number; only those of a number or a name, where one is given.
    pub async fn projects(
        &mut self,
        account: AccountUin,
        project: Option<ProjectId>,
        name: Option<&str>,
        page: Page,
    ) -> Result<Listed<(ProjectId, String)>, DbError> {
        let push_where = |query: &mut Builder| {
            query.push(" FROM projects WHERE uin = ").push_bind(signed(account.0));
            if let Some(project) = project {
                query.push(" AND project_id = ").push_bind(signed(project.0));
            }
            if let Some(name) = name {
                query.push(" AND name = ").push_bind(name.to_owned());
            }
        };
        let mut count = Builder::new("SELECT COUNT(*) AS count");
        push_where(&mut count);
        let total_count = Columns(&count.build().fetch_one(&mut *self.0).await?).number("count")?;
        let mut list = Builder::new("SELECT project_id, name");
        push_where(&mut list);
        list.push(" ORDER BY project_id");
        push_page(&mut list, page);
        let rows = list.build().fetch_all(&mut *self.0).await?;
        let item = |row| {
            let columns = Columns(row);
            Ok((ProjectId(columns.number("project_id")?), columns.text("name")?))
        };
        Ok(Listed { total_count, items: rows.iter().map(item).collect::<Result<_, DbError>>()? })
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

fn account_of(columns: &Columns<'_>) -> Result<Account, DbError> {
    Ok(Account {
        uin: AccountUin(columns.number("uin")?),
        app_id: AppId(columns.number("app_id")?),
        name: columns.text("name")?,
        enabled: columns.flag("enabled")?,
        created: columns.time("created_ms")?,
    })
}

fn key_of(columns: &Columns<'_>) -> Result<ApiKey, DbError> {
    Ok(ApiKey {
        secret_id: columns.word("secret_id")?,
        secret_key: columns.text("secret_key")?,
        account: AccountUin(columns.number("uin")?),
        user: columns.number_if_any("user_uin")?.map(UserUin),
        enabled: columns.flag("enabled")?,
        created: columns.time("created_ms")?,
    })
}
