//! The keys of the records, as the gateway asks for them.

use ashlar_api::{ApiError, Key, KeyStore, SecretKey};
use ashlar_control::Control;
use ashlar_types::SecretId;

/// Keys kept by the control plane.
pub(crate) struct ControlKeys(pub(crate) Control);

impl KeyStore for ControlKeys {
    async fn find_key(&self, secret_id: &SecretId) -> Result<Option<Key>, ApiError> {
        let found = self.0.find_key(secret_id).await.map_err(ApiError::internal)?;
        Ok(found.map(|key| Key {
            secret_key: SecretKey::new(key.secret_key),
            account: key.account,
            app_id: key.app_id,
            enabled: key.enabled,
        }))
    }
}
