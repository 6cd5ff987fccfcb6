//! The keys that sign requests, as the gateway needs them.

use std::fmt;
use std::future::Future;

use ashlar_types::{AccountUin, AppId, SecretId};

use crate::error::ApiError;

/// The secret half of a key. Never shown, not even by `Debug`.
#[derive(Clone)]
pub struct SecretKey(String);

impl SecretKey {
    /// Wraps the secret.
    #[must_use]
    pub fn new(secret: String) -> Self {
        Self(secret)
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

/// A key and whose it is.
#[derive(Debug, Clone)]
pub struct Key {
    /// The secret half.
    pub secret_key: SecretKey,
    /// The account that it acts for.
    pub account: AccountUin,
    /// The account's second number.
    pub app_id: AppId,
    /// A disabled key is answered like one that does not exist.
    pub enabled: bool,
}

/// Where keys are kept.
pub trait KeyStore: Send + Sync {
    /// Finds the key with this id; none where there is none.
    ///
    /// # Errors
    /// Only where the store itself fails.
    fn find_key(&self, secret_id: &SecretId) -> impl Future<Output = Result<Option<Key>, ApiError>> + Send;
}
