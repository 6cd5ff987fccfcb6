//! From the command line to what goes over the socket. Files are read here: the server may not see them.

use std::path::Path;

use ashlar_control::POLICY_BYTES_MAX;

use super::{AccessCommand, AccessOrder, HolderName};
use crate::cli::{
    AccountCommand, AccountFlag, AdminFlags, HolderFlags, KeyArguments, KeyCommand, MfaCommand,
    NetworkArguments, NetworkCommand, PolicyCommand, RoleCommand, UserCommand,
};
use crate::failure::Failure;

/// A command and how to send it.
type Request = (AccessCommand, AdminFlags);

fn of(account: AccountFlag, order: AccessOrder, admin: AdminFlags) -> Request {
    (AccessCommand { account: account.account, order }, admin)
}

pub(crate) fn account(command: AccountCommand) -> Request {
    let (account, order, admin) = match command {
        AccountCommand::Add { name, admin } => (None, AccessOrder::AddAccount { name }, admin),
        AccountCommand::List { admin } => (None, AccessOrder::ListAccounts, admin),
        AccountCommand::Disable { uin, admin } => {
            (Some(uin), AccessOrder::EnableAccount { enabled: false }, admin)
        }
        AccountCommand::Enable { uin, admin } => {
            (Some(uin), AccessOrder::EnableAccount { enabled: true }, admin)
        }
    };
    (AccessCommand { account, order }, admin)
}

pub(crate) fn user(command: UserCommand) -> Request {
    match command {
        UserCommand::Add { name, account, admin } => of(account, AccessOrder::AddUser { name }, admin),
        UserCommand::List { account, admin } => of(account, AccessOrder::ListUsers, admin),
        UserCommand::Remove { name, account, admin } => of(account, AccessOrder::RemoveUser { name }, admin),
    }
}

pub(crate) fn key(command: KeyCommand) -> Request {
    let one = |arguments: KeyArguments, order: fn(String) -> AccessOrder| {
        of(arguments.account, order(arguments.secret_id.to_string()), arguments.admin)
    };
    match command {
        KeyCommand::Add { user, account, admin } => of(account, AccessOrder::AddKey { user }, admin),
        KeyCommand::List { user, account, admin } => of(account, AccessOrder::ListKeys { user }, admin),
        KeyCommand::Disable(arguments) => {
            one(arguments, |secret_id| AccessOrder::EnableKey { secret_id, enabled: false })
        }
        KeyCommand::Enable(arguments) => {
            one(arguments, |secret_id| AccessOrder::EnableKey { secret_id, enabled: true })
        }
        KeyCommand::Remove(arguments) => one(arguments, |secret_id| AccessOrder::RemoveKey { secret_id }),
    }
}

pub(crate) fn policy(command: PolicyCommand) -> Result<Request, Failure> {
    Ok(match command {
        PolicyCommand::Attach { holder, file, name, account, admin } => {
            let name = name.map_or_else(|| stem(&file), Ok)?;
            let document = document(&file)?;
            of(account, AccessOrder::AttachPolicy { holder: holder_name(holder), name, document }, admin)
        }
        PolicyCommand::Detach { holder, file, name, account, admin } => {
            let name = match (name, file) {
                (Some(name), _) => name,
                (None, Some(file)) => stem(&file)?,
                (None, None) => return Err(Failure::setup("name the policy with --name or --file")),
            };
            of(account, AccessOrder::DetachPolicy { holder: holder_name(holder), name }, admin)
        }
        PolicyCommand::List { holder, account, admin } => {
            of(account, AccessOrder::ListPolicies { holder: holder_name(holder) }, admin)
        }
    })
}

pub(crate) fn role(command: RoleCommand) -> Result<Request, Failure> {
    Ok(match command {
        RoleCommand::Add { name, trust, max_session, account, admin } => {
            let order =
                AccessOrder::AddRole { name, trust: document(&trust)?, max_session_seconds: max_session };
            of(account, order, admin)
        }
        RoleCommand::List { account, admin } => of(account, AccessOrder::ListRoles, admin),
        RoleCommand::Remove { name, account, admin } => of(account, AccessOrder::RemoveRole { name }, admin),
    })
}

pub(crate) fn mfa(command: MfaCommand) -> Request {
    match command {
        MfaCommand::Enrol { user, account, admin } => of(account, AccessOrder::EnrolDevice { user }, admin),
        MfaCommand::Remove { user, account, admin } => of(account, AccessOrder::RemoveDevice { user }, admin),
    }
}

pub(crate) fn network(command: NetworkCommand) -> Request {
    let add = |arguments: NetworkArguments, effect: &str| {
        let order = AccessOrder::AddNetwork { effect: effect.to_owned(), network: arguments.network };
        of(arguments.account, order, arguments.admin)
    };
    match command {
        NetworkCommand::Allow(arguments) => add(arguments, "allow"),
        NetworkCommand::Deny(arguments) => add(arguments, "deny"),
        NetworkCommand::List { account, admin } => of(account, AccessOrder::ListNetworks, admin),
        NetworkCommand::Remove(NetworkArguments { network, account, admin }) => {
            of(account, AccessOrder::RemoveNetwork { network }, admin)
        }
    }
}

/// The command line has asked for exactly one of the two.
fn holder_name(flags: HolderFlags) -> HolderName {
    match (flags.user, flags.role) {
        (_, Some(role)) => HolderName::Role(role),
        (user, None) => HolderName::User(user.unwrap_or_default()),
    }
}

fn stem(file: &Path) -> Result<String, Failure> {
    let stem = file.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
    stem.ok_or_else(|| Failure::setup(format!("{} gives no name for a policy: use --name", file.display())))
}

/// A file that may go over the socket.
fn document(file: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::setup(format!("cannot read {}", file.display())).because(error))?;
    if text.len() > POLICY_BYTES_MAX {
        return Err(Failure::setup(format!("{} is longer than {POLICY_BYTES_MAX} bytes", file.display())));
    }
    Ok(text)
}
