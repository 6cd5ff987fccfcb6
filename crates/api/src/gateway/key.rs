//! The keys that sign requests and who they stand for, as the gateway needs them.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use ashlar_types::{AccountUin, AppId, Region, SecretId, UnixMillis, UserUin};

use crate::action::Action;
use crate::error::ApiError;
use crate::resource::Touched;

/// The secret half of a key. Never shown, not even by `Debug`.
#[derive(Clone)]
pub struct SecretKey(Arc<str>);

impl SecretKey {
    /// Wraps the secret.
    #[must_use]
    pub fn new(secret: impl Into<Arc<str>>) -> Self {
        Self(secret.into())
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// What must come with each request of a temporary key.
#[derive(Debug, Clone)]
pub struct KeyToken {
    /// The token.
    pub text: SecretKey,
    /// When token and key end.
    pub expires: UnixMillis,
}

/// A key and whose it is.
#[derive(Debug, Clone)]
pub struct Key<P> {
    /// The secret half.
    pub secret_key: SecretKey,
    /// For temporary keys.
    pub token: Option<KeyToken>,
    /// The account that it acts for.
    pub account: AccountUin,
    /// The account's second number.
    pub app_id: AppId,
    /// The account or the user whose key it is, or who asked for a temporary one.
    pub operator: UserUin,
    /// A disabled key is answered like one that does not exist.
    pub enabled: bool,
    /// Whether it matters what a call touches: not for an account's own key.
    pub is_restricted: bool,
    /// Who it stands for, in the words of the store.
    pub principal: P,
}

/// What a call asks for.
#[derive(Debug)]
pub struct Ask<'a> {
    /// The action.
    pub action: Action,
    /// What it touches, as the request names it; empty where the key is not restricted.
    pub resources: Vec<Touched>,
    /// The tags that it would bind, each as `KEY&VALUE`; empty where the key is not restricted.
    pub request_tags: Vec<String>,
    /// The account.
    pub account: AccountUin,
    /// The account's second number.
    pub app_id: AppId,
    /// The region that the call is about.
    pub region: &'a Region,
    /// Where it comes from, where that is known.
    pub address: Option<IpAddr>,
    /// The one-time code that came with it.
    pub code: Option<&'a str>,
    /// When it came.
    pub now: UnixMillis,
}

/// Where keys are kept, and who decides what they may do.
pub trait KeyStore: Send + Sync {
    /// Who a key stands for.
    type Principal: Send + Sync;

    /// Finds the key with this id; none where there is none.
    ///
    /// # Errors
    /// Only where the store itself fails.
    fn find_key(
        &self,
        secret_id: &SecretId,
    ) -> impl Future<Output = Result<Option<Key<Self::Principal>>, ApiError>> + Send;

    /// Whether calls in this name may come from this address.
    ///
    /// # Errors
    /// The refusal.
    fn admit(&self, principal: &Self::Principal, address: Option<IpAddr>) -> Result<(), ApiError>;

    /// Whether the call may be made. Comes after decoding and before anything is looked up.
    ///
    /// # Errors
    /// The refusal.
    fn authorize(
        &self,
        principal: &Self::Principal,
        ask: Ask<'_>,
    ) -> impl Future<Output = Result<(), ApiError>> + Send;
}
