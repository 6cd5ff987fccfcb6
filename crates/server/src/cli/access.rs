//! The commands for accounts and what belongs to them.

use std::path::PathBuf;

use ashlar_types::SecretId;
use clap::{Args, Subcommand};

use super::AdminFlags;

/// Which account a command is about.
#[derive(Debug, Args)]
pub(crate) struct AccountFlag {
    /// The account [default: the first one]
    #[arg(long, value_name = "UIN")]
    pub(crate) account: Option<u64>,
}

/// What can be done with accounts.
#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Add an account and print its number.
    Add {
        /// A name for people, unique
        name: String,
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
    /// List the accounts.
    List {
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
    /// Let no key of an account work any more.
    Disable {
        /// The account
        uin: u64,
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
    /// Let the keys of an account work again.
    Enable {
        /// The account
        uin: u64,
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
}

/// What can be done with users.
#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Add a user, who may do nothing before a policy is attached.
    Add {
        /// The name, unique in the account
        name: String,
        /// The account.
        #[command(flatten)]
        account: AccountFlag,
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
    /// List the users of an account.
    List {
        /// The account.
        #[command(flatten)]
        account: AccountFlag,
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
    /// Remove a user with keys, policies and temporary keys.
    Remove {
        /// The name
        name: String,
        /// The account.
        #[command(flatten)]
        account: AccountFlag,
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
}

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Add a key, at most two for each user, and print both halves this once.
    Add {
        /// The user [default: the account itself]
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// The account.
        #[command(flatten)]
        account: AccountFlag,
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
    /// List the keys of an account itself, or of a user.
    List {
        /// The user [default: the account itself]
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// The account.
        #[command(flatten)]
        account: AccountFlag,
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
    /// Let a key work no more.
    Disable(KeyArguments),
    /// Let a key work again.
    Enable(KeyArguments),
    /// Remove a key for good.
    Remove(KeyArguments),
}

/// One key.
#[derive(Debug, Args)]
pub(crate) struct KeyArguments {
    /// The key
    pub(crate) secret_id: SecretId,
    /// The account.
    #[command(flatten)]
    pub(crate) account: AccountFlag,
    /// Flags of every administrative command.
    #[command(flatten)]
    pub(crate) admin: AdminFlags,
}

/// Whom a policy is attached to.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct HolderFlags {
    /// The user
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// The role
    #[arg(long, value_name = "NAME")]
    pub(crate) role: Option<String>,
}

/// What can be done with policies.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Attach a policy to a user or a role; it counts from the next call on.
    Attach {
        /// The user or the role.
        #[command(flatten)]
        holder: HolderFlags,
        /// The policy in JSON, version 2.0
        #[arg(long, value_name = "JSON")]
        file: PathBuf,
        /// A name for it [default: the file's name without its ending]
        #[arg(long)]
        name: Option<String>,
        /// The account.
        #[command(flatten)]
        account: AccountFlag,
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
    /// Detach a policy, which is named by its name or its file.
    Detach {
        /// The user or the role.
        #[command(flatten)]
        holder: HolderFlags,
        /// The file that it was attached from; only its name counts
        #[arg(long, value_name = "JSON", required_unless_present = "name", conflicts_with = "name")]
        file: Option<PathBuf>,
        /// Its name
        #[arg(long)]
        name: Option<String>,
        /// The account.
        #[command(flatten)]
        account: AccountFlag,
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
    /// List the policies of a user or a role.
    List {
        /// The user or the role.
        #[command(flatten)]
        holder: HolderFlags,
        /// The account.
        #[command(flatten)]
        account: AccountFlag,
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
}

/// What can be done with roles.
#[derive(Debug, Subcommand)]
pub(crate) enum RoleCommand {
    /// Add a role, which may do nothing before a policy is attached.
    Add {
        /// The name, unique in the account
        name: String,
        /// Who may assume it: a policy in JSON with principals
        #[arg(long, value_name = "JSON")]
        trust: PathBuf,
        /// How long a session may last [default: 43200]
        #[arg(long, value_name = "SECONDS")]
        max_session: Option<u64>,
        /// The account.
        #[command(flatten)]
        account: AccountFlag,
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
    /// List the roles of an account.
    List {
        /// The account.
        #[command(flatten)]
        account: AccountFlag,
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
    /// Remove a role; its temporary keys end.
    Remove {
        /// The name
        name: String,
        /// The account.
        #[command(flatten)]
        account: AccountFlag,
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
}

/// What can be done with devices for one-time codes.
#[derive(Debug, Subcommand)]
pub(crate) enum MfaCommand {
    /// Enrol a device: print its secret this once, and ask for its codes from now on.
    Enrol {
        /// The user [default: the account itself]
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// The account.
        #[command(flatten)]
        account: AccountFlag,
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
    /// Remove a device and ask for codes no more.
    Remove {
        /// The user [default: the account itself]
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// The account.
        #[command(flatten)]
        account: AccountFlag,
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
}

/// What can be done with rules about networks.
#[derive(Debug, Subcommand)]
pub(crate) enum NetworkCommand {
    /// Take calls from a network; where such a rule is, from nowhere else.
    Allow(NetworkArguments),
    /// Take no calls from a network, whatever else is allowed.
    Deny(NetworkArguments),
    /// List the rules of an account.
    List {
        /// The account.
        #[command(flatten)]
        account: AccountFlag,
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
    /// Remove a rule.
    Remove(NetworkArguments),
}

/// One network.
#[derive(Debug, Args)]
pub(crate) struct NetworkArguments {
    /// An address, or a network such as 10.0.0.0/8
    pub(crate) network: String,
    /// The account.
    #[command(flatten)]
    pub(crate) account: AccountFlag,
    /// Flags of every administrative command.
    #[command(flatten)]
    pub(crate) admin: AdminFlags,
}
