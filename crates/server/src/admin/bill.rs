//! `ashlar bill`: both ends of the exchange.

use ashlar_control::{BillBy, BillLine, Control, ControlError, parse_iso};
use ashlar_types::{AccountUin, Money, UnixMillis};
use serde::{Deserialize, Serialize};

use super::protocol::{AdminCommand, Answer};
use crate::cli::{AdminFlags, BillFlags};

/// What is asked for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BillRequest {
    from: String,
    to: String,
    account: Option<u64>,
    by: String,
}

/// A bill, as `--json` shows it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BillRecord {
    /// What it is broken down into.
    lines: Vec<LineRecord>,
    /// All lines together.
    total: String,
}

/// A line of a bill.
#[derive(Debug, Serialize, Deserialize)]
struct LineRecord {
    account: u64,
    project: Option<u64>,
    tag_value: Option<String>,
    kind: String,
    amount: String,
}

/// The request of a command line.
pub(crate) fn request(flags: BillFlags) -> (AdminCommand, AdminFlags) {
    let BillFlags { from, to, account, by, admin } = flags;
    let account = account.map(|account| account.0);
    (AdminCommand::Bill(BillRequest { from, to, account, by }), admin)
}

/// Does what is asked.
pub(crate) async fn obey(control: &Control, request: BillRequest) -> Result<Answer, String> {
    let (from, until) = (time("from", &request.from)?, time("to", &request.to)?);
    if until <= from {
        return Err(format!("to `{}`: expected a time after from `{}`", request.to, request.from));
    }
    let by = by(&request.by)?;
    let lines = control.bill(from, until, request.account.map(AccountUin), &by).await;
    let lines = lines.map_err(|error: ControlError| error.to_string())?;
    let total = lines.iter().fold(Money::ZERO, |sum, line| sum.plus(line.amount));
    let lines = lines.into_iter().map(LineRecord::new).collect();
    Ok(Answer::Bill(BillRecord { lines, total: total.to_string() }))
}

fn time(name: &str, text: &str) -> Result<UnixMillis, String> {
    let expected = "an ISO 8601 time with an offset, 2026-11-01T00:00:00+08:00";
    parse_iso(text).ok_or_else(|| format!("{name} `{text}`: expected {expected}"))
}

fn by(text: &str) -> Result<BillBy, String> {
    match (text, text.strip_prefix("tag:")) {
        ("account", _) => Ok(BillBy::Account),
        ("project", _) => Ok(BillBy::Project),
        (_, Some(key)) if !key.is_empty() => Ok(BillBy::Tag(key.to_owned())),
        _ => Err(format!("by `{text}`: expected account, project or tag:KEY")),
    }
}

impl LineRecord {
    fn new(line: BillLine) -> Self {
        Self {
            account: line.account.0,
            project: line.project.map(|project| project.0),
            tag_value: line.tag_value,
            kind: line.kind.to_string(),
            amount: line.amount.to_string(),
        }
    }
}

/// A table for people.
pub(crate) fn to_text(bill: &BillRecord) -> String {
    let mut lines =
        vec![format!("{:<14}  {:<8}  {:<16}  {:<24}  {:>16}", "ACCOUNT", "PROJECT", "TAG", "KIND", "AMOUNT")];
    lines.extend(bill.lines.iter().map(|line| {
        format!(
            "{:<14}  {:<8}  {:<16}  {:<24}  {:>16}",
            line.account,
            line.project.map_or_else(|| "-".to_owned(), |project| project.to_string()),
            line.tag_value.as_deref().unwrap_or("-"),
            line.kind,
            line.amount
        )
    }));
    lines.push(format!("total {}", bill.total));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bill_is_broken_down_by_what_it_is_told() {
        assert_eq!(by("account"), Ok(BillBy::Account));
        assert_eq!(by("project"), Ok(BillBy::Project));
        assert_eq!(by("tag:team"), Ok(BillBy::Tag("team".to_owned())));
        for text in ["", "tag:", "team"] {
            assert!(by(text).unwrap_err().contains(&format!("`{text}`")), "{text}");
        }
    }
}
