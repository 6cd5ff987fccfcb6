//! `ashlar balance …` and `ashlar limit …`: both ends of the exchange.

use ashlar_control::{AccountLimit, Control, ControlError, LedgerEntry, wire_time};
use ashlar_types::{AccountUin, Money};
use serde::{Deserialize, Serialize};

use super::protocol::{AdminCommand, Answer};
use crate::cli::{AdminFlags, BalanceCommand, LimitCommand};

/// What can be asked for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum MoneyCommand {
    /// What an account has left.
    ShowBalance {
        /// The account.
        account: u64,
    },
    /// Limit an account, or take the limit away.
    SetBalance {
        /// The account.
        account: u64,
        /// The amount; none takes the limit away.
        amount: Option<String>,
    },
    /// Add to what an account has.
    AddBalance {
        /// The account.
        account: u64,
        /// The amount.
        amount: String,
    },
    /// What an account was charged.
    Ledger {
        /// The account.
        account: u64,
        /// How many entries to leave out.
        offset: u64,
        /// How many entries to show.
        limit: u64,
    },
    /// The limits of an account.
    ListLimits {
        /// The account.
        account: u64,
    },
    /// Set a limit of an account, or take it away.
    SetLimit {
        /// The account.
        account: u64,
        /// The limit.
        name: String,
        /// How much; none for the configuration's.
        value: Option<u64>,
    },
}

/// What is answered, as `--json` shows it. Without a tag the first that fits is taken, so the one whose fields may
/// be missing comes last.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum MoneyAnswer {
    /// What it was charged.
    Ledger {
        /// The account.
        account: u64,
        /// How many entries there are in all.
        total_count: u64,
        /// Those that were asked for, newest first.
        entries: Vec<EntryRecord>,
    },
    /// The limits that hold for it.
    Limits {
        /// The account.
        account: u64,
        /// All of them.
        limits: Vec<LimitRecord>,
    },
    /// What an account has left.
    Balance {
        /// The account.
        account: u64,
        /// The amount; null when there is no limit.
        balance: Option<String>,
    },
}

/// An entry of a ledger.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EntryRecord {
    time: String,
    kind: String,
    amount: String,
    resource: String,
    region: Option<String>,
    project: Option<u64>,
    from: Option<String>,
    until: Option<String>,
    request_id: String,
}

/// A limit of an account.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LimitRecord {
    name: String,
    value: u64,
    configured: u64,
}

/// The request of a command line.
pub(crate) fn balance_request(command: BalanceCommand) -> (AdminCommand, AdminFlags) {
    let (command, admin) = match command {
        BalanceCommand::Show { account, admin } => (MoneyCommand::ShowBalance { account: account.0 }, admin),
        BalanceCommand::Set { amount, account, admin } => {
            (MoneyCommand::SetBalance { account: account.0, amount: Some(amount.to_string()) }, admin)
        }
        BalanceCommand::Add { amount, account, admin } => {
            (MoneyCommand::AddBalance { account: account.0, amount: amount.to_string() }, admin)
        }
        BalanceCommand::Unlimited { account, admin } => {
            (MoneyCommand::SetBalance { account: account.0, amount: None }, admin)
        }
        BalanceCommand::Ledger { offset, limit, account, admin } => {
            (MoneyCommand::Ledger { account: account.0, offset, limit }, admin)
        }
    };
    (AdminCommand::Money(command), admin)
}

/// The request of a command line.
pub(crate) fn limit_request(command: LimitCommand) -> (AdminCommand, AdminFlags) {
    let (command, admin) = match command {
        LimitCommand::List { account, admin } => (MoneyCommand::ListLimits { account: account.0 }, admin),
        LimitCommand::Set { name, value, account, admin } => {
            (MoneyCommand::SetLimit { account: account.0, name, value: Some(value) }, admin)
        }
        LimitCommand::Reset { name, account, admin } => {
            (MoneyCommand::SetLimit { account: account.0, name, value: None }, admin)
        }
    };
    (AdminCommand::Money(command), admin)
}

/// Does what is asked.
pub(crate) async fn obey(control: &Control, command: MoneyCommand) -> Result<Answer, ControlError> {
    let answer = match command {
        MoneyCommand::ShowBalance { account } => {
            let balance = control.balance(AccountUin(account)).await?;
            MoneyAnswer::Balance { account, balance: balance.as_ref().map(Money::to_string) }
        }
        MoneyCommand::SetBalance { account, amount } => {
            let amount = amount.as_deref().map(money).transpose()?;
            let balance = control.set_balance(AccountUin(account), amount).await?;
            MoneyAnswer::Balance { account, balance: balance.as_ref().map(Money::to_string) }
        }
        MoneyCommand::AddBalance { account, amount } => {
            let balance = control.add_balance(AccountUin(account), money(&amount)?).await?;
            MoneyAnswer::Balance { account, balance: balance.as_ref().map(Money::to_string) }
        }
        MoneyCommand::Ledger { account, offset, limit } => {
            let listed = control.ledger(AccountUin(account), offset, limit).await?;
            let entries = listed.items.into_iter().map(entry).collect();
            MoneyAnswer::Ledger { account, total_count: listed.total_count, entries }
        }
        MoneyCommand::ListLimits { account } => limits(control, account).await?,
        MoneyCommand::SetLimit { account, name, value } => {
            control.set_account_limit(AccountUin(account), &name, value).await?;
            limits(control, account).await?
        }
    };
    Ok(Answer::Money(answer))
}

async fn limits(control: &Control, account: u64) -> Result<MoneyAnswer, ControlError> {
    let limits = control.account_limits(AccountUin(account)).await?;
    let record = |AccountLimit { name, value, configured }: AccountLimit| LimitRecord {
        name: name.to_owned(),
        value,
        configured,
    };
    Ok(MoneyAnswer::Limits { account, limits: limits.into_iter().map(record).collect() })
}

fn money(text: &str) -> Result<Money, ControlError> {
    let refused = |error: ashlar_types::MoneyError| ashlar_control::ParameterError::Invalid {
        parameter: "amount",
        value: text.to_owned(),
        expected: error.to_string(),
    };
    Ok(text.parse().map_err(refused)?)
}

fn entry(entry: LedgerEntry) -> EntryRecord {
    EntryRecord {
        time: wire_time(entry.created),
        kind: entry.kind.to_string(),
        amount: entry.amount.to_string(),
        resource: entry.resource,
        region: entry.region.map(|region| region.to_string()),
        project: entry.project.map(|project| project.0),
        from: entry.period.map(|(from, _)| wire_time(from)),
        until: entry.period.map(|(_, until)| wire_time(until)),
        request_id: entry.request_id,
    }
}

/// The answer for people.
pub(crate) fn to_text(answer: &MoneyAnswer) -> String {
    match answer {
        MoneyAnswer::Balance { account, balance: Some(balance) } => format!("{account} has {balance} left"),
        MoneyAnswer::Balance { account, balance: None } => format!("{account} has no limit"),
        MoneyAnswer::Ledger { entries, total_count, .. } => {
            let mut lines = vec![format!("{:<19}  {:<17}  {:>14}  RESOURCE", "TIME", "KIND", "AMOUNT")];
            lines.extend(entries.iter().map(|entry| {
                format!("{:<19}  {:<17}  {:>14}  {}", entry.time, entry.kind, entry.amount, entry.resource)
            }));
            lines.push(format!("{} of {total_count} entries", entries.len()));
            lines.join("\n")
        }
        MoneyAnswer::Limits { limits, .. } => {
            let mut lines = vec![format!("{:<20}  {:>8}  {:>10}", "LIMIT", "VALUE", "CONFIGURED")];
            lines.extend(
                limits
                    .iter()
                    .map(|limit| format!("{:<20}  {:>8}  {:>10}", limit.name, limit.value, limit.configured)),
            );
            lines.join("\n")
        }
    }
}
