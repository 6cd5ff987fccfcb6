//! Accounts and keys, and the records that a new installation begins with.
//!
//! Whoever changes what a call is checked against ends with [`Control::forget_principals`], after the commit.

use std::fmt;

use ashlar_db::{Account, ApiKey, DbError, DbErrorKind, Transaction};
use ashlar_types::{AccountUin, AppId, ProjectId, Region, SecretId, UserUin, Zone};

use crate::access::PolicyError;
use crate::control::Control;
use crate::error::ControlError;

/// The account that the first start makes.
pub const FIRST_ACCOUNT: AccountUin = AccountUin(100_000_000_001);

const APP_ID_FIRST: AppId = AppId(1_250_000_001);

/// The regions of a new installation, in their order.
const REGIONS: [&str; 5] = ["ap-guangzhou", "ap-beijing", "ap-shanghai", "ap-hongkong", "ap-singapore"];

/// Every region of a new installation has the zones 1 to this.
const ZONES_PER_REGION: u64 = 7;

const SECRET_ID_PREFIX: &str = "AKID";
const KEY_CHARACTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const KEY_RANDOM_LENGTH: usize = 32;

/// An account or a user has at most so many keys.
const KEYS_MAX: usize = 2;

/// Names of accounts, users, roles and policies have at most so many bytes.
const NAME_BYTES_MAX: usize = 64;

/// An account, a user, a key, a role or a policy forbids it. Only administrative commands meet these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountError {
    /// There is no such thing.
    NotFound {
        /// What it would be, such as `user`.
        noun: &'static str,
        /// How it was named.
        name: String,
    },
    /// There is one already.
    Exists {
        /// What it is.
        noun: &'static str,
        /// How it was named.
        name: String,
    },
    /// There are two keys already.
    TooManyKeys,
    /// A name is empty, too long or has other characters than it may.
    Name {
        /// What was to be named.
        noun: &'static str,
        /// The name.
        name: String,
    },
    /// A document is not valid.
    Policy(PolicyError),
    /// The first account must stay usable.
    FirstAccount,
    /// A value is out of its bounds.
    Value {
        /// What is.
        noun: &'static str,
        /// What it would have to be.
        expected: &'static str,
    },
}

impl fmt::Display for AccountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { noun, name } => write!(f, "there is no {noun} `{name}`"),
            Self::Exists { noun, name } => write!(f, "the {noun} `{name}` exists already"),
            Self::TooManyKeys => {
                write!(f, "there are {KEYS_MAX} keys already: remove one first")
            }
            Self::Name { noun, name } => write!(
                f,
                "`{}` is no name for a {noun}: use 1 to {NAME_BYTES_MAX} of the characters a-z A-Z 0-9 _ - . @ + =",
                name.escape_default()
            ),
            Self::Policy(error) => error.fmt(f),
            Self::FirstAccount => f.write_str("the first account cannot be disabled"),
            Self::Value { noun, expected } => write!(f, "the {noun} must be {expected}"),
        }
    }
}

impl std::error::Error for AccountError {}

/// Refuses what is no name.
pub(crate) fn check_noun(noun: &'static str, name: &str) -> Result<(), AccountError> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.@+=".contains(&byte);
    if (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(good) {
        return Ok(());
    }
    Err(AccountError::Name { noun, name: name.to_owned() })
}

/// A `Conflict` of the database is a thing that exists.
pub(crate) fn exists_if_conflict(noun: &'static str, name: &str) -> impl Fn(DbError) -> ControlError {
    let name = name.to_owned();
    move |error| match error.kind() {
        DbErrorKind::Conflict => AccountError::Exists { noun, name: name.clone() }.into(),
        _ => error.into(),
    }
}

/// A `NotFound` of the database is a thing that does not exist.
pub(crate) fn missing_if_not_found(noun: &'static str, name: &str) -> impl Fn(DbError) -> ControlError {
    let name = name.to_owned();
    move |error| match error.kind() {
        DbErrorKind::NotFound => AccountError::NotFound { noun, name: name.clone() }.into(),
        _ => error.into(),
    }
}

/// The first account and its first key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstKey {
    /// The account.
    pub account: Account,
    /// Its oldest key that may be used.
    pub key: ApiKey,
    /// Whether this call made them.
    pub created: bool,
}

impl Control {
    /// Makes the records of a new installation, unless they are there: regions, zones, an account with its
    /// default project, and a key. Gives the account and its oldest key that may be used.
    pub async fn ensure_first_records(&self) -> Result<FirstKey, ControlError> {
        let mut tx = self.db.write().await?;
        if let Some(account) = tx.accounts().list().await?.into_iter().next() {
            let oldest = tx.accounts().keys(account.uin, None).await?.into_iter().find(|key| key.enabled);
            if let Some(key) = oldest {
                return Ok(FirstKey { account, key, created: false });
            }
            let key = self.new_key(&mut tx, account.uin, None).await?;
            tx.commit().await?;
            return Ok(FirstKey { account, key, created: true });
        }
        insert_places(&mut tx).await?;
        let account = Account {
            uin: FIRST_ACCOUNT,
            app_id: APP_ID_FIRST,
            name: "first".to_owned(),
            enabled: true,
            created: self.now(),
        };
        tx.accounts().insert(&account).await?;
        tx.accounts().insert_project(account.uin, ProjectId(0), "default").await?;
        let key = self.new_key(&mut tx, account.uin, None).await?;
        tx.commit().await?;
        Ok(FirstKey { account, key, created: true })
    }

    async fn new_key(
        &self,
        tx: &mut Transaction,
        account: AccountUin,
        user: Option<UserUin>,
    ) -> Result<ApiKey, ControlError> {
        let key = ApiKey {
            secret_id: self.new_secret_id()?,
            secret_key: self.random_characters(KEY_RANDOM_LENGTH),
            account,
            user,
            enabled: true,
            created: self.now(),
        };
        tx.accounts().insert_key(&key).await?;
        Ok(key)
    }

    pub(crate) fn new_secret_id(&self) -> Result<SecretId, ControlError> {
        let secret_id = [SECRET_ID_PREFIX, &self.random_characters(KEY_RANDOM_LENGTH)].concat();
        let secret_id = secret_id.parse();
        secret_id.map_err(|error| DbError::new(DbErrorKind::Corrupt, format!("new key: {error}")).into())
    }

    pub(crate) fn random_characters(&self, length: usize) -> String {
        let draw = || self.random.below(KEY_CHARACTERS.len() as u64) as usize;
        (0..length).map(|_| char::from(KEY_CHARACTERS[draw()])).collect()
    }

    /// Makes every call look again at what it is checked against.
    pub(crate) fn forget_principals(&self) {
        self.principals.forget();
    }

    /// Adds an account with a default project. Its number is the next free one.
    pub async fn add_account(&self, name: &str) -> Result<Account, ControlError> {
        check_noun("account", name)?;
        let mut tx = self.db.write().await?;
        let accounts = tx.accounts().list().await?;
        if accounts.iter().any(|account| account.name == name) {
            return Err(AccountError::Exists { noun: "account", name: name.to_owned() }.into());
        }
        let last_app_id = accounts.iter().map(|account| account.app_id.0).max().unwrap_or(APP_ID_FIRST.0);
        let account = Account {
            uin: AccountUin(tx.accounts().last_number().await?.max(FIRST_ACCOUNT.0) + 1),
            app_id: AppId(last_app_id + 1),
            name: name.to_owned(),
            enabled: true,
            created: self.now(),
        };
        tx.accounts().insert(&account).await?;
        tx.accounts().insert_project(account.uin, ProjectId(0), "default").await?;
        tx.commit().await?;
        Ok(account)
    }

    /// Refuses an account that does not exist.
    pub async fn require_account(&self, account: AccountUin) -> Result<(), ControlError> {
        let mut tx = self.db.read().await?;
        self.find_user(&mut tx, account, None).await.map(drop)
    }

    /// All accounts, by number.
    pub async fn accounts(&self) -> Result<Vec<Account>, ControlError> {
        Ok(self.db.look().await?.accounts().list().await?)
    }

    /// Lets the keys of an account work, or not. With it end the sessions that its people began elsewhere.
    pub async fn enable_account(&self, account: AccountUin, enabled: bool) -> Result<(), ControlError> {
        if account == FIRST_ACCOUNT && !enabled {
            return Err(AccountError::FirstAccount.into());
        }
        let mut tx = self.db.write().await?;
        let done = tx.accounts().set_enabled(account, enabled).await;
        done.map_err(missing_if_not_found("account", &account.to_string()))?;
        if !enabled {
            tx.access().delete_temporary_keys_asked_by(account).await?;
        }
        tx.commit().await?;
        self.forget_principals();
        Ok(())
    }

    /// Adds a key of an account, or of one of its users. The secret half is shown this once.
    pub async fn add_key(&self, account: AccountUin, user: Option<&str>) -> Result<ApiKey, ControlError> {
        let mut tx = self.db.write().await?;
        let user = self.find_user(&mut tx, account, user).await?;
        if tx.accounts().keys(account, user).await?.len() >= KEYS_MAX {
            return Err(AccountError::TooManyKeys.into());
        }
        let key = self.new_key(&mut tx, account, user).await?;
        tx.commit().await?;
        Ok(key)
    }

    /// The keys of an account itself, or of one of its users, oldest first.
    pub async fn keys(&self, account: AccountUin, user: Option<&str>) -> Result<Vec<ApiKey>, ControlError> {
        let mut tx = self.db.read().await?;
        let user = self.find_user(&mut tx, account, user).await?;
        Ok(tx.accounts().keys(account, user).await?)
    }

    /// Lets a key work, or not.
    pub async fn enable_key(
        &self,
        account: AccountUin,
        secret_id: &SecretId,
        enabled: bool,
    ) -> Result<(), ControlError> {
        let mut tx = self.db.write().await?;
        let done = tx.accounts().set_key_enabled(account, secret_id, enabled).await;
        done.map_err(missing_if_not_found("key", secret_id.as_str()))?;
        tx.commit().await?;
        self.forget_principals();
        Ok(())
    }

    /// Removes a key for good.
    pub async fn remove_key(&self, account: AccountUin, secret_id: &SecretId) -> Result<(), ControlError> {
        let mut tx = self.db.write().await?;
        let done = tx.accounts().delete_key(account, secret_id).await;
        done.map_err(missing_if_not_found("key", secret_id.as_str()))?;
        tx.commit().await?;
        self.forget_principals();
        Ok(())
    }

    /// The number of a user who was named; refuses accounts and users that do not exist.
    pub(crate) async fn find_user(
        &self,
        tx: &mut Transaction,
        account: AccountUin,
        user: Option<&str>,
    ) -> Result<Option<UserUin>, ControlError> {
        if tx.accounts().find(account).await?.is_none() {
            return Err(AccountError::NotFound { noun: "account", name: account.to_string() }.into());
        }
        let Some(name) = user else { return Ok(None) };
        match tx.users().find(account, name).await? {
            Some(user) => Ok(Some(user.uin)),
            None => Err(AccountError::NotFound { noun: "user", name: name.to_owned() }.into()),
        }
    }

    /// All regions, in their order.
    pub async fn regions(&self) -> Result<Vec<Region>, ControlError> {
        Ok(self.db.look().await?.places().regions().await?)
    }
}

async fn insert_places(tx: &mut Transaction) -> Result<(), ControlError> {
    let unreadable = |error| ashlar_db::DbError::new(ashlar_db::DbErrorKind::Corrupt, format!("{error}"));
    for (position, name) in (0..).zip(REGIONS) {
        let region: Region = name.parse().map_err(unreadable)?;
        tx.places().insert_region(&region, position).await?;
        for number in 1..=ZONES_PER_REGION {
            let zone: Zone = format!("{name}-{number}").parse().map_err(unreadable)?;
            tx.places().insert_zone(&zone, number).await?;
        }
    }
    Ok(())
}
