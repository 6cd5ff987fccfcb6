//! Users, roles, the policies that are attached to them, devices for one-time codes, and the networks that calls
//! may come from.

use ashlar_db::{AttachedPolicy, Holder, MfaDevice, NetworkEffect, Role, Transaction, User};
use ashlar_types::{AccountUin, RoleId, UserUin};

use crate::access::{Network, Policy, new_device_secret};
use crate::account::{AccountError, check_noun, exists_if_conflict, missing_if_not_found};
use crate::control::Control;
use crate::error::ControlError;

/// The number before that of the first role: far beyond those of accounts and users.
const ROLE_NUMBER_BASE: u64 = 1 << 62;

/// How long a session of a role may last at most, in seconds. Source: `sts` AssumeRole, DurationSeconds.
const SESSION_SECONDS_MAX: u64 = 43_200;

/// A role to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRole {
    /// Its name.
    pub name: String,
    /// Who may assume it: a document.
    pub trust: String,
    /// How long a session may last, in seconds. Default: twelve hours.
    pub session_seconds_max: Option<u64>,
}

/// Whom a policy is attached to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyHolder {
    /// The user of this name.
    User(String),
    /// The role of this name.
    Role(String),
}

impl Control {
    /// Adds a user. A user may do nothing before a policy says so.
    pub async fn add_user(&self, account: AccountUin, name: &str) -> Result<User, ControlError> {
        check_noun("user", name)?;
        let mut tx = self.db.write().await?;
        self.find_user(&mut tx, account, None).await?;
        let uin = UserUin(tx.accounts().last_number().await? + 1);
        let user = User { uin, account, name: name.to_owned(), created: self.now() };
        tx.users().insert(&user).await.map_err(exists_if_conflict("user", name))?;
        tx.commit().await?;
        Ok(user)
    }

    /// The users of an account, by name, and whether each has a device.
    pub async fn users(&self, account: AccountUin) -> Result<Vec<(User, bool)>, ControlError> {
        let mut tx = self.db.read().await?;
        self.find_user(&mut tx, account, None).await?;
        let mut users = Vec::new();
        for user in tx.users().list(account).await? {
            let has_device = tx.access().device(user.uin.into()).await?.is_some();
            users.push((user, has_device));
        }
        Ok(users)
    }

    /// Removes a user with keys, policies, device and sessions.
    pub async fn remove_user(&self, account: AccountUin, name: &str) -> Result<(), ControlError> {
        let mut tx = self.db.write().await?;
        if let Some(user) = self.find_user(&mut tx, account, Some(name)).await? {
            tx.users().delete(user).await?;
        }
        tx.commit().await?;
        self.forget_principals();
        Ok(())
    }

    /// Adds a role. It may do nothing before a policy says so.
    pub async fn add_role(&self, account: AccountUin, wanted: NewRole) -> Result<Role, ControlError> {
        check_noun("role", &wanted.name)?;
        Policy::parse_trust(&wanted.trust).map_err(AccountError::Policy)?;
        let session_seconds_max = wanted.session_seconds_max.unwrap_or(SESSION_SECONDS_MAX);
        if !(1..=SESSION_SECONDS_MAX).contains(&session_seconds_max) {
            let expected = "1 to 43200 seconds";
            return Err(AccountError::Value { noun: "longest session", expected }.into());
        }
        let mut tx = self.db.write().await?;
        self.find_user(&mut tx, account, None).await?;
        let last = tx.users().last_role().await?.map_or(ROLE_NUMBER_BASE, |role| role.0);
        let role = Role {
            id: RoleId(last + 1),
            account,
            name: wanted.name,
            trust: wanted.trust,
            session_seconds_max,
            created: self.now(),
        };
        tx.users().insert_role(&role).await.map_err(exists_if_conflict("role", &role.name))?;
        tx.commit().await?;
        Ok(role)
    }

    /// The roles of an account, by name.
    pub async fn roles(&self, account: AccountUin) -> Result<Vec<Role>, ControlError> {
        let mut tx = self.db.read().await?;
        self.find_user(&mut tx, account, None).await?;
        Ok(tx.users().roles(account).await?)
    }

    /// Removes a role with its policies; its sessions end.
    pub async fn remove_role(&self, account: AccountUin, name: &str) -> Result<(), ControlError> {
        let mut tx = self.db.write().await?;
        let role = find_role(&mut tx, account, name).await?;
        tx.users().delete_role(role).await?;
        tx.commit().await?;
        self.forget_principals();
        Ok(())
    }

    /// Attaches a policy under a name. It counts from the next call on.
    pub async fn attach_policy(
        &self,
        account: AccountUin,
        holder: &PolicyHolder,
        name: &str,
        document: &str,
    ) -> Result<(), ControlError> {
        check_noun("policy", name)?;
        Policy::parse(document).map_err(AccountError::Policy)?;
        let mut tx = self.db.write().await?;
        let policy = AttachedPolicy {
            holder: self.holder(&mut tx, account, holder).await?,
            account,
            name: name.to_owned(),
            document: document.to_owned(),
            created: self.now(),
        };
        tx.users().insert_policy(&policy).await.map_err(exists_if_conflict("policy", name))?;
        tx.commit().await?;
        self.forget_principals();
        Ok(())
    }

    /// The policies of a user or a role, by name.
    pub async fn policies(
        &self,
        account: AccountUin,
        holder: &PolicyHolder,
    ) -> Result<Vec<AttachedPolicy>, ControlError> {
        let mut tx = self.db.read().await?;
        let holder = self.holder(&mut tx, account, holder).await?;
        Ok(tx.users().policies(holder).await?)
    }

    /// Detaches a policy. It counts no more from the next call on.
    pub async fn detach_policy(
        &self,
        account: AccountUin,
        holder: &PolicyHolder,
        name: &str,
    ) -> Result<(), ControlError> {
        let mut tx = self.db.write().await?;
        let holder = self.holder(&mut tx, account, holder).await?;
        let done = tx.users().delete_policy(holder, name).await;
        done.map_err(missing_if_not_found("policy", name))?;
        tx.commit().await?;
        self.forget_principals();
        Ok(())
    }

    /// Enrols a device for the account itself or for a user. Its secret is shown this once.
    pub async fn enrol_device(
        &self,
        account: AccountUin,
        user: Option<&str>,
    ) -> Result<MfaDevice, ControlError> {
        let mut tx = self.db.write().await?;
        let holder = self.find_user(&mut tx, account, user).await?.map_or(account.into(), Holder::from);
        let device = MfaDevice {
            holder,
            account,
            secret: new_device_secret(self.random.as_ref()),
            last_step: None,
            created: self.now(),
        };
        let of = user.map_or_else(|| account.to_string(), str::to_owned);
        tx.access().insert_device(&device).await.map_err(exists_if_conflict("device of", &of))?;
        tx.commit().await?;
        self.second_factor.close_all();
        self.forget_principals();
        Ok(device)
    }

    /// Removes a device; no code is asked for any more.
    pub async fn remove_device(&self, account: AccountUin, user: Option<&str>) -> Result<(), ControlError> {
        let mut tx = self.db.write().await?;
        let holder = self.find_user(&mut tx, account, user).await?.map_or(account.into(), Holder::from);
        let of = user.map_or_else(|| account.to_string(), str::to_owned);
        tx.access().delete_device(holder).await.map_err(missing_if_not_found("device of", &of))?;
        tx.commit().await?;
        self.second_factor.close_all();
        self.forget_principals();
        Ok(())
    }

    /// Adds a rule about the networks that an account's calls may come from.
    pub async fn add_network(
        &self,
        account: AccountUin,
        effect: NetworkEffect,
        network: Network,
    ) -> Result<(), ControlError> {
        let text = network.to_string();
        let mut tx = self.db.write().await?;
        self.find_user(&mut tx, account, None).await?;
        let done = tx.access().insert_network(account, effect, &text, self.now()).await;
        done.map_err(exists_if_conflict("rule for", &text))?;
        tx.commit().await?;
        self.forget_principals();
        Ok(())
    }

    /// The rules about the networks of an account.
    pub async fn networks(&self, account: AccountUin) -> Result<Vec<(NetworkEffect, String)>, ControlError> {
        let mut tx = self.db.read().await?;
        self.find_user(&mut tx, account, None).await?;
        Ok(tx.access().networks(account).await?)
    }

    /// Removes a rule about the networks of an account.
    pub async fn remove_network(
        &self,
        account: AccountUin,
        effect: NetworkEffect,
        network: Network,
    ) -> Result<(), ControlError> {
        let text = network.to_string();
        let mut tx = self.db.write().await?;
        let done = tx.access().delete_network(account, effect, &text).await;
        done.map_err(missing_if_not_found("rule for", &text))?;
        tx.commit().await?;
        self.forget_principals();
        Ok(())
    }

    async fn holder(
        &self,
        tx: &mut Transaction,
        account: AccountUin,
        holder: &PolicyHolder,
    ) -> Result<Holder, ControlError> {
        match holder {
            PolicyHolder::User(name) => {
                let user = self.find_user(tx, account, Some(name)).await?;
                Ok(user.map_or(account.into(), Holder::from))
            }
            PolicyHolder::Role(name) => Ok(find_role(tx, account, name).await?.into()),
        }
    }
}

async fn find_role(tx: &mut Transaction, account: AccountUin, name: &str) -> Result<RoleId, ControlError> {
    let role = tx.users().find_role(account, name).await?;
    let missing = || AccountError::NotFound { noun: "role", name: name.to_owned() }.into();
    role.map(|role| role.id).ok_or_else(missing)
}
