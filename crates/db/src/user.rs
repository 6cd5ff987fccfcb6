//! Users of accounts, roles, and the policies that say what they may do.

use ashlar_types::{AccountUin, RoleId, UnixMillis, UserUin};

use crate::DbError;
use crate::column::{Columns, signed};
use crate::connect::Connection;

/// A user of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The user's number.
    pub uin: UserUin,
    /// The account.
    pub account: AccountUin,
    /// The name, unique in the account.
    pub name: String,
    /// When it was made.
    pub created: UnixMillis,
}

/// What somebody may be for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// The role's number.
    pub id: RoleId,
    /// The account.
    pub account: AccountUin,
    /// The name, unique in the account.
    pub name: String,
    /// Who may assume it: a document.
    pub trust: String,
    /// How long a session may last, in seconds.
    pub session_seconds_max: u64,
    /// When it was made.
    pub created: UnixMillis,
}

/// An account, a user or a role, as what policies and devices are bound to. The numbers never meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Holder(pub u64);

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl From<AccountUin> for Holder {
    fn from(account: AccountUin) -> Self {
        Self(account.0)
    }
}

impl From<UserUin> for Holder {
    fn from(user: UserUin) -> Self {
        Self(user.0)
    }
}

impl From<RoleId> for Holder {
    fn from(role: RoleId) -> Self {
        Self(role.0)
    }
}

/// A policy that is attached to a user or a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachedPolicy {
    /// Whom it is attached to.
    pub holder: Holder,
    /// The account.
    pub account: AccountUin,
    /// The name, unique for the holder.
    pub name: String,
    /// What it says.
    pub document: String,
    /// When it was attached.
    pub created: UnixMillis,
}

/// Queries on users, roles and policies.
#[derive(Debug)]
pub struct Users<'t>(pub(crate) &'t mut Connection);

impl Users<'_> {
    /// Adds a user. `Conflict` if the account has one of this name.
    pub async fn insert(&mut self, user: &User) -> Result<(), DbError> {
        sqlx::query("INSERT INTO users (user_uin, uin, name, created_ms) VALUES ($1, $2, $3, $4)")
            .bind(signed(user.uin.0))
            .bind(signed(user.account.0))
            .bind(&user.name)
            .bind(user.created.0)
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// The account's user of this name.
    pub async fn find(&mut self, account: AccountUin, name: &str) -> Result<Option<User>, DbError> {
        let row = sqlx::query("SELECT * FROM users WHERE uin = $1 AND name = $2")
            .bind(signed(account.0))
            .bind(name)
            .fetch_optional(&mut *self.0)
            .await?;
        row.as_ref().map(|row| user_of(&Columns(row))).transpose()
    }

    /// The user of this number.
    pub async fn find_number(&mut self, user: UserUin) -> Result<Option<User>, DbError> {
        let row = sqlx::query("SELECT * FROM users WHERE user_uin = $1")
            .bind(signed(user.0))
            .fetch_optional(&mut *self.0)
            .await?;
        row.as_ref().map(|row| user_of(&Columns(row))).transpose()
    }

    /// All users of an account, by name.
    pub async fn list(&mut self, account: AccountUin) -> Result<Vec<User>, DbError> {
        let rows = sqlx::query("SELECT * FROM users WHERE uin = $1 ORDER BY name")
            .bind(signed(account.0))
            .fetch_all(&mut *self.0)
            .await?;
        rows.iter().map(|row| user_of(&Columns(row))).collect()
    }

    /// Removes a user with keys, policies, device and whatever acts in the user's name.
    pub async fn delete(&mut self, user: UserUin) -> Result<(), DbError> {
        let number = signed(user.0);
        for sql in [
            "DELETE FROM api_keys WHERE user_uin = $1",
            "DELETE FROM policies WHERE holder = $1",
            "DELETE FROM mfa_devices WHERE holder = $1",
            "DELETE FROM temporary_keys WHERE holder = $1",
            "DELETE FROM temporary_keys WHERE asked_by = $1",
            "DELETE FROM users WHERE user_uin = $1",
        ] {
            sqlx::query(sql).bind(number).execute(&mut *self.0).await?;
        }
        Ok(())
    }

    /// Adds a role. `Conflict` if the account has one of this name.
    pub async fn insert_role(&mut self, role: &Role) -> Result<(), DbError> {
        sqlx::query(
            "INSERT INTO roles (role_id, uin, name, trust, session_seconds_max, created_ms)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(signed(role.id.0))
        .bind(signed(role.account.0))
        .bind(&role.name)
        .bind(&role.trust)
        .bind(signed(role.session_seconds_max))
        .bind(role.created.0)
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    /// The account's role of this name.
    pub async fn find_role(&mut self, account: AccountUin, name: &str) -> Result<Option<Role>, DbError> {
        let row = sqlx::query("SELECT * FROM roles WHERE uin = $1 AND name = $2")
            .bind(signed(account.0))
            .bind(name)
            .fetch_optional(&mut *self.0)
            .await?;
        row.as_ref().map(|row| role_of(&Columns(row))).transpose()
    }

    /// The account's role of this number.
    pub async fn find_role_number(
        &mut self,
        account: AccountUin,
        role: RoleId,
    ) -> Result<Option<Role>, DbError> {
        let row = sqlx::query("SELECT * FROM roles WHERE uin = $1 AND role_id = $2")
            .bind(signed(account.0))
            .bind(signed(role.0))
            .fetch_optional(&mut *self.0)
            .await?;
        row.as_ref().map(|row| role_of(&Columns(row))).transpose()
    }

    /// All roles of an account, by name.
    pub async fn roles(&mut self, account: AccountUin) -> Result<Vec<Role>, DbError> {
        let rows = sqlx::query("SELECT * FROM roles WHERE uin = $1 ORDER BY name")
            .bind(signed(account.0))
            .fetch_all(&mut *self.0)
            .await?;
        rows.iter().map(|row| role_of(&Columns(row))).collect()
    }

    /// The greatest number that a role has.
    pub async fn last_role(&mut self) -> Result<Option<RoleId>, DbError> {
        let row = sqlx::query("SELECT MAX(role_id) AS last FROM roles").fetch_one(&mut *self.0).await?;
        Ok(Columns(&row).number_if_any("last")?.map(RoleId))
    }

    /// Removes a role with its policies and sessions.
    pub async fn delete_role(&mut self, role: RoleId) -> Result<(), DbError> {
        for sql in [
            "DELETE FROM policies WHERE holder = $1",
            "DELETE FROM temporary_keys WHERE holder = $1",
            "DELETE FROM roles WHERE role_id = $1",
        ] {
            sqlx::query(sql).bind(signed(role.0)).execute(&mut *self.0).await?;
        }
        Ok(())
    }

    /// Attaches a policy. `Conflict` if the holder has one of this name.
    pub async fn insert_policy(&mut self, policy: &AttachedPolicy) -> Result<(), DbError> {
        sqlx::query(
            "INSERT INTO policies (holder, name, uin, document, created_ms) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(signed(policy.holder.0))
        .bind(&policy.name)
        .bind(signed(policy.account.0))
        .bind(&policy.document)
        .bind(policy.created.0)
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    /// The policies of a holder, by name.
    pub async fn policies(&mut self, holder: Holder) -> Result<Vec<AttachedPolicy>, DbError> {
        let rows = sqlx::query("SELECT * FROM policies WHERE holder = $1 ORDER BY name")
            .bind(signed(holder.0))
            .fetch_all(&mut *self.0)
            .await?;
        let policy = |row| {
            let columns = Columns(row);
            Ok(AttachedPolicy {
                holder: Holder(columns.number("holder")?),
                account: AccountUin(columns.number("uin")?),
                name: columns.text("name")?,
                document: columns.text("document")?,
                created: columns.time("created_ms")?,
            })
        };
        rows.iter().map(policy).collect()
    }

    /// Detaches a policy. `NotFound`.
    pub async fn delete_policy(&mut self, holder: Holder, name: &str) -> Result<(), DbError> {
        let done = sqlx::query("DELETE FROM policies WHERE holder = $1 AND name = $2")
            .bind(signed(holder.0))
            .bind(name)
            .execute(&mut *self.0)
            .await?;
        crate::one_row(done.rows_affected(), "policy", &name)
    }
}

fn user_of(columns: &Columns<'_>) -> Result<User, DbError> {
    Ok(User {
        uin: UserUin(columns.number("user_uin")?),
        account: AccountUin(columns.number("uin")?),
        name: columns.text("name")?,
        created: columns.time("created_ms")?,
    })
}

fn role_of(columns: &Columns<'_>) -> Result<Role, DbError> {
    Ok(Role {
        id: RoleId(columns.number("role_id")?),
        account: AccountUin(columns.number("uin")?),
        name: columns.text("name")?,
        trust: columns.text("trust")?,
        session_seconds_max: columns.number("session_seconds_max")?,
        created: columns.time("created_ms")?,
    })
}
