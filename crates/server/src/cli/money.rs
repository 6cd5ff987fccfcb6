//! What accounts may have and have left, and what they were charged.

use ashlar_types::{AccountUin, Money};
use clap::Subcommand;

use super::AdminFlags;

/// What can be done with balances.
#[derive(Debug, Subcommand)]
pub(crate) enum BalanceCommand {
    /// Show what an account has left.
    Show {
        /// The account's number
        #[arg(long, value_parser = account)]
        account: AccountUin,
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
    /// Limit an account to an amount: what costs more is refused.
    Set {
        /// The amount, such as 250 or 12.50
        amount: Money,
        /// The account's number
        #[arg(long, value_parser = account)]
        account: AccountUin,
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
    /// Add an amount to what an account has left.
    Add {
        /// The amount, such as 250 or 12.50
        amount: Money,
        /// The account's number
        #[arg(long, value_parser = account)]
        account: AccountUin,
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
    /// Let an account spend without limit, as every account may at first.
    Unlimited {
        /// The account's number
        #[arg(long, value_parser = account)]
        account: AccountUin,
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
    /// List what an account was charged and paid back, newest first.
    Ledger {
        /// How many entries to leave out
        #[arg(long, default_value_t = 0)]
        offset: u64,
        /// How many entries to show
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
        limit: u64,
        /// The account's number
        #[arg(long, value_parser = account)]
        account: AccountUin,
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
}

/// What can be done with the limits of one account.
#[derive(Debug, Subcommand)]
pub(crate) enum LimitCommand {
    /// List the limits that hold for an account.
    List {
        /// The account's number
        #[arg(long, value_parser = account)]
        account: AccountUin,
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
    /// Give an account a limit of its own.
    Set {
        /// The limit, named as in the configuration, such as disks_per_instance
        name: String,
        /// How much
        value: u64,
        /// The account's number
        #[arg(long, value_parser = account)]
        account: AccountUin,
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
    /// Give an account the configuration's limit again.
    Reset {
        /// The limit, named as in the configuration
        name: String,
        /// The account's number
        #[arg(long, value_parser = account)]
        account: AccountUin,
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
}

pub(super) fn account(text: &str) -> Result<AccountUin, std::num::ParseIntError> {
    text.parse().map(AccountUin)
}
