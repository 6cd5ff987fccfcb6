//! Accounts and keys, and the records that a new installation begins with.

use ashlar_db::{Account, ApiKey, Transaction};
use ashlar_types::{AccountUin, AppId, ProjectId, Region, SecretId, UnixMillis, Zone};

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
            let oldest = tx.accounts().keys(account.uin).await?.into_iter().find(|key| key.enabled);
            if let Some(key) = oldest {
                return Ok(FirstKey { account, key, created: false });
            }
            let key = self.new_key(&mut tx, &account).await?;
            tx.commit().await?;
            return Ok(FirstKey { account, key, created: true });
        }
        insert_places(&mut tx).await?;
        let account = Account { uin: FIRST_ACCOUNT, app_id: APP_ID_FIRST, created: self.now() };
        tx.accounts().insert(&account).await?;
        tx.accounts().insert_project(account.uin, ProjectId(0), "default").await?;
        let key = self.new_key(&mut tx, &account).await?;
        tx.commit().await?;
        Ok(FirstKey { account, key, created: true })
    }

    async fn new_key(&self, tx: &mut Transaction, account: &Account) -> Result<ApiKey, ControlError> {
        let secret_id = [SECRET_ID_PREFIX, &self.random_characters()].concat();
        let secret_id: SecretId = secret_id.parse().map_err(|error| {
            ashlar_db::DbError::new(ashlar_db::DbErrorKind::Corrupt, format!("new key: {error}"))
        })?;
        let key = ApiKey {
            secret_id,
            secret_key: self.random_characters(),
            account: account.uin,
            app_id: account.app_id,
            enabled: true,
        };
        let created: UnixMillis = self.now();
        tx.accounts().insert_key(&key, created).await?;
        Ok(key)
    }

    fn random_characters(&self) -> String {
        let draw = || self.random.below(KEY_CHARACTERS.len() as u64) as usize;
        (0..KEY_RANDOM_LENGTH).map(|_| char::from(KEY_CHARACTERS[draw()])).collect()
    }

    /// The key with this id, enabled or not: for the check of signatures.
    pub async fn find_key(&self, secret_id: &SecretId) -> Result<Option<ApiKey>, ControlError> {
        Ok(self.db.read().await?.accounts().key(secret_id).await?)
    }

    /// All regions, in their order.
    pub async fn regions(&self) -> Result<Vec<Region>, ControlError> {
        Ok(self.db.read().await?.places().regions().await?)
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
