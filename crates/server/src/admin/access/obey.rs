//! The server's side: each order is one call of the rules.

use ashlar_control::{
    Account, ApiKey, AttachedPolicy, Control, ControlError, MfaDevice, Network, NetworkEffect, NewRole,
    PolicyHolder, Role, User,
};
use ashlar_types::{AccountUin, SecretId};

use super::{
    AccessAnswer, AccessCommand, AccessOrder, AccountRecord, DeviceRecord, DoneRecord, HolderName, KeyRecord,
    NetworkRecord, PolicyRecord, RoleRecord, UserRecord,
};

/// Why an order was not carried out.
pub(crate) enum Refusal {
    /// The rules say no, or failed.
    Control(ControlError),
    /// The order makes no sense.
    Words(String),
}

impl From<ControlError> for Refusal {
    fn from(error: ControlError) -> Self {
        Self::Control(error)
    }
}

impl AccessCommand {
    /// Carries it out; `first` is the account where none is named.
    pub(crate) async fn obey(self, control: &Control, first: AccountUin) -> Result<AccessAnswer, Refusal> {
        let account = self.account.map_or(first, AccountUin);
        match self.order {
            AccessOrder::AddAccount { name } => {
                Ok(AccessAnswer::Account(account_record(control.add_account(&name).await?)))
            }
            AccessOrder::ListAccounts => {
                let accounts = control.accounts().await?.into_iter();
                Ok(AccessAnswer::Accounts(accounts.map(account_record).collect()))
            }
            AccessOrder::EnableAccount { enabled } => {
                control.enable_account(account, enabled).await?;
                Ok(switched(enabled, account))
            }
            AccessOrder::AddUser { name } => {
                Ok(AccessAnswer::User(user_record((control.add_user(account, &name).await?, false))))
            }
            AccessOrder::ListUsers => {
                let users = control.users(account).await?.into_iter();
                Ok(AccessAnswer::Users(users.map(user_record).collect()))
            }
            AccessOrder::RemoveUser { name } => {
                control.remove_user(account, &name).await?;
                Ok(done("removed", name))
            }
            AccessOrder::AddKey { user } => {
                let key = control.add_key(account, user.as_deref()).await?;
                let secret_key = Some(key.secret_key.clone());
                Ok(AccessAnswer::Key(KeyRecord { secret_key, ..key_record(key, user) }))
            }
            AccessOrder::ListKeys { user } => {
                let keys = control.keys(account, user.as_deref()).await?.into_iter();
                Ok(AccessAnswer::Keys(keys.map(|key| key_record(key, user.clone())).collect()))
            }
            AccessOrder::EnableKey { secret_id, enabled } => {
                control.enable_key(account, &key_id(&secret_id)?, enabled).await?;
                Ok(switched(enabled, secret_id))
            }
            AccessOrder::RemoveKey { secret_id } => {
                control.remove_key(account, &key_id(&secret_id)?).await?;
                Ok(done("removed", secret_id))
            }
            order => obey_about_rights(order, control, account).await,
        }
    }
}

async fn obey_about_rights(
    order: AccessOrder,
    control: &Control,
    account: AccountUin,
) -> Result<AccessAnswer, Refusal> {
    match order {
        AccessOrder::AttachPolicy { holder, name, document } => {
            control.attach_policy(account, &policy_holder(&holder), &name, &document).await?;
            Ok(AccessAnswer::Policy(PolicyRecord { name, holder, document: json(&document) }))
        }
        AccessOrder::DetachPolicy { holder, name } => {
            control.detach_policy(account, &policy_holder(&holder), &name).await?;
            Ok(done("detached", name))
        }
        AccessOrder::ListPolicies { holder } => {
            let policies = control.policies(account, &policy_holder(&holder)).await?.into_iter();
            let record = |policy: AttachedPolicy| PolicyRecord {
                name: policy.name,
                holder: holder.clone(),
                document: json(&policy.document),
            };
            Ok(AccessAnswer::Policies(policies.map(record).collect()))
        }
        AccessOrder::AddRole { name, trust, max_session_seconds } => {
            let wanted = NewRole { name, trust, session_seconds_max: max_session_seconds };
            Ok(AccessAnswer::Role(role_record(control.add_role(account, wanted).await?)))
        }
        AccessOrder::ListRoles => {
            let roles = control.roles(account).await?.into_iter();
            Ok(AccessAnswer::Roles(roles.map(role_record).collect()))
        }
        AccessOrder::RemoveRole { name } => {
            control.remove_role(account, &name).await?;
            Ok(done("removed", name))
        }
        AccessOrder::EnrolDevice { user } => {
            let device = control.enrol_device(account, user.as_deref()).await?;
            Ok(AccessAnswer::Device(device_record(device, user.as_deref())))
        }
        AccessOrder::RemoveDevice { user } => {
            control.remove_device(account, user.as_deref()).await?;
            Ok(done(
                "removed",
                user.map_or_else(|| format!("device of {account}"), |user| format!("device of {user}")),
            ))
        }
        AccessOrder::AddNetwork { effect, network } => {
            let effect: NetworkEffect =
                effect.parse().map_err(|_| Refusal::Words(format!("`{effect}` is no effect")))?;
            let network = parsed(&network)?;
            control.add_network(account, effect, network).await?;
            Ok(AccessAnswer::Network(network_record((effect, network.to_string()))))
        }
        AccessOrder::ListNetworks => {
            let rules = control.networks(account).await?.into_iter();
            Ok(AccessAnswer::Networks(rules.map(network_record).collect()))
        }
        AccessOrder::RemoveNetwork { network } => {
            let parsed = parsed(&network)?;
            let rules = control.networks(account).await?;
            let effect =
                rules.iter().find(|(_, known)| *known == parsed.to_string()).map(|(effect, _)| *effect);
            control.remove_network(account, effect.unwrap_or(NetworkEffect::Deny), parsed).await?;
            Ok(done("removed", network))
        }
        // The other orders were carried out before this was asked.
        _ => Err(Refusal::Words("the order is unknown".to_owned())),
    }
}

fn parsed(network: &str) -> Result<Network, Refusal> {
    network.parse().map_err(|error: ashlar_control::NetworkError| Refusal::Words(error.to_string()))
}

fn key_id(text: &str) -> Result<SecretId, Refusal> {
    text.parse().map_err(|error: ashlar_types::IdError| Refusal::Words(error.to_string()))
}

fn policy_holder(holder: &HolderName) -> PolicyHolder {
    match holder {
        HolderName::User(name) => PolicyHolder::User(name.clone()),
        HolderName::Role(name) => PolicyHolder::Role(name.clone()),
    }
}

/// Documents were read before they were stored.
fn json(document: &str) -> serde_json::Value {
    serde_json::from_str(document).unwrap_or_default()
}

fn done(done: &str, name: impl ToString) -> AccessAnswer {
    AccessAnswer::Done(DoneRecord { done: done.to_owned(), name: name.to_string() })
}

fn switched(enabled: bool, name: impl ToString) -> AccessAnswer {
    done(if enabled { "enabled" } else { "disabled" }, name)
}

fn account_record(account: Account) -> AccountRecord {
    AccountRecord {
        uin: account.uin.0,
        app_id: account.app_id.0,
        name: account.name,
        enabled: account.enabled,
    }
}

fn user_record((user, mfa): (User, bool)) -> UserRecord {
    UserRecord { uin: user.uin.0, account: user.account.0, name: user.name, mfa }
}

/// Without the secret half.
fn key_record(key: ApiKey, user: Option<String>) -> KeyRecord {
    KeyRecord {
        secret_id: key.secret_id.to_string(),
        secret_key: None,
        account: key.account.0,
        user,
        enabled: key.enabled,
    }
}

fn role_record(role: Role) -> RoleRecord {
    RoleRecord {
        role_id: role.id.0,
        arn: format!("qcs::cam::uin/{}:roleName/{}", role.account, role.name),
        name: role.name,
        max_session_seconds: role.session_seconds_max,
        trust: json(&role.trust),
    }
}

fn device_record(device: MfaDevice, user: Option<&str>) -> DeviceRecord {
    let label = user.map_or_else(|| device.account.to_string(), |user| format!("{}-{user}", device.account));
    DeviceRecord {
        serial_number: format!("qcs::cam:uin/{}::mfa/softToken", device.holder),
        uri: format!("otpauth://totp/ashlar:{label}?secret={}&issuer=ashlar", device.secret),
        secret: device.secret,
    }
}

fn network_record((effect, network): (NetworkEffect, String)) -> NetworkRecord {
    NetworkRecord { effect: effect.to_string(), network }
}
