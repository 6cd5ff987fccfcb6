//! Keys and rights of the records, as the gateway asks for them.

#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;

use ashlar_api::{ApiError, Ask, ErrorCode, Key, KeyStore, KeyToken, SecretKey, Touched};
use ashlar_control::{AccessError, Control, ControlError, Principal, Question, ResourceName};
use ashlar_types::{AccountUin, SecretId, UserUin};

use crate::service::error::access_code;

/// Keys kept by the control plane, and its policies.
pub(crate) struct ControlKeys(pub(crate) Control);

impl KeyStore for ControlKeys {
    type Principal = Arc<Principal>;

    async fn find_key(&self, secret_id: &SecretId) -> Result<Option<Key<Arc<Principal>>>, ApiError> {
        let found = self.0.find_principal(secret_id).await.map_err(ApiError::internal)?;
        Ok(found.map(|principal| Key {
            secret_key: SecretKey::new(principal.secret_key.clone()),
            token: principal
                .token
                .as_ref()
                .map(|token| KeyToken { text: SecretKey::new(token.text.as_str()), expires: token.expires }),
            account: principal.account,
            app_id: principal.app_id,
            operator: UserUin(principal.principal.0),
            enabled: principal.enabled,
            is_restricted: !principal.may_do_all(),
            principal,
        }))
    }

    fn admit(&self, principal: &Arc<Principal>, address: Option<IpAddr>) -> Result<(), ApiError> {
        self.0.check_network(principal, address).map_err(|error| refused(&error))
    }

    async fn authorize(&self, principal: &Arc<Principal>, ask: Ask<'_>) -> Result<(), ApiError> {
        let resources: Vec<ResourceName> =
            ask.resources.iter().map(|touched| name_of(touched, &ask)).collect();
        let spec = ask.action.spec();
        let question = Question {
            product: spec.product,
            action: spec.name,
            ip: ask.address,
            now: ask.now,
            request_tags: &ask.request_tags,
        };
        let ask = ashlar_control::Ask {
            question,
            resources: &resources,
            needs_right: spec.needs_right,
            is_sensitive: spec.is_sensitive,
            code: ask.code,
        };
        self.0.authorize(principal, &ask).await.map_err(|error| match error {
            ControlError::Access(error) => refused(&error),
            other => ApiError::internal(other),
        })
    }
}

fn refused(error: &AccessError) -> ApiError {
    let code: ErrorCode = access_code(error);
    ApiError::new(code, error.to_string())
}

/// The six parts of what a request touches. A text that should be a whole name and is none stays itself: no
/// pattern but `*` stands for it, and the action refuses it.
fn name_of(touched: &Touched, ask: &Ask<'_>) -> ResourceName {
    let (account, app_id) = (ask.account, Some(ask.app_id));
    let name = touched.name.as_deref().unwrap_or("*");
    let Some((service, word)) = touched.kind.prefix() else {
        return whole_name(name, account).unwrap_or_else(|| ResourceName {
            service: String::new(),
            region: String::new(),
            account,
            app_id,
            resource: name.to_owned(),
        });
    };
    let region = ask.region.to_string();
    ResourceName { service: service.to_owned(), region, account, app_id, resource: format!("{word}/{name}") }
}

/// Real clients leave the account's number out of the names of their own resources.
fn whole_name(text: &str, own: AccountUin) -> Option<ResourceName> {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["qcs", "", service, region, account, resource] = parts[..] else { return None };
    let account = match account.strip_prefix("uin/").unwrap_or(account) {
        "" => own,
        number => AccountUin(number.parse().ok()?),
    };
    Some(ResourceName {
        service: service.to_owned(),
        region: region.to_owned(),
        account,
        app_id: None,
        resource: resource.to_owned(),
    })
}
