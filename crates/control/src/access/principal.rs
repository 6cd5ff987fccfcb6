//! Who a key stands for, with everything that a call is checked against, kept in memory.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ashlar_db::{
    ApiKey, DbError, DbErrorKind, Holder, NetworkEffect, Tag, TemporaryKey, TemporaryKind, Transaction,
};
use ashlar_types::{AccountUin, AppId, RoleId, SecretId, UnixMillis, UserUin};
use parking_lot::RwLock;

use super::Factor;
use super::network::Network;
use super::pattern::ResourceName;
use super::policy::{Policy, Question, Verdict, decide};
use crate::control::Control;
use crate::error::ControlError;

/// How long a principal is used without looking again, in milliseconds. Changes through this server take effect
/// at once; this bounds the time for changes by another server on the same database.
const FRESH_MS: i64 = 5_000;

/// So many principals are remembered; beyond, all are forgotten and read again.
const REMEMBERED_MAX: usize = 10_000;

/// Who somebody is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// The account itself.
    Account,
    /// A user of the account.
    User {
        /// The user.
        uin: UserUin,
        /// The user's name.
        name: String,
    },
    /// Whoever assumed a role of the account.
    Role {
        /// The role.
        id: RoleId,
        /// What the session was called.
        session: String,
    },
    /// Somebody in the name of the account or of a user.
    Federated {
        /// What they were called.
        name: String,
    },
}

/// What must come with each request of a temporary key.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The token.
    pub text: String,
    /// When it and its key end.
    pub expires: UnixMillis,
}

/// What somebody may do.
#[derive(PartialEq, Eq)]
enum Rights {
    Everything,
    Policies(Vec<Policy>),
}

/// Who a key stands for.
pub struct Principal {
    /// The key.
    pub secret_id: SecretId,
    /// Its secret half.
    pub secret_key: Arc<str>,
    /// The account that it acts for.
    pub account: AccountUin,
    /// The account's second number.
    pub app_id: AppId,
    /// Who it is.
    pub identity: Identity,
    /// Whether key and account may be used.
    pub enabled: bool,
    /// For temporary keys.
    pub token: Option<Token>,
    /// The account or user whose key it is, or who asked for it.
    pub principal: Holder,
    /// The account of that one.
    pub principal_account: AccountUin,
    rights: Rights,
    /// What the session may do at most.
    session: Option<Policy>,
    /// The tags of the session.
    session_tags: Vec<Tag>,
    pub(super) networks: Vec<(NetworkEffect, Network)>,
    pub(super) factor: Option<Factor>,
    /// When a session's asker proved to have the device.
    pub(super) verified: Option<UnixMillis>,
    read: UnixMillis,
}

impl Principal {
    /// Whether no policy limits it.
    #[must_use]
    pub fn may_do_all(&self) -> bool {
        self.rights == Rights::Everything && self.session.is_none()
    }

    pub(super) fn asks_for_resource_tags(&self) -> bool {
        let rights = match &self.rights {
            Rights::Everything => &[][..],
            Rights::Policies(policies) => policies,
        };
        rights.iter().chain(&self.session).any(Policy::asks_for_resource_tags)
    }

    /// What its policies say. What the session says comes on top.
    pub(super) fn decide(
        &self,
        question: &Question<'_>,
        resource: Option<(&ResourceName, &[String])>,
    ) -> Verdict {
        let of = |policies: &[Policy]| {
            decide(policies.iter(), self.account, &self.session_tags, question, resource)
        };
        let rights = match &self.rights {
            Rights::Everything => Verdict::Allowed,
            Rights::Policies(policies) => of(policies),
        };
        match &self.session {
            Some(session) if rights == Verdict::Allowed => of(std::slice::from_ref(session)),
            _ => rights,
        }
    }
}

/// The principals that were asked for lately.
#[derive(Default)]
pub(crate) struct Principals {
    known: RwLock<HashMap<SecretId, Arc<Principal>>>,
    /// Counts the changes, so that what was read before one is not remembered after it.
    generation: AtomicU64,
}

impl Principals {
    fn find(&self, secret_id: &SecretId, now: UnixMillis) -> Option<Arc<Principal>> {
        let known = self.known.read();
        known.get(secret_id).filter(|found| (0..FRESH_MS).contains(&(now.0 - found.read.0))).cloned()
    }

    fn remember(&self, principal: &Arc<Principal>, generation: u64) {
        let mut known = self.known.write();
        if self.generation.load(Ordering::SeqCst) != generation {
            return;
        }
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        known.insert(principal.secret_id.clone(), principal.clone());
    }

    /// Forgets all: call it after the change is committed, so that nobody can read the old state after it.
    pub(crate) fn forget(&self) {
        let mut known = self.known.write();
        self.generation.fetch_add(1, Ordering::SeqCst);
        known.clear();
    }
}

impl Control {
    /// Who the key with this id stands for, enabled or not, ended or not.
    pub async fn find_principal(&self, secret_id: &SecretId) -> Result<Option<Arc<Principal>>, ControlError> {
        let now = self.now();
        if let Some(found) = self.principals.find(secret_id, now) {
            return Ok(Some(found));
        }
        let generation = self.principals.generation.load(Ordering::SeqCst);
        let mut tx = self.db.read().await?;
        let principal = match tx.accounts().key(secret_id).await? {
            Some(key) => Some(of_key(&mut tx, key, now).await?),
            None => match tx.access().temporary_key(secret_id).await? {
                Some(key) => of_temporary_key(&mut tx, key, now).await?,
                None => None,
            },
        };
        let Some(principal) = principal.map(Arc::new) else { return Ok(None) };
        self.principals.remember(&principal, generation);
        Ok(Some(principal))
    }
}

async fn of_key(tx: &mut Transaction, key: ApiKey, now: UnixMillis) -> Result<Principal, DbError> {
    let holder = key.user.map_or(key.account.into(), Holder::from);
    let (identity, rights) = match key.user {
        None => (Identity::Account, Rights::Everything),
        Some(user) => {
            let missing =
                || DbError::new(DbErrorKind::Corrupt, format!("the user {user} of a key is missing"));
            let user = tx.users().find_number(user).await?.ok_or_else(missing)?;
            (Identity::User { uin: user.uin, name: user.name }, rights_of(tx, holder).await?)
        }
    };
    let (app_id, account_enabled) = account(tx, key.account).await?;
    Ok(Principal {
        secret_id: key.secret_id,
        secret_key: key.secret_key.into(),
        account: key.account,
        app_id,
        identity,
        enabled: key.enabled && account_enabled,
        token: None,
        principal: holder,
        principal_account: key.account,
        rights,
        session: None,
        session_tags: Vec::new(),
        networks: networks(tx, key.account).await?,
        factor: factor(tx, holder).await?,
        verified: None,
        read: now,
    })
}

/// None where the role or user is gone.
async fn of_temporary_key(
    tx: &mut Transaction,
    key: TemporaryKey,
    now: UnixMillis,
) -> Result<Option<Principal>, DbError> {
    let session = key.session_name;
    let (identity, rights) = match key.kind {
        TemporaryKind::Role => {
            let id = RoleId(key.holder.0);
            if tx.users().find_role_number(key.account, id).await?.is_none() {
                return Ok(None);
            }
            (Identity::Role { id, session }, rights_of(tx, key.holder).await?)
        }
        TemporaryKind::Federation if key.holder == key.account.into() => {
            (Identity::Federated { name: session }, Rights::Everything)
        }
        TemporaryKind::Federation => {
            (Identity::Federated { name: session }, rights_of(tx, key.holder).await?)
        }
    };
    let (app_id, enabled) = account(tx, key.account).await?;
    let (_, asker_enabled) = account(tx, key.asked_by_account).await?;
    Ok(Some(Principal {
        secret_id: key.secret_id,
        secret_key: key.secret_key.into(),
        account: key.account,
        app_id,
        identity,
        enabled: enabled && asker_enabled,
        token: Some(Token { text: key.token, expires: key.expires }),
        principal: key.asked_by,
        principal_account: key.asked_by_account,
        rights,
        session: key.policy.as_deref().map(stored).transpose()?,
        session_tags: key.tags,
        networks: networks(tx, key.account).await?,
        // Whoever acts through a session has the device of who asked for it, or none.
        factor: factor(tx, key.asked_by).await?,
        verified: key.verified,
        read: now,
    }))
}

async fn account(tx: &mut Transaction, account: AccountUin) -> Result<(AppId, bool), DbError> {
    let missing = || DbError::new(DbErrorKind::Corrupt, format!("the account {account} of a key is missing"));
    let found = tx.accounts().find(account).await?.ok_or_else(missing)?;
    Ok((found.app_id, found.enabled))
}

async fn rights_of(tx: &mut Transaction, holder: Holder) -> Result<Rights, DbError> {
    let policies = tx.users().policies(holder).await?;
    let policies = policies.iter().map(|policy| stored(&policy.document));
    policies.collect::<Result<_, _>>().map(Rights::Policies)
}

/// Documents were read before they were stored.
fn stored(document: &str) -> Result<Policy, DbError> {
    Policy::parse(document)
        .map_err(|error| DbError::new(DbErrorKind::Corrupt, format!("a stored policy: {error}")))
}

async fn networks(
    tx: &mut Transaction,
    account: AccountUin,
) -> Result<Vec<(NetworkEffect, Network)>, DbError> {
    let corrupt = |error: super::NetworkError| DbError::new(DbErrorKind::Corrupt, error.to_string());
    let rules = tx.access().networks(account).await?.into_iter();
    rules.map(|(effect, network)| Ok((effect, network.parse().map_err(corrupt)?))).collect()
}

async fn factor(tx: &mut Transaction, holder: Holder) -> Result<Option<Factor>, DbError> {
    let device = tx.access().device(holder).await?;
    Ok(device.map(|device| Factor { holder: device.holder, secret: device.secret }))
}
