//! What a call is checked against beside keys and policies: temporary keys, networks, devices for one-time codes.

use ashlar_types::{AccountUin, SecretId, UnixMillis};

use crate::column::{Columns, signed, stored_enum};
use crate::connect::Connection;
use crate::{DbError, Holder, Tag};

stored_enum! {
    /// What a temporary key stands for.
    pub enum TemporaryKind {
        /// A role that somebody assumed.
        Role = "ROLE",
        /// Somebody in the name of an account or a user.
        Federation = "FEDERATION",
    }
}

stored_enum! {
    /// What a rule says of a network.
    pub enum NetworkEffect {
        /// Calls may come from it; where there is such a rule, from nowhere else.
        Allow = "allow",
        /// No call may come from it.
        Deny = "deny",
    }
}

/// A key that works for a while.
#[derive(Clone, PartialEq, Eq)]
pub struct TemporaryKey {
    /// The public half.
    pub secret_id: SecretId,
    /// The secret half.
    pub secret_key: String,
    /// What must come with each request.
    pub token: String,
    /// The account that it acts for.
    pub account: AccountUin,
    /// What it stands for.
    pub kind: TemporaryKind,
    /// The role, or in whose name it acts.
    pub holder: Holder,
    /// What the session was called.
    pub session_name: String,
    /// The account or user that asked for it.
    pub asked_by: Holder,
    /// The account of who asked for it.
    pub asked_by_account: AccountUin,
    /// What it may do at most: a document.
    pub policy: Option<String>,
    /// The tags of the session, in the order of their keys when read.
    pub tags: Vec<Tag>,
    /// When the asker proved to have the device.
    pub verified: Option<UnixMillis>,
    /// When it was made.
    pub created: UnixMillis,
    /// When it ends.
    pub expires: UnixMillis,
}

impl std::fmt::Debug for TemporaryKey {
    /// Without the secrets: this may reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TemporaryKey")
            .field("secret_id", &self.secret_id)
            .field("account", &self.account)
            .field("session_name", &self.session_name)
            .finish_non_exhaustive()
    }
}

/// A device that gives one-time codes.
#[derive(Clone, PartialEq, Eq)]
pub struct MfaDevice {
    /// Whose it is.
    pub holder: Holder,
    /// The account.
    pub account: AccountUin,
    /// What the codes are made from.
    pub secret: String,
    /// The time step of the last code that was taken; none before the first.
    pub last_step: Option<u64>,
    /// When it was enrolled.
    pub created: UnixMillis,
}

/// Queries on temporary keys, networks and devices.
#[derive(Debug)]
pub struct Access<'t>(pub(crate) &'t mut Connection);

impl Access<'_> {
    /// Adds a temporary key. `Conflict` if its id is taken.
    pub async fn insert_temporary_key(&mut self, key: &TemporaryKey) -> Result<(), DbError> {
        sqlx::query(
            "INSERT INTO temporary_keys (secret_id, secret_key, token, uin, kind, holder, session_name, asked_by,
                asked_by_uin, policy, verified_ms, created_ms, expires_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        )
        .bind(key.secret_id.as_str())
        .bind(&key.secret_key)
        .bind(&key.token)
        .bind(signed(key.account.0))
        .bind(key.kind.as_str())
        .bind(signed(key.holder.0))
        .bind(&key.session_name)
        .bind(signed(key.asked_by.0))
        .bind(signed(key.asked_by_account.0))
        .bind(&key.policy)
        .bind(key.verified.map(|time| time.0))
        .bind(key.created.0)
        .bind(key.expires.0)
        .execute(&mut *self.0)
        .await?;
        for tag in &key.tags {
            sqlx::query("INSERT INTO session_tags (secret_id, tag_key, tag_value) VALUES ($1, $2, $3)")
                .bind(key.secret_id.as_str())
                .bind(&tag.key)
                .bind(&tag.value)
                .execute(&mut *self.0)
                .await?;
        }
        Ok(())
    }

    async fn session_tags(&mut self, secret_id: &SecretId) -> Result<Vec<Tag>, DbError> {
        let sql = "SELECT tag_key, tag_value FROM session_tags WHERE secret_id = $1 ORDER BY tag_key";
        let rows = sqlx::query(sql).bind(secret_id.as_str()).fetch_all(&mut *self.0).await?;
        let tag =
            |row| Ok(Tag { key: Columns(row).text("tag_key")?, value: Columns(row).text("tag_value")? });
        rows.iter().map(tag).collect()
    }

    /// The temporary key with this id, ended or not.
    pub async fn temporary_key(&mut self, secret_id: &SecretId) -> Result<Option<TemporaryKey>, DbError> {
        let row = sqlx::query("SELECT * FROM temporary_keys WHERE secret_id = $1")
            .bind(secret_id.as_str())
            .fetch_optional(&mut *self.0)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let tags = self.session_tags(secret_id).await?;
        let key = |row| {
            let columns = Columns(row);
            Ok(TemporaryKey {
                secret_id: columns.word("secret_id")?,
                secret_key: columns.text("secret_key")?,
                token: columns.text("token")?,
                account: AccountUin(columns.number("uin")?),
                kind: columns.word("kind")?,
                holder: Holder(columns.number("holder")?),
                session_name: columns.text("session_name")?,
                asked_by: Holder(columns.number("asked_by")?),
                asked_by_account: AccountUin(columns.number("asked_by_uin")?),
                policy: columns.text_if_any("policy")?,
                tags,
                verified: columns.time_if_any("verified_ms")?,
                created: columns.time("created_ms")?,
                expires: columns.time("expires_ms")?,
            })
        };
        key(&row).map(Some)
    }

    /// Ends the temporary keys that somebody of this account asked for.
    pub async fn delete_temporary_keys_asked_by(&mut self, account: AccountUin) -> Result<(), DbError> {
        sqlx::query("DELETE FROM temporary_keys WHERE asked_by_uin = $1")
            .bind(signed(account.0))
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// Forgets temporary keys that ended before this time, and tells how many.
    pub async fn forget_temporary_keys(&mut self, before: UnixMillis) -> Result<u64, DbError> {
        let done = sqlx::query("DELETE FROM temporary_keys WHERE expires_ms < $1")
            .bind(before.0)
            .execute(&mut *self.0)
            .await?;
        Ok(done.rows_affected())
    }

    /// Adds a rule. `Conflict` if it is there.
    pub async fn insert_network(
        &mut self,
        account: AccountUin,
        effect: NetworkEffect,
        network: &str,
        created: UnixMillis,
    ) -> Result<(), DbError> {
        sqlx::query("INSERT INTO network_rules (uin, effect, network, created_ms) VALUES ($1, $2, $3, $4)")
            .bind(signed(account.0))
            .bind(effect.as_str())
            .bind(network)
            .bind(created.0)
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// The rules of an account, in their order.
    pub async fn networks(&mut self, account: AccountUin) -> Result<Vec<(NetworkEffect, String)>, DbError> {
        let sql = "SELECT effect, network FROM network_rules WHERE uin = $1 ORDER BY effect, network";
        let rows = sqlx::query(sql).bind(signed(account.0)).fetch_all(&mut *self.0).await?;
        rows.iter().map(|row| Ok((Columns(row).word("effect")?, Columns(row).text("network")?))).collect()
    }

    /// Removes a rule. `NotFound`.
    pub async fn delete_network(
        &mut self,
        account: AccountUin,
        effect: NetworkEffect,
        network: &str,
    ) -> Result<(), DbError> {
        let done = sqlx::query("DELETE FROM network_rules WHERE uin = $1 AND effect = $2 AND network = $3")
            .bind(signed(account.0))
            .bind(effect.as_str())
            .bind(network)
            .execute(&mut *self.0)
            .await?;
        crate::one_row(done.rows_affected(), "network", &network)
    }

    /// Enrols a device. `Conflict` if the holder has one.
    pub async fn insert_device(&mut self, device: &MfaDevice) -> Result<(), DbError> {
        sqlx::query("INSERT INTO mfa_devices (holder, uin, secret, last_step, created_ms) VALUES ($1, $2, $3, -1, $4)")
            .bind(signed(device.holder.0))
            .bind(signed(device.account.0))
            .bind(&device.secret)
            .bind(device.created.0)
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// The device of a holder.
    pub async fn device(&mut self, holder: Holder) -> Result<Option<MfaDevice>, DbError> {
        let sql = "SELECT holder, uin, secret, NULLIF(last_step, -1) AS last_step, created_ms
             FROM mfa_devices WHERE holder = $1";
        let row = sqlx::query(sql).bind(signed(holder.0)).fetch_optional(&mut *self.0).await?;
        let device = |row| {
            let columns = Columns(row);
            Ok(MfaDevice {
                holder: Holder(columns.number("holder")?),
                account: AccountUin(columns.number("uin")?),
                secret: columns.text("secret")?,
                last_step: columns.number_if_any("last_step")?,
                created: columns.time("created_ms")?,
            })
        };
        row.as_ref().map(device).transpose()
    }

    /// Takes the code of a time step, once: false if it or a later one was taken before.
    pub async fn take_step(&mut self, holder: Holder, step: u64) -> Result<bool, DbError> {
        let done = sqlx::query("UPDATE mfa_devices SET last_step = $2 WHERE holder = $1 AND last_step < $2")
            .bind(signed(holder.0))
            .bind(signed(step))
            .execute(&mut *self.0)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Removes a device. `NotFound`.
    pub async fn delete_device(&mut self, holder: Holder) -> Result<(), DbError> {
        let done = sqlx::query("DELETE FROM mfa_devices WHERE holder = $1")
            .bind(signed(holder.0))
            .execute(&mut *self.0)
            .await?;
        crate::one_row(done.rows_affected(), "device of", &holder.0)
    }
}
