//! Accounts and what belongs to them: what goes over the socket, and how it is asked, obeyed and shown.

mod obey;
mod request;
mod show;

use serde::{Deserialize, Serialize};

pub(crate) use obey::Refusal;
pub(crate) use request::{account, key, mfa, network, policy, role, user};
pub(crate) use show::to_text;

/// One command, and the account that it is about; none for the first one.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessCommand {
    /// The account.
    pub(crate) account: Option<u64>,
    /// What to do.
    pub(crate) order: AccessOrder,
}

/// What can be done.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum AccessOrder {
    /// Add an account.
    AddAccount { name: String },
    /// All accounts.
    ListAccounts,
    /// Let the account's keys work, or not.
    EnableAccount { enabled: bool },
    /// Add a user.
    AddUser { name: String },
    /// All users.
    ListUsers,
    /// Remove a user.
    RemoveUser { name: String },
    /// Add a key.
    AddKey { user: Option<String> },
    /// All keys of one holder.
    ListKeys { user: Option<String> },
    /// Let a key work, or not.
    EnableKey { secret_id: String, enabled: bool },
    /// Remove a key.
    RemoveKey { secret_id: String },
    /// Attach a policy.
    AttachPolicy { holder: HolderName, name: String, document: String },
    /// Detach a policy.
    DetachPolicy { holder: HolderName, name: String },
    /// All policies of one holder.
    ListPolicies { holder: HolderName },
    /// Add a role.
    AddRole { name: String, trust: String, max_session_seconds: Option<u64> },
    /// All roles.
    ListRoles,
    /// Remove a role.
    RemoveRole { name: String },
    /// Enrol a device.
    EnrolDevice { user: Option<String> },
    /// Remove a device.
    RemoveDevice { user: Option<String> },
    /// Add a rule.
    AddNetwork { effect: String, network: String },
    /// All rules.
    ListNetworks,
    /// Remove the rules about a network.
    RemoveNetwork { network: String },
}

/// Whom a policy is attached to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HolderName {
    /// A user.
    User(String),
    /// A role.
    Role(String),
}

/// What comes back.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AccessAnswer {
    Account(AccountRecord),
    Accounts(Vec<AccountRecord>),
    User(UserRecord),
    Users(Vec<UserRecord>),
    Key(KeyRecord),
    Keys(Vec<KeyRecord>),
    Policy(PolicyRecord),
    Policies(Vec<PolicyRecord>),
    Role(RoleRecord),
    Roles(Vec<RoleRecord>),
    Device(DeviceRecord),
    Network(NetworkRecord),
    Networks(Vec<NetworkRecord>),
    /// It is done; there is nothing more to say of it.
    Done(DoneRecord),
}

/// An account, as `--json` shows it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AccountRecord {
    pub(crate) uin: u64,
    pub(crate) app_id: u64,
    pub(crate) name: String,
    pub(crate) enabled: bool,
}

/// A user, as `--json` shows it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct UserRecord {
    pub(crate) uin: u64,
    pub(crate) account: u64,
    pub(crate) name: String,
    pub(crate) mfa: bool,
}

/// A key, as `--json` shows it. The secret half is there this once, when it is new.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct KeyRecord {
    pub(crate) secret_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secret_key: Option<String>,
    pub(crate) account: u64,
    pub(crate) user: Option<String>,
    pub(crate) enabled: bool,
}

/// A policy, as `--json` shows it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PolicyRecord {
    pub(crate) name: String,
    pub(crate) holder: HolderName,
    pub(crate) document: serde_json::Value,
}

/// A role, as `--json` shows it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RoleRecord {
    pub(crate) role_id: u64,
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) max_session_seconds: u64,
    pub(crate) trust: serde_json::Value,
}

/// A new device, as `--json` shows it, this once.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DeviceRecord {
    pub(crate) serial_number: String,
    pub(crate) secret: String,
    pub(crate) uri: String,
}

/// A rule, as `--json` shows it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NetworkRecord {
    pub(crate) effect: String,
    pub(crate) network: String,
}

/// What was done, as `--json` shows it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DoneRecord {
    /// Such as `removed`.
    pub(crate) done: String,
    /// What it was done to.
    pub(crate) name: String,
}

impl AccessAnswer {
    /// The answer without the word that says which it is.
    pub(crate) fn to_json(&self) -> serde_json::Result<String> {
        match self {
            Self::Account(record) => serde_json::to_string(record),
            Self::Accounts(records) => serde_json::to_string(records),
            Self::User(record) => serde_json::to_string(record),
            Self::Users(records) => serde_json::to_string(records),
            Self::Key(record) => serde_json::to_string(record),
            Self::Keys(records) => serde_json::to_string(records),
            Self::Policy(record) => serde_json::to_string(record),
            Self::Policies(records) => serde_json::to_string(records),
            Self::Role(record) => serde_json::to_string(record),
            Self::Roles(records) => serde_json::to_string(records),
            Self::Device(record) => serde_json::to_string(record),
            Self::Network(record) => serde_json::to_string(record),
            Self::Networks(records) => serde_json::to_string(records),
            Self::Done(record) => serde_json::to_string(record),
        }
    }
}
